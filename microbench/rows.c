/* The rows that a measuring program keeps, as CSV: '#' lines with the record
 * of the machine, a header, one row per (item, dtype, size, mode, threads).
 * The file is written whole beside its place and renamed, after every case, so
 * that ^C, a crash or a full disk lose at most the case under way. */
#include "harness.h"

#include "err.h"
#include "path.h"
#include "table.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char mb_row_header[] =
    "item,dtype,size,mode,threads,op,impl,runtime,n,median_s,lo_s,hi_s,best_s,bytes,flop,"
    "events,rate,unit,limit,foreign_cpu,clock_hz,power_w,note";

static char **text_field(struct mb_row *r, int i)
{
    char **f[] = {&r->item, &r->dtype,   &r->size, &r->mode, &r->op,
                  &r->impl, &r->runtime, &r->unit, &r->note};
    return i < (int)(sizeof f / sizeof *f) ? f[i] : NULL;
}

static void row_clear(struct mb_row *r)
{
    for (int i = 0; text_field(r, i); i++)
        free(*text_field(r, i));
}

void mb_rows_clear(struct mb_rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        row_clear(&r->row[i]);
    for (size_t i = 0; i < r->ncontext; i++)
        free(r->context[i]);
    free(r->row);
    free(r->context);
    *r = (struct mb_rows){0};
}

int mb_rows_add(struct mb_rows *r, const struct mb_row *row, struct rl_error *err)
{
    struct mb_row *grown = rl_grow(r->row, &r->cap, r->n + 1, sizeof *r->row, err);
    if (!grown)
        return -1;
    r->row = grown;
    struct mb_row *to = &r->row[r->n];
    *to = *row;
    for (int i = 0; text_field(to, i); i++)
        if (!(*text_field(to, i) =
                  rl_strdup(*text_field(to, i) ? *text_field(to, i) : "", err))) {
            while (i-- > 0)
                free(*text_field(to, i));
            return -1;
        }
    r->n++;
    return 0;
}

int mb_context_add(struct mb_rows *r, struct rl_error *err, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (char *p = line; *p; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    char **grown =
        rl_grow(r->context, &r->context_cap, r->ncontext + 1, sizeof *r->context, err);
    if (!grown)
        return -1;
    r->context = grown;
    if (!(r->context[r->ncontext] = rl_strdup(line, err)))
        return -1;
    r->ncontext++;
    return 0;
}

const struct mb_row *mb_rows_find(const struct mb_rows *r, const struct mb_case *c)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct mb_row *w = &r->row[i];
        if (w->threads == c->threads && !strcmp(w->item, c->item) &&
            !strcmp(w->dtype, c->dtype) && !strcmp(w->size, c->size) &&
            !strcmp(w->mode, c->mode) && !strcmp(w->impl, c->impl ? c->impl : ""))
            return w;
    }
    return NULL;
}

/* reading */

static int number(const struct rl_table *t, int row, const char *name, double *out,
                  struct rl_error *err)
{
    int col;
    if (rl_table_need(t, name, &col, err))
        return -1;
    return rl_table_num(t, row, col, 0, out, err);
}

static int read_row(const struct rl_table *t, int i, struct mb_row *r,
                    struct rl_error *err)
{
    static const char *const text[] = {"item", "dtype",   "size", "mode", "op",
                                       "impl", "runtime", "unit", "note"};
    for (int k = 0; k < (int)(sizeof text / sizeof *text); k++) {
        int col;
        if (rl_table_need(t, text[k], &col, err))
            return -1;
        const char *cell = rl_table_get(t, i, col);
        memcpy(text_field(r, k), &cell, sizeof cell); /* borrowed until added */
    }
    struct {
        const char *name;
        double *out;
    } num[] = {{"median_s", &r->median_s},
               {"lo_s", &r->lo_s},
               {"hi_s", &r->hi_s},
               {"best_s", &r->best_s},
               {"bytes", &r->bytes},
               {"flop", &r->flop},
               {"events", &r->events},
               {"rate", &r->rate},
               {"limit", &r->limit},
               {"clock_hz", &r->clock_hz},
               {"foreign_cpu", &r->foreign_cpu},
               {"power_w", &r->power_w}};
    for (size_t k = 0; k < sizeof num / sizeof *num; k++)
        if (number(t, i, num[k].name, num[k].out, err))
            return -1;
    double threads, n;
    if (number(t, i, "threads", &threads, err) || number(t, i, "n", &n, err))
        return -1;
    r->threads = (int)threads;
    r->n = (int)n;
    if (!(r->median_s > 0) || r->n < 1)
        return rl_fail(err, RL_EVALUE, t->source, t->line[i],
                       "expected a measured row: n and median_s above 0");
    return 0;
}

/* '#' lines are comments to the table reader: the record is read here. */
static int load_context(struct mb_rows *r, const char *path, struct rl_error *err)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return rl_fail(err, RL_EIO, path, 0, "cannot open: %s", strerror(errno));
    char line[600];
    int rc = 0;
    while (!rc && fgets(line, sizeof line, f) && line[0] == '#') {
        line[strcspn(line, "\n")] = 0;
        rc = mb_context_add(r, err, "%s", line + 1 + (line[1] == ' '));
    }
    fclose(f);
    return rc;
}

int mb_rows_load(struct mb_rows *r, const char *path, struct rl_error *err)
{
    struct rl_table *t = rl_table_read(path, err);
    if (!t)
        return -1;
    int rc = load_context(r, path, err);
    for (int i = 0; i < t->nrows && !rc; i++) {
        struct mb_row row = {0};
        rc = read_row(t, i, &row, err) || mb_rows_add(r, &row, err) ? -1 : 0;
    }
    rl_table_free(t);
    return rc;
}

/* writing */

static void write_row(FILE *f, const struct mb_row *r)
{
    const char *head[] = {r->item, r->dtype, r->size, r->mode};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
        rl_csv_field(f, head[i]);
        fputc(',', f);
    }
    fprintf(f, "%d", r->threads);
    const char *ops[] = {r->op, r->impl, r->runtime};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        fputc(',', f);
        rl_csv_field(f, ops[i]);
    }
    fprintf(f, ",%d,%.6g,%.6g,%.6g,%.6g,%.9g,%.9g,%.9g,%.6g,", r->n, r->median_s, r->lo_s,
            r->hi_s, r->best_s, r->bytes, r->flop, r->events, r->rate);
    rl_csv_field(f, r->unit);
    fprintf(f, ",%.6g,%.3g,%.5g,%.4g,", r->limit, r->foreign_cpu, r->clock_hz,
            r->power_w);
    rl_csv_field(f, r->note);
    fputc('\n', f);
}

int mb_rows_save(const struct mb_rows *r, const char *path, struct rl_error *err)
{
    struct rl_out_file o = {0};
    bool to_stdout = !strcmp(path, "-");
    if (!to_stdout && rl_out_open(&o, path, err))
        return -1;
    FILE *f = to_stdout ? stdout : o.f;
    for (size_t i = 0; i < r->ncontext; i++)
        fprintf(f, "# %s\n", r->context[i]);
    fprintf(f, "%s\n", mb_row_header);
    for (size_t i = 0; i < r->n; i++)
        write_row(f, &r->row[i]);
    if (!to_stdout)
        return rl_out_commit(&o, err);
    if (fflush(stdout) || ferror(stdout))
        return rl_fail(err, RL_EIO, "standard output", 0, "cannot write: %s",
                       strerror(errno));
    return 0;
}
