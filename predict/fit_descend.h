/* Descents of a fit, the variant given. */
#ifndef RL_FIT_DESCEND_H
#define RL_FIT_DESCEND_H

#include "fit.h"

enum { RL_FIT_ITERATIONS = 40 };

struct rl_fit_problem {
    const struct rl_fit_data *d;
    const double *log_measured; /* [n] */
    double choice[RL_MAXCOEFS]; /* values of the coefficients not fitted */
    int free[RL_MAXCOEFS], nfree;
    double mid[RL_MAXCOEFS], half[RL_MAXCOEFS], center[RL_MAXCOEFS];
};

/* All but log_measured; the choices are the prior's. */
void rl_fit_problem_init(struct rl_fit_problem *q, const struct rl_fit_data *d);

/* Each keeps its result where it beats *best; -1 when memory is short.  From the starting
 * points first … to - 1; from these coefficients. */
int rl_fit_descend_all(struct rl_fit_problem *q, int first, int to, struct rl_fit *best);
int rl_fit_descend_from(struct rl_fit_problem *q, const double *coef, int iterations,
                        struct rl_fit *best);

#endif
