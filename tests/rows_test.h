/* For tests that hold measured rows to the errors of the shipped entries. */
#ifndef RL_ROWS_TEST_H
#define RL_ROWS_TEST_H

#include "test.h"

#include "device.h"
#include "kernel.h"
#include "time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct measured_row {
    const char *device, *runtime, *op, *impl, *params;
    double us;
};

struct rows_result {
    double median, p90, inside; /* |predicted / measured - 1|; share in the interval */
    double off;                 /* of the worst kernel its best row */
    const char *kernel;         /* which: the rows of one stand together */
};

/* |predicted / measured - 1|; the row must have an entry of its own. */
static inline double row_error(const struct rl_kernel_db *db,
                               const struct measured_row *row, int *inside)
{
    struct rl_error err = {0};
    struct rl_device *d = rl_device_load(source_dir(), row->device, &err);
    const struct rl_op_type *op = rl_op_find(row->op);
    double p[RL_MAXPARAMS];
    struct rl_machine m;
    struct rl_choice ch;
    enum rl_dtype dt, kv;

    cr_assert(d && op, "%s", err.text);
    cr_assert_eq(rl_op_parse(op, row->params, p, &err), 0, "%s", err.text);
    rl_op_dtypes(op, p, &dt, &kv);
    rl_machine_init(&m, d, 1);
    struct rl_ask ask = {db, d, row->runtime, row->impl, op, dt, kv, false};
    rl_choose_by(&ask, &ch);
    cr_expect_eq(ch.trust, RL_TRUST_ENTRY, "no entry: %s %s %s", row->device,
                 row->runtime, row->op);
    double t = rl_op_seconds(op, p, &m, &ch, NULL) * 1e6;
    *inside += row->us >= t * exp(ch.log_lo) && row->us <= t * exp(ch.log_hi);
    rl_device_free(d);
    return fabs(t / row->us - 1);
}

static inline int rows_ascending(const void *va, const void *vb)
{
    double a = *(const double *)va, b = *(const double *)vb;
    return (a > b) - (a < b);
}

static inline int rows_alike(const struct measured_row *a, const struct measured_row *b)
{
    return !strcmp(a->device, b->device) && !strcmp(a->runtime, b->runtime) &&
           !strcmp(a->op, b->op) && !strcmp(a->impl, b->impl);
}

/* The kernel whose rows are all off: one outlier does not make one. */
static inline void rows_worst(const struct measured_row *row, const double *e, size_t n,
                              struct rows_result *r)
{
    for (size_t i = 0, k; i < n; i = k) {
        double best = e[i];
        for (k = i + 1; k < n && rows_alike(&row[i], &row[k]); k++)
            best = fmin(best, e[k]);
        if (best > r->off) {
            r->off = best;
            r->kernel = row[i].impl;
        }
    }
}

static inline struct rows_result rows_judge(const struct measured_row *row, size_t n)
{
    struct rl_error err = {0};
    struct rl_kernel_db *db = rl_kernel_db_load(source_dir(), &err);
    double *e = calloc(n, sizeof *e);
    struct rows_result r = {.kernel = ""};
    int inside = 0;

    cr_assert(db && e, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        e[i] = row_error(db, &row[i], &inside);
    rows_worst(row, e, n, &r);
    qsort(e, n, sizeof *e, rows_ascending);
    r.median = e[n / 2];
    r.p90 = e[n * 9 / 10];
    r.inside = (double)inside / (double)n;
    free(e);
    rl_kernel_db_free(db);
    return r;
}

#endif
