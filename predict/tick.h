/* The clock of measured calls on Blackwell.
 *
 * Attention on B200 and RTX PRO 6000 lasts whole ticks of 2.048 µs: below 40 µs the times
 * of all three stacks cluster on 2.048 n + 0.2 to 0.75 µs (mean resultant length of their
 * phase 0.68 to 0.87; A100, H100 and L40S have none); latent attention's too (0.60 to
 * 0.85), where prefills, longer as they are, gain nothing by it.  A replayed graph waits
 * for the next tick, whatever number of calls it holds: GEMM's of six calls (vLLM,
 * SGLang) lasts sixths of a tick a call, of five (TensorRT-LLM) fifths (0.67 to 0.78;
 * other numbers of calls, other devices below 0.21).  Kernels in a model's graph follow
 * each other, so that only calls as measured (machine->warm) are counted so.
 *
 *   expected ticks  =  E[round(x + z x s)],  x = (t - offset) / tick,  z normal
 *
 * A prediction that may be s off lies on a soft staircase: sharp for short calls, gone
 * for long ones.  It grows with t everywhere.
 * Ignores: ticks of operators that are not named here; taken for the whole generation,
 * of which these two parts were measured.
 */
#ifndef RL_TICK_H
#define RL_TICK_H

#include "op.h"

#include <math.h>

/* Attention of all stacks, whose own lie between 0.2 and 0.75 µs. */
static const double RL_TICK_ATTENTION = 0.45e-6;

/* Seconds as a benchmark on this machine that times so many calls together would give
 * them for one; offset: s of a timing beyond whole ticks. */
static inline double rl_ticked(const struct rl_machine *m, double seconds, double calls,
                               double offset)
{
    const double tick = 2.048e-6, unsure = 0.03;

    if (m->cc < 100 || !(m->warm > 0))
        return seconds;
    double all = seconds * calls;
    double x = (all - offset) / tick, sd = unsure * all / tick;
    if (sd > 0.35) /* the staircase's first harmonic is all that is left of it */
        return seconds -
               tick / calls * sin(2 * M_PI * x) * exp(-2 * M_PI * M_PI * sd * sd) / M_PI;
    double n = fmax(floor(x), 1), ticks = n; /* a call takes one at least */
    for (int edge = -1; edge <= 1; edge++) {
        double over = 0.5 * erfc((n + edge + 0.5 - x) / (sd * M_SQRT2));
        ticks += edge < 0 ? over - 1 : over;
    }
    return (offset + tick * fmax(ticks, 1)) / calls;
}

#endif
