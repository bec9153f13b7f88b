/* A kernel on a device without data, and a few rows that can be measured there:
 * which rows, and what they make of the entries of other devices. */
#ifndef RL_FEW_H
#define RL_FEW_H

#include "fit.h"
#include "time.h"

/* Of rows row[0 … n-1], of one kernel, picks those worth measuring: marks them in
 * picked[n].  Knows their parameters, not their times. */
int rl_few_pick(const struct rl_sample *row, size_t n, const struct rl_machine *m,
                const struct rl_fit_prior *prior, size_t few, int *picked,
                struct rl_error *err);

struct rl_few {
    struct rl_fit fit;
    double lo, hi; /* log(measured / predicted) of other rows, 5 and 95 % */
    /* what the fit leaves of the samples, for rows of a shape like theirs */
    double *size, *miss; /* [n][RL_MAXPARAMS], [n] */
    size_t n;
};
/* Fits the rows of d (none: no fit) from each of the nearest entries that `ask`
 * finds and keeps the one that explains them best; d->prior is not read. */
int rl_few_fit(const struct rl_ask *ask, const struct rl_fit_data *d, struct rl_few *out,
               struct rl_error *err);
/* Seconds of another call of the kernel. */
double rl_few_seconds(const struct rl_few *few, const struct rl_op_type *op,
                      const double *p, const struct rl_machine *m);
void rl_few_clear(struct rl_few *few);

#endif
