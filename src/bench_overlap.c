/* How far a core computes while it waits for DRAM, out of kernels that were timed
 * with their operands in cache and in DRAM.
 *
 * With h, c and r the rates of one kernel in cache, of the same from DRAM, and of
 * bare reading, the exponent p of (1/h)^p + (1/r)^p = (1/c)^p says it: 1 when
 * arithmetic and misses add up, large when the longer one hides the other. */
#include "bench_entry.h"

#include <gsl/gsl_roots.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>

static const double MOST = 20; /* the longer one counts, within 4 % */

struct shares { /* of the time from DRAM */
    double compute, read;
};

static double excess(double p, void *arg)
{
    const struct shares *s = arg;
    return pow(s->compute, p) + pow(s->read, p) - 1;
}

static double exponent(struct shares s)
{
    gsl_function f = {excess, &s};
    double p = 1;

    if (excess(1, &s) <= 0) /* slower than one after the other */
        return 1;
    if (excess(MOST, &s) >= 0)
        return MOST;
    gsl_root_fsolver *solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    if (solver && !gsl_root_fsolver_set(solver, &f, 1, MOST))
        for (int i = 0; i < 60; i++) {
            if (gsl_root_fsolver_iterate(solver))
                break;
            p = gsl_root_fsolver_root(solver);
            if (gsl_root_fsolver_x_upper(solver) - gsl_root_fsolver_x_lower(solver) <
                1e-3)
                break;
        }
    gsl_root_fsolver_free(solver);
    return p;
}

void bench_overlap(const struct bench_pair *pair, size_t n, double read, double *p,
                   struct bench_spread *out)
{
    for (size_t i = 0; i < n; i++)
        p[i] = exponent(
            (struct shares){pair[i].cold / pair[i].warm, pair[i].cold / read});
    gsl_sort(p, 1, n);
    out->v = gsl_stats_median_from_sorted_data(p, 1, n);
    out->lo = gsl_stats_quantile_from_sorted_data(p, 1, n, 0.25);
    out->hi = gsl_stats_quantile_from_sorted_data(p, 1, n, 0.75);
}
