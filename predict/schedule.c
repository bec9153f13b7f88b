/* Passes summed to a prefill and to a decode.
 *
 * A prefill longer than the runtime's chunk runs as several passes, each on a
 * longer cache; a decode of n steps as n passes on a growing cache.  Both are
 * sums of a function that is smooth in the cache length except where a window
 * is full, so they are done by Gauss-Legendre quadrature between such kinks:
 * f(a) + f(a+1) + … + f(b) ≈ ∫ f from a-½ to b+½, exact when f is linear.
 *
 * Host and device: the host enqueues while the device works, so that a pass
 * takes the longer of the two, not their sum; near equality neither hides the
 * other wholly, hence a p-norm with the runtime's exponent.
 * Ignored: overlap between kernels of one pass, and between passes.
 */
#include "schedule.h"

#include "cost.h"
#include "memo.h"
#include "pipeline.h"

#include <math.h>
#include <string.h>

/* Gauss-Legendre, 4 nodes on [-1, 1] (Abramowitz & Stegun 25.4.30). */
static const double gl_x[4] = {-0.8611363115940526, -0.3399810435848563,
                               0.3399810435848563, 0.8611363115940526};
static const double gl_w[4] = {0.3478548451374538, 0.6521451548625461, 0.6521451548625461,
                               0.3478548451374538};

/* Adds one node, all its calls in one pass, `weight` passes. */
static void add(const struct rl_plan *pl, const struct rl_bound_node *b,
                const struct rl_pass *pass, int ph, double weight, struct rl_sum *s,
                struct rl_own_error *own)
{
    struct rl_cost c;

    rl_cost_of(pl, b, pass, ph, &c);
    rl_cost_add(pl, b, &c, weight * b->node->count, s, own);
}

/* Adds a node over passes whose cache grows linearly from `from` to `to`
 * (real numbers), n passes in all. */
static void add_over(const struct rl_plan *pl, const struct rl_bound_node *b,
                     struct rl_pass pass, int ph, double from, double to, double n,
                     struct rl_sum *s)
{
    double kink[2] = {b->window, b->alt ? b->alt_from : 0}, knot[4] = {from};
    struct rl_own_error own = {0, 0};
    int nknots = 1;

    if (to - from < 1e-9) {
        pass.cached = 0.5 * (from + to);
        add(pl, b, &pass, ph, n, s, &own);
        rl_cost_close(&own, s);
        return;
    }
    for (int k = 0, first = kink[1] < kink[0]; k < 2; k++) {
        double at = kink[first ? 1 - k : k];
        if (at > knot[nknots - 1] && at < to)
            knot[nknots++] = at;
    }
    knot[nknots++] = to;
    for (int k = 0; k + 1 < nknots; k++) {
        double mid = 0.5 * (knot[k] + knot[k + 1]), half = 0.5 * (knot[k + 1] - knot[k]);
        for (int i = 0; i < 4; i++) {
            pass.cached = mid + half * gl_x[i];
            add(pl, b, &pass, ph, n * half / (to - from) * gl_w[i], s, &own);
        }
    }
    rl_cost_close(&own, s);
}

/* A governor lowers the clock of a GPU that waits for its host until it is busy for
 * its target's share of the time, or the clock is at its lowest.  DRAM keeps its
 * own clock. */
static void slow_down(const struct rl_plan *pl, struct rl_sum *s)
{
    const struct rl_device *d = pl->device;
    double busy = d->load_target * s->host, memory = s->by_bound[RL_B_MEMORY];

    s->slowed = 1;
    if (!(d->min_hz > 0 && s->gpu > 0 && busy > s->gpu))
        return;
    double slowest = memory + (s->gpu - memory) * fmax(1, d->boost_hz / d->min_hz);
    double factor = s->slowed = fmin(busy, slowest) / s->gpu;
    s->gpu *= factor;
    s->lo2 *= factor * factor;
    s->hi2 *= factor * factor;
    for (int i = 0; i < RL_NCLASSES; i++)
        s->by_class[i] *= factor;
    for (int i = 0; i < RL_NBOUNDS; i++)
        s->by_bound[i] *= factor;
    for (int i = 0; i < pl->ngroups; i++) {
        s->lo[i] *= factor;
        s->hi[i] *= factor;
    }
}

/* How an error of the kernels' or of the host's time shows in the wall time: the
 * shorter of the two, of weight `minor`, is hidden behind the longer. */
static void weigh(struct rl_sum *s, bool kernels, double minor, double step_s)
{
    double total = s->wall + step_s, joined = total > 0 ? s->wall / total : 1;

    s->gpu_weight = joined * (kernels ? 1 - minor : minor);
    s->host_weight = 1 - s->gpu_weight;
}

/* Host time of `passes` passes, and the two joined. */
static void join(const struct rl_plan *pl, struct rl_sum *s, double batch, double tokens,
                 int ph)
{
    bool graph = ph ? pl->graph_decode : pl->graph_prefill;
    double e = pl->overlap;
    double step = s->passes * pl->step_host_s[ph] + batch * pl->sequence_host_s[ph];

    s->launches += s->passes * pl->step_launches[ph];
    s->host += s->passes * pl->step_launches[ph] * pl->host_launch_s;
    if (graph)
        s->host = 0;
    slow_down(pl, s);
    double device = s->gpu + (graph ? 0 : s->launches * pl->front_s);
    double longer = fmax(device, s->host), shorter = fmin(device, s->host);
    double ratio = longer > 0 ? shorter / longer : 0;
    /* below a twentieth the shorter one adds nothing that shows for e = 6 */
    double minor = ratio > 0.05 ? pow(ratio, e) : 0;
    s->wall = minor > 0 ? longer * pow(1 + minor, 1 / e) : longer;
    weigh(s, device >= s->host, minor / (1 + minor), step);
    s->wall += step;
    rl_pipeline(pl, s, ph, tokens);
    s->by_class[RL_CLS_LAUNCH] += fmax(0, s->wall - s->gpu);
}

/* How a prefill is cut: `full` passes of `tokens` tokens of `batch` sequences,
 * whose cache starts at `depth` and grows by `tokens` within a sequence. */
struct cut {
    double batch, tokens, passes; /* passes along one sequence */
    double groups;                /* how many such runs, one after another */
    enum rl_memo_slot slot;
};

static void run_cut(const struct rl_plan *pl, const struct rl_query *q, struct cut c,
                    double depth, double rows, struct rl_sum *s)
{
    struct rl_pass pass = {.batch = c.batch, .tokens = c.tokens, .rows = rows};
    double n = c.passes;
    if (c.batch <= 0 || c.tokens <= 0 || n <= 0 || c.groups <= 0)
        return;
    pass.enc = q->ctx;
    double first = depth + c.tokens, last = depth + n * c.tokens;
    double half = n > 1 ? 0.5 * c.tokens : 0;
    rl_memo_add(pl, &pass, 0, c.slot, n * c.groups, s);
    for (int i = 0; i < pl->nnodes; i++)
        if ((pl->node[i].phase & RL_PREFILL) && pl->node[i].on_cache)
            add_over(pl, &pl->node[i], pass, 0, first - half, last + half, n * c.groups,
                     s);
    s->passes += n * c.groups;
}

double rl_chunk_tokens(const struct rl_plan *pl, double len)
{
    const struct rl_graph *g = &pl->model->graph;

    if (pl->chunk <= 0 || g->encoder_decoder || g->diffusion)
        return 0;
    return g->has_decode ? pl->chunk : fmax(pl->chunk, len);
}

double rl_prompt_tokens(const struct rl_plan *pl, const struct rl_query *q)
{
    const struct rl_graph *g = &pl->model->graph;

    if (g->encoder_decoder)
        return g->decoder_start;
    return q->ctx + (q->context_depth > 0 ? 0 : g->prefix);
}

double rl_cached_tokens(const struct rl_plan *pl, const struct rl_query *q)
{
    const struct rl_graph *g = &pl->model->graph;

    return g->encoder_decoder ? g->decoder_start : g->prefix + q->context_depth + q->ctx;
}

double rl_logit_rows(const struct rl_plan *pl, const struct rl_query *q, double tokens)
{
    double prompt = rl_prompt_tokens(pl, q);
    double dropped = pl->model->graph.encoder_decoder ? 0 : prompt - q->ctx;

    return rl_all_logits(pl, q) ? tokens * (1 - dropped / prompt) : 1;
}

void rl_prefill(const struct rl_plan *pl, const struct rl_query *q, struct rl_sum *s)
{
    double len = rl_prompt_tokens(pl, q);
    double chunk = rl_chunk_tokens(pl, len), batch = q->batch;
    double depth = rl_cached_tokens(pl, q) - len;
    double first = chunk > 0 ? fmin(chunk, len) : len;

    memset(s, 0, sizeof *s);
    if (chunk <= 0 || len * batch <= chunk) {
        struct cut c = {batch, len, 1, 1, RL_MEMO_OTHER_CHUNK};
        run_cut(pl, q, c, depth, batch * rl_logit_rows(pl, q, len), s);
    } else if (len <= chunk) { /* several whole sequences a pass */
        double per = floor(chunk / len), full = floor(batch / per);
        double rest = batch - full * per;
        struct cut a = {per, len, 1, full, RL_MEMO_FULL_CHUNK},
                   z = {rest, len, 1, 1, RL_MEMO_OTHER_CHUNK};
        run_cut(pl, q, a, depth, per * rl_logit_rows(pl, q, len), s);
        run_cut(pl, q, z, depth, rest * rl_logit_rows(pl, q, len), s);
    } else { /* one sequence in several passes */
        double full = floor(len / chunk), rest = len - full * chunk;
        struct cut a = {1, chunk, full, batch, RL_MEMO_FULL_CHUNK},
                   z = {1, rest, 1, batch, RL_MEMO_OTHER_CHUNK};
        run_cut(pl, q, a, depth, rl_logit_rows(pl, q, chunk), s);
        run_cut(pl, q, z, depth + full * chunk, rl_logit_rows(pl, q, rest), s);
    }
    s->deepest = (depth + len) / (depth + 0.5 * (len + first));
    join(pl, s, q->batch, batch * len, 0);
}

/* The pass of one decode step, but for the cache length. */
static struct rl_pass decode_pass(const struct rl_plan *pl, const struct rl_query *q,
                                  double n, double *first)
{
    const struct rl_graph *g = &pl->model->graph;
    struct rl_pass pass = {.batch = q->batch, .tokens = 1, .rows = q->batch};
    pass.enc = q->ctx;
    *first = rl_cached_tokens(pl, q) + 1;
    if (g->diffusion) { /* every step runs the whole sequence again */
        pass.tokens = q->context_depth + q->ctx + n;
        pass.rows = q->batch * pass.tokens;
    }
    return pass;
}

void rl_decode(const struct rl_plan *pl, const struct rl_query *q, double n,
               struct rl_sum *s)
{
    double first;
    struct rl_pass pass = decode_pass(pl, q, n, &first);
    unsigned want = rl_cost_phase(pl, 1);

    memset(s, 0, sizeof *s);
    double from = first - 0.5, to = first + n - 0.5;
    if (pl->model->graph.diffusion)
        from = to = pass.tokens;
    else if (n <= 1)
        from = to = first;
    rl_memo_add(pl, &pass, 1, RL_MEMO_STEP, 1, s);
    for (int i = 0; i < pl->nnodes; i++)
        if ((pl->node[i].phase & want) && pl->node[i].on_cache)
            add_over(pl, &pl->node[i], pass, 1, from, to, 1, s);
    s->passes = 1;
    join(pl, s, q->batch, q->batch, 1);
}

void rl_sum_interval(const struct rl_plan *pl, const struct rl_sum *s, int ph,
                     struct rl_interval *out)
{
    double lo2 = s->lo2, hi2 = s->hi2;
    double own = RL_Z90 * pl->spread[ph];
    double kernels = s->gpu > 0 ? s->gpu_weight / s->gpu : 0;
    double host_lo = s->host_weight * pl->host_log_lo;
    double host_hi = s->host_weight * pl->host_log_hi;

    for (int g = 0; g < pl->ngroups; g++) {
        lo2 += s->lo[g] * s->lo[g];
        hi2 += s->hi[g] * s->hi[g];
    }
    lo2 = kernels * kernels * lo2 + host_lo * host_lo + own * own;
    hi2 = kernels * kernels * hi2 + host_hi * host_hi + own * own;
    out->value = s->wall;
    out->lo = s->wall * exp(-sqrt(lo2));
    out->hi = s->wall * exp(sqrt(hi2));
}
