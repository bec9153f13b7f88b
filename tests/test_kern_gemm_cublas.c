/* What measured rows show of cuBLAS's choice of tiles and splits, and of what its CTAs
 * wait for: shared memory, the clock, DRAM in the last wave. */
#include "gemm_test.h"

enum { CUBLAS = 0, WHOLE = 3 }; /* rows of stacks[]; WHOLE never splits k */

static double call(const struct rl_machine *m, double stack, const char *name,
                   double value, double rows, double cols, double k)
{
    const double shape[] = {rows, cols, k};

    return seconds_of(RL_DT_BF16, m, stack, name, value, shape);
}

static double call_fp8(const struct rl_machine *m, double stack, const char *name,
                       double value, double rows, double cols, double k)
{
    const double shape[] = {rows, cols, k};

    return seconds(m, stack, name, value, shape);
}

/* In stack WHOLE, with the parts of the time. */
static double parts_of(const struct rl_machine *m, const char *name, double value,
                       const double shape[3], double part[RL_NBOUNDS])
{
    const struct rl_op_type *op = rl_op_find("gemm");
    double p[RL_MAXPARAMS] = {shape[0], shape[1], shape[2], RL_DT_BF16};
    double c[RL_MAXCOEFS] = {0};

    for (int i = 0; op->coef[i].name; i++) {
        const char *key = op->coef[i].name;
        c[i] = !strcmp(key, name)      ? value
               : !strcmp(key, "stack") ? WHOLE
               : !strcmp(key, "wave")  ? 1
                                       : op->coef[i].prior;
    }
    return op->time(p, m, c, part);
}

/* Bound by multiply-adds: of one SM `rate` a second. */
static struct rl_machine slow_units(int cc, double rate)
{
    struct rl_machine m = machine(cc);

    m.warm = 0;
    m.l2_bw = m.dram = m.dram_peak = 1e18;
    for (int u = 0; u < RL_NUNITS; u++) {
        m.peak[u] = 2 * m.sm * rate;
        m.rate[u] = 1e18;
    }
    return m;
}

/* L40S, bf16 of k = 1536: 3328 x 2560 takes 113 us, 3840 x 2560 162.5, as whole waves of
 * 256 x 128; at k = 512 its times are waves of 128 x 128. */
Test(kern_gemm_cublas, large_tiles_on_ada_by_k)
{
    cr_expect(rl_gemm_large(89, 142, 2, 3840, 2560, 1536));
    cr_expect(rl_gemm_large(89, 299, 2, 3840, 2560, 1536));
    cr_expect_not(rl_gemm_large(89, 300, 2, 3840, 2560, 1536)); /* one wave */
    cr_expect_not(rl_gemm_large(89, 10, 2, 64, 25600, 1536));
    cr_expect_not(rl_gemm_large(89, 15, 2, 128, 3840, 1536)); /* 15 of 128 x 256 */
    cr_expect_not(rl_gemm_large(89, 15, 2, 3840, 128, 1536)); /* or of 256 x 128 */
    cr_expect(rl_gemm_large(89, 142, 2, 3840, 2560, 1001));
    cr_expect_not(rl_gemm_large(89, 142, 2, 3840, 2560, 1000));
    cr_expect(rl_gemm_large(89, 142, 2, 3840, 2560, 12000));
    cr_expect_not(rl_gemm_large(89, 142, 2, 3840, 2560, 12001));
    cr_expect_not(rl_gemm_large(89, 142, 1, 3840, 2560, 3072));
    cr_expect(rl_gemm_large(86, 142, 2, 3840, 2560, 1536));
    cr_expect(rl_gemm_large(80, 142, 2, 3840, 2560, 512));
    cr_expect_not(rl_gemm_large(90, 142, 2, 3840, 2560, 1536));
}

/* Waves of 256 x 128 where one of 128 x 128 more would be done sooner: 2.1 of these take
 * as long as two of those, with k = 960 less. */
Test(kern_gemm_cublas, whole_waves_of_large_tiles_on_ada)
{
    struct rl_machine m = slow_units(89, 1e11);
    double one = call(&m, CUBLAS, "tile", 1e-6, 256, 128 * 132, 1024);
    double more = call(&m, CUBLAS, "tile", 1e-6, 256, 128 * 140, 1024);
    double small = call(&m, CUBLAS, "tile", 1e-6, 256, 128 * 140, 960);

    expect_near(more, 2 * one, 0.03);
    cr_expect_lt(small, 0.85 * more * 960 / 1024, "%g of %g", small, more);
    cr_expect_lt(call(&m, WHOLE, "tile", 1e-6, 256, 128 * 140, 1024), 0.85 * more);
}

/* In fp8 tiles above 128 x 128 come from k = 2048 on (L40S, three stacks): there, where
 * loads count, they halve what is read. */
Test(kern_gemm_cublas, bytes_count_where_tiles_get_large_on_ada)
{
    struct rl_machine m = machine(89);
    m.warm = 0;
    m.l2_bw = 1e11;
    double fp8 = call_fp8(&m, CUBLAS, "ramp", 0.3, 4096, 4096, 1984) / 1984;
    double fp8_large = call_fp8(&m, CUBLAS, "ramp", 0.3, 4096, 4096, 2016) / 2016;
    double bf16 = call(&m, CUBLAS, "ramp", 0.3, 4096, 4096, 992) / 992;
    double bf16_large = call(&m, CUBLAS, "ramp", 0.3, 4096, 4096, 1024) / 1024;

    cr_expect_gt(fp8, 1.15 * fp8_large, "%g of %g", fp8, fp8_large);
    cr_expect_gt(bf16, 1.15 * bf16_large, "%g of %g", bf16, bf16_large);
}

/* vLLM's table asks for k itself: 256 x 128 from 6144 on, at 8192 rows of sm_90. */
Test(kern_gemm_cublas, tables_take_k_as_it_is)
{
    struct rl_machine m = slow_units(90, 1e11);
    double square = call_fp8(&m, VLLM, "tile", 100, 8192, 16896, 6016) / 6016;

    cr_expect_lt(call_fp8(&m, VLLM, "tile", 100, 8192, 16896, 6144) / 6144,
                 0.95 * square);
}

/* RTX PRO 6000, three stacks: beyond k = 2100 they fit better without 128 x 128, most of
 * all at 4096 to 8192; at 256 to 2048, and in fp8, with it. */
Test(kern_gemm_cublas, no_square_tile_on_sm_120)
{
    cr_expect(rl_gemm_no_square(120, 2, 2101));
    cr_expect_not(rl_gemm_no_square(120, 2, 2100));
    cr_expect_not(rl_gemm_no_square(120, 1, 4096));
    cr_expect_not(rl_gemm_no_square(119, 2, 4096));
    for (int stack = CUBLAS; stack <= WHOLE; stack += WHOLE) {
        struct rl_machine m = slow_units(120, 1e11);
        m.sm = 147; /* a wave of 128 x 128 and of no other tile */
        double with = call(&m, stack, "tile", 10, 128, 128 * 147, 2080) / 2080;
        double without = call(&m, stack, "tile", 10, 128, 128 * 147, 2112) / 2112;
        if (stack == CUBLAS)
            cr_expect_gt(without, 1.05 * with, "%g of %g", without, with);
        else
            cr_expect_lt(without, with);
    }
}

/* A split of 64 would make small outputs of A100, L40S and RTX PRO 6000 7 to 9 % too fast
 * in bf16 (three stacks each): 65536 steps of 10 us a 1024, over 32 or 64 parts. */
Test(kern_gemm_cublas, k_is_split_into_32_parts_at_most)
{
    static const int parts[] = {80, 89, 120, 90, 100};
    const double steps = 64 * 10e-6;

    for (int i = 0; i < 5; i++) {
        struct rl_machine m = machine(parts[i]);
        m.warm = 0;
        m.dram = m.dram_peak = 1e18;
        double t = call(&m, CUBLAS, "chain", 10, 16, 64, 65536);
        double fp8 = call_fp8(&m, CUBLAS, "chain", 10, 16, 64, 65536) -
                     call_fp8(&m, CUBLAS, "chain", 1e-3, 16, 64, 65536);
        if (i < 3)
            cr_expect(t > steps / 32 && t < steps / 20, "sm_%d: %g", parts[i], t);
        else
            cr_expect_lt(t, steps / 36, "sm_%d: %g", parts[i], t);
        cr_expect_lt(fp8, steps / 40, "sm_%d: %g", parts[i], fp8);
    }
}

/* Seconds of sm_`cc` over those of sm_75, which has no limit; bound by steps of k. */
static double over_turing(int cc, double rows, double cols, double k, double warm)
{
    struct rl_machine part = machine(cc), turing = machine(75);

    part.warm = turing.warm = warm;
    part.l2_bw = turing.l2_bw = 1e15;
    return call(&part, CUBLAS, "chain", 10, rows, cols, k) /
           call(&turing, CUBLAS, "chain", 10, rows, cols, k);
}

/* A100, three stacks: k of 768 is whole, of 1024 split; less of one tile, and
 * small products are split there alone. */
Test(kern_gemm_cublas, ampere_leaves_k_whole_up_to_768)
{
    cr_expect_gt(over_turing(80, 16, 256, 896, 1), 1.2);
    cr_expect_float_eq(over_turing(80, 16, 256, 928, 1), 1, 1e-3);
    cr_expect_float_eq(over_turing(80, 16, 256, 1024, 1), 1, 1e-3);
    cr_expect_float_eq(over_turing(80, 16, 64, 2048, 1), 1, 1e-3);
    cr_expect_gt(over_turing(89, 16, 64, 2048, 1), 1.2); /* small products are whole */
    cr_expect_float_eq(over_turing(89, 16, 64, 2080, 1), 1, 1e-3);
    cr_expect_gt(over_turing(80, 256, 256, 768, 1), 1.2);
    cr_expect_gt(over_turing(80, 16, 64, 448, 1), 1.03);
    cr_expect_float_eq(over_turing(80, 16, 64, 480, 1), 1, 1e-3);
    cr_expect_float_eq(over_turing(80, 1, 256, 768, 1), 1, 1e-3); /* a GEMV kernel */
    cr_expect_float_eq(over_turing(80, 16, 256, 768, 0), 1, 1e-3);
}

/* What a call takes more on this part than on sm_75. */
static double more(int cc, double stack, double warm, double rows, double cols, double k)
{
    struct rl_machine m = machine(cc), turing = machine(75);

    m.warm = turing.warm = warm;
    return call(&m, stack, "floor", 1e-3, rows, cols, k) -
           call(&turing, stack, "floor", 1e-3, rows, cols, k);
}

/* A100, three stacks: 384 x 128 x 32 4.16 us, 512 x 128 x 32 3.04; 80 x 256 x 64 4.10, 96
 * x 512 x 64 3.29; 32 x 128 x 256 5.02, 32 x 256 x 256 4.20. */
Test(kern_gemm_cublas, small_products_take_a_microsecond_more_on_ampere)
{
    expect_near(more(80, CUBLAS, 1, 384, 128, 32), 1e-6, 1e-3);
    expect_near(more(80, CUBLAS, 1, 80, 256, 64), 1e-6, 1e-3);
    expect_near(more(80, CUBLAS, 1, 17, 32, 32), 1e-6, 1e-3);
    expect_near(more(80, CUBLAS, 1, 32, 17, 32), 1e-6, 1e-3);
    expect_near(more(80, CUBLAS, 1, 511, 128, 32), 1e-6, 1e-3);
    expect_near(more(80, CUBLAS, 1, 2048, 64, 15), 1e-6, 1e-3); /* k as it is */
    cr_expect_lt(more(80, CUBLAS, 1, 512, 128, 32), 1e-8);
    cr_expect_lt(more(80, CUBLAS, 1, 16, 64, 32), 1e-8);
    cr_expect_lt(more(80, CUBLAS, 1, 64, 16, 32), 1e-8);
    cr_expect_lt(more(80, WHOLE, 1, 384, 128, 32), 1e-8);
    cr_expect_lt(more(80, CUBLAS, 0, 384, 128, 32), 1e-8);
    cr_expect_lt(more(89, CUBLAS, 1, 384, 128, 32), 1e-8);
}

/* Where CTAs start slowly the library takes few: one on each SM for less than half of
 * `start`, a first wave's all of it. */
Test(kern_gemm_cublas, start_counts_where_the_tile_is_chosen)
{
    struct rl_machine m = machine(80);
    m.warm = 0;
    double many = call(&m, WHOLE, "start", 1e-3, 128, 32 * 132, 64);
    double few = call(&m, WHOLE, "start", 5, 128, 32 * 132, 64);

    cr_expect_lt(few - many, 0.6 * 5e-6, "%g", few - many);
    static const double four[] = {128, 128, 4096};
    double part[RL_NBOUNDS], more[RL_NBOUNDS];
    double one = parts_of(&m, "start", 1, four, part);
    double two = parts_of(&m, "start", 2, four, more);
    expect_near(more[RL_B_LAUNCH] - part[RL_B_LAUNCH], two - one, 1e-3);
    cr_expect(two > one && two < one + 0.2e-6);
    m = slow_units(80, 1e12); /* where only all SMs will do, once and no more */
    many = call(&m, WHOLE, "start", 1e-3, 4096, 4096, 4096);
    expect_near(call(&m, WHOLE, "start", 1 + 1e-3, 4096, 4096, 4096) - many, 1e-6, 1e-3);
}

/* The multiply-adds of one k that one wave takes as long as. */
static double work(int cc, double rows, double cols_of_sm)
{
    struct rl_machine m = slow_units(cc, 1e11);
    double cols = cols_of_sm * m.sm;
    double more = call(&m, WHOLE, "tile", 1e-6, rows, cols, 8192) -
                  call(&m, WHOLE, "tile", 1e-6, rows, cols, 4096);

    return more * 1.05e11 / 4096;
}

/* Tensor units that read shared memory keep up with wide tiles only: on tcgen05 64 x 64
 * takes as long as 64 x 96, 16 x 64 as 64 x 72, 128 x 128 what it has (4096 multiply-adds
 * and 128 bytes a clock); on wgmma three quarters of that, fitted to H100's rows. */
Test(kern_gemm_cublas, narrow_tiles_wait_for_shared_memory)
{
    expect_near(work(100, 16, 64), 64 * 72, 0.01);
    expect_near(work(100, 64, 16), 64 * 72, 0.01);
    expect_near(work(100, 64, 64), 64 * 96, 0.01);
    expect_near(work(100, 128, 128), 128 * 128, 0.01);
    expect_near(work(90, 16, 64), 48 * 72, 0.01);
    expect_near(work(90, 64, 64), 48 * 96, 0.01);
    expect_near(work(90, 128, 128), 128 * 128, 0.01);
    expect_near(work(120, 16, 64), 16 * 64, 0.03);
}

/* Where a source tells the tile, it is as measured: sgl-kernel's 64 x 64. */
Test(kern_gemm_cublas, known_tiles_take_what_they_have)
{
    struct rl_machine m = slow_units(100, 1e11);
    double t = call_fp8(&m, SGL, "tile", 1e-6, 64, 64 * 144, 8192) -
               call_fp8(&m, SGL, "tile", 1e-6, 64, 64 * 144, 128);

    expect_near(t * 1.05e11 / (8192 - 128), 64 * 64, 0.02);
}

/* Seconds that `clock` adds, against the multiply-adds' or, where that is less, the whole
 * call's, times t / (t + half); t: of the tensor units. */
static void expect_dropped(struct rl_machine *m, double half, double k, double dram)
{
    double rows = 512, cols = 32 * m->sm; /* a wave of 128 x 128 */
    const double shape[] = {rows, cols, k};
    double part[RL_NBOUNDS], t[2];

    m->warm = 0;
    m->dram = m->dram_peak = dram;
    m->l2_bw = 1e15;
    m->clock_hz = 1e12;
    for (int drop = 0; drop < 2; drop++)
        t[drop] = parts_of(m, "clock", drop, shape, part);
    double tensor = part[RL_B_COMPUTE], pipe = 2 * rows * cols * k / m->rate[RL_BF16];
    double all = fmin(pipe, t[0] - part[RL_B_LAUNCH]);
    expect_near(t[1] - t[0], all * tensor / (tensor + half), 2e-3);
}

/* The clock of long calls drops (B200, half of it after 0.1 ms; the others' after 0.7 ms)
 * by their multiply-adds, not by what they wait for memory. */
Test(kern_gemm_cublas, the_clock_drops_by_multiply_adds)
{
    static const int parts[] = {80, 90, 100, 120};

    for (int i = 0; i < 4; i++)
        for (double k = 16384; k <= 262144; k *= 16) {
            struct rl_machine m = machine(parts[i]);
            double half = parts[i] == 100 ? 0.1e-3 : 0.7e-3;
            expect_dropped(&m, half, k, 1e15);
            expect_dropped(&m, half, k, 3e12); /* more than half of it waiting */
            for (int u = 0; u < RL_NUNITS; u++)
                m.rate[u] = 1e15; /* more than the whole call's */
            expect_dropped(&m, half, k, 1e15);
        }
}

/* Persistent kernels and slowed tensor units have the sustained rate as it is. */
Test(kern_gemm_cublas, the_clock_of_sustained_rates_does_not_drop)
{
    struct rl_machine m = machine(100), slow = machine(89);

    expect_near(call_fp8(&m, VLLM, "clock", 1, 4096, 8192, 65536),
                call_fp8(&m, VLLM, "clock", 0, 4096, 8192, 65536), 1e-9);
    slow.l2_bw = 1e15;
    slow.slow = 2;
    expect_near(call(&slow, WHOLE, "clock", 1, 4096, 8192, 16384),
                call(&slow, WHOLE, "clock", 0, 4096, 8192, 16384), 1e-9);
    slow.slow = 1;
    cr_expect_gt(call(&slow, WHOLE, "clock", 1, 4096, 8192, 16384),
                 1.05 * call(&slow, WHOLE, "clock", 0, 4096, 8192, 16384));
}

/* Seconds bound by DRAM over those that its rate alone would take; SMs of 16 rows. */
static double over_dram(int cc, double sm, double cols)
{
    struct rl_machine m = machine(cc);
    double k = 4096;

    m.warm = 0;
    m.sm = sm;
    m.dram = m.dram_peak = 1e10;
    return call_fp8(&m, VLLM, "fill", 1e-9, 16, cols, k) / (cols * k / (0.82 * 1e10));
}

/* The CTAs of a last wave ask DRAM for no more than each does alone: one of them, as of
 * any number, takes a third of the time of all SMs (`few` 3).  vLLM's on sm_89: 16 x 64,
 * one on an SM, and 16 x 128, two. */
Test(kern_gemm_cublas, dram_waits_for_the_last_wave)
{
    double whole = cbrt(1 + 1 / 27.0);

    expect_near(over_dram(89, 128, 8192), whole, 0.01);
    expect_near(over_dram(89, 127, 8192), 127 / 128.0 * 4 / 3, 0.015);
    expect_near(over_dram(89, 64, 16384), cbrt(1 + 1 / 216.0), 0.01);
    expect_near(over_dram(89, 63, 16384), 63 / 64.0 * (1 + 1 / 6.0), 0.015);
    expect_near(over_dram(89, 42, 16384), 1.004, 0.01); /* half of them in the last */
    expect_near(over_dram(120, 86, 8192), 1 + 86 / 384.0, 0.02);
    expect_near(over_dram(120, 128, 8192), 4 / 3.0, 0.02); /* persistent */
    expect_near(over_dram(120, 127, 8192), 4 / 3.0, 0.02);
}

/* The same of the CTAs of all parts of k: 80 tiles of 16 x 64 in two parts are 1.2 waves
 * of 132 SMs. */
Test(kern_gemm_cublas, dram_waits_for_the_last_wave_of_parts)
{
    struct rl_machine m = machine(80);
    m.warm = 0;
    m.dram = m.dram_peak = 1e9;
    double bytes = 5120 * 64 * 2 / (0.82 * 1e9);
    double dram = 1 + 100 / 132.0, before = dram * 132 / 160, few = 5 * 132 / 160.0;
    double want = before + cbrt(pow(dram - before, 3) + pow(few, 3));

    expect_near(call(&m, CUBLAS, "few", 0.2, 16, 5120, 64), want * bytes, 0.02);
}

/* Seconds at the priors. */
static double prior(const struct rl_machine *m, double rows, double cols, double k)
{
    const struct rl_op_type *op = rl_op_find("gemm");
    double p[RL_MAXPARAMS] = {rows, cols, k, RL_DT_BF16}, c[RL_MAXCOEFS] = {0};

    for (int i = 0; op->coef[i].name; i++)
        c[i] = op->coef[i].prior;
    return op->time(p, m, c, NULL);
}

/* Within a model one row more takes hardly less.  Left out: steps onto the next tile that
 * fall by more, up to 3 %: sm_100, 65 rows of n from 14336 on, k from 3072 on; sm_120,
 * 129 rows of 1536 x 4096.  With slower DRAM 17 rows of 1536 x 1024 fall by 15 %. */
Test(kern_gemm_cublas, a_row_more_is_not_faster_in_a_model)
{
    static const int parts[] = {80, 89, 90, 100, 120};
    static const double shape[][2] = {{256, 768},   {1536, 1024}, {3584, 2048},
                                      {4096, 4096}, {8192, 8192}, {14336, 2048}};

    for (int i = 0; i < 5; i++) {
        struct rl_machine m = machine(parts[i]);
        m.warm = 0;
        for (size_t j = 0; j < sizeof shape / sizeof *shape; j++) {
            double before = 0;
            for (double rows = 1; rows <= 512; rows++) {
                double t = prior(&m, rows, shape[j][0], shape[j][1]);
                cr_expect_geq(t, 0.98 * before, "sm_%d: %g x %g x %g", parts[i], rows,
                              shape[j][0], shape[j][1]);
                before = t;
            }
        }
    }
}
