/* Software stacks as data: pages, masks, loading, slow paths, hosts and clocks.
 * Recorded peaks: SSM-Scope (sapmitra/SSM-Scope@574a2c2, Fig 5a) on an RTX 4090. */
#include "breakdown.h"
#include "cost.h"
#include "memory.h"
#include "ops.h"
#include "schedule.h"
#include "subject.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct subject open_subject(const char *hw, const char *model, const char *runtime,
                                   const char *dtype)
{
    struct rl_setup setup = {.dtype = dtype, .flash = -1};

    return open_subject_on(load_device(hw), model, runtime, &setup);
}

static struct rl_prediction ask(const struct subject *s, double ctx)
{
    struct rl_query q = {ctx, 1, 1, 0, RL_LOGITS_RUNTIME};
    struct rl_prediction p;
    struct rl_error err = {0};

    cr_assert(rl_predict(s->p, &q, &p, &err) == 0, "%s", err.text);
    return p;
}

/* Nemotron-Nano-v2: 128 heads of 80 and a state of 128 in 16 bits and a convolution of
 * 12,288 channels x 3 make 2,695,168 bytes a layer; a token of attention 8 x 128 x 2 x
 * 2 B = 4,096: 658 tokens, in steps of 16: 672 (vllm issue 24280). */
Test(stack, vllm_raises_the_block_of_a_hybrid_model)
{
    struct subject s = open_subject("h100", "nemotron-nano-12b-v2", "vllm", NULL);
    struct subject t = open_subject("h100", "llama-3.1-8b", "vllm", NULL);
    struct subject h = open_subject("h100", "nemotron-nano-12b-v2", "hf-eager", NULL);

    cr_expect_eq(rl_kv_block(s.p), 672.0);
    cr_expect_eq(rl_kv_block(t.p), 16.0);
    cr_expect_eq(rl_kv_block(h.p), 1.0);
    /* 28 Mamba layers in groups of the 6 attention layers: 30 pages of 672 tokens */
    expect_near(rl_state_bytes(s.p), (28 + 2) * 672 * 4096.0, 1e-9);
    expect_near(rl_kv_bytes(s.p, 673, 0), 6 * 2 * 672 * 4096.0, 1e-9);
    close_subject(&s);
    close_subject(&t);
    close_subject(&h);
}

/* A server's caches get what 90 % of the device leave after everything else. */
Test(stack, a_server_has_a_pool)
{
    struct subject s = open_subject("h100", "llama-3.1-8b", "vllm", NULL);
    struct rl_memory m = ask(&s, 1024).memory;
    double rest = m.weights + m.activations + m.logits + m.workspace;

    expect_near(rl_pool_bytes(s.p, &m), m.capacity - m.runtime - rest, 1e-9);
    close_subject(&s);
    s = open_subject("h100", "llama-3.1-8b", "hf-eager", NULL);
    m = ask(&s, 1024).memory;
    cr_expect_eq(rl_pool_bytes(s.p, &m), 0.0);
    close_subject(&s);
}

/* Building a dense mask takes three of its size before any layer has run. */
Test(stack, a_dense_mask_is_the_peak)
{
    struct subject s = open_subject("4090", "qwen2.5-0.5b", "hf-eager", NULL);

    expect_near(ask(&s, 49152).memory.total, 16625400000.0, 1e-3);
    expect_near(ask(&s, 57344).memory.total, 20830800000.0, 1e-3);
    close_subject(&s);
}

/* One block for all parameters, shared ones at each use; a cast's float segments. */
Test(stack, loading_leaves_memory_reserved)
{
    struct subject z = open_subject("4090", "zamba2-1.2b", "hf-eager", NULL);
    struct subject q = open_subject("4090", "qwen2.5-0.5b", "hf-eager", NULL);
    struct subject m = open_subject("4090", "mamba-790m", "mamba-ssm-eager", "fp16");

    expect_near(ask(&z, 512).memory.reserved, 4.07057e9, 0.03);
    expect_near(ask(&z, 16384).memory.reserved, 8.7598e9, 0.03);
    expect_near(ask(&q, 512).memory.reserved, 1.28765e9, 0.03);
    expect_near(ask(&m, 139264).memory.reserved, 2.46856e10, 0.03);
    close_subject(&z);
    close_subject(&q);
    close_subject(&m);
}

/* mamba-1.4b, 48 layers, 1,024 tokens: 4.5 launches a token and layer; what the file
 * does not say it has from hf-eager. */
Test(stack, slow_path_without_fused_kernels)
{
    struct subject s = open_subject("h100", "mamba-1.4b", "hf-eager-slow", NULL);
    struct subject f = open_subject("h100", "mamba-1.4b", "hf-eager", NULL);
    struct rl_prediction slow = ask(&s, 1024), fast = ask(&f, 1024);
    double loop = 48 * 4.5 * 1024;

    cr_expect(slow.launches_prefill > loop && slow.launches_prefill < loop + 48 * 60,
              "%g launches", slow.launches_prefill);
    cr_expect_gt(slow.ttft_s.value, 50 * fast.ttft_s.value);
    cr_expect_eq(rl_runtime_num(s.r, "host.launch_factor", 0),
                 rl_runtime_num(f.r, "host.launch_factor", -1));
    /* four tensors of [4096 channels, 16 states] floats a token */
    expect_near(slow.memory.activations - fast.memory.activations,
                1024 * (4 * 4.0 * 4096 * 16), 0.2);
    close_subject(&s);
    close_subject(&f);
}

/* While it waits a Jetson's GPU is clocked down until it is busy 70 % of the time. */
Test(stack, a_governor_slows_a_waiting_gpu)
{
    struct subject s =
        open_subject("orin-nano", "mamba2-130m", "mamba-ssm-eager", "fp16");
    struct subject a = open_subject("a100", "mamba2-130m", "mamba-ssm-eager", "fp16");
    struct rl_prediction low = ask(&s, 900), high = ask(&s, 16384);
    struct rl_query q = {900, 1, 1, 0, RL_LOGITS_RUNTIME};
    struct rl_sum sum;

    expect_near(low.gpu_prefill_s, 0.7 * low.host_prefill_s, 0.01);
    cr_expect_gt(high.gpu_prefill_s, high.host_prefill_s);
    rl_prefill(s.p, &q, &sum);
    cr_expect_gt(sum.slowed, 1.3);
    rl_prefill(a.p, &q, &sum);
    cr_expect_eq(sum.slowed, 1.0);
    close_subject(&s);
    close_subject(&a);
}

/* Four nodes that each err by 20 % on their own err by 10 % together; what they have
 * in common does not average out; and kernels that the host hides do not count. */
Test(stack, independent_errors_average_out)
{
    struct subject s = open_subject("a100", "llama-3.1-8b", "vllm", NULL);
    struct rl_plan *p = s.p;
    struct rl_sum sum = {.gpu = 4, .wall = 4, .gpu_weight = 1};
    struct rl_interval i;

    p->spread[0] = 0;
    p->host_log_lo = p->host_log_hi = 0;
    sum.lo2 = sum.hi2 = 4 * 0.2 * 0.2;
    rl_sum_interval(p, &sum, 0, &i);
    expect_near(log(i.hi / i.value), 0.1, 1e-9);
    sum.lo2 = sum.hi2 = 0;
    sum.lo[0] = -4 * 0.2;
    sum.hi[0] = 4 * 0.2;
    rl_sum_interval(p, &sum, 0, &i);
    expect_near(log(i.hi / i.value), 0.2, 1e-9);
    sum.gpu_weight = 0;
    rl_sum_interval(p, &sum, 0, &i);
    cr_expect_eq(i.hi, i.value);
    close_subject(&s);
}

/* Llama-3.2-1B has 4 query heads a group: K and V, 32,768 bytes a token, are read and
 * written four times over: at least 8 x 32,768 x 65,536 B more a step at DRAM's rate. */
Test(stack, repeat_kv_copies_the_cache)
{
    struct subject s = open_subject("4090", "llama-3.2-1b", "hf-eager", NULL);
    struct rl_query q = {65536, 1, 2, 0, RL_LOGITS_RUNTIME};
    struct rl_error err = {0};
    struct rl_sum with, without;

    rl_decode(s.p, &q, 1, &with);
    rl_plan_free(s.p);
    cr_assert(rl_runtime_set(s.r, "kv.repeat", 0, &err) == 0, "%s", err.text);
    s.p = rl_plan_new(source_dir(), s.d, s.m, s.r, NULL, &err);
    cr_assert(s.p != NULL, "%s", err.text);
    rl_decode(s.p, &q, 1, &without);
    expect_near(with.gpu - without.gpu, 8 * 32768.0 * 65536 / s.d->dram.v, 0.1);
    close_subject(&s);
}

Test(stack, sizes_and_ranges_of_sizes)
{
    cr_expect(rl_size_in("64", 64) && !rl_size_in("64", 65));
    cr_expect(rl_size_in("8:256:8", 8) && rl_size_in("8:256:8", 256));
    cr_expect(!rl_size_in("8:256:8", 36) && !rl_size_in("8:256:8", 264));
    cr_expect(rl_size_in("40 64 72:96:8 128", 80) && !rl_size_in("40 64 72:96:8 128", 8));
    cr_expect(rl_size_in("1:256", 99) && !rl_size_in("", 1));
}

/* The kernel that the plan's attention takes, by name. */
static const char *kernel_of(const struct subject *s)
{
    for (int i = 0; i < s->p->nnodes; i++)
        if (s->p->node[i].attn)
            return s->p->node[i].attn->name;
    return "none";
}

static void expect_kernel(const char *hw, const char *model, const char *runtime,
                          const char *dtype, const char *want, const char *note)
{
    struct subject s = open_subject(hw, model, runtime, dtype);
    bool said = !note && !s.p->nnotes;

    cr_expect(!strcmp(kernel_of(&s), want), "%s on %s under %s: %s, wanted %s", model, hw,
              runtime, kernel_of(&s), want);
    for (int i = 0; note && i < s.p->nnotes; i++)
        said |= strstr(s.p->note[i], note) != NULL;
    cr_expect(said, "%s on %s under %s: no note '%s'", model, hw, runtime,
              note ? note : "at all expected");
    close_subject(&s);
}

/* Which heads, formats and parts each stack's kernel takes: sources in hwdb/runtimes. */
Test(stack, attention_falls_back)
{
    expect_kernel("h100", "qwen2.5-1.5b", "hf-eager", NULL, "flash", NULL);
    expect_kernel("h100", "qwen2.5-1.5b", "vllm", NULL, "flash", NULL);
    /* PyTorch pads heads of 36, vLLM does not */
    expect_kernel("h100", "moonshine-tiny", "hf-eager", NULL, "flash", NULL);
    expect_kernel("h100", "moonshine-tiny", "vllm", NULL, "triton", "not 36");
    expect_kernel("h100", "qwen2.5-1.5b", "hf-eager", "fp32", "efficient",
                  "does not take fp32");
    expect_kernel("h100", "qwen2.5-1.5b", "trtllm", "fp32", "scores",
                  "does not take fp32");
    expect_kernel("t4", "qwen2.5-1.5b", "hf-eager", "fp16", "efficient",
                  "needs compute capability 8.0");
    expect_kernel("t4", "qwen2.5-1.5b", "vllm", "fp16", "flashinfer",
                  "needs compute capability 8.0");
    expect_kernel("3090", "zamba2-2.7b", "llamacpp-cuda", "fp16", "scores", "not 160");
}

/* Turing has no tensor units of bf16: no kernel written for them takes it there, whatever
 * the stack's list of formats; Triton's and plain products run on the vector lanes, and
 * ggml's kernels take fp16. */
Test(stack, no_tensor_units_no_kernel_for_them)
{
    static const char *const none = "bf16 without its tensor units";
    const struct rl_attn_call call = {128, 0, RL_DT_BF16, RL_DT_BF16};
    struct rl_attn_refusal why;

    expect_kernel("t4", "qwen2.5-1.5b", "vllm", "bf16", "triton", "capability 8.0");
    expect_kernel("t4", "qwen2.5-1.5b", "sglang", "bf16", "triton", none);
    expect_kernel("rtx-2080-ti", "qwen2.5-1.5b", "trtllm", "bf16", "scores", none);
    expect_kernel("t4", "qwen2.5-1.5b", "hf-eager", "bf16", "scores", "capability 8.0");
    expect_kernel("t4", "qwen2.5-1.5b", "sglang", "fp16", "flash", NULL);
    struct subject s = open_subject("t4", "qwen2.5-1.5b", "llamacpp-cuda", "bf16");
    cr_expect_str_eq(rl_attn_kernel(s.p, &call, &why)->name, "flash");
    close_subject(&s);
}

static int find_attention(const struct rl_op_row *row, void *text)
{
    if (!strcmp(row->label, "attn") && !*(char *)text)
        snprintf(text, 256, "%s", row->source);
    return 0;
}

/* A kernel that has no entry is told by the entry of another, and the text says so. */
Test(stack, whose_entry_it_is)
{
    static const struct {
        const char *hw, *dtype;
        bool other;
    } row[] = {{"t4", "fp16", true}, {"t4", "bf16", false}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct subject s =
            open_subject(row[i].hw, "mistral-7b-v0.3", "vllm", row[i].dtype);
        struct rl_query q = {512, 1, 1, 0, RL_LOGITS_RUNTIME};
        char text[256] = "";
        cr_assert(!rl_breakdown(s.p, &q, find_attention, text));
        cr_expect_eq(strstr(text, "by another kernel's entry") != NULL, row[i].other,
                     "%s %s: %s", row[i].hw, row[i].dtype, text);
        close_subject(&s);
    }
}

/* Small kernels that a stack runs beside a node's own cost a gap each, count as
 * elementwise work and are in none of the kernel's own time. */
Test(stack, small_kernels_beside_a_nodes_own)
{
    struct subject s = open_subject("a100", "mamba2-1.3b", "hf-eager", NULL);
    struct rl_pass pass = {1, 1024, 1024, 1, 1024};
    int found = 0;

    for (int i = 0; i < s.p->nnodes; i++) {
        struct rl_bound_node b = s.p->node[i];
        struct rl_cost with, alone;
        struct rl_sum sum = {0};
        struct rl_own_error own = {0, 0};
        rl_cost_of(s.p, &b, &pass, 0, &with);
        if (!(with.beside > 0))
            continue;
        found++;
        expect_near(with.beside, b.beside[0] * s.p->machine.gap_s, 1e-12);
        cr_expect_lt(b.beside[0], b.launches[0], "%s", b.node->label);
        rl_cost_add(s.p, &b, &with, 2, &sum, &own);
        expect_near(sum.by_class[RL_CLS_ELEMENTWISE], 2 * with.beside, 1e-12);
        expect_near(sum.gpu, 2 * with.seconds, 1e-12);
        b.beside[0] = 0;
        rl_cost_of(s.p, &b, &pass, 0, &alone);
        expect_near(with.seconds - alone.seconds, with.beside, 1e-9);
    }
    cr_expect_gt(found, 0);
    close_subject(&s);
}

/* The largest figure that a parameter has in a phase's rows of one label. */
struct sought {
    const char *phase, *label, *param;
    double most;
};

static int find_most(const struct rl_op_row *row, void *arg)
{
    struct sought *s = arg;
    const char *at = strstr(row->params, s->param);

    if (at && !strcmp(row->label, s->label) && !strcmp(row->phase, s->phase))
        s->most = fmax(s->most, atof(at + strlen(s->param)));
    return 0;
}

/* Hymba's 128 memory tokens come once before the context and stay in the cache: beside
 * the window too, which is full at 1,152 keys.  The head never sees them. */
Test(stack, memory_tokens_stay_in_the_cache)
{
    struct subject s = open_subject("4090", "hymba-1.5b", "hf-eager", NULL);
    struct {
        double depth;
        struct sought what;
    } row[] = {{0, {"prefill", "attn", "q_len=", 1152}},
               {0, {"prefill", "attn", "kv_len=", 1152}},
               {0, {"prefill", "lm_head", "m=", 1024}},
               {0, {"decode", "attn", "kv_len=", 1153}},
               {512, {"prefill", "attn", "q_len=", 1024}},
               {512, {"prefill", "attn", "kv_len=", 1664}},
               {512, {"prefill", "lm_head", "m=", 1024}},
               {512, {"decode", "attn", "kv_len=", 1665}}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct rl_query q = {1024, 1, 2, row[i].depth, RL_LOGITS_ALL};
        struct sought got = row[i].what;
        got.most = 0;
        cr_assert(!rl_breakdown(s.p, &q, find_most, &got));
        cr_expect_eq(got.most, row[i].what.most, "depth %g, %s %s %s%g, not %g",
                     row[i].depth, got.phase, got.label, got.param, got.most,
                     row[i].what.most);
    }
    struct sought early = {"prefill", "attn", "window=", 0}, late = early;
    struct rl_query q = {1024, 1, 2, 0, RL_LOGITS_LAST};
    cr_assert(!rl_breakdown(s.p, &q, find_most, &early));
    q.ctx = 1025;
    cr_assert(!rl_breakdown(s.p, &q, find_most, &late));
    cr_expect(early.most == 0 && late.most == 1024, "%g, %g", early.most, late.most);
    struct sought mask = {"prefill", "block_mask", "rows=", 0}; /* one for all four */
    struct rl_query four = {1024, 4, 2, 0, RL_LOGITS_LAST};
    cr_assert(!rl_breakdown(s.p, &four, find_most, &mask));
    cr_expect_eq(mask.most, 1152, "%g rows", mask.most);
    mask.most = 0;
    four.ctx = 896; /* with the memory tokens no longer than the window: none */
    cr_assert(!rl_breakdown(s.p, &four, find_most, &mask));
    cr_expect_eq(mask.most, 0, "%g rows", mask.most);
    close_subject(&s);
}

/* vLLM's FlashAttention reads fp8 caches on Hopper only; elsewhere FlashInfer does, with
 * heads of 64, 128 and 256, and Triton with others. */
Test(stack, attention_by_cache_format)
{
    static const char *const row[][2] = {{"h100", "flash"}, {"a100", "flashinfer"}};
    const struct rl_attn_call wide = {80, 0, RL_DT_BF16, RL_DT_FP8};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct rl_error err = {0};
        struct rl_setup fp8 = {.flash = -1, .kv_dtype = "fp8"};
        struct subject s = open_subject(row[i][0], "qwen2.5-1.5b", "vllm", NULL);
        rl_plan_free(s.p);
        s.p = rl_plan_new(source_dir(), s.d, s.m, s.r, &fp8, &err);
        cr_assert(s.p != NULL, "%s", err.text);
        cr_expect_str_eq(kernel_of(&s), row[i][1]);
        struct rl_attn_refusal why;
        cr_expect_str_eq(rl_attn_kernel(s.p, &wide, &why)->name,
                         i == 0 ? "flash" : "triton");
        close_subject(&s);
    }
}

/* PyTorch's memory-efficient kernel wants rows of whole 16 bytes: heads of 516 in fp32,
 * not in 16 bits; 520 in both. */
Test(stack, attention_heads_by_format)
{
    struct subject s = open_subject("h100", "qwen2.5-1.5b", "hf-eager", NULL);
    static const struct {
        double head_dim;
        enum rl_dtype dtype;
        const char *kernel;
    } row[] = {{516, RL_DT_BF16, "scores"},
               {520, RL_DT_BF16, "efficient"},
               {516, RL_DT_FP32, "efficient"},
               {518, RL_DT_FP32, "scores"}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct rl_attn_call call = {row[i].head_dim, 0, row[i].dtype, row[i].dtype};
        struct rl_attn_refusal why;
        const struct rl_attn_kernel *k = rl_attn_kernel(s.p, &call, &why);
        cr_assert_not_null(k);
        cr_expect_str_eq(k->name, row[i].kernel, "heads of %g: %s", row[i].head_dim,
                         k->name);
    }
    close_subject(&s);
}

/* TensorRT-LLM has no kernel at all for heads of 36, and says so. */
Test(stack, no_attention_kernel_is_an_error)
{
    struct rl_error err = {0};
    struct rl_device *d = load_device("h100");
    struct rl_model *m = rl_model_load(source_dir(), "moonshine-tiny", &err);
    struct rl_runtime *r = rl_runtime_load(source_dir(), "trtllm", d, &err);

    cr_assert(m && r, "%s", err.text);
    cr_expect_null(rl_plan_new(source_dir(), d, m, r, NULL, &err));
    cr_expect(err.code == RL_ECONFLICT &&
                  strstr(err.text, "no attention kernel for 'moonshine-tiny'"),
              "%s", err.text);
    rl_runtime_free(r);
    rl_model_free(m);
    rl_device_free(d);
}

/* Scores in memory: 28 layers share one tensor of 12 heads x 4,096 x 4,096 scores, fp32
 * and their softmax; and every score passes DRAM. */
Test(stack, scores_in_memory)
{
    struct subject s = open_subject("h100", "qwen2.5-1.5b", "pytorch-cudagraph", NULL);
    struct rl_error err = {0};
    struct rl_prediction flash = ask(&s, 4096);
    const double scores = 12 * 4096.0 * 4096;

    rl_plan_free(s.p);
    for (int i = 0; i < s.r->nrows; i++)
        if (!strcmp(s.r->key[i], "attn.order"))
            strcpy(s.r->value[i], "scores");
    s.p = rl_plan_new(source_dir(), s.d, s.m, s.r, NULL, &err);
    cr_assert(s.p != NULL, "%s", err.text);
    struct rl_prediction plain = ask(&s, 4096);
    cr_expect_gt(plain.gpu_prefill_s - flash.gpu_prefill_s,
                 28 * scores * 20 / s.d->dram_peak.v);
    cr_expect_gt(plain.memory.activations, 8 * scores);
    cr_expect_eq(plain.launches_prefill - flash.launches_prefill, 28 * 8.0);
    close_subject(&s);
}

/* The memory-efficient kernel at heads above 128: 8,192 tokens, 48 heads of 512, no
 * mask, "SDPA EA" of xlite-dev/ffpa-attn: 85 TFLOP/s on an RTX 4090, 24 on an A30. */
Test(stack, memory_efficient_attention_of_wide_heads)
{
    static const struct {
        const char *hw;
        double flop_per_s;
    } row[] = {{"rtx-4090", 85e12}, {"a30", 24e12}};
    const struct rl_op_type *op = &rl_op_attention_efficient;
    double p[RL_MAXPARAMS], c[RL_MAXCOEFS];
    struct rl_error err = {0};
    struct rl_work w = {0};

    cr_assert(rl_op_parse(op,
                          "batch=1 q_len=8192 kv_len=8192 heads=48 kv_heads=48 "
                          "head_dim=512 dtype=fp16 causal=0",
                          p, &err) == 0,
              "%s", err.text);
    op->work(p, &w);
    for (int i = 0; op->coef[i].name; i++)
        c[i] = op->coef[i].prior;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct rl_device *d = load_device(row[i].hw);
        struct rl_machine m;
        rl_machine_init(&m, d, 1);
        expect_near(w.flop / op->time(p, &m, c, NULL), row[i].flop_per_s, 0.25);
        rl_device_free(d);
    }
}

/* Mistral-7B's window of 4,096: until it is full its decode is that of a window never
 * reached, and beyond it reads no more keys. */
Test(stack, a_window_not_yet_full_costs_nothing)
{
    struct subject s = open_subject("a100", "mistral-7b-v0.1", "vllm", NULL);
    struct rl_query q = {4000, 1, 2, 0, RL_LOGITS_RUNTIME};
    struct rl_sum full, wide, beyond;

    rl_decode(s.p, &q, 1, &full);
    q.ctx = 16384;
    rl_decode(s.p, &q, 1, &beyond);
    for (int i = 0; i < s.p->nnodes; i++)
        if (s.p->node[i].window > 0)
            s.p->node[i].window = s.p->node[i].p[RL_ATT_WINDOW] = 1e9;
    q.ctx = 4000;
    rl_decode(s.p, &q, 1, &wide);
    cr_expect_eq(full.gpu, wide.gpu);
    q.ctx = 16384;
    rl_decode(s.p, &q, 1, &wide);
    cr_expect_lt(beyond.speed_of_light, wide.speed_of_light);
    close_subject(&s);
}

/* As the prompt grows, the lower end of what the allocator may hold does not fall: it
 * moves towards the flushed figure with the pressure on the device. */
Test(stack, reserved_interval_has_no_step)
{
    struct subject s = open_subject("4090", "zamba2-1.2b", "hf-eager", NULL);
    double before = 0;

    for (int ctx = 16384; ctx <= 32768; ctx += 1024) {
        struct rl_prediction p = ask(&s, ctx);
        cr_expect_gt(p.memory.reserved_lo, 0.99 * before, "%d tokens: %.4g after %.4g",
                     ctx, p.memory.reserved_lo, before);
        cr_expect_lt(p.memory.reserved_lo, p.memory.reserved);
        cr_expect_leq(p.memory.reserved, p.memory.reserved_hi);
        cr_expect_geq(p.memory.reserved_lo,
                      p.memory.weights + p.memory.kv_cache + p.memory.state);
        cr_expect_leq(p.memory.reserved_hi + p.memory.runtime,
                      fmax(p.memory.capacity, p.memory.reserved + p.memory.runtime) *
                          (1 + s.p->mem.spread_reserved));
        before = p.memory.reserved_lo;
    }
    close_subject(&s);
}
