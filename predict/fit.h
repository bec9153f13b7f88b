/* Robust fit of a kernel model's coefficients to measured rows. */
#ifndef RL_FIT_H
#define RL_FIT_H

#include "sample.h"

/* What is known before the rows are: a centre per coefficient, and the spread
 * that devices show about it (of the logarithm for RL_C_LOG). */
struct rl_fit_prior {
    double center[RL_MAXCOEFS], sd[RL_MAXCOEFS];
};
void rl_fit_prior_of(const struct rl_op_type *op, struct rl_fit_prior *out);

struct rl_fit_data {
    const struct rl_op_type *op;
    const struct rl_machine *machine;
    const struct rl_sample *const *row; /* [n] */
    size_t n;
    const struct rl_fit_prior *prior;
    int starts; /* ≥ 1: the prior, then points drawn around it */
};

struct rl_fit {
    double coef[RL_MAXCOEFS];
    /* Spread left after the rows, same scale as prior sd; 0: not fitted. */
    double sd[RL_MAXCOEFS];
    bool idle[RL_MAXCOEFS]; /* no row's time depends on it: at the prior's centre */
    double cost;
};

/* 0, or -1 when memory is short or no start converges to finite times. */
int rl_fit_run(const struct rl_fit_data *d, struct rl_fit *out, struct rl_error *err);

#endif
