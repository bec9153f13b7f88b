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

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sustained fraction of a sheet's tensor and DRAM peak where the device file
 * knows nothing better: medians of published measurements. */
static const double PRIOR_RATE = 0.78, PRIOR_DRAM = 0.86;
/* L2 bytes per clock per SM, and exp per clock per SM, of NVIDIA parts. */
static const double PRIOR_L2_PER_SM = 48, PRIOR_SFU_PER_SM = 16;
/* Share of L2 that a producer's output survives in until it is read. */
static const double L2_SHARE = 0.5;
/* Bytes in flight per block before a SM's share of bandwidth is reached: below
 * this a kernel is bound by latency, not by bandwidth (Little's law). */
static const double BLOCKS_PER_SM_FULL = 2;

static double value_or(const struct rl_value *v, double fallback)
{
    return v->kind != RL_KIND_NONE && v->v > 0 ? v->v : fallback;
}

static int capability(const struct rl_device *d)
{
    if (!d->compute_capability || !strchr(d->compute_capability, '.'))
        return 0;
    double cc = atof(d->compute_capability);
    return cc > 0 ? (int)lround(cc * 10) : 0;
}

static void init_units(struct rl_machine *m, const struct rl_device *d)
{
    for (int u = 0; u < RL_NUNITS; u++) {
        enum rl_unit real = rl_device_unit(d, (enum rl_unit)u);
        /* A device without any figure still divides by something. */
        m->peak[u] = value_or(&d->peak[real], 2 * 128 * m->sm * m->clock_hz);
        m->rate[u] = value_or(&d->rate[real], PRIOR_RATE * m->peak[u]);
    }
}

void rl_machine_init(struct rl_machine *m, const struct rl_device *d,
                     const struct rl_runtime *r, int tp)
{
    memset(m, 0, sizeof *m);
    m->sm = d->sm_count > 0 ? d->sm_count : 1;
    m->clock_hz = d->boost_hz > 0 ? d->boost_hz : 1e9;
    m->is_cpu = d->is_cpu;
    m->cc = capability(d);
    init_units(m, d);
    m->dram_peak = value_or(&d->dram_peak, value_or(&d->dram, 1e10));
    m->dram_net = m->dram_peak * (1 - d->ecc_share);
    m->dram = value_or(&d->dram, PRIOR_DRAM * m->dram_peak);
    m->l2_bytes = d->l2_bytes;
    m->l2_bw = value_or(&d->l2, PRIOR_L2_PER_SM * m->sm * m->clock_hz);
    m->sfu = value_or(&d->sfu, PRIOR_SFU_PER_SM * m->sm * m->clock_hz);
    m->gap_s = value_or(&d->launch_graph_s, d->is_cpu ? 1e-6 : 1.3e-6);
    if (r && !strcmp(rl_runtime_str(r, "graph", "all"), "none"))
        m->gap_s = value_or(&d->launch_stream_s, 2 * m->gap_s);
    m->link = value_or(&d->link, value_or(&d->pcie_bw, 2.5e10));
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
        /* what one block moves at its share of the rate; weights (a norm's) are
         * read by every block, gathered rows are its own */
        double share = (w->act_bytes + w->cache_bytes + w->l2_bytes) / w->parallel;
        double lone =
            (share + fmin(w->weight_bytes, share)) * BLOCKS_PER_SM_FULL * m->sm / m->dram;
        seconds = fmax(seconds, lone);
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
    return top * cbrt(a * a * a + b * b * b + c * c * c);
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

double rl_op_seconds(const struct rl_op_type *op, const double *p,
                     const struct rl_machine *m, const struct rl_choice *c,
                     double part[RL_NBOUNDS])
{
    if (part)
        memset(part, 0, RL_NBOUNDS * sizeof *part);
    if (c && c->impl)
        return c->impl->time(p, m, c->coef, part);
    if (op->coef && op->time && c)
        return op->time(p, m, c->coef, part);
    struct rl_work w = {0};
    op->work(p, &w);
    return rl_work_seconds(&w, m, part);
}

double rl_work_speed_of_light(const struct rl_work *w, const struct rl_machine *m,
                              double part[RL_NBOUNDS])
{
    double compute = fmax(w->flop / m->peak[w->unit], w->vector_flop / m->peak[RL_FP32]);
    double link = w->link_bytes / m->link;
    double memory = rl_work_bytes(w) / m->dram_peak;
    if (part) {
        part[RL_B_COMPUTE] = compute;
        part[RL_B_MEMORY] = memory;
        part[RL_B_LINK] = link;
    }
    return fmax(fmax(compute, link), memory);
}
