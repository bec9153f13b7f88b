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

/* Fits the rows of d from each of the nearest entries that `ask` finds on other
 * devices and keeps the one that explains them best; d->prior is not read. */
int rl_few_fit(const struct rl_ask *ask, const struct rl_fit_data *d, struct rl_fit *out,
               struct rl_error *err);

/* log(measured / predicted), 5 and 95 %, after n samples: the entry's own residual
 * stays, what carrying it over left open shrinks with the samples. */
void rl_few_interval(const struct rl_choice *c, size_t n, double *lo, double *hi);

#endif
