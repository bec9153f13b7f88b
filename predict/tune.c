/* Fitting numbers of a runtime file to whole runs, with GSL's simplex. */
#include "tune.h"
#include "err.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_multimin.h>
#include <math.h>

struct problem {
    struct rl_runs *runs;
    const struct rl_run *row;
    size_t n;
    struct rl_tuned *t;
    struct rl_error *err;
    double used, sum2; /* of the last evaluation */
};

static double loss(const gsl_vector *x, void *arg)
{
    struct problem *p = arg;
    struct rl_interval v;
    char why[160];
    double sum = 0;

    for (int i = 0; i < p->t->n; i++)
        if (rl_runs_set(p->runs, p->t->key[i], exp(gsl_vector_get(x, (size_t)i)), p->err))
            return GSL_NAN;
    p->used = p->sum2 = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (rl_run_predict(p->runs, &p->row[i], &v, why))
            continue;
        double r = log(v.value / p->row[i].value);
        sum += sqrt(1 + 100 * r * r) - 1;
        p->sum2 += r * r;
        p->used++;
    }
    return p->used > 0 ? sum / p->used : GSL_NAN;
}

static void minimise(gsl_multimin_fminimizer *m)
{
    for (int i = 0; i < 400; i++) {
        if (gsl_multimin_fminimizer_iterate(m) != GSL_SUCCESS)
            return;
        if (gsl_multimin_test_size(gsl_multimin_fminimizer_size(m), 1e-3) == GSL_SUCCESS)
            return;
    }
}

int rl_tune(struct rl_runs *runs, const struct rl_run *row, size_t n, struct rl_tuned *t,
            struct rl_error *err)
{
    struct problem p = {runs, row, n, t, err, 0, 0};
    size_t dim = (size_t)t->n;
    gsl_vector *x = gsl_vector_alloc(dim), *step = gsl_vector_alloc(dim);
    gsl_multimin_fminimizer *m =
        gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, dim);
    gsl_multimin_function f = {loss, dim, &p};
    int rc = x && step && m ? 0 : rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");

    for (size_t i = 0; !rc && i < dim; i++) {
        gsl_vector_set(x, i, log(t->value[i]));
        gsl_vector_set(step, i, 0.2);
    }
    if (!rc && gsl_multimin_fminimizer_set(m, &f, x, step) != GSL_SUCCESS)
        rc = rl_fail(err, RL_EVALUE, NULL, 0, "no row can be predicted");
    if (!rc) {
        minimise(m);
        loss(m->x, &p);
        for (size_t i = 0; i < dim; i++)
            t->value[i] = exp(gsl_vector_get(m->x, i));
        t->rows = p.used;
        t->sd = p.used > 0 ? sqrt(p.sum2 / p.used) : GSL_NAN;
    }
    if (m)
        gsl_multimin_fminimizer_free(m);
    gsl_vector_free(x);
    gsl_vector_free(step);
    return rc;
}
