/* Which coefficients a kernel model gets: the fall-back from the kernel's own
 * entry to a sister on the same device, to the same implementation on the
 * nearest architecture, to the operator's prior.
 *
 * Every candidate entry has a distance from what was asked; the nearest wins,
 * and the interval widens with the distance.  Coefficients are dimensionless
 * or in µs, so that carrying one over to another device rescales it with that
 * device's ceilings.
 */
#include "time.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Distances.  A step up the list always outweighs all below it. */
static const double D_VERSION = 1, D_RUNTIME = 20, D_IMPL = 30, D_KV = 4, D_DTYPE = 60,
                    D_DEVICE = 100, D_ARCH = 40;
/* Beyond this the prior is the better guess. */
static const double D_MAX = 1000;

/* Log standard deviation that a step adds to the entry's own residual. */
static const double SD_SISTER = 0.10, SD_RUNTIME = 0.15, SD_DEVICE = 0.12,
                    SD_PER_ARCH = 0.10, SD_MAX = 1.0;
static const double Z90 = 1.645; /* half width of a 90 % interval in sd */

/* Variance that an entry's residuals have in common: between the values of m (of
 * kv_len), 4 to 43 % in 23 entries of GEMM and attention on A100 and H100, median
 * 13.  The rest is each shape's own, so that it averages out over a model. */
static const double COMMON_VARIANCE = 0.13;

/* Where an architecture stands: generation of the tensor core, and whether it
 * is the HBM part of its generation or the GDDR/LPDDR part (mma.sync, small
 * DRAM bandwidth against a large L2). */
struct place {
    int cc;
    double generation;
    int hbm;
};
static const struct place places[] = {
    {70, 0, 1}, {75, 0.5, 0}, {80, 1.5, 1}, {86, 1.7, 0},  {87, 1.7, 0}, {89, 2, 0},
    {90, 3, 1}, {100, 4, 1},  {103, 4, 1},  {110, 3.5, 0}, {120, 3, 0},  {121, 3, 0},
};

static const struct place *place_of(int cc)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i].cc == cc)
            return &places[i];
    return NULL;
}

/* ∞ where nothing of one can be said of the other. */
static double arch_distance(int a, int b)
{
    if (a == b)
        return 0;
    const struct place *pa = place_of(a), *pb = place_of(b);
    if (!pa || !pb)
        return INFINITY;
    return fabs(pa->generation - pb->generation) + (pa->hbm != pb->hbm ? 1 : 0);
}

static int capability(const char *text)
{
    return text && strchr(text, '.') ? (int)lround(atof(text) * 10) : 0;
}

/* Length of "vllm" in "vllm-0.24.0"; ids themselves hold dashes. */
static size_t id_length(const char *name)
{
    for (const char *s = name; *s; s++)
        if (*s == '-' && s[1] >= '0' && s[1] <= '9')
            return (size_t)(s - name);
    return strlen(name);
}

static bool same_id(const char *a, const char *b)
{
    size_t n = id_length(a);
    return n == id_length(b) && !strncmp(a, b, n);
}

/* Stacks that call the same libraries (cuBLAS, flash-attention, Triton), so
 * that one's entry says something of another's kernel. */
static bool is_torch_stack(const char *name)
{
    static const char *const ids[] = {
        "vllm",         "sglang",          "trtllm",
        "hf-eager",     "mamba-ssm-eager", "pytorch-cudagraph",
        "hf-eager-slow"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (same_id(name, ids[i]))
            return true;
    return false;
}

static double runtime_distance(const struct rl_kernel *k, const char *name)
{
    if (!name || k->op->cls == RL_CLS_COMM) /* every stack calls the same NCCL */
        return 0;
    if (!strcmp(k->runtime, name))
        return 0;
    if (same_id(k->runtime, name))
        return name[id_length(name)] ? D_VERSION : 0;
    if (!is_torch_stack(k->runtime) || !is_torch_stack(name))
        return INFINITY;
    return same_id(k->runtime, "vllm") ? D_RUNTIME : D_RUNTIME + 1;
}

/* bf16 and fp16 run the same kernels at the same rate. */
static enum rl_unit alike(enum rl_unit u)
{
    return u == RL_BF16 ? RL_FP16 : u;
}

static double dtype_distance(const struct rl_kernel *k, enum rl_dtype dt,
                             enum rl_dtype kv)
{
    double dist = k->kv_dtype == kv ? 0 : D_KV;
    if (k->dtype == dt)
        return dist;
    const struct rl_dtype_info *a = rl_dtype(k->dtype), *b = rl_dtype(dt);
    if (a->weight_only == b->weight_only && alike(a->unit) == alike(b->unit))
        return dist + D_DTYPE / 4; /* bf16 and fp16, fp8 and block fp8 */
    return dist + D_DTYPE + (a->weight_only != b->weight_only ? D_DTYPE : 0);
}

static double distance(const struct rl_kernel *k, const struct rl_device *d,
                       const char *runtime, const char *impl, enum rl_dtype dt,
                       enum rl_dtype kv)
{
    double dist = runtime_distance(k, runtime) + dtype_distance(k, dt, kv);
    bool other = impl && strcmp(impl, k->impl), here = !strcmp(k->device, d->id);
    if (other)
        dist += D_IMPL;
    /* one kernel or eight: what a step costs here says nothing of it there */
    if (other && !here && k->op->cls == RL_CLS_SCAN)
        return INFINITY;
    if (!here) {
        int cc = d->compute_capability ? capability(d->compute_capability) : 0;
        dist += D_DEVICE + D_ARCH * arch_distance(capability(k->arch), cc);
    }
    return dist;
}

static void use_prior(const struct rl_op_type *op, struct rl_choice *out)
{
    out->kernel = NULL;
    out->trust = RL_TRUST_PRIOR;
    for (int i = 0; op->coef && op->coef[i].name; i++)
        out->coef[i] = op->coef[i].prior;
    out->log_lo = -Z90 * op->log_sd;
    out->log_hi = Z90 * op->log_sd;
    out->share = 1;
}

/* Widens the entry's own residual quantiles by the step's spread, which is wrong
 * the same way for every call. */
static void widen(struct rl_choice *out, double sd)
{
    double w = Z90 * fmin(sd, SD_MAX), half = 0.5 * (out->log_hi - out->log_lo);

    out->log_lo = -hypot(out->log_lo, w);
    out->log_hi = hypot(out->log_hi, w);
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
    const struct place *at = place_of(capability(k->arch));
    double keep = 1 / (1 + far);
    if (op->cls == RL_CLS_COMM)
        keep = at && !at->hbm ? 1 : keep * keep; /* GDDR parts: the host's bus */
    for (int i = 0; op->coef[i].name; i++) {
        const struct rl_coef *c = &op->coef[i];
        if (c->kind == RL_C_LOG)
            coef[i] = c->prior * pow(coef[i] / c->prior, keep);
        else if (c->kind == RL_C_LINEAR)
            coef[i] = c->prior + keep * (coef[i] - c->prior);
    }
}

/* `eff` is a share of the sheet's peak, but what a part sustains of its sheet is
 * its own: 74 % on an L40S that its power holds back, all of it on a GeForce of
 * the same generation at half the rate.  Carried over, it scales with that. */
static void rescale(const struct rl_kernel *k, const struct rl_device *d,
                    struct rl_choice *out)
{
    const struct rl_value *rate = &d->rate[RL_BF16], *peak = &d->peak[RL_BF16];
    bool known = k->sustained > 0 && rate->kind >= RL_KIND_BURST && peak->v > 0;

    for (int i = 0; known && k->op->coef[i].name; i++)
        if (!strcmp(k->op->coef[i].name, "eff"))
            out->coef[i] *= rate->v / peak->v / k->sustained;
}

static void use_entry(const struct rl_kernel *k, double dist, const struct rl_device *d,
                      struct rl_choice *out)
{
    out->kernel = k;
    memcpy(out->coef, k->coef, sizeof out->coef);
    out->log_lo = k->lo;
    out->log_hi = k->hi;
    out->share = sqrt(COMMON_VARIANCE);
    bool here = !strcmp(k->device, d->id);
    out->trust =
        !here ? RL_TRUST_ARCH : (dist < D_VERSION ? RL_TRUST_ENTRY : RL_TRUST_SISTER);
    if (here && dist >= D_VERSION)
        widen(out, dist < D_RUNTIME ? SD_SISTER : SD_RUNTIME);
    double far = (dist - D_DEVICE) / D_ARCH;
    if (!here) {
        rescale(k, d, out);
        draw_to_prior(k, far, out->coef);
        widen(out, SD_DEVICE + SD_PER_ARCH * far);
    }
}

void rl_choose_by(const struct rl_ask *a, struct rl_choice *out)
{
    memset(out, 0, sizeof *out);
    use_prior(a->op, out);
    const struct rl_kernel *best = NULL;
    double best_dist = D_MAX;
    for (int i = 0; i < rl_kernel_db_count(a->db); i++) {
        const struct rl_kernel *k = rl_kernel_db_at(a->db, i);
        if (k->op != a->op || (a->without && !strcmp(k->device, a->d->id)))
            continue;
        double dist = distance(k, a->d, a->runtime, a->impl, a->dtype, a->kv_dtype);
        /* among equals the one with most rows is the stack's usual kernel */
        if (dist < best_dist || (best && dist <= best_dist && k->n > best->n)) {
            best = k;
            best_dist = dist;
        }
    }
    if (best)
        use_entry(best, best_dist, a->d, out);
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
