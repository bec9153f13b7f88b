/* Convolution, experts, collectives, glue. */
#include "op_test.h"

#include <stdio.h>

Test(op_conv, by_hand)
{
    struct rl_work w =
        work_of("conv1d", "batch=1 seq_len=10 channels=64 width=4 dtype=bf16");

    cr_expect_eq(w.vector_flop, 5760.0); /* 640·(2·4 + 1) */
    cr_expect_eq(w.act_bytes, 2560.0);   /* 640 in, 640 out */
    cr_expect_eq(w.weight_bytes, 512.0); /* 64·4·2 */
    cr_expect_eq(w.cache_bytes, 0.0);
    w = work_of("conv1d_update", "batch=2 seq_len=1 channels=64 width=4 dtype=bf16");
    cr_expect_eq(w.act_bytes, 512.0);
    cr_expect_eq(w.cache_bytes, 1536.0); /* 2·64·3·2, in and out */
}

/* Mixtral 8x7B, one token: two experts of three 4096 × 14336 matrices. */
Test(op_moe, mixtral_token)
{
#define MIXTRAL "hidden=4096 inter=14336 topk=2 experts=8 matrices=3 dtype=bf16 "
    struct rl_work w = work_of("moe", MIXTRAL "tokens=1 routing=balanced");

    cr_expect_eq(w.flop, 704643072.0);         /* 2·2·3·4096·14336 */
    cr_expect_eq(w.weight_bytes, 704643072.0); /* 2 experts·3·4096·14336·2 */
    cr_expect_eq(w.act_bytes, 16384.0);        /* one token in, one out */
    w = work_of("moe", MIXTRAL "tokens=4096 routing=balanced");
    cr_expect_eq(w.weight_bytes, 8 * 352321536.0); /* every expert once */
    cr_expect_eq(w.flop, 4096 * 704643072.0);
    /* a quarter of the experts on each of four ranks, or of the width */
    cr_expect_eq(work_of("moe", MIXTRAL "tokens=4096 ep=4").flop, 1024 * 704643072.0);
    cr_expect_eq(work_of("moe", MIXTRAL "tokens=4096 tp=4").flop, 1024 * 704643072.0);
    cr_expect_eq(work_of("moe", MIXTRAL "tokens=4096 tp=4 routing=balanced").weight_bytes,
                 2 * 352321536.0);
}

/* E·(1 − (1 − k/E)^N): 8·(1 − 0.75^N), 256·(1 − (31/32)^N), … */
Test(op_moe, distinct_experts_at_random)
{
    static const double row[][4] = {
        /* tokens, top-k, experts, distinct */
        {1, 2, 8, 2},          {2, 2, 8, 3.5},         {4, 2, 8, 5.46875},
        {8, 2, 8, 7.199097},   {8, 8, 256, 57.416},    {32, 8, 256, 163.31},
        {128, 8, 256, 251.60}, {32, 10, 512, 239.636}, {3, 4, 4, 4},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        expect_near(rl_moe_distinct(row[i][0], row[i][1], row[i][2], RL_ROUTING_UNIFORM),
                    row[i][3], 1e-4);
}

Test(op_moe, distinct_experts_when_even)
{
    cr_expect_eq(rl_moe_distinct(1, 8, 256, 0), 8.0);
    cr_expect_eq(rl_moe_distinct(31, 8, 256, 0), 248.0);
    cr_expect_eq(rl_moe_distinct(33, 8, 256, 0), 256.0);
}

/* Means of 200 simulated draws of the recipe (density x^−1.2, scaled, rounded). */
Test(op_moe, distinct_experts_under_a_power_law)
{
    static const double row[][4] = {
        {1, 8, 256, 8.0},       {8, 8, 256, 41.9},    {32, 8, 256, 98.4},
        {64, 8, 256, 177.0},    {256, 8, 256, 218.3}, {4096, 8, 256, 251.5},
        {16, 8, 128, 49.8},     {64, 8, 128, 114.6},  {64, 10, 512, 280.9},
        {1024, 10, 512, 434.4}, {32, 1, 16, 13.0},    {16384, 4, 32, 32.0},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        expect_near(rl_moe_distinct(row[i][0], row[i][1], row[i][2], 1.2), row[i][3],
                    0.03);
}

/* Skew leaves experts out, and never touches more than there are. */
Test(op_moe, skew_touches_fewer)
{
    for (double n = 2; n < 20000; n *= 3) {
        double even = rl_moe_distinct(n, 8, 256, 0);
        double random = rl_moe_distinct(n, 8, 256, RL_ROUTING_UNIFORM);
        double skewed = rl_moe_distinct(n, 8, 256, 1.2);

        cr_expect_leq(random, even);
        cr_expect_leq(skewed, even);
        cr_expect_geq(skewed, 1.0);
        if (n >= 6 && n < 1000)
            cr_expect_lt(skewed, random, "%g tokens", n);
    }
    /* no step where an exponent makes an integral a logarithm */
    for (double a = 1; a <= 2; a++) {
        double at = rl_moe_distinct(64, 8, 256, a);
        expect_near(rl_moe_distinct(64, 8, 256, a + 1e-6), at, 1e-4);
        expect_near(rl_moe_distinct(64, 8, 256, a - 1e-6), at, 1e-4);
    }
}

/* nccl-tests' factors for 8 ranks: 14/8 and 7/8 of the message. */
Test(op_comm, bytes_sent)
{
    cr_expect_eq(work_of("all_reduce", "gpus=8 bytes=1048576").link_bytes, 1835008.0);
    cr_expect_eq(work_of("all_gather", "gpus=8 bytes=1048576").link_bytes, 917504.0);
    cr_expect_eq(work_of("reduce_scatter", "gpus=8 bytes=1048576").link_bytes, 917504.0);
    cr_expect_eq(work_of("alltoall", "gpus=8 bytes=1048576").link_bytes, 917504.0);
    cr_expect_eq(work_of("all_reduce", "gpus=8 bytes=1048576").serial, 14.0);
    cr_expect_eq(work_of("all_reduce", "gpus=1 bytes=1048576").link_bytes, 0.0);
    /* an all-reduce is a reduce-scatter and an all-gather */
    cr_expect_eq(work_of("all_reduce", "gpus=6 bytes=999").link_bytes,
                 work_of("reduce_scatter", "gpus=6 bytes=999").link_bytes +
                     work_of("all_gather", "gpus=6 bytes=999").link_bytes);
}

#define GLUE "rows=2 width=8 dtype=bf16 "
Test(op_glue, by_hand)
{
    struct rl_work w = work_of("norm", GLUE);

    cr_expect_eq(w.act_bytes, 64.0); /* 16 elements in, 16 out */
    cr_expect_eq(w.weight_bytes, 16.0);
    cr_expect_eq(w.vector_flop, 64.0);
    cr_expect_eq(w.sfu, 2.0); /* one rsqrt a row */
    cr_expect_eq(work_of("norm", GLUE "gated=1").act_bytes, 96.0);
    cr_expect_eq(work_of("norm", GLUE "residual=1").act_bytes, 128.0);
    cr_expect_eq(work_of("elementwise", GLUE "reads=2").act_bytes, 96.0);
    cr_expect_eq(work_of("elementwise", GLUE "flops=1.5").vector_flop, 24.0);
    cr_expect_eq(work_of("rope", GLUE).act_bytes, 64.0);
    cr_expect_eq(work_of("rope", GLUE).vector_flop, 48.0);
    cr_expect_eq(work_of("softmax", GLUE).sfu, 16.0);
    cr_expect_eq(work_of("kv_append", GLUE "kv_dtype=fp8").act_bytes, 32.0);
    cr_expect_eq(work_of("kv_append", GLUE "kv_dtype=fp8").cache_bytes, 16.0);
    cr_expect_eq(work_of("sampling", GLUE "passes=3").act_bytes, 96.0);
    w = work_of("embedding", "rows=2 width=8 dtype=fp8");
    cr_expect_eq(w.weight_bytes, 16.0); /* two rows of the table */
    cr_expect_eq(w.act_bytes, 32.0);
    cr_expect_eq(w.flop, 0.0); /* a look-up */
    /* 16 bits in, 8 out, a scale for each row */
    cr_expect_eq(work_of("quantize", "rows=2 width=8 dtype=fp8").act_bytes, 56.0);
    expect_refused("norm", GLUE "gated=2", "'gated': expected 0 or 1");
    expect_refused("norm", "rows=2 width=8 dtype=q4_k", "weight format");
}
