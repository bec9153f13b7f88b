/* Peak memory: weights, cache, state, activations, logits, workspace, and what
 * allocator and context add.
 *
 * The peak of a pass is the largest of a few moments, and what counts is which
 * tensors live together there: inside a block (residual stream, block's own
 * intermediates, a dense mask if the stack builds one) or at the head (hidden
 * states and the logits of every row computed).  Block intermediates are
 * counted per kind in live_set(), in elements per new token, for stacks that
 * keep every intermediate (PyTorch eager) and for fused ones.
 * Sources: modelling code of transformers and mamba_ssm, c10's caching
 * allocator; checked against SSM-Scope's allocated and reserved peaks.
 */
#include "memory.h"

#include <math.h>

static double div_up(double x, double unit)
{
    return unit > 0 ? ceil(x / unit) * unit : x;
}

double rl_weight_bytes(const struct rl_plan *pl)
{
    const struct rl_graph *g = &pl->model->graph;
    double bytes = 0;

    for (int c = 1; c < RL_NWCLASSES; c++) {
        double split = g->resident_split[c] / pl->setup.tp;
        double each = split + (g->resident[c] - g->resident_split[c]);
        double exact = pl->setup.dtype ? 0 : pl->model->gguf_bytes[c];
        if (exact > 0 && g->resident[c] > 0)
            bytes += exact * each / g->resident[c];
        else
            bytes += each * rl_dtype_bytes(pl->wdtype[c]);
    }
    return bytes / pl->setup.devices;
}

double rl_kv_bytes(const struct rl_plan *pl, double tokens, double enc)
{
    const struct rl_graph *g = &pl->model->graph;
    double block = pl->mem.kv_block, bytes = 0;

    for (size_t i = 0; i < g->ncaches; i++) {
        const struct rl_cache *c = &g->cache[i];
        double n = tokens;
        if (c->kind == RL_CACHE_CROSS)
            n = enc;
        else if (c->kind != RL_CACHE_KV)
            continue;
        if (c->window > 0 && n > c->window)
            n = c->window;
        n = div_up(n, block) + c->fixed;
        /* heads are dealt out to the ranks, the last one not cut */
        double share =
            c->kv_heads > 0 ? ceil(c->kv_heads / pl->setup.tp) / c->kv_heads : 1;
        bytes += c->layers * c->elems * n * share;
    }
    return bytes * rl_dtype_bytes(pl->kv) / pl->setup.devices;
}

double rl_state_bytes(const struct rl_plan *pl)
{
    const struct rl_graph *g = &pl->model->graph;
    double bytes = 0;

    for (size_t i = 0; i < g->ncaches; i++) {
        const struct rl_cache *c = &g->cache[i];
        double share =
            c->kv_heads > 0 ? ceil(c->kv_heads / pl->setup.tp) / c->kv_heads : 1;
        if (c->kind == RL_CACHE_STATE)
            bytes += c->layers * c->elems * share * rl_dtype_bytes(pl->state);
        else if (c->kind == RL_CACHE_CONV)
            bytes += c->layers * c->elems * share * rl_dtype_bytes(pl->act);
    }
    return bytes / pl->setup.devices;
}

/* Intermediates of one block alive at its worst moment, bytes per new token:
 * `a` bytes an activation, `eager`: nothing is fused. */
static double live_set(const struct rl_block *b, double h, double a, bool eager,
                       double tp)
{
    double q = b->heads * b->head_dim / tp, kv = b->kv_heads * b->head_dim / tp;
    double v = b->heads * (b->v_dim > 0 ? b->v_dim : b->head_dim) / tp;
    double d = b->inner / tp, f = b->inter / tp;

    switch (b->kind) {
    case RL_BLK_ATTN:
    case RL_BLK_CROSS:
    case RL_BLK_ENCODER:
        /* normed input, q, k, v, rotated q and k or the output */
        return a * (h + q + 2 * kv + (eager ? q + kv : 0) + v);
    case RL_BLK_MLA:
        return a * (h + b->heads / tp * (3 * b->head_dim + 2 * b->v_dim));
    case RL_BLK_MLP:
        /* act(gate), up and their product; fused: gate_up and product */
        return a * (h + (b->gated ? 3 : 2) * f);
    case RL_BLK_MOE:
        return a * (2 * h + b->topk * (2 * h + (b->gated ? 3 : 2) * f));
    case RL_BLK_MAMBA1:
        /* xz, conv out, delta, out, out_z */
        return a * (h + 6 * d + b->dt_rank + 2 * b->state);
    case RL_BLK_MAMBA2: {
        double hs = b->ssm_heads / tp, c = d + 2 * b->groups * b->state;
        double q_len = b->chunk > 0 ? b->chunk : 256;
        double ssd = 6 * hs * b->ssm_head_dim * b->state / q_len + 4 * b->groups * q_len +
                     8 * hs; /* bytes: states, CB, dt */
        return a * (h + d + c + hs + c + d) + ssd + (eager ? 12 * d : 0);
    }
    case RL_BLK_GDN:
    case RL_BLK_KDA:
    case RL_BLK_LINEAR: {
        double qk = 2 * b->heads * b->head_dim / tp;
        return a * (h + 3 * (qk + 2 * v)) + a * 2 * v * b->head_dim / 64;
    }
    case RL_BLK_RGLRU:
        return a * (h + 4 * d) + 8 * d;
    case RL_BLK_SHORTCONV:
        return a * (h + 5 * h);
    default:
        return a * h;
    }
}

struct peak {
    double activations, logits;
};

/* The largest moment of one pass with `rows` rows of logits. */
static struct peak pass_peak(const struct rl_plan *pl, double batch, double tokens,
                             double cached, double rows, bool eager)
{
    const struct rl_graph *g = &pl->model->graph;
    double a = rl_dtype_bytes(pl->act), n = batch * tokens, layer = 0;
    double residual = g->hidden * (g->residual_fp32 ? 4 : a);
    struct peak p;

    for (size_t i = 0; i < g->nblocks; i++) {
        double live = live_set(&g->block[i], g->hidden, a, eager, pl->setup.tp);
        layer = live > layer ? live : layer;
    }
    layer = n * (residual + layer);
    if (eager && tokens > 1) /* a dense mask per sequence, and its transient copy */
        layer += pl->mem.mask_bytes * tokens * cached;
    bool upcast = pl->mem.upcast && g->logits_upcast;
    double copies = g->logit_copies > 0 ? g->logit_copies : 1;
    double vocab = ceil(g->vocab / pl->setup.tp);
    double logits = rows * vocab * (copies * a + (upcast ? 4 : 0));
    double head = n * g->hidden * a;
    if (!g->has_decode && g->vocab <= 0)
        logits = 0;
    if (layer > head + logits) {
        p.activations = layer;
        p.logits = 0;
    } else {
        p.activations = head;
        p.logits = logits;
    }
    return p;
}

static double rows_of(const struct rl_plan *pl, const struct rl_query *q, double tokens)
{
    bool all =
        q->logits == RL_LOGITS_ALL || (q->logits == RL_LOGITS_RUNTIME && pl->logits_all);
    return all ? tokens : 1;
}

/* activations and logits at the larger of prefill and a decode step */
static struct peak query_peak(const struct rl_plan *pl, const struct rl_query *q,
                              double len)
{
    bool eager = pl->mem.eager;
    double cached = q->context_depth + len, tokens = len, batch = q->batch;

    if (pl->chunk > 0 && tokens * batch > pl->chunk) {
        tokens = fmin(tokens, pl->chunk);
        batch = fmax(1, floor(pl->chunk / tokens));
    }
    double rows = batch * rows_of(pl, q, tokens);
    struct peak p = pass_peak(pl, batch, tokens, cached, rows, eager);
    struct peak d = pass_peak(pl, q->batch, 1, cached, q->batch, eager);
    if (pl->model->graph.has_decode &&
        d.activations + d.logits > p.activations + p.logits)
        return d;
    return p;
}

static double round_reserved(const struct rl_plan *pl, double peak)
{
    return div_up(peak * (1 + pl->mem.slack), pl->mem.round);
}

void rl_memory(const struct rl_plan *pl, const struct rl_query *q, struct rl_memory *m)
{
    const struct rl_graph *g = &pl->model->graph;
    double steps = q->output_tokens > 1 ? q->output_tokens - 1 : 0;
    double enc = g->encoder_decoder ? q->ctx : 0;
    double prompt = g->encoder_decoder ? g->decoder_start : q->ctx;
    struct peak p = query_peak(pl, q, g->encoder_decoder ? q->ctx : prompt);

    m->weights = rl_weight_bytes(pl);
    m->kv_cache = g->has_decode
                      ? q->batch * rl_kv_bytes(pl, q->context_depth + prompt + steps, enc)
                      : 0;
    m->state = q->batch * rl_state_bytes(pl);
    m->activations = p.activations;
    m->logits = p.logits;
    m->workspace = pl->mem.workspace;
    m->total =
        m->weights + m->kv_cache + m->state + m->activations + m->logits + m->workspace;
    m->reserved = m->total + round_reserved(pl, m->activations + m->logits) -
                  (m->activations + m->logits);
    m->capacity = pl->device->mem_bytes;
    m->runtime = pl->mem.context + (1 - pl->mem.utilisation) * m->capacity;
}

static double excess(const struct rl_plan *pl, struct rl_query *q, double ctx,
                     bool reserved)
{
    struct rl_memory m;
    q->ctx = ctx;
    rl_memory(pl, q, &m);
    return (reserved ? m.reserved : m.total) + m.runtime - m.capacity;
}

/* excess() never falls with ctx and is piecewise near-linear (rounding steps
 * apart): a bracket by doubling, then bisection biased by the secant. */
double rl_max_ctx(const struct rl_plan *pl, const struct rl_query *query, bool reserved)
{
    const double limit = 1099511627776.0; /* 2^40 tokens: nothing grows */
    struct rl_query q = *query;
    double lo = 1, flo = excess(pl, &q, lo, reserved), hi, fhi;

    if (flo > 0)
        return 0;
    fhi = excess(pl, &q, limit, reserved);
    if (fhi <= 0)
        return NAN;
    hi = limit;
    for (int i = 0; i < 200 && hi - lo > 1; i++) {
        double x = lo + (hi - lo) * (-flo / (fhi - flo));
        if (i % 3 == 2)
            x = 0.5 * (lo + hi);
        x = floor(fmin(fmax(x, lo + 1), hi - 1));
        double f = excess(pl, &q, x, reserved);
        if (f <= 0) {
            lo = x;
            flo = f;
        } else {
            hi = x;
            fhi = f;
        }
    }
    return lo;
}
