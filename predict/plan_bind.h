/* The steps of rl_plan_bind(), in the order in which it takes them. */
#ifndef RL_PLAN_BIND_H
#define RL_PLAN_BIND_H

#include "plan.h"

/* plan_stack.c: does the runtime go with device and model? */
int rl_check_match(struct rl_plan *pl, struct rl_error *err);
/* plan_dtype.c */
int rl_bind_dtypes(struct rl_plan *pl, struct rl_error *err);
/* What the output says of the rates used: fall-backs, units left out, clocks beyond. */
void rl_note_rates(struct rl_plan *pl);
/* plan_stack.c: needs dtypes and machine */
void rl_bind_runtime(struct rl_plan *pl);
void rl_bind_memory(struct rl_plan *pl);
/* plan_attn.c: of a node that is attention, its kernel; what runs in its place; copies
 * of K and V */
int rl_bind_attention(struct rl_plan *pl, struct rl_bound_node *b, enum rl_dtype dtype,
                      struct rl_error *err);
void rl_bind_alternative(struct rl_plan *pl, struct rl_bound_node *b);
void rl_bind_repeat(const struct rl_plan *pl, struct rl_bound_node *b);
/* plan_node.c: appends one node to the plan's, unless it does not run there */
int rl_bind_node(struct rl_plan *pl, const struct rl_kernel_db *db,
                 const struct rl_node *n, struct rl_error *err);

#endif
