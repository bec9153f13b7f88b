/* Work x hardware -> seconds: flattening a device for kernel formulas, the
 * roofline of operators without a kernel model, and the speed of light.  Which
 * coefficients a kernel model gets is decided in choose.c.
 *
 * The generic roofline joins its ceilings by a p-norm: a kernel near two
 * ceilings at once is slower than either alone (see the fits in
 * docs/calibration.md).  It ignores wave quantisation: an operator that suffers
 * from it has a kernel model of its own.
 */
#include "time.h"
#include "kern_impl.h"
#include "kern_root.h"

#include <math.h>
#include <string.h>

/* Share of L2 that a producer's output survives in until it is read. */
static const double L2_SHARE = 0.5;
/* What one block streams: the loads it keeps in flight over their latency, which
 * hardly differ between parts whatever their bandwidth (Little's law).  Measured
 * on single blocks of FlashAttention-2, bytes/s: 22e9 on an A100, 23e9 to 29e9 on
 * an L40S and an RTX PRO 6000 (docs/models-attention.md). */
static const double BLOCK_RATE = 24e9;

static double value_or(const struct rl_value *v, double fallback)
{
    return v->kind != RL_KIND_NONE && v->v > 0 ? v->v : fallback;
}

static void init_units(struct rl_machine *m, const struct rl_device *d)
{
    double held = d->boost_hz > 0 ? d->held_hz / d->boost_hz : 1;

    for (int u = 0; u < RL_NUNITS; u++) {
        enum rl_unit real = rl_device_unit(d, (enum rl_unit)u);
        m->light[u] = d->peak[real].v;
        m->peak[u] = d->peak[real].v * held;
        m->rate[u] = d->rate[real].v;
        m->most[u] = held > 1 ? m->peak[u]
                     : d->rate[real].kind >= RL_KIND_DERIVED
                         ? fmax(d->rate[real].hi, d->rate[real].v)
                         : fmax(m->peak[u], m->rate[u]);
    }
}

void rl_machine_init(struct rl_machine *m, const struct rl_device *d, int tp)
{
    memset(m, 0, sizeof *m);
    m->sm = d->sm_count > 0 ? d->sm_count : 1;
    m->clock_hz = d->held_hz > 0 ? d->held_hz : 1e9;
    m->tdp_w = d->tdp_w;
    m->is_cpu = d->is_cpu;
    m->cc = d->cc;
    init_units(m, d);
    m->dram_peak = d->dram_peak.v;
    m->dram_net = m->dram_peak * (1 - d->ecc_share);
    m->dram = d->dram.v;
    m->dram_channels = d->dram.v;
    m->dram_cores = m->sm * d->dram_core.v;
    m->overlap = d->is_cpu ? d->dram_overlap.v : 0;
    m->fp16_bits = d->fp16_vector_bits;
    m->l2_bytes = d->l2_bytes;
    m->l2_bw = d->l2.v;
    m->sfu = d->sfu.v;
    m->gap_s = d->is_cpu ? value_or(&d->launch_stream_s, 1e-6)
                         : value_or(&d->launch_graph_s, 1.3e-6);
    m->link = d->link.v;
    m->link_latency_s = 5e-6; /* one NCCL hop and its launch, PCIe or NVLink */
    m->gpus = tp > 1 ? tp : 1;
    m->warm = 1;
}

void rl_op_dtypes(const struct rl_op_type *op, const double *p, enum rl_dtype *dtype,
                  enum rl_dtype *kv_dtype)
{
    *dtype = *kv_dtype = RL_DT_NONE;
    for (int i = 0; op->param[i].name; i++) {
        const char *name = op->param[i].name;
        if (!strcmp(name, "dtype"))
            *dtype = (enum rl_dtype)p[i];
        else if (!strcmp(name, "kv_dtype") || !strcmp(name, "state_dtype"))
            *kv_dtype = (enum rl_dtype)p[i];
    }
}

enum rl_bound rl_part_bound(const double part[RL_NBOUNDS])
{
    int best = 0;
    for (int i = 1; i < RL_NBOUNDS; i++)
        if (part[i] > part[best])
            best = i;
    return (enum rl_bound)best;
}

/* Seconds of the memory traffic: weights and caches from DRAM, activations
 * from the L2 that their producer left them in as far as they fit. */
static double memory_seconds(const struct rl_work *w, const struct rl_machine *m)
{
    double room = L2_SHARE * m->l2_bytes;
    double act_l2 = w->act_bytes < room ? w->act_bytes : room;
    if (m->is_cpu) /* threads touch other cores' lines: no such reuse */
        act_l2 = 0;
    double dram = rl_work_bytes(w) - act_l2;
    double seconds = dram / m->dram + (act_l2 + w->l2_bytes) / m->l2_bw;
    if (w->parallel > 0 && !m->is_cpu) {
        /* weights (a norm's) are read by every block, gathered rows are its own */
        double share = (w->act_bytes + w->cache_bytes + w->l2_bytes) / w->parallel;
        seconds = fmax(seconds, (share + fmin(w->weight_bytes, share)) / BLOCK_RATE);
    }
    return seconds;
}

/* The time of one dependent step: a load from L2, two dependent matrix
 * multiplies and a barrier, 1.1-1.3 µs in the chunk scans of fla and mamba. */
static const double SERIAL_STEP_S = 1.2e-6;

static double norm3(double a, double b, double c)
{
    double top = fmax(a, fmax(b, c));
    if (top <= 0)
        return 0;
    a /= top, b /= top, c /= top;
    return top * rl_cbrt(a * a * a + b * b * b + c * c * c);
}

double rl_work_seconds(const struct rl_work *w, const struct rl_machine *m,
                       double part[RL_NBOUNDS])
{
    double compute =
        w->flop / m->rate[w->unit] + w->vector_flop / m->rate[RL_FP32] + w->sfu / m->sfu;
    double memory = memory_seconds(w, m);
    double serial = w->serial * SERIAL_STEP_S;
    double launch = w->launches * m->gap_s;
    double link = w->link_bytes > 0 ? w->link_bytes / m->link + m->link_latency_s : 0;
    if (part) {
        part[RL_B_COMPUTE] = compute;
        part[RL_B_MEMORY] = memory;
        part[RL_B_LAUNCH] = launch;
        part[RL_B_SERIAL] = serial;
        part[RL_B_LINK] = link;
    }
    return launch + link + norm3(compute, memory, serial);
}

double rl_spread_at(const struct rl_spread *s, double seconds)
{
    if (s->power == 0)
        return 1;
    double t = fmax(s->from, fmin(seconds, s->to));
    return pow(t / sqrt(s->from * s->to), s->power);
}

void rl_spread_bounds(const struct rl_spread *s, double log_lo, double log_hi,
                      double seconds, double *lo, double *hi)
{
    double at = rl_spread_at(s, seconds);
    *lo = seconds * exp(at * log_lo);
    *hi = seconds * exp(at * log_hi);
}

void rl_choice_bounds(const struct rl_choice *c, double seconds, double *lo, double *hi)
{
    rl_spread_bounds(&c->spread, c->log_lo, c->log_hi, seconds, lo, hi);
}

/* FLOP/s beyond which no kernel of a unit goes: what slower units sustain, else the
 * machine's most. */
static double most(const struct rl_machine *m, enum rl_unit u)
{
    return rl_slow(m, u) > 1 ? rl_pipe(m, u) : m->most[u];
}

/* A coefficient from another part or format, or a prior, may be more than this one's
 * units do. */
static double carried_seconds(const struct rl_op_type *op, const double *p,
                              const struct rl_machine *m, const struct rl_choice *c,
                              double part[RL_NBOUNDS])
{
    struct rl_machine carried = *m;
    struct rl_work w = {0};

    if (c->slow > 0)
        carried.slow = c->slow;
    double s = op->time(p, &carried, c->coef, part);
    op->work(p, &w);
    double top = most(&carried, w.unit), least = top > 0 ? w.flop / top : 0;
    if (part && least > s)
        part[RL_B_COMPUTE] = least;
    return fmax(s, least);
}

double rl_op_seconds(const struct rl_op_type *op, const double *p,
                     const struct rl_machine *m, const struct rl_choice *c,
                     double part[RL_NBOUNDS])
{
    if (part)
        memset(part, 0, RL_NBOUNDS * sizeof *part);
    if (c && c->impl)
        return c->impl->time(p, m, c->coef, part);
    if (op->coef && op->time && c)
        return c->trust != RL_TRUST_ENTRY ? carried_seconds(op, p, m, c, part)
                                          : op->time(p, m, c->coef, part);
    struct rl_work w = {0};
    op->work(p, &w);
    return rl_work_seconds(&w, m, part);
}

double rl_work_speed_of_light(const struct rl_work *w, const struct rl_machine *m,
                              double part[RL_NBOUNDS])
{
    double compute =
        fmax(w->flop / m->light[w->unit], w->vector_flop / m->light[RL_FP32]);
    double link = w->link_bytes / m->link;
    double memory = rl_work_bytes(w) / m->dram_peak;
    if (part) {
        part[RL_B_COMPUTE] = compute;
        part[RL_B_MEMORY] = memory;
        part[RL_B_LINK] = link;
    }
    return fmax(fmax(compute, link), memory);
}
