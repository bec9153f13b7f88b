/* What the memory-bound kernel models (kern_conv.c, kern_update.c, kern_scan.c)
 * share: where the bytes of a repeated call come from, and how two limits join.
 * Internal to predict/kern_*.c. */
#ifndef RL_KERN_MEMORY_H
#define RL_KERN_MEMORY_H

#include "op.h"

#include <math.h>

/* Share of a call's bytes that DRAM serves when its set of `set` bytes is walked
 * from end to end again and again: least-recently-used replacement loses all of a
 * set that is a little too large. */
static inline double rl_kern_miss_all(const struct rl_machine *m, double set, double keep,
                                      double edge)
{
    if (m->l2_bytes <= 0)
        return 1;
    double x = pow(set / (keep * m->l2_bytes), edge);
    return x < 1e12 ? x / (1 + x) : 1;
}

/* The same where producers and consumers follow each other: what fits stays, the
 * excess goes to DRAM. */
static inline double rl_kern_miss_excess(const struct rl_machine *m, double set,
                                         double keep, double edge)
{
    if (m->l2_bytes <= 0)
        return 1;
    double x = pow(set / (keep * m->l2_bytes), edge);
    return 1 - pow(1 + x, -1 / edge);
}

/* Seconds of `bytes`, `miss` of them from DRAM; l2, dram: shares of the peaks. */
static inline double rl_kern_memory(const struct rl_machine *m, double bytes, double miss,
                                    double l2, double dram)
{
    return bytes * ((1 - miss) / (l2 * m->l2_bw) + miss / (dram * m->dram_peak));
}

/* Two limits of one kernel: p = 1 adds them, p = ∞ takes the larger. */
static inline double rl_kern_join(double a, double b, double p)
{
    double top = fmax(a, b), low = fmin(a, b);
    if (low <= 0)
        return top;
    return top * pow(1 + pow(low / top, p), 1 / p);
}

#endif
