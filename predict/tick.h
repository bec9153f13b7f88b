/* The clock of measured calls on Blackwell.
 *
 * Attention on B200 and RTX PRO 6000 lasts whole ticks of 2.048 µs: below 40 µs the times
 * of all three stacks cluster on 2.048 n + 0.2 to 0.75 µs (mean resultant length of their
 * phase 0.68 to 0.87; A100, H100 and L40S have none); latent attention's too (0.60 to
 * 0.85), where prefills, longer as they are, gain nothing by it.  A replayed graph of one
 * call waits for the next tick; kernels in a model's graph follow each other, so that
 * only calls as measured (machine->warm) are counted so.
 *
 * GEMM's benchmarks replay graphs of several calls (six in vLLM and SGLang, up to five in
 * TensorRT-LLM), and it is the graph that lasts whole ticks, and 0.6 to 0.9 µs (0.63 to
 * 0.92 below 8 µs in bf16, fp8 and nvfp4, but for TensorRT-LLM's fp8): a call lasts
 * sixths or fifths of them.
 *
 *   expected ticks  =  E[round(x + z x s)],  x = (t - offset) / tick,  z normal
 *
 * A prediction that may be s off lies on a soft staircase: sharp for short calls, gone
 * for long ones.  It grows with t everywhere.
 * Ignores: other stacks' offsets (0.2 to 0.75 µs); taken for the whole generation, of
 * which these two parts were measured.
 */
#ifndef RL_TICK_H
#define RL_TICK_H

#include "op.h"

#include <math.h>

/* Seconds of a call as a benchmark on this machine that replays `calls` of them as one
 * graph would give them for a call of so many; offset: s that a graph lasts beyond whole
 * ticks. */
static inline double rl_ticked_graph(const struct rl_machine *m, double calls,
                                     double offset, double seconds)
{
    const double tick = 2.048e-6 / calls, unsure = 0.03;

    if (m->cc < 100 || !(m->warm > 0))
        return seconds;
    offset /= calls;
    double x = (seconds - offset) / tick, sd = unsure * seconds / tick;
    if (sd > 0.35) /* the staircase's first harmonic is all that is left of it */
        return seconds -
               tick * sin(2 * M_PI * x) * exp(-2 * M_PI * M_PI * sd * sd) / M_PI;
    double n = fmax(floor(x), 1), ticks = n; /* a call takes one at least */
    for (int edge = -1; edge <= 1; edge++) {
        double over = 0.5 * erfc((n + edge + 0.5 - x) / (sd * M_SQRT2));
        ticks += edge < 0 ? over - 1 : over;
    }
    return offset + tick * fmax(ticks, 1);
}

/* The same of one call a graph, as attention is measured. */
static inline double rl_ticked(const struct rl_machine *m, double seconds)
{
    return rl_ticked_graph(m, 1, 0.45e-6, seconds);
}

#endif
