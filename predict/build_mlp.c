/* Feed-forward blocks: plain, gated, and mixtures of experts.
 *
 * Routed experts are one operator call (moe: grouped GEMMs and their glue);
 * the router before it and shared experts beside it are calls of their own.
 * Ignored: the auxiliary losses and group-limited routing's extra top-k.
 */
#include "build.h"

#include "ops.h"

void rl_b_mlp_io(struct rl_build *b, double in, double inter, double out, unsigned flags)
{
    bool gated = flags & RL_MLP_GATED;
    unsigned bias = flags & RL_MLP_BIAS ? RL_BIAS : 0;

    if (b->count <= 0)
        return;
    rl_b_linear(b, gated ? "gate_proj" : "fc1", in, inter, RL_COL | bias);
    if (gated)
        rl_b_linear(b, "up_proj", in, inter, RL_COL | RL_JOIN | bias);
    rl_b_elementwise(b, "act", gated ? "act_mul" : "act", inter, gated ? 2 : 1, 1, true);
    if (flags & RL_MLP_XIELU && b->rc == 0)
        rl_b_own(b, &b->g->node[b->g->nnodes - 1], RL_W_SMALL, 2, false);
    rl_b_linear(b, gated ? "down_proj" : "fc2", inter, out, RL_ROW | bias);
    if (flags & RL_MLP_NO_BLOCK)
        return;
    if (b->encoder && b->g->nblocks > 0 &&
        b->rc == 0) { /* an encoder layer is one block */
        struct rl_block *e = &b->g->block[b->g->nblocks - 1];
        if (e->kind == RL_BLK_ENCODER && e->inter <= 0) {
            e->inter = inter;
            e->gated = gated;
            return;
        }
    }
    struct rl_block *k = rl_b_block(b, RL_BLK_MLP);
    k->inter = inter;
    k->gated = gated;
}

void rl_b_mlp(struct rl_build *b, double inter, unsigned flags)
{
    rl_b_mlp_io(b, b->hidden, inter, b->hidden, flags);
}

static void route(struct rl_build *b, const struct rl_moe *m)
{
    rl_b_linear(b, "router", b->hidden, m->experts, RL_SMALL);
    struct rl_node *n = rl_b_node(b, "softmax", "router_topk");
    rl_b_arg(b, n, "rows", b->t, 1);
    rl_b_arg(b, n, "width", RL_ONE, m->experts);
    if (n) {
        n->glue = "router";
        n->cls = RL_CLS_MOE;
        n->fusable = true;
        n->wclass = RL_W_SMALL;
    }
    rl_b_own(b, n, RL_W_SMALL, m->router_bias, false);
}

static void experts(struct rl_build *b, const struct rl_moe *m, double width)
{
    double matrices = m->matrices > 0 ? m->matrices : 3;
    double one = matrices * width * m->inter;
    struct rl_node *n = rl_b_node(b, "moe", "experts");

    rl_b_arg(b, n, "tokens", b->t, 1);
    rl_b_arg(b, n, "hidden", RL_ONE, width);
    rl_b_arg(b, n, "inter", RL_ONE, m->inter);
    rl_b_arg(b, n, "topk", RL_ONE, m->topk);
    rl_b_arg(b, n, "experts", RL_ONE, m->experts);
    rl_b_arg(b, n, "matrices", RL_ONE, matrices);
    rl_b_arg(b, n, "tp", RL_TP, 1);
    rl_b_arg(b, n, "ep", RL_ONE, 1);
    rl_b_arg(b, n, "routing", RL_ONE, RL_ROUTING_UNIFORM);
    rl_b_arg(b, n, "dtype", RL_DT_W, 1);
    if (n)
        n->wclass = RL_W_EXPERT;
    rl_b_own(b, n, RL_W_EXPERT, m->experts * one, true);
    rl_b_own(b, n, RL_W_SMALL, m->experts * m->expert_bias, false);
    if (b->rc == 0 && !b->no_params)
        b->g->inactive += b->count * (m->experts - m->topk) * (one + m->expert_bias);
    if (m->shared_inter <= 0) /* else one follows the sum of both */
        rl_b_all_reduce(b, b->hidden);
}

static void shared_experts(struct rl_build *b, const struct rl_moe *m)
{
    bool plain = m->matrices > 0 && m->matrices < 3;

    if (m->shared_inter <= 0)
        return;
    rl_b_mlp(b, m->shared_inter, RL_MLP_NO_BLOCK | (plain ? 0 : RL_MLP_GATED));
    if (m->shared_gate) {
        rl_b_linear(b, "shared_gate", b->hidden, 1, RL_SMALL);
        rl_b_elementwise(b, "shared_gate", "shared_gate", b->hidden, 1, 1, false);
    }
    rl_b_elementwise(b, "shared_add", "shared_add", b->hidden, 2, 1, false);
}

void rl_b_moe(struct rl_build *b, const struct rl_moe *m)
{
    double width = m->latent > 0 ? m->latent : b->hidden;

    if (b->count <= 0)
        return;
    if (b->rc == 0 && m->topk > m->experts)
        rl_b_bad(b, "num_experts_per_tok", "at most the number of experts");
    route(b, m);
    if (m->latent > 0)
        rl_b_linear(b, "latent_down", b->hidden, width, 0);
    experts(b, m, width);
    if (m->latent > 0)
        rl_b_linear(b, "latent_up", width, b->hidden, 0);
    shared_experts(b, m);
    struct rl_block *k = rl_b_block(b, RL_BLK_MOE);
    k->inter = m->inter;
    k->topk = m->topk;
    k->experts = m->experts;
    k->gated = !(m->matrices > 0 && m->matrices < 3);
}
