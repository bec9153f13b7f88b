/* Kernel models of attention and MLA: limits of physics, for the priors and for
 * coefficients drawn anywhere within their bounds. */
#include "ops.h"
#include "test.h"
#include "tick.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static unsigned long long state = 1;

static double uniform(void)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* An H100: sheet of hwdb/devices/h100-sxm-80gb.csv. */
static void h100(struct rl_machine *m, double warm)
{
    memset(m, 0, sizeof *m);
    m->sm = 132;
    m->clock_hz = 1.98e9;
    for (int i = 0; i < RL_NUNITS; i++)
        m->peak[i] = m->rate[i] = 989e12;
    m->peak[RL_FP8] = 1979e12;
    m->dram_peak = 3352e9;
    m->dram = 3079e9;
    m->l2_bw = 5.7e12;
    m->l2_bytes = 50 * 1048576.0;
    m->sfu = 16 * m->sm * m->clock_hz;
    m->cc = 90;
    m->warm = warm;
}

static void priors(const struct rl_op_type *op, double *c)
{
    for (int i = 0; op->coef[i].name; i++)
        c[i] = op->coef[i].prior;
}

/* Anywhere within the bounds. */
static void draw(const struct rl_op_type *op, double *c)
{
    for (int i = 0; op->coef[i].name; i++) {
        const struct rl_coef *k = &op->coef[i];
        if (k->kind == RL_C_CHOICE)
            c[i] = floor(k->min + uniform() * (k->max - k->min + 1));
        else if (k->kind == RL_C_LOG)
            c[i] = k->min * pow(k->max / k->min, uniform());
        else
            c[i] = k->min + uniform() * (k->max - k->min);
    }
}

static double pick(const double *of, int n)
{
    return of[(int)(uniform() * n)];
}

/* Kernels of other architectures on the same sheet. */
static int any_cc(void)
{
    static const double cc[] = {80, 89, 90, 100, 120};
    return (int)pick(cc, 5);
}

static void draw_call(const struct rl_op_type *op, double *p)
{
    static const double heads[] = {1, 8, 32, 128}, group[] = {1, 2, 8};
    static const double dim[] = {64, 128, 192, 256, 512}, window[] = {0, 0, 128, 4096};
    int decode = strstr(op->name, "decode") != NULL;
    struct rl_error err = {0};
    char text[300];
    double l = decode ? 1 : floor(pow(2, 14 * uniform()));
    double s = l + floor(pow(2, 16 * uniform())) - 1, b = floor(pow(2, 8 * uniform()));
    double h = pick(heads, 4), g = fmin(h, pick(group, 3));
    if (!strncmp(op->name, "mla", 3))
        snprintf(text, sizeof text,
                 "batch=%g q_len=%g kv_len=%g heads=%g kv_lora_rank=512 rope_dim=64 "
                 "nope_dim=128 v_dim=128 dtype=bf16",
                 b, l, s, h);
    else
        snprintf(text, sizeof text,
                 "batch=%g q_len=%g kv_len=%g heads=%g kv_heads=%g head_dim=%g window=%g "
                 "dtype=bf16",
                 b, l, s, h, h / g, pick(dim, 5), pick(window, 4));
    cr_assert(rl_op_parse(op, text, p, &err) == 0, "%s: %s", text, err.text);
}

static const struct rl_op_type *const ops[] = {&rl_op_attention_prefill,
                                               &rl_op_attention_decode,
                                               &rl_op_mla_prefill, &rl_op_mla_decode};
enum { NOPS = sizeof ops / sizeof *ops };

/* Never below what the multiplications take at the peak, nor below what the
 * cache takes at the DRAM peak when nothing lies in L2. */
Test(kern_attention, no_part_beats_the_sheet)
{
    struct rl_machine m;
    h100(&m, 0);
    for (int i = 0; i < NOPS; i++)
        for (int n = 0; n < 4000; n++) {
            double p[RL_MAXPARAMS], c[RL_MAXCOEFS], part[RL_NBOUNDS] = {0};
            struct rl_work w = {0};
            char text[300];
            draw_call(ops[i], p);
            draw(ops[i], c);
            m.cc = any_cc();
            ops[i]->work(p, &w);
            double t = ops[i]->time(p, &m, c, part);
            double flop = w.flop / m.peak[RL_BF16], bytes = w.cache_bytes / m.dram_peak;
            cr_assert(isfinite(t) && t > 0);
            for (int k = 0; k < RL_NBOUNDS; k++)
                cr_assert(isfinite(part[k]) && part[k] >= 0 && part[k] < 1e6);
            cr_assert(t > 0.89 * flop, "%s %s: %g s, %g s at the tensor peak",
                      ops[i]->name, rl_op_format(ops[i], p, text, sizeof text), t, flop);
            cr_assert(t > bytes, "%s %s: %g s, %g s at the DRAM peak", ops[i]->name,
                      rl_op_format(ops[i], p, text, sizeof text), t, bytes);
        }
}

/* More sequences, more queries, a longer cache: never faster, at the priors. */
Test(kern_attention, grows_with_every_length)
{
    struct rl_machine m;
    h100(&m, 1);
    for (int i = 0; i < NOPS; i++) {
        double c[RL_MAXCOEFS], p[RL_MAXPARAMS];
        priors(ops[i], c);
        for (int n = 0; n < 2000; n++) {
            char text[300];
            draw_call(ops[i], p);
            m.cc = any_cc();
            double t = ops[i]->time(p, &m, c, NULL);
            int which = (int)(uniform() * 3); /* batch, q_len with kv_len, kv_len */
            /* more than 32 rows go to a kernel that reads the latent once */
            if (ops[i] == &rl_op_mla_decode && m.cc == 100 && which == RL_MLA_Q_LEN)
                continue;
            double more = 1 + floor(p[which] * uniform());
            p[which] += more;
            if (which == RL_ATT_Q_LEN)
                p[RL_ATT_KV_LEN] += more;
            double u = ops[i]->time(p, &m, c, NULL);
            cr_assert(u > 0.985 * t, "%s %s, cc %d: %g s, %g in place %d: %g s",
                      ops[i]->name, rl_op_format(ops[i], p, text, sizeof text), m.cc, t,
                      more, which, u);
        }
    }
}

/* A long prefill approaches eff × peak with exp beside it; a large decode the
 * DRAM fraction of its coefficient. */
Test(kern_attention, limits)
{
    struct rl_machine m;
    struct rl_error err = {0};
    double c[RL_MAXCOEFS], p[RL_MAXPARAMS];
    h100(&m, 1);
    const struct rl_op_type *op = &rl_op_attention_prefill;
    priors(op, c);
    cr_assert(rl_op_parse(op,
                          "batch=4 q_len=65536 kv_len=65536 heads=32 kv_heads=8 "
                          "head_dim=128 dtype=bf16",
                          p, &err) == 0);
    struct rl_work w = {0};
    op->work(p, &w);
    double exp_s = 0.8 * w.sfu / m.sfu, mma = w.flop / (0.8 * m.peak[RL_BF16]);
    double t = op->time(p, &m, c, NULL);
    cr_assert(t > mma + exp_s && t < 1.35 * (mma + exp_s), "%g s, %g + %g", t, mma,
              exp_s);
    op = &rl_op_attention_decode;
    priors(op, c);
    cr_assert(rl_op_parse(op,
                          "batch=256 q_len=1 kv_len=16384 heads=32 kv_heads=8 "
                          "head_dim=128 dtype=bf16",
                          p, &err) == 0);
    memset(&w, 0, sizeof w);
    op->work(p, &w);
    double stream = w.cache_bytes / (0.86 * m.dram_peak);
    t = op->time(p, &m, c, NULL);
    cr_assert(t > stream && t < 1.2 * stream, "%g s, %g s of DRAM", t, stream);
}

static double seconds(const struct rl_op_type *op, const char *text,
                      const struct rl_machine *m, const double *c)
{
    struct rl_error err = {0};
    double p[RL_MAXPARAMS];
    cr_assert(rl_op_parse(op, text, p, &err) == 0, "%s: %s", text, err.text);
    return op->time(p, m, c, NULL);
}

static void set_coef(const struct rl_op_type *op, double *c, const char *name, double v)
{
    for (int i = 0; op->coef[i].name; i++)
        if (!strcmp(op->coef[i].name, name))
            c[i] = v;
}

#define HEADS " q_len=1 head_dim=128 dtype=bf16 "

/* TensorRT-LLM's vector kernel on 132 SMs: 8 heads of 8 sequences in three parts each are
 * two waves of one block an SM (27.1 us measured), 80 blocks of 2 sequences one (16.6).
 */
Test(kern_attention, vector_kernel_runs_whole_waves)
{
    const struct rl_op_type *op = &rl_op_attention_decode;
    struct rl_machine m;
    double c[RL_MAXCOEFS];
    h100(&m, 1);
    priors(op, c);
    set_coef(op, c, "alt", 2);
    double two = seconds(op, HEADS "batch=8 kv_len=1024 heads=8 kv_heads=8", &m, c);
    double one = seconds(op, HEADS "batch=2 kv_len=2048 heads=8 kv_heads=8", &m, c);
    cr_expect(two > 1.3 * one, "%g s in two waves, %g in one", two, one);
}

/* Groups that XQA serves go to the vector kernel while their blocks leave three quarters
 * of the SMs idle, but neither with an fp8 cache nor on tcgen05. */
Test(kern_attention, small_calls_take_the_vector_kernel)
{
    const struct rl_op_type *op = &rl_op_attention_decode;
    const char *few = HEADS "batch=4 kv_len=64 heads=64 kv_heads=8 kv_dtype=bf16";
    const char *narrow = HEADS "batch=4 kv_len=64 heads=64 kv_heads=8 kv_dtype=fp8";
    struct rl_machine m;
    double c[RL_MAXCOEFS], slow[RL_MAXCOEFS];
    h100(&m, 1);
    priors(op, c);
    set_coef(op, c, "alt", 2);
    memcpy(slow, c, sizeof c);
    set_coef(op, slow, "cta_alt", 20);
    cr_expect(seconds(op, few, &m, slow) > 2 * seconds(op, few, &m, c));
    cr_expect(!(seconds(op, narrow, &m, slow) > seconds(op, narrow, &m, c)));
    m.cc = 100;
    cr_expect(!(seconds(op, few, &m, slow) > seconds(op, few, &m, c)));
}

/* A window wider than the prompt masks nothing; a narrow one pays at its edge. */
Test(kern_attention, mask_costs_at_the_edge_of_a_window)
{
    const struct rl_op_type *op = &rl_op_attention_prefill;
    struct rl_machine m;
    double c[RL_MAXCOEFS], dear[RL_MAXCOEFS];
    const char *rest = "batch=4 q_len=4096 kv_len=4096 heads=32 kv_heads=8 head_dim=128 "
                       "dtype=bf16 window=";
    char none[200], wide[200], narrow[200];
    snprintf(none, sizeof none, "%s0", rest);
    snprintf(wide, sizeof wide, "%s8192", rest);
    snprintf(narrow, sizeof narrow, "%s128", rest);
    h100(&m, 1);
    priors(op, c);
    memcpy(dear, c, sizeof c);
    set_coef(op, dear, "window", 4);
    double t = seconds(op, none, &m, dear);
    cr_expect(fabs(seconds(op, wide, &m, dear) / t - 1) < 1e-9);
    cr_expect(seconds(op, narrow, &m, dear) > 1.3 * seconds(op, narrow, &m, c));
}

/* A cache that repeated calls find in L2 is read from DRAM in a model's pass. */
/* What an operator alone takes and a model counts elsewhere (MLA): the host's time and
 * the up-projection. */
static void leave_out_what_is_warm_only(const struct rl_op_type *op, double *c)
{
    for (int i = 0; op->coef[i].name; i++)
        if (!strcmp(op->coef[i].name, "floor") || !strcmp(op->coef[i].name, "up_in"))
            c[i] = 0;
}

Test(kern_attention, cold_caches_cost_more)
{
    struct rl_machine warm, cold;
    h100(&warm, 1);
    h100(&cold, 0);
    for (int i = 0; i < NOPS; i++)
        for (int n = 0; n < 500; n++) {
            double p[RL_MAXPARAMS], c[RL_MAXCOEFS];
            draw_call(ops[i], p);
            draw(ops[i], c);
            leave_out_what_is_warm_only(ops[i], c);
            if (ops[i] == &rl_op_attention_decode)
                p[RL_ATT_WINDOW] =
                    0; /* its blocks' places count in measured calls alone */
            cr_assert(ops[i]->time(p, &cold, c, NULL) >=
                      ops[i]->time(p, &warm, c, NULL) * (1 - 1e-9));
        }
}

#define LATENT "q_len=1 kv_lora_rank=512 rope_dim=64 nope_dim=128 v_dim=128 dtype=bf16 "

/* A library's kernel follows the architecture: on mma.sync always four CTAs to a
 * sequence, so that 16 sequences take no longer than one; on wgmma one sequence
 * spreads over the SMs; on tcgen05 64 heads are padded to 128; the
 * fp8 kernel of sm_120 for 128 heads is the faster one. */
Test(kern_attention, latent_kernel_of_the_architecture)
{
    const struct rl_op_type *op = &rl_op_mla_decode;
    struct rl_machine m;
    double c[RL_MAXCOEFS];
    h100(&m, 0);
    priors(op, c);
    double spread = seconds(op, LATENT "batch=1 kv_len=65536 heads=16", &m, c);
    m.cc = 80;
    double one = seconds(op, LATENT "batch=1 kv_len=65536 heads=16", &m, c);
    double all = seconds(op, LATENT "batch=16 kv_len=65536 heads=16", &m, c);
    cr_expect(one > 5 * spread, "%g s, %g s spread over SMs", one, spread);
    cr_expect(all < 1.1 * one, "%g s for 16 sequences, %g s for one", all, one);
    m.cc = 100;
    double half = seconds(op, LATENT "batch=256 kv_len=8192 heads=64", &m, c);
    double full = seconds(op, LATENT "batch=256 kv_len=8192 heads=128", &m, c);
    cr_expect(full < 1.3 * half, "%g s for 128 heads, %g s for 64", full, half);
    m.cc = 120;
    set_coef(op, c, "rate", 1); /* elements per clock, as fitted on mma.sync parts */
    half = seconds(op, LATENT "batch=1 kv_len=65536 heads=64 kv_dtype=fp8", &m, c);
    full = seconds(op, LATENT "batch=1 kv_len=65536 heads=128 kv_dtype=fp8", &m, c);
    cr_expect(full < 0.5 * half, "%g s for 128 heads, %g s for 64", full, half);
}

/* FlashAttention-2 copies the queries of more than one KV head to pack them, so that wide
 * groups cost by their bytes; with one KV head they lie packed already. */
Test(kern_attention, packing_copies_queries_of_several_kv_heads)
{
    const struct rl_op_type *op = &rl_op_attention_decode;
    struct rl_machine m;
    double c[RL_MAXCOEFS];
    h100(&m, 1);
    priors(op, c);
    set_coef(op, c, "pack", 2);
    double one = seconds(op, HEADS "batch=2048 kv_len=4 heads=32 kv_heads=1", &m, c);
    double two = seconds(op, HEADS "batch=1024 kv_len=4 heads=64 kv_heads=2", &m, c);
    double bytes = 2 * 1024 * 64.0 * 256 * 2; /* Q and O, read and written */
    cr_expect(two > one + bytes / m.l2_bw && two < one + 4 * bytes / m.dram_peak,
              "%g s for two KV heads, %g for one", two, one);
}

/* Under a window FlashAttention-2 does not pack, and its heads follow each other: a group
 * reads its keys once while those of one head of all sequences fit L2 (512 sequences: 34
 * MB of 50), else once a head (vLLM on L40S: 2048 sequences, 24/8 heads, 4.7 ms). */
Test(kern_attention, heads_in_turn_read_the_keys_again)
{
    const struct rl_op_type *op = &rl_op_attention_decode;
    struct rl_machine m;
    double c[RL_MAXCOEFS];
    h100(&m, 0);
    priors(op, c);
    set_coef(op, c, "pack", 2);
#define WINDOW " kv_len=4096 heads=64 kv_heads=8 window=64 "
    double fits = seconds(op, HEADS WINDOW "batch=512", &m, c);
    double not = seconds(op, HEADS WINDOW "batch=2048", &m, c);
#undef WINDOW
    double again = 2048 * 64 * 128.0 * 512 / m.dram_peak; /* a block of 128 keys */
    cr_expect(not > again, "%g s, %g s of DRAM", not, again);
    cr_expect(not > 4.5 * fits, "%g s, %g s for a quarter of the sequences", not, fits);
}

/* FlashAttention-3's CTAs walk past all sequences: H100, heads of 64, 512 sequences of
 * one KV head take 29 us, 128 of four 21. */
Test(kern_attention, scheduler_walks_past_sequences)
{
    const struct rl_op_type *op = &rl_op_attention_decode;
    struct rl_machine m;
    double c[RL_MAXCOEFS];
    h100(&m, 1);
    priors(op, c);
    const char *many = HEADS "batch=512 kv_len=4 heads=8 kv_heads=1";
    const char *few = HEADS "batch=128 kv_len=4 heads=32 kv_heads=4";
    double same = seconds(op, many, &m, c) - seconds(op, few, &m, c);
    set_coef(op, c, "pack", 3);
    double more = seconds(op, many, &m, c) - seconds(op, few, &m, c) - same;
    double us = 0.5e-6 * 2e9 / m.clock_hz; /* the prior, a warp of 31 sequences */
    cr_expect(fabs(more / (us * (496 - 128) / 31) - 1) < 0.01, "%g s, %g s a step", more,
              us);
}

/* A window ends within a block of keys on either side, all of which is read. */
Test(kern_attention, window_reads_whole_blocks)
{
    const struct rl_op_type *op = &rl_op_attention_decode;
    struct rl_machine m;
    double c[RL_MAXCOEFS];
    h100(&m, 0);
    priors(op, c);
#define CALL "batch=4096 q_len=1 heads=32 kv_heads=8 head_dim=128 dtype=bf16 "
    double alone = seconds(op, CALL "kv_len=512", &m, c);
    double within = seconds(op, CALL "kv_len=8192 window=512", &m, c);
    double more = 4096 * 96 * 8 * 256 * 2.0 / m.dram_peak;
    cr_expect(within > alone + 0.8 * more && within < alone + 1.5 * more,
              "%g s, %g s without, %g s more bytes", within, alone, more);
#undef CALL
}

/* Where a kernel evaluates the window's mask, tiles inside it pay as well. */
Test(kern_attention, mask_costs_inside_the_window)
{
    const struct rl_op_type *op = &rl_op_attention_prefill;
    struct rl_machine m;
    double c[RL_MAXCOEFS];
    h100(&m, 1);
    priors(op, c);
    set_coef(op, c, "window", 1);
    set_coef(op, c, "skip", 8);
#define CALL "batch=8 q_len=4096 kv_len=4096 heads=32 kv_heads=8 head_dim=64 dtype=bf16 "
    double without = seconds(op, CALL, &m, c);
    double with = seconds(op, CALL "window=4095", &m, c);
    double mask = 8 * 8 * 32.0 * 4096 * 4097 / 2 / m.sfu; /* 8 exp a score */
    cr_expect(with > without + mask && with < without + 1.3 * mask, "%g s, %g s, mask %g",
              with, without, mask);
#undef CALL
}

/* Tensor units at half the rate take twice as long, the exponentials beside them do not.
 */
Test(kern_attention, hides_behind_slower_tensor_units)
{
    const struct rl_op_type *op = &rl_op_attention_prefill;
    struct rl_machine full, half;
    double c[RL_MAXCOEFS], p[RL_MAXPARAMS];
    struct rl_error err = {0};

    h100(&full, 0);
    full.cc = 89;
    half = full;
    half.peak[RL_BF16] = half.rate[RL_BF16] = full.peak[RL_BF16] / 2;
    priors(op, c);
    cr_assert_eq(rl_op_parse(op,
                             "batch=1 q_len=24576 kv_len=24576 heads=14 kv_heads=2 "
                             "head_dim=64 dtype=bf16",
                             p, &err),
                 0, "%s", err.text);
    double carried = op->time(p, &half, c, NULL), fast = op->time(p, &full, c, NULL);
    half.slow = 2;
    double t = op->time(p, &half, c, NULL);
    struct rl_work w = {0};
    op->work(p, &w);
    cr_expect(t < carried && t > fast && t > w.flop / half.rate[RL_BF16]);
}

/* Calls as measured on Blackwell lie near whole ticks while they are short, on a curve
 * that grows and does not jump; within a model, and on other parts, nothing changes. */
Test(attention, blackwell_counts_in_ticks)
{
    struct rl_machine m;
    h100(&m, 1);
    cr_expect_eq(rl_ticked(&m, 9e-6, 1, RL_TICK_ATTENTION), 9e-6);
    m.cc = 100;
    double before = 0;
    for (double t = 1e-6; t < 100e-6; t += 1e-9) {
        double ticked = rl_ticked(&m, t, 1, RL_TICK_ATTENTION);
        cr_assert(ticked >= before, "%g s: %g after %g", t, ticked, before);
        cr_assert(t < 2e-6 || (fabs(ticked - t) < 1.1e-6 && ticked - before < 2e-8),
                  "%g s: %g after %g", t, ticked, before);
        before = ticked;
    }
    expect_near(rl_ticked(&m, 9e-6, 1, RL_TICK_ATTENTION), (4 * 2.048 + 0.45) * 1e-6,
                0.01);
    expect_near(rl_ticked(&m, 8.3e-6, 1, RL_TICK_ATTENTION), (4 * 2.048 + 0.45) * 1e-6,
                0.01);
    expect_near(rl_ticked(&m, 60e-6, 1, RL_TICK_ATTENTION), 60e-6, 1e-3);
    m.warm = 0;
    cr_expect_eq(rl_ticked(&m, 9e-6, 1, RL_TICK_ATTENTION), 9e-6);
}

/* Under a window FlashAttention-2 and -3 read from the block on in which it begins: calls
 * as measured fall where a block drops out, the mean over a model's sequences does not.
 */
Test(attention, window_blocks_average_out_within_a_model)
{
    const struct rl_op_type *op = &rl_op_attention_decode;
    double c[RL_MAXCOEFS], p[RL_MAXPARAMS] = {8, 1, 0, 32, 8, 128, 1024};
    struct rl_machine m;

    priors(op, c);
    set_coef(op, c, "pack", 2);
    p[RL_ATT_DTYPE] = p[RL_ATT_KV_DTYPE] = RL_DT_BF16;
    for (int warm = 0; warm <= 1; warm++) {
        double before = 0, fell = 0;
        h100(&m, warm);
        for (double s = 1200; s < 2400; s++) {
            p[RL_ATT_KV_LEN] = s;
            double t = op->time(p, &m, c, NULL);
            fell = fmax(fell, 1 - t / before);
            before = t;
        }
        cr_expect(warm ? fell > 0.01 : fell < 1e-9, "warm %d: falls by %g", warm, fell);
    }
}
