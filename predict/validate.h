/* Predictions against measurements: the statistics that `validate` prints and
 * `calibrate` writes.  Knows neither what was measured nor who predicted it. */
#ifndef RL_VALIDATE_H
#define RL_VALIDATE_H

#include "rooflint.h"

/* One measured row and what was predicted for it, in the row's own unit. */
struct rl_outcome {
    double measured, predicted, lo, hi;
    const char *skipped; /* NULL, or why there is no prediction */
};

struct rl_score {
    size_t n;
    /* APE = |predicted - measured| / measured, as fractions */
    double median_ape, mean_ape, p90_ape;
    double bias;         /* median of (predicted - measured) / measured */
    double coverage90;   /* share of measured values within lo … hi */
    double median_width; /* median of hi / lo */
};

/* Over the rows index[0 … n-1] of all[] (index NULL: the first n) that are not
 * skipped.  0, or -1 when memory is short; with no such row n is 0 and the rest
 * NaN. */
int rl_score(const struct rl_outcome *all, const size_t *index, size_t n,
             struct rl_score *out, struct rl_error *err);

/* Reasons with their counts, e.g. of rows that were skipped. */
struct rl_tally {
    char **reason;
    size_t *count;
    size_t n, reasons_cap, counts_cap;
};
int rl_tally_add(struct rl_tally *t, const char *reason, struct rl_error *err);
void rl_tally_clear(struct rl_tally *t);

/* Linear interpolation between order statistics of a sorted array. */
double rl_quantile(const double *sorted, size_t n, double q);

#endif
