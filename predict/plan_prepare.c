/* What of a query is known once the nodes are bound: which of them look at which
 * sizes of a pass, and which take the same time as an earlier one (the shared
 * blocks of Zamba2, both norms of a layer), so that it is counted once. */
#include "plan.h"

#include <string.h>

static unsigned looks_at(enum rl_sym sym)
{
    switch (sym) {
    case RL_T:
        return RL_LOOKS_BATCH | RL_LOOKS_TOKENS;
    case RL_L:
        return RL_LOOKS_TOKENS;
    case RL_R:
        return RL_LOOKS_ROWS;
    case RL_X:
        return RL_LOOKS_ENC;
    case RL_TX:
        return RL_LOOKS_BATCH | RL_LOOKS_ENC;
    default: /* of those that look at the cache no sum is kept */
        return RL_LOOKS_BATCH;
    }
}

static void find_part(struct rl_plan *pl, struct rl_bound_node *b)
{
    unsigned looks = 0;

    for (int i = 0; i < b->nvars; i++)
        looks |= looks_at((enum rl_sym)b->var[i].sym);
    b->part = looks & (RL_LOOKS_TOKENS | RL_LOOKS_ENC) ? RL_MOVING : RL_STILL;
    if (!b->on_cache)
        pl->looks[b->part] |= looks;
}

static bool same_choice(const struct rl_choice *a, const struct rl_choice *b)
{
    return a->impl == b->impl && a->kernel == b->kernel && a->log_lo == b->log_lo &&
           a->log_hi == b->log_hi && a->share == b->share &&
           !memcmp(&a->spread, &b->spread, sizeof a->spread) &&
           !memcmp(a->coef, b->coef, sizeof a->coef);
}

static bool same_sizes(const struct rl_bound_node *a, const struct rl_bound_node *b)
{
    if (a->op != b->op || a->nvars != b->nvars || memcmp(a->p, b->p, sizeof a->p))
        return false;
    for (int i = 0; i < a->nvars; i++)
        if (a->var[i].index != b->var[i].index || a->var[i].sym != b->var[i].sym ||
            a->var[i].split != b->var[i].split || a->var[i].k != b->var[i].k)
            return false;
    return true;
}

/* Equal in all that schedule.c's cost_of() reads. */
static bool same_cost(const struct rl_bound_node *a, const struct rl_bound_node *b)
{
    return same_sizes(a, b) && same_choice(&a->choice, &b->choice) && a->alt == b->alt &&
           a->alt_from == b->alt_from && same_choice(&a->alt_choice, &b->alt_choice) &&
           a->launches[0] == b->launches[0] && a->launches[1] == b->launches[1] &&
           a->host[0] == b->host[0] && a->host[1] == b->host[1] &&
           a->traffic == b->traffic && a->repeat == b->repeat && a->chain == b->chain &&
           a->plain == b->plain && a->node->fusable == b->node->fusable;
}

void rl_plan_prepare(struct rl_plan *pl)
{
    for (int i = 0; i < pl->nnodes; i++) {
        struct rl_bound_node *b = &pl->node[i];
        find_part(pl, b);
        b->twin = -1;
        for (int k = 0; k < i && b->twin < 0; k++)
            if (pl->node[k].phase == b->phase && same_cost(&pl->node[k], b))
                b->twin = k;
        if (b->group >= pl->ngroups)
            pl->ngroups = b->group + 1;
    }
}
