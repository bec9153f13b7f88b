/* What does not depend on the cache is the same in every pass of one size: the sum
 * met last is kept with the plan for each kind of pass that a query has, and the
 * costs it is made of, since some (the head's) change with the batch alone.
 */
#include "memo.h"

#include "cost.h"
#include "err.h"

#include <stdatomic.h>
#include <string.h>

struct rl_memo {
    atomic_flag busy; /* taken: do without */
    struct {
        bool filled;
        struct rl_pass pass;
        struct rl_sum sum;
    } at[RL_MEMO_NSLOTS];
    struct rl_cost cost[]; /* [RL_MEMO_NSLOTS][nnodes] */
};

struct rl_memo *rl_memo_new(int nnodes, struct rl_error *err)
{
    size_t costs = RL_MEMO_NSLOTS * (size_t)nnodes * sizeof(struct rl_cost);
    struct rl_memo *m = rl_alloc(1, sizeof *m + costs, err);
    if (m)
        atomic_flag_clear(&m->busy);
    return m;
}

static bool same_pass(const struct rl_pass *a, const struct rl_pass *b, unsigned looks)
{
    return (!(looks & RL_LOOKS_BATCH) || a->batch == b->batch) &&
           (!(looks & RL_LOOKS_TOKENS) || a->tokens == b->tokens) &&
           (!(looks & RL_LOOKS_ROWS) || a->rows == b->rows) &&
           (!(looks & RL_LOOKS_ENC) || a->enc == b->enc);
}

/* s += weight · t, for the sums a pass is made of. */
static void add_sum(struct rl_sum *s, const struct rl_sum *t, double weight, int ngroups)
{
    s->gpu += weight * t->gpu;
    s->speed_of_light += weight * t->speed_of_light;
    s->launches += weight * t->launches;
    s->host += weight * t->host;
    for (int i = 0; i < RL_NCLASSES; i++)
        s->by_class[i] += weight * t->by_class[i];
    for (int i = 0; i < RL_NBOUNDS; i++)
        s->by_bound[i] += weight * t->by_bound[i];
    for (int i = 0; i < ngroups; i++) {
        s->lo[i] += weight * t->lo[i];
        s->hi[i] += weight * t->hi[i];
    }
    s->lo2 += weight * weight * t->lo2;
    s->hi2 += weight * weight * t->hi2;
}

/* Nodes of a phase that do not look at the cache, one pass.  cost: NULL, or
 * [nnodes], where those of the parts in `known` stand; equal calls of the others
 * are counted once. */
static void fixed_nodes(const struct rl_plan *pl, const struct rl_pass *pass, int ph,
                        const bool known[RL_NPARTS], struct rl_cost *cost,
                        struct rl_sum *s)
{
    unsigned want = rl_cost_phase(pl, ph);

    memset(s, 0, sizeof *s);
    for (int i = 0; i < pl->nnodes; i++) {
        const struct rl_bound_node *b = &pl->node[i];
        struct rl_cost here, *c = cost ? &cost[i] : &here;
        struct rl_own_error own = {0, 0};
        if (!(b->phase & want) || b->on_cache)
            continue;
        if (!cost || (!known[b->part] && b->twin < 0))
            rl_cost_of(pl, b, pass, ph, c);
        else if (!known[b->part])
            *c = cost[b->twin];
        rl_cost_add(pl, b, c, b->node->count, s, &own);
        rl_cost_close(&own, s);
    }
}

/* fixed_nodes() by way of the memo, which the caller has taken. */
static const struct rl_sum *recall(const struct rl_plan *pl, const struct rl_pass *pass,
                                   int ph, enum rl_memo_slot slot)
{
    struct rl_memo *m = pl->memo;
    bool known[RL_NPARTS], all = true;

    for (int i = 0; i < RL_NPARTS; i++) {
        known[i] = m->at[slot].filled && same_pass(&m->at[slot].pass, pass, pl->looks[i]);
        all = all && known[i];
    }
    if (!all) {
        m->at[slot].filled = true;
        m->at[slot].pass = *pass;
        fixed_nodes(pl, pass, ph, known, &m->cost[slot * pl->nnodes], &m->at[slot].sum);
    }
    return &m->at[slot].sum;
}

void rl_memo_add(const struct rl_plan *pl, const struct rl_pass *pass, int ph,
                 enum rl_memo_slot slot, double weight, struct rl_sum *s)
{
    struct rl_memo *m = pl->memo;
    struct rl_sum one;

    if (m && !atomic_flag_test_and_set_explicit(&m->busy, memory_order_acquire)) {
        add_sum(s, recall(pl, pass, ph, slot), weight, pl->ngroups);
        atomic_flag_clear_explicit(&m->busy, memory_order_release);
    } else {
        fixed_nodes(pl, pass, ph, NULL, NULL, &one);
        add_sum(s, &one, weight, pl->ngroups);
    }
}
