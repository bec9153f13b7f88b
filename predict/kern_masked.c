/* Kernel model of attention under a dense mask: PyTorch's memory-efficient
 * kernel, one block per query head and 64 queries, walking all keys.
 *
 *   t = fixed + max(one block's walk, all blocks over the SMs) joined with copies and
 *       mask by a cubic mean
 *
 * At one query there are as many blocks as heads and nothing splits the keys,
 * so that the walk is what takes the time: the step from 12 to 42 ms a token
 * at 32,768 tokens in SSM-Scope (arXiv 2507.12442).  Ignored: the kernel's
 * variants by head size.
 */
#include "kernels.h"
#include "ops.h"

#include <math.h>

enum { FIXED, STEP, BLOCKS, EFF };

const struct rl_coef rl_kern_masked_coef[] = {
    {"fixed", "us", RL_C_LOG, 10, 2, 60, 0.4, "launches of copies and kernel"},
    {"step", "us", RL_C_LOG, 2.5, 0.3, 20, 0.4, "64 keys of one block, alone"},
    {"blocks", "1", RL_C_LOG, 8, 1, 16, 0.4, "blocks an SM walks at once"},
    {"eff", "1", RL_C_PEAK, 0.6, 0.2, 1, 0.2, "tensor rate reached at most"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

double rl_kern_masked_time(const double *p, const struct rl_machine *m, const double *c,
                           double part[RL_NBOUNDS])
{
    struct rl_work w = {0};

    rl_op_attention_masked.work(p, &w);
    /* the kernel's clock: steps shrink with it, 2.5 GHz as a 4090's */
    double step = 1e-6 * c[STEP] * 2.52e9 / m->clock_hz;
    double walk = w.serial * step;
    double flop = w.flop / (c[EFF] * m->rate[w.unit]);
    double all = fmax(flop, walk * w.parallel / (c[BLOCKS] * m->sm));
    double bytes = rl_work_bytes(&w) / m->dram;
    if (part) {
        part[RL_B_LAUNCH] = 1e-6 * c[FIXED];
        part[RL_B_SERIAL] = walk;
        part[RL_B_COMPUTE] = all;
        part[RL_B_MEMORY] = bytes;
    }
    double core = fmax(walk, all);
    return 1e-6 * c[FIXED] + cbrt(core * core * core + bytes * bytes * bytes);
}
