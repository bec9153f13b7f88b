/* Robust fit: GSL's trust region (Levenberg-Marquardt) on transformed
 * coefficients, started from several points.
 *
 *   residual  r_i = log(predicted) - log(measured), through a soft-L1 loss, so
 *             that rows which a model cannot explain (a library switching
 *             kernels) do not bend the rest;
 *   prior     one residual per coefficient, (u - u0) / sd, weighted so that a
 *             coefficient which the rows do not speak of stays where it is;
 *   bounds    u = mid + half tanh(z / half): z is free, u stays inside.
 *
 * Kernel models have kinks (tiles, waves, splits), so the Jacobian takes finite
 * differences over a step of a few per cent instead of an infinitesimal one.
 * Choices (RL_C_CHOICE) are tried one by one.
 */
#include "fit.h"

#include "err.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SOFT = 0.04;    /* where soft-L1 turns from square to linear */
static const double NOISE = 0.08;   /* log error a model keeps, weighs the prior */
static const double STEP = 0.02;    /* finite difference, in z */
static const double REACH = 0.7;    /* starts drawn at this many prior sd */
static const double MARGIN = 0.995; /* a variant must be so much better */
static const double BAD = 30;       /* log error of a time that is no number */
enum { MAX_ITERATIONS = 40, SHORT_ITERATIONS = 5, MAX_CHOICES = 16 };

struct problem {
    const struct rl_fit_data *d;
    const double *log_measured; /* [n] */
    double choice[RL_MAXCOEFS]; /* values of the coefficients not fitted */
    int free[RL_MAXCOEFS], nfree;
    double mid[RL_MAXCOEFS], half[RL_MAXCOEFS], center[RL_MAXCOEFS];
};

void rl_fit_prior_of(const struct rl_op_type *op, struct rl_fit_prior *out)
{
    for (int i = 0; op->coef[i].name; i++) {
        out->center[i] = op->coef[i].prior;
        out->sd[i] = op->coef[i].prior_sd;
    }
}

/* Coefficient to the scale it is fitted on, and back. */
static double to_u(const struct rl_coef *c, double v)
{
    return rl_coef_is_log(c) ? log(v) : v;
}

static double from_u(const struct rl_coef *c, double u)
{
    return rl_coef_is_log(c) ? exp(u) : u;
}

static double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static void init_problem(struct problem *q, const struct rl_fit_data *d)
{
    memset(q, 0, sizeof *q);
    q->d = d;
    for (int i = 0; d->op->coef[i].name; i++) {
        const struct rl_coef *c = &d->op->coef[i];
        q->choice[i] = d->prior->center[i];
        if (c->kind == RL_C_CHOICE || d->prior->sd[i] <= 0)
            continue;
        double lo = to_u(c, c->min), hi = to_u(c, c->max);
        q->mid[i] = (lo + hi) / 2;
        q->half[i] = (hi - lo) / 2;
        q->center[i] = to_u(c, clamp(d->prior->center[i], c->min, c->max));
        q->free[q->nfree++] = i;
    }
}

static double z_of_u(const struct problem *q, int i, double u)
{
    double t = clamp((u - q->mid[i]) / q->half[i], -0.995, 0.995);
    return q->half[i] * atanh(t);
}

static double u_of_z(const struct problem *q, int i, double z)
{
    return q->mid[i] + q->half[i] * tanh(z / q->half[i]);
}

static void coefs_of(const struct problem *q, const gsl_vector *z, double *coef)
{
    memcpy(coef, q->choice, RL_MAXCOEFS * sizeof *coef);
    for (int j = 0; j < q->nfree; j++) {
        int i = q->free[j];
        coef[i] = from_u(&q->d->op->coef[i], u_of_z(q, i, gsl_vector_get(z, (size_t)j)));
    }
}

static double soft(double r)
{
    double t = r / SOFT;
    return copysign(SOFT * sqrt(2 * (sqrt(1 + t * t) - 1)), r);
}

static void residuals(const struct problem *q, const double *coef, double *out)
{
    const struct rl_fit_data *d = q->d;
    for (size_t i = 0; i < d->n; i++) {
        double t = d->op->time(d->row[i]->p, d->machine, coef, NULL);
        double r = t > 0 && isfinite(t) ? log(t) - q->log_measured[i] : BAD;
        out[i] = soft(r);
    }
}

static int f(const gsl_vector *z, void *vq, gsl_vector *out)
{
    const struct problem *q = vq;
    double coef[RL_MAXCOEFS], weight = sqrt(SOFT * NOISE);
    coefs_of(q, z, coef);
    residuals(q, coef, out->data);
    for (int j = 0; j < q->nfree; j++) {
        int i = q->free[j];
        double u = u_of_z(q, i, gsl_vector_get(z, (size_t)j));
        gsl_vector_set(out, q->d->n + (size_t)j,
                       weight * (u - q->center[i]) / q->d->prior->sd[i]);
    }
    return GSL_SUCCESS;
}

static int df(const gsl_vector *z, void *vq, gsl_matrix *jac)
{
    size_t rows = jac->size1;
    gsl_vector *at = gsl_vector_alloc(z->size);
    gsl_vector *lo = gsl_vector_alloc(rows), *hi = gsl_vector_alloc(rows);
    int rc = at && lo && hi ? GSL_SUCCESS : GSL_ENOMEM;
    for (size_t j = 0; !rc && j < z->size; j++) {
        gsl_vector_memcpy(at, z);
        gsl_vector_set(at, j, gsl_vector_get(z, j) + STEP);
        f(at, vq, hi);
        gsl_vector_set(at, j, gsl_vector_get(z, j) - STEP);
        f(at, vq, lo);
        gsl_vector_sub(hi, lo);
        gsl_vector_scale(hi, 1 / (2 * STEP));
        gsl_matrix_set_col(jac, j, hi);
    }
    gsl_vector_free(at);
    gsl_vector_free(lo);
    gsl_vector_free(hi);
    return rc;
}

/* A fixed sequence: fits must come out the same everywhere. */
static double uniform(unsigned long long *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* About normal: sum of four uniforms. */
static double normal(unsigned long long *state)
{
    double s = 0;
    for (int i = 0; i < 4; i++)
        s += uniform(state);
    return (s - 2) * sqrt(3.0);
}

/* Coefficient i is a time that no call goes below: from far under the fastest row its
 * join with the kernel's time is flat, and no descent would find it. */
static double lowest_start(const struct problem *q, int i)
{
    double fastest = INFINITY;

    if (strcmp(q->d->op->coef[i].name, "floor"))
        return -INFINITY;
    for (size_t k = 0; k < q->d->n; k++)
        fastest = fmin(fastest, q->log_measured[k]);
    return fastest + log(1e6); /* of µs */
}

static void start_point(const struct problem *q, int start, gsl_vector *z)
{
    unsigned long long state = 88172645463325252ULL + (unsigned long long)start * 7919;
    for (int j = 0; j < q->nfree; j++) {
        int i = q->free[j];
        double u = fmax(q->center[i], lowest_start(q, i));
        if (start > 0)
            u += REACH * q->d->prior->sd[i] * normal(&state);
        gsl_vector_set(z, (size_t)j, z_of_u(q, i, u));
    }
}

/* Spread of u left by the rows: the inverse of JᵀJ, in units of the weight. */
static void spread(const struct problem *q, gsl_multifit_nlinear_workspace *w, double *sd)
{
    size_t p = (size_t)q->nfree;
    gsl_matrix *cov = gsl_matrix_alloc(p, p);
    if (!cov || gsl_multifit_nlinear_covar(gsl_multifit_nlinear_jac(w), 0, cov)) {
        gsl_matrix_free(cov);
        return;
    }
    for (size_t j = 0; j < p; j++) {
        int i = q->free[j];
        double z = gsl_vector_get(gsl_multifit_nlinear_position(w), j);
        double slope = 1 / pow(cosh(z / q->half[i]), 2); /* du / dz */
        sd[i] = sqrt(fabs(gsl_matrix_get(cov, j, j)) * SOFT * NOISE) * slope;
    }
    gsl_matrix_free(cov);
}

/* One descent; keeps the result when it beats *best. */
static int descend(struct problem *q, gsl_multifit_nlinear_workspace *w,
                   const gsl_vector *z, int iterations, struct rl_fit *best)
{
    gsl_multifit_nlinear_fdf fdf = {.f = f,
                                    .df = df,
                                    .n = q->d->n + (size_t)q->nfree,
                                    .p = (size_t)q->nfree,
                                    .params = q};
    int info;
    if (gsl_multifit_nlinear_init(z, &fdf, w))
        return -1;
    gsl_multifit_nlinear_driver((size_t)iterations, 2e-3, 1e-6, 1e-5, NULL, NULL, &info,
                                w);
    double cost;
    const gsl_vector *res = gsl_multifit_nlinear_residual(w);
    gsl_blas_ddot(res, res, &cost);
    if (!isfinite(cost) || cost >= best->cost)
        return 0;
    best->cost = cost;
    coefs_of(q, gsl_multifit_nlinear_position(w), best->coef);
    memset(best->sd, 0, sizeof best->sd);
    spread(q, w, best->sd);
    return 0;
}

/* A workspace and a point for problem q; NULL when memory is short. */
static gsl_multifit_nlinear_workspace *solver(const struct problem *q, gsl_vector **z)
{
    gsl_multifit_nlinear_parameters par = gsl_multifit_nlinear_default_parameters();
    par.solver = gsl_multifit_nlinear_solver_cholesky;
    par.scale = gsl_multifit_nlinear_scale_levenberg;
    gsl_multifit_nlinear_workspace *w = gsl_multifit_nlinear_alloc(
        gsl_multifit_nlinear_trust, &par, q->d->n + (size_t)q->nfree, (size_t)q->nfree);
    *z = w ? gsl_vector_alloc((size_t)q->nfree) : NULL;
    if (w && !*z) {
        gsl_multifit_nlinear_free(w);
        w = NULL;
    }
    return w;
}

static void solver_free(gsl_multifit_nlinear_workspace *w, gsl_vector *z)
{
    if (w)
        gsl_multifit_nlinear_free(w);
    gsl_vector_free(z);
}

/* From the starting points first … to - 1. */
static int descend_all(struct problem *q, int first, int to, struct rl_fit *best)
{
    gsl_vector *z;
    gsl_multifit_nlinear_workspace *w = solver(q, &z);
    int rc = w ? 0 : -1;
    for (int s = first; !rc && s < to; s++) {
        start_point(q, s, z);
        rc = descend(q, w, z, MAX_ITERATIONS, best);
    }
    solver_free(w, z);
    return rc;
}

static void point_of(const struct problem *q, const double *coef, gsl_vector *z)
{
    for (int j = 0; j < q->nfree; j++) {
        int i = q->free[j];
        double u = to_u(&q->d->op->coef[i], coef[i]);
        gsl_vector_set(z, (size_t)j, z_of_u(q, i, u));
    }
}

static int descend_from(struct problem *q, const double *coef, struct rl_fit *best)
{
    gsl_vector *z;
    gsl_multifit_nlinear_workspace *w = solver(q, &z);
    int rc = w ? 0 : -1;
    if (!rc) {
        point_of(q, coef, z);
        rc = descend(q, w, z, MAX_ITERATIONS, best);
    }
    solver_free(w, z);
    return rc;
}

static double known(const struct rl_fit_data *d, int i)
{
    const struct rl_sample *s = d->row[0];
    return rl_op_known(d->op, s->runtime, s->impl, s->dtype, i);
}

/* The values to try of choice i, from the smallest to the largest. */
static double smallest(const struct rl_fit_data *d, int i)
{
    double v = known(d, i);
    return isnan(v) ? d->op->coef[i].min : v;
}

static double largest(const struct rl_fit_data *d, int i)
{
    double v = known(d, i);
    if (!isnan(v))
        return v;
    return d->op->most ? d->op->most(d->row[0]->runtime, d->row[0]->impl, i)
                       : d->op->coef[i].max;
}

/* Steps the choice coefficients like an odometer; false after the last. */
static bool next_choice(const struct rl_fit_data *d, double *choice)
{
    const struct rl_op_type *op = d->op;
    for (int i = 0; op->coef[i].name; i++) {
        if (op->coef[i].kind != RL_C_CHOICE)
            continue;
        if (choice[i] + 1 <= largest(d, i)) {
            choice[i]++;
            return true;
        }
        choice[i] = smallest(d, i);
    }
    return false;
}

/* Combinations of the choices, at most MAX_CHOICES + 1. */
static int combinations(const struct rl_fit_data *d)
{
    const struct rl_op_type *op = d->op;
    double n = 1;
    for (int i = 0; op->coef[i].name; i++)
        if (op->coef[i].kind == RL_C_CHOICE)
            n *= largest(d, i) - smallest(d, i) + 1;
    return n > MAX_CHOICES ? MAX_CHOICES + 1 : (int)n;
}

/* Every variant from the first starting point, the best from the others too. */
static int all_choices(struct problem *q, struct rl_fit *out)
{
    const struct rl_coef *coef = q->d->op->coef;
    for (int i = 0; coef[i].name; i++)
        if (coef[i].kind == RL_C_CHOICE)
            q->choice[i] = smallest(q->d, i);
    int rc, tries = 0;
    do
        rc = descend_all(q, 0, 1, out);
    while (!rc && ++tries < MAX_CHOICES && next_choice(q->d, q->choice));
    for (int i = 0; coef[i].name; i++)
        if (coef[i].kind == RL_C_CHOICE)
            q->choice[i] = out->coef[i];
    return rc ? rc : descend_all(q, 1, q->d->starts, out);
}

/* Tries every value of one choice, the others as they are in *best, each with a
 * short descent from there; *better is set when one of them is. */
static int vary_choice(struct problem *q, gsl_multifit_nlinear_workspace *w,
                       gsl_vector *z, int i, struct rl_fit *best, bool *better)
{
    struct rl_fit at = *best;
    for (double v = smallest(q->d, i); v <= largest(q->d, i); v++) {
        if (v == at.coef[i])
            continue;
        memcpy(q->choice, at.coef, sizeof q->choice);
        q->choice[i] = v;
        point_of(q, at.coef, z);
        if (descend(q, w, z, SHORT_ITERATIONS, best))
            return -1;
    }
    if (best->cost > at.cost * MARGIN)
        *best = at;
    *better |= best->cost < at.cost;
    return 0;
}

/* Too many combinations to try: one choice after another, until none helps, on
 * a thinned set of rows.  Leaves the choices in q. */
static int search_choices(struct problem *q, struct rl_fit *out)
{
    enum { PASSES = 3 };
    const struct rl_coef *coef = q->d->op->coef;
    gsl_vector *z;
    gsl_multifit_nlinear_workspace *w = solver(q, &z);
    int rc = w ? 0 : -1;
    if (!rc) {
        start_point(q, 0, z);
        rc = descend(q, w, z, MAX_ITERATIONS, out);
    }
    bool better = true;
    for (int pass = 0; !rc && better && pass < PASSES; pass++) {
        better = false;
        for (int i = 0; !rc && coef[i].name; i++)
            if (coef[i].kind == RL_C_CHOICE)
                rc = vary_choice(q, w, z, i, out, &better);
    }
    memcpy(q->choice, out->coef, sizeof q->choice);
    solver_free(w, z);
    return rc;
}

static int thin_and_search(struct problem *q, struct rl_fit *out)
{
    enum { THIN = 180 };
    const struct rl_fit_data *all = q->d;
    struct rl_fit_data few = *all;
    size_t step = (all->n + THIN - 1) / THIN, n = 0;
    const struct rl_sample **row = rl_alloc(all->n, sizeof *row, NULL);
    double *logs = rl_alloc(all->n, sizeof *logs, NULL);
    int rc = row && logs ? 0 : -1;
    for (size_t i = 0; !rc && i < all->n; i += step, n++) {
        row[n] = all->row[i];
        logs[n] = q->log_measured[i];
    }
    if (!rc) {
        struct problem thin = *q;
        few.row = row;
        few.n = n;
        thin.d = &few;
        thin.log_measured = logs;
        struct rl_fit found = {.cost = INFINITY};
        rc = search_choices(&thin, &found);
        memcpy(q->choice, thin.choice, sizeof q->choice);
        if (!rc)
            rc = descend_from(q, found.coef, out);
    }
    free(row);
    free(logs);
    return rc;
}

/* With few rows the choice stays the prior's: they cannot tell variants apart. */
static int run_choices(struct problem *q, struct rl_fit *out)
{
    enum { FEW = 20 };
    if (q->d->n < FEW)
        return descend_all(q, 0, q->d->starts, out);
    if (combinations(q->d) <= MAX_CHOICES)
        return all_choices(q, out);
    int rc = thin_and_search(q, out);
    return rc ? rc : descend_all(q, 0, q->d->starts, out);
}

/* Does any row's time change when coefficient i goes to v? */
static bool any_depends(const struct rl_fit_data *d, const double *coef, int i, double v)
{
    double moved[RL_MAXCOEFS];
    memcpy(moved, coef, sizeof moved);
    moved[i] = v;
    for (size_t r = 0; r < d->n; r++) {
        double was = d->op->time(d->row[r]->p, d->machine, coef, NULL);
        double is = d->op->time(d->row[r]->p, d->machine, moved, NULL);
        if (was < is || was > is)
            return true;
    }
    return false;
}

/* Coefficients of other variants than the one chosen, of heads that no row has … */
static void settle_idle(const struct rl_fit_data *d, struct rl_fit *out)
{
    const struct rl_coef *c = d->op->coef;
    for (int i = 0; c[i].name; i++) {
        if (c[i].kind == RL_C_CHOICE || any_depends(d, out->coef, i, c[i].min) ||
            any_depends(d, out->coef, i, c[i].max))
            continue;
        out->idle[i] = true;
        out->coef[i] = d->prior->center[i];
    }
}

int rl_fit_run(const struct rl_fit_data *d, struct rl_fit *out, struct rl_error *err)
{
    struct problem q;
    memset(out, 0, sizeof *out);
    out->cost = INFINITY;
    init_problem(&q, d);
    double *logs = rl_alloc(d->n ? d->n : 1, sizeof *logs, err);
    if (!logs)
        return -1;
    for (size_t i = 0; i < d->n; i++)
        logs[i] = log(d->row[i]->seconds);
    q.log_measured = logs;
    int rc = q.nfree ? run_choices(&q, out) : 0;
    free(logs);
    if (rc)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "%s: out of memory for a fit to %zu rows",
                       d->op->name, d->n);
    if (!isfinite(out->cost))
        return rl_fail(err, RL_EVALUE, NULL, 0, "%s: the fit found no finite times",
                       d->op->name);
    settle_idle(d, out);
    return 0;
}
