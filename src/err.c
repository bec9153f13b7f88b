/* Errors as values, and allocation that reports instead of aborting. */
#include "err.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text quoted from a file may hold anything, an escape sequence for the
 * reader's terminal included; UTF-8 stays. */
static void defuse(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

/* A long path keeps its end, which names the file. */
static void set_source(struct rl_error *err, const char *source)
{
    size_t n = strlen(source), room = sizeof err->source - 1;

    if (n <= room)
        memcpy(err->source, source, n + 1);
    else
        snprintf(err->source, sizeof err->source, "...%s", source + n - (room - 3));
    defuse(err->source);
}

int(rl_fail)(struct rl_error *err, enum rl_code code, const char *source, int line,
             const char *fmt, ...)
{
    va_list ap;

    if (!err || err->code != RL_OK)
        return -1;
    err->code = code;
    err->line = line;
    err->column = 0;
    set_source(err, source ? source : "");
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    defuse(err->text);
    return -1;
}

const char *rl_error_format(const struct rl_error *err, char *buf, size_t size)
{
    if (!err->source[0])
        snprintf(buf, size, "%s", err->text);
    else if (err->line && err->column)
        snprintf(buf, size, "%s:%d:%d: %s", err->source, err->line, err->column,
                 err->text);
    else if (err->line)
        snprintf(buf, size, "%s:%d: %s", err->source, err->line, err->text);
    else
        snprintf(buf, size, "%s: %s", err->source, err->text);
    return buf;
}

void *rl_alloc(size_t n, size_t size, struct rl_error *err)
{
    void *p = NULL;

    n = n ? n : 1;
    size = size ? size : 1;
    if (n <= SIZE_MAX / size)
        p = calloc(n, size);
    if (!p)
        rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory (%zu x %zu bytes)", n, size);
    return p;
}

/* At least doubles, so that appending is linear in the long run.  On failure
 * returns NULL and leaves `p` as it was. */
void *rl_grow(void *p, size_t *cap, size_t need, size_t size, struct rl_error *err)
{
    size_t n = *cap ? *cap : 8;
    void *q = NULL;

    if (need <= *cap && p)
        return p;
    while (n < need && n <= SIZE_MAX / 2)
        n *= 2;
    if (n >= need && n <= SIZE_MAX / (size ? size : 1))
        q = realloc(p, n * size);
    if (!q) {
        rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory (%zu x %zu bytes)", need, size);
        return NULL;
    }
    *cap = n;
    return q;
}

char *rl_strdup(const char *s, struct rl_error *err)
{
    size_t n = strlen(s) + 1;
    char *p = rl_alloc(n, 1, err);

    if (p)
        memcpy(p, s, n);
    return p;
}
