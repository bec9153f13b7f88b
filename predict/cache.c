/* Bytes of cache and state: what grows with the tokens, what does not, and the pages
 * that servers keep both in.
 *
 * vLLM holds attention's blocks and the states of recurrent layers in one pool of
 * pages of one size: in a hybrid model the attention block is raised to as many
 * tokens as make its page no smaller than a state (672 tokens for Nemotron-Nano-9B-v2,
 * vllm issue 24280), states are padded to that page, and layers are dealt into groups
 * of equal size, of which the last is padded.
 */
#include "memory.h"

#include "err.h"

#include <math.h>

double rl_div_up(double x, double unit)
{
    return unit > 0 ? ceil(x / unit) * unit : x;
}

/* Heads are dealt out to the ranks, the last one not cut. */
static double share(const struct rl_plan *pl, const struct rl_cache *c)
{
    return c->kv_heads > 0 ? ceil(c->kv_heads / pl->setup.tp) / c->kv_heads : 1;
}

static double elem_bytes(const struct rl_plan *pl, const struct rl_cache *c)
{
    switch (c->kind) {
    case RL_CACHE_STATE:
        return rl_dtype_bytes(pl->state);
    case RL_CACHE_CONV:
        return pl->mem.act_bytes;
    default:
        return rl_dtype_bytes(pl->kv);
    }
}

/* The pages of a hybrid model: bytes a layer of each kind has, and its layers. */
struct pages {
    double token, state; /* largest bytes a layer: of a token, of a sequence's state */
    double kv_layers, state_layers;
};

static struct pages count_pages(const struct rl_plan *pl)
{
    const struct rl_graph *g = &pl->model->graph;
    struct pages n = {0};
    double conv = 0, state = 0;

    for (size_t i = 0; i < g->ncaches; i++) {
        const struct rl_cache *c = &g->cache[i];
        double each = c->elems * share(pl, c) * elem_bytes(pl, c);
        if (c->kind == RL_CACHE_KV) {
            n.token = fmax(n.token, each);
            n.kv_layers += c->layers;
        } else if (c->kind == RL_CACHE_STATE) {
            state = fmax(state, each);
            n.state_layers += c->layers;
        } else if (c->kind == RL_CACHE_CONV) {
            conv = fmax(conv, each);
        }
    }
    n.state = state + conv;
    return n;
}

/* Does the stack keep this model's caches and states in pages of one size? */
static bool hybrid_pages(const struct rl_plan *pl, const struct pages *n)
{
    return pl->mem.page_align > 0 && n->kv_layers > 0 && n->state_layers > 0;
}

static double page_tokens(const struct rl_plan *pl, const struct pages *n)
{
    return fmax(pl->mem.kv_block, rl_div_up(n->state / n->token, pl->mem.page_align));
}

double rl_kv_block(const struct rl_plan *pl)
{
    struct pages n = count_pages(pl);

    return hybrid_pages(pl, &n) ? page_tokens(pl, &n) : pl->mem.kv_block;
}

/* Layers of a kind in groups of the rarer kind's size. */
static double grouped(double layers, const struct pages *n)
{
    return rl_div_up(layers, fmin(n->kv_layers, n->state_layers));
}

int rl_cache_bind(struct rl_plan *pl, struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;
    struct pages n = count_pages(pl);

    pl->mem.kv_token = rl_alloc(g->ncaches, sizeof *pl->mem.kv_token, err);
    if (!pl->mem.kv_token)
        return -1;
    double padded = hybrid_pages(pl, &n) ? grouped(n.kv_layers, &n) / n.kv_layers : 1;
    for (size_t i = 0; i < g->ncaches; i++) {
        const struct rl_cache *c = &g->cache[i];
        pl->mem.kv_token[i] =
            c->layers * c->elems * share(pl, c) * padded * rl_dtype_bytes(pl->kv);
    }
    pl->mem.block = rl_kv_block(pl);
    return 0;
}

double rl_kv_bytes(const struct rl_plan *pl, double tokens, double enc)
{
    const struct rl_graph *g = &pl->model->graph;
    double bytes = 0;

    for (size_t i = 0; i < g->ncaches; i++) {
        const struct rl_cache *c = &g->cache[i];
        double n = tokens;
        if (c->kind == RL_CACHE_CROSS)
            n = enc;
        else if (c->kind != RL_CACHE_KV)
            continue;
        if (c->window > 0 && n > c->window)
            n = c->window;
        n = rl_div_up(n, pl->mem.block) + c->fixed;
        bytes += n * pl->mem.kv_token[i];
    }
    return bytes;
}

double rl_state_bytes(const struct rl_plan *pl)
{
    const struct rl_graph *g = &pl->model->graph;
    struct pages n = count_pages(pl);
    double bytes = 0;

    if (hybrid_pages(pl, &n))
        return grouped(n.state_layers, &n) * page_tokens(pl, &n) * n.token;
    for (size_t i = 0; i < g->ncaches; i++) {
        const struct rl_cache *c = &g->cache[i];
        if (c->kind == RL_CACHE_STATE || c->kind == RL_CACHE_CONV)
            bytes += c->layers * c->elems * share(pl, c) * elem_bytes(pl, c);
    }
    return bytes;
}

double rl_pool_bytes(const struct rl_plan *pl, const struct rl_memory *m)
{
    double rest = m->total - m->kv_cache - m->state;

    return pl->mem.utilisation < 1 ? fmax(0, m->capacity - m->runtime - rest) : 0;
}
