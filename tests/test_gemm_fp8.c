/* GEMM as vLLM, sgl-kernel and cuBLAS run it: what their sources and rows say of tiles,
 * clusters, quantising and stores, at the priors. */
#include "gemm_tiles.h"
#include "op_test.h"

enum { SGL = 7, VLLM = 8 }; /* rows of stacks[] */

/* Of round numbers, with B200's 148 SMs, or H100's 132. */
static struct rl_machine machine(int cc)
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
static double seconds_of(enum rl_dtype dtype, const struct rl_machine *m, double stack,
                         const char *name, double value, const double shape[3])
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

static double seconds(const struct rl_machine *m, double stack, const char *name,
                      double value, const double shape[3])
{
    return seconds_of(RL_DT_FP8, m, stack, name, value, shape);
}

static double bf16(const struct rl_machine *m, double rows, double cols, double k)
{
    const double shape[] = {rows, cols, k};

    return seconds_of(RL_DT_BF16, m, 0, "chain", 1.2, shape);
}

/* Seconds that `quant_cta` of 1 us adds. */
static double quantising(const struct rl_machine *m, double stack, double rows, double k)
{
    const double shape[] = {rows, 128, k};

    return seconds(m, stack, "quant_cta", 1, shape) -
           seconds(m, stack, "quant_cta", 0, shape);
}

/* A CTA's start and one round of four warps of 512 elements up to k = 2048, then by
 * whole rounds (measured on B200, vLLM: 4096 × 64 × 32 31.7 us, 8192 × 256 × 2048 59.2,
 * 8192 × 32 × 5120 121.4). */
Test(gemm_fp8, a_row_is_quantised_in_whole_rounds)
{
    struct rl_machine m = machine(100);
    double one = quantising(&m, VLLM, 4096, 32);

    expect_near(one, 2 * 4096 / 148.0 * 1e-6, 1e-3);
    expect_near(quantising(&m, VLLM, 4096, 2048), one, 1e-3);
    expect_near(quantising(&m, VLLM, 4096, 2560), 1.5 * one, 1e-3);
    expect_near(quantising(&m, VLLM, 4096, 5120), 2 * one, 1e-3);
}

/* sgl-kernel packs eight rows into a CTA from 16 an SM on: (1 + 2 · 4) / 8 rounds a row
 * of 2048 where one alone takes 2, (1 + 2) / 8 of 512.  Within a model more rows are
 * never quantised faster. */
Test(gemm_fp8, sgl_kernel_packs_rows)
{
    struct rl_machine m = machine(100);

    expect_near(quantising(&m, SGL, 2367, 2048), 2 * 2367 / 148.0 * 1e-6, 1e-3);
    expect_near(quantising(&m, SGL, 2368, 2048), 9 / 8.0 * 16e-6, 1e-3);
    expect_near(quantising(&m, SGL, 2368, 512), 3 / 8.0 * 16e-6, 1e-3);
    m.warm = 0;
    for (double rows = 128; rows < 4096; rows += 128)
        cr_expect_leq(quantising(&m, SGL, rows, 512),
                      1.0001 * quantising(&m, SGL, rows + 128, 512), "%g rows", rows);
}

/* The tile of vLLM's default on sm_100 takes 2 × 2 CTAs, which fill 132 of 148 SMs:
 * 128 CTAs are one wave, 136 are two; of 1 × 1 CTAs (64 rows) 144 are one. */
Test(gemm_fp8, clusters_stay_within_a_gpc)
{
    static const double one[] = {512, 4096, 16384}, two[] = {512, 4352, 16384};
    static const double lone[] = {64, 64 * 132, 2048}, still[] = {64, 64 * 144, 2048};
    struct rl_machine m = machine(100);

    cr_expect_gt(seconds(&m, VLLM, "", 0, two), 1.5 * seconds(&m, VLLM, "", 0, one));
    cr_expect_lt(seconds(&m, SGL, "", 0, still), 1.2 * seconds(&m, SGL, "", 0, lone));
    m.sm = 4; /* a part smaller than a GPC */
    cr_expect(isfinite(seconds(&m, VLLM, "", 0, one)));
}

/* All SMs together sustain less than each alone at its peak, however fast a tile is. */
Test(gemm_fp8, large_products_run_at_the_sustained_rate)
{
    static const double shape[] = {8192, 65536, 8192};
    struct rl_machine m = machine(100);
    m.l2_bw = 1e15; /* not L2 */
    double flop = 2.0 * 8192 * 65536 * 8192, t = seconds(&m, VLLM, "chain", 0.05, shape);

    cr_expect_gt(t, flop / 3e15);
    cr_expect_lt(t, 1.1 * flop / 3e15, "%g of %g", t, flop / 3e15);
    for (int u = 0; u < RL_NUNITS; u++)
        m.rate[u] = 1.5e15;
    cr_expect_gt(seconds(&m, VLLM, "chain", 0.05, shape), 1.7 * t);
}

/* Within a model more rows are never faster under one row of a table, whatever of a
 * cluster they fill. */
Test(gemm_fp8, rows_of_a_cluster_cost_no_less)
{
    for (int cc = 90; cc <= 100; cc += 10)
        for (int stack = SGL; stack <= VLLM; stack++) {
            struct rl_machine m = machine(cc);
            double before = 0;
            m.warm = 0;
            for (double rows = 257; rows < 4096; rows += 61) {
                double shape[] = {rows, 16384, 51200};
                double t = seconds(&m, stack, "", 0, shape);
                cr_expect_geq(t, 0.9999 * before, "sm_%d, stack %d: %g rows", cc, stack,
                              rows);
                before = t;
            }
        }
}

/* vLLM's kernel of 256 × 128 on sm_89 stores slowly: `extra` counts eight times a wave.
 */
Test(gemm_fp8, cutlass_2_stores_slowly)
{
    static const double shape[] = {2048, 8192, 32};
    struct rl_machine m = machine(89);
    double plain = seconds(&m, VLLM, "extra", 0.1, shape);

    cr_expect_gt(seconds(&m, VLLM, "extra", 5.1, shape), plain + 8 * 5e-6);
}

/* sgl-kernel's CTAs on sm_89 go down the columns: X, which L2 does not hold, comes from
 * DRAM again for every strip. */
Test(gemm_fp8, x_is_read_again_for_every_strip)
{
    static const double shape[] = {32768, 8192, 8192};
    struct rl_machine m = machine(89);

    m.dram_peak = m.dram = 1e11;
    cr_expect_gt(seconds(&m, SGL, "", 0, shape), 10 * 32768.0 * 8192 / 1e11);
    cr_expect_lt(seconds(&m, VLLM, "", 0, shape), 10 * 32768.0 * 8192 / 1e11);
}

/* What three stacks' rows show of cuBLAS, and of no other maker's library. */
Test(gemm_fp8, cublas_takes_large_tiles_and_leaves_k_whole)
{
    static const double shape[] = {12, 1536, 2560};
    struct rl_machine ada = machine(89), ampere = machine(80);

    cr_expect(rl_gemm_large(80, 108, 1024, 3584, 3072));
    cr_expect_not(rl_gemm_large(80, 108, 1024, 3584, 8192));
    cr_expect_not(rl_gemm_large(80, 108, 768, 3584, 3072)); /* one wave */
    cr_expect_not(rl_gemm_large(89, 142, 1536, 3584, 3072));
    cr_expect_not(rl_gemm_large(0, 304, 4096, 12288, 3072));
    cr_expect_gt(seconds(&ada, 0, "", 0, shape), 1.2 * seconds(&ampere, 0, "", 0, shape));
    ada.warm = ampere.warm = 0;
    cr_expect_lt(seconds(&ada, 0, "", 0, shape),
                 1.01 * seconds(&ampere, 0, "", 0, shape));
}

/* On Hopper more rows may be faster (H100, fp8 × 10240 × 5120: 1281 rows 200.9 us in
 * vLLM, 1536 rows 140.9 in SGLang with the same kernel), not on tcgen05 parts and not
 * within a model. */
Test(gemm_fp8, a_row_of_clusters_that_m_does_not_fill)
{
    static const double ragged[] = {513, 8192, 8192}, full[] = {768, 8192, 8192};
    struct rl_machine hopper = machine(90), blackwell = machine(100);

    cr_expect_gt(seconds(&hopper, VLLM, "", 0, ragged),
                 1.05 * seconds(&hopper, VLLM, "", 0, full));
    cr_expect_leq(seconds(&blackwell, VLLM, "", 0, ragged),
                  seconds(&blackwell, VLLM, "", 0, full));
    hopper.warm = 0;
    cr_expect_leq(seconds(&hopper, VLLM, "", 0, ragged),
                  seconds(&hopper, VLLM, "", 0, full));
}

/* Rows of vLLM's tables that ask for k, and which kernels are persistent. */
Test(gemm_fp8, tables_by_k)
{
    int n;
    const struct rl_gemm_tile *t = rl_gemm_tiles(RL_GEMM_VLLM, 90, 8192, 4096, 6144, &n);

    cr_expect(n == 1 && t->a == 256 && t->b == 128 && t->persistent);
    t = rl_gemm_tiles(RL_GEMM_VLLM, 90, 8192, 4096, 4096, &n);
    cr_expect_eq(t->a, 128);
    t = rl_gemm_tiles(RL_GEMM_VLLM, 90, 4097, 4096, 8192, &n);
    cr_expect_eq(t->a, 128);
    t = rl_gemm_tiles(RL_GEMM_VLLM, 100, 64, 4096, 2048, &n);
    cr_expect_eq(t->cn, 1);
    t = rl_gemm_tiles(RL_GEMM_VLLM, 100, 64, 4096, 4096, &n);
    cr_expect(t->cn == 4 && t->persistent);
    t = rl_gemm_tiles(RL_GEMM_VLLM, 90, 64, 4096, 4096, &n);
    cr_expect_not(t->persistent);
    t = rl_gemm_tiles(RL_GEMM_SPLIT, 90, 64, 4096, 4096, &n);
    cr_expect(n > 1 && !t->persistent);
}

/* Up to 8 rows (measured on B200: 4 x 3584 x 2048 6.7 us, 14 x 3584 x 2048 4.4), where k
 * is no longer than n and n has few tiles. */
Test(gemm_fp8, cublas_takes_long_steps_up_to_8_rows)
{
    struct rl_machine blackwell = machine(100), hopper = machine(90);

    cr_expect_gt(bf16(&blackwell, 8, 3584, 2048), 1.1 * bf16(&blackwell, 9, 3584, 2048));
    cr_expect_leq(bf16(&blackwell, 8, 1536, 2560), bf16(&blackwell, 9, 1536, 2560));
    cr_expect_leq(bf16(&blackwell, 8, 6144, 2048), bf16(&blackwell, 9, 6144, 2048));
    cr_expect_leq(bf16(&hopper, 8, 3584, 2048), bf16(&hopper, 9, 3584, 2048));
    blackwell.warm = 0;
    cr_expect_leq(bf16(&blackwell, 8, 3584, 2048), bf16(&blackwell, 9, 3584, 2048));
}

/* Share of short calls that last whole ticks if so many are one graph; it is the fixed
 * part that makes them longer. */
static double on_ticks(int cc, double stack, double calls, double cols)
{
    const double shape[] = {1, cols, 64};
    struct rl_machine m = machine(cc);
    int on = 0, all = 0;

    m.l2_bytes = 1e6;
    for (double fixed = 1.2; fixed < 2; fixed += 0.005, all++) {
        double t = seconds_of(RL_DT_BF16, &m, stack, "fixed", fixed, shape);
        double ticks = (t * calls - 0.75e-6) / 2.048e-6;
        on += fabs(ticks - floor(ticks + 0.5)) < 0.1;
    }
    return (double)on / all;
}

/* vLLM replays six calls, TensorRT-LLM as many as weights fill L2 (0.4 of 1 MB: three),
 * five at most. */
Test(gemm_fp8, measured_graphs_last_whole_ticks)
{
    cr_expect_gt(on_ticks(100, 0, 6, 512), 0.45);
    cr_expect_lt(on_ticks(90, 0, 6, 512), 0.3);
    cr_expect_gt(on_ticks(100, 2, 5, 512), 0.6);
    cr_expect_lt(on_ticks(100, 2, 6, 512), 0.4);
    cr_expect_gt(on_ticks(100, 2, 3, 3072), 0.7);
}

/* An output that L2 has no room for goes to DRAM while it is stored: fast DRAM gains
 * nothing. Of one that is little larger most still does. */
Test(gemm_fp8, output_beyond_l2_is_counted_once)
{
    struct rl_machine m = machine(90), fast = m;

    fast.dram_peak = 1e15;
    cr_expect_lt(bf16(&m, 16384, 16384, 32), 1.04 * bf16(&fast, 16384, 16384, 32));
    cr_expect_gt(bf16(&m, 16384, 3662, 32), 1.04 * bf16(&fast, 16384, 3662, 32));
}

/* Multiply-adds and DRAM that take alike cost a long call less than cubes say. */
Test(gemm_fp8, long_calls_hide_more)
{
    struct rl_machine m = machine(90), fast = m;

    fast.dram_peak = 1e15;
    cr_expect_gt(bf16(&m, 130, 8192, 16384), 1.15 * bf16(&fast, 130, 8192, 16384));
    cr_expect_lt(bf16(&m, 130, 65536, 51200), 1.1 * bf16(&fast, 130, 65536, 51200));
}
