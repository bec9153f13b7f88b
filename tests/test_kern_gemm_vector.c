/* GEMM of a few rows on CUDA cores, as TensorRT-LLM runs fp8 on sm_89 and sm_120. */
#include "gemm_test.h"

/* Of quantising, no more than launches. */
static double fp8(const struct rl_machine *m, double rows, double cols, double k)
{
    const double shape[] = {rows, cols, k};

    return seconds(m, TRTLLM_FP8, "quant_row", 0, shape);
}

/* Nothing but the kernel: what a call takes longer than one of one step on one SM. */
static double beyond_least(const struct rl_machine *m, double rows, double cols, double k)
{
    return fp8(m, rows, cols, k) - fp8(m, rows, 32, 512);
}

/* Up to 8 rows, and there alone: 8 x 12288 x 768 of L40S 27.6 us, 9 rows 14. */
Test(kern_gemm_vector, up_to_8_rows_on_sm_89_and_sm_120)
{
    static const int parts[] = {89, 120, 121}, others[] = {80, 86, 90, 100};

    for (int i = 0; i < 3; i++) {
        struct rl_machine m = machine(parts[i]);
        cr_expect_gt(fp8(&m, 8, 12288, 768), 1.5 * fp8(&m, 9, 12288, 768), "sm_%d",
                     parts[i]);
        m.warm = 0; /* a model runs the same kernel */
        cr_expect_gt(fp8(&m, 8, 12288, 768), 1.5 * fp8(&m, 9, 12288, 768), "sm_%d",
                     parts[i]);
    }
    for (int i = 0; i < 4; i++) {
        struct rl_machine m = machine(others[i]);
        cr_expect_leq(fp8(&m, 8, 12288, 768), fp8(&m, 9, 12288, 768), "sm_%d", others[i]);
    }
    struct rl_machine ada = machine(89);
    static const double eight[] = {8, 12288, 768}, nine[] = {9, 12288, 768};
    cr_expect_leq(seconds_of(RL_DT_FP8_BLOCK, &ada, TRTLLM_FP8, "fixed", 2.8, eight),
                  seconds_of(RL_DT_FP8_BLOCK, &ada, TRTLLM_FP8, "fixed", 2.8, nine));
    cr_expect_leq(bf16(&ada, 8, 12288, 768), bf16(&ada, 9, 12288, 768));
    cr_expect_leq(seconds(&ada, VLLM, "fixed", 2.8, (double[]){8, 12288, 768}),
                  seconds(&ada, VLLM, "fixed", 2.8, (double[]){9, 12288, 768}));
}

/* 512 of k: 102 (m + 1) + 4 * 49 m instructions of a CTA, n / 2 CTAs, 132 SMs of four a
 * clock; 1024 of k: 204 (m + 1) + 196 m.  Less 0.42 us that the least call waits and
 * with 0.35 more of `start`. */
Test(kern_gemm_vector, instructions_of_its_ctas)
{
    struct rl_machine m = machine(89);
    double us = 1e6 * 32768 / 2.0 / 132 / (4 * m.clock_hz);

    m.dram_peak = m.dram = 1e16;
    expect_near(1e6 * beyond_least(&m, 8, 32768, 512), us * (102 * 9 + 196 * 8) - 0.07,
                0.01);
    expect_near(1e6 * beyond_least(&m, 8, 32768, 1024), us * (204 * 9 + 196 * 8) - 0.07,
                0.01);
    expect_near(1e6 * beyond_least(&m, 1, 32768, 512), us * (102 * 2 + 196) - 0.07, 0.02);
    m.clock_hz *= 2;
    expect_near(1e6 * beyond_least(&m, 8, 32768, 512),
                us / 2 * (102 * 9 + 196 * 8) - 0.07, 0.02);
}

/* Steps of 2048 of k one after another, where a CTA has an SM for itself. */
Test(kern_gemm_vector, steps_wait_for_their_loads)
{
    struct rl_machine m = machine(89);

    expect_near(1e6 * beyond_least(&m, 1, 32, 65536), 0.42 * 31, 0.01);
    expect_near(1e6 * beyond_least(&m, 1, 32, 2049), 0.42, 0.01);
    cr_expect_lt(beyond_least(&m, 1, 32, 2048), 1e-8);
}

/* 65536 x 65536 bytes at 0.868 of DRAM's peak, whatever `dram` is of other kernels. */
Test(kern_gemm_vector, reads_dram_at_its_own_rate)
{
    struct rl_machine m = machine(89);
    const double shape[] = {1, 65536, 65536};

    m.dram_peak = m.dram = 1e11;
    expect_near(fp8(&m, 1, 65536, 65536), 65536.0 * 65536 / (0.868 * 1e11), 0.01);
    expect_near(seconds(&m, TRTLLM_FP8, "dram", 0.5, shape), fp8(&m, 1, 65536, 65536),
                1e-3);
}

/* On sm_120 CTAs start 0.87 ns one after another (3 x 51200 x 32 of RTX PRO 6000 takes 26
 * us more than 3 x 1024 x 64), and its launch hides behind the quantising kernel. */
Test(kern_gemm_vector, blackwell_starts_ctas_one_by_one_and_early)
{
    struct rl_machine ada = machine(89), blackwell = ada;

    ada.dram_peak = ada.dram = blackwell.dram_peak = blackwell.dram = 1e16;
    blackwell.cc = 120;
    blackwell.warm = ada.warm = 0; /* no ticks */
    ada.clock_hz = blackwell.clock_hz = 1e12;
    double more = fp8(&blackwell, 3, 51200, 32) - fp8(&ada, 3, 51200, 32);
    expect_near(more, 0.87e-9 * 25600 - 0.42e-6 - 1e-6, 0.01);
    cr_expect_geq(seconds(&blackwell, TRTLLM_FP8, "fixed", 0.3, (double[]){1, 32, 32}),
                  0.3e-6);
}

Test(kern_gemm_vector, grows_with_everything)
{
    static const int parts[] = {89, 120};

    for (int i = 0; i < 2; i++) {
        struct rl_machine m = machine(parts[i]);
        for (double n = 32; n < 1e5; n *= 4)
            for (double k = 32; k < 1e5; k *= 4)
                for (double rows = 1; rows < 8; rows++) {
                    double t = fp8(&m, rows, n, k);
                    cr_expect_gt(t, 0);
                    cr_expect_leq(t, fp8(&m, rows + 1, n, k), "%g %g %g", rows, n, k);
                    cr_expect_leq(t, fp8(&m, rows, 2 * n, k), "%g %g %g", rows, n, k);
                    cr_expect_leq(t, fp8(&m, rows, n, 2 * k), "%g %g %g", rows, n, k);
                }
    }
}
