/* Descents of a fit: GSL's trust region (Levenberg-Marquardt) on transformed
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
 */
#include "fit_descend.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <string.h>

static const double SOFT = 0.04;  /* where soft-L1 turns from square to linear */
static const double NOISE = 0.08; /* log error a model keeps, weighs the prior */
static const double STEP = 0.02;  /* finite difference, in z */
static const double REACH = 0.7;  /* starts drawn at this many prior sd */
static const double BAD = 30;     /* log error of a time that is no number */

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

void rl_fit_problem_init(struct rl_fit_problem *q, const struct rl_fit_data *d)
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

static double z_of_u(const struct rl_fit_problem *q, int i, double u)
{
    double t = clamp((u - q->mid[i]) / q->half[i], -0.995, 0.995);
    return q->half[i] * atanh(t);
}

static double u_of_z(const struct rl_fit_problem *q, int i, double z)
{
    return q->mid[i] + q->half[i] * tanh(z / q->half[i]);
}

static void coefs_of(const struct rl_fit_problem *q, const gsl_vector *z, double *coef)
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

static void residuals(const struct rl_fit_problem *q, const double *coef, double *out)
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
    const struct rl_fit_problem *q = vq;
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
static double lowest_start(const struct rl_fit_problem *q, int i)
{
    double fastest = INFINITY;

    if (strcmp(q->d->op->coef[i].name, "floor"))
        return -INFINITY;
    for (size_t k = 0; k < q->d->n; k++)
        fastest = fmin(fastest, q->log_measured[k]);
    return fastest + log(1e6); /* of µs */
}

static void start_point(const struct rl_fit_problem *q, int start, gsl_vector *z)
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
static void spread(const struct rl_fit_problem *q, gsl_multifit_nlinear_workspace *w,
                   double *sd)
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
static int descend(struct rl_fit_problem *q, gsl_multifit_nlinear_workspace *w,
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
static gsl_multifit_nlinear_workspace *solver(const struct rl_fit_problem *q,
                                              gsl_vector **z)
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

int rl_fit_descend_all(struct rl_fit_problem *q, int first, int to, struct rl_fit *best)
{
    gsl_vector *z;
    gsl_multifit_nlinear_workspace *w = solver(q, &z);
    int rc = w ? 0 : -1;
    for (int s = first; !rc && s < to; s++) {
        start_point(q, s, z);
        rc = descend(q, w, z, RL_FIT_ITERATIONS, best);
    }
    solver_free(w, z);
    return rc;
}

static void point_of(const struct rl_fit_problem *q, const double *coef, gsl_vector *z)
{
    for (int j = 0; j < q->nfree; j++) {
        int i = q->free[j];
        double u = to_u(&q->d->op->coef[i], coef[i]);
        gsl_vector_set(z, (size_t)j, z_of_u(q, i, u));
    }
}

int rl_fit_descend_from(struct rl_fit_problem *q, const double *coef, int iterations,
                        struct rl_fit *best)
{
    gsl_vector *z;
    gsl_multifit_nlinear_workspace *w = solver(q, &z);
    int rc = w ? 0 : -1;
    if (!rc) {
        point_of(q, coef, z);
        rc = descend(q, w, z, iterations, best);
    }
    solver_free(w, z);
    return rc;
}
