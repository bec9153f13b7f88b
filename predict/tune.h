/* Fitting numbers of a runtime file to whole runs: what no operator row tells. */
#ifndef RL_TUNE_H
#define RL_TUNE_H

#include "runs.h"

enum { RL_MAXTUNE = 6 };

struct rl_tuned {
    const char *key[RL_MAXTUNE];
    double value[RL_MAXTUNE]; /* in: starting point > 0; out: fitted */
    int n;
    double rows; /* used */
    double sd;   /* root mean square of the log residual left over */
};

/* Minimises the mean of sqrt(1 + (10 r)^2) - 1, r = log(predicted / measured),
 * over the logarithms of the values: a residual counts squared below 10 % and
 * linearly above.  Rows that cannot be predicted are left out. */
int rl_tune(struct rl_runs *runs, const struct rl_run *row, size_t n, struct rl_tuned *t,
            struct rl_error *err);

#endif
