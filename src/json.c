/* Reading JSON with jansson, stricter and with positions.
 *
 * Python writes an infinite float as the bare word Infinity, and real
 * config.json files hold it (Mamba-2's time_step_limit); JSON has no such
 * number, so it is read as 1e308.  NaN stays an error.
 */
#include "json.h"

#include "err.h"
#include "path.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)16 << 20)
#define MOST_DEPTH 64

struct cursor {
    int line, depth;
    const char *line_start;
};

static int fail_at(struct rl_error *err, const char *source, int line, int column,
                   const char *text)
{
    if (err && err->code == RL_OK) {
        rl_fail(err, RL_EFORMAT, source, line, "%s", text);
        err->column = column;
    }
    return -1;
}

/* Past a string literal: the position of its closing quote, or the end. */
static char *skip_string(char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\' && p + 1 < end)
            p++;
    return p;
}

/* Checks the nesting, which jansson would let go to 2048, and rewrites
 * Infinity in place; both outside strings only. */
static int prescan(const char *source, char *text, size_t len, struct rl_error *err)
{
    struct cursor c = {1, 0, text};
    const char *end = text + len;

    for (char *p = text; p < end; p++) {
        if (*p == '"') {
            p = skip_string(p, end);
        } else if (*p == '\n') {
            c.line++;
            c.line_start = p + 1;
        } else if (*p == '[' || *p == '{') {
            if (++c.depth > MOST_DEPTH)
                return fail_at(err, source, c.line, (int)(p - c.line_start) + 1,
                               "nested more than 64 deep");
        } else if (*p == ']' || *p == '}') {
            c.depth--;
        } else if (*p == 'I' && end - p >= 8 && memcmp(p, "Infinity", 8) == 0) {
            memcpy(p, "1e308   ", 8); /* same length: columns stay right */
        }
    }
    return 0;
}

static json_t *parse(const char *source, char *text, size_t len, struct rl_error *err)
{
    json_error_t e;
    json_t *root;

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    if (prescan(source, text, len, err) < 0)
        return NULL;
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        fail_at(err, source, e.line < 1 ? 1 : e.line, e.column, e.text);
    return root;
}

json_t *rl_json_parse(const char *source, const char *text, size_t len,
                      struct rl_error *err)
{
    char *copy;
    json_t *root;

    if (len > MOST_BYTES) {
        rl_fail(err, RL_EFORMAT, source, 0, "more than 16 MiB of JSON");
        return NULL;
    }
    copy = rl_alloc(len + 1, 1, err);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    root = parse(source, copy, len, err);
    free(copy);
    return root;
}

json_t *rl_json_load(const char *path, struct rl_error *err)
{
    size_t len;
    char *text = rl_read_file(path, MOST_BYTES, &len, err);
    json_t *root = text ? parse(path, text, len, err) : NULL;

    free(text);
    return root;
}
