/* hwdb/kernels/<device>.csv as calibrate writes it: rows sorted by operator and
 * key, coefficients in the operator's order, then what is left over. */
#include "kernel_out.h"

#include "err.h"
#include "path.h"
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    F_RUNTIME,
    F_OP,
    F_IMPL,
    F_DTYPE,
    F_KV,
    F_COEF,
    F_VALUE,
    F_UNIT,
    F_N,
    F_SOURCE,
    NF
};
static const char *const field[NF] = {"runtime", "op",    "impl", "dtype", "kv_dtype",
                                      "coef",    "value", "unit", "n",     "source"};
enum { NKEY = F_COEF };

struct line {
    char *f[NF];
    int order; /* within its entry */
};

struct lines {
    struct line *at;
    size_t n, cap;
};

static void lines_clear(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        for (int c = 0; c < NF; c++)
            free(l->at[i].f[c]);
    free(l->at);
}

static int add(struct lines *l, const char *const f[NF], int order, struct rl_error *err)
{
    struct line *grown = rl_grow(l->at, &l->cap, l->n + 1, sizeof *grown, err);
    if (!grown)
        return -1;
    l->at = grown;
    struct line *line = &l->at[l->n++];
    memset(line, 0, sizeof *line);
    line->order = order;
    for (int c = 0; c < NF; c++)
        if (!(line->f[c] = rl_strdup(f[c], err)))
            return -1;
    return 0;
}

static void key_of(const struct rl_sample *k, const char *f[NF])
{
    f[F_RUNTIME] = k->runtime;
    f[F_OP] = k->op->name;
    f[F_IMPL] = k->impl;
    f[F_DTYPE] = rl_dtype(k->dtype)->name;
    f[F_KV] = k->kv_dtype == RL_DT_NONE ? "" : rl_dtype(k->kv_dtype)->name;
}

static bool rewritten(const struct line *old, const char *device,
                      const struct rl_calibration *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *f[NF];
        if (c[i].refused || strcmp(c[i].key->device, device))
            continue;
        key_of(c[i].key, f);
        int same = 1;
        for (int j = 0; j < NKEY; j++)
            same = same && !strcmp(f[j], old->f[j]);
        if (same)
            return true;
    }
    return false;
}

/* The rows that stay. */
static int keep_old(struct lines *l, const char *path, const char *device,
                    const struct rl_calibration *c, size_t n, struct rl_error *err)
{
    int col[NF], rc = 0;
    if (access(path, F_OK))
        return 0;
    struct rl_table *t = rl_table_read(path, err);
    if (!t)
        return -1;
    for (int i = 0; !rc && i < NF; i++)
        rc = rl_table_need(t, field[i], &col[i], err);
    for (int row = 0; !rc && row < t->nrows; row++) {
        const char *f[NF];
        for (int i = 0; i < NF; i++)
            f[i] = rl_table_get(t, row, col[i]);
        rc = add(l, f, row, err);
        if (!rc && rewritten(&l->at[l->n - 1], device, c, n)) {
            for (int i = 0; i < NF; i++)
                free(l->at[l->n - 1].f[i]);
            l->n--;
        }
    }
    rl_table_free(t);
    return rc;
}

static int add_value(struct lines *l, const struct rl_calibration *c, const char *coef,
                     const char *unit, double v, int order, const char *source,
                     struct rl_error *err)
{
    char value[32], n[24];
    const char *f[NF];
    snprintf(value, sizeof value, "%.5g", v);
    snprintf(n, sizeof n, "%zu", c->n);
    key_of(c->key, f);
    f[F_COEF] = coef;
    f[F_VALUE] = value;
    f[F_UNIT] = unit;
    f[F_N] = n;
    f[F_SOURCE] = source;
    return add(l, f, order, err);
}

/* What the errors on rows left out say; `spread` where they go with the time. */
static int add_figures(struct lines *l, const struct rl_calibration *c, int order,
                       const char *source, struct rl_error *err)
{
    const struct rl_residual *q = &c->residual;
    const struct {
        const char *name, *unit;
        double v;
    } figure[] = {{"bias", "1", q->bias},
                  {"lo", "1", q->lo},
                  {"hi", "1", q->hi},
                  {"lgo", "1", c->held.median_ape},
                  {"spread", "1", q->spread.power},
                  {"from", "us", 1e6 * q->spread.from},
                  {"to", "us", 1e6 * q->spread.to}};
    int n = q->spread.power != 0 ? 7 : 4;

    for (int i = 0; i < n; i++)
        if (add_value(l, c, figure[i].name, figure[i].unit, figure[i].v, order + i,
                      source, err))
            return -1;
    return 0;
}

static int add_entry(struct lines *l, const struct rl_calibration *c, const char *source,
                     struct rl_error *err)
{
    const struct rl_coef *coef = c->key->op->coef;
    int i = 0;
    for (; coef[i].name; i++) {
        bool moved = coef[i].kind == RL_C_CHOICE || rl_calibration_identified(c, i);
        if (c->fit.idle[i])
            continue;
        if (add_value(l, c, coef[i].name, coef[i].unit, c->fit.coef[i], i,
                      moved ? source : "prior: the rows do not determine it", err))
            return -1;
    }
    return add_figures(l, c, i, source, err);
}

static int by_key(const void *va, const void *vb)
{
    static const int order[NKEY] = {F_OP, F_RUNTIME, F_IMPL, F_DTYPE, F_KV};
    const struct line *a = va, *b = vb;
    for (int i = 0; i < NKEY; i++) {
        int c = strcmp(a->f[order[i]], b->f[order[i]]);
        if (c)
            return c;
    }
    return (a->order > b->order) - (a->order < b->order);
}

static int write_lines(struct lines *l, const char *path, struct rl_error *err)
{
    struct rl_out_file o;
    if (rl_out_open(&o, path, err))
        return -1;
    for (int c = 0; c < NF; c++)
        fprintf(o.f, "%s%c", field[c], c + 1 < NF ? ',' : '\n');
    for (size_t i = 0; i < l->n; i++) {
        for (int c = 0; c < NF; c++) {
            rl_csv_field(o.f, l->at[i].f[c]);
            fputc(c + 1 < NF ? ',' : '\n', o.f);
        }
    }
    return rl_out_commit(&o, err);
}

int rl_kernel_write(const char *dir, const char *device, const struct rl_calibration *c,
                    size_t n, const char *source, struct rl_error *err)
{
    struct lines l = {0};
    char *name = rl_alloc(strlen(device) + sizeof ".csv", 1, err);
    char *path = NULL;
    int rc = -1;
    if (name) {
        sprintf(name, "%s.csv", device);
        path = rl_path_join(dir, name, NULL);
    }
    if (path)
        rc = keep_old(&l, path, device, c, n, err);
    for (size_t i = 0; !rc && i < n; i++)
        if (!c[i].refused && !strcmp(c[i].key->device, device))
            rc = add_entry(&l, &c[i], source, err);
    if (!rc) {
        qsort(l.at, l.n, sizeof *l.at, by_key);
        rc = write_lines(&l, path, err);
    }
    lines_clear(&l);
    free(name);
    free(path);
    return rc;
}
