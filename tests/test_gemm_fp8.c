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
static double seconds(const struct rl_machine *m, double stack, const char *name,
                      double value, const double shape[3])
{
    const struct rl_op_type *op = rl_op_find("gemm");
    double c[RL_MAXCOEFS] = {0};
    double p[RL_MAXPARAMS] = {shape[0], shape[1], shape[2], RL_DT_FP8};

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

/* Seconds of sm_`cc` over those of sm_80, where k is always open to splits; bound by
 * steps of k. */
static double over_ampere(int cc, double rows, double columns, double k)
{
    const double shape[] = {rows, columns, k};
    struct rl_machine m = machine(cc), ampere = machine(80);

    m.l2_bw = ampere.l2_bw = 1e15;
    return seconds(&m, 0, "chain", 10, shape) / seconds(&ampere, 0, "chain", 10, shape);
}

/* Up to which k, by the rows or columns of which there are fewer, and the tiles. */
Test(gemm_fp8, cublas_leaves_k_whole_by_rows)
{
    static const struct {
        int cc;
        double rows, columns, k;
        bool whole;
    } row[] = {
        {89, 8, 2048, 3584, true},   {89, 8, 2048, 4096, false},
        {89, 8, 1024, 3072, false},  {89, 32, 1536, 2560, false},
        {89, 32, 3072, 2048, true},  {89, 48, 2048, 3584, true},
        {89, 2048, 64, 6912, true},  {89, 2048, 64, 8192, false},
        {89, 97, 1024, 1536, true},  {89, 97, 2048, 3072, false},
        {120, 12, 3584, 2048, true}, {120, 12, 3584, 2560, false},
        {120, 33, 2048, 1536, true}, {120, 33, 3584, 2048, false},
        {120, 13, 256, 2048, false},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double t = over_ampere(row[i].cc, row[i].rows, row[i].columns, row[i].k);
        cr_expect(row[i].whole ? t > 1.2 : t < 1.02, "row %zu: %g", i, t);
    }
}

/* Seconds bound by L2 alone, over those within a model, where all read alike. */
static double over_model(int cc, double stack, double rows, double columns, double k)
{
    const double shape[] = {rows, columns, k};
    struct rl_machine warm = machine(cc), cold = machine(cc);

    cold.warm = 0;
    warm.dram_peak = warm.dram = cold.dram_peak = cold.dram = 1e18;
    warm.l2_bw = cold.l2_bw = 1e11;
    return seconds(&warm, stack, "", 0, shape) / seconds(&cold, stack, "", 0, shape);
}

Test(gemm_fp8, cublas_reads_few_rows_slowly)
{
    cr_expect_gt(over_model(89, 0, 48, 8192, 16384), 1.5);
    cr_expect_gt(over_model(89, 0, 8192, 48, 16384), 1.5);
    cr_expect_float_eq(over_model(89, 0, 32, 8192, 16384), 1, 1e-3);
    cr_expect_float_eq(over_model(89, VLLM, 48, 8192, 16384), 1, 1e-3); /* not cuBLAS */
    cr_expect_float_eq(over_model(80, 0, 48, 8192, 16384), 1, 1e-3);
    cr_expect_gt(over_model(120, 0, 32, 8192, 16384), 1.5);
    cr_expect_float_eq(over_model(120, 0, 1, 8192, 16384), 1, 1e-3);
    cr_expect_float_eq(over_model(120, 0, 33, 8192, 16384), 1, 1e-3);
    /* SMs idle, and all at work */
    cr_expect_lt(over_model(80, 0, 128, 1024, 16384), 0.7);
    cr_expect_gt(over_model(80, 0, 128, 1024, 16384), 0.58);
    cr_expect_float_eq(over_model(80, 0, 4096, 8192, 512), 1, 1e-3);
    cr_expect_float_eq(over_model(90, 0, 128, 1024, 16384), 1, 1e-3);
}

/* Half of what all pipelines load first is hidden by nothing, and where multiply-adds
 * take longest it is all that L2 adds. */
Test(gemm_fp8, first_loads_are_not_hidden)
{
    static const double shape[] = {512, 2048, 128};
    struct rl_machine m = machine(89);

    m.l2_bw = 4e12;
    m.sm = 128;
    for (int u = 0; u < RL_NUNITS; u++)
        m.peak[u] = 2e13;
    double more =
        seconds(&m, VLLM, "l2", 0.45, shape) - seconds(&m, VLLM, "l2", 0.9, shape);
    double loads = 64 * 256 * 128 / m.l2_bw; /* of all tiles of 128 x 128 */
    cr_expect_gt(more, 0.5 * loads * (1 / 0.45 - 1 / 0.9), "%g of %g", more, loads);
    cr_expect_lt(more, 0.7 * loads * (1 / 0.45 - 1 / 0.9), "%g of %g", more, loads);
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
