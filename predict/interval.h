/* From the errors of a fit on rows left out of it to the interval of a prediction. */
#ifndef RL_INTERVAL_H
#define RL_INTERVAL_H

#include "sample.h"
#include "time.h"

struct rl_left_out {
    const struct rl_sample *row; /* [n] merged: rows of one shape lie together */
    size_t n;
    int *fold;       /* [n] left out together */
    double *error;   /* [n] log(measured / predicted) */
    double *seconds; /* [n] predicted */
    double *scratch; /* [3 n] */
    bool by_row;     /* single rows were left out, not whole shapes */
    bool few;        /* too few shapes (or rows) to tell one side from the other */
};

struct rl_residual {
    double bias;   /* median of the errors */
    double lo, hi; /* 5 and 95 % of them, for a call of the middle of `spread` */
    struct rl_spread spread; /* how both go with the time of the call */
};

/* Of all rows but those of one fold (-1: of all). */
void rl_residual_of(const struct rl_left_out *e, int without, struct rl_residual *out);
/* Too few shapes of so many, too few rows for both sides? */
bool rl_residual_is_few(size_t shapes, size_t rows, bool by_row);

#endif
