/* For tests of the GEMM kernel model: a machine of round numbers and the seconds of a
 * call on it. */
#ifndef RL_GEMM_TEST_H
#define RL_GEMM_TEST_H

#include "gemm_tiles.h"
#include "op_test.h"

enum { SGL = 7, VLLM = 8, TRTLLM_FP8 = 9 }; /* rows of stacks[] */

/* Of round numbers, with B200's 148 SMs, or H100's 132. */
static inline struct rl_machine machine(int cc)
{
    struct rl_machine m = {.sm = cc < 100 ? 132 : 148,
                           .clock_hz = 2e9,
                           .dram_peak = 8e12,
                           .dram = 7e12,
                           .l2_bw = 9e12,
                           .l2_bytes = 1e8,
                           .cc = cc,
                           .warm = 1};

    for (int u = 0; u < RL_NUNITS; u++) {
        m.peak[u] = 4e15;
        m.rate[u] = 3e15;
    }
    return m;
}

/* Seconds at the priors but for the stack and one coefficient; those of waves as
 * fitted. */
static inline double seconds_of(enum rl_dtype dtype, const struct rl_machine *m,
                                double stack, const char *name, double value,
                                const double shape[3])
{
    const struct rl_op_type *op = rl_op_find("gemm");
    double c[RL_MAXCOEFS] = {0};
    double p[RL_MAXPARAMS] = {shape[0], shape[1], shape[2], dtype};

    for (int i = 0; op->coef[i].name; i++) {
        const char *key = op->coef[i].name;
        c[i] = op->coef[i].prior;
        if (!strcmp(key, "stack"))
            c[i] = stack;
        else if (!strcmp(key, "wave"))
            c[i] = 1;
        else if (!strcmp(key, "quant_bw"))
            c[i] = 1e-6; /* bound by instructions alone */
        else if (!strcmp(key, name))
            c[i] = value;
    }
    return op->time(p, m, c, NULL);
}

static inline double seconds(const struct rl_machine *m, double stack, const char *name,
                             double value, const double shape[3])
{
    return seconds_of(RL_DT_FP8, m, stack, name, value, shape);
}

static inline double bf16(const struct rl_machine *m, double rows, double cols, double k)
{
    const double shape[] = {rows, cols, k};

    return seconds_of(RL_DT_BF16, m, 0, "chain", 1.2, shape);
}

#endif
