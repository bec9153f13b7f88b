/* Few samples on a new device: an optimal design, and a fit from several entries.
 *
 * Which rows: around the nearest entry, a row is a direction in the space of the
 * coefficients, J_i = ∂ log t_i / ∂ (u / prior sd), and what the model misses there
 * whatever its coefficients, alike for shapes close to each other:
 *   covariance of two rows = J_i·J_k + MISFIT² exp(-d² / 2 ALIKE²) + NOISE² of itself
 *   d = distance of their log sizes
 *
 * The next sample is the row that takes most from the variance summed over all rows
 * (Bayesian I-optimal design, greedy): it comes out where latencies, bandwidths and
 * peaks are each seen alone, and not in corners where only the model's miss is seen.
 * The fit: from each of the nearest entries in turn (2 N - 1, at most 12, for N
 * samples), each with its own variants;
 * the one that the samples move least from its centre wins (least cost, prior
 * included), the nearest where two are alike.
 * The samples' residuals: predictions take their share of what the fit misses near by
 * (simple kriging).  The fit has bent to what samples far apart have in common, so that
 * what it leaves is alike within NEAR, less than ALIKE.
 * Ignores: how long a sample takes; that a variant may be unlike all entries.
 */
#include "few.h"

#include "err.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CANDIDATES = 12, SCORED = 200, TELLING = 3 };
/* Log errors, as left-out rows of GEMM have them (docs/calibration.md): of the model, and
 * of a row alone; e-folds of a size within which the model's are alike before a fit, and
 * after it. */
static const double MISFIT = 0.1, NOISE = 0.07, ALIKE = 2, NEAR = 1;
static const double STEP = 0.25;  /* of the prior sd, each way: over kinks */
static const double BETTER = 0.8; /* a farther entry must cost so much less */

struct design {
    const struct rl_sample *row;
    const struct rl_machine *m;
    size_t n, width, step, scored; /* rows; free coefficients; of every step-th row */
    double *j;                     /* [n][width] */
    double *size;                  /* [n][RL_MAXPARAMS] of log sizes */
    double *cov, *var;             /* [n][scored], [n]: open after what was taken */
    double *taken;                 /* [few][n] */
};

static double log_time(const struct design *d, size_t i, const double *coef)
{
    double t = d->row[i].op->time(d->row[i].p, d->m, coef, NULL);
    return t > 0 && isfinite(t) ? log(t) : 0;
}

static double moved(const struct rl_coef *c, double v, double by)
{
    v = rl_coef_is_log(c) ? v * exp(by) : v + by;
    return fmin(fmax(v, c->min), c->max);
}

/* ∂ log t / ∂ (u / sd) of every row, one column for each free coefficient. */
static void derive(struct design *d, const struct rl_fit_prior *prior)
{
    const struct rl_coef *coef = d->row->op->coef;
    double c[RL_MAXCOEFS];
    size_t k = 0;
    for (int i = 0; coef[i].name; i++) {
        if (coef[i].kind == RL_C_CHOICE || prior->sd[i] <= 0)
            continue;
        memcpy(c, prior->center, sizeof c);
        double high = moved(&coef[i], c[i], STEP * prior->sd[i]);
        double low = moved(&coef[i], c[i], -STEP * prior->sd[i]);
        for (size_t r = 0; r < d->n; r++) {
            c[i] = high;
            double up = log_time(d, r, c);
            c[i] = low;
            d->j[r * d->width + k] = (up - log_time(d, r, c)) / (2 * STEP);
        }
        k++;
    }
    d->width = k;
}

/* Log sizes of a call. */
static void sizes(const struct rl_op_type *op, const double *p, double *x)
{
    for (int k = 0; op->param[k].name; k++)
        if (op->param[k].kind == RL_P_NUM)
            x[k] = log(p[k] + 1);
}

/* Covariance of what the model misses of two calls, alike within so many e-folds. */
static double misfit(const double *x, const double *y, double within)
{
    double far = 0;
    for (int k = 0; k < RL_MAXPARAMS; k++)
        far += (x[k] - y[k]) * (x[k] - y[k]);
    return MISFIT * MISFIT * exp(-far / (2 * within * within));
}

/* Before anything is measured. */
static double covariance(const struct design *d, size_t a, size_t b)
{
    double both = misfit(d->size + a * RL_MAXPARAMS, d->size + b * RL_MAXPARAMS, ALIKE);
    for (size_t k = 0; k < d->width; k++)
        both += d->j[a * d->width + k] * d->j[b * d->width + k];
    return both;
}

static void open_all(struct design *d)
{
    for (size_t i = 0; i < d->n; i++) {
        for (size_t s = 0; s < d->scored; s++)
            d->cov[i * d->scored + s] = covariance(d, i, s * d->step);
        d->var[i] = covariance(d, i, i);
    }
}

/* Variance that measuring row i takes from the rows together. */
static double gain(const struct design *d, size_t i)
{
    double sum = 0;
    for (size_t s = 0; s < d->scored; s++)
        sum += d->cov[i * d->scored + s] * d->cov[i * d->scored + s];
    return sum / (d->var[i] + NOISE * NOISE);
}

/* Row i measured as the k-th: v = its covariance with each row over its own spread. */
static void take(struct design *d, size_t i, size_t k)
{
    double *v = d->taken + k * d->n, spread = sqrt(d->var[i] + NOISE * NOISE);
    for (size_t r = 0; r < d->n; r++) {
        double open = covariance(d, r, i);
        for (size_t before = 0; before < k; before++)
            open -= d->taken[before * d->n + r] * d->taken[before * d->n + i];
        v[r] = open / spread;
    }
    for (size_t r = 0; r < d->n; r++) {
        for (size_t s = 0; s < d->scored; s++)
            d->cov[r * d->scored + s] -= v[r] * v[s * d->step];
        d->var[r] = fmax(d->var[r] - v[r] * v[r], 0);
    }
}

static size_t free_coefs(const struct rl_op_type *op, const struct rl_fit_prior *prior)
{
    size_t n = 0;
    for (int i = 0; op->coef[i].name; i++)
        n += op->coef[i].kind != RL_C_CHOICE && prior->sd[i] > 0;
    return n;
}

static void pick(struct design *d, size_t few, int *picked)
{
    memset(picked, 0, d->n * sizeof *picked);
    for (size_t k = 0; k < few && k < d->n; k++) {
        size_t best = d->n;
        double most = -1;
        for (size_t i = 0; i < d->n; i++) {
            double g = picked[i] ? -1 : gain(d, i);
            if (g > most) {
                most = g;
                best = i;
            }
        }
        if (best == d->n)
            break;
        picked[best] = 1;
        take(d, best, k);
    }
}

int rl_few_pick(const struct rl_sample *row, size_t n, const struct rl_machine *m,
                const struct rl_fit_prior *prior, size_t few, int *picked,
                struct rl_error *err)
{
    struct design d = {.row = row, .m = m, .n = n, .width = free_coefs(row->op, prior)};
    d.step = n / SCORED + 1;
    d.scored = (n + d.step - 1) / d.step;
    double *room = rl_alloc(n * (d.width + RL_MAXPARAMS + d.scored + 1 + few) + 1,
                            sizeof *room, err);
    if (!room)
        return -1;
    d.j = room;
    d.size = d.j + n * d.width;
    d.cov = d.size + n * RL_MAXPARAMS;
    d.var = d.cov + n * d.scored;
    d.taken = d.var + n;
    derive(&d, prior);
    for (size_t i = 0; i < n; i++)
        sizes(row->op, row[i].p, d.size + i * RL_MAXPARAMS);
    open_all(&d);
    pick(&d, few, picked);
    free(room);
    return 0;
}

/* The fit from one entry's coefficients. */
static int fit_from(const struct rl_fit_data *d, const double *center, int starts,
                    struct rl_fit *out, struct rl_error *err)
{
    struct rl_fit_prior prior;
    struct rl_fit_data from = *d;
    rl_fit_prior_of(d->op, &prior);
    memcpy(prior.center, center, sizeof prior.center);
    from.prior = &prior;
    from.starts = starts;
    return rl_fit_run(&from, out, err);
}

/* How many of n entries so few samples can tell apart: one row none. */
static int candidates(int n, size_t samples)
{
    int most = samples > 0 ? (int)(2 * samples) - 1 : 1;
    return n < most ? n : most;
}

static int best_fit(const struct rl_choice *c, int n, const struct rl_fit_data *d,
                    int *which, struct rl_fit *out, struct rl_error *err)
{
    for (int i = 0; i < n; i++) {
        struct rl_fit fit;
        if (fit_from(d, c[i].coef, i == 0 ? d->starts : 1, &fit, err))
            return -1;
        if (i > 0 && fit.cost >= BETTER * out->cost)
            continue;
        *out = fit;
        *which = i;
    }
    return 0;
}

/* v = cov⁻¹ v; cov is lost.  GSL's code, also of numbers that are none. */
static int solve(double *cov, double *v, size_t n)
{
    gsl_matrix_view m = gsl_matrix_view_array(cov, n, n);
    gsl_vector_view x = gsl_vector_view_array(v, n);
    int code = gsl_linalg_cholesky_decomp1(&m.matrix);
    if (!code)
        code = gsl_linalg_cholesky_svx(&m.matrix, &x.vector);
    for (size_t i = 0; !code && i < n; i++)
        code = isfinite(v[i]) ? GSL_SUCCESS : GSL_EDOM;
    return code;
}

/* Weights of the samples' residuals: miss = (misfit + NOISE²)⁻¹ log(measured / fit). */
static int krige(const struct rl_fit_data *d, struct rl_few *few, struct rl_error *err)
{
    size_t n = d->n;
    few->n = n;
    few->size = rl_alloc(n * RL_MAXPARAMS, sizeof *few->size, err);
    few->miss = rl_alloc(n, sizeof *few->miss, err);
    double *room = rl_alloc(n * n, sizeof *room, err);
    if (!few->size || !few->miss || !room) {
        free(room);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        double t = d->op->time(d->row[i]->p, d->machine, few->fit.coef, NULL);
        few->miss[i] = log(d->row[i]->seconds / t);
        sizes(d->op, d->row[i]->p, few->size + i * RL_MAXPARAMS);
        for (size_t k = 0; k <= i; k++)
            room[i * n + k] = room[k * n + i] =
                misfit(few->size + i * RL_MAXPARAMS, few->size + k * RL_MAXPARAMS, NEAR) +
                (i == k ? NOISE * NOISE : 0);
    }
    int code = solve(room, few->miss, n);
    free(room);
    return code ? rl_fail(err, RL_EVALUE, NULL, 0,
                          "%s: cannot share what the fit leaves of %zu samples: %s",
                          d->op->name, n, gsl_strerror(code))
                : 0;
}

double rl_few_seconds(const struct rl_few *few, const struct rl_op_type *op,
                      const double *p, const struct rl_machine *m)
{
    double x[RL_MAXPARAMS] = {0}, missed = 0;
    sizes(op, p, x);
    for (size_t i = 0; i < few->n; i++)
        missed += few->miss[i] * misfit(few->size + i * RL_MAXPARAMS, x, NEAR);
    return op->time(p, m, few->fit.coef, NULL) * exp(missed);
}

void rl_few_clear(struct rl_few *few)
{
    free(few->size);
    free(few->miss);
    few->size = few->miss = NULL;
    few->n = 0;
}

/* From the nearest entries, with what the fit misses. */
static int fit_and_krige(const struct rl_choice *c, int n, const struct rl_fit_data *d,
                         int *which, struct rl_few *out, struct rl_error *err)
{
    int rc = best_fit(c, candidates(n, d->n), d, which, &out->fit, err);
    return rc ? rc : krige(d, out, err);
}

/* Root of the mean square of the samples' log errors, each left out in turn: of the fit
 * and of the choice of the entry that it starts from. */
static int left_out(const struct rl_choice *c, int n, const struct rl_fit_data *d,
                    double *rms, struct rl_error *err)
{
    const struct rl_sample **rest = rl_alloc(d->n, sizeof *rest, err);
    double sum = 0;
    int rc = rest ? 0 : -1, which;
    for (size_t i = 0; !rc && i < d->n; i++) {
        struct rl_fit_data but = *d;
        struct rl_few few = {.n = 0};
        but.row = rest;
        but.n = 0;
        but.starts = 1;
        for (size_t k = 0; k < d->n; k++)
            if (k != i)
                rest[but.n++] = d->row[k];
        rc = fit_and_krige(c, n, &but, &which, &few, err);
        if (!rc)
            sum += pow(log(d->row[i]->seconds /
                           rl_few_seconds(&few, d->op, d->row[i]->p, d->machine)),
                       2);
        rl_few_clear(&few);
    }
    *rms = sqrt(sum / (double)d->n);
    free(rest);
    return rc;
}

/* The entry's own residual stays.  What carrying it over leaves open is what the
 * samples miss of each other, the spread assumed without any counting as one more. */
static void interval(const struct rl_choice *c, double rms, size_t n, double *lo,
                     double *hi)
{
    double own_lo = c->kernel ? c->kernel->lo : 0.5 * c->log_lo;
    double own_hi = c->kernel ? c->kernel->hi : 0.5 * c->log_hi;
    double seen = RL_Z90 * rms * RL_Z90 * rms * (double)n, all = (double)n + 1;
    double open_lo = fmax(c->log_lo * c->log_lo - own_lo * own_lo, 0);
    double open_hi = fmax(c->log_hi * c->log_hi - own_hi * own_hi, 0);
    *lo = -sqrt(own_lo * own_lo + fmin(open_lo, (seen + open_lo) / all));
    *hi = sqrt(own_hi * own_hi + fmin(open_hi, (seen + open_hi) / all));
}

int rl_few_fit(const struct rl_ask *ask, const struct rl_fit_data *d, struct rl_few *out,
               struct rl_error *err)
{
    struct rl_choice *c = rl_alloc(CANDIDATES, sizeof *c, err);
    if (!c)
        return -1;
    int n = rl_choose_near(ask, CANDIDATES, c), which = 0, rc = 0;
    double rms = 0;
    memset(out, 0, sizeof *out);
    memcpy(out->fit.coef, c->coef, sizeof c->coef);
    out->lo = c->log_lo;
    out->hi = c->log_hi;
    if (d->n > 0)
        rc = fit_and_krige(c, n, d, &which, out, err);
    if (!rc && d->n >= TELLING) {
        rc = left_out(c, n, d, &rms, err);
        interval(&c[which], rms, d->n, &out->lo, &out->hi);
    }
    free(c);
    if (rc)
        rl_few_clear(out);
    return rc;
}
