/* CSV text row by row.
 *
 * Lines are cut here, because libcsv skips blank lines, knows no comments and
 * reports errors by byte, while a message must name the line.  It splits the
 * lines whose quotes do more than enclose a field; cutting the others at their
 * commas gives the same fields in a quarter of its time.  A field and its
 * separator are never shorter than the text it becomes and its NUL, so that a
 * row needs no more room than its line.
 */
#include "rows.h"

#include "err.h"

#include <stdint.h>
#include <string.h>

#define MOST_LINE ((size_t)1 << 20)

int rl_rows_init(struct rl_rows *r, const char *source, const char *text, size_t len,
                 struct rl_error *err)
{
    memset(r, 0, sizeof *r);
    r->source = source;
    r->err = err ? err : &r->own; /* so that a column can always be set */
    if (len > RL_MOST_BYTES)
        return rl_fail(err, RL_EFORMAT, source, 0, "file larger than 64 MiB");
    if (csv_init(&r->csv, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return rl_fail(err, RL_ENOMEM, source, 0, "cannot start libcsv");
    r->next = text;
    r->end = text + len;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        r->next += 3;
    r->nul = memchr(text, '\0', len);
    return 0;
}

void rl_rows_clear(struct rl_rows *r)
{
    csv_free(&r->csv);
}

static int bad_line(struct rl_rows *r, const char *what)
{
    r->failed = true;
    return rl_fail(r->err, RL_EFORMAT, r->source, r->line, "%s", what);
}

static bool is_blank(const char *s, size_t len)
{
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    return len == 0;
}

int rl_rows_next(struct rl_rows *r)
{
    while (r->next < r->end && !r->failed) {
        const char *nl = memchr(r->next, '\n', (size_t)(r->end - r->next));
        const char *stop = nl ? nl : r->end, *s = r->next;
        size_t len = (size_t)(stop - s);

        r->line++;
        r->next = stop + 1;
        if (len && s[len - 1] == '\r')
            len--;
        if (len > MOST_LINE)
            return bad_line(r, "line longer than 1 MiB");
        if (r->nul && r->nul < s + len)
            return bad_line(r, "NUL byte: not a text file");
        r->text = s;
        r->len = len;
        if (!is_blank(s, len) && s[0] != '#')
            return 1;
    }
    return r->failed ? -1 : 0;
}

static void on_field(void *data, size_t len, void *user)
{
    struct rl_rows *r = user;

    if (r->nfields < RL_MOST_COLUMNS) {
        r->field[r->nfields] = r->fill;
        if (len)
            memcpy(r->fill, data, len);
        r->fill[len] = '\0';
        r->fill += len + 1;
    }
    r->nfields++;
}

static void take_field(struct rl_rows *r, const char *s, const char *end)
{
    on_field((void *)(uintptr_t)s, (size_t)(end - s), r);
}

/* Up to the comma or the end, blanks around it cut off; NULL: quotes inside. */
static const char *plain_field(struct rl_rows *r, const char *s, const char *end)
{
    const char *comma = memchr(s, ',', (size_t)(end - s)), *stop = comma ? comma : end;
    const char *last = stop;

    if (memchr(s, '"', (size_t)(stop - s)))
        return NULL;
    while (s < last && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    take_field(r, s, last);
    return stop;
}

/* From quote to quote; NULL: something stands before the next comma. */
static const char *quoted_field(struct rl_rows *r, const char *s, const char *end)
{
    const char *close = memchr(s + 1, '"', (size_t)(end - s) - 1);

    if (!close || (close + 1 < end && close[1] != ','))
        return NULL;
    take_field(r, s + 1, close);
    return close + 1;
}

/* False where a quote does more than enclose a whole field. */
static bool cut_simple(struct rl_rows *r)
{
    const char *s = r->text, *end = s + r->len;

    for (;; s++) {
        while (s < end && (*s == ' ' || *s == '\t'))
            s++;
        s = s < end && *s == '"' ? quoted_field(r, s, end) : plain_field(r, s, end);
        if (!s || s == end)
            return s != NULL;
    }
}

static int cut_quoted(struct rl_rows *r)
{
    size_t done, quotes = 0;

    for (size_t i = 0; i < r->len; i++)
        quotes += r->text[i] == '"';
    if (quotes % 2)
        return bad_line(r, "quote is not closed on its line");
    done = csv_parse(&r->csv, r->text, r->len, on_field, NULL, r);
    if (done == r->len && csv_parse(&r->csv, "\n", 1, on_field, NULL, r) == 1)
        return 0;
    bad_line(r, csv_error(&r->csv) == CSV_EPARSE
                    ? "quote in the middle of a field: quote the field, double its quotes"
                    : csv_strerror(csv_error(&r->csv)));
    r->err->column = (int)done + 1;
    return -1;
}

static int check_header(struct rl_rows *r)
{
    for (int i = 0; i < r->nfields; i++) {
        if (!*r->field[i])
            return rl_fail(r->err, RL_EFORMAT, r->source, r->line,
                           "column %d of the header has no name", i + 1);
        for (int j = 0; j < i; j++)
            if (strcmp(r->field[i], r->field[j]) == 0)
                return rl_fail(r->err, RL_EFORMAT, r->source, r->line,
                               "column '%.60s' is named twice", r->field[i]);
    }
    r->ncols = r->nfields;
    return 0;
}

int rl_rows_cut(struct rl_rows *r, char *pool)
{
    r->nfields = 0;
    r->fill = pool;
    if (memchr(r->text, '\r', r->len))
        return bad_line(r, "carriage return inside a line");
    if (!cut_simple(r)) {
        r->nfields = 0;
        r->fill = pool;
        if (cut_quoted(r) < 0)
            return -1;
    }
    if (r->nfields > RL_MOST_COLUMNS)
        return bad_line(r, "more than 256 columns");
    if (!r->ncols)
        return check_header(r);
    if (r->nfields == r->ncols)
        return 0;
    return rl_fail(r->err, RL_EFORMAT, r->source, r->line,
                   "expected %d fields as in the header, found %d", r->ncols, r->nfields);
}

int rl_rows_header(struct rl_rows *r, const char *const *name, int n, int *col,
                   char *pool)
{
    int more = rl_rows_next(r);

    if (more == 0)
        return rl_fail(r->err, RL_EFORMAT, r->source, 1,
                       "expected a header row, found an empty file");
    if (more < 0 || rl_rows_cut(r, pool) < 0)
        return -1;
    for (int i = 0; i < n; i++) {
        col[i] = 0;
        while (col[i] < r->ncols && strcmp(r->field[col[i]], name[i]) != 0)
            col[i]++;
        if (col[i] == r->ncols)
            return rl_fail(r->err, RL_EFORMAT, r->source, 1, "expected a column '%s'",
                           name[i]);
    }
    return 0;
}
