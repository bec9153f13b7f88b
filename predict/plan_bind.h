/* The steps of rl_plan_bind(), in the order in which it takes them. */
#ifndef RL_PLAN_BIND_H
#define RL_PLAN_BIND_H

#include "plan.h"

/* plan_stack.c: does the runtime go with device and model? */
int rl_check_match(const struct rl_plan *pl, struct rl_error *err);
/* plan_dtype.c */
int rl_bind_dtypes(struct rl_plan *pl, struct rl_error *err);
/* What the output says of the rates used: fall-backs, units left out, clocks beyond. */
void rl_note_rates(struct rl_plan *pl);
/* plan_stack.c: needs dtypes and machine */
void rl_bind_runtime(struct rl_plan *pl);
void rl_bind_memory(struct rl_plan *pl);
/* plan_node.c: appends one node to the plan's, unless it does not run there */
int rl_bind_node(struct rl_plan *pl, const struct rl_kernel_db *db,
                 const struct rl_node *n, struct rl_error *err);

#endif
