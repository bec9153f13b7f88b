/* GEMM: what L2 holds from one use of an operand to the next, what DRAM moves, and the
 * kernel that quantises the activations. */
#include "gemm_call.h"

#include <math.h>

/* Elements of a warp's vectors of 16, warps that an SM issues at once. */
static const double WARP = 512, SCHEDULERS = 4;

/* Share of a working set that a cache does not hold: rises smoothly about its
 * size, since L2 replaces lines at random rather than in order. */
static double miss(double set, double room, double sharp)
{
    double x = pow(set / room, sharp);
    return isfinite(x) ? x / (1 + x) : 1;
}

/* Bytes read from DRAM once more since L2 does not hold them until the CTAs come back
 * to them: W where rows of tiles go through all columns, else X. */
static double again(const struct rl_gemm *g, const struct rl_machine *mc,
                    const struct rl_gemm_tile *t, double w, double x, double room)
{
    double sharp = g->c[RL_G_KEEP_SHARP], rows = rl_whole(g->m / t->a);
    if (t->cta.warps == 0)
        return 0;
    if (t->cta.strip > 0)
        return w * fmax(0, rows / t->cta.strip - 1) * miss(w, room, sharp);
    double cols =
        fmax(1, mc->sm * t->cta.resident / rows); /* of tiles at the same time */
    double both = x + w * fmin(1, cols * t->b / g->n);
    return x * fmax(0, g->n / (cols * t->b) - 1) * miss(both, room, sharp);
}

/* What comes between quantising X and reading it is X alone, what comes between two
 * calls that read it all that they use in turn. */
void rl_gemm_dram(struct rl_gemm *g, const struct rl_machine *mc, double k,
                  double x_bytes, const struct rl_gemm_tile *tile)
{
    const double *c = g->c;
    const struct rl_gemm_stack *in = g->stack;
    double w = g->n * k * g->wb, x = g->m * k * g->xb, y = g->m * g->n * RL_GEMM_OUT;
    double held = x + g->m * k * x_bytes; /* X as it is and quantised */
    double room = c[RL_G_KEEP] * mc->l2_bytes + 1, once = w + held + y;
    double all = in->weights, ymiss = miss(once, room, c[RL_G_KEEP_SHARP]);
    double wmiss = 1;
    g->xmiss = ymiss;
    g->calls = 1;
    if (mc->warm > 0) {
        if (in->fill)
            all = fmin(all, fmax(1, rl_whole(mc->l2_bytes / w)));
        g->calls = in->alone ? 1 : all;
        double between = in->inputs > 1 ? all * (w + held) + y : all * w + held + y;
        wmiss = miss(between, room, c[RL_G_KEEP_SHARP]);
        if (in->inputs > 1)
            g->xmiss = wmiss;
        if (tile) /* Y comes back with the next call, all operands in between */
            ymiss = wmiss;
    }
    g->qmiss = x_bytes > 0 ? miss(held, room, c[RL_G_KEEP_SHARP]) : g->xmiss;
    double bw = c[RL_G_DRAM] * mc->dram_peak;
    double more = tile ? again(g, mc, tile, w, x, room) : 0;
    g->in_s = (w * wmiss + x * g->qmiss + more) / bw;
    g->dram_s = g->in_s + y * ymiss / bw;
    g->out_s = fmax(0, y - room) * ymiss / bw;
}

/* TensorRT-LLM's Linear quantises by tensor where nobody gave it a scale of X, as its
 * benchmark does not (linear.py; thop/fp8Op.cpp; common/cudaFp8Utils.cu): 1,024 CTAs of
 * 1,024 threads look for the largest element, 1,024 of 256 read X again and write it, an
 * element a thread at a time.  So elements count and no rows.  On Blackwell alone the
 * first kernel takes longer the more of its CTAs have an element at all. */
static const double FINDS = 1024 * 1024, WRITES = 1024 * 256; /* threads */
static const double ALL_FIND_S = 1.8e-6;                      /* 1.6 to 2 do alike */

static double quantise_tensor(const struct rl_gemm *g, const struct rl_machine *mc)
{
    const double *c = g->c;
    double x = g->m * g->k, room = c[RL_G_KEEP] * mc->l2_bytes + 1;
    double again = miss(RL_GEMM_IN * x, room, c[RL_G_KEEP_SHARP]);
    double bytes = c[RL_G_QUANT_BW] * (RL_GEMM_IN * (g->xmiss + again) + g->qmiss) * x;
    double issue = RL_GEMM_US * c[RL_G_QUANT_CTA] * x / WRITES;
    double find = mc->cc >= 100 ? ALL_FIND_S * fmin(x / FINDS, 1) : 0;

    return rl_cbrt(rl_cube(issue) + rl_cube(bytes / mc->dram)) + find;
}

static double rounds_of(double k, double rows)
{
    return (1 + rl_whole(rows * rl_whole(k / WARP) / SCHEDULERS)) / rows;
}

/* The kernels that quantise X are bound by instructions, a scheduler's warps one after
 * another, and a CTA's start takes as long as one of them: rounds per row. vLLM takes
 * a row a CTA, sgl-kernel from two of its CTAs an SM on eight. Within a model (warm 0),
 * where more rows would come out faster, fewer take no longer than that many. */
static double rounds(const struct rl_gemm *g, double warm)
{
    double pack = g->stack->pack, rows = g->m * g->per_sm;
    if (pack < 1)
        return 1;
    double packed = rounds_of(g->k, pack), alone = rounds_of(g->k, 1);
    if (rows >= 2 * pack)
        return packed;
    return warm > 0 ? alone : fmin(alone, packed * 2 * pack / rows);
}

/* Where it is one kernel that is known, reading and writing overlap with the
 * instructions; others may be several, one after another. */
static double quantise_rows(const struct rl_gemm *g, const struct rl_machine *mc)
{
    double bytes = g->c[RL_G_QUANT_BW] * g->m * g->k;
    double l2 = (RL_GEMM_IN + 1) * bytes / (mc->l2_bw / 2);
    double dram = (RL_GEMM_IN * g->xmiss + g->qmiss) * bytes / mc->dram;
    double pass3 = rl_cube(l2) + rl_cube(dram);
    double issue =
        RL_GEMM_US * g->c[RL_G_QUANT_CTA] * rounds(g, mc->warm) * g->m * g->per_sm;

    return g->stack->pack > 0 ? rl_cbrt(pass3 + rl_cube(issue)) : rl_cbrt(pass3) + issue;
}

double rl_gemm_quantise(const struct rl_gemm *g, const struct rl_machine *mc)
{
    double all = g->stack->tensor ? quantise_tensor(g, mc) : quantise_rows(g, mc);

    return all + RL_GEMM_US * g->c[RL_G_QUANT_ROW] * g->k / 1024;
}
