/* Properties of end-to-end predictions: what must hold whatever the
 * coefficients are. */
#include "memory.h"
#include "schedule.h"
#include "subject.h"

#include <stdio.h>

static const char *const models[] = {"llama-3.1-8b",  "mamba2-1.3b",   "zamba2-1.2b",
                                     "qwen3-30b-a3b", "gemma-3-4b",    "deepseek-v3",
                                     "mamba-1.4b",    "falcon-h1-1.5b"};
enum { NMODELS = sizeof models / sizeof *models };

static struct subject open_subject(const char *hw, const char *model, const char *runtime,
                                   double faster)
{
    struct rl_device *d = load_device(hw);

    d->dram.v *= faster;
    d->dram_peak.v *= faster;
    d->l2.v *= faster;
    for (int u = 0; u < RL_NUNITS; u++) {
        d->peak[u].v *= faster;
        d->rate[u].v *= faster;
    }
    return open_subject_on(d, model, runtime, NULL);
}

static struct rl_prediction ask(const struct subject *s, double ctx, double batch,
                                double out, double depth)
{
    struct rl_query q = {ctx, batch, out, depth, RL_LOGITS_RUNTIME};
    struct rl_prediction p;
    struct rl_error err = {0};

    cr_assert(rl_predict(s->p, &q, &p, &err) == 0, "%s", err.text);
    return p;
}

/* Not shorter, but for the rounding of a quadrature. */
#define expect_longer(a, b, what, at)                                                    \
    cr_expect((b) >= (a) * (1 - 1e-9), "%s of %s at %g: %.9g, then %.9g", what, s.m->id, \
              (double)(at), (double)(a), (double)(b))

Test(predict, more_context_is_never_faster)
{
    for (int k = 0; k < NMODELS; k++) {
        struct subject s = open_subject("h100", models[k], "vllm", 1);
        struct rl_prediction a = ask(&s, 100, 1, 64, 0);
        for (double ctx = 200; ctx < 3e5; ctx *= 1.37) {
            struct rl_prediction b = ask(&s, rint(ctx), 1, 64, 0);
            expect_longer(a.ttft_s.value, b.ttft_s.value, "ttft", ctx);
            expect_longer(a.tpot_s.value, b.tpot_s.value, "tpot", ctx);
            expect_longer(a.memory.total, b.memory.total, "memory", ctx);
            a = b;
        }
        close_subject(&s);
    }
}

Test(predict, a_larger_batch_is_never_faster)
{
    for (int k = 0; k < NMODELS; k++) {
        struct subject s = open_subject("a100", models[k], "vllm", 1);
        struct rl_prediction a = ask(&s, 512, 1, 64, 0);
        for (double batch = 2; batch <= 512; batch *= 2) {
            struct rl_prediction b = ask(&s, 512, batch, 64, 0);
            expect_longer(a.ttft_s.value, b.ttft_s.value, "ttft", batch);
            expect_longer(a.tpot_s.value, b.tpot_s.value, "tpot", batch);
            expect_longer(a.memory.total, b.memory.total, "memory", batch);
            a = b;
        }
        close_subject(&s);
    }
}

/* TensorRT-LLM's vector kernel rounds its waves up on Hopper and before, so that a few
 * sequences more may fill them better: 6.7 % of a step at most
 * (docs/models-attention.md); elsewhere no step of one sequence more is faster. */
Test(predict, one_sequence_more_is_hardly_ever_faster)
{
    static const struct {
        const char *device, *runtime;
        double least;
    } stack[] = {{"h100", "trtllm", 0.93},     {"l40s", "trtllm", 0.93},
                 {"rtx-4090", "trtllm", 0.93}, {"b200", "trtllm", 0.99},
                 {"h100", "vllm", 0.99},       {"rtx-pro-6000-server", "sglang", 0.985},
                 {"b200", "sglang", 0.985},    {"rtx-4090", "sglang", 0.985}};
    for (size_t i = 0; i < sizeof stack / sizeof *stack; i++) {
        struct subject s =
            open_subject(stack[i].device, "llama-2-7b", stack[i].runtime, 1);
        double most = 0;
        for (double batch = 1; batch <= 40; batch++) {
            double t = ask(&s, 16, batch, 8, 0).tpot_s.value;
            cr_expect(t >= stack[i].least * most, "%s %s: %g at %g sequences after %g",
                      stack[i].device, stack[i].runtime, t, batch, most);
            most = fmax(most, t);
        }
        close_subject(&s);
    }
}

Test(predict, a_faster_device_is_never_slower)
{
    for (int k = 0; k < NMODELS; k++) {
        struct subject s = open_subject("4090", models[k], "vllm", 1);
        struct subject f = open_subject("4090", models[k], "vllm", 1.5);
        for (double ctx = 128; ctx < 2e5; ctx *= 4) {
            struct rl_prediction a = ask(&f, ctx, 4, 64, 0), b = ask(&s, ctx, 4, 64, 0);
            expect_longer(a.ttft_s.value, b.ttft_s.value, "ttft", ctx);
            expect_longer(a.tpot_s.value, b.tpot_s.value, "tpot", ctx);
        }
        close_subject(&f);
        close_subject(&s);
    }
}

/* The quadrature against its steps one by one, every twentieth of them: from a short
 * cache to a long one, a batch large enough that the cache counts. */
Test(predict, decode_is_the_sum_of_its_steps)
{
    for (int k = 0; k < NMODELS; k++) {
        struct subject s = open_subject("h100", models[k], "hf-eager", 1);
        struct rl_query q = {100, 16, 4001, 0, RL_LOGITS_RUNTIME};
        struct rl_sum one, all;
        double sum = 0;
        for (int i = 10; i < 4000; i += 20) {
            q.ctx = 100 + i;
            rl_decode(s.p, &q, 1, &one);
            sum += 20 * one.gpu;
        }
        q.ctx = 100;
        rl_decode(s.p, &q, 4000, &all);
        expect_near(4000 * all.gpu, sum, 0.005);
        close_subject(&s);
    }
}

/* Watt, between what so many devices draw idle and at work. */
static void expect_power(const struct rl_setup *setup, const char *runtime,
                         double devices)
{
    struct subject s =
        open_subject_on(load_device("a100"), "llama-3.1-8b", runtime, setup);
    struct rl_prediction p = ask(&s, 2048, 1, 64, 0);
    double watt = p.prefill_j.value / p.ttft_s.value;

    cr_expect(watt > devices * s.d->idle_w.v && watt < devices * s.d->full_w.v,
              "%s on %g devices draws %g W", runtime, devices, watt);
    close_subject(&s);
}

Test(predict, energy_is_of_all_devices)
{
    struct rl_setup ranks = {.tp = 4, .flash = -1}, layers = {.devices = 4, .flash = -1};

    expect_power(NULL, "vllm", 1);
    expect_power(&ranks, "vllm", 4);
    expect_power(&layers, "llamacpp-cuda", 4);
}

Test(predict, end_to_end_is_prefill_and_steps)
{
    struct subject s = open_subject("h100", "llama-3.1-8b", "vllm", 1);
    struct rl_prediction p = ask(&s, 1000, 3, 77, 0);
    expect_near(p.e2e_s.value, p.ttft_s.value + 76 * p.tpot_s.value, 1e-12);
    expect_near(p.decode_tokens_per_s, 3 / p.tpot_s.value, 1e-12);
    expect_near(p.prefill_tokens_per_s, 3000 / p.ttft_s.value, 1e-12);
    /* one token: no step, but a step is still described */
    p = ask(&s, 1000, 1, 1, 0);
    expect_near(p.e2e_s.value, p.ttft_s.value, 1e-12);
    cr_expect(p.tpot_s.value > 0);
    close_subject(&s);
}

/* A million tokens of output cost what a hundred do to predict, and their mean
 * step lies on a cache a thousand times longer. */
Test(predict, long_outputs)
{
    struct subject s = open_subject("h100", "mamba2-1.3b", "vllm", 1);
    struct rl_prediction a = ask(&s, 1000, 1, 100, 0), b = ask(&s, 1000, 1, 1e6, 0);
    expect_near(b.tpot_s.value, a.tpot_s.value, 1e-9); /* a constant state */
    close_subject(&s);
    s = open_subject("h100", "llama-3.1-8b", "vllm", 1);
    a = ask(&s, 1000, 1, 100, 0);
    b = ask(&s, 1000, 1, 1e6, 0);
    cr_expect(b.tpot_s.value > 2 * a.tpot_s.value);
    close_subject(&s);
}

/* The longest prompt fits, one token more does not. */
Test(predict, max_ctx_is_the_edge)
{
    static const char *const runtimes[] = {"vllm", "hf-eager", "llamacpp-cuda"};
    for (int k = 0; k < 3; k++) {
        struct subject s = open_subject("4090", "llama-3.2-1b", runtimes[k], 1);
        struct rl_prediction p = ask(&s, 1000, 1, 128, 0);
        cr_assert(p.max_ctx > 1000, "%s", runtimes[k]);
        cr_expect(ask(&s, p.max_ctx, 1, 128, 0).fits, "%s", runtimes[k]);
        cr_expect(!ask(&s, p.max_ctx + 1, 1, 128, 0).fits, "%s", runtimes[k]);
        close_subject(&s);
    }
}

/* Ideal is the data sheet: nothing is faster, and it has no host. */
Test(predict, ideal_is_the_roofline)
{
    for (int k = 0; k < NMODELS; k++) {
        struct subject s = open_subject("h100", models[k], "ideal", 1);
        struct rl_prediction p = ask(&s, 4096, 1, 64, 0);
        expect_near(p.ttft_s.value, p.sol_ttft_s, 1e-6);
        expect_near(p.tpot_s.value, p.sol_tpot_s, 1e-6);
        cr_expect(p.host_prefill_s == 0);
        close_subject(&s);
    }
}

/* Llama-2-7B's memory by hand: bf16 weights and 524,288 bytes a token. */
Test(predict, memory_by_hand)
{
    struct subject s = open_subject("a100", "llama-2-7b", "hf-eager", 1);
    struct rl_prediction p = ask(&s, 1000, 2, 25, 0);
    expect_near(p.memory.weights, 2 * 6738415616.0, 1e-9);
    expect_near(p.memory.kv_cache, 2 * 524288.0 * 1000, 1e-9);
    cr_expect(p.memory.logits == 0, "the peak lies inside a layer");
    double prefill = p.memory.activations;
    /* the last of 2,999 steps: one token a sequence, and the longer cache */
    p = ask(&s, 1000, 2, 3000, 0);
    expect_near(p.memory.kv_cache, 2 * 524288.0 * 3999, 1e-9);
    cr_expect(p.memory.activations < prefill / 500);
    close_subject(&s);
    /* a large vocabulary: there the peak is the head, logits of every position */
    s = open_subject("a100", "qwen2.5-0.5b", "hf-eager", 1);
    p = ask(&s, 1000, 2, 25, 0);
    expect_near(p.memory.logits, 2 * 1000 * 151936 * 2.0, 1e-9);
    expect_near(p.memory.activations, 2 * 1000 * 896 * 2.0, 1e-9);
    close_subject(&s);
}

/* Gemma 3 4B: 29 of 34 layers keep 1,024 tokens at most; 2 x 4 x 256 x 2 bytes. */
Test(predict, windows_cap_the_cache)
{
    struct subject s = open_subject("h100", "gemma-3-4b", "hf-eager", 1);

    expect_near(ask(&s, 8000, 1, 1, 0).memory.kv_cache, 4096.0 * (5 * 8000 + 29 * 1024),
                1e-9);
    expect_near(ask(&s, 500, 1, 1, 0).memory.kv_cache, 4096.0 * 34 * 500, 1e-9);
    close_subject(&s);
}

/* Whisper's encoder sees 1,500 frames and has no logits; its decoder begins with
 * one token, and keeps the encoder's keys and values: 4 layers of 2 x 384. */
Test(predict, encoder_decoder_memory)
{
    struct subject s = open_subject("a100", "whisper-tiny", "hf-eager", 1);
    struct rl_prediction p = ask(&s, 1500, 1, 1, 0);
    double token = 4 * 2 * 384 * 2.0;

    expect_near(p.memory.kv_cache, token * (1500 + 1), 1e-9);
    cr_expect(p.memory.logits < 2 * 51865 * 4.0, "%g", p.memory.logits);
    close_subject(&s);
}

Test(predict, bad_queries_are_refused)
{
    struct subject s = open_subject("h100", "llama-3.1-8b", "vllm", 1);
    const double bad[] = {0, -1, 0.5, NAN, INFINITY};
    for (int i = 0; i < 5; i++) {
        struct rl_query q = {bad[i], 1, 1, 0, RL_LOGITS_LAST};
        struct rl_prediction p;
        struct rl_error err = {0};
        cr_expect(rl_predict(s.p, &q, &p, &err) == -1 && err.code == RL_EVALUE, "%g",
                  bad[i]);
    }
    close_subject(&s);
}

/* What a plan keeps from query to query, and calls it counts once, change nothing:
 * the same as a plan bound anew, and as one that keeps nothing, to the last bit. */
Test(predict, earlier_queries_leave_no_trace)
{
    static const char *const runtimes[] = {NULL, "ideal", "hf-eager", "llamacpp-cuda"};
    static const char *const more[] = {"llada-8b", "t5-large", "gemma-3-4b",
                                       "zamba2-1.2b", "llama-3.1-8b"};
    struct rl_error err = {0};
    struct rl_kernel_db *db = rl_kernel_db_load(source_dir(), &err);
    unsigned seed = 1;

    cr_assert_not_null(db, "%s", err.text);
    for (int i = 0; i < 20; i++) {
        struct subject s = open_subject("h100", more[i % 5], runtimes[i % 4], 1);
        for (int n = 0; n < 60; n++) {
            double v[4];
            for (int k = 0; k < 4; k++) {
                seed = seed * 1664525u + 1013904223u;
                v[k] = seed >> 16 & 7; /* sizes come again, in any order */
            }
            struct rl_query q = {v[0] < 5 ? 100 + 37 * v[0] : 5000 * v[0], 1 + v[1],
                                 1 + 9 * v[2],
                                 v[3] < 6 || s.m->graph.encoder_decoder ? 0 : 1000,
                                 v[3] < 4 ? RL_LOGITS_LAST : RL_LOGITS_ALL};
            struct rl_prediction kept, fresh, none;
            struct rl_plan *anew = rl_plan_bind(db, s.d, s.m, s.r, NULL, &err);
            cr_assert_not_null(anew, "%s", err.text);
            struct rl_plan bare = *anew;
            bare.memo = NULL;
            cr_expect_eq(rl_predict(s.p, &q, &kept, &err), 0);
            cr_expect_eq(rl_predict(&bare, &q, &none, &err), 0);
            cr_expect_eq(rl_predict(anew, &q, &fresh, &err), 0);
            cr_expect_arr_eq(&kept, &fresh, sizeof kept, "%s, query %d", s.m->id, n);
            cr_expect_arr_eq(&none, &fresh, sizeof kept, "%s, query %d", s.m->id, n);
            rl_plan_free(anew);
        }
        close_subject(&s);
    }
    rl_kernel_db_free(db);
}
