/* Passes summed to a prefill and to a decode. */
#ifndef RL_SCHEDULE_H
#define RL_SCHEDULE_H

#include "plan.h"

/* Seconds of a pass (or the mean pass of a phase), by what they go into. */
struct rl_sum {
    double gpu;                       /* sum of kernel times */
    double by_class[RL_NCLASSES];
    double by_bound[RL_NBOUNDS];
    double launches;
    double host;                      /* host time of all launches */
    double lo[RL_MAXGROUPS], hi[RL_MAXGROUPS]; /* Σ time · log error */
    double passes;                    /* forward passes summed */
    double wall;                      /* host and device joined */
};

/* One node in one pass, all its calls. */
double rl_node_seconds(const struct rl_plan *pl, const struct rl_bound_node *b,
                       const struct rl_pass *pass, int phase_index,
                       double part[RL_NBOUNDS]);

/* The whole prefill of a query, chunk by chunk. */
void rl_prefill(const struct rl_plan *pl, const struct rl_query *q, struct rl_sum *s);

/* The mean step of a decode of n steps; the cache grows by one each.  A
 * quadrature over the cache length: the cost does not depend on n. */
void rl_decode(const struct rl_plan *pl, const struct rl_query *q, double n,
               struct rl_sum *s);

/* The same two at the sheet's peaks, seconds. */
double rl_prefill_speed_of_light(const struct rl_plan *pl, const struct rl_query *q);
double rl_decode_speed_of_light(const struct rl_plan *pl, const struct rl_query *q,
                                double n);

/* 90 % interval of a sum: groups are independent, within one errors add. */
void rl_sum_interval(const struct rl_plan *pl, const struct rl_sum *s, int phase_index,
                     struct rl_interval *out);

#endif
