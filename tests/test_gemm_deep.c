/* The tiles of DeepGEMM's own choice, worked out from its source by another program. */
#include "gemm_test.h"

struct want {
    double m, n, k, a, b, cm, cn;
};

typedef struct rl_gemm_tile (*choose)(int cc, double sm, double m, double n, double k);

static void expect_tiles(choose tile, int cc, double sm, const struct want *w, int n)
{
    for (int i = 0; i < n; i++, w++) {
        struct rl_gemm_tile t = tile(cc, sm, w->m, w->n, w->k);
        cr_expect(t.a == w->a && t.b == w->b && t.cm == w->cm && t.cn == w->cn,
                  "%g x %g x %g: %g x %g, clusters of %g x %g", w->m, w->n, w->k, t.a,
                  t.b, t.cm, t.cn);
    }
}
#define expect_tiles(tile, cc, sm, w)                                                    \
    expect_tiles(tile, cc, sm, w, (int)(sizeof(w) / sizeof *(w)))

/* Below 32 rows operands are swapped; from 1024 on two CTAs share X where columns come
 * out even. */
Test(gemm_deep, first_release)
{
    static const struct want w[] = {
        {1, 4096, 4096, 16, 128, 1, 1},     {31, 4096, 7168, 16, 128, 1, 1},
        {32, 4096, 7168, 64, 32, 1, 1},     {64, 2048, 5120, 64, 16, 1, 1},
        {65, 2048, 8192, 128, 16, 1, 1},    {256, 12288, 3072, 128, 96, 1, 1},
        {1023, 4096, 4096, 128, 128, 1, 1}, {1024, 4096, 4096, 128, 128, 1, 2},
        {1024, 24, 128, 128, 16, 1, 1},     {32768, 65536, 128, 128, 128, 1, 2},
    };

    expect_tiles(rl_gemm_trt_block, 90, 132, w);
    cr_expect_gt(rl_gemm_trt_block(90, 132, 65, 2048, 8192).beyond, 1);
}

/* 2561 x 1536: two layouts take the same cycles but for what is rounded. */
Test(gemm_deep, of_2026_on_hopper)
{
    static const struct want w[] = {
        {1, 4096, 4096, 16, 32, 1, 1},       {16, 16384, 4096, 16, 128, 1, 1},
        {17, 4096, 7168, 32, 32, 1, 1},      {33, 2048, 1024, 64, 16, 1, 1},
        {256, 12288, 3072, 128, 192, 1, 1},  {192, 12288, 4096, 64, 144, 2, 1},
        {2561, 1536, 7168, 128, 128, 1, 2},  {2561, 1536, 768, 256, 128, 1, 1},
        {4096, 7168, 2048, 256, 128, 1, 2},  {1025, 8192, 16384, 128, 192, 2, 1},
        {193, 16384, 65536, 256, 128, 1, 1}, {161, 7168, 1536, 64, 96, 2, 1},
        {512, 2048, 16384, 64, 128, 1, 1},   {4096, 10240, 768, 256, 128, 1, 2},
    };

    expect_tiles(rl_gemm_deep, 90, 132, w);
}

Test(gemm_deep, of_2026_on_blackwell)
{
    static const struct want w[] = {
        {1, 4096, 4096, 16, 128, 1, 2},      {33, 4096, 7168, 16, 128, 1, 2},
        {128, 7168, 2048, 64, 128, 1, 2},    {256, 256, 256, 128, 16, 2, 1},
        {4096, 7168, 2048, 128, 224, 2, 1},  {3841, 128, 3584, 128, 32, 1, 1},
        {8, 64, 128, 32, 16, 1, 1},          {32768, 65536, 128, 240, 128, 1, 2},
        {2304, 10240, 4096, 224, 128, 1, 2}, {193, 16384, 768, 128, 224, 2, 1},
        {65, 96, 512, 128, 16, 1, 1},
    };

    expect_tiles(rl_gemm_deep, 100, 148, w);
    expect_tiles(rl_gemm_trt_block, 100, 148, w); /* TensorRT-LLM's too */
}

/* TensorRT-LLM's own kernels: one tile on sm_89, two on sm_120. */
Test(gemm_deep, block_fp8_of_tensorrt_llm)
{
    static const struct want ada[] = {{1, 64, 128, 32, 128, 1, 1},
                                      {4096, 7168, 2048, 32, 128, 1, 1}};
    static const struct want blackwell[] = {{32, 7168, 2048, 32, 128, 1, 1},
                                            {33, 7168, 2048, 64, 128, 1, 1}};

    expect_tiles(rl_gemm_trt_block, 89, 142, ada);
    expect_tiles(rl_gemm_trt_block, 120, 188, blackwell);
}

/* Where W's scales leave no room in shared memory, and sizes beyond any model. */
Test(gemm_deep, absurd_sizes_have_a_tile)
{
    static const double sizes[] = {1, 1e4, 7e6, 1e12};

    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (int cc = 90; cc <= 100; cc += 10) {
                struct rl_gemm_tile t =
                    rl_gemm_deep(cc, 132, sizes[i], sizes[i], sizes[j]);
                struct rl_gemm_tile own =
                    rl_gemm_trt_block(cc, 132, sizes[i], sizes[i], sizes[j]);
                cr_expect(t.a >= 16 && t.b >= 16 && own.a >= 16 && own.b >= 16, "%g %g",
                          sizes[i], sizes[j]);
            }
}

/* One wave of large tiles alone: 193 x 12288 x 5120 of H100 106 us, 192 rows less. */
Test(gemm_deep, large_tiles_alone_multiply_slowly)
{
    enum { DEEP = 11, TRT_BLOCK = 12, UNSPLIT = 4, UNSPLIT_TRT = 5 };
    static const double slow[] = {256, 12288, 65536}, quick[] = {192, 12288, 65536};
    struct rl_machine m = machine(90);

    cr_expect_gt(rl_gemm_deep(90, 132, 256, 12288, 3072).slow, 3);
    cr_expect_leq(rl_gemm_deep(90, 132, 192, 12288, 4096).slow, 1);
    cr_expect_leq(rl_gemm_deep(90, 132, 4096, 7168, 2048).slow, 1);
    m.dram_peak = m.dram = m.l2_bw = 1e15; /* multiply-adds bind */
    cr_expect_gt(seconds_of(RL_DT_FP8_BLOCK, &m, DEEP, "chain", 0.1, slow),
                 2 * seconds_of(RL_DT_FP8_BLOCK, &m, DEEP, "chain", 0.1, quick));
    m.cc = 86; /* no such kernels */
    expect_near(seconds_of(RL_DT_FP8_BLOCK, &m, DEEP, "chain", 0.1, slow),
                seconds_of(RL_DT_FP8_BLOCK, &m, UNSPLIT, "chain", 0.1, slow), 1e-9);
    expect_near(seconds_of(RL_DT_FP8_BLOCK, &m, TRT_BLOCK, "chain", 0.1, slow),
                seconds_of(RL_DT_FP8_BLOCK, &m, UNSPLIT_TRT, "chain", 0.1, slow), 1e-9);
}

/* Rows beyond m cost L2 more than rows: 129 of two tiles, 256 as many CTAs. */
Test(gemm_deep, rows_beyond_m_are_read_at_length)
{
    enum { TRT_BLOCK = 12 };
    static const double some[] = {129, 768, 65536}, all[] = {256, 768, 65536};
    struct rl_machine m = machine(90);

    m.l2_bw = 1e12; /* what binds */
    cr_expect_gt(seconds_of(RL_DT_FP8_BLOCK, &m, TRT_BLOCK, "chain", 0.1, some),
                 1.3 * seconds_of(RL_DT_FP8_BLOCK, &m, TRT_BLOCK, "chain", 0.1, all));
}

Test(gemm_deep, known_by_the_name_of_the_kernel)
{
    const struct rl_op_type *op = rl_op_find("gemm");

    cr_expect_eq(
        op->known("sglang-0.5.14", "sglang_deepgemm_gemm_nt", RL_DT_FP8_BLOCK, 0), 11);
    cr_expect_eq(op->known("trtllm-1.3.0", "deepgemm", RL_DT_FP8_BLOCK, 0), 12);
    cr_expect_eq(op->known("trtllm-1.3.0", "torch_flow", RL_DT_FP8_BLOCK, 0), 12);
    cr_expect(
        isnan(op->known("vllm-0.24.0", "DeepGemmFp8BlockScaledMM", RL_DT_FP8_BLOCK, 0)));
    cr_expect_eq(op->known("trtllm-1.3.0", "torch_flow", RL_DT_FP8, 0), 9);
    cr_expect_eq(op->known("vllm-0.24.0", "vllm", RL_DT_FP16, 0), 0);
}
