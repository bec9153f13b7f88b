/* CSV files with a header row, read whole.
 *
 * libcsv splits the fields; lines are cut here, because it skips blank lines,
 * knows no comments and reports errors by byte, while a message must name the
 * line.  Cells lie in one pool: a field and its separator are never shorter
 * than the text it becomes and its NUL, so the pool is as long as the file.
 */
#include "table.h"

#include "err.h"
#include "path.h"
#include "units.h"

#include <csv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES   ((size_t)64 << 20)
#define MOST_LINE    ((size_t)1 << 20)
#define MOST_COLUMNS 256

struct reader {
    struct rl_table *t;
    struct rl_error *err;
    char *fill; /* next free byte of the pool */
    size_t ncells, cells_cap, rows_cap;
    int line, fields;
    bool failed;
    char *field[MOST_COLUMNS];
};

static void on_field(void *data, size_t len, void *user)
{
    struct reader *r = user;

    if (r->fields < MOST_COLUMNS) {
        r->field[r->fields] = r->fill;
        if (len)
            memcpy(r->fill, data, len);
        r->fill[len] = '\0';
        r->fill += len + 1;
    }
    r->fields++;
}

static int bad_line(struct reader *r, const char *what)
{
    r->failed = true;
    return rl_fail(r->err, RL_EFORMAT, r->t->source, r->line, "%s", what);
}

static int take_header(struct reader *r)
{
    struct rl_table *t = r->t;

    t->header = rl_alloc((size_t)r->fields, sizeof *t->header, r->err);
    if (!t->header)
        return -1;
    t->ncols = r->fields;
    memcpy(t->header, r->field, (size_t)r->fields * sizeof *t->header);
    for (int i = 0; i < t->ncols; i++) {
        if (!*t->header[i])
            return rl_fail(r->err, RL_EFORMAT, t->source, r->line,
                           "column %d of the header has no name", i + 1);
        for (int j = 0; j < i; j++)
            if (strcmp(t->header[i], t->header[j]) == 0)
                return rl_fail(r->err, RL_EFORMAT, t->source, r->line,
                               "column '%.60s' is named twice", t->header[i]);
    }
    return 0;
}

static int take_row(struct reader *r)
{
    struct rl_table *t = r->t;
    size_t ncols = (size_t)t->ncols;
    void *p;

    if (r->fields != t->ncols)
        return rl_fail(r->err, RL_EFORMAT, t->source, r->line,
                       "expected %d fields as in the header, found %d", t->ncols,
                       r->fields);
    p = rl_grow(t->cell, &r->cells_cap, r->ncells + ncols, sizeof *t->cell, r->err);
    if (!p)
        return -1;
    t->cell = p;
    p = rl_grow(t->line, &r->rows_cap, (size_t)t->nrows + 1, sizeof *t->line, r->err);
    if (!p)
        return -1;
    t->line = p;
    memcpy(t->cell + r->ncells, r->field, ncols * sizeof *t->cell);
    r->ncells += ncols;
    t->line[t->nrows++] = r->line;
    return 0;
}

static void on_row(int end, void *user)
{
    struct reader *r = user;

    (void)end;
    if (r->failed)
        return;
    if (r->fields > MOST_COLUMNS)
        bad_line(r, "more than 256 columns");
    else if ((r->t->header ? take_row(r) : take_header(r)) < 0)
        r->failed = true;
    r->fields = 0;
}

static bool is_blank(const char *s, size_t len)
{
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    return len == 0;
}

/* A line without quotes needs no parser: cut at the commas and trimmed, as
 * libcsv would, in a quarter of its time. */
static void cut_plain(struct reader *r, const char *s, size_t len)
{
    const char *end = s + len;

    for (;;) {
        const char *comma = memchr(s, ',', (size_t)(end - s)),
                   *stop = comma ? comma : end;
        const char *last = stop;
        while (s < last && (*s == ' ' || *s == '\t'))
            s++;
        while (s < last && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        on_field((void *)(uintptr_t)s, (size_t)(last - s), r);
        if (!comma)
            break;
        s = comma + 1;
    }
    on_row('\n', r);
}

/* One line without its end. */
static int take_line(struct reader *r, struct csv_parser *csv, const char *s, size_t len)
{
    size_t quotes = 0, done;

    if (len && s[len - 1] == '\r')
        len--;
    if (len > MOST_LINE)
        return bad_line(r, "line longer than 1 MiB");
    if (memchr(s, '\0', len))
        return bad_line(r, "NUL byte: not a text file");
    if (s[0] == '#' || is_blank(s, len))
        return 0;
    if (memchr(s, '\r', len))
        return bad_line(r, "carriage return inside a line");
    for (size_t i = 0; i < len; i++)
        quotes += s[i] == '"';
    if (quotes % 2)
        return bad_line(r, "quote is not closed on its line");
    if (quotes == 0) {
        cut_plain(r, s, len);
        return r->failed ? -1 : 0;
    }
    done = csv_parse(csv, s, len, on_field, on_row, r);
    if (done != len || csv_parse(csv, "\n", 1, on_field, on_row, r) != 1) {
        bad_line(r, csv_error(csv) == CSV_EPARSE
                        ? "quote in the middle of a field: quote the field, double its "
                          "quotes"
                        : csv_strerror(csv_error(csv)));
        r->err->column = (int)done + 1;
    }
    return r->failed ? -1 : 0;
}

static int take_lines(struct reader *r, const char *text, size_t len)
{
    struct csv_parser csv;
    const char *end = text + len;

    if (csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return rl_fail(r->err, RL_ENOMEM, r->t->source, 0, "cannot start libcsv");
    while (text < end && !r->failed) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        const char *stop = nl ? nl : end;

        r->line++;
        if (take_line(r, &csv, text, (size_t)(stop - text)) < 0)
            r->failed = true;
        text = stop + 1;
    }
    csv_free(&csv);
    if (r->failed)
        return -1;
    if (!r->t->header)
        return rl_fail(r->err, RL_EFORMAT, r->t->source, 1,
                       "expected a header row, found an empty file");
    return 0;
}

struct rl_table *rl_table_parse(const char *source, const char *text, size_t len,
                                struct rl_error *err)
{
    struct rl_error own = {0}; /* so that a column can always be set */
    struct reader r = {.err = err ? err : &own};

    if (len > MOST_BYTES) {
        rl_fail(err, RL_EFORMAT, source, 0, "file larger than 64 MiB");
        return NULL;
    }
    r.t = rl_alloc(1, sizeof *r.t, r.err);
    if (!r.t)
        return NULL;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    r.t->source = rl_strdup(source, r.err);
    r.fill = r.t->pool = rl_alloc(len + 2, 1, r.err);
    if (!r.t->source || !r.t->pool || take_lines(&r, text, len) < 0) {
        rl_table_free(r.t);
        return NULL;
    }
    return r.t;
}

struct rl_table *rl_table_read(const char *path, struct rl_error *err)
{
    size_t len;
    char *text = rl_read_file(path, MOST_BYTES, &len, err);
    struct rl_table *t = text ? rl_table_parse(path, text, len, err) : NULL;

    free(text);
    return t;
}

void rl_table_free(struct rl_table *t)
{
    if (!t)
        return;
    free(t->source);
    free(t->header);
    free(t->cell);
    free(t->line);
    free(t->pool);
    free(t);
}

int rl_table_col(const struct rl_table *t, const char *name)
{
    for (int i = 0; i < t->ncols; i++)
        if (strcmp(t->header[i], name) == 0)
            return i;
    return -1;
}

int rl_table_need(const struct rl_table *t, const char *name, int *col,
                  struct rl_error *err)
{
    *col = rl_table_col(t, name);
    if (*col < 0)
        return rl_fail(err, RL_EFORMAT, t->source, 1, "expected a column '%s'", name);
    return 0;
}

const char *rl_table_get(const struct rl_table *t, int row, int col)
{
    return t->cell[(size_t)row * (size_t)t->ncols + (size_t)col];
}

int rl_table_num(const struct rl_table *t, int row, int col, double fallback, double *out,
                 struct rl_error *err)
{
    const char *s = rl_table_get(t, row, col);

    *out = fallback;
    if (!*s || rl_parse_number(s, out) == 0)
        return 0;
    return rl_fail(err, RL_EVALUE, t->source, t->line[row],
                   "expected a number in column '%s', found '%.60s'", t->header[col], s);
}

void rl_csv_field(FILE *f, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")] && *s != ' ' && *s != '#') {
        fputs(s, f);
        return;
    }
    putc('"', f);
    for (; *s; s++) {
        if (*s == '"')
            putc('"', f);
        putc(*s == '\n' || *s == '\r' ? ' ' : *s, f); /* a row is one line */
    }
    putc('"', f);
}
