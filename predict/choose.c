/* Which coefficients a kernel model gets: the fall-back from the kernel's own
 * entry to a sister on the same device, to the same implementation on the
 * nearest architecture, to the operator's prior.
 *
 * Every candidate entry has a distance from what was asked; the nearest wins,
 * and the interval widens with the distance.  Coefficients are dimensionless
 * or in µs, so that carrying one over to another device rescales it with that
 * device's ceilings.
 */
#include "choose_distance.h"
#include "gemm_tiles.h"
#include "ops.h"
#include "time.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Beyond this distance the prior is the better guess. */
static const double D_MAX = 1000;

/* Log standard deviation that a step adds to the entry's own residual: another
 * version or runtime here; another device, per step of architecture, and of what
 * the operator's prior spreads by.  Another implementation on another device says
 * little more than the prior does.  Set on devices left out in turn. */
static const double SD_SISTER = 0.10, SD_RUNTIME = 0.15, SD_DEVICE = 0.18,
                    SD_PER_ARCH = 0.08, SD_DTYPE = 0.3, SD_FORMAT = 0.55,
                    OF_PRIOR_SAME = 0.1, OF_PRIOR_OTHER = 0.9;

/* Variance that an entry's residuals have in common: between the values of m (of
 * kv_len), 4 to 43 % in 23 entries of GEMM and attention on A100 and H100, median
 * 13.  The rest is each shape's own, so that it averages out over a model. */
static const double COMMON_VARIANCE = 0.13;

/* The variants of what is asked for, where they are known without its rows. */
static void use_known(const struct rl_ask *a, double *coef)
{
    const struct rl_op_type *op = a->op;
    for (int i = 0; op->coef && op->coef[i].name; i++) {
        double known = rl_op_known(op, a->runtime, a->impl, a->dtype, i);
        if (!isnan(known))
            coef[i] = known;
    }
}

static void use_prior(const struct rl_ask *a, struct rl_choice *out)
{
    const struct rl_op_type *op = a->op;
    out->kernel = NULL;
    out->trust = RL_TRUST_PRIOR;
    for (int i = 0; op->coef && op->coef[i].name; i++)
        out->coef[i] = op->coef[i].prior;
    use_known(a, out->coef);
    out->log_lo = -RL_Z90 * op->log_sd;
    out->log_hi = RL_Z90 * op->log_sd;
    out->share = 1;
}

/* Widens the entry's own residual quantiles by the step's spread, which is wrong
 * the same way for every call. */
static void widen(struct rl_choice *out, double sd)
{
    double w = RL_Z90 * sd, half = 0.5 * (out->log_hi - out->log_lo);

    out->log_lo = -hypot(out->log_lo, w);
    out->log_hi = hypot(out->log_hi, w);
    out->spread.power = 0; /* what the step adds is the same for short and long calls */
    out->share = hypot(out->share * half, w) / hypot(half, w);
}

/* Another architecture's library makes choices of its own.  Where the kernel's
 * latencies are most of what an entry says (collectives, experts), half an entry
 * one generation away and half the prior came nearer than either: 27 against
 * 17 % for collectives of a device left out. */
static void draw_to_prior(const struct rl_kernel *k, double far, double *coef)
{
    const struct rl_op_type *op = k->op;
    if (op->cls != RL_CLS_COMM && op->cls != RL_CLS_MOE)
        return;
    const struct rl_place *at = rl_place_of(k->cc);
    double keep = 1 / (1 + far);
    if (op->cls == RL_CLS_COMM)
        keep = at && !at->hbm ? 1 : keep * keep; /* GDDR parts: the host's bus */
    for (int i = 0; op->coef[i].name; i++) {
        const struct rl_coef *c = &op->coef[i];
        if (rl_coef_is_log(c))
            coef[i] = c->prior * pow(coef[i] / c->prior, keep);
        else if (c->kind == RL_C_LINEAR)
            coef[i] = c->prior + keep * (coef[i] - c->prior);
    }
}

/* Half the tensor rate of the entry's device a clock and SM, as GeForce parts have with
 * fp32 sums, is half of nothing else: `slow` of the machine.  For mma.sync, whose kernels
 * are the same on both. */
static double tensor_ratio(const struct rl_kernel *k, const struct rl_device *d)
{
    double clocks = d->sm_count * d->tensor_hz, its = d->peak[RL_BF16].v;

    if (!(k->tensor > 0 && clocks > 0 && its > 0) || rl_gemm_fine(k->cc) ||
        rl_gemm_fine(d->cc))
        return 0;
    double ratio = k->tensor * clocks / its;
    return ratio > 1.1 ? ratio : 0; /* sheets round their clocks */
}

/* What the device sustains of its bf16 peak at the clock held, over the same of the
 * entry's; 1: one of the two is unknown.  Power that half-rate units leave is nothing
 * that integers or vectors, which run at full rate, gain. */
static double relief(const struct rl_kernel *k, const struct rl_device *d, double slow,
                     enum rl_dtype dt)
{
    const struct rl_value *rate = &d->rate[RL_BF16], *peak = &d->peak[RL_BF16];
    double held = d->boost_hz > 0 ? d->held_hz / d->boost_hz : 1;

    if (!(k->sustained > 0 && rate->kind >= RL_KIND_DERIVED && peak->v > 0))
        return 1;
    double more = rate->v / (peak->v * held) / k->sustained;
    return slow > 1 && !rl_is_summed(rl_dtype(dt)->unit) ? fmin(more, 1) : more;
}

/* RL_C_PEAK is a share of the peak, but what a part sustains of its own differs: 74 % on
 * an L40S that its power holds back, all of it on a GeForce of the same generation at
 * half the rate.  Carried over, it scales with that (relief).  RL_C_DRAM
 * hardly differs between parts as a share of the sheet (GEMV reads 0.82 to 0.85 on
 * the five measured ones), but no kernel reads faster than the part does.  Tensor units
 * of another rate a clock are told to the kernel's model (tensor_ratio). */
static void rescale(const struct rl_kernel *k, const struct rl_ask *a,
                    struct rl_choice *out)
{
    const struct rl_device *d = a->d;
    bool read = d->dram.kind >= RL_KIND_BURST && d->dram_peak.v > 0;

    out->slow = tensor_ratio(k, d);
    double more = relief(k, d, out->slow, a->dtype);
    for (int i = 0; k->op->coef[i].name; i++) {
        enum rl_coef_kind kind = k->op->coef[i].kind;
        if (kind == RL_C_PEAK)
            out->coef[i] *= more;
        if (read && kind == RL_C_DRAM)
            out->coef[i] = fmin(out->coef[i], d->dram.v / d->dram_peak.v);
    }
}

/* One kernel and one rate: bf16 and fp16. */
static bool same_format(enum rl_dtype a, enum rl_dtype b)
{
    bool halves =
        (a == RL_DT_BF16 || a == RL_DT_FP16) && (b == RL_DT_BF16 || b == RL_DT_FP16);
    return a == b || halves;
}

/* GEMM of fp8 with block scales, of int8 and of packed weights: each stack has another
 * kernel on every architecture, where cuBLAS and Cutlass serve the others. */
static bool is_own_kernel(const struct rl_op_type *op, enum rl_dtype dt)
{
    return op->cls == RL_CLS_GEMM &&
           (dt == RL_DT_FP8_BLOCK || rl_dtype(dt)->unit == RL_INT8 ||
            rl_dtype(dt)->weight_only);
}

/* The same silicon at the same rate with another memory, as an A100 of 40 GB or a GH200:
 * whole runs there with the kernels of an A100 of 80 GB err by 6.9 % rms (104 of vLLM and
 * TensorRT-LLM), a version apart rather than a device. */
static bool same_die(const struct rl_kernel *k, const struct rl_device *d)
{
    double peak = d->peak[RL_BF16].v;
    bool chip = k->cc != 0 && k->cc == d->cc && k->sms == d->sm_count && d->arch &&
                *k->arch && !strncmp(k->arch, d->arch, sizeof k->arch - 1);
    return chip && fabs(k->peak - peak) < 0.02 * peak; /* sheets round */
}

/* The spread that carrying entry k over to another device adds. */
static double carried_sd(const struct rl_kernel *k, const struct rl_ask *a)
{
    double device = same_die(k, a->d)
                        ? SD_SISTER
                        : SD_DEVICE + SD_PER_ARCH * rl_steps_between(k, a->d);
    bool same = !a->impl || !strcmp(a->impl, k->impl);
    double prior = (same ? OF_PRIOR_SAME : OF_PRIOR_OTHER) * k->op->log_sd;
    double dtype = same_format(k->dtype, a->dtype) ? 0 : SD_DTYPE;
    double format = is_own_kernel(k->op, a->dtype) ? SD_FORMAT : 0;
    return sqrt(device * device + prior * prior + dtype * dtype + format * format);
}

static void use_entry(const struct rl_kernel *k, double dist, const struct rl_ask *a,
                      struct rl_choice *out)
{
    out->kernel = k;
    memcpy(out->coef, k->coef, sizeof out->coef);
    out->log_lo = k->lo;
    out->log_hi = k->hi;
    out->spread = k->spread;
    out->share = sqrt(COMMON_VARIANCE);
    bool here = !strcmp(k->device, a->d->id);
    out->trust =
        !here ? RL_TRUST_ARCH : (dist < RL_D_VERSION ? RL_TRUST_ENTRY : RL_TRUST_SISTER);
    if (here && dist >= RL_D_VERSION) {
        double format = same_format(k->dtype, a->dtype)  ? 0
                        : is_own_kernel(k->op, a->dtype) ? SD_FORMAT
                                                         : SD_DTYPE;
        widen(out, hypot(dist < RL_D_LIBRARY ? SD_SISTER : SD_RUNTIME, format));
    }
    if (!here) {
        rescale(k, a, out);
        draw_to_prior(k, (dist - RL_D_DEVICE) / RL_D_ARCH, out->coef);
        use_known(a, out->coef);
        widen(out, carried_sd(k, a));
    }
}

struct near {
    const struct rl_kernel *k;
    double dist;
};

/* Among equals the one with most rows is the stack's usual kernel. */
static bool nearer(const struct near *a, const struct near *b)
{
    if (a->dist < b->dist || a->dist > b->dist)
        return a->dist < b->dist;
    return a->k->n > b->k->n;
}

/* How a decode splits its cache and appends is each library's own: another's kernel on
 * another device is off by more than the prior (B200 left out: 30 %, 15 by the prior). */
static bool says_less_than_prior(const struct rl_kernel *k, const struct rl_ask *a)
{
    return k->op == &rl_op_attention_decode && strcmp(k->device, a->d->id) != 0 &&
           rl_impl_distance(k, a->impl) >= RL_D_IMPL;
}

/* The entries nearest to what is asked, at most `most`, nearest first. */
static int nearest(const struct rl_ask *a, int most, struct near *out)
{
    int n = 0;
    for (int i = 0; i < rl_kernel_db_count(a->db); i++) {
        const struct rl_kernel *k = rl_kernel_db_at(a->db, i);
        if (k->op != a->op || (a->without && !strcmp(k->device, a->d->id)))
            continue;
        struct near it = {k, rl_entry_distance(k, a)};
        if (!(it.dist < D_MAX) || says_less_than_prior(k, a) ||
            (n == most && !nearer(&it, &out[n - 1])))
            continue;
        int at = n < most ? n++ : n - 1;
        for (; at > 0 && nearer(&it, &out[at - 1]); at--)
            out[at] = out[at - 1];
        out[at] = it;
    }
    return n;
}

void rl_choose_by(const struct rl_ask *a, struct rl_choice *out)
{
    struct near best;
    memset(out, 0, sizeof *out);
    use_prior(a, out);
    if (nearest(a, 1, &best))
        use_entry(best.k, best.dist, a, out);
}

/* A GEMM of the other tensor instructions, wgmma for mma.sync, explains a few samples
 * by chance: it goes, unless it is the nearest itself.  Returns how many are left. */
static int of_one_kind(const struct rl_ask *a, struct near *it, int n)
{
    const struct rl_place *at = rl_place_of(a->d->cc);
    if (a->op->cls != RL_CLS_GEMM || !at)
        return n;
    int left = 0;
    for (int i = 0; i < n; i++) {
        const struct rl_place *its = rl_place_of(it[i].k->cc);
        if (i == 0 || (its && (its->unit > 1) == (at->unit > 1)))
            it[left++] = it[i];
    }
    return left;
}

int rl_choose_near(const struct rl_ask *a, int most, struct rl_choice *out)
{
    struct near best[RL_MAXNEAR];
    int n = nearest(a, most < RL_MAXNEAR ? most - 1 : RL_MAXNEAR - 1, best);
    n = of_one_kind(a, best, n);
    memset(out, 0, (size_t)(n + 1) * sizeof *out);
    for (int i = 0; i < n; i++)
        use_entry(best[i].k, best[i].dist, a, &out[i]);
    use_prior(a, &out[n]);
    return n + 1;
}

void rl_choose(const struct rl_kernel_db *db, const struct rl_device *d,
               const struct rl_runtime *r, const struct rl_op_type *op, const char *impl,
               enum rl_dtype dtype, enum rl_dtype kv_dtype, struct rl_choice *out)
{
    if (!impl && r) {
        char key[64];
        snprintf(key, sizeof key, "impl.%s", op->name);
        impl = rl_runtime_str(r, key, NULL);
    }
    struct rl_ask a = {db, d, r ? r->name : NULL, impl, op, dtype, kv_dtype, false};
    rl_choose_by(&a, out);
}
