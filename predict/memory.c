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

#include "err.h"

#include <math.h>
#include <stdatomic.h>

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
            bytes += each * pl->wbytes[c];
    }
    return bytes;
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
    return bytes * rl_dtype_bytes(pl->kv);
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
            bytes += c->layers * c->elems * share * pl->mem.act_bytes;
    }
    return bytes;
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
        /* xz, conv out, delta, out, out_z; eager: contiguous copies of three */
        return a * (h + (eager ? 9 : 6) * d + b->dt_rank + 2 * b->state);
    case RL_BLK_MAMBA2: {
        double hs = b->ssm_heads / tp, c = d + 2 * b->groups * b->state;
        double q_len = b->chunk > 0 ? b->chunk : 256;
        double ssd = 6 * hs * b->ssm_head_dim * b->state / q_len + 4 * b->groups * q_len +
                     8 * hs; /* bytes: states, CB, dt */
        return a * (h + d + c + hs + c + d) + ssd +
               (eager ? 16 * d : 0) /* unfused norm */;
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
    double moments; /* all moments together: what an allocator that keeps freed
                       blocks ends up holding */
};

/* One pass: n new tokens in all, `longest` of them in one sequence, whose cache
 * then holds `cached`; `rows` rows of logits. */
struct pass_size {
    double n, longest, cached, rows;
};

/* The largest live set of a block, and in *sum all kinds of block together; a
 * dense mask lives through the pass, and its copy for the attention kernel
 * beside attention's own tensors. */
static double layer_peak(const struct rl_plan *pl, const struct pass_size *z, double *sum)
{
    const struct rl_graph *g = &pl->model->graph;
    double a = pl->mem.act_bytes, peak = 0, mask = 0;
    double residual = z->n * g->hidden * (g->residual_fp32 ? 4 : a);
    bool dense = g->dense_mask || (g->mask_from > 0 && z->cached >= g->mask_from);

    if (pl->mem.eager && dense && z->longest > 1)
        mask = a * z->longest * z->cached;
    *sum = residual + mask;
    for (size_t i = 0; i < g->nblocks; i++) {
        const struct rl_block *b = &g->block[i];
        double live =
            z->n * live_set(b, g->hidden, a, pl->mem.eager, pl->setup.tp) + mask;
        if (b->kind == RL_BLK_ATTN)
            live += mask;
        peak = live > peak ? live : peak;
        *sum += live - mask;
    }
    return peak + residual;
}

static struct peak pass_peak(const struct rl_plan *pl, const struct pass_size *z)
{
    const struct rl_graph *g = &pl->model->graph;
    double a = pl->mem.act_bytes, sum, layer = layer_peak(pl, z, &sum);
    double copies = g->logit_copies > 0 ? g->logit_copies : 1;
    bool upcast = pl->mem.upcast && g->logits_upcast;
    double vocab = ceil(g->vocab / pl->setup.tp);
    double logits = z->rows * vocab * (copies * a + (upcast ? 4 : 0));
    double head = z->n * g->hidden * a;

    if (layer > head + logits)
        return (struct peak){layer, 0, sum + head + logits};
    return (struct peak){head, logits, sum + head + logits};
}

/* activations and logits at the larger of prefill and a decode step */
static struct peak query_peak(const struct rl_plan *pl, const struct rl_query *q,
                              double len)
{
    double cached = q->context_depth + len, n = q->batch * len;

    if (pl->chunk > 0 && n > pl->chunk)
        n = pl->chunk;
    struct pass_size prefill = {n, fmin(n, len), cached,
                                rl_all_logits(pl, q) ? n : q->batch};
    struct pass_size step = {q->batch, 1, cached, q->batch};
    struct peak p = pass_peak(pl, &prefill), d = pass_peak(pl, &step);
    bool later = pl->model->graph.has_decode &&
                 d.activations + d.logits > p.activations + p.logits;
    return later ? d : p;
}

/* What the allocator holds.  PyTorch's keeps freed blocks, and the logits need
 * one block of their own, so that the moments add up; once that exceeds the
 * device, free blocks are given back and little more than the peak is left. */
static double reserved_bytes(const struct rl_plan *pl, const struct rl_memory *m,
                             const struct peak *p)
{
    double rest = m->total - p->activations - p->logits;
    double flushed =
        rest + div_up((p->activations + p->logits) * (1 + pl->mem.slack), pl->mem.round);
    double kept = rest + div_up(p->moments, pl->mem.round);

    if (!pl->mem.eager || kept < flushed)
        return flushed;
    return kept + m->runtime <= m->capacity ? kept : flushed;
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
    m->workspace = pl->mem.workspace + pl->mem.repack;
    /* whole bytes, so that the printed parts add up to the printed total */
    double *part[] = {&m->weights,     &m->kv_cache, &m->state,
                      &m->activations, &m->logits,   &m->workspace};
    for (size_t k = 0; k < sizeof part / sizeof *part; k++)
        *part[k] = rint(*part[k]);
    m->total =
        m->weights + m->kv_cache + m->state + m->activations + m->logits + m->workspace;
    m->capacity = pl->device->mem_bytes * pl->setup.devices;
    m->runtime = pl->mem.context + (1 - pl->mem.utilisation) * m->capacity;
    m->reserved = reserved_bytes(pl, m, &p);
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
static double longest(const struct rl_plan *pl, const struct rl_query *query,
                      bool reserved)
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

/* The answers met last: the length of the prompt has no part in them. */
struct rl_longest {
    atomic_flag busy; /* taken: do without */
    bool filled;
    struct rl_query query;
    double reserved, allocated;
};

struct rl_longest *rl_longest_new(struct rl_error *err)
{
    struct rl_longest *l = rl_alloc(1, sizeof *l, err);
    if (l)
        atomic_flag_clear(&l->busy);
    return l;
}

static bool same_but_ctx(const struct rl_query *a, const struct rl_query *b)
{
    return a->batch == b->batch && a->output_tokens == b->output_tokens &&
           a->context_depth == b->context_depth && a->logits == b->logits;
}

void rl_max_ctx(const struct rl_plan *pl, const struct rl_query *q,
                struct rl_prediction *out)
{
    struct rl_longest *l = pl->longest;
    bool mine = !atomic_flag_test_and_set_explicit(&l->busy, memory_order_acquire);
    bool known = mine && l->filled && same_but_ctx(&l->query, q);

    out->max_ctx = known ? l->reserved : longest(pl, q, true);
    out->max_ctx_allocated = known ? l->allocated : longest(pl, q, false);
    if (!mine)
        return;
    l->filled = true;
    l->query = *q;
    l->reserved = out->max_ctx;
    l->allocated = out->max_ctx_allocated;
    atomic_flag_clear_explicit(&l->busy, memory_order_release);
}
