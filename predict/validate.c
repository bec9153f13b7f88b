/* Error statistics over outcomes.  Medians and quantiles, because a single
 * library that switches kernels would otherwise speak for all rows. */
#include "validate.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *va, const void *vb)
{
    double a = *(const double *)va, b = *(const double *)vb;
    return (a > b) - (a < b);
}

double rl_quantile(const double *sorted, size_t n, double q)
{
    if (n == 0)
        return NAN;
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

/* Relative errors, absolute errors and widths of the rows that count. */
static void collect(const struct rl_outcome *all, const size_t *index, size_t n,
                    double *error, double *ape, double *width, struct rl_score *out)
{
    size_t k = 0, inside = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const struct rl_outcome *o = &all[index ? index[i] : i];
        if (o->skipped)
            continue;
        error[k] = (o->predicted - o->measured) / o->measured;
        ape[k] = fabs(error[k]);
        width[k] = o->hi / o->lo;
        sum += ape[k];
        inside += o->measured >= o->lo && o->measured <= o->hi;
        k++;
    }
    out->n = k;
    out->mean_ape = sum / (double)k; /* 0/0: NaN */
    out->coverage90 = (double)inside / (double)k;
}

int rl_score(const struct rl_outcome *all, const size_t *index, size_t n,
             struct rl_score *out, struct rl_error *err)
{
    double *error = rl_alloc(3 * n + 1, sizeof *error, err);
    if (!error)
        return -1;
    double *ape = error + n, *width = ape + n;
    collect(all, index, n, error, ape, width, out);
    qsort(error, out->n, sizeof *error, ascending);
    qsort(ape, out->n, sizeof *ape, ascending);
    qsort(width, out->n, sizeof *width, ascending);
    out->median_ape = rl_quantile(ape, out->n, 0.5);
    out->p90_ape = rl_quantile(ape, out->n, 0.9);
    out->bias = rl_quantile(error, out->n, 0.5);
    out->median_width = rl_quantile(width, out->n, 0.5);
    free(error);
    return 0;
}

int rl_tally_add(struct rl_tally *t, const char *reason, struct rl_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!strcmp(t->reason[i], reason)) {
            t->count[i]++;
            return 0;
        }
    }
    char **r = rl_grow(t->reason, &t->reasons_cap, t->n + 1, sizeof *r, err);
    if (!r)
        return -1;
    t->reason = r;
    size_t *c = rl_grow(t->count, &t->counts_cap, t->n + 1, sizeof *c, err);
    if (!c)
        return -1;
    t->count = c;
    if (!(r[t->n] = rl_strdup(reason, err)))
        return -1;
    c[t->n++] = 1;
    return 0;
}

void rl_tally_clear(struct rl_tally *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->reason[i]);
    free(t->reason);
    free(t->count);
    memset(t, 0, sizeof *t);
}
