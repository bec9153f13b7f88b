/* The model graph as a container, and the figures that follow from it alone:
 * parameter counts, cache and state sizes, merged projections.
 *
 * Sizes are elements; what an element weighs is decided where the graph is
 * bound to number formats.
 */
#include "graph.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

const char *rl_block_name(enum rl_block_kind k)
{
    static const char *const name[RL_NBLOCKS] = {
        [RL_BLK_ATTN] = "attention",  [RL_BLK_MLA] = "mla",
        [RL_BLK_MLP] = "mlp",         [RL_BLK_MOE] = "moe",
        [RL_BLK_MAMBA1] = "mamba1",   [RL_BLK_MAMBA2] = "mamba2",
        [RL_BLK_GDN] = "gdn",         [RL_BLK_KDA] = "kda",
        [RL_BLK_LINEAR] = "linear",   [RL_BLK_RGLRU] = "rglru",
        [RL_BLK_SHORTCONV] = "conv",  [RL_BLK_CROSS] = "cross_attention",
        [RL_BLK_ENCODER] = "encoder",
    };
    return (unsigned)k < RL_NBLOCKS ? name[k] : "?";
}

const char *const rl_glue_names[] = {
    "act",       "act_mul",    "attn_gate",  "block_mask",  "concat",     "conv_gate",
    "embedding", "gate_mul",   "head",       "kv_append",   "layout",     "multiplier",
    "norm",      "norm_gated", "norm_qk",    "positions",   "residual",   "rope",
    "router",    "sampling",   "shared_add", "shared_gate", "token_shift"};
const int rl_nglue_names = sizeof rl_glue_names / sizeof *rl_glue_names;

void rl_graph_init(struct rl_graph *g)
{
    memset(g, 0, sizeof *g);
    g->has_decode = true;
    g->logit_copies = 1;
}

void rl_graph_clear(struct rl_graph *g)
{
    free(g->node);
    free(g->cache);
    free(g->block);
    memset(g, 0, sizeof *g);
}

void rl_graph_params(const struct rl_graph *g, struct rl_params *out)
{
    double resident = 0;

    for (int c = 0; c < RL_NWCLASSES; c++)
        resident += g->resident[c];
    out->resident = resident;
    out->stored = resident + g->stored_extra;
    out->active = resident - g->inactive;
    out->read_per_token = resident - g->inactive - g->not_read;
}

/* The share of a node's parameters that one token uses. */
static double touched(const struct rl_node *n)
{
    int topk = rl_op_param(n->op, "topk"), experts = rl_op_param(n->op, "experts");

    if (topk < 0 || experts < 0 || n->arg[experts].k <= 0)
        return 1;
    return n->arg[topk].k / n->arg[experts].k;
}

double rl_graph_streamed(const struct rl_graph *g)
{
    unsigned phase = g->has_decode && !g->diffusion ? RL_DECODE : RL_PREFILL;
    double sum = 0;

    for (size_t i = 0; i < g->nnodes; i++)
        if (g->node[i].phase & phase)
            sum += g->node[i].count * g->node[i].weights * touched(&g->node[i]);
    return sum;
}

double rl_graph_kv_elems(const struct rl_graph *g)
{
    double sum = 0;

    for (size_t i = 0; i < g->ncaches; i++)
        if (g->cache[i].kind == RL_CACHE_KV)
            sum += g->cache[i].layers * g->cache[i].elems;
    return sum;
}

static void *copy(const void *from, size_t n, size_t size, struct rl_error *err)
{
    void *p = rl_alloc(n ? n : 1, size, err);

    if (p && n)
        memcpy(p, from, n * size);
    return p;
}

/* Can `n` run in one GEMM with `into`?  Only what differs in n alone. */
static bool mergeable(const struct rl_node *into, const struct rl_node *n)
{
    int col = rl_op_param(n->op, "n");

    if (!n->join || into->op != n->op || col < 0 || into->phase != n->phase ||
        into->count != n->count || into->wclass != n->wclass)
        return false;
    for (int i = 0; n->op->param[i].name; i++)
        if (into->arg[i].sym != n->arg[i].sym ||
            (i != col && into->arg[i].k != n->arg[i].k))
            return false;
    return into->split == n->split;
}

int rl_graph_merge(const struct rl_graph *g, struct rl_graph *out, struct rl_error *err)
{
    *out = *g;
    out->node = copy(g->node, g->nnodes, sizeof *g->node, err);
    out->cache = copy(g->cache, g->ncaches, sizeof *g->cache, err);
    out->block = copy(g->block, g->nblocks, sizeof *g->block, err);
    out->nodes_cap = g->nnodes;
    out->caches_cap = g->ncaches;
    out->blocks_cap = g->nblocks;
    if (!out->node || !out->cache || !out->block) {
        rl_graph_clear(out);
        return -1;
    }
    out->nnodes = 0;
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct rl_node *n = &g->node[i];
        struct rl_node *last = out->nnodes ? &out->node[out->nnodes - 1] : NULL;

        if (last && mergeable(last, n)) {
            last->arg[rl_op_param(n->op, "n")].k += n->arg[rl_op_param(n->op, "n")].k;
            last->weights += n->weights;
        } else {
            out->node[out->nnodes++] = *n;
        }
    }
    return 0;
}
