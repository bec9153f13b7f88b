/* GEMM of up to eight rows on CUDA cores, as TensorRT-LLM does it in fp8 on sm_89 in
 * place of cuBLAS (tensorrt_llm/_torch/modules/linear.py: enable_cuda_core,
 * cuda_scaled_mm; kernels/weightOnlyBatchedGemv/cudaCoreGemm.cu) and, by its rows, on
 * sm_120.
 *
 * A CTA of four warps has all rows of two columns.  A warp takes 512 of k at a time: it
 * widens both columns and each row to fp32 and multiplies; in the end each of the four
 * adds up what its lanes have of every output.  So
 *
 *   t = (issue³ + chain³ + dram³ + launch³)^(1/3) - overlap
 *
 *   issue    n/2 CTAs, each ceil(k/512) · STEP · (m + 1) + 4 · SUM · m instructions of a
 *            warp, four a clock on an SM
 *   chain    steps of 2048 of k, one after another
 *   dram     what L2 does not hold
 *   launch   the CTAs started one after another, on sm_120
 *   overlap  its launch goes on while the kernel that quantises X ends, where there is
 *            programmatic dependent launch
 *
 * Ignores: whole waves (CTAs are short and many), L2's rate.
 */
#include "gemm_call.h"

#include <math.h>

/* Fitted to the 144 rows of up to eight rows of L40S and RTX PRO 6000, alike for both
 * (docs/calibration.md).  By the source STEP has 32 multiply-adds and 24 conversions, of
 * which an SM does a quarter as many a clock, SUM five shuffles, likewise, and as many
 * additions. */
static const double STEP = 102, SUM = 49; /* instructions of a warp */
static const double WAIT_S = 0.42e-6;     /* of a step, its loads */
static const double DRAM = 0.868;         /* of its peak */
static const double LAUNCH_S = 0.87e-9;   /* of a CTA; sm_89 shows none */
static const double OVERLAP_S = 1e-6;     /* 0.5 to 1.5 do alike */

static const double COLUMNS = 2, WARPS = 4; /* of a CTA */
static const double LOADED = 512;           /* of k by a warp: 32 lanes, 16 bytes each */
static const double SCHEDULERS = 4;         /* of an SM */
static const double MOST_ROWS = 8;          /* that come here */

bool rl_gemm_on_vector(const struct rl_gemm *g, const struct rl_machine *mc)
{
    bool fp8 = g->wb >= 1 && g->wb <= 1; /* without scales */
    bool part = mc->cc == 89 || mc->cc / 10 == 12;
    return g->stack->vector && fp8 && part && g->m <= MOST_ROWS;
}

void rl_gemm_vector(const struct rl_gemm *g, const struct rl_machine *mc, double k,
                    struct rl_gemm_best *best)
{
    double ctas = g->n / COLUMNS, steps = rl_whole(k / LOADED);
    double each = steps * STEP * (g->m + 1) + WARPS * SUM * g->m;
    double chain = WAIT_S * rl_whole(steps / WARPS);
    bool blackwell = mc->cc >= 120;
    double launch = blackwell ? LAUNCH_S * ctas : 0;
    double dram = g->dram_s * g->c[RL_G_DRAM] / DRAM;

    best->per_sm = ctas * g->per_sm;
    best->tensor = best->per_sm * each / (SCHEDULERS * mc->clock_hz);
    double all3 =
        rl_cube(best->tensor) + rl_cube(chain) + rl_cube(dram) + rl_cube(launch);
    best->seconds = fmax(0, rl_cbrt(all3) - (blackwell ? OVERLAP_S : 0));
}
