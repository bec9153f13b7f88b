/* Kernel models of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434
 * §2.1): FlashMLA, FlashAttention-3 and -2, TensorRT-LLM's FMHA and XQA, Triton.
 *
 * prefill  t = fixed + (core^join + memory^join)^(1/join) + glue + up
 *   core as in kern_attention.c, on H heads of dn + dr keys and dv values, or
 *   (form 1) on the latent itself, all heads as rows of one: 3.4 times the FLOP
 *   of DeepSeek-V3, which SGLang on Hopper and Ada pays;
 *   up: the up-projection, when the measured call holds it.
 * decode   t = fixed + (stream^join + ctas^join)^(1/join) + combine + append
 *   as in kern_decode.c, one KV head of r + dr whose first r are the value, all
 *   query heads as rows; `convert` is the pass that widens an fp8 cache where the
 *   kernel has no fp8 arithmetic.
 *   Calls as measured on Blackwell last whole ticks (tick.h).
 * Both: time of the host where no graph replays the call: fourth-power mean of
 * floor and t.
 */
#include "kernels.h"
#include "ops.h"
#include "tick.h"

#include <math.h>

struct call {
    double b, l, s, heads, r, dr, dn, dv, kvb;
    int narrow; /* fp8 cache */
    int absorbed;
};

static void call_of(const double *p, struct call *a)
{
    a->b = p[RL_MLA_BATCH];
    a->l = p[RL_MLA_Q_LEN];
    a->s = p[RL_MLA_KV_LEN];
    a->heads = p[RL_MLA_HEADS];
    a->r = p[RL_MLA_KV_LORA_RANK];
    a->dr = p[RL_MLA_ROPE_DIM];
    a->dn = p[RL_MLA_NOPE_DIM];
    a->dv = p[RL_MLA_V_DIM];
    a->kvb = rl_dtype_bytes((enum rl_dtype)p[RL_MLA_KV_DTYPE]);
    a->narrow = a->kvb < 2;
    a->absorbed = p[RL_MLA_ABSORBED] > 0;
}

/* Fixed time: what goes beyond 40 us is the host's, which knows no GPU clock. */
static double fixed_seconds(double fixed, const struct rl_machine *m)
{
    enum { GPU_AT_MOST = 40 };
    double gpu = fmin(fixed, GPU_AT_MOST);
    return gpu * rl_kern_us(m) + (fixed - gpu) * 1e-6;
}

static double fourth(double x)
{
    return x * x * x * x;
}

/* The host takes at least `floor` to issue what the call launches; in a model its time
 * is counted elsewhere, or a graph saves it. */
static double above_floor(double t, double floor_us, const struct rl_machine *m)
{
    return m->warm > 0 ? sqrt(sqrt(fourth(t) + fourth(floor_us * 1e-6))) : t;
}

static double join2(double x, double y, double n)
{
    return pow(pow(x, n) + pow(y, n), 1 / n);
}

/* prefill */

enum {
    P_FLOOR,
    P_FIXED,
    P_EFF,
    P_EXP,
    P_LOAD,
    P_LONE,
    P_CTA,
    P_L2,
    P_KEEP,
    P_DRAM,
    P_JOIN,
    P_KV,
    P_Q,
    P_TOKEN,
    P_UP,
    P_FORM,
    P_UP_IN,
    P_TILE,
    P_FP8,
    P_SCHED,
};

const struct rl_coef rl_kern_mla_prefill_coef[] = {
    {"floor", "us", RL_C_LOG, 3, 1, 600, 1.5, "host time"},
    {"fixed", "us", RL_C_LOG, 13, 1, 400, 0.4, "launches, prologue, epilogue"},
    {"eff", "1", RL_C_PEAK, 0.75, 0.1, 1, 0.25, "tensor peak of a tile"},
    {"exp", "1", RL_C_LOG, 0.65, 0.1, 6, 0.35, "exp not hidden, at the unit's rate"},
    {"load", "1", RL_C_LOG, 0.25, 0.02, 6, 0.7, "K and V of a tile not hidden, L2 rate"},
    {"lone", "1", RL_C_LOG, 0.6, 0.05, 4, 0.5, "longest CTA not hidden"},
    {"cta", "us", RL_C_LOG, 1.5, 0.05, 20, 0.7, "one CTA and SM"},
    {"l2", "1", RL_C_LOG, 1.3, 0.05, 4, 0.6, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.35, 0.05, 2, 0.5, "share of L2 that repeats find"},
    {"dram", "1", RL_C_DRAM, 0.85, 0.2, 1, 0.2, "DRAM peak reached"},
    {"join", "1", RL_C_LOG, 1.6, 1, 6, 0.4, "1: compute and memory add; 6: overlap"},
    {"kv", "1", RL_C_LOG, 0.2, 0.05, 20, 1, "passes over K and V beside attention"},
    {"q", "1", RL_C_LOG, 0.1, 0.05, 20, 1, "passes over Q beside attention"},
    {"token", "us", RL_C_LOG, 0.1, 0.005, 20, 0.8, "append of one token and SM"},
    {"up", "1", RL_C_LOG, 0.6, 0.1, 1, 0.2, "tensor peak of the up-projection"},
    {"form", "1", RL_C_CHOICE, 0, 0, 1, 0, "1: the absorbed form"},
    {"up_in", "1", RL_C_CHOICE, 0, 0, 1, 0, "1: the up-projection is inside"},
    {"tile", "1", RL_C_CHOICE, 3, 0, 7, 0, "rows × keys of a tile, see tile_menu"},
    {"fp8", "1", RL_C_CHOICE, 0, 0, 1, 0, "1: an fp8 cache is multiplied in fp8"},
    {"sched", "1", RL_C_CHOICE, 0, 0, 1, 0, "1: balanced persistent grid"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

static const struct {
    short rows, keys;
} tile_menu[] = {{64, 64},   {64, 128},  {128, 32},  {128, 64},
                 {128, 128}, {192, 128}, {256, 128}, {128, 16}};

/* Causal key blocks of all query blocks of one head: n blocks of q queries. */
static double causal_tiles(const struct call *a, double q, double bn, double n)
{
    double prefix = a->s - a->l, rest = fmod(q, bn);
    double part = rest > 0 ? 0.5 * (1 - fmin(q, bn) / bn) : 0;
    if (q > bn && rest > 0)
        part = 0.25;
    double all = (n * prefix + q * n * (n + 1) / 2) / bn + n * part;
    return fmax(n, fmin(all, n * ceil(a->s / bn)));
}

/* Seconds of the tiles; part: throughput, longest CTA. */
static double core_seconds(const struct call *a, const struct rl_machine *m,
                           const double *c, int absorbed, int narrow, double part[2])
{
    double bm = tile_menu[(int)c[P_TILE]].rows, bn = tile_menu[(int)c[P_TILE]].keys;
    double dk = absorbed ? a->r + a->dr : a->dn + a->dr, dv = absorbed ? a->r : a->dv;
    double group = absorbed ? a->heads : 1, heads = absorbed ? a->b : a->b * a->heads;
    double q = bm / group, n = ceil(a->l / q - 1e-9);
    double exp_s = bm * bn * m->sm / m->sfu;
    double bytes = absorbed ? dk * a->kvb : (dk + dv) * (narrow ? 1 : 2);
    double peak = c[P_EFF] * m->peak[narrow ? RL_FP8 : RL_BF16];
    double tile = bm * bn * 2 * (dk + dv) * m->sm / peak + c[P_EXP] * exp_s +
                  c[P_LOAD] * bn * bytes * m->sm / m->l2_bw;
    part[0] =
        heads * (causal_tiles(a, q, bn, n) * tile + n * c[P_CTA] * rl_kern_us(m)) / m->sm;
    part[1] = c[P_LONE] * ceil(a->s / bn) * tile;
    if (c[P_SCHED] > 0)
        return cbrt(part[0] * part[0] * part[0] + part[1] * part[1] * part[1]);
    return part[0] + part[1];
}

double rl_kern_mla_prefill_time(const double *p, const struct rl_machine *m,
                                const double *c, double part[RL_NBOUNDS])
{
    struct call a;
    double core[2], us = rl_kern_us(m), fixed = fixed_seconds(c[P_FIXED], m);
    call_of(p, &a);
    int absorbed = a.absorbed || c[P_FORM] > 0, narrow = a.narrow && c[P_FP8] > 0;
    double busy = core_seconds(&a, m, c, absorbed, narrow, core);
    double keys = a.b * a.s, rows = a.b * a.l * a.heads;
    double qo = rows * 2 * (absorbed ? 2 * a.r + a.dr : a.dn + a.dr + a.dv);
    double kv = absorbed ? keys * (a.r + a.dr) * a.kvb
                         : keys * a.heads * (a.dn + a.dr + a.dv) * (narrow ? 1 : 2);
    double miss = fmax(0, 1 - c[P_KEEP] * m->warm * m->l2_bytes / (qo + 2 * kv));
    double per_byte = 1 / (c[P_L2] * m->l2_bw) + miss / (c[P_DRAM] * m->dram_peak);
    double memory = (qo + kv) * per_byte;
    double glue = fmax((c[P_KV] * kv + c[P_Q] * rows * (a.dn + a.dr) * 2) * per_byte,
                       a.b * a.l * c[P_TOKEN] * us / m->sm);
    double wide = a.heads * (a.dn + a.dv), up = 0;
    if (c[P_UP_IN] > 0 && m->warm > 0) /* in a model it is a GEMM of its own */
        up = 2 * keys * a.r * wide / (c[P_UP] * m->peak[RL_BF16]) +
             keys * wide * 2 * per_byte;
    if (part) {
        part[RL_B_COMPUTE] = core[0] + up;
        part[RL_B_SERIAL] = core[1];
        part[RL_B_MEMORY] = memory + glue;
        part[RL_B_LAUNCH] = above_floor(fixed, c[P_FLOOR], m);
    }
    return above_floor(fixed + join2(busy, memory, c[P_JOIN]) + glue + up, c[P_FLOOR], m);
}

/* decode */

enum {
    D_FLOOR,
    D_FIXED,
    D_DRAM,
    D_L2,
    D_KEEP,
    D_AGAIN,
    D_CTA,
    D_ROW,
    D_RATE,
    D_EFF,
    D_EXP,
    D_NORM,
    D_JOIN,
    D_SPLIT0,
    D_SPLIT,
    D_OCC,
    D_TOKEN,
    D_CONVERT,
    D_SIMT,
    D_WAVE,
    D_GRID,
    D_FP8,
};

const struct rl_coef rl_kern_mla_decode_coef[] = {
    {"floor", "us", RL_C_LOG, 3, 1, 600, 1.5, "host time"},
    {"fixed", "us", RL_C_LOG, 9, 1, 400, 0.4, "launches, prologue, epilogue"},
    {"dram", "1", RL_C_DRAM, 0.88, 0.2, 1, 0.15, "DRAM peak reached"},
    {"l2", "1", RL_C_LOG, 1, 0.05, 4, 0.6, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.9, 0.1, 1.3, 0.3, "share of L2 that repeats find"},
    {"again", "1", RL_C_LINEAR, 0.1, 0, 1, 0.2, "DRAM reads of further row tiles"},
    {"cta", "us", RL_C_LOG, 2.5, 0.05, 30, 0.6, "one CTA and SM"},
    {"row", "us", RL_C_LOG, 0.1, 0.001, 20, 0.8, "1024 elements of Q and O, one SM"},
    {"rate", "1", RL_C_LOG, 4, 0.3, 200, 1.2, "elements a CTA alone streams per clock"},
    {"eff", "1", RL_C_PEAK, 0.6, 0.01, 1, 0.4, "tensor peak in padded tiles"},
    {"exp", "1", RL_C_LOG, 0.2, 0.01, 6, 0.8, "exp not hidden, at the unit's rate"},
    {"norm", "1", RL_C_LOG, 2, 1, 8, 0.4, "1: stream limits add; 8: the largest"},
    {"join", "1", RL_C_LOG, 1.5, 1, 6, 0.4, "1: stream and CTAs add; 6: overlap"},
    {"split0", "us", RL_C_LOG, 1, 0.05, 20, 0.8, "combining splits: fixed"},
    {"split", "us", RL_C_LOG, 0.6, 0.01, 5, 0.7, "and per doubling of splits"},
    {"occ", "1", RL_C_LOG, 2, 0.3, 16, 0.6, "CTAs per SM that splitting aims at"},
    {"token", "us", RL_C_LOG, 2, 0.005, 20, 1, "append of one token and SM"},
    {"convert", "1", RL_C_LOG, 20, 0.3, 1000, 1.5,
     "fp8 elements widened per clock and SM"},
    {"simt", "1", RL_C_LOG, 6, 0.2, 500, 0.7,
     "slow kernels (cut_of): elements per clock and SM"},
    {"wave", "1", RL_C_LINEAR, 0.3, 0, 1, 0.3, "share of wave quantisation"},
    {"grid", "1", RL_C_CHOICE, 0, 0, 2, 0,
     "0: a library's kernel for the architecture; Triton's, 1: 4 splits, 2: 16"},
    {"fp8", "1", RL_C_CHOICE, 0, 0, 1, 0,
     "fp8 cache multiplied in fp8, 0: by tcgen05 alone, 1: wherever it exists"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* How a kernel cuts the work: rows (heads) of a tile; keys of a part at least,
 * or always so many parts.  slow: bound by its element rate, coefficient `simt`. */
struct cut {
    double rows, least, always;
    int slow;
};

/* Triton's tile does not depend on the architecture; one head takes an ungrouped
 * vector kernel.  A library has a kernel for each: wgmma (FlashMLA,
 * FlashAttention-3) fills 64 rows; tcgen05 (trtllm-gen) takes 16 heads a tile up
 * to 32 and all of more at once, padded to 128; the one on mma.sync has 64 rows
 * and always four CTAs, but for the XQA kernel of sm_120, 128 heads of fp8. */
static struct cut cut_of(const struct call *a, const struct rl_machine *m, double grid)
{
    double rows = a->heads * a->l;
    if (grid > 0)
        return (struct cut){16, 0, grid > 1 ? 16 : 4, rows < 2};
    if (m->cc >= 120 && a->narrow && rows > 64)
        return (struct cut){128, 0, 4, 1};
    if (rl_has_tcgen05(m))
        return (struct cut){rows > 32 ? 128 : 16, 256, 0, 0};
    if (m->cc == 90)
        return (struct cut){64, 64, 0, 0};
    return (struct cut){64, 0, 4, 0};
}

/* The work as cut: row tiles of each sequence, parts of each cache. */
struct grid {
    double rows, tiles, splits;
    double ctas;  /* of tiles, before splitting */
    double waves; /* CTAs per SM, partly rounded up */
    double idle;  /* waves / CTAs per SM ≥ 1 */
    int slow;
};

static void grid_of(const struct call *a, const struct rl_machine *m, const double *c,
                    struct grid *g)
{
    struct cut cut = cut_of(a, m, c[D_GRID]);
    g->slow = cut.slow;
    g->rows = cut.rows;
    g->tiles = ceil(a->heads * a->l / g->rows - 1e-9);
    g->ctas = a->b * g->tiles;
    g->splits = cut.always;
    if (g->splits < 1)
        g->splits = fmax(1, fmin(c[D_OCC] * m->sm / g->ctas, a->s / cut.least));
    double per = g->ctas * g->splits / m->sm;
    g->waves = fmax(1, (1 - c[D_WAVE]) * per + c[D_WAVE] * ceil(per - 1e-9));
    g->idle = g->waves / per;
}

/* Is an fp8 cache multiplied as it is? */
static int narrow_math(const struct call *a, const struct rl_machine *m, const double *c)
{
    return a->narrow && (c[D_FP8] > 0 || rl_has_tcgen05(m));
}

/* The limits of reading and multiplying the latent: cache, arithmetic, and the
 * stream of one CTA alone. */
static double stream_seconds(const struct call *a, const struct rl_machine *m,
                             const double *c, const struct grid *g, double limit[3])
{
    enum { STEEP = 8 };
    double width = a->r + a->dr, row = a->s * width * a->kvb;
    double set = a->b * row + a->b * a->l * a->heads * (width + a->r) * 2;
    double room = c[D_KEEP] * m->warm * m->l2_bytes;
    double miss = room > 0 ? fmin(1, fmax(0, (set / room - 1) * STEEP)) : 1;
    double dram = miss * a->b * row * (1 + c[D_AGAIN] * (g->tiles - 1));
    limit[0] =
        fmax(g->ctas * row / (c[D_L2] * m->l2_bw), dram / (c[D_DRAM] * m->dram_peak));
    int narrow = narrow_math(a, m, c);
    double pairs = g->ctas * g->rows * a->s;
    limit[1] =
        (pairs * 2 * (width + a->r) / (c[D_EFF] * m->peak[narrow ? RL_FP8 : RL_BF16]) +
         c[D_EXP] * pairs / m->sfu) *
        g->idle;
    limit[2] = a->s * width / g->splits / (c[D_RATE] * m->clock_hz);
    if (g->slow) { /* its rate is of all heads; never beyond the tensor peak */
        double elements = a->b * a->s * (width + a->r);
        limit[1] =
            elements / (c[D_SIMT] * m->clock_hz * fmin(m->sm, g->ctas * g->splits));
        limit[1] = fmax(limit[1], elements * 2 * a->heads * a->l /
                                      m->peak[a->narrow ? RL_FP8 : RL_BF16]);
        limit[2] = 0;
    }
    double n = c[D_NORM];
    return pow(pow(limit[0], n) + pow(limit[1], n) + pow(limit[2], n), 1 / n);
}

double rl_kern_mla_decode_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    struct call a;
    struct grid g;
    double limit[3], us = rl_kern_us(m);
    call_of(p, &a);
    if (p[RL_MLA_TOPK] > 0)
        a.s = fmin(a.s, p[RL_MLA_TOPK]);
    grid_of(&a, m, c, &g);
    double stream = stream_seconds(&a, m, c, &g, limit);
    double ctas = c[D_CTA] * us * g.waves +
                  c[D_ROW] * us * a.b * a.l * a.heads * (2 * a.r + a.dr) / 1024 / m->sm;
    double fixed = fixed_seconds(c[D_FIXED], m);
    if (g.splits > 1)
        fixed += us * (c[D_SPLIT0] * fmin(1, 2 * (g.splits - 1)) +
                       c[D_SPLIT] * log2(g.splits));
    double append = a.b * a.l * c[D_TOKEN] * us / m->sm;
    if (a.narrow && !narrow_math(&a, m, c))
        append += a.b * a.s * (a.r + a.dr) / (c[D_CONVERT] * m->sm * m->clock_hz);
    if (part) {
        part[RL_B_COMPUTE] = limit[1];
        part[RL_B_MEMORY] = fmax(limit[0], limit[2]) + append;
        part[RL_B_SERIAL] = ctas;
        part[RL_B_LAUNCH] = above_floor(fixed, c[D_FLOOR], m);
    }
    double t =
        above_floor(fixed + join2(stream, ctas, c[D_JOIN]) + append, c[D_FLOOR], m);
    return rl_ticked(m, t, 1, RL_TICK_ATTENTION);
}
