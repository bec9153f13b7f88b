/* GEMM: counted by hand, and identities. */
#include "op_test.h"

#include <stdio.h>

Test(op_gemm, by_hand)
{
    struct rl_work w = work_of("gemm", "m=16 n=4096 k=4096 dtype=bf16");

    cr_expect_eq(w.unit, RL_BF16);
    cr_expect_eq(w.flop, 536870912.0);        /* 2·16·4096·4096 */
    cr_expect_eq(w.weight_bytes, 33554432.0); /* 4096·4096·2 */
    cr_expect_eq(w.act_bytes, 262144.0);      /* (16·4096 + 16·4096)·2 */
    cr_expect_eq(rl_work_bytes(&w), 33816576.0);
    cr_expect_eq(w.vector_flop, 0.0);
    cr_expect_eq(w.parallel, 32.0); /* 1 × 4096/128 tiles */
    cr_expect_eq(w.launches, 1.0);
}

Test(op_gemm, narrow_formats)
{
    struct rl_work w = work_of("gemm", "m=16 n=4096 k=4096 dtype=fp8");

    cr_expect_eq(w.unit, RL_FP8);
    cr_expect_eq(w.weight_bytes, 16777216.0); /* 4096·4096·1 */
    cr_expect_eq(w.act_bytes, 196608.0);      /* X one byte, Y two: 16·4096·3 */

    /* 4 bits, and 16 + 4 bits of scale and zero per 128: 4.15625 bits */
    w = work_of("gemm", "m=16 n=4096 k=4096 dtype=w4a16");
    cr_expect_eq(w.unit, RL_BF16);
    cr_expect_eq(w.weight_bytes, 8716288.0);
    cr_expect_eq(w.act_bytes, 262144.0);
    cr_expect_eq(w.vector_flop, 33554432.0); /* 2 per weight, one row of tiles */
    w = work_of("gemm", "m=129 n=4096 k=4096 dtype=w4a16");
    cr_expect_eq(w.vector_flop, 67108864.0); /* two rows */

    /* q4_0: 18 bytes per 32 */
    w = work_of("gemm", "m=1 n=4096 k=4096 dtype=q4_0");
    cr_expect_eq(w.weight_bytes, 9437184.0);
    w = work_of("gemm", "m=1 n=4 k=8 dtype=fp32");
    cr_expect_eq(w.act_bytes, 48.0); /* (8 + 4)·4 */
}

/* Splitting k into two calls gives the same FLOP and weight bytes. */
Test(op_gemm, split_along_k)
{
    static const char *const dtype[] = {"bf16", "fp8", "fp8_block", "w4a16", "nvfp4"};

    for (size_t i = 0; i < sizeof dtype / sizeof *dtype; i++)
        for (int k = 256; k <= 1024; k += 256) {
            char whole[80], one[80], two[80];
            snprintf(whole, sizeof whole, "m=7 n=640 k=1280 dtype=%s", dtype[i]);
            snprintf(one, sizeof one, "m=7 n=640 k=%d dtype=%s", k, dtype[i]);
            snprintf(two, sizeof two, "m=7 n=640 k=%d dtype=%s", 1280 - k, dtype[i]);
            struct rl_work w = work_of("gemm", whole), a = work_of("gemm", one),
                           b = work_of("gemm", two);
            cr_expect_eq(w.flop, a.flop + b.flop);
            expect_near(a.weight_bytes + b.weight_bytes, w.weight_bytes, 1e-12);
        }
}

/* Llama-2-7B, one token: 32·(4·4096² + 3·4096·11008) + 4096·32000 weights, two
 * FLOP each, is 13.21 GFLOP = 0.981 · 2 · 6,738,415,616 parameters (the table
 * of embeddings is looked up, not multiplied). */
Test(op_gemm, llama_7b_token)
{
    double layer = 4 * work_of("gemm", "m=1 n=4096 k=4096 dtype=bf16").flop +
                   2 * work_of("gemm", "m=1 n=11008 k=4096 dtype=bf16").flop +
                   work_of("gemm", "m=1 n=4096 k=11008 dtype=bf16").flop;
    double head = work_of("gemm", "m=1 n=32000 k=4096 dtype=bf16").flop;

    cr_expect_eq(32 * layer + head, 13214154752.0);
    expect_near((32 * layer + head) / (2 * 6738415616.0), 0.981, 1e-3);
}
