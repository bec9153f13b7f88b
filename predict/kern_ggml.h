/* What ggml's GPU kernels have in common: the cost of a launch, and a stream of bytes. */
#ifndef RL_KERN_GGML_H
#define RL_KERN_GGML_H

#include "kern_impl.h"

#include <math.h>

static const double RL_GGML_L2 = 0.75; /* of L2, in which a producer's output lasts */
static const double RL_GGML_FP32 = 4;  /* bytes of an activation */

/* A kernel beyond its bytes: the gap to the one before, which the front end makes at its
 * own clock, and the start, ramp and drain of its blocks. */
static inline double rl_ggml_kernel_s(const struct rl_machine *m, double clocks)
{
    return m->gap_s + clocks / m->clock_hz;
}

/* A tensor passed from one kernel to the next: from L2 where it fits. */
static inline double rl_ggml_stream_s(const struct rl_machine *m, double bytes,
                                      double tensor, double fraction)
{
    double bw = fraction * m->dram_net;

    if (m->l2_bytes > 0 && tensor < RL_GGML_L2 * m->l2_bytes)
        bw = fmax(bw, 0.5 * m->l2_bw);
    return bytes / bw;
}

static inline void rl_ggml_set_part(double *part, double compute, double memory,
                                    double launch)
{
    if (!part)
        return;
    part[RL_B_COMPUTE] = compute;
    part[RL_B_MEMORY] = memory;
    part[RL_B_LAUNCH] = launch;
}

/* kern_ggml_gemm.c */
extern const struct rl_coef rl_ggml_gemm_coef[];
rl_kernel_seconds rl_ggml_gemm_time, rl_ggml_moe_time;

#endif
