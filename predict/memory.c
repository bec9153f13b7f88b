/* Peak memory: weights, cache, state, activations, logits, workspace, and what
 * allocator and context add.
 *
 * The peak of a pass is the largest of a few moments, and what counts is which
 * tensors live together there: inside a block (residual stream, block's own
 * intermediates, a dense mask if the stack builds one) or at the head (hidden
 * states and the logits of every row computed).  What a block takes says
 * memory_block.c.
 * Sources: c10's caching allocator; checked against SSM-Scope's allocated and
 * reserved peaks.
 */
#include "memory.h"

#include "err.h"
#include "memory_block.h"
#include "ops.h"
#include "schedule.h"

#include <math.h>
#include <stdatomic.h>

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

/* The answers met last: the length of the prompt has no part in them. */
struct rl_longest {
    atomic_flag busy; /* taken: do without */
    bool filled;
    struct rl_query query;
    double reserved, allocated;
};

/* Bytes that the scores of one new token and one cached hold, where the block's
 * attention keeps them in memory. */
static double score_bytes(const struct rl_plan *pl, const struct rl_block *b)
{
    struct rl_attn_call call = {b->head_dim, b->v_dim, pl->act, pl->kv};
    struct rl_attn_refusal why;
    bool attends =
        b->kind == RL_BLK_ATTN || b->kind == RL_BLK_CROSS || b->kind == RL_BLK_ENCODER;

    if (!attends || pl->ideal)
        return 0;
    const struct rl_attn_kernel *k = rl_attn_kernel(pl, &call, &why);
    return k && k->op == &rl_op_attention_scores
               ? b->heads / pl->setup.tp * pl->mem.score_live
               : 0;
}

int rl_memory_bind(struct rl_plan *pl, struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;
    double a = pl->mem.act_bytes, tp = pl->setup.tp;

    pl->mem.live = rl_alloc(g->nblocks, sizeof *pl->mem.live, err);
    pl->mem.tensor = rl_alloc(g->nblocks, sizeof *pl->mem.tensor, err);
    pl->mem.scores = rl_alloc(g->nblocks, sizeof *pl->mem.scores, err);
    pl->longest = rl_alloc(1, sizeof *pl->longest, err);
    if (!pl->mem.live || !pl->mem.tensor || !pl->mem.scores || !pl->longest ||
        rl_cache_bind(pl, err))
        return -1;
    atomic_flag_clear(&pl->longest->busy);
    for (size_t i = 0; i < g->nblocks; i++) {
        const struct rl_block *b = &g->block[i];
        pl->mem.live[i] = rl_block_live(b, g->hidden, a, pl->mem.eager, tp);
        pl->mem.tensor[i] = rl_block_largest(b, g->hidden, a, tp);
        pl->mem.scores[i] = score_bytes(pl, b);
    }
    pl->mem.weights = rl_weight_bytes(pl);
    pl->mem.state = rl_state_bytes(pl);
    return 0;
}

struct peak {
    double activations, logits;
    /* what an allocator that keeps freed blocks ends up holding: tensors that find
       room in them or in what loading left, and such as need blocks of their own */
    double small, rows, masks;
};

/* One pass: n new tokens in all, `longest` of them in one sequence, whose cache
 * then holds `cached`; `rows` rows of logits. */
struct pass_size {
    double n, longest, cached, rows;
    double cache; /* bytes of cache and state that the pass leaves behind */
};

static double mask_bytes(const struct rl_plan *pl, const struct pass_size *z)
{
    const struct rl_graph *g = &pl->model->graph;
    bool windowed = pl->mem.masks && g->mask_from > 0 && z->cached >= g->mask_from;
    bool dense = g->dense_mask || windowed;

    return pl->mem.eager && dense && z->longest > 1
               ? pl->mem.act_bytes * z->longest * z->cached
               : 0;
}

/* Bytes of block i's intermediates at its worst moment. */
static double block_live(const struct rl_plan *pl, const struct pass_size *z, size_t i)
{
    double live = pl->mem.live[i] + z->cached * pl->mem.scores[i];

    if (pl->mem.plain && z->longest > 1)
        live += rl_block_plain(&pl->model->graph.block[i], z->longest, pl->setup.tp);
    return z->n * live;
}

/* What the blocks' tensors take of an allocator that keeps freed ones: the largest
 * kind's, and of the others such tensors as are larger than any of it freed. */
static double kept_tensors(const struct rl_plan *pl, const struct pass_size *z)
{
    const struct rl_graph *g = &pl->model->graph;
    double most = 0, tensor = 0, more = 0;

    for (size_t i = 0; i < g->nblocks; i++) {
        double live = block_live(pl, z, i);
        if (live > most) {
            most = live;
            tensor = z->n * pl->mem.tensor[i];
        }
    }
    for (size_t i = 0; i < g->nblocks; i++) {
        double t = z->n * pl->mem.tensor[i];
        if (t > tensor) {
            more += t;
            tensor = t;
        }
    }
    return most + more;
}

/* The largest live set of a block; a dense mask lives through the pass, and its copy
 * for the attention kernel beside attention's own tensors. */
static double layer_peak(const struct rl_plan *pl, const struct pass_size *z,
                         struct peak *p)
{
    const struct rl_graph *g = &pl->model->graph;
    double a = pl->mem.act_bytes, mask = mask_bytes(pl, z), peak = 0, copy = 0;
    double residual = z->n * g->hidden * (g->residual_fp32 ? 4 : a);

    for (size_t i = 0; i < g->nblocks; i++) {
        bool attends = g->block[i].kind == RL_BLK_ATTN;
        double live = block_live(pl, z, i) + (attends ? 2 : 1) * mask;
        copy = attends ? mask : copy;
        peak = live > peak ? live : peak;
    }
    if (pl->mem.eager) {
        p->small = residual + kept_tensors(pl, z);
        p->masks = mask + copy;
    }
    /* building the mask: full, its triangle, and two of one byte an entry that say
       which entries count; no layer has put anything into the cache yet */
    double built = 3 * mask + z->n * g->hidden * a - z->cache;
    return fmax(peak + residual, built);
}

static struct peak pass_peak(const struct rl_plan *pl, const struct pass_size *z)
{
    const struct rl_graph *g = &pl->model->graph;
    struct peak p = {0};
    double a = pl->mem.act_bytes, layer = layer_peak(pl, z, &p);
    double copies = g->logit_copies > 0 ? g->logit_copies : 1;
    bool upcast = pl->mem.upcast && g->logits_upcast;
    double vocab = ceil(g->vocab / pl->setup.tp);
    double head = z->n * g->hidden * a;

    p.rows = z->rows * vocab * (copies * a + (upcast ? 4 : 0));
    p.activations = layer;
    if (layer <= head + p.rows) {
        p.activations = head;
        p.logits = p.rows;
    }
    return p;
}

static struct peak larger(struct peak a, struct peak b)
{
    return a.activations + a.logits >= b.activations + b.logits ? a : b;
}

/* Of an encoder-decoder the encoder runs over the context and has no logits; the
 * decoder's first pass is over its start tokens. */
static struct peak prefill_peak(const struct rl_plan *pl, const struct rl_query *q,
                                double cache)
{
    const struct rl_graph *g = &pl->model->graph;
    bool all = rl_all_logits(pl, q);
    double prompt = rl_prompt_tokens(pl, q), start = q->batch * g->decoder_start;

    if (g->encoder_decoder) {
        struct pass_size enc = {q->batch * q->ctx, q->ctx, q->ctx, 0, cache};
        struct pass_size dec = {start, g->decoder_start, g->decoder_start,
                                all ? start : q->batch, cache};
        return larger(pass_peak(pl, &enc), pass_peak(pl, &dec));
    }
    double chunk = rl_chunk_tokens(pl, prompt), n = q->batch * prompt;
    if (chunk > 0 && n > chunk)
        n = chunk;
    struct pass_size z = {n, fmin(n, prompt), rl_cached_tokens(pl, q),
                          all ? rl_logit_rows(pl, q, n) : q->batch, cache};
    return pass_peak(pl, &z);
}

/* What loading the weights left with the allocator: a block for all parameters that
 * is then cut up, shared ones counted at each use (transformers), or segments that
 * the cast from float did not empty (mamba_ssm). */
static double loaded_bytes(const struct rl_plan *pl, const struct rl_memory *m)
{
    double again = pl->model->graph.shared_again * rl_dtype_bytes(pl->act);

    return m->weights * pl->mem.load + (pl->mem.warmup ? again : 0);
}

/* The 90 % interval.  Weights, cache and state are known.  Masks are blocks of a size
 * that nothing else has: their holes fragment, and an allocator that holds half the
 * device or more may have flushed well before all room was used, at 0.7 of it surely may,
 * or hold all of it where its flush left more than the peak (both shares chosen with
 * SSM-Scope's Zamba2 at 24,576 to 49,152 tokens in view). */
static void reserved_interval(const struct rl_plan *pl, struct rl_memory *m, double masks,
                              double kept, double flushed)
{
    double pressure = fmin(1, fmax(0, (kept / m->capacity - 0.5) / (0.7 - 0.5)));

    m->reserved_lo = fmax(m->reserved * (1 - pl->mem.spread_reserved),
                          m->weights + m->kv_cache + m->state);
    m->reserved_hi = m->reserved * (1 + pl->mem.spread_reserved);
    if (!(masks > 0) || !(pressure > 0))
        return;
    m->reserved_lo -= pressure * fmax(0, m->reserved_lo - flushed);
    m->reserved_hi = fmax(m->reserved_hi, fmin(kept, m->capacity - m->runtime));
}

/* What the allocator holds.  PyTorch's keeps freed blocks: small tensors take each
 * other's, or the room that loading left; logits and masks are larger than any, but
 * for the table in float that a cast leaves.  Once all that exceeds the device, free
 * blocks are given back and little more than the peak is left. */
static void reserve(const struct rl_plan *pl, struct rl_memory *m, const struct peak *p)
{
    const struct rl_graph *g = &pl->model->graph;
    double active = (p->activations + p->logits) * (1 + pl->mem.slack);
    double rest = m->total - p->activations - p->logits;
    double flushed = rest + rl_div_up(active, pl->mem.round);

    m->reserved = flushed;
    if (!pl->mem.eager) {
        reserved_interval(pl, m, 0, flushed, flushed);
        return;
    }
    double loaded = loaded_bytes(pl, m), spare = loaded - m->weights, more = p->masks;
    double piece = pl->mem.warmup ? spare : 4 * g->vocab * g->hidden;
    if (p->rows <= fmin(piece, spare))
        spare -= p->rows;
    else
        more += p->rows;
    more += fmax(0, p->small + m->kv_cache + m->state - spare);
    double kept = loaded + m->workspace + rl_div_up(more, pl->mem.round);
    flushed = fmax(flushed, loaded + m->workspace);
    bool fits = kept + m->runtime <= m->capacity;
    m->reserved = kept > flushed && fits ? kept : flushed;
    reserved_interval(pl, m, p->masks, kept, flushed);
}

void rl_memory(const struct rl_plan *pl, const struct rl_query *q, struct rl_memory *m)
{
    const struct rl_graph *g = &pl->model->graph;
    double steps = q->output_tokens > 1 ? q->output_tokens - 1 : 0;
    double enc = g->encoder_decoder ? q->ctx : 0;
    double prompt = g->encoder_decoder ? g->decoder_start : q->ctx;
    double held = q->context_depth + prompt;

    m->weights = pl->mem.weights;
    m->state = q->batch * pl->mem.state;
    m->kv_cache = g->has_decode ? q->batch * rl_kv_bytes(pl, held, enc) : 0;
    struct peak p = prefill_peak(pl, q, m->kv_cache + m->state);
    if (g->has_decode) { /* of prefill and the last step the one that takes more */
        double last = q->batch * rl_kv_bytes(pl, held + steps, enc);
        double all =
            rl_cached_tokens(pl, q) + steps; /* a diffusion model runs them all */
        double new = g->diffusion ? all : 1;
        struct pass_size step = {q->batch * new, new, all, q->batch *new,
                                 last + m->state};
        struct peak d = pass_peak(pl, &step);

        if (last + d.activations + d.logits > m->kv_cache + p.activations + p.logits) {
            m->kv_cache = last;
            p.activations = d.activations;
            p.logits = d.logits;
        }
    }
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
    reserve(pl, m, &p);
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
