/* The cost of one node in one pass, and its part in a sum. */
#ifndef RL_COST_H
#define RL_COST_H

#include "schedule.h"

/* What one call of a node takes in a pass. */
struct rl_cost {
    double seconds, speed_of_light;
    double beside;        /* of the seconds, small kernels beside the node's own */
    double kernels, host; /* launches: on the device, of the host's time */
    enum rl_bound bound;
    const struct rl_choice *choice; /* of the coefficients; NULL: nothing runs */
};

/* time · log error of one node, its part that no other node shares */
struct rl_own_error {
    double lo, hi;
};

/* What one call costs in a pass of phase ph (0: prefill, 1: decode). */
void rl_cost_of(const struct rl_plan *pl, const struct rl_bound_node *b,
                const struct rl_pass *pass, int ph, struct rl_cost *c);
/* Adds `calls` calls of a node. */
void rl_cost_add(const struct rl_plan *pl, const struct rl_bound_node *b,
                 const struct rl_cost *c, double calls, struct rl_sum *s,
                 struct rl_own_error *own);
/* All passes of a node are summed: nodes are independent of each other. */
void rl_cost_close(const struct rl_own_error *own, struct rl_sum *s);

/* Which nodes run: a diffusion model's step is a prefill of its own. */
unsigned rl_cost_phase(const struct rl_plan *pl, int ph);

#endif
