/* Kernel models of PyTorch's memory-efficient attention: under a dense mask, and
 * where the flash kernel does not take the call.  A block for every query head and
 * 64 queries walks the keys.
 *
 *   t = fixed + max(one block's walk, all blocks over the SMs) joined with copies and
 *       mask by a cubic mean
 *
 * Under a mask a score takes clocks of the SM beside its products, one after the other: a
 * share of the tensor rate served one part alone.
 *
 * At one query there are as many blocks as heads and nothing splits the keys,
 * so that the walk is what takes the time: the step from 12 to 42 ms a token
 * at 32,768 tokens in SSM-Scope (arXiv 2507.12442).  That model has heads of 64;
 * a step grows with the head.  Heads above 128 keep their accumulator in memory, and
 * an SM then does 240 to 300 FLOP a clock whatever its tensor cores are (L20, A30,
 * RTX 4090, RTX 3080 laptop; xlite-dev/ffpa-attn README, "SDPA EA", heads of 320 to
 * 1024).  Ignored: the kernel's other variants by head size.
 */
#include "kernels.h"
#include "ops.h"

#include <math.h>

enum { FIXED, STEP, BLOCKS, EFF, NARROW, WIDE, OTHER = EFF, OTHER_WIDE };

const struct rl_coef rl_kern_masked_coef[] = {
    {"fixed", "us", RL_C_LOG, 10, 2, 60, 0.4, "launches of copies and kernel"},
    {"step", "us", RL_C_LOG, 2.5, 0.3, 20, 0.4, "64 keys of one block, alone"},
    {"blocks", "1", RL_C_LOG, 8, 1, 16, 0.4, "blocks an SM walks at once"},
    {"other", "clocks", RL_C_LOG, 0.33, 0.05, 2, 0.3,
     "a score beside its products, an SM"},
    {"other_wide", "clocks", RL_C_LOG, 0.83, 0.1, 4, 0.3, "the same, heads above 64"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* narrow: 25 to 40 % of an A100's 2,048 FLOP a clock and SM, FlashAttention's first
 * version (arXiv 2307.08691, section 1), which this kernel is about as fast as. */
const struct rl_coef rl_kern_efficient_coef[] = {
    {"fixed", "us", RL_C_LOG, 5, 2, 60, 0.4, "launch"},
    {"step", "us", RL_C_LOG, 2.5, 0.3, 20, 0.4, "64 keys of one block, alone"},
    {"blocks", "1", RL_C_LOG, 8, 1, 16, 0.4, "blocks an SM walks at once"},
    {"eff", "1", RL_C_LOG, 0.6, 0.2, 1, 0.2, "tensor rate reached at most"},
    {"narrow", "FLOP/clk/SM", RL_C_LOG, 650, 300, 1000, 0.2, "heads of up to 128"},
    {"wide", "FLOP/clk/SM", RL_C_LOG, 250, 100, 500, 0.2, "heads above 128"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* flop_s: of all tiles at full rate. */
static double walk_time(const struct rl_work *w, double head, double flop_s,
                        const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    /* the kernel's clock: steps shrink with it, 2.52 GHz as a 4090's */
    double step = 1e-6 * c[STEP] * 2.52e9 / m->clock_hz * fmax(1, head / 64);
    double walk = w->serial * step;
    double all = fmax(flop_s, walk * w->parallel / (c[BLOCKS] * m->sm));
    double bytes = rl_work_bytes(w) / m->dram;

    if (part) {
        part[RL_B_LAUNCH] = 1e-6 * c[FIXED];
        part[RL_B_SERIAL] = walk;
        part[RL_B_COMPUTE] = all;
        part[RL_B_MEMORY] = bytes;
    }
    double core = fmax(walk, all);
    return 1e-6 * c[FIXED] + cbrt(core * core * core + bytes * bytes * bytes);
}

double rl_kern_masked_time(const double *p, const struct rl_machine *m, const double *c,
                           double part[RL_NBOUNDS])
{
    double head = 0.5 * (p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p));
    struct rl_work w = {0};

    rl_op_attention_masked.work(p, &w);
    double clocks = w.sfu * c[head > 64 ? OTHER_WIDE : OTHER];
    double flop_s = w.flop / m->rate[w.unit] + clocks / (m->sm * m->clock_hz);
    return walk_time(&w, head, flop_s, m, c, part);
}

double rl_kern_efficient_time(const double *p, const struct rl_machine *m,
                              const double *c, double part[RL_NBOUNDS])
{
    double d = p[RL_ATT_HEAD_DIM], dv = rl_attention_v_dim(p);
    double per_clock = c[fmax(d, dv) > 128 ? WIDE : NARROW];
    struct rl_work w = {0};

    rl_op_attention_efficient.work(p, &w);
    double rate = fmin(c[EFF] * m->rate[w.unit], per_clock * m->sm * m->clock_hz);
    return walk_time(&w, 0.5 * (d + dv), w.flop / rate, m, c, part);
}
