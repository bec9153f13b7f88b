/* A device entry as a list of rows: read, merged with an older one, written and
 * compared. */
#include "bench_entry.h"

#include "err.h"
#include "path.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>

struct bench_row *bench_entry_append(struct bench_entry *e, struct rl_error *err)
{
    struct bench_row *grown = rl_grow(e->row, &e->cap, e->n + 1, sizeof *grown, err);
    if (!grown)
        return NULL;
    e->row = grown;
    memset(&grown[e->n], 0, sizeof *grown);
    return &grown[e->n++];
}

const struct bench_row *bench_entry_find(const struct bench_entry *e, const char *key,
                                         const char *kind)
{
    for (size_t i = 0; i < e->n; i++)
        if (!strcmp(e->row[i].key, key) && (!kind || !strcmp(e->row[i].kind, kind)))
            return &e->row[i];
    return NULL;
}

void bench_entry_clear(struct bench_entry *e)
{
    free(e->row);
    *e = (struct bench_entry){0};
}

/* files */

static int read_row(const struct rl_table *t, int i, struct bench_row *r,
                    struct rl_error *err)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } cell[] = {
        {"key", r->key, sizeof r->key},    {"value", r->value, sizeof r->value},
        {"unit", r->unit, sizeof r->unit}, {"kind", r->kind, sizeof r->kind},
        {"lo", r->lo, sizeof r->lo},       {"hi", r->hi, sizeof r->hi},
        {"n", r->n, sizeof r->n},          {"source", r->source, sizeof r->source}};

    for (size_t k = 0; k < sizeof cell / sizeof *cell; k++) {
        int col;
        if (rl_table_need(t, cell[k].name, &col, err))
            return -1;
        snprintf(cell[k].to, cell[k].size, "%s", rl_table_get(t, i, col));
    }
    return 0;
}

int bench_entry_load(struct bench_entry *e, const char *path, struct rl_error *err)
{
    struct rl_table *t = rl_table_read(path, err);
    int rc = t ? 0 : -1;

    for (int i = 0; !rc && i < t->nrows; i++) {
        struct bench_row *r = bench_entry_append(e, err);
        rc = r ? read_row(t, i, r, err) : -1;
    }
    rl_table_free(t);
    return rc;
}

static bool is(const struct bench_row *r, const char *kind)
{
    return !strcmp(r->kind, kind);
}

/* What a driver says of a part never replaces its sheet. */
static void keep_sheet(struct bench_entry *e, const struct bench_entry *old)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct bench_row *o = NULL;
        if (is(&e->row[i], "datasheet") || is(&e->row[i], "text"))
            o = bench_entry_find(old, e->row[i].key, e->row[i].kind);
        if (o)
            e->row[i] = *o;
    }
}

int bench_entry_merge(struct bench_entry *e, const struct bench_entry *old,
                      struct rl_error *err)
{
    size_t own = e->n;
    keep_sheet(e, old);
    for (size_t i = 0; i < old->n; i++) {
        struct bench_entry mine = {.row = e->row, .n = own};
        const struct bench_row *r = &old->row[i];
        if (bench_entry_find(&mine, r->key, r->kind))
            continue;
        /* one row says a fact: a prior gives way to what is known now */
        if (!is(r, "burst") && !is(r, "sustained") && !is(r, "datasheet") &&
            bench_entry_find(&mine, r->key, NULL))
            continue;
        struct bench_row *to = bench_entry_append(e, err);
        if (!to)
            return -1;
        *to = old->row[i];
    }
    return 0;
}

int bench_entry_save(const struct bench_entry *e, const char *path, struct rl_error *err)
{
    struct rl_out_file o;
    if (rl_out_open(&o, path, err))
        return -1;
    fprintf(o.f, "key,value,unit,kind,lo,hi,n,source\n");
    for (size_t i = 0; i < e->n; i++) {
        const struct bench_row *r = &e->row[i];
        const char *cell[] = {r->key, r->value, r->unit, r->kind,
                              r->lo,  r->hi,    r->n,    r->source};
        for (size_t k = 0; k < sizeof cell / sizeof *cell; k++) {
            rl_csv_field(o.f, cell[k]);
            fputc(k + 1 < sizeof cell / sizeof *cell ? ',' : '\n', o.f);
        }
    }
    return rl_out_commit(&o, err);
}

/* comparison */

static int interval(const struct bench_row *r, double *lo, double *hi, double *n)
{
    *n = 0;
    rl_parse_number(r->n, n);
    return !rl_parse_number(r->lo, lo) && !rl_parse_number(r->hi, hi);
}

static const char *verdict(const struct bench_row *now, const struct bench_row *old)
{
    double nlo, nhi, nn, olo, ohi, on;
    if (!interval(now, &nlo, &nhi, &nn) || !interval(old, &olo, &ohi, &on) || nn < 3 ||
        on < 3)
        return "UNSURE";
    if (nlo <= ohi && olo <= nhi)
        return "SAME";
    if (now->disturbed)
        return "UNSURE";
    bool higher = nlo > ohi, cost = !strcmp(now->unit, "us") || !strcmp(now->unit, "W");
    return higher == cost ? "SLOWER" : "FASTER";
}

void bench_compare(FILE *f, const struct bench_entry *now, const struct bench_entry *old)
{
    fprintf(f, "%-16s %-10s %12s %12s  %s\n", "key", "kind", "before", "now", "");
    for (size_t i = 0; i < now->n; i++) {
        const struct bench_row *r = &now->row[i],
                               *o = bench_entry_find(old, r->key, r->kind);
        if (!r->lo[0])
            continue;
        if (!o)
            fprintf(f, "%-16s %-10s %12s %12s  NEW %s\n", r->key, r->kind, "-", r->value,
                    r->unit);
        else
            fprintf(f, "%-16s %-10s %12s %12s  %s %s\n", r->key, r->kind, o->value,
                    r->value, verdict(r, o), r->unit);
    }
}
