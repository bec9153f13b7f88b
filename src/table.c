/* CSV files with a header row, read whole.  All cells lie in one pool, as long as
 * the file: see rows.c. */
#include "table.h"

#include "err.h"
#include "path.h"
#include "rows.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>

struct room { /* of the growing arrays */
    size_t cells, rows;
};

static int take_header(struct rl_table *t, const struct rl_rows *r)
{
    size_t n = (size_t)r->nfields;

    t->header = rl_alloc(n, sizeof *t->header, r->err);
    if (!t->header)
        return -1;
    memcpy(t->header, r->field, n * sizeof *t->header);
    t->ncols = r->nfields;
    return 0;
}

static int take_row(struct rl_table *t, const struct rl_rows *r, struct room *room)
{
    size_t ncols = (size_t)t->ncols, n = (size_t)t->nrows;
    void *p;

    p = rl_grow(t->cell, &room->cells, (n + 1) * ncols, sizeof *t->cell, r->err);
    if (!p)
        return -1;
    t->cell = p;
    p = rl_grow(t->line, &room->rows, n + 1, sizeof *t->line, r->err);
    if (!p)
        return -1;
    t->line = p;
    memcpy(t->cell + n * ncols, r->field, ncols * sizeof *t->cell);
    t->line[t->nrows++] = r->line;
    return 0;
}

static int take_rows(struct rl_table *t, struct rl_rows *r)
{
    struct room room = {0};
    int rc = rl_rows_header(r, NULL, 0, NULL, t->pool), more = 0;

    if (!rc)
        rc = take_header(t, r);
    while (!rc && (more = rl_rows_next(r)) > 0)
        rc = rl_rows_cut(r, r->fill) || take_row(t, r, &room);
    return rc || more;
}

struct rl_table *rl_table_parse(const char *source, const char *text, size_t len,
                                struct rl_error *err)
{
    struct rl_rows r;
    size_t room = 0;
    struct rl_table *t = rl_alloc(1, sizeof *t, err);
    int rc = -1;

    if (!t || rl_rows_init(&r, source, text, len, err) < 0) {
        free(t);
        return NULL;
    }
    t->source = rl_strdup(source, err);
    t->pool = rl_grow(NULL, &room, len + 1, 1, err);
    if (t->source && t->pool)
        rc = take_rows(t, &r);
    rl_rows_clear(&r);
    if (!rc)
        return t;
    rl_table_free(t);
    return NULL;
}

struct rl_table *rl_table_read(const char *path, struct rl_error *err)
{
    size_t len;
    char *text = rl_read_file(path, RL_MOST_BYTES, &len, err);
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
