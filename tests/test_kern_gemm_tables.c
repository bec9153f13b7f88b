/* GEMM by the tables of vLLM and sgl-kernel, and TensorRT-LLM's quantising: what their
 * rows show beside the tile, each on a machine on which nothing else takes time. */
#include "gemm_test.h"

enum { SQUARE = 10, DEEP = 11, TRT_BLOCK = 12, SMS = 128 };

/* L2 holds everything, and only what a test slows down takes time beside launches and
 * the steps of k. */
static struct rl_machine quick(int cc)
{
    struct rl_machine m = machine(cc);

    m.sm = SMS;
    m.clock_hz = 1e15;
    m.l2_bw = 1e18;
    m.l2_bytes = 1e15;
    m.dram = 1e20;
    m.dram_peak = 1e8;
    for (int u = 0; u < RL_NUNITS; u++)
        m.peak[u] = m.rate[u] = 1e22;
    return m;
}

/* The same within a model, where weights always come from DRAM: on a quick one as fast.
 */
static struct rl_machine cold(struct rl_machine m)
{
    m.warm = 0;
    if (m.dram_peak <= 1e8)
        m.dram_peak = 1e20;
    return m;
}

static double us(const struct rl_machine *m, double stack, const char *name, double value,
                 double rows, double n, double k)
{
    return 1e6 * seconds(m, stack, name, value, (double[]){rows, n, k});
}

/* Warps of their own load by TMA, and CUTLASS's scheduler hands out tiles.  FlashInfer's
 * kernel for nvfp4 is not known to. */
Test(kern_gemm_tables, sm_120_is_persistent)
{
    static const struct {
        enum rl_gemm_menu menu;
        double rows, a, b;
        bool persistent;
    } row[] = {{RL_GEMM_VLLM, 16, 16, 64, true},    {RL_GEMM_VLLM, 17, 32, 64, true},
               {RL_GEMM_VLLM, 32, 32, 64, true},    {RL_GEMM_VLLM, 33, 64, 64, true},
               {RL_GEMM_VLLM, 256, 64, 64, true},   {RL_GEMM_VLLM, 257, 128, 128, true},
               {RL_GEMM_SGL, 1, 128, 128, true},    {RL_GEMM_SGL, 512, 128, 128, true},
               {RL_GEMM_SQUARE, 1, 128, 128, false}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        int n = 0;
        const struct rl_gemm_tile *t =
            rl_gemm_tiles(row[i].menu, 120, row[i].rows, 4096, 4096, &n);
        cr_expect(n == 1 && t->a == row[i].a && t->b == row[i].b, "row %zu", i);
        cr_expect_eq(t->persistent, row[i].persistent, "row %zu", i);
    }
}

/* us of four steps of stores, 1 us each: 128 rows in tiles of 64 x 64 of sgl-kernel. */
static double stores(const struct rl_machine *m, double ctas)
{
    double n = 64 * ctas / 2;

    return us(m, SGL, "step", 2, 128, n, 32) - us(m, SGL, "step", 1, 128, n, 32);
}

/* As soon as one pair of SMs has two CTAs, from half a wave on, the whole wave takes
 * longer by `pair`, a half (vLLM's and sgl-kernel's rows of L40S). */
Test(kern_gemm_tables, a_pair_with_two_ctas_stores_slowly)
{
    for (int warm = 0; warm < 2; warm++) {
        struct rl_machine m = warm ? quick(89) : cold(quick(89));
        expect_near(stores(&m, SMS / 2 - 8), 4, 0.01);
        expect_near(stores(&m, SMS / 2), 4, 0.01);
        expect_near(stores(&m, SMS / 2 + 2), 6, 0.01);
        expect_near(stores(&m, SMS), 6, 0.01);
    }
}

enum { ROWS = 64, K = 8192 }; /* K: 20 us of steps */

/* So many CTAs of 64 x 64 of vLLM's on sm_120. */
static double of_ctas(const struct rl_machine *m, double ctas, const char *name,
                      double value)
{
    return us(m, VLLM, name, value, ROWS, 64 * ctas, K);
}

/* Launch and first wave, quantising K of ROWS. */
static double beside(void)
{
    return 2.8 + 0.4 + 0.1 * K / 1024 + 0.2 * 5 * ROWS / SMS;
}

static double joined(double a, double b)
{
    return cbrt(a * a * a + b * b * b);
}

/* us of DRAM that such a call takes: W, X, more of both while pipelines fill, Y. */
static double from_dram(const struct rl_machine *m, double ctas)
{
    double n = 64 * ctas, in = (n * K + ROWS * K) * (1 + 100 / (100.0 + K));

    return 1e6 * (in + 2 * ROWS * n) / (0.82 * m->dram_peak);
}

/* vLLM's 112 x 6144 x 65536 in 1.02 waves takes 405 us on RTX PRO 6000, DRAM 272 and
 * multiplying 222 of it: the last wave multiplies when DRAM is done.  Here half a wave
 * or one CTA beyond the first, steps of 20 us and DRAM twice that or more. */
Test(kern_gemm_tables, the_last_wave_comes_after_dram)
{
    static const double few[] = {3, 0.6, 1000}, all[] = {SMS + 1, 1.5 * SMS};
    struct rl_machine m = quick(120);

    m.l2_bytes = 1;
    m.dram_peak = 2e12;
    for (int i = 0; i < 6; i++) {
        double ctas = all[i % 2], dram = from_dram(&m, ctas), first = SMS / ctas;
        double slow = dram / few[i / 2] * first; /* of one CTA an SM */
        double a = joined(20.3, dram * first + slow * first);
        double b = joined(20.24, dram * (1 - first) + slow);
        expect_near(of_ctas(&m, ctas, "few", few[i / 2]), a + b + beside(), 0.03);
        dram = from_dram(&m, 2 * SMS); /* whole waves: all at once */
        a = joined(20.3 + 20.24, dram + dram / few[i / 2] / 2);
        expect_near(of_ctas(&m, 2 * SMS, "few", few[i / 2]), a + beside(), 0.04);
    }
}

/* The same of L2, from which all CTAs of a wave read 128 bytes of each k, 40 us. */
Test(kern_gemm_tables, the_last_wave_comes_after_l2)
{
    struct rl_machine m = quick(120);

    m.l2_bw = 1e6 * 128 * SMS * K / 0.9 / 40;
    double once = 0.3 + 1e6 * 1.7 * 2 * 64 * 64 * SMS / m.l2_bw + 0.5 * 40 * 128 / K;
    double whole = joined(20 + once, 40), half = joined(20 + 0.8 * once, 20);
    expect_near(of_ctas(&m, SMS / 2, "", 0), joined(20 + once, 20) + beside() - 0.2,
                0.01);
    expect_near(of_ctas(&m, SMS, "", 0), whole + beside(), 0.01);
    expect_near(of_ctas(&m, 1.5 * SMS, "", 0), whole + half + beside(), 0.01);
    whole = joined(40 + 1.8 * once, 80);
    expect_near(of_ctas(&m, 2 * SMS, "", 0), whole + beside(), 0.01);
    expect_near(of_ctas(&m, 2.5 * SMS, "", 0), whole + half + beside(), 0.01);
}

/* Steps of k of CUTLASS 2 on sm_89 (32 rows: 32 x 64, one CTA an SM) come twice where
 * there is one CTA too many; of a tile that is not known to, 1/128 more.  Within a model
 * none does, since more rows would come out faster. */
Test(kern_gemm_tables, the_last_wave_of_known_tiles_alone)
{
    struct rl_machine ada = quick(89), blackwell = quick(120), within;
    double one = us(&ada, SGL, "", 0, 32, 64 * SMS, K);

    expect_near(us(&ada, SGL, "", 0, 32, 64 * (SMS + 1), K) - one, 20, 0.06);
    ada.dram_peak = 2e13; /* 4 us */
    within = cold(ada);
    cr_expect_lt(us(&within, SGL, "", 0, 32, 64 * (SMS + 1), K), 1.1 * one);
    one = us(&blackwell, SQUARE, "", 0, 128, 128 * SMS, K);
    cr_expect_lt(us(&blackwell, SQUARE, "", 0, 128, 128 * (SMS + 1), K), 1.1 * one);
    blackwell.peak[RL_FP8] = 1e14; /* and it has one tile whatever m is */
    one = us(&blackwell, SQUARE, "", 0, 128, 128 * SMS, K);
    expect_near(us(&blackwell, SQUARE, "", 0, 16, 128 * SMS, K), one, 0.02);
}

/* us that rows beyond m add. */
static double over_cold(const struct rl_machine *m, double stack, double rows, double n,
                        double k)
{
    struct rl_machine c = cold(*m);

    return us(m, stack, "chain", 0.01, rows, n, k) -
           us(&c, stack, "chain", 0.01, rows, n, k);
}

/* A row beyond m holds up all SMs 0.14 ns for 128 of k: 16384 x 768 on RTX PRO 6000 takes
 * sgl-kernel 19.2 us with 5 rows, 15.1 with 48. */
Test(kern_gemm_tables, rows_beyond_m_hold_up_sm_120)
{
    struct rl_machine m = quick(120);
    double row = 0.14e-3 * 16384 / 128 * SMS; /* of all CTAs of a wave */

    expect_near(over_cold(&m, SGL, 3, 128 * SMS, 16384), 125 * row, 0.01);
    expect_near(over_cold(&m, SGL, 43, 128 * SMS, 16384), 85 * row, 0.01);
    expect_near(over_cold(&m, SGL, 131, 128 * SMS, 16384), 125 * row, 0.01);
    expect_near(over_cold(&m, SGL, 3, 128 * SMS, 8192), 125 * row / 2, 0.02);
    expect_near(over_cold(&m, VLLM, 3, 64 * SMS, 16384), 13 * row, 0.04);
    expect_near(over_cold(&m, SGL, 3, 128 * SMS, 19968), 125 * row * 19968 / 16384, 0.01);
    cr_expect_lt(fabs(over_cold(&m, SGL, 128, 128 * SMS, 16384)), 3);
    m.cc = 121;
    expect_near(over_cold(&m, SGL, 3, 128 * SMS, 16384), 125 * row, 0.01);
    m.l2_bytes = 1; /* W from DRAM, 500 us: the longer counts */
    m.dram_peak = 128.0 * SMS * 16384 / 0.82 / 500e-6;
    cr_expect_lt(fabs(over_cold(&m, SGL, 3, 128 * SMS, 16384)), 10);
}

/* Not where rows lie 51,200 bytes apart, on other parts, nor in others' kernels. */
Test(kern_gemm_tables, rows_beyond_m_cost_nothing_elsewhere)
{
    static const int parts[] = {89, 90, 100, 110};
    static const int stacks[] = {0, TRTLLM_FP8, SQUARE, DEEP, TRT_BLOCK};
    struct rl_machine m = quick(120);

    cr_expect_lt(over_cold(&m, SGL, 3, 128 * SMS, 51200), 3);
    cr_expect_lt(over_cold(&m, SGL, 3, 128 * SMS, 20096), 3);
    for (int i = 0; i < 5; i++)
        cr_expect_lt(over_cold(&m, stacks[i], 9, 128 * SMS, 16384), 3, "%d", stacks[i]);
    for (int i = 0; i < 4; i++) {
        m = quick(parts[i]);
        cr_expect_lt(over_cold(&m, SGL, 3, 128 * SMS, 16384), 3, "sm_%d", parts[i]);
    }
}

/* As measured over within a model, W and Y as large and DRAM slow: six W do not fit in
 * L2, one call does. */
static double written(int cc, double stack)
{
    struct rl_machine m = quick(cc), within;

    m.l2_bytes = 1e8;
    m.dram_peak = 2e11;
    within = cold(m);
    return us(&m, stack, "chain", 0.01, 512, 16384, 1024) /
           us(&within, stack, "chain", 0.01, 512, 16384, 1024);
}

/* Y is overwritten by the next call, all operands of the graph in between: it comes and
 * goes with W, in the tables' rows; others show nothing of it. */
Test(kern_gemm_tables, output_goes_with_the_weights)
{
    static const int parts[] = {89, 90, 100, 120}, others[] = {0, 4, SQUARE, DEEP};

    for (int i = 0; i < 4; i++) {
        cr_expect_gt(written(parts[i], SGL), 1.6, "sm_%d", parts[i]);
        cr_expect_gt(written(parts[i], VLLM), 1.6, "sm_%d", parts[i]);
        for (int j = 0; j < 4; j++)
            cr_expect_lt(written(parts[i], others[j]), 1.2, "sm_%d, stack %d", parts[i],
                         others[j]);
    }
}

/* us that `quant_cta` of 1 us adds. */
static double quantising(const struct rl_machine *m, double stack, double rows, double k)
{
    return us(m, stack, "quant_cta", 1, rows, 128, k) -
           us(m, stack, "quant_cta", 0, rows, 128, k);
}

/* 1,024 CTAs of 256 threads take an element a thread, whatever its row; the same by row
 * in its other formats takes a round of all SMs for each. */
Test(kern_gemm_tables, tensorrt_llm_counts_elements)
{
    struct rl_machine m = quick(90);

    expect_near(quantising(&m, TRTLLM_FP8, 4096, 4096), 64, 0.001);
    expect_near(quantising(&m, TRTLLM_FP8, 16384, 1024), 64, 0.001);
    expect_near(quantising(&m, TRTLLM_FP8, 1024, 16384), 64, 0.001);
    expect_near(quantising(&m, TRTLLM_FP8, 256, 4096), 4, 0.01);
    expect_near(quantising(&m, 2, 4096, 4096), 4096.0 / SMS, 0.001);
}

/* us that DRAM of `rate` bytes a second adds to quantising 4096 x 4096, passes alone;
 * L2 of so many bytes. */
static double passes(double l2, double rate)
{
    struct rl_machine m = quick(90), held;

    m.dram_peak = 1e20;
    m.dram = 1e-6 * rate; /* quant_bw is as small */
    m.l2_bytes = l2;
    held = m;
    held.l2_bytes = 1e15;
    return us(&m, TRTLLM_FP8, "keep_sharp", 60, 4096, 128, 4096) -
           us(&held, TRTLLM_FP8, "keep_sharp", 60, 4096, 128, 4096);
}

/* X is read twice and written once, 5 bytes an element, where L2 holds nothing; where it
 * holds X but not what is written too, once.  They overlap with its instructions, 12.8
 * us. */
Test(kern_gemm_tables, tensorrt_llm_reads_x_twice)
{
    double x = 4096.0 * 4096;

    expect_near(passes(1, 7e11) + 12.8, 5e6 * x / 7e11, 0.01);
    expect_near(passes(5e7, 3e11) + 12.8, 3e6 * x / 3e11, 0.01);
    expect_near(passes(1, 5e6 * x / 12.8), 0.26 * 12.8, 0.01);
}

/* us that sm_`cc` takes longer than sm_90 for so many rows of 1024 of k. */
static double over_hopper(int cc, double rows)
{
    struct rl_machine m = cold(quick(cc)), hopper = cold(quick(90));

    return us(&m, TRTLLM_FP8, "start", 0, rows, 64, 1024) -
           us(&hopper, TRTLLM_FP8, "start", 0, rows, 64, 1024);
}

/* On Blackwell alone the look for the largest takes 1.8 us more where each of its 1,024
 * CTAs of 1,024 threads has an element, as rows of B200 and RTX PRO 6000 show. */
Test(kern_gemm_tables, blackwell_looks_longer_for_the_largest)
{
    for (int cc = 100; cc <= 120; cc += 20) {
        double least = over_hopper(cc, 16);
        expect_near(over_hopper(cc, 512) - least, 1.8 * (0.5 - 1 / 64.0), 0.01);
        expect_near(over_hopper(cc, 1024) - least, 1.8 * (1 - 1 / 64.0), 0.01);
        expect_near(over_hopper(cc, 4096) - least, 1.8 * (1 - 1 / 64.0), 0.01);
    }
    cr_expect_lt(fabs(over_hopper(89, 1024) - over_hopper(89, 16)), 0.01);
}

/* us bound by L2 alone. */
static double reading(int cc, double stack, double rows, double n)
{
    struct rl_machine m = quick(cc);

    m.l2_bw = 1e12;
    return us(&m, stack, "", 0, rows, n, 16384);
}

/* Of the two CTAs of a cluster on Hopper the one without an edge sets the pace of both:
 * 65 rows in tiles of 64 take as long as 128.  Not on tcgen05 parts, nor where kernels
 * are not persistent (sm_89). */
Test(kern_gemm_tables, the_fullest_cta_reads_on_hopper)
{
    for (int stack = SGL; stack <= VLLM; stack++) {
        double all = reading(90, stack, 128, 8192);
        expect_near(reading(90, stack, 65, 8192), all, 0.01);
        expect_near(reading(90, stack, 128, 8192 - 64), all, 0.002);
        cr_expect_lt(reading(89, stack, 65, 4096), 0.9 * reading(89, stack, 128, 4096));
        cr_expect_lt(reading(100, stack, 65, 8192),
                     0.85 * reading(100, stack, 128, 8192));
    }
}

/* Menus of one library's block fp8 are the last two and for no other format; nvfp4 has
 * its own before them. */
Test(kern_gemm_tables, block_fp8_keeps_its_menus)
{
    const struct rl_op_type *op = rl_op_find("gemm");

    cr_assert_not_null(op->most);
    cr_expect_eq(op->most("vllm-0.24.0", "", RL_MAXCOEFS - 1), SQUARE);
    cr_expect_eq(op->most("sglang-0.5.14", "flashinfer", 0), SQUARE);
}

static const struct rl_gemm_tile *tile(int cc, int stack, double rows, double n, double k)
{
    int count;

    return rl_gemm_tiles(stack == SGL ? RL_GEMM_SGL : RL_GEMM_VLLM, cc, rows, n, k,
                         &count);
}

/* Whether one row more may save time: other kernels, or as documented. */
static bool may_fall(const struct rl_machine *m, int stack, double rows, double n,
                     double k)
{
    if (stack == TRTLLM_FP8) /* CUDA cores; tiles of 32 rows, not offered before (4 %) */
        return (rows == 8 && (m->cc == 89 || m->cc == 120)) || rows == 16;
    const struct rl_gemm_tile *t = tile(m->cc, stack, rows, n, k);
    bool few = rows / t->a * n / t->b < m->sm && m->dram < 5e12; /* CTAs ask DRAM */
    return (m->cc == 90 && fmod(rows, 256) == 128) || /* an empty CTA, see part_of() */
           (few && fmod(rows, t->a) < 1) || t != tile(m->cc, stack, rows + 1, n, k);
}

/* Within a model one more row saves no time in one and the same kernel.  Left out: where
 * a table goes on to its next row, at 32, 64, 128 or 256, up to 45 % in sgl-kernel's on
 * sm_89 and 41 % in vLLM's on sm_120; where DRAM waits for CTAs, up to 13 %. */
Test(kern_gemm_tables, more_rows_of_a_kernel_save_nothing)
{
    static const int parts[] = {89, 90, 100, 120};
    static const double cols[][2] = {{64, 64},      {1024, 1024},  {4096, 4096},
                                     {12288, 768},  {128, 512},    {1536, 16384},
                                     {16384, 8192}, {28672, 51200}};

    for (int i = 0; i < 4 * 2 * 3 * 8; i++) {
        int stack = SGL + i / 8 % 3;
        const double n = cols[i / 24][0], k = cols[i / 24][1];
        struct rl_machine m = machine(parts[i % 4]);
        m.warm = 0;
        if (i / 4 % 2) { /* bound by memory */
            m.dram = m.dram_peak = 2e12;
            m.l2_bw = 4e12;
        }
        double before = us(&m, stack, "", 0, 1, n, k);
        for (double rows = 1; rows < 512; rows++) {
            double t = us(&m, stack, "", 0, rows + 1, n, k);
            cr_expect(t > 0.98 * before || may_fall(&m, stack, rows, n, k),
                      "sm_%d, stack %d: after %g x %g x %g", m.cc, stack, rows, n, k);
            before = t;
        }
    }
}
