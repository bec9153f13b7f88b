/* Sums over the nodes that do not look at the cache. */
#ifndef RL_MEMO_H
#define RL_MEMO_H

#include "schedule.h"

/* The kinds of passes that a query has; the sum met last of each is kept. */
enum rl_memo_slot {
    RL_MEMO_FULL_CHUNK,
    RL_MEMO_OTHER_CHUNK,
    RL_MEMO_STEP,
    RL_MEMO_NSLOTS
};

/* Adds `weight` passes alike of those nodes. */
void rl_memo_add(const struct rl_plan *pl, const struct rl_pass *pass, int ph,
                 enum rl_memo_slot slot, double weight, struct rl_sum *s);

#endif
