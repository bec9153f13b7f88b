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
    double host; /* host time of all launches */
    /* Σ time · log error that calls of a group have in common, and Σ over nodes of
       (time · log error of the node alone)² */
    double lo[RL_MAXGROUPS], hi[RL_MAXGROUPS], lo2, hi2;
    double gpu_weight, host_weight; /* d log wall / d log of either */
    double slowed;  /* factor on `gpu` of a clock lowered while it waits; 1: none */
    double passes;  /* forward passes summed */
    double deepest; /* a prefill: cache of the last pass over that of the mean one */
    double wall;    /* host and device joined */
};

/* The whole prefill of a query, chunk by chunk. */
void rl_prefill(const struct rl_plan *pl, const struct rl_query *q, struct rl_sum *s);

/* The mean step of a decode of n steps; the cache grows by one each.  A
 * quadrature over the cache length: the cost does not depend on n. */
void rl_decode(const struct rl_plan *pl, const struct rl_query *q, double n,
               struct rl_sum *s);

/* 90 % interval of a sum.  What is wrong with every call of an operator (its
 * device was never measured) adds up; what is wrong with one shape is independent
 * of the others; host, kernels and what neither knows are independent too. */
void rl_sum_interval(const struct rl_plan *pl, const struct rl_sum *s, int phase_index,
                     struct rl_interval *out);

/* Tokens of the longest pass over prompts of `len` tokens; 0: all at once.  Where
 * every token sees every other, a sequence cannot be cut. */
double rl_chunk_tokens(const struct rl_plan *pl, double len);
/* Tokens of one sequence that a prefill computes, learned ones before the prompt with it.
 */
double rl_prompt_tokens(const struct rl_plan *pl, const struct rl_query *q);
/* Tokens of one sequence that the cache holds after it, those learned ones with it. */
double rl_cached_tokens(const struct rl_plan *pl, const struct rl_query *q);
/* Rows of logits of a pass over `tokens` tokens of one sequence; learned ones, which are
 * dropped before the head, count as spread over the prompt's passes. */
double rl_logit_rows(const struct rl_plan *pl, const struct rl_query *q, double tokens);

#endif
