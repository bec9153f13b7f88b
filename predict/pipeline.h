/* Layers over several devices. */
#ifndef RL_PIPELINE_H
#define RL_PIPELINE_H

#include "schedule.h"

/* The wall time of the passes in s as the stages of several devices run them.  tokens:
 * of all its passes. */
void rl_pipeline(const struct rl_plan *pl, struct rl_sum *s, int ph, double tokens);

#endif
