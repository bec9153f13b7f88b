/* The interval of an entry: the 5 and 95 % quantiles of the log error on rows left
 * out of its fit, as wide as the next shape needs.
 *
 *   error of a call of t seconds  ~  (t / t0)^power · z,  z of one distribution
 *
 * Short calls scatter more than long ones (latencies and a library's choices of tiles
 * against peaks and bandwidths), so that one width for all is too wide for most rows.
 * `power` is the slope of log |error| over log t, held at 0 by its prior; beyond the
 * times of nine rows in ten the ends' spread stays.  Quantiles are those of z.
 * Ignores: that the shape itself may say more of the error than the time does.
 */
#include "interval.h"

#include "validate.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

enum { FEW_SHAPES = 6, FEW_ROWS = 19 }; /* of 19 rows one is beyond 5 % */
/* Where errors of one shape alone are known: what they are widened by for another. */
static const double ONE_SHAPE = 1.5;
/* The most for many shapes, whose quantiles hold the odd one already. */
static const double MANY_SHAPES = 1.5;
static const double LEAST = 0.005; /* log error that is never excluded */
static const double NEAR = 0.02;   /* errors far below this are as good as this one */
/* Of the power: about its size, −0.10 ± 0.10 in 57 kernels of experts; and at most. */
static const double POWER_SD = 0.12, POWER_MAX = 0.5;
/* Variance of log |x| of a normal x: what one error says of its spread. */
static const double LOG_NORMAL = 1.2337; /* π²/8 */

bool rl_residual_is_few(size_t shapes, size_t rows, bool by_row)
{
    return by_row ? rows < FEW_ROWS : shapes < FEW_SHAPES;
}

static int ascending(const void *va, const void *vb)
{
    double a = *(const double *)va, b = *(const double *)vb;
    return (a > b) - (a < b);
}

/* Sorts v and gives its quantile. */
static double quantile(double *v, size_t n, double q)
{
    qsort(v, n, sizeof *v, ascending);
    return rl_quantile(v, n, q);
}

struct work {
    const struct rl_left_out *e;
    int without;
    double *z, *sorted, *need; /* [n] each */
};

/* The rows that count, of `what`, into w->sorted. */
static size_t gather(struct work *w, const double *what)
{
    size_t n = 0;
    for (size_t i = 0; i < w->e->n; i++)
        if (w->e->fold[i] != w->without)
            w->sorted[n++] = what[i];
    return n;
}

/* Slope of log |error| over log t, held by its prior. */
static double slope(struct work *w)
{
    double *x = w->sorted, *y = w->need;
    size_t n = 0;
    for (size_t i = 0; i < w->e->n; i++) {
        if (w->e->fold[i] == w->without)
            continue;
        x[n] = log(w->e->seconds[i]);
        y[n++] = log(fabs(w->e->error[i]) + NEAR);
    }
    double xx = gsl_stats_tss(x, 1, n);
    double xy = (double)(n - 1) * gsl_stats_covariance(x, 1, y, 1, n);
    double v = xy / (xx + LOG_NORMAL / (POWER_SD * POWER_SD));
    return fmax(-POWER_MAX, fmin(v, POWER_MAX));
}

static void fit_spread(struct work *w, struct rl_spread *out)
{
    *out = (struct rl_spread){0};
    if (!w->e->few && !w->e->by_row) {
        out->power = slope(w);
        size_t n = gather(w, w->e->seconds);
        out->from = quantile(w->sorted, n, 0.05);
        out->to = rl_quantile(w->sorted, n, 0.95);
    }
    for (size_t i = 0; i < w->e->n; i++)
        w->z[i] = w->e->error[i] / rl_spread_at(out, w->e->seconds[i]);
}

struct range {
    double lo, hi;
};

/* Quantiles of z but for the rows of one shape, pushed outward by what a sample of
 * this size misses of the tails.  Of a few shapes each errs to one side: the sign
 * seen so far says nothing of the next. */
static struct range quantiles(struct work *w, size_t first, size_t end)
{
    struct range q;
    size_t n = 0;
    for (size_t i = 0; i < w->e->n; i++)
        if (w->e->fold[i] != w->without && (i < first || i >= end))
            w->sorted[n++] = w->e->few ? fabs(w->z[i]) : w->z[i];
    if (w->e->few) {
        double tail = 0.9 * (double)(n + 2) / (double)(n + 1);
        q.hi = fmax(quantile(w->sorted, n, fmin(tail, 1)), LEAST);
        q.lo = -q.hi;
        return q;
    }
    /* the rank that leaves 5 % of a further row outside: split conformal */
    double tail = n > 1 ? fmax(0.05 * (double)(n + 1) - 1, 0) / (double)(n - 1) : 0;
    q.lo = fmin(quantile(w->sorted, n, tail), -LEAST);
    q.hi = fmax(rl_quantile(w->sorted, n, 1 - tail), LEAST);
    return q;
}

/* How much wider the quantiles of some shapes must be to hold 90 % of the rows of
 * another: each shape is left out of the quantiles in turn.  Rows of one shape err
 * alike, so that quantiles over rows alone are too narrow for the next shape. */
static double stretch(struct work *w)
{
    const struct rl_left_out *e = w->e;
    size_t n = 0, shapes = 0;
    for (size_t i = 0, end; i < e->n; i = end) {
        for (end = i + 1; end < e->n && rl_same_shape(&e->row[i], &e->row[end]);)
            end++;
        if (e->fold[i] == w->without)
            continue;
        struct range q = quantiles(w, i, end);
        shapes++;
        for (size_t k = i; k < end; k++)
            w->need[n++] = w->z[k] / (w->z[k] > 0 ? q.hi : q.lo);
    }
    if (shapes < 2)
        return ONE_SHAPE;
    double wide = fmax(1, quantile(w->need, n, 0.9));
    return e->few ? wide : fmin(wide, MANY_SHAPES);
}

void rl_residual_of(const struct rl_left_out *e, int without, struct rl_residual *out)
{
    struct work w = {e, without, e->scratch, e->scratch + e->n, e->scratch + 2 * e->n};
    size_t n = gather(&w, e->error);
    out->bias = quantile(w.sorted, n, 0.5);
    fit_spread(&w, &out->spread);
    double wide = e->by_row ? 1 : stretch(&w);
    struct range q = quantiles(&w, 0, 0);
    /* few shapes leave no more open than the operator's prior alone does */
    double most = e->few ? RL_Z90 * e->row->op->log_sd : INFINITY;
    out->lo = fmin(q.lo, fmax(q.lo * wide, -most));
    out->hi = fmax(q.hi, fmin(q.hi * wide, most));
}
