/* GEMM as vLLM, sgl-kernel and cuBLAS run it: what their sources and rows say of tiles,
 * clusters, quantising and stores, at the priors. */
#include "gemm_test.h"

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
Test(kern_gemm, a_row_is_quantised_in_whole_rounds)
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
Test(kern_gemm, sgl_kernel_packs_rows)
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
Test(kern_gemm, clusters_stay_within_a_gpc)
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
Test(kern_gemm, large_products_run_at_the_sustained_rate)
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

/* A CTA of a cluster of two that lies beyond m. */
static bool empty(double rows)
{
    double over = fmod(rows, 256);

    return over > 0 && over <= 128;
}

/* More rows are never faster under one row of a table, whatever of a cluster they fill:
 * on sm_90 among those that leave no CTA empty, and among those that do. */
Test(kern_gemm, rows_of_a_cluster_cost_no_less)
{
    for (int cc = 90; cc <= 100; cc += 10)
        for (int stack = SGL; stack <= VLLM; stack++) {
            struct rl_machine m = machine(cc);
            double before[2] = {0};
            m.warm = 0;
            for (double rows = 257; rows < 4096; rows += 61) {
                double shape[] = {rows, 16384, 51200};
                double t = seconds(&m, stack, "", 0, shape);
                int kind = cc < 100 && empty(rows);
                cr_expect_geq(t, 0.9999 * before[kind], "sm_%d, stack %d: %g rows", cc,
                              stack, rows);
                before[kind] = t;
            }
        }
}

/* vLLM's kernel of 256 × 128 on sm_89 stores slowly: `extra` counts eight times a wave.
 */
Test(kern_gemm, cutlass_2_stores_slowly)
{
    static const double shape[] = {2048, 8192, 32};
    struct rl_machine m = machine(89);
    double plain = seconds(&m, VLLM, "extra", 0.1, shape);

    cr_expect_gt(seconds(&m, VLLM, "extra", 5.1, shape), plain + 8 * 5e-6);
}

/* sgl-kernel's CTAs on sm_89 go down the columns: X, which L2 does not hold, comes from
 * DRAM again for every strip. */
Test(kern_gemm, x_is_read_again_for_every_strip)
{
    static const double shape[] = {32768, 8192, 8192};
    struct rl_machine m = machine(89);

    m.dram_peak = m.dram = 1e11;
    cr_expect_gt(seconds(&m, SGL, "", 0, shape), 10 * 32768.0 * 8192 / 1e11);
    cr_expect_lt(seconds(&m, VLLM, "", 0, shape), 10 * 32768.0 * 8192 / 1e11);
}

/* What three stacks' rows show of cuBLAS, and of no other maker's library. */
Test(kern_gemm, cublas_takes_large_tiles_and_leaves_k_whole)
{
    static const double shape[] = {12, 1536, 2560};
    struct rl_machine ada = machine(89), ampere = machine(80);

    cr_expect(rl_gemm_large(80, 108, 2, 1024, 3584, 3072));
    cr_expect_not(rl_gemm_large(80, 108, 2, 1024, 3584, 8192));
    cr_expect(rl_gemm_large(80, 108, 2, 1024, 3584, 6592));
    cr_expect_not(rl_gemm_large(80, 108, 2, 1024, 3584, 6656));
    cr_expect_not(rl_gemm_large(80, 108, 2, 768, 3584, 3072)); /* one wave */
    cr_expect(rl_gemm_large(80, 108, 2, 256, 16384, 32));
    cr_expect(rl_gemm_large(120, 188, 2, 2304, 3584, 64));
    cr_expect(rl_gemm_large(120, 188, 2, 2304, 3584, 2080));
    cr_expect_not(rl_gemm_large(120, 188, 2, 2304, 3584, 2112));
    cr_expect_not(rl_gemm_large(120, 188, 2, 2304, 3584, 32));
    cr_expect_not(rl_gemm_large(80, 108, 1, 256, 16384, 256));
    cr_expect(rl_gemm_large(89, 142, 2, 1536, 3584, 3072));
    cr_expect_not(rl_gemm_large(89, 142, 2, 1536, 3584, 16384));
    cr_expect_not(rl_gemm_large(89, 142, 1, 1536, 3584, 3072));
    cr_expect_not(rl_gemm_large(0, 304, 2, 4096, 12288, 3072));
    cr_expect_gt(seconds(&ada, 0, "", 0, shape), 1.2 * seconds(&ampere, 0, "", 0, shape));
    ada.warm = ampere.warm = 0;
    cr_expect_lt(seconds(&ada, 0, "", 0, shape),
                 1.01 * seconds(&ampere, 0, "", 0, shape));
}

/* Seconds of sm_`cc` over those of sm_80, where k from 900 on is open to splits; bound by
 * steps of k. */
static double over_ampere(int cc, double rows, double columns, double k)
{
    const double shape[] = {rows, columns, k};
    struct rl_machine m = machine(cc), ampere = machine(80);

    m.l2_bw = ampere.l2_bw = 1e15;
    return seconds(&m, 0, "chain", 10, shape) / seconds(&ampere, 0, "chain", 10, shape);
}

/* Up to which k, by the rows or columns of which there are fewer, and the tiles. */
Test(kern_gemm, cublas_leaves_k_whole_by_rows)
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

Test(kern_gemm, cublas_reads_few_rows_slowly)
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
    cr_expect_lt(over_model(80, 0, 128, 512, 16384), 0.7);
    cr_expect_gt(over_model(80, 0, 128, 512, 16384), 0.58);
    cr_expect_float_eq(over_model(80, 0, 4096, 8192, 512), 1, 1e-3);
    cr_expect_float_eq(over_model(90, 0, 128, 1024, 16384), 1, 1e-3);
}

/* Half of what all pipelines load first is hidden by nothing, and where multiply-adds
 * take longest it is all that L2 adds. */
Test(kern_gemm, first_loads_are_not_hidden)
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

/* Below k = 1000 of two bytes cuBLAS takes no tile above 128 x 128 on sm_89 (L40S: times
 * of k = 512 are waves of 128 x 128, of 1024 and 1536 of 256 x 128). */
Test(kern_gemm, small_tiles_alone_where_k_is_short_on_ada)
{
    static const struct {
        int cc;
        enum rl_gemm_menu menu;
        double k;
        bool large;
    } rows[] = {{89, RL_GEMM_SPLIT, 999, false}, {86, RL_GEMM_SPLIT, 992, false},
                {89, RL_GEMM_SPLIT, 1000, true}, {89, RL_GEMM_UNSPLIT, 512, true},
                {80, RL_GEMM_SPLIT, 512, true},  {120, RL_GEMM_SPLIT, 512, true}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double most = 0;
        int n;
        const struct rl_gemm_tile *tile =
            rl_gemm_tiles(rows[i].menu, rows[i].cc, 4096, 4096, rows[i].k, &n);
        for (int j = 0; j < n; j++)
            most = fmax(most, tile[j].a * tile[j].b);
        cr_expect_eq(most, rows[i].large ? 32768 : 16384, "row %zu: %g", i, most);
    }
}

/* On mma.sync parts k is split into more than four CTAs an SM: 2.4 waves of 256 x 128
 * take little more than 1.2 times two, where three whole ones would take 1.5. */
Test(kern_gemm, long_k_is_split_until_waves_are_full)
{
    static const double two[] = {512, 16896, 65536}, more[] = {512, 20480, 65536};
    struct rl_machine m = machine(80);
    m.l2_bw = 1e14; /* bound by multiply-adds alone */
    double ratio = seconds(&m, 0, "tile", 100, more) / seconds(&m, 0, "tile", 100, two);

    cr_expect_gt(ratio, 1.2);
    cr_expect_lt(ratio, 1.35);
}

/* Twice the tile, twice the output and no more: two waves of 256 x 128 take as long as
 * four of 128 x 128. */
Test(kern_gemm, output_of_large_tiles)
{
    static const double shape[] = {1024, 8448, 320};
    struct rl_machine ampere = machine(80), ada = machine(89);

    cr_expect(rl_gemm_large(80, 132, 1, 1024, 8448, 320));
    cr_expect_lt(seconds(&ampere, 0, "epilogue", 20, shape),
                 1.1 * seconds(&ada, 0, "epilogue", 20, shape));
}

/* On Hopper more rows may be faster (H100, fp8 × 10240: 257 rows of k = 6144 81 us in
 * SGLang, 225 of 5120 43; 1281 of 5120 200.9 us in vLLM, 1536 140.9 in SGLang), where one
 * CTA of a cluster has no row at all; not on tcgen05 parts, nor without clusters.  Within
 * a model as in the rows. */
Test(kern_gemm, a_row_of_clusters_with_an_empty_cta)
{
    static const double odd[] = {513, 8192, 8192}, last[] = {640, 8192, 8192},
                        even[] = {641, 8192, 8192}, alone[] = {65, 4096, 8192},
                        both[] = {128, 4096, 8192};

    for (int warm = 0; warm < 2; warm++) {
        struct rl_machine hopper = machine(90), blackwell = machine(100);
        hopper.warm = blackwell.warm = warm;
        double t = seconds(&hopper, VLLM, "", 0, even);
        cr_expect_gt(seconds(&hopper, VLLM, "", 0, odd), 1.05 * t);
        cr_expect_gt(seconds(&hopper, VLLM, "", 0, last), 1.05 * t);
        cr_expect_leq(seconds(&blackwell, VLLM, "", 0, odd),
                      seconds(&blackwell, VLLM, "", 0, even));
        cr_expect_leq(seconds(&hopper, SGL, "", 0, alone),
                      seconds(&hopper, SGL, "", 0, both));
    }
}

/* Rows of vLLM's tables that ask for k, and which kernels are persistent. */
Test(kern_gemm, tables_by_k)
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

/* CTAs of the first wave start one after another, those behind it find their SMs warm. */
Test(kern_gemm, a_first_wave_starts)
{
    static const double four[] = {128, 128, 4096}, waves[] = {4096, 4096, 4096};
    struct rl_machine m = machine(89);

    expect_near(seconds(&m, SGL, "start", 2, four) - seconds(&m, SGL, "start", 1, four),
                4 / 132.0 * 1e-6, 1e-3); /* tiles of 64 x 64 */
    expect_near(seconds(&m, SGL, "start", 2, waves) - seconds(&m, SGL, "start", 1, waves),
                1e-6, 1e-3);
}

/* Stairs on the way of `fixed` from 1 to 5 us. */
static int stairs(const struct rl_machine *m, double stack)
{
    static const double shape[] = {12, 64, 32}, step = 0.02;
    double before = seconds(m, stack, "fixed", 1, shape);
    bool steep = false;
    int n = 0;

    for (double fixed = 1 + step; fixed < 5; fixed += step) {
        double t = seconds(m, stack, "fixed", fixed, shape);
        bool is = t - before > 1.01 * step * 1e-6;
        n += is && !steep;
        steep = is;
        before = t;
    }
    return n;
}

/* Of the stairs on that way, where the flattest lies: us of a timing of so many calls
 * beyond whole ticks. */
static double beyond(const struct rl_machine *m, double stack, double calls)
{
    static const double shape[] = {12, 64, 32}, step = 0.02;
    double before = seconds(m, stack, "fixed", 1, shape), flattest = 1, at = 0;

    for (double fixed = 1 + step; fixed < 3; fixed += step) {
        double t = seconds(m, stack, "fixed", fixed, shape);
        if (t - before < flattest) {
            flattest = t - before;
            at = t;
        }
        before = t;
    }
    return 2.048 * remainder(1e6 * at * calls / 2.048, 1);
}

/* Six calls of vLLM's graph last whole ticks of 2.048 us together, one of TensorRT-LLM's
 * in fp8 by itself; within a model there are none. */
Test(kern_gemm, blackwell_counts_calls_of_a_graph_in_ticks)
{
    struct rl_machine m = machine(120), hopper = machine(90);
    int six = stairs(&m, 0), one = stairs(&m, TRTLLM_FP8);

    cr_expect(six == 11 || six == 12, "%d", six);
    cr_expect(one == 1 || one == 2, "%d", one);
    expect_near(beyond(&m, 0, 6), 0.75, 0.15);
    expect_near(beyond(&m, TRTLLM_FP8, 1), 0.2, 0.15);
    cr_expect_eq(stairs(&hopper, 0), 0);
    m.warm = 0;
    cr_expect_eq(stairs(&m, 0), 0);
}

/* Up to 8 rows (measured on B200: 4 x 3584 x 2048 6.7 us, 14 x 3584 x 2048 4.4), where k
 * is no longer than n and n has few tiles. */
Test(kern_gemm, cublas_takes_long_steps_up_to_8_rows)
{
    struct rl_machine blackwell = machine(100), hopper = machine(90);

    cr_expect_gt(bf16(&blackwell, 8, 3584, 2048), 1.1 * bf16(&blackwell, 9, 3584, 2048));
    cr_expect_leq(bf16(&blackwell, 8, 1536, 2560), bf16(&blackwell, 9, 1536, 2560));
    cr_expect_leq(bf16(&blackwell, 8, 6144, 2048), bf16(&blackwell, 9, 6144, 2048));
    cr_expect_leq(bf16(&hopper, 8, 3584, 2048), bf16(&hopper, 9, 3584, 2048));
    blackwell.warm = 0;
    cr_expect_leq(bf16(&blackwell, 8, 3584, 2048), bf16(&blackwell, 9, 3584, 2048));
}

/* An output that L2 has no room for goes to DRAM while it is stored: fast DRAM gains
 * nothing. Of one that is little larger most still does. */
Test(kern_gemm, output_beyond_l2_is_counted_once)
{
    struct rl_machine m = machine(90), fast = m;

    fast.dram_peak = 1e15;
    cr_expect_lt(bf16(&m, 16384, 16384, 32), 1.04 * bf16(&fast, 16384, 16384, 32));
    cr_expect_gt(bf16(&m, 16384, 3662, 32), 1.04 * bf16(&fast, 16384, 3662, 32));
}

/* Multiply-adds and DRAM that take alike cost a long call less than cubes say. */
Test(kern_gemm, long_calls_hide_more)
{
    struct rl_machine m = machine(90), fast = m;

    fast.dram_peak = 1e15;
    cr_expect_gt(bf16(&m, 130, 8192, 16384), 1.15 * bf16(&fast, 130, 8192, 16384));
    cr_expect_lt(bf16(&m, 130, 65536, 51200), 1.1 * bf16(&fast, 130, 65536, 51200));
}
