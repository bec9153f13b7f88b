/* llama.cpp: ggml's kernels as implementations, layers over several devices,
 * file mixes, resident sets; and recorded runs inside their intervals. */
#include "test.h"

#include "kern_impl.h"
#include "memory.h"
#include "ops.h"
#include "runs.h"
#include "schedule.h"
#include "throttle.h"

/* A prediction by names; the plan is freed. */
struct asked {
    const char *device, *model, *runtime, *dtype;
    int devices, threads, flash;
    double ubatch;
};

static struct rl_prediction ask(struct asked a, struct rl_query q)
{
    struct rl_error err = {0};
    struct rl_setup s = {.dtype = a.dtype,
                         .devices = a.devices,
                         .threads = a.threads,
                         .flash = a.flash,
                         .ubatch = a.ubatch};
    struct rl_prediction p = {0};
    struct rl_device *d = rl_device_load(source_dir(), a.device, &err);
    struct rl_model *m = d ? rl_model_load(source_dir(), a.model, &err) : NULL;
    struct rl_runtime *r = m ? rl_runtime_load(source_dir(), a.runtime, d, &err) : NULL;
    struct rl_plan *pl = r ? rl_plan_new(source_dir(), d, m, r, &s, &err) : NULL;

    cr_assert(pl && !rl_predict(pl, &q, &p, &err), "%s", err.text);
    rl_plan_free(pl);
    rl_runtime_free(r);
    rl_model_free(m);
    rl_device_free(d);
    return p;
}

static struct rl_query query(double ctx, double output)
{
    return (struct rl_query){.ctx = ctx, .batch = 1, .output_tokens = output};
}

Test(ggml, implementations_by_name)
{
    const struct rl_impl *gpu = rl_impl_find("ggml", &rl_op_gemm, 0);
    const struct rl_impl *cpu = rl_impl_find("ggml", &rl_op_gemm, 1);

    cr_assert(gpu && cpu);
    cr_expect_neq(gpu, cpu);
    cr_expect_null(rl_impl_find(NULL, &rl_op_gemm, 0));
    cr_expect_null(rl_impl_find("triton", &rl_op_gemm, 0));
    cr_expect_null(rl_impl_find("ggml", &rl_op_all_reduce, 0));
}

/* p-norm: symmetric, above the larger, below the sum, equal ceilings 2^(1/p) */
Test(ggml, join)
{
    expect_near(rl_join(3, 4, 2), 5.0, 1e-12);
    expect_near(rl_join(4, 3, 2), 5.0, 1e-12);
    expect_near(rl_join(1, 1, 4), pow(2, 0.25), 1e-12);
    cr_expect_eq(rl_join(0, 0, 4), 0.0);
    cr_expect_eq(rl_join(0, 7, 4), 7.0);
}

/* An A100 has twice an A6000's bandwidth but not twice its decode rate: its SMs
 * draw a bounded number of bytes a clock.  Measured by llama-bench (May 2024,
 * XiongjieDai/GPU-Benchmarks-on-LLM-Inference): 54.8 against 40.7 tokens/s. */
Test(ggml, lanes_bind_where_bandwidth_is_plenty)
{
    struct asked a = {
        "a100-pcie-80gb", "llama-3-8b", "llamacpp-cuda-2024", "fp16", 1, 0, 0};
    double fast = ask(a, query(1, 512)).decode_tokens_per_s;

    a.device = "rtx-a6000";
    double slow = ask(a, query(1, 512)).decode_tokens_per_s;
    cr_expect(fast / slow > 1.2 && fast / slow < 1.6, "%.3g", fast / slow);
}

/* What one core of an Apple GPU draws in attention grows with the depth (llama-bench,
 * May 2024, XiongjieDai/GPU-Benchmarks-on-LLM-Inference): F16, 512 and 8,192 tokens from
 * an empty cache, M1 Max 18.75 and 15.03 tokens/s, M2 Ultra 36.90 and 30.68.  That M1 Max
 * sits in a laptop that slows down: its prompts of 1,024 tokens run 19 % slower than
 * those of 512, and ggml-org/llama.cpp discussion 4167 has another one in a quarter more;
 * one set of numbers for all parts leaves it 10 and 11 % too fast.
 */
Test(ggml, apple_cores_bind_at_depth)
{
    struct asked a = {
        "apple-m2-ultra", "llama-3-8b", "llamacpp-metal-2024", "fp16", 1, 0, 0};

    expect_near(ask(a, query(1, 512)).decode_tokens_per_s, 36.90, 0.1);
    expect_near(ask(a, query(1, 8192)).decode_tokens_per_s, 30.68, 0.1);
    a.device = "apple-m1-max";
    expect_near(ask(a, query(1, 512)).decode_tokens_per_s, 18.75, 0.12);
    expect_near(ask(a, query(1, 8192)).decode_tokens_per_s, 15.03, 0.12);
}

/* Without flash attention every score is written; the masked half too. */
Test(ggml, scores_cost_more_with_depth)
{
    struct asked a = {"rtx-3090", "llama-3-8b", "llamacpp-cuda-2024", "fp16", 1, 0, 1};
    double flash = ask(a, query(8192, 1)).ttft_s.value;

    a.flash = 0;
    cr_expect_gt(ask(a, query(8192, 1)).ttft_s.value, flash);
}

/* Files of experts in mxfp4 keep the rest in q8_0: gpt-oss 20B MXFP4 MoE, 11.27 GiB
 * (llama-bench, ggml-org/llama.cpp benches/dgx-spark.md). */
Test(ggml, mxfp4_files)
{
    struct asked a = {"gb10", "gpt-oss-20b", "llamacpp-cuda", NULL, 1, 0, -1, 0};

    expect_near(ask(a, query(1, 2)).memory.weights / 1073741824, 11.27, 0.003);
}

/* Experts, to which nothing was fitted.  DGX Spark, tg32: ggml-org/llama.cpp
 * benches/dgx-spark.md, November 2025; M2 Ultra, ubatch 2048: pull request 16894; RTX
 * 4090, pp4096 in small batches: pull request 15631; RX 7900 XTX: pull request 24546; RTX
 * 3090, pp2048 in batches of 32: pull request 22298. */
Test(ggml, routed_experts)
{
    struct asked spark = {"gb10", "gpt-oss-20b", "llamacpp-cuda", NULL, 1, 0, -1, 0};
    struct asked mac = {
        "apple-m2-ultra", "gpt-oss-20b", "llamacpp-metal", NULL, 1, 0, -1, 2048};
    struct asked geforce = {
        "rtx-4090", "qwen3-30b-a3b", "llamacpp-cuda", "q4_0", 1, 0, -1, 16};
    struct asked radeon = {
        "rx-7900-xtx", "gpt-oss-20b", "llamacpp-hip", NULL, 1, 0, -1, 512};

    expect_near(ask(spark, query(1, 33)).decode_tokens_per_s, 84.1, 0.07);
    expect_near(ask(mac, query(512, 33)).decode_tokens_per_s, 132.94, 0.07);
    expect_near(ask(mac, query(512, 33)).prefill_tokens_per_s, 2428, 0.05);
    expect_near(ask(geforce, query(4096, 1)).prefill_tokens_per_s, 936, 0.16);
    geforce.ubatch = 64;
    expect_near(ask(geforce, query(4096, 1)).prefill_tokens_per_s, 2480, 0.1);
    geforce =
        (struct asked){"rtx-3090", "gpt-oss-20b", "llamacpp-cuda", NULL, 1, 0, -1, 32};
    expect_near(ask(geforce, query(2048, 1)).prefill_tokens_per_s, 1582, 0.1);
    expect_near(ask(radeon, query(2048, 1)).prefill_tokens_per_s, 3846, 0.1);
    spark.model = "gpt-oss-120b";
    expect_near(ask(spark, query(1, 33)).decode_tokens_per_s, 59.02, 0.09);
    spark.model = "qwen3-30b-a3b";
    spark.dtype = "q8_0";
    expect_near(ask(spark, query(1, 33)).decode_tokens_per_s, 60.92, 0.1);
}

Test(ggml, layers_over_devices)
{
    struct asked a = {"rtx-a6000", "llama-3-8b", "llamacpp-cuda-2024", "q4_k_m", 1, 0, 0};
    struct rl_prediction one = ask(a, query(8192, 128));
    struct rl_prediction one_ubatch = ask(a, query(512, 2));

    a.devices = 4;
    struct rl_prediction four = ask(a, query(8192, 128));
    struct rl_prediction four_ubatch = ask(a, query(512, 2));
    /* a step visits one device after the other */
    cr_expect_gt(four.tpot_s.value, one.tpot_s.value);
    cr_expect_lt(four.tpot_s.value, 1.2 * one.tpot_s.value);
    /* sixteen batches fill the pipeline, one does not */
    cr_expect_gt(one.ttft_s.value / four.ttft_s.value, 2);
    cr_expect_geq(four_ubatch.ttft_s.value, one_ubatch.ttft_s.value);
    /* at best sixteen batches take nineteen quarters of one's time */
    expect_near(four.sol_ttft_s / one.sol_ttft_s, 19.0 / 64, 1e-9);
    cr_expect_gt(four.memory.capacity, 3.9 * one.memory.capacity);
}

/* A host that waits for full launch queues gains nothing from four stages over two: RTX
 * 4090, Llama-3 70B Q4_K_M (llama-bench, May 2024, XiongjieDai/GPU-Benchmarks-on-LLM-
 * Inference), 8,192 tokens: 2, 4 and 8 of them 723, 718 and 1,320 tokens/s. */
Test(ggml, a_full_launch_queue_holds_the_pipeline)
{
    struct asked a = {"rtx-4090", "llama-3-70b", "llamacpp-cuda-2024", "q4_k_m", 2, 0, 0};

    expect_near(ask(a, query(8192, 1)).prefill_tokens_per_s, 723.24, 0.1);
    a.devices = 4;
    expect_near(ask(a, query(8192, 1)).prefill_tokens_per_s, 718.01, 0.1);
    a.devices = 8;
    expect_near(ask(a, query(8192, 1)).prefill_tokens_per_s, 1320.36, 0.2);
}

/* Nothing of Ada's GeForce parts, the RTX 6000 Ada and Hopper was fitted to: the same
 * source, 512 tokens of Llama-3 8B.  GeForce parts clock above their sheets, and power
 * holds the others below.  The H100's own BLAS is the common GEMM model at the priors of
 * all stacks, of which none is llama.cpp: 16 % fast. */
Test(ggml, parts_that_nothing_was_fitted_to)
{
    static const struct {
        const char *device, *dtype;
        double prefill, within, decode;
    } row[] = {{"rtx-4090", "fp16", 9382.00, 0.05, 54.84},
               {"rtx-4090", "q4_k_m", 7138.99, 0.08, 130.58},
               {"rtx-4080", "q4_k_m", 5389.74, 0.15, 108.15},
               {"rtx-3070-8gb", "q4_k_m", 2402.51, 0.08, 72.79},
               {"rtx-6000-ada", "q4_k_m", 5791.74, 0.15, 133.44},
               {"h100-pcie-80gb", "q4_k_m", 8125.45, 0.18, 145.55}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct asked a = {
            row[i].device, "llama-3-8b", "llamacpp-cuda-2024", row[i].dtype, 1, 0, 0};
        expect_near(ask(a, query(512, 1)).prefill_tokens_per_s, row[i].prefill,
                    row[i].within);
        expect_near(ask(a, query(1, 512)).decode_tokens_per_s, row[i].decode, 0.12);
    }
}

/* AMD's compute units multiply blocks at a third of an SM's rate (discussion 15021). */
Test(ggml, other_vendors_come_near)
{
    static const struct {
        const char *device, *runtime;
        double prefill, decode;
    } row[] = {{"rx-7900-xtx", "llamacpp-hip", 3552.27, 167.11},
               {"mi210-64gb", "llamacpp-hip", 2486.22, 124.51},
               {"mi300x-192gb", "llamacpp-hip", 11476.4, 232.92},
               {"rx-7900-xtx", "llamacpp-vulkan", 3727, 182.63}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct asked a = {row[i].device, "llama-2-7b", row[i].runtime, "q4_0", 1, 0, 0};
        expect_near(ask(a, query(512, 1)).prefill_tokens_per_s, row[i].prefill, 0.25);
        expect_near(ask(a, query(1, 128)).decode_tokens_per_s, row[i].decode, 0.25);
    }
}

Test(ggml, threads)
{
    struct asked a = {
        "epyc-zen4-2vcpu", "tinyllama-1.1b", "llamacpp-cpu", "q8_0", 1, 1, 1};
    struct rl_prediction one = ask(a, query(512, 32));

    a.threads = 2;
    struct rl_prediction two = ask(a, query(512, 32));
    double prefill = one.ttft_s.value / two.ttft_s.value;
    double decode = one.tpot_s.value / two.tpot_s.value;
    cr_expect(prefill > 1.8 && prefill < 2, "%.3g", prefill);
    cr_expect(decode > 1.2 && decode < prefill, "%.3g", decode); /* DRAM is shared */
    a.threads = 64; /* no more than there are cores */
    expect_near(ask(a, query(512, 32)).ttft_s.value, two.ttft_s.value, 1e-12);
}

/* Cores of a Xeon guest (Emerald Rapids, AVX512-FP16) as `rooflint bench` saw one:
 * 176 GFLOP/s of FMA, 16.8 GB/s read, arithmetic and misses one after the other. */
static struct rl_machine xeon(double cores, double channels)
{
    struct rl_machine m = {.sm = cores,
                           .clock_hz = 2.87e9,
                           .dram_cores = 16.8e9 * cores,
                           .dram_channels = channels,
                           .overlap = 1,
                           .fp16_bits = 512,
                           .is_cpu = 1};
    m.dram = fmin(m.dram_cores, channels);
    for (int u = 0; u < RL_NUNITS; u++)
        m.peak[u] = m.rate[u] = 176e9 * cores;
    return m;
}

/* Microseconds of a kernel with the coefficients that llamacpp-cpu ships. */
static double cpu_kernel_us(const struct rl_op_type *op, const char *params,
                            const struct rl_machine *m)
{
    struct rl_error err = {0};
    struct rl_runtime *r = rl_runtime_load(source_dir(), "llamacpp-cpu", NULL, &err);
    double p[RL_MAXPARAMS];
    struct rl_choice c;
    enum rl_dtype dtype, kv;

    cr_assert(r && !rl_op_parse(op, params, p, &err), "%s", err.text);
    rl_op_dtypes(op, p, &dtype, &kv);
    rl_choose_impl(rl_impl_find("ggml", op, 1), r, 0, NULL, dtype, &c);
    rl_runtime_free(r);
    return 1e6 * c.impl->time(p, m, c.coef, NULL);
}

#define HEADS "batch=1 heads=14 kv_heads=2 q_len=1 dtype=fp16 "

/* ggml 0.25.3 there, one thread, 8 to 600 MB: measured us.  The rates are those of
 * the Zen 4 guest, but for `native` and `odd`, which have heads of 64 and 128 here;
 * K and V lay in cache (0.1 to 0.5 MB), where the model reads them from DRAM. */
Test(ggml, kernels_of_a_second_cpu)
{
    static const struct {
        const struct rl_op_type *op;
        const char *params;
        double us, within;
    } row[] = {
        {&rl_op_gemm, "m=1 n=5632 k=2048 dtype=q8_0", 1492.8, 0.12},
        {&rl_op_gemm, "m=1 n=5632 k=2048 dtype=fp16", 2356.2, 0.12},
        {&rl_op_gemm, "m=1 n=5632 k=2048 dtype=q6_k", 1232.9, 0.12},
        {&rl_op_gemm, "m=1 n=5632 k=2048 dtype=q5_0", 1257.0, 0.12},
        {&rl_op_gemm, "m=512 n=2048 k=2048 dtype=fp16", 50773, 0.2},
        {&rl_op_gemm, "m=512 n=2048 k=2048 dtype=q8_0", 55232, 0.12},
        {&rl_op_gemm, "m=512 n=2048 k=2048 dtype=bf16", 53025, 0.35},
        {&rl_op_attention_decode, HEADS "head_dim=64 kv_len=512", 709.5, 0.15},
        {&rl_op_attention_decode, HEADS "head_dim=80 kv_len=512", 962.2, 0.15},
        {&rl_op_attention_decode, HEADS "head_dim=96 kv_len=512", 1252.9, 0.15},
        {&rl_op_attention_decode, HEADS "head_dim=128 kv_len=512", 167.4, 0.25},
        {&rl_op_attention_decode, HEADS "head_dim=256 kv_len=512", 275.3, 0.35},
    };
    struct rl_machine m = xeon(1, 1e12);
    m.peak[RL_BF16] = 86e9;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double us = cpu_kernel_us(row[i].op, row[i].params, &m);
        cr_expect(fabs(us / row[i].us - 1) < row[i].within, "%s %s: %.0f us, not %.0f",
                  row[i].op->name, row[i].params, us, row[i].us);
    }
}

/* What power leaves of full-rate fp16 is the part's own, whatever runs on it: FLOP/s of
 * 1024 a clock and SM at the generation's clock for one watt, times (watts an SM)^(2/3).
 */
Test(ggml, power_is_a_fact_of_the_part)
{
    static const struct {
        const char *device;
        double clock_hz;                        /* 0: what the device itself sustains */
    } row[] = {{"rtx-3070-8gb", 614e6 * 2.838}, /* 220 W on 46 SMs */
               {"rtx-4080", 0.97 * 2688e6},     /* 1005 MHz x 2.607: more than it holds */
               {"rtx-5090", 991e6 * 2.253},     /* 575 W on 170 */
               {"rtx-2080-ti", 0.97 * 1717e6},  /* 705 MHz x 2.382 */
               {"a100-sxm-80gb", 0},
               {"rtx-a6000", 0}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct rl_error err = {0};
        struct rl_device *d = rl_device_load(source_dir(), row[i].device, &err);
        struct rl_machine m;
        cr_assert_not_null(d, "%s", err.text);
        rl_machine_init(&m, d, 1);
        double want =
            row[i].clock_hz > 0 ? 1024 * m.sm * row[i].clock_hz : m.rate[RL_FP16];
        expect_near(rl_fp16_rate(&m), want, 2e-3);
        rl_device_free(d);
    }
}

/* A scan's tokens are steps of one kernel: the gap between kernels counts once for each
 * of its few launches, not once a token. */
Test(ggml, a_scan_waits_for_its_launches_alone)
{
    static const struct {
        const struct rl_op_type *op;
        const char *params;
    } scan[] = {
        {&rl_op_ssd_scan, "batch=1 seq_len=1024 heads=24 head_dim=64 state=128 groups=1 "
                          "chunk=256 dtype=fp16 state_dtype=fp32"},
        {&rl_op_selective_scan,
         "batch=1 seq_len=1024 channels=1536 state=16 dtype=fp16 state_dtype=fp32"},
    };
    struct rl_machine m = {.sm = 100, .clock_hz = 1.7e9, .dram_net = 2e12, .gap_s = 1e-6};

    for (size_t i = 0; i < sizeof scan / sizeof *scan; i++) {
        const struct rl_impl *impl = rl_impl_find("ggml", scan[i].op, 0);
        double p[RL_MAXPARAMS], c[RL_MAXCOEFS], once, part[RL_NBOUNDS] = {0};
        struct rl_error err = {0};

        cr_assert(!rl_op_parse(scan[i].op, scan[i].params, p, &err), "%s", err.text);
        for (int k = 0; impl->coef[k].name; k++)
            c[k] = impl->coef[k].prior;
        m.gap_s = 1e-6;
        once = impl->time(p, &m, c, part);
        m.gap_s = 2e-6;
        double more = impl->time(p, &m, c, NULL) - once;
        cr_expect(more > 0 && more < 10e-6, "%s: %g s", scan[i].op->name, more);
        cr_expect_gt(part[RL_B_SERIAL], 1024 * 10 / m.clock_hz);
    }
}

/* What one core cannot overlap, others do: many cores wait for the channels alone. */
Test(ggml, channels_bind_many_cores)
{
    const char *gemv = "m=1 n=14336 k=4096 dtype=q8_0";
    double channels = 240e9, bytes = 14336.0 * 4096 * 34 / 32;
    struct rl_machine few = xeon(2, channels), many = xeon(56, channels);
    double floor = 1e6 * bytes / (0.85 * channels);

    expect_near(cpu_kernel_us(&rl_op_gemm, gemv, &many), floor, 0.06);
    expect_near(cpu_kernel_us(&rl_op_gemm, gemv, &few),
                1e6 * (bytes / (0.242 * 2 * 32 * 2.87e9) + bytes / (0.85 * 2 * 16.8e9)),
                0.02);
}

/* Heads of 64 fill no step of 128 FP16 values; a core that converts has none. */
Test(ggml, odd_heads_are_slow_where_fp16_is_native)
{
    const char *d64 = HEADS "head_dim=64 kv_len=4096",
               *d128 = HEADS "head_dim=128 kv_len=4096";
    struct rl_machine native = xeon(1, 1e12), converts = native;
    converts.fp16_bits = 0;

    double slow = cpu_kernel_us(&rl_op_attention_decode, d64, &native);
    cr_expect_gt(slow, 2 * cpu_kernel_us(&rl_op_attention_decode, d64, &converts));
    cr_expect_gt(slow, 2 * cpu_kernel_us(&rl_op_attention_decode, d128, &native));
}

/* A matrix unit's BF16 peak is none of ggml's vector kernels. */
Test(ggml, matrix_units_are_not_used)
{
    const char *bf16 = "m=512 n=4864 k=2048 dtype=bf16",
               *fp16 = "m=512 n=4864 k=2048 dtype=fp16";
    struct rl_machine amx = xeon(56, 240e9);
    amx.peak[RL_BF16] = 229e12;

    cr_expect_gt(cpu_kernel_us(&rl_op_gemm, bf16, &amx),
                 0.9 * cpu_kernel_us(&rl_op_gemm, fp16, &amx));
}

Test(ggml, rows_without_whole_blocks)
{
    cr_expect_eq(rl_row_dtype(RL_DT_Q4_K_M, 4096), RL_DT_Q4_K_M);
    cr_expect_eq(rl_row_dtype(RL_DT_Q4_K_M, 896), RL_DT_Q5_0);
    cr_expect_eq(rl_row_dtype(RL_DT_Q5_K, 896), RL_DT_Q5_1);
    cr_expect_eq(rl_row_dtype(RL_DT_Q6_K, 896), RL_DT_Q8_0);
    cr_expect_eq(rl_row_dtype(RL_DT_Q3_K, 896), RL_DT_IQ4_NL);
    cr_expect_eq(rl_row_dtype(RL_DT_Q8_0, 896), RL_DT_Q8_0);
    cr_expect_eq(rl_row_dtype(RL_DT_FP16, 100), RL_DT_FP16);
    /* a "Q4_K_M" of Qwen2.5-0.5B, hidden 896, as llama-quantize wrote it: 173 MB
     * q5_0, 146 q8_0, 43 q6_k, 29 q4_k */
    struct asked a = {
        "epyc-zen4-2vcpu", "qwen2.5-0.5b", "llamacpp-cpu", "q4_k_m", 1, 2, 1};
    expect_near(ask(a, query(1, 1)).memory.weights, 391e6, 0.04);
}

/* Runs of ggml 0.18.1 on a 2-vCPU Zen 4 guest, llama-bench, flash attention on,
 * random weights; and of llama.cpp of May 2024 on GPUs (XiongjieDai). */
static const struct rl_run recorded[] = {
    {"epyc-zen4-2vcpu", "tinyllama-1.1b", "q4_0", "fp16", "llamacpp-cpu", "ggml 0.18.1",
     "peak_memory_rss", "bytes", "threads=2; fa=1", 1, 1, 512, 0, 0, 1252209459},
    {"epyc-zen4-2vcpu", "tinyllama-1.1b", "fp16", "fp16", "llamacpp-cpu", "ggml 0.18.1",
     "peak_memory_rss", "bytes", "threads=2; fa=1", 1, 1, 128, 0, 0, 2234830029},
    {"epyc-zen4-2vcpu", "mamba2-370m", "fp16", "", "llamacpp-cpu", "ggml 0.18.1",
     "peak_memory_rss", "bytes", "threads=2; fa=1", 1, 1, 512, 0, 0, 838126797},
    {"epyc-zen4-2vcpu", "tinyllama-1.1b", "q8_0", "fp16", "llamacpp-cpu", "ggml 0.18.1",
     "prefill_tokens_per_s", "tokens/s", "threads=2; fa=1; ubatch=512", 1, 1, 512, 0, 0,
     101.401},
    {"epyc-zen4-2vcpu", "mamba2-130m", "fp16", "", "llamacpp-cpu", "ggml 0.18.1",
     "prefill_tokens_per_s", "tokens/s", "threads=1; fa=1; ubatch=512", 1, 1, 512, 0, 0,
     306.267},
    {"epyc-zen4-2vcpu", "mamba-130m", "fp16", "", "llamacpp-cpu", "ggml 0.18.1",
     "decode_tokens_per_s", "tokens/s", "threads=1; fa=1", 1, 1, 0, 0, 64, 60.398},
    {"epyc-zen4-2vcpu", "tinyllama-1.1b", "q4_0", "fp16", "llamacpp-cpu", "ggml 0.18.1",
     "decode_tokens_per_s", "tokens/s", "threads=1; fa=1", 1, 1, 0, 0, 32, 30.631},
    {"rtx-a6000", "llama-3-8b", "fp16", "fp16", "llamacpp-cuda", "May 2024",
     "decode_tokens_per_s", "tokens/s", "-fa off", 1, 1, 0, 0, 512, 40.7},
    {"rtx-a6000", "llama-3-8b", "fp16", "fp16", "llamacpp-cuda", "May 2024",
     "prefill_tokens_per_s", "tokens/s", "-fa off", 1, 1, 8192, 0, 0, 2566.5},
    {"l40s", "llama-3-70b", "q4_k_m", "fp16", "llamacpp-cuda", "May 2024",
     "decode_tokens_per_s", "tokens/s", "-fa off", 1, 1, 0, 0, 512, 15.5},
    {"a40", "llama-3-8b", "q4_k_m", "fp16", "llamacpp-cuda", "May 2024",
     "prefill_tokens_per_s", "tokens/s", "-fa off", 4, 1, 4096, 0, 0, 6442.4},
};

Test(ggml, recorded_runs_inside_their_intervals)
{
    struct rl_error err = {0};
    struct rl_runs *r = rl_runs_new(source_dir(), &err);

    cr_assert(r, "%s", err.text);
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
        const struct rl_run *row = &recorded[i];
        struct rl_interval v;
        char why[160] = "";
        cr_assert(!rl_run_predict(r, row, &v, why), "%s", why);
        cr_expect(v.lo <= row->value && row->value <= v.hi,
                  "%s %s %s %s: measured %g, predicted %g (%g … %g)", row->device,
                  row->model, row->weights_dtype, row->metric, row->value, v.value, v.lo,
                  v.hi);
        cr_expect_lt(v.hi / v.lo, 2.2);
    }
    rl_runs_free(r);
}

/* Int8 products are bound by what an SM unpacks and scales a clock, on an H100 as on a
 * 3090: Llama-2 7B Q4_0, prompt of 512, ggml-org/llama.cpp discussion 15013.  One rate
 * for all ten parts leaves the Orin, of 16 SMs at 1.3 GHz, 18 % too slow. */
Test(ggml, int8_blocks_follow_the_clock)
{
    struct asked a = {"h100-sxm-80gb", "llama-2-7b", "llamacpp-cuda", "q4_0", 1, 0, -1};

    expect_near(ask(a, query(512, 1)).prefill_tokens_per_s, 11263, 0.15);
    a.device = "rtx-3090";
    expect_near(ask(a, query(512, 1)).prefill_tokens_per_s, 5175, 0.15);
    a.device = "jetson-agx-orin-64gb";
    expect_near(ask(a, query(512, 1)).prefill_tokens_per_s, 991, 0.2);
}

/* More sequences never make a step of F16 shorter: one kernel up to 16 rows, then BLAS.
 */
Test(ggml, a_step_grows_with_the_batch)
{
    struct asked a = {"h100-sxm-80gb", "llama-3-8b", "llamacpp-cuda", "fp16", 1, 0, -1};
    double before = 0;

    for (int batch = 1; batch <= 32; batch++) {
        struct rl_query q = query(512, 16);
        q.batch = batch;
        double step = ask(a, q).tpot_s.value;
        cr_expect_gt(step, before, "%d sequences: %g after %g", batch, step, before);
        before = step;
    }
}

/* More rows never take less time: the kernel of few rows costs no more at its last than
 * the next one at its first.  F16 of May 2024 is left out: its vector kernel takes one
 * row only, at a rate fitted to runs that BLAS exceeds on parts with much bandwidth. */
static void expect_growing(struct asked a)
{
    struct rl_error err = {0};
    struct rl_setup s = {.dtype = a.dtype, .devices = 1, .flash = -1};
    struct rl_device *d = rl_device_load(source_dir(), a.device, &err);
    struct rl_model *m = d ? rl_model_load(source_dir(), a.model, &err) : NULL;
    struct rl_runtime *r = m ? rl_runtime_load(source_dir(), a.runtime, d, &err) : NULL;
    struct rl_plan *pl = r ? rl_plan_new(source_dir(), d, m, r, &s, &err) : NULL;
    double before = 0;

    cr_assert(pl, "%s %s %s: %s", a.device, a.runtime, a.dtype, err.text);
    for (int batch = 1; batch <= 40; batch++) {
        struct rl_query q = query(512, 4);
        struct rl_prediction p = {0};
        q.batch = batch;
        cr_assert(!rl_predict(pl, &q, &p, &err), "%s", err.text);
        cr_expect(p.tpot_s.value > 0.995 * before,
                  "%s %s %s, %d rows: %.4g ms after %.4g", a.device, a.runtime, a.dtype,
                  batch, 1e3 * p.tpot_s.value, 1e3 * before);
        before = p.tpot_s.value;
    }
    rl_plan_free(pl);
    rl_runtime_free(r);
    rl_model_free(m);
    rl_device_free(d);
}

Test(ggml, no_step_falls_with_its_rows)
{
    static const char *const where[][2] = {{"h100-sxm-80gb", "llamacpp-cuda"},
                                           {"rtx-4090", "llamacpp-cuda"},
                                           {"v100-sxm2-16gb", "llamacpp-cuda"},
                                           {"p100-pcie-16gb", "llamacpp-cuda"},
                                           {"h100-sxm-80gb", "llamacpp-cuda-2024"},
                                           {"rtx-4090", "llamacpp-cuda-2024"},
                                           {"rtx-3090", "llamacpp-cuda-2024"},
                                           {"apple-m2-ultra", "llamacpp-metal"},
                                           {"apple-m2-ultra", "llamacpp-metal-2024"},
                                           {"apple-m1-max", "llamacpp-metal-2024"},
                                           {"mi300x-192gb", "llamacpp-hip"},
                                           {"arc-b580-12gb", "llamacpp-vulkan"}};
    static const char *const dtype[] = {"fp16", "bf16", "q8_0", "q6_k", "q4_k_m", "q4_0"};

    for (size_t i = 0; i < sizeof where / sizeof *where; i++)
        for (size_t k = 0; k < sizeof dtype / sizeof *dtype; k++)
            if (k > 1 || strcmp(where[i][1], "llamacpp-cuda-2024"))
                expect_growing((struct asked){where[i][0], "llama-3.1-8b", where[i][1],
                                              dtype[k], 1, 0, -1});
    for (size_t i = 0; i < sizeof where / sizeof *where; i++)
        if (strcmp(where[i][1], "llamacpp-cuda-2024"))
            expect_growing((struct asked){where[i][0], "qwen3-30b-a3b", where[i][1],
                                          "q4_0", 1, 0, -1});
}

/* The tensor-core kernel of F16 is Turing's and later: on a P100 the vector kernel takes
 * 8 rows, on a V100 three, where an A100 has no step before 17. */
Test(ggml, kernels_by_compute_capability)
{
    static const struct {
        const char *device;
        int last;
    } row[] = {{"p100-pcie-16gb", 8}, {"v100-sxm2-16gb", 3}, {"a100-sxm-80gb", 16}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct asked a = {
            row[i].device, "qwen2.5-1.5b", "llamacpp-cuda", "fp16", 1, 0, -1};
        int step = 0;
        double most = 0, before = 0;
        for (int batch = 1; batch <= 20; batch++) {
            struct rl_query q = query(512, 4);
            q.batch = batch;
            double t = ask(a, q).tpot_s.value;
            if (batch > 1 && t / before > most) {
                most = t / before;
                step = batch - 1;
            }
            before = t;
        }
        cr_expect_eq(step, row[i].last, "%s: the step is after %d rows", row[i].device,
                     step);
    }
}
