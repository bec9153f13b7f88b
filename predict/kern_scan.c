/* Kernel models of the chunked scans: gated delta rule, Kimi delta attention,
 * Mamba-2's SSD (several Triton kernels, or one kernel that keeps the state on its
 * SM) and Mamba-1's selective scan.
 *
 * Chunked scans, n = sequences × heads, nc = chunks of a sequence:
 *   t = fixed + row·min(L, chunk) + state + (serial^join + body^join)^(1/join)
 *   row    = the triangular solve, one row after another
 *   state  = bytes of the first and last states
 *   serial = (wave + tau·nc)·waves, waves = (1 + (n/(occ·SMs))^4)^(1/4) where CTAs
 *            of different heads overlap (form 0), ceil(n/SMs) where each keeps its
 *            head to the end (forms 1 and 2)
 *   body   = FLOP of whole chunks at the unit's peak and, what surrounds them, at
 *            `rate` FLOP per clock and SM (neither in form 1, one kernel, whose
 *            chunk steps are all it does), plus bytes:
 *            activations, and `spill` of what passes between kernels
 *   ragged, raggedn: added where the length is no multiple of what the kernel
 *            loads at once; so such a length may cost more than the next whole one
 *
 * SSD, form 1 (flashinfer/mamba/ssd_kernel.py, called by TensorRT-LLM's
 * _torch/modules/mamba/ssd_combined.py where part and shape allow): one CTA walks a
 * head's chunks, so that there are whole waves, C·Bᵀ once for each head and as a full
 * square, and nothing between kernels.  Before it a length of broken chunks is padded,
 * x, B, C and Δ by a fill and a copy each.  Elsewhere, five Triton kernels that mask.
 *
 * `rate` counts clocks, not the tensor peak: these kernels issue small products
 * with exponentials and masks between them, and reach 3-10 % of any peak.
 * Mamba-1 has no chunk products; see rl_kern_selective_scan_time.
 * Ignores: autotuned block sizes that differ from shape to shape.
 */
#include "kern_memory.h"
#include "kernels.h"
#include "op_util.h"
#include "ops.h"

enum {
    FIXED,
    ROW,
    TAU,
    OCC,
    WAVE,
    RATE,
    L2,
    DRAM,
    SPILL,
    KEEP,
    EDGE,
    JOIN,
    FORM,
    RAGGED,
    RAGGED_N
};

#define SCAN_COEFS(FIX, ROWS, TAUS, RATES)                                                \
    {"fixed", "us", RL_C_LOG, FIX, 2, 80, 0.3, "launches, prologues, epilogues"},         \
        {"row", "us", RL_C_LOG, ROWS, 0.001, 2, 0.7, "a token of the first chunk"},       \
        {"tau", "us", RL_C_LOG, TAUS, 0.1, 30, 0.4, "one step from chunk to chunk"},      \
        {"occ", "1", RL_C_LOG, 1.5, 0.25, 16, 0.6, "heads an SM steps at once"},          \
        {"wave", "us", RL_C_LOG, 3, 0.02, 40, 0.7, "state in and out of one wave"},       \
        {"rate", "1", RL_C_LOG, RATES, 20, 8000, 0.5, "FLOP per clock and SM"},           \
        {"l2", "1", RL_C_LOG, 0.8, 0.05, 4, 0.5, "L2 rate reached"},                      \
        {"dram", "1", RL_C_DRAM, 0.85, 0.3, 1.02, 0.15, "DRAM peak reached"},             \
        {"spill", "1", RL_C_LOG, 1, 0.02, 4, 0.5, "bytes between kernels, of the count"}, \
        {"keep", "1", RL_C_LOG, 1.5, 0.1, 4, 0.5, "L2 that intermediates stay in"},       \
        {"edge", "1", RL_C_LOG, 4, 1, 20, 0.5, "sharpness of that boundary"},             \
    {                                                                                     \
        "join", "1", RL_C_LOG, 1.5, 1, 8, 0.5, "1: serial and body add; 8: overlap"       \
    }
#define FORM_COEF                                                                        \
    {                                                                                    \
        "form", "1", RL_C_CHOICE, 0, 0, 2, 0,                                            \
            "waves 0 overlap, 1 whole, 2 whole and core"                                 \
    }
#define RAGGED_COEFS                                                                     \
    {"ragged", "us", RL_C_LOG, 0.3, 0.01, 40, 1.5, "a length of broken chunks"},         \
    {                                                                                    \
        "raggedn", "us", RL_C_LOG, 0.05, 0.001, 10, 1.5, "the same, per head and SM"     \
    }
#define END                                                                              \
    {                                                                                    \
        NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL                                           \
    }

const struct rl_coef rl_kern_gdn_scan_coef[] = {SCAN_COEFS(15, 0.15, 1.4, 700), FORM_COEF,
                                                END};
const struct rl_coef rl_kern_kda_scan_coef[] = {SCAN_COEFS(18, 0.3, 1.6, 550), FORM_COEF,
                                                RAGGED_COEFS, END};
/* ragged: eight launches of small kernels, a microsecond each */
const struct rl_coef rl_kern_ssd_scan_coef[] = {
    SCAN_COEFS(14, 0.01, 1.3, 600),
    {"form", "1", RL_C_CHOICE, 0, 0, 1, 0, "0 five kernels, 1 one where it can be"},
    {"ragged", "us", RL_C_LOG, 8, 1, 40, 0.7, "launches that pad broken chunks"},
    END};

static const double us = 1e-6;
static const double delta_chunk = 64, vector_chunk = 16; /* tokens */

struct scan {
    struct rl_work w;
    double heads, len, chunk; /* sequences × heads; tokens */
    double waves;             /* of CTAs on the SMs */
    double spill;             /* bytes that pass between kernels, once out and in */
    double again;    /* bytes that blocks read again and again: L2 always has them */
    double flop;     /* of whole chunks */
    bool steps_only; /* one kernel whose chunk steps hold its products */
    double broken_us, broken_bytes; /* a length of broken chunks costs beside */
};

/* Where CTAs of several heads share an SM, and where each keeps its head. */
static double soft_waves(double per_sm, const double *c)
{
    return pow(1 + pow(per_sm / c[OCC], 4), 0.25);
}

static double whole_waves(double per_sm)
{
    return ceil(per_sm - 1e-9);
}

static double scan_seconds(const struct scan *s, const struct rl_machine *m,
                           const double *c, double part[RL_NBOUNDS])
{
    double chunks = ceil(s->len / s->chunk);
    double fixed = (c[FIXED] + c[ROW] * fmin(s->len, s->chunk) + s->broken_us) * us;
    double serial = (c[WAVE] + c[TAU] * chunks) * us * s->waves;
    double core = s->steps_only ? 0
                                : s->flop / (c[RATE] * m->sm * m->clock_hz) +
                                      s->flop / m->peak[s->w.unit];
    core = rl_kern_join(core, s->steps_only ? 0 : s->again / (c[L2] * m->l2_bw), 3);
    double between = s->w.act_bytes + s->w.weight_bytes + c[SPILL] * s->spill;
    double miss = rl_kern_miss_excess(m, between + s->w.cache_bytes, c[KEEP], c[EDGE]);
    double per_byte = 1 / (c[L2] * m->l2_bw) + miss / (c[DRAM] * m->dram_peak);
    double memory = between * per_byte;
    double state = (s->w.cache_bytes + s->broken_bytes) * per_byte;

    if (m->warm <= 0) /* a model's other layers have pushed the states out */
        state = fmax(state, s->w.cache_bytes / (c[DRAM] * m->dram_peak));
    if (part) {
        part[RL_B_LAUNCH] = fixed;
        part[RL_B_SERIAL] = serial;
        part[RL_B_COMPUTE] = core;
        part[RL_B_MEMORY] = memory + state;
    }
    return fixed + state + rl_kern_join(serial, core + memory, c[JOIN]);
}

static double padded(double len, double chunk)
{
    return ceil(len / chunk) * chunk;
}

static void delta_scan(const struct rl_op_type *op, const double *p,
                       const struct rl_machine *m, const double *c, struct scan *s)
{
    double dk = p[RL_GDN_K_DIM], dv = p[RL_GDN_V_DIM];
    double heads = p[RL_GDN_BATCH] * p[RL_GDN_V_HEADS], per_sm = heads / m->sm;

    *s = (struct scan){.heads = heads,
                       .len = p[RL_GDN_SEQ_LEN],
                       .chunk = delta_chunk,
                       .steps_only = c[FORM] == 1};
    op->work(p, &s->w);
    s->waves = c[FORM] > 0.5 ? whole_waves(per_sm) : soft_waves(per_sm, c);
    s->spill = s->w.l2_bytes;
    s->flop = heads * padded(s->len, delta_chunk) *
              (6 * dk * dv + 2 * delta_chunk * (2.625 * dk + 2 * dv));
}

double rl_kern_gdn_scan_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS])
{
    struct scan s;
    delta_scan(&rl_op_gdn_scan, p, m, c, &s);
    return scan_seconds(&s, m, c, part);
}

double rl_kern_kda_scan_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS])
{
    struct scan s;
    delta_scan(&rl_op_kda_scan, p, m, c, &s);
    if (fmod(s.len, vector_chunk) > 0)
        s.broken_us = c[RAGGED] + c[RAGGED_N] * s.heads / m->sm;
    return scan_seconds(&s, m, c, part);
}

/* TensorRT-LLM calls flashinfer's one kernel on sm_100 and sm_103 … */
static bool has_one_kernel(int cc)
{
    return cc >= 100 && cc < 110;
}

bool rl_kern_ssd_one_kernel(const char *runtime, int cc)
{
    return runtime && rl_begins(runtime, "trtllm") && has_one_kernel(cc);
}

double rl_kern_ssd_scan_known(const char *runtime, const char *impl, enum rl_dtype dtype,
                              int i)
{
    (void)impl;
    (void)dtype;
    return i == FORM ? rl_begins(runtime, "trtllm") : NAN;
}

/* … for the tiles that its tensor memory holds. */
static bool takes_one_kernel(const double *p, const struct rl_machine *m)
{
    double q = p[RL_SSD_CHUNK], n = p[RL_SSD_STATE], hd = p[RL_SSD_HEAD_DIM];
    return has_one_kernel(m->cc) && (q == 64 || q == 128) && (n == 64 || n == 128) &&
           (hd == 64 || hd == 128);
}

/* One CTA a head: its four products as full tiles, B and C for itself, states in 16 bits
 * (zeroed, read, written).  SMs that the last wave leaves idle count as busy. */
static void one_kernel(const double *p, const struct rl_machine *m, const double *c,
                       struct scan *s)
{
    double hd = p[RL_SSD_HEAD_DIM], n = p[RL_SSD_STATE], q = p[RL_SSD_CHUNK];
    double whole = padded(s->len, q), a = rl_out_bytes(p[RL_SSD_DTYPE]);

    s->waves = whole_waves(s->heads / m->sm);
    s->flop = s->waves * m->sm * whole * (4 * n * hd + 2 * q * (n + hd));
    s->again = s->heads * whole * 2 * n * a;
    s->w.cache_bytes = 3 * s->heads * hd * n * a;
    if (whole > s->len) { /* padded by a fill, then a copy */
        double token = p[RL_SSD_HEADS] * (hd + 1) + 2 * p[RL_SSD_GROUPS] * n;
        s->broken_us = c[RAGGED];
        s->broken_bytes = p[RL_SSD_BATCH] * token * a * (whole + 2 * s->len);
    }
}

static void five_kernels(const double *p, const struct rl_machine *m, const double *c,
                         struct scan *s)
{
    double hd = p[RL_SSD_HEAD_DIM], n = p[RL_SSD_STATE], q = p[RL_SSD_CHUNK];
    double tokens = p[RL_SSD_BATCH] * padded(s->len, q);

    s->waves = soft_waves(s->heads / m->sm, c);
    /* chunk states out and in twice, the second time in 16 bits; Δ and its sums
     * through five kernels; C·B per group */
    s->spill = s->heads * (12 * hd * n * ceil(s->len / q) + 32 * s->len) +
               8 * tokens * q * p[RL_SSD_GROUPS];
    s->again = fmax(0, s->w.l2_bytes - s->spill);
    s->flop =
        tokens * (p[RL_SSD_HEADS] * hd * (4 * n + q) + 2 * p[RL_SSD_GROUPS] * n * q);
}

double rl_kern_ssd_scan_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS])
{
    struct scan s = {.heads = p[RL_SSD_BATCH] * p[RL_SSD_HEADS],
                     .len = p[RL_SSD_SEQ_LEN],
                     .chunk = p[RL_SSD_CHUNK]};
    rl_op_ssd_scan.work(p, &s.w);
    if (c[FORM] > 0.5 && takes_one_kernel(p, m))
        one_kernel(p, m, c, &s);
    else
        five_kernels(p, m, c, &s);
    return scan_seconds(&s, m, c, part);
}

enum { S_FIXED, S_RATE, S_L2, S_DRAM, S_BLOCKS, S_JOIN };

const struct rl_coef rl_kern_selective_scan_coef[] = {
    {"fixed", "us", RL_C_LOG, 4, 1, 30, 0.4, "launch, prologue, epilogue"},
    {"rate", "1", RL_C_LOG, 6, 1, 32, 0.4, "states of a token per clock and SM"},
    {"l2", "1", RL_C_LOG, 2, 0.1, 8, 0.5, "L2 rate reached by B and C, L1 helping"},
    {"dram", "1", RL_C_DRAM, 0.85, 0.3, 1.02, 0.15, "DRAM peak reached"},
    {"blocks", "1", RL_C_LOG, 3, 1, 8, 0.3, "blocks of one SM"},
    {"join", "1", RL_C_LOG, 4, 1, 8, 0.4, "1: limits add; 8: they overlap"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* selective_scan_fwd: a block per sequence and channel; up to 2048 tokens at a
 * time, the lanes of a broken chunk run idle.  Per token, channel and state one
 * exp (16 per clock and SM) and about ten instructions (128 per clock and SM). */
static double idle_lanes(double len)
{
    static const double sizes[] = {128, 256, 512, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (len <= sizes[i])
            return sizes[i];
    return ceil(len / 2048) * 2048;
}

double rl_kern_selective_scan_time(const double *p, const struct rl_machine *m,
                                   const double *c, double part[RL_NBOUNDS])
{
    struct rl_work w = {0};
    rl_op_selective_scan.work(p, &w);
    double blocks = p[RL_SS_BATCH] * p[RL_SS_CHANNELS], slots = c[S_BLOCKS] * m->sm;
    double full = ceil(blocks / slots) * slots / blocks; /* last wave's idle SMs */
    double states = blocks * idle_lanes(p[RL_SS_SEQ_LEN]) * (p[RL_SS_STATE] + 3);
    double core = states * full * (1 / (c[S_RATE] * m->sm * m->clock_hz) + 1 / m->sfu);
    double l2 = w.l2_bytes / (c[S_L2] * m->l2_bw);
    double dram =
        (w.act_bytes + w.cache_bytes + w.weight_bytes) / (c[S_DRAM] * m->dram_peak);
    double fixed = c[S_FIXED] * us;

    if (part) {
        part[RL_B_LAUNCH] = fixed;
        part[RL_B_COMPUTE] = core;
        part[RL_B_MEMORY] = fmax(dram, l2);
    }
    return fixed + rl_kern_join(rl_kern_join(core, l2, c[S_JOIN]), dram, c[S_JOIN]);
}
