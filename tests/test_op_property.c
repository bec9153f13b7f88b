/* Over random shapes of every operator: counts are finite and not negative, and
 * more tokens, sequences or context never mean less work. */
#include "op_test.h"

#include <stdio.h>

static double pick(double lo, double hi)
{
    return floor(lo * pow(hi / lo, rand() / (double)RAND_MAX));
}

/* Formats a call may hold: weights any, activations and states plain ones. */
static double pick_dtype(const char *op, const char *name)
{
    static const enum rl_dtype plain[] = {RL_DT_FP32, RL_DT_BF16, RL_DT_FP16, RL_DT_FP8};
    static const enum rl_dtype weight[] = {RL_DT_BF16, RL_DT_FP8_BLOCK, RL_DT_W4A16,
                                           RL_DT_NVFP4, RL_DT_Q4_K_M};
    bool weights = !strcmp(name, "dtype") && (!strcmp(op, "gemm") || !strcmp(op, "moe"));

    return weights ? weight[rand() % 5] : plain[rand() % 4];
}

static void fill(const struct rl_op_type *op, double *p)
{
    rl_op_defaults(op, p);
    for (int i = 0; op->param[i].name; i++) {
        const struct rl_param *par = &op->param[i];
        if (par->kind == RL_P_DTYPE)
            p[i] = pick_dtype(op->name, par->name);
        else if (isnan(par->fallback))
            p[i] = pick(1, 512);
    }
    rl_op_finish(op, p);
}

static void set(const struct rl_op_type *op, double *p, const char *name, double v)
{
    int i = rl_op_param(op, name);

    if (i >= 0)
        p[i] = v;
}

static double get(const struct rl_op_type *op, const double *p, const char *name)
{
    int i = rl_op_param(op, name);

    return i >= 0 ? p[i] : 0;
}

/* A valid random call. */
static void random_call(const struct rl_op_type *op, double *p)
{
    struct rl_error err = {0};

    fill(op, p);
    set(op, p, "kv_len", get(op, p, "q_len") + pick(1, 4096) - 1);
    set(op, p, "heads", get(op, p, "kv_heads") * pick(1, 8));
    set(op, p, "v_heads", get(op, p, "k_heads") * pick(1, 4));
    if (rl_op_param(op, "window") >= 0 && rand() % 2)
        set(op, p, "window", pick(1, 1024));
    if (rl_op_param(op, "kv_heads") < 0)
        set(op, p, "heads", pick(1, 64));
    if (rl_op_param(op, "experts") >= 0) {
        static const double routings[] = {RL_ROUTING_UNIFORM, 0, 1.2};
        set(op, p, "experts", get(op, p, "topk") + pick(1, 512));
        set(op, p, "routing", routings[rand() % 3]);
    }
    cr_assert_eq(rl_op_check(op, p, &err), 0, "%s", err.text);
}

static const size_t fields[] = {
    offsetof(struct rl_work, flop),      offsetof(struct rl_work, vector_flop),
    offsetof(struct rl_work, sfu),       offsetof(struct rl_work, weight_bytes),
    offsetof(struct rl_work, act_bytes), offsetof(struct rl_work, cache_bytes),
    offsetof(struct rl_work, l2_bytes),  offsetof(struct rl_work, link_bytes),
    offsetof(struct rl_work, serial),
};

static double field(const struct rl_work *w, size_t i)
{
    double v;

    memcpy(&v, (const char *)w + fields[i], sizeof v);
    return v;
}

static void expect_no_less(const struct rl_op_type *op, const double *p,
                           const struct rl_work *w, const double *grown, const char *what)
{
    struct rl_work more = {0};
    char buf[400];

    op->work(grown, &more);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        cr_expect_geq(field(&more, i), field(w, i) * (1 - 1e-12),
                      "%s %s: more %s, count %zu falls", op->name,
                      rl_op_format(op, p, buf, sizeof buf), what, i);
}

static void one_trial(const struct rl_op_type *op)
{
    static const char *const grow[] = {"batch", "seq_len", "kv_len", "tokens", "rows",
                                       "m",     "bytes",   "n",      "k",      "width"};
    double p[RL_MAXPARAMS], grown[RL_MAXPARAMS];
    struct rl_work w = {0};

    random_call(op, p);
    op->work(p, &w);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        cr_expect(isfinite(field(&w, i)) && field(&w, i) >= 0, "%s", op->name);
    cr_expect_geq(w.parallel, op->cls == RL_CLS_COMM ? 0.0 : 1.0, "%s", op->name);
    cr_expect_gt(w.launches, 0.0, "%s", op->name);
    for (size_t i = 0; i < sizeof grow / sizeof *grow; i++) {
        if (rl_op_param(op, grow[i]) < 0)
            continue;
        memcpy(grown, p, sizeof p);
        set(op, grown, grow[i], get(op, p, grow[i]) + pick(1, 300));
        expect_no_less(op, p, &w, grown, grow[i]);
    }
}

Test(op_property, more_is_never_less)
{
    srand(7);
    for (int i = 0; rl_op_types[i]; i++)
        for (int trial = 0; trial < 300; trial++)
            one_trial(rl_op_types[i]);
}

/* Twice the sequences are twice the activations, cache and FLOP of every
 * operator that has a batch. */
Test(op_property, batch_is_linear)
{
    srand(8);
    for (int i = 0; rl_op_types[i]; i++) {
        const struct rl_op_type *op = rl_op_types[i];
        double p[RL_MAXPARAMS];
        struct rl_work one = {0}, two = {0};

        if (rl_op_param(op, "batch") < 0)
            continue;
        random_call(op, p);
        op->work(p, &one);
        set(op, p, "batch", 2 * get(op, p, "batch"));
        op->work(p, &two);
        expect_near(two.flop, 2 * one.flop, 1e-12);
        expect_near(two.vector_flop, 2 * one.vector_flop, 1e-12);
        expect_near(two.act_bytes, 2 * one.act_bytes, 1e-12);
        expect_near(two.cache_bytes, 2 * one.cache_bytes, 1e-12);
        cr_expect_eq(two.weight_bytes, one.weight_bytes, "%s", op->name);
    }
}
