/* The fall-back of a device without data, with the shipped entries: which entry,
 * how wide, and what a few samples make of it. */
#include "few.h"
#include "op_test.h"

#include "device.h"
#include "kernel.h"

#include <stdio.h>

static struct rl_kernel_db *db;
static struct rl_device *device;

static void load(const char *id)
{
    struct rl_error err = {0};
    db = rl_kernel_db_load(source_dir(), &err);
    cr_assert_not_null(db, "%s", err.text);
    device = rl_device_load(source_dir(), id, &err);
    cr_assert_not_null(device, "%s", err.text);
}

static void drop(void)
{
    rl_kernel_db_free(db);
    rl_device_free(device);
}

/* What `id` would get if nothing had been measured on it. */
static struct rl_ask unseen(const char *op, const char *runtime, const char *impl,
                            enum rl_dtype dtype)
{
    return (struct rl_ask){db,    device,     runtime, impl, rl_op_find(op),
                           dtype, RL_DT_NONE, true};
}

static const char *source_of(const char *id, const char *op, const char *impl,
                             enum rl_dtype dtype)
{
    static char name[64];
    struct rl_choice c;
    load(id);
    struct rl_ask a = unseen(op, "vllm-0.24.0", impl, dtype);
    rl_choose_by(&a, &c);
    snprintf(name, sizeof name, "%s", c.kernel ? c.kernel->device : "prior");
    drop();
    return name;
}

/* Mamba-2's scan is one kernel under TensorRT-LLM on B200 and its like, five elsewhere:
 * the entry of the one says nothing of the five. */
Test(choose, one_kernel_is_not_five)
{
    static const struct {
        const char *device, *runtime, *from;
    } rows[] = {{"gb200-186gb", "trtllm-1.3.0rc20", "b200-sxm-180gb"},
                {"b200-sxm-180gb", "vllm-0.24.0", "prior"},
                {"h100-sxm-80gb", "trtllm-1.3.0rc20", "prior"},
                {"rtx-pro-6000-server", "trtllm-1.3.0rc20", "prior"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rl_choice c;
        load(rows[i].device);
        struct rl_ask a = {db,
                           device,
                           rows[i].runtime,
                           "mamba_chunk_scan_combined",
                           rl_op_find("ssd_scan"),
                           RL_DT_BF16,
                           RL_DT_FP32,
                           false};
        rl_choose_by(&a, &c);
        cr_expect_str_eq(c.kernel ? c.kernel->device : "prior", rows[i].from, "%s, %s",
                         rows[i].device, rows[i].runtime);
        drop();
    }
}

/* B200's measured rows (aiconfigurator 095f58a) from the operator's prior alone: whole
 * chunks of many and of few heads within 8 %, broken ones within 20. */
Test(choose, one_kernel_by_its_source)
{
    static const struct {
        const char *params;
        double us, within;
    } rows[] = {{"batch=2 seq_len=32768 heads=256", 11320, 0.08},
                {"batch=1 seq_len=2048 heads=64", 180, 0.08},
                {"batch=4 seq_len=64 heads=256", 139, 0.2},
                {"batch=8 seq_len=1 heads=64", 78.18, 0.2}};
    struct rl_error err = {0};
    struct rl_choice c;
    struct rl_machine m;
    load("b200-sxm-180gb");
    rl_machine_init(&m, device, 1);
    struct rl_ask a =
        unseen("ssd_scan", "trtllm-1.3.0rc15", "mamba_chunk_scan_combined", RL_DT_BF16);
    rl_choose_by(&a, &c);
    cr_expect_null(c.kernel);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        double p[RL_MAXPARAMS];
        snprintf(text, sizeof text,
                 "%s head_dim=64 state=128 groups=8 chunk=128 dtype=bf16",
                 rows[i].params);
        cr_assert_eq(rl_op_parse(a.op, text, p, &err), 0, "%s", err.text);
        expect_near(1e6 * a.op->time(p, &m, c.coef, NULL), rows[i].us, rows[i].within);
    }
    drop();
}

Test(choose, tensor_kernels_follow_the_instructions)
{
    cr_expect_str_eq(source_of("rtx-pro-6000-server", "gemm", NULL, RL_DT_BF16), "l40s");
    cr_expect_str_eq(source_of("l40s", "gemm", NULL, RL_DT_BF16), "rtx-pro-6000-server");
    cr_expect_str_eq(source_of("a100-sxm-80gb", "gemm", NULL, RL_DT_BF16), "l40s");
    cr_expect_str_eq(source_of("h100-sxm-80gb", "gemm", NULL, RL_DT_BF16),
                     "b200-sxm-180gb");
    cr_expect_str_eq(source_of("h200-sxm-141gb", "gemm", NULL, RL_DT_BF16),
                     "h100-sxm-80gb");
}

/* SGLang's of 0.5.10 on A100 and TensorRT-LLM's are CUDA kernels, vLLM's Triton's. */
Test(choose, convolutions_follow_the_kernel)
{
    struct rl_choice c;
    load("a100-sxm-80gb");
    struct rl_ask a = unseen("conv1d_update", "vllm-0.24.0", NULL, RL_DT_BF16);
    a.without = false;
    rl_choose_by(&a, &c);
    cr_assert_not_null(c.kernel);
    cr_expect_str_eq(c.kernel->runtime, "vllm-0.24.0");
    cr_expect_str_neq(c.kernel->device, "a100-sxm-80gb");
    a.runtime = "trtllm-1.0.0";
    a.without = true;
    rl_choose_by(&a, &c);
    cr_assert_not_null(c.kernel);
    cr_expect(!strncmp(c.kernel->runtime, "trtllm", 6), "%s", c.kernel->runtime);
    a.runtime = "sglang-0.5.10";
    rl_choose_by(&a, &c);
    cr_expect(!strncmp(c.kernel->runtime, "trtllm", 6), "%s", c.kernel->runtime);
    drop();
}

Test(choose, collectives_follow_the_link)
{
    cr_expect_str_eq(source_of("a100-sxm-80gb", "all_reduce", NULL, RL_DT_NONE),
                     "h100-sxm-80gb");
    cr_expect_str_eq(source_of("l40s", "all_reduce", NULL, RL_DT_NONE),
                     "rtx-pro-6000-server");
}

static double width(const char *op, const char *runtime, const char *impl,
                    enum rl_dtype dtype, bool without)
{
    struct rl_choice c;
    struct rl_ask a = unseen(op, runtime, impl, dtype);
    a.without = without;
    rl_choose_by(&a, &c);
    cr_assert_not_null(c.kernel, "%s", op);
    cr_expect(c.log_lo < 0 && c.log_hi > 0);
    return c.log_hi - c.log_lo;
}

Test(choose, each_step_widens)
{
    const char *rt = "vllm-0.24.0", *impl = "torch.nn.functional.linear";
    load("l40s");
    double own = width("gemm", rt, impl, RL_DT_BF16, false);
    double version = width("gemm", "vllm-0.99.0", impl, RL_DT_BF16, false);
    double carried = width("gemm", rt, impl, RL_DT_BF16, true);
    double other = width("gemm", rt, "no such kernel", RL_DT_BF16, true);
    cr_expect_lt(own, version);
    cr_expect_lt(version, carried);
    cr_expect_lt(carried, other);
    drop();
}

/* GEMM formats of which every stack has another kernel on every architecture. */
Test(choose, formats_with_kernels_of_their_own_carry_over_badly)
{
    const char *vllm = "vllm-0.24.0", *trt = "trtllm-1.3.0rc20";
    load("b200-sxm-180gb");
    double fp8 = width("gemm", trt, "torch_flow", RL_DT_FP8, true);
    double block =
        width("gemm", vllm, "DeepGemmFp8BlockScaledMMKernel", RL_DT_FP8_BLOCK, true);
    double here =
        width("gemm", vllm, "DeepGemmFp8BlockScaledMMKernel", RL_DT_FP8_BLOCK, false);
    cr_expect_gt(block, fp8 + 0.8);
    cr_expect_lt(here, fp8);
    drop();
}

/* Another format's entry of the same device says less than the format's own. */
Test(choose, another_format_widens_on_the_same_device)
{
    const char *rt = "vllm-0.24.0", *impl = "torch.nn.functional.linear";
    load("l40s");
    double own = width("gemm", rt, impl, RL_DT_BF16, false);
    double packed = width("gemm", rt, NULL, RL_DT_W4A16, false);
    cr_expect_gt(packed, own + 1);
    drop();
}

Test(choose, the_same_library_under_another_name)
{
    struct rl_choice c;
    load("a100-sxm-80gb");
    struct rl_ask a = unseen("moe", "sglang-0.5.14", "new_marlin_name", RL_DT_W4A16);
    rl_choose_by(&a, &c);
    cr_assert_not_null(c.kernel);
    cr_expect(strstr(c.kernel->impl, "marlin"), "%s", c.kernel->impl);
    drop();
}

Test(choose, near_lists_the_chosen_first_and_the_prior_last)
{
    struct rl_choice one, near[RL_MAXNEAR];
    load("l40s");
    struct rl_ask a = unseen("gemm", "vllm-0.24.0", NULL, RL_DT_BF16);
    rl_choose_by(&a, &one);
    int n = rl_choose_near(&a, 5, near);
    cr_assert_eq(n, 5);
    cr_expect_eq(near[0].kernel, one.kernel);
    cr_expect_null(near[4].kernel);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            cr_expect_neq(near[i].kernel, near[k].kernel);
    drop();
}

/* On a device without rows the tile table is the stack's own, whatever entry is near. */
Test(choose, known_variants_are_not_carried_over)
{
    static const struct {
        const char *runtime, *impl;
        enum rl_dtype dtype;
        double stack;
    } asked[] = {
        {"sglang-0.5.14", "sglang_sgl_kernel_fp8_scaled_mm", RL_DT_FP8, 7},
        {"vllm-0.24.0", "CutlassFP8ScaledMMLinearKernel", RL_DT_FP8, 8},
        {"trtllm-1.3.0rc20", "torch_flow", RL_DT_BF16, 2},
        {"sglang-0.5.14", "sglang_torch_linear", RL_DT_BF16, 1},
    };
    load("b200-sxm-180gb");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct rl_choice near[RL_MAXNEAR];
        struct rl_ask a = unseen("gemm", asked[i].runtime, asked[i].impl, asked[i].dtype);
        int n = rl_choose_near(&a, RL_MAXNEAR, near);
        int stack = rl_op_ncoefs(a.op) - 1;
        for (int k = 0; k < n; k++)
            expect_near(near[k].coef[stack], asked[i].stack, 0);
        /* the others' kernels are of the same tensor instructions */
        for (int k = 0; k + 1 < n; k++)
            cr_expect_eq(near[k].kernel->cc, 90);
    }
    drop();
}

enum { ROWS = 60, FEW = 8 };

/* Rows of a kernel as somebody could measure them, timed with `coef`. */
static struct rl_sample *rows_by(const double *coef, const struct rl_machine *m)
{
    static struct rl_sample row[ROWS];
    const struct rl_op_type *op = rl_op_find("gemm");
    for (int i = 0; i < ROWS; i++) {
        struct rl_sample *s = &row[i];
        *s = (struct rl_sample){.op = op, .device = "new", .runtime = "r", .impl = "i"};
        s->p[RL_GEMM_M] = 1 << (i % 12);
        s->p[RL_GEMM_N] = 512 << (i % 5);
        s->p[RL_GEMM_K] = 1024 << (i % 3);
        s->p[RL_GEMM_DTYPE] = RL_DT_BF16;
        s->dtype = RL_DT_BF16;
        s->kv_dtype = RL_DT_NONE;
        s->seconds = op->time(s->p, m, coef, NULL);
    }
    return row;
}

/* The device is unlike the entry that the fall-back takes and like another one. */
Test(few, samples_find_the_entry_that_fits)
{
    struct rl_error err = {0};
    struct rl_choice near[RL_MAXNEAR];
    struct rl_machine m;
    struct rl_fit_prior prior;
    int picked[ROWS], count = 0;
    load("rtx-pro-6000-server");
    rl_machine_init(&m, device, 1);
    struct rl_ask a = unseen("gemm", "vllm-0.24.0", NULL, RL_DT_BF16);
    cr_assert_geq(rl_choose_near(&a, 5, near), 4);
    struct rl_sample *row = rows_by(near[3].coef, &m);

    rl_fit_prior_of(a.op, &prior);
    memcpy(prior.center, near[0].coef, sizeof prior.center);
    cr_assert_eq(rl_few_pick(row, ROWS, &m, &prior, FEW, picked, &err), 0);
    const struct rl_sample *train[ROWS];
    for (int i = 0; i < ROWS; i++)
        if (picked[i])
            train[count++] = &row[i];
    cr_expect_eq(count, FEW);
    struct rl_fit_data d = {a.op, &m, train, FEW, NULL, 1};
    struct rl_few few;
    cr_assert_eq(rl_few_fit(&a, &d, &few, &err), 0, "%s", err.text);

    double before = 0, after = 0;
    for (int i = 0; i < ROWS; i++) {
        before +=
            fabs(log(a.op->time(row[i].p, &m, near[0].coef, NULL) / row[i].seconds));
        after += fabs(log(a.op->time(row[i].p, &m, few.fit.coef, NULL) / row[i].seconds));
    }
    cr_expect_lt(after / ROWS, 0.04, "mean log error %.3f, %.3f without samples",
                 after / ROWS, before / ROWS);
    cr_expect_lt(after, 0.5 * before);
    cr_expect(few.lo < 0 && few.hi > 0);
    cr_expect_lt(few.hi - few.lo, near[0].log_hi - near[0].log_lo);
    rl_few_clear(&few);
    drop();
}

/* GEMM on L40S, its rows as the entry of another device says. */
static struct rl_sample *rows_of_l40s(struct rl_ask *a, struct rl_machine *m)
{
    struct rl_choice one;
    load("l40s");
    rl_machine_init(m, device, 1);
    *a = unseen("gemm", "vllm-0.24.0", NULL, RL_DT_BF16);
    rl_choose_by(a, &one);
    return rows_by(one.coef, m);
}

/* What a fit misses of a sample goes to calls of nearly its shape and not to distant
 * ones: of 0.1 · 0.1 + 0.07 · 0.07 a row's own are a third, and an e-fold away in one
 * size exp(-1/2) of the rest is left. */
Test(few, near_calls_share_what_the_fit_misses)
{
    struct rl_error err = {0};
    struct rl_machine m;
    struct rl_few few;
    struct rl_ask a;
    struct rl_sample *row = rows_of_l40s(&a, &m);
    const struct rl_sample *train[] = {&row[0]};
    row[0].seconds /= 5;
    struct rl_fit_data d = {a.op, &m, train, 1, NULL, 1};
    cr_assert_eq(rl_few_fit(&a, &d, &few, &err), 0, "%s", err.text);

    double left = log(row[0].seconds / a.op->time(row[0].p, &m, few.fit.coef, NULL));
    double p[RL_MAXPARAMS];
    memcpy(p, row[0].p, sizeof p);
    double fit = a.op->time(p, &m, few.fit.coef, NULL);
    cr_expect_lt(left, -0.01);
    double shared = left / (1 + 0.07 * 0.07 / (0.1 * 0.1));
    expect_near(log(rl_few_seconds(&few, a.op, p, &m) / fit), shared, 1e-9);
    p[RL_GEMM_N] = (p[RL_GEMM_N] + 1) * exp(1) - 1;
    fit = a.op->time(p, &m, few.fit.coef, NULL);
    expect_near(log(rl_few_seconds(&few, a.op, p, &m) / fit), exp(-0.5) * shared, 1e-9);
    p[RL_GEMM_M] = p[RL_GEMM_N] = p[RL_GEMM_K] = 65536;
    fit = a.op->time(p, &m, few.fit.coef, NULL);
    cr_expect_lt(fabs(log(rl_few_seconds(&few, a.op, p, &m) / fit)), 0.01 * fabs(left));
    rl_few_clear(&few);
    drop();
}

static double no_time(const double *p, const struct rl_machine *m, const double *c,
                      double part[RL_NBOUNDS])
{
    return p[RL_GEMM_M] > 1 ? rl_op_find("gemm")->time(p, m, c, part) : NAN;
}

/* A sample whose time is no number is an error, not a share of NaN for every call. */
Test(few, a_sample_without_a_time_is_an_error)
{
    struct rl_error err = {0};
    struct rl_machine m;
    struct rl_few few;
    struct rl_ask a;
    struct rl_sample *row = rows_of_l40s(&a, &m);
    struct rl_op_type odd = *a.op;
    const struct rl_sample *train[] = {&row[0], &row[1]};
    odd.time = no_time;
    a.op = &odd;
    struct rl_fit_data d = {&odd, &m, train, 2, NULL, 1};
    cr_expect_eq(rl_few_fit(&a, &d, &few, &err), -1);
    cr_expect(strstr(err.text, "gemm: cannot share what the fit leaves of 2 samples"),
              "%s", err.text);
    cr_expect_null(few.miss);
    drop();
}

/* Nothing to learn of the coefficients: what the model misses is shared by shapes that
 * are close, so that each sample stands for the largest crowd not yet seen, a lone corner
 * last. */
Test(few, samples_stand_for_crowds)
{
    struct rl_error err = {0};
    struct rl_machine m;
    struct rl_fit_prior prior;
    int picked[ROWS], crowd[2];
    load("l40s");
    rl_machine_init(&m, device, 1);
    const struct rl_op_type *op = rl_op_find("gemm");
    rl_fit_prior_of(op, &prior);
    for (int i = 0; op->coef[i].name; i++)
        prior.sd[i] *= 1e-9;
    struct rl_sample *row = rows_by(prior.center, &m);
    for (int i = 0; i < ROWS; i++) { /* 40 rows, 19 far from them, one far from all */
        row[i].p[RL_GEMM_M] = i < 40 ? 64 + i : i < ROWS - 1 ? 8192 + i : 1;
        row[i].p[RL_GEMM_N] = i < ROWS - 1 ? 4096 : 65536;
        row[i].p[RL_GEMM_K] = i < ROWS - 1 ? 4096 : 32;
    }
    for (int few = 1; few <= 3; few++) {
        cr_assert_eq(rl_few_pick(row, ROWS, &m, &prior, (size_t)few, picked, &err), 0);
        crowd[0] = crowd[1] = 0;
        for (int i = 0; i < ROWS - 1; i++)
            crowd[i >= 40] += picked[i];
        cr_expect_eq(crowd[0], few > 2 ? 2 : 1, "%d of %d samples", crowd[0], few);
        cr_expect_eq(crowd[1], few > 1);
        cr_expect_eq(picked[ROWS - 1], 0);
    }
    drop();
}

static double slow_of(const char *id, const char *op)
{
    struct rl_choice c;
    load(id);
    struct rl_ask a = unseen(op, "hf-eager", NULL, RL_DT_BF16);
    rl_choose_by(&a, &c);
    drop();
    return c.slow;
}

/* GeForce parts of Ampere, Ada and Blackwell sum in fp32 at half the rate a clock of the
 * workstation parts whose entries they take; kernels of wgmma are not carried so. */
Test(choose, half_the_tensor_rate_and_nothing_else)
{
    expect_near(slow_of("rtx-4090", "gemm"), 2, 0.01);
    expect_near(slow_of("rtx-3090", "attention_prefill"), 2, 0.01);
    expect_near(slow_of("rtx-5090", "gemm"), 2, 0.01);
    expect_near(slow_of("rtx-a6000", "gemm"), 0, 0);
    expect_near(slow_of("jetson-agx-orin-64gb", "gemm"), 0, 0);
    expect_near(slow_of("h100-sxm-80gb", "gemm"), 0, 0);
}

/* A share of the sheet's peak and a clock held above the sheet's are not both counted:
 * at what the entry's device sustains, the other sustains its own measured rate. */
Test(choose, the_clock_held_counts_once)
{
    struct rl_machine m;
    struct rl_choice c;
    load("rtx-3090");
    rl_machine_init(&m, device, 1);
    struct rl_ask a = unseen("gemm", "vllm-0.24.0", NULL, RL_DT_BF16);
    rl_choose_by(&a, &c);
    cr_assert(c.kernel && !strcmp(c.kernel->device, "l40s"));
    cr_assert_gt(m.peak[RL_BF16], 1.05 * m.light[RL_BF16]);
    for (int i = 0; a.op->coef[i].name; i++)
        if (a.op->coef[i].kind == RL_C_PEAK)
            expect_near(c.coef[i] * m.peak[RL_BF16] / m.rate[RL_BF16],
                        c.kernel->coef[i] / c.kernel->sustained, 1e-9);
    drop();
}

/* FLOP/s of one large call on a device that nothing was measured on. */
static double rate_of(const char *id, const char *op, const char *params)
{
    struct rl_error err = {0};
    struct rl_machine m;
    struct rl_choice c;
    struct rl_work w = {0};
    double p[RL_MAXPARAMS];
    enum rl_dtype dtype, kv;

    load(id);
    rl_machine_init(&m, device, 1);
    struct rl_ask a = unseen(op, "vllm-0.24.0", NULL, RL_DT_BF16);
    cr_assert(!rl_op_parse(a.op, params, p, &err), "%s", err.text);
    rl_op_dtypes(a.op, p, &dtype, &kv);
    a.dtype = dtype;
    rl_choose_by(&a, &c);
    a.op->work(p, &w);
    double rate = w.flop / rl_op_seconds(a.op, p, &m, &c, NULL);
    drop();
    return rate;
}

/* TFLOP/s of a torch matmul (at full rate its upper end), or of the sheet at the clock
 * held, where half-rate tensor units say nothing of a unit. */
Test(choose, no_unit_goes_beyond_its_rate)
{
    static const char moe[] = "tokens=65536 hidden=4096 inter=14336 experts=8 topk=2 ";
    static const char gemm[] = "m=8192 n=8192 k=8192 ";
    static const struct {
        const char *device, *op, *shape, *dtype;
        double most;
    } row[] = {{"rtx-3090", "moe", moe, "bf16", 76.34},
               {"rtx-3090", "gemm", gemm, "bf16", 76.34},
               {"rtx-3080-10gb", "moe", moe, "bf16", 64.68},
               {"rtx-4090", "moe", moe, "bf16", 167.5},
               {"rtx-a6000", "gemm", gemm, "bf16", 1.04 * 123.34},
               {"a10", "gemm", gemm, "bf16", 0.8 * 125}, /* 150 W: hwdb/priors.csv */
               {"rtx-3090", "gemm", gemm, "int8", 284.7 * 1855 / 1695},
               {"rtx-3080-10gb", "gemm", gemm, "int8", 238.1 * 1896 / 1710},
               {"rtx-3090", "gemm", gemm, "fp32", 35.6 * 1855 / 1695},
               {"rtx-5090", "gemm", gemm, "fp32", 104.8 * 2814 / 2407}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char params[128];
        snprintf(params, sizeof params, "%sdtype=%s", row[i].shape, row[i].dtype);
        double rate = 1e-12 * rate_of(row[i].device, row[i].op, params);
        cr_expect(rate <= 1.001 * row[i].most && rate > 0.5 * row[i].most,
                  "%s %s %s: %.1f TFLOP/s of %.1f", row[i].device, row[i].op,
                  row[i].dtype, rate, row[i].most);
    }
}

static double device_sd(const char *id, const char *of)
{
    struct rl_choice c;
    load(id);
    struct rl_ask a = unseen("gemm", "vllm-0.24.0", NULL, RL_DT_BF16);
    rl_choose_by(&a, &c);
    cr_assert(c.kernel && !strcmp(c.kernel->device, of), "%s takes %s", id,
              c.kernel ? c.kernel->device : "the prior");
    double own = c.kernel->hi, all = c.log_hi;
    drop();
    return sqrt(all * all - own * own) / 1.645;
}

/* Another memory on the same chip is a version apart, another power limit or another
 * chip is a device apart. */
Test(choose, the_same_die_is_a_version_apart)
{
    double other = device_sd("h100-pcie-80gb", "h100-sxm-80gb");

    cr_expect_lt(device_sd("h200-sxm-141gb", "h100-sxm-80gb"), 0.75 * other);
    cr_expect_lt(device_sd("gh200-96gb", "h100-sxm-80gb"), 0.75 * other);
    cr_expect_lt(device_sd("a100-pcie-40gb", "a100-sxm-80gb"), 0.75 * other);
    expect_near(device_sd("h200-nvl-141gb", "h100-sxm-80gb"), other, 0.01);
    expect_near(device_sd("b100-sxm-192gb", "b200-sxm-180gb"), other, 0.01);
}

/* No sample: the fall-back as it is. */
Test(few, none)
{
    struct rl_error err = {0};
    struct rl_choice one;
    struct rl_few few;
    struct rl_machine m;
    load("l40s");
    rl_machine_init(&m, device, 1);
    struct rl_ask a = unseen("gemm", "vllm-0.24.0", NULL, RL_DT_BF16);
    struct rl_fit_data d = {a.op, &m, NULL, 0, NULL, 1};
    rl_choose_by(&a, &one);
    cr_assert_eq(rl_few_fit(&a, &d, &few, &err), 0);
    for (int i = 0; a.op->coef[i].name; i++)
        expect_near(few.fit.coef[i], one.coef[i], 0);
    expect_near(few.lo, one.log_lo, 0);
    expect_near(few.hi, one.log_hi, 0);
    expect_near(rl_few_seconds(&few, a.op, rows_by(one.coef, &m)->p, &m),
                a.op->time(rows_by(one.coef, &m)->p, &m, one.coef, NULL), 1e-12);
    rl_few_clear(&few);
    drop();
}
