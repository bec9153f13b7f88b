/* fp16 with fp16 accumulation: GeForce and workstation parts of Turing and later do 1024
 * FLOP a clock and SM, twice what some of their sheets state for fp32. */
#ifndef RL_THROTTLE_H
#define RL_THROTTLE_H

#include "op.h"

/* FLOP/s at the clock held; 0: a part whose one rate is its sheet's. */
double rl_fp16_full(const struct rl_machine *m);
/* FLOP/s that a product sustains at the part's power; what the device sustains where its
 * sheet has the full rate. */
double rl_fp16_rate(const struct rl_machine *m);

#endif
