/* Peak memory of a query, and the longest prompt that fits. */
#ifndef RL_MEMORY_H
#define RL_MEMORY_H

#include "plan.h"

/* Bytes per device at the larger of prefill and last decode step. */
void rl_memory(const struct rl_plan *pl, const struct rl_query *q, struct rl_memory *out);

/* Longest prompt with the query's other figures, into max_ctx (what the allocator
 * holds must fit) and max_ctx_allocated (what is allocated); NaN when nothing
 * grows with the context, 0 when not even one token fits. */
void rl_max_ctx(const struct rl_plan *pl, const struct rl_query *q,
                struct rl_prediction *out);

/* Bytes of the weights on one device, and of cache and state for one sequence
 * with `tokens` tokens in the cache (encoder length enc). */
double rl_weight_bytes(const struct rl_plan *pl);
double rl_kv_bytes(const struct rl_plan *pl, double tokens, double enc);
double rl_state_bytes(const struct rl_plan *pl);

#endif
