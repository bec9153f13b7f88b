/* Kernel models of scans, state updates and convolutions: what must hold for any
 * coefficients within their bounds, and limits that can be worked out by hand. */
#include "op_test.h"

#include "time.h"

#include <string.h>

static const char *const ops[] = {
    "gdn_scan", "gdn_update",   "kda_scan",       "kda_update",
    "ssd_scan", "ssd_update",   "selective_scan", "selective_state_update",
    "conv1d",   "conv1d_update"};
enum { NOPS = sizeof ops / sizeof *ops };

/* A device of round numbers: 100 SMs at 1 GHz, 1 TB/s, 4 TB/s of L2, 32 MB. */
static struct rl_machine machine(void)
{
    struct rl_machine m = {.sm = 100,
                           .clock_hz = 1e9,
                           .dram_peak = 1e12,
                           .dram = 1e12,
                           .l2_bw = 4e12,
                           .l2_bytes = 32e6,
                           .sfu = 1.6e12,
                           .warm = 1};
    for (int i = 0; i < RL_NUNITS; i++)
        m.peak[i] = m.rate[i] = 1e14;
    return m;
}

static void call(const struct rl_op_type *op, double batch, double len, double *p)
{
    rl_op_defaults(op, p);
    for (int i = 0; op->param[i].name; i++) {
        const char *name = op->param[i].name;
        if (!strcmp(name, "batch"))
            p[i] = batch;
        else if (!strcmp(name, "seq_len"))
            p[i] = len;
        else if (!strcmp(name, "dtype"))
            p[i] = RL_DT_BF16;
        else if (isnan(p[i]))
            p[i] = !strcmp(name, "channels") ? 2048 : !strcmp(name, "state") ? 64 : 16;
    }
    rl_op_finish(op, p);
}

static void priors(const struct rl_op_type *op, double *c)
{
    for (int i = 0; op->coef[i].name; i++)
        c[i] = op->coef[i].prior;
}

/* Coefficients anywhere within their bounds. */
static void draw(const struct rl_op_type *op, double *c)
{
    for (int i = 0; op->coef[i].name; i++) {
        const struct rl_coef *k = &op->coef[i];
        double u = rand() / (double)RAND_MAX;
        if (k->kind == RL_C_CHOICE)
            c[i] = rand() % ((int)k->max + 1);
        else
            c[i] = k->min * pow(k->max / k->min, u);
    }
}

static double coef_of(const struct rl_op_type *op, const double *c, const char *name)
{
    for (int i = 0; op->coef[i].name; i++)
        if (!strcmp(op->coef[i].name, name))
            return c[i];
    cr_assert(0, "%s has no coefficient %s", op->name, name);
    return 0;
}

static void put(const struct rl_op_type *op, double *c, const char *name, double v)
{
    for (int i = 0; op->coef[i].name; i++)
        if (!strcmp(op->coef[i].name, name))
            c[i] = v;
}

static double seconds(const struct rl_op_type *op, double batch, double len,
                      const struct rl_machine *m, const double *c)
{
    double p[RL_MAXPARAMS];
    call(op, batch, len, p);
    return op->time(p, m, c, NULL);
}

Test(kern_scan, finite_and_growing)
{
    struct rl_machine m = machine();
    srand(11);
    for (int i = 0; i < NOPS; i++) {
        const struct rl_op_type *op = rl_op_find(ops[i]);
        for (int n = 0; n < 300; n++) {
            double c[RL_MAXCOEFS], batch = 1 + rand() % 300;
            double len = 256 * (1 + rand() % 40); /* whole chunks of all of them */
            draw(op, c);
            m.warm = n % 2;
            double t = seconds(op, batch, len, &m, c);
            cr_expect(isfinite(t) && t > 0, "%s", ops[i]);
            cr_expect_geq(seconds(op, batch + 1, len, &m, c), t * (1 - 1e-12),
                          "%s, a sequence more than %g", ops[i], batch);
            cr_expect_geq(seconds(op, batch, len + 256, &m, c), t * (1 - 1e-12),
                          "%s, longer than %g", ops[i], len);
        }
    }
}

/* Token by token, where no kernel has another path for broken chunks. */
Test(kern_scan, grows_with_every_token)
{
    static const char *const smooth[] = {"gdn_scan", "gdn_update",    "ssd_update",
                                         "conv1d",   "conv1d_update", "selective_scan"};
    struct rl_machine m = machine();
    for (size_t i = 0; i < sizeof smooth / sizeof *smooth; i++) {
        const struct rl_op_type *op = rl_op_find(smooth[i]);
        double c[RL_MAXCOEFS], last = 0;
        priors(op, c);
        for (int len = 1; len < 400; len++) {
            double t = seconds(op, 4, len, &m, c);
            cr_expect_geq(t, last * (1 - 1e-12), "%s at %d tokens", smooth[i], len);
            last = t;
        }
    }
}

Test(kern_scan, cold_is_not_faster)
{
    struct rl_machine warm = machine(), cold = machine();
    cold.warm = 0;
    for (int i = 0; i < NOPS; i++) {
        const struct rl_op_type *op = rl_op_find(ops[i]);
        double c[RL_MAXCOEFS];
        priors(op, c);
        for (double b = 1; b < 1000; b *= 4)
            cr_expect_geq(seconds(op, b, 1, &cold, c),
                          seconds(op, b, 1, &warm, c) * (1 - 1e-12), "%s", ops[i]);
    }
}

/* Many sequences: an update is its state in and out at the DRAM rate.
 * 16 heads of 16 × 16 entries of 4 bytes, read and written: 32768 B. */
Test(kern_scan, updates_end_at_dram)
{
    const struct rl_op_type *op = rl_op_find("gdn_update");
    struct rl_machine m = machine();
    double c[RL_MAXCOEFS], b = 1 << 20;
    priors(op, c);
    put(op, c, "join", 8);
    double dram = b * 32768.0 / (1e12 * coef_of(op, c, "dram"));
    double t = seconds(op, b, 1, &m, c);
    cr_expect_gt(t, dram);
    cr_expect_lt(t, 1.15 * dram); /* activations: 7 % of the state here */
}

/* A set inside L2 goes at what the SMs issue, one outside is held up by DRAM too. */
Test(kern_scan, convolution_in_and_out_of_l2)
{
    const struct rl_op_type *op = rl_op_find("conv1d");
    struct rl_machine m = machine();
    double c[RL_MAXCOEFS];
    priors(op, c);
    put(op, c, "edge", 20);
    /* 2048 channels: 8192 B a token, in and out */
    double in = seconds(op, 1, 2048, &m, c) - seconds(op, 1, 1024, &m, c);
    double out = seconds(op, 1, 65536, &m, c) - seconds(op, 1, 64512, &m, c);
    double per = 1024 * 8192.0;
    double issue = per / (coef_of(op, c, "issue") * m.sm * m.clock_hz);
    double dram = per / (1e12 * coef_of(op, c, "dram"));
    expect_near(out, cbrt(pow(issue, 3) + pow(dram, 3)), 0.02);
    cr_expect_lt(in, 1.05 * issue);
    m.l2_bw *= 4; /* whatever the L2 could do */
    expect_near(seconds(op, 1, 2048, &m, c) - seconds(op, 1, 1024, &m, c), in, 1e-9);
}

/* A call of SSD by the one kernel: part, tile and stack allow it. */
static void fused(double heads, double len, struct rl_machine *m, double *c, double *p)
{
    const struct rl_op_type *op = rl_op_find("ssd_scan");
    m->cc = 100;
    priors(op, c);
    put(op, c, "form", 1);
    put(op, c, "join", 8);
    call(op, 1, len, p);
    p[RL_SSD_HEADS] = heads;
    p[RL_SSD_GROUPS] = 1;
    p[RL_SSD_HEAD_DIM] = 64;
    p[RL_SSD_STATE] = p[RL_SSD_CHUNK] = 128;
}

/* One CTA per head, 100 SMs: 100 heads are one wave, 101 are two.  A chunk's tiles
 * 128 × 64 × 128 (three of four; C·Bᵀ 128 × 128 × 128) are 10.5 MFLOP. */
Test(kern_scan, whole_waves)
{
    const struct rl_op_type *op = rl_op_find("ssd_scan");
    struct rl_machine m = machine();
    double c[RL_MAXCOEFS], p[RL_MAXPARAMS], flop = 2.0 * 128 * (3 * 64 * 128 + 128 * 128);
    fused(100, 12800, &m, c, p); /* 100 chunks */
    double one = op->time(p, &m, c, NULL);
    double steps = 100 * flop * (1 / (coef_of(op, c, "rate") * 1e9) + 100 / 1e14);
    cr_expect_gt(one, steps);
    p[RL_SSD_HEADS] = 101;
    expect_near(op->time(p, &m, c, NULL) - one, steps, 0.03);
    p[RL_SSD_HEADS] = 1; /* alone on its SM it is no faster */
    cr_expect_gt(op->time(p, &m, c, NULL), steps);
}

/* Where part or tile do not allow it the five kernels run, on every SM at once. */
Test(kern_scan, one_kernel_where_it_can_be)
{
    const struct rl_op_type *op = rl_op_find("ssd_scan");
    struct rl_machine m = machine(), hopper;
    double c[RL_MAXCOEFS], five[RL_MAXCOEFS], p[RL_MAXPARAMS];
    fused(8, 12800, &m, c, p);
    memcpy(five, c, sizeof five);
    put(op, five, "form", 0);
    cr_expect_gt(op->time(p, &m, c, NULL), 2 * op->time(p, &m, five, NULL));
    hopper = m;
    hopper.cc = 90;
    expect_near(op->time(p, &hopper, c, NULL), op->time(p, &hopper, five, NULL), 1e-12);
    p[RL_SSD_HEAD_DIM] = 80;
    expect_near(op->time(p, &m, c, NULL), op->time(p, &m, five, NULL), 1e-12);
}

/* A token more than whole chunks: padded by launches and bytes of x, B, C and Δ (16 bits,
 * 64 heads of 64 + 1 and 2 of 128: 8832 B a token), filled once, copied in and out. */
Test(kern_scan, broken_chunks_are_padded)
{
    const struct rl_op_type *op = rl_op_find("ssd_scan");
    struct rl_machine m = machine();
    double c[RL_MAXCOEFS], p[RL_MAXPARAMS];
    fused(64, 128, &m, c, p);
    put(op, c, "row", 1e-9);
    m.l2_bw = 1e18;
    m.l2_bytes = 0; /* DRAM alone */
    double whole = op->time(p, &m, c, NULL);
    p[RL_SSD_SEQ_LEN] = 127;
    double bytes = (64.0 * 65 + 2 * 128) * 2 * (128 + 2 * 127);
    double pad =
        coef_of(op, c, "ragged") * 1e-6 + bytes / (coef_of(op, c, "dram") * 1e12);
    expect_near(op->time(p, &m, c, NULL) - whole, pad, 0.01);
}

/* Mamba-1 on idle lanes: 2049 tokens cost a second block of 2048. */
Test(kern_scan, selective_scan_fills_blocks)
{
    const struct rl_op_type *op = rl_op_find("selective_scan");
    struct rl_machine m = machine();
    double c[RL_MAXCOEFS];
    m.dram_peak = m.l2_bw = 1e16; /* arithmetic alone */
    priors(op, c);
    double fixed = coef_of(op, c, "fixed") * 1e-6;
    double a = seconds(op, 1, 2048, &m, c) - fixed;
    double b = seconds(op, 1, 2049, &m, c) - fixed;
    expect_near(b, 2 * a, 1e-6);
    expect_near(seconds(op, 1, 4096, &m, c) - fixed, b, 1e-6);
}

/* No coefficient beats the peak. */
Test(kern_scan, products_within_the_peak)
{
    const struct rl_op_type *op = rl_op_find("ssd_scan");
    struct rl_machine m = machine();
    double c[RL_MAXCOEFS], p[RL_MAXPARAMS];
    struct rl_work w = {0};
    srand(5);
    call(op, 16, 8192, p);
    p[RL_SSD_STATE] = 1024; /* products above all */
    op->work(p, &w);
    for (int n = 0; n < 300; n++) {
        draw(op, c);
        cr_expect_gt(op->time(p, &m, c, NULL), w.flop / m.peak[w.unit]);
    }
}

/* The parts name what binds. */
Test(kern_scan, bounds_are_named)
{
    const struct rl_op_type *op = rl_op_find("kda_update");
    struct rl_machine m = machine();
    double c[RL_MAXCOEFS], p[RL_MAXPARAMS], part[RL_NBOUNDS] = {0};
    priors(op, c);
    call(op, 1, 1, p);
    op->time(p, &m, c, part);
    cr_expect_eq(rl_part_bound(part), RL_B_LAUNCH);
    call(op, 1 << 18, 1, p);
    op->time(p, &m, c, part);
    cr_expect_eq(rl_part_bound(part), RL_B_MEMORY);
}
