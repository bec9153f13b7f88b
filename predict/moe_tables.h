/* The shapes of experts that Triton's fused kernel has a tuned table for. */
#ifndef RL_MOE_TABLES_H
#define RL_MOE_TABLES_H

#include <stdbool.h>

/* experts: of one rank; inter: its columns of F; cc: 80 for 8.0. */
bool rl_moe_is_tuned(int cc, double experts, double inter);

#endif
