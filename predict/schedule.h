/* Passes summed to a prefill and to a decode. */
#ifndef RL_SCHEDULE_H
#define RL_SCHEDULE_H

#include "plan.h"

/* Seconds of a pass (or the mean pass of a phase), by what they go into. */
struct rl_sum {
    double gpu;            /* sum of kernel times */
    double speed_of_light; /* the same at the sheet's peaks, nothing but
                              weights, cache and matrices */
    double by_class[RL_NCLASSES];
    double by_bound[RL_NBOUNDS];
    double launches;
    double host;                               /* host time of all launches */
    double lo[RL_MAXGROUPS], hi[RL_MAXGROUPS]; /* Σ time · log error */
    double passes;                             /* forward passes summed */
    double wall;                               /* host and device joined */
};

/* The whole prefill of a query, chunk by chunk. */
void rl_prefill(const struct rl_plan *pl, const struct rl_query *q, struct rl_sum *s);

/* The mean step of a decode of n steps; the cache grows by one each.  A
 * quadrature over the cache length: the cost does not depend on n. */
void rl_decode(const struct rl_plan *pl, const struct rl_query *q, double n,
               struct rl_sum *s);

/* 90 % interval of a sum: groups are independent, within one errors add. */
void rl_sum_interval(const struct rl_plan *pl, const struct rl_sum *s, int phase_index,
                     struct rl_interval *out);

#endif
