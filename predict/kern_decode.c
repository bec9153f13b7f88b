/* Kernel model of decode attention: one or a few queries on a cached sequence.
 * Split-KV FlashAttention ("flash-decoding"), FlashAttention-3, flashinfer,
 * TensorRT-LLM's XQA and MMHA, Triton.
 *
 *   t = fixed + (stream^join + ctas^join)^(1/join) + combine + append + copies
 *   stream = p-norm of cache traffic (DRAM, or L2 when a repeated call finds the
 *            cache there), tensor work of the padded row tile, and the rate at
 *            which one CTA alone can read its part
 *   ctas   = time of one CTA and SM × CTAs per SM, and per row of Q and O
 *   combine= partial results of the splits; append = writing the new K and V
 *   copies = FlashAttention-2's of Q and O, where it packs the query group
 *
 * Two kernels hide behind one implementation: a tensor-core one that packs the
 * query group (K and V read once per KV head) and a vector one.  `alt` says for
 * which groups the vector one runs.
 * Ignores: page tables, sequences of different lengths in a batch.
 */
#include "kern_memory.h"
#include "kernels.h"
#include "ops.h"
#include "tick.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    FIXED,
    DRAM,
    L2,
    KEEP,
    CTA,
    CTA_WIDE,
    ROW,
    RATE,
    EFF,
    NORM,
    JOIN,
    SPLIT0,
    SPLIT,
    OCC,
    TOKEN,
    CTA_ALT,
    SIMT,
    TALL,
    FIX64,
    FIX192,
    COPY,
    WALK,
    PACK,
    ROWS,
    CUT,
    ALT,
};

const struct rl_coef rl_kern_attention_decode_coef[] = {
    {"fixed", "us", RL_C_LOG, 7, 1, 40, 0.35, "launches, prologue, epilogue"},
    {"dram", "1", RL_C_DRAM, 0.86, 0.3, 1, 0.15, "DRAM peak reached"},
    {"l2", "1", RL_C_LOG, 1, 0.05, 4, 0.6, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.9, 0.2, 1.3, 0.3, "share of L2 that repeats find"},
    {"cta", "us", RL_C_LOG, 1.8, 0.05, 20, 0.6, "one CTA and SM"},
    {"cta_wide", "1", RL_C_LINEAR, 0.5, -1, 2, 0.4, "its power of head_dim / 128"},
    {"row", "us", RL_C_LOG, 0.05, 0.001, 2, 1, "128 elements of Q and O, one SM"},
    {"rate", "1", RL_C_LOG, 2.5, 0.1, 20, 0.8, "one CTA's stream, in DRAM peak / SMs"},
    {"eff", "1", RL_C_PEAK, 0.5, 0.01, 1, 0.6, "tensor peak in padded tiles"},
    {"norm", "1", RL_C_LOG, 2, 1, 8, 0.4, "1: stream limits add; 8: the largest"},
    {"join", "1", RL_C_LOG, 1.5, 1, 6, 0.4, "1: stream and CTAs add; 6: overlap"},
    {"split0", "us", RL_C_LOG, 1, 0.05, 20, 0.8, "combining splits: fixed"},
    {"split", "us", RL_C_LOG, 0.4, 0.01, 5, 0.8, "and per doubling of splits"},
    {"occ", "1", RL_C_LOG, 2.2, 0.5, 16, 0.5, "CTAs per SM that splitting aims at"},
    {"token", "us", RL_C_LOG, 0.3, 0.005, 10, 1.2, "append of 512 elements of K, one SM"},
    {"cta_alt", "us", RL_C_LOG, 1.3, 0.05, 20, 0.6, "one CTA and SM, vector kernel"},
    {"simt", "1", RL_C_LOG, 10, 0.2, 256, 0.8,
     "vector kernel: elements of K and V per clock and SM"},
    {"tall", "1", RL_C_LOG, 1, 0.2, 6, 0.4, "a CTA of more than 16 rows, in cta"},
    {"fix64", "us", RL_C_LOG, 0.3, 0.01, 20, 1.2, "more launches at head dim 64"},
    {"fix192", "us", RL_C_LOG, 0.4, 0.02, 30, 1.3,
     "more launches at head dim 192, but for pack 2"},
    {"copy", "us", RL_C_LOG, 4, 0.05, 20, 0.7, "pack 2: launches that copy Q and O"},
    {"walk", "us", RL_C_LOG, 0.5, 0.01, 3, 0.7,
     "pack 3: 31 sequences that a CTA walks past"},
    {"pack", "1", RL_C_CHOICE, 1, 0, 3, 0,
     "query group packed: 0 no, 1 yes, 2 without window only, by copies; 3 yes, by "
     "FlashAttention-3's scheduler"},
    {"rows", "1", RL_C_CHOICE, 4, 0, 5, 0,
     "row tile 16 << rows; 4: 16, 64 or 128 by group; 5: 64 at most above head dim 128 "
     "(pack 2: 64)"},
    {"cut", "1", RL_C_CHOICE, 1, 0, 6, 0,
     "keys per split at least: 0 none, 1 128, 2 128, 3 256, 4 256, 5 512; 2 and 3 "
     "count those outside the window; 6: parts as XQA makes them (pack 2: as its "
     "library does)"},
    {"alt", "1", RL_C_CHOICE, 0, 0, 3, 0,
     "vector kernel: 0 never, 1 groups below 4, 2 and 3 TensorRT-LLM's: groups 1 and "
     "above 32, small calls; 4 or 3 blocks of 256 threads an SM"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* Which kernel runs and how XQA cuts its parts are rules of TensorRT-LLM's source, copies
 * and blocks those of FlashAttention-2's, the walk past sequences of the third's. */
double rl_kern_attention_decode_most(const char *runtime, const char *impl, int i)
{
    bool own = rl_begins(runtime, "trtllm");
    const char *library = rl_library_of(impl);
    bool fa3 = library && !strcmp(library, "fa3");
    bool fa2 = library && !strcmp(library, "fa2");
    if (i == ALT && !own)
        return fa3 ? 0 : 1;
    if (i == PACK)
        return fa3 ? 3 : fa2 ? 2 : 1;
    return i == CUT && !own ? 5 : rl_kern_attention_decode_coef[i].max;
}

enum { FA2_ROWS = 64 };
enum { STEEP = 8 }; /* of the step from a set that fits L2 to one that does not */

struct call {
    double b, l, s, heads, kv_heads, d, dv, window, kvb;
    double keys, group; /* keys seen; query heads in one CTA */
    double width;       /* elements of K and V of one key */
    int packed, alt;
    double rows, ctas, splits; /* row tile; CTAs before splitting */
    double waves, at_once;     /* of the vector kernel: blocks in turn, together */
    enum rl_unit unit;
};

/* Does the vector kernel run?  TensorRT-LLM takes it where XQA has no kernel (groups of 1
 * and above 32) or blocks for less than a quarter of the SMs, unless the cache is fp8
 * (decoderXQAImplJIT); on tcgen05 trtllm-gen takes small calls. */
static int runs_vector(const struct call *a, const struct rl_machine *m, const double *c,
                       double group)
{
    if (c[ALT] < 2)
        return c[ALT] == 1 && group < 4;
    double blocks = a->b * a->kv_heads * fmax(1, floor(a->s / 128));
    int small = !rl_has_tcgen05(m) && a->kvb >= 2 && 4 * blocks < m->sm;
    return a->l < 2 && (group < 2 || group > 32 || small);
}

/* Keys of a block: FlashAttention-2's (run_mha_fwd_splitkv_dispatch) by the head, the
 * third's under a window (hopper/tile_size.h) by the cache's format too. */
static double block_keys(const struct call *a, const double *c)
{
    int fp8 = a->kvb < 2;

    if (c[PACK] == 2)
        return a->d <= 64 ? 256 : a->d <= 128 ? 128 : 64;
    if (a->d <= 64 || (a->d <= 128 && fp8))
        return 160;
    return a->d <= 128 || (a->d <= 192 && fp8) ? 128 : a->d <= 192 ? 96 : 64;
}

/* Keys read: all, or from the block on in which the window begins; within a model, whose
 * sequences are of all lengths, half a block before the window.  Of other libraries
 * the place of the blocks is not known: half a block of 96 on either side. */
static double keys_read(const struct call *a, const struct rl_machine *m, const double *c)
{
    enum { ENDS = 96 };
    double first = a->s - a->l - a->window + 1;

    if (a->window <= 0 || first <= 0)
        return a->s;
    if (c[PACK] < 2)
        return fmin(a->s, a->s - first + ENDS);
    double block = block_keys(a, c);
    if (!(m->warm > 0))
        return fmin(a->s, a->s - first + (block - 1) / 2);
    return a->s - block * floor(first / block);
}

static void call_of(const double *p, const struct rl_machine *m, const double *c,
                    struct call *a)
{
    const struct rl_dtype_info *dt = rl_dtype((enum rl_dtype)p[RL_ATT_DTYPE]);
    a->b = p[RL_ATT_BATCH];
    a->l = p[RL_ATT_Q_LEN];
    a->s = p[RL_ATT_KV_LEN];
    a->heads = p[RL_ATT_HEADS];
    a->kv_heads = p[RL_ATT_KV_HEADS];
    a->d = p[RL_ATT_HEAD_DIM];
    a->dv = rl_attention_v_dim(p);
    a->window = p[RL_ATT_WINDOW] > 0 ? p[RL_ATT_WINDOW] + p[RL_ATT_SINK] : 0;
    if (p[RL_ATT_CHUNK] > 0)
        a->window = fmod(a->s - 1, p[RL_ATT_CHUNK]) + 1;
    a->kvb = rl_dtype_bytes((enum rl_dtype)p[RL_ATT_KV_DTYPE]);
    a->keys = keys_read(a, m, c);
    a->unit = dt->act_bytes < 2 ? RL_BF16 : dt->unit;
    double group = a->heads / a->kv_heads;
    a->alt = runs_vector(a, m, c, group);
    a->packed = c[PACK] == 1 || c[PACK] == 3 ||
                (c[PACK] == 2 && a->heads > a->kv_heads && a->window <= 0);
    if (a->alt && c[ALT] >= 2)
        a->packed = 0;
    a->group = a->packed ? group : 1;
    a->width = a->d + a->dv;
}

/* TensorRT-LLM's vector kernel (MMHA), a block per sequence and query head: an SM holds
 * `most` blocks of 256 threads; fewer blocks than that get 512 or 1,024 threads, and
 * where SMs stay idle share the cache, a step of `loop` keys each at least.  Rounded up,
 * so that the shares often need a second wave (decoderMaskedMultiheadAttentionLaunch.h).
 * B200's rows rise without steps: blocks there are taken as they come. */
static void mmha_grid(struct call *a, const struct rl_machine *m, double most)
{
    double wide = a->d <= 64 ? 64 : a->d <= 128 ? 128 : 256;
    double factor = fmin(ceil(most * m->sm / a->ctas), most);
    double threads = factor >= 4 ? 1024 : factor >= 2 ? 512 : 256;
    double at_once = fmax(1, floor(most * 256 / threads)), slots = at_once * m->sm;
    double loop = threads * 64 / wide;
    a->splits = fmax(1, fmin(ceil(slots / a->ctas), ceil((a->s + 1) / loop)));
    if (rl_has_tcgen05(m)) {
        a->waves = fmax(1, a->ctas * a->splits / (most * m->sm));
        a->at_once = fmin(most, fmax(1, a->ctas * a->splits / m->sm));
        return;
    }
    a->waves = ceil(a->ctas * a->splits / slots);
    a->at_once = fmin(at_once, ceil(a->ctas * a->splits / m->sm));
}

/* TensorRT-LLM's tensor-core kernel (XQA): parts of 128 keys, fewer by a square root for
 * the merge's sake, eight waves at most (decoderXQAImplCommon.h). */
static void xqa_grid(struct call *a, const struct rl_machine *m)
{
    double parts = a->s / 128;
    parts = fmin(fmin(parts, sqrt(8 * parts)), 8 * m->sm / a->ctas);
    a->splits = fmax(1, parts);
}

/* FlashAttention-2 splits where CTAs fill less than 0.8 of two an SM, into blocks at
 * least (num_splits_heuristic of its flash_api.cpp). */
static void fa2_grid(struct call *a, const struct rl_machine *m, const double *c)
{
    double slots = 2 * m->sm, block = block_keys(a, c);
    if (a->packed && a->ctas < 0.8 * slots)
        a->splits = fmax(1, fmin(slots / a->ctas, a->s / block));
}

/* CTAs before splitting, and the parts each cache is split into.  But for the vector
 * kernel's they are a real number: what the kernels round differently. */
static void grid_of(struct call *a, const struct rl_machine *m, const double *c)
{
    double rows = a->group * a->l;
    double most = c[ROWS] == 5 && a->d > 128 ? 64 : 128;
    a->rows = c[ROWS] < 4 ? 16 << (int)c[ROWS] : rows > 64 ? most : rows > 16 ? 64 : 16;
    if (c[PACK] == 2)
        a->rows = FA2_ROWS;
    a->ctas = a->b * a->heads / a->group * ceil(rows / a->rows - 1e-9);
    a->splits = a->waves = a->at_once = 1;
    int mmha = a->alt && c[ALT] >= 2;
    if (c[PACK] == 2) {
        fa2_grid(a, m, c);
        return;
    }
    if (!mmha && c[CUT] < 1)
        return;
    double least = c[CUT] < 3 ? 128 : c[CUT] < 5 ? 256 : 512;
    double keys = c[CUT] == 2 || c[CUT] == 3 ? a->s : a->keys;
    if (mmha)
        mmha_grid(a, m, c[ALT] == 2 ? 4 : 3);
    else if (c[CUT] == 6)
        xqa_grid(a, m);
    else
        a->splits = fmax(1, fmin(c[OCC] * m->sm / a->ctas, keys / least));
}

/* How much of a set that is walked again and again does not fit: least recently used
 * lines of a cyclic scan lose all of one that is a little too large. */
static double too_large(double set, double room)
{
    return fmin(1, fmax(0, (set / room - 1) * STEEP));
}

/* FlashAttention-2 walks all sequences for one query head, then for the next (its grid's
 * z): without packing a group reads its keys together only as far as those of one head of
 * the whole batch fit L2. */
static double fa2_again(const struct call *a, const struct rl_machine *m, const double *c)
{
    if (c[PACK] != 2 || a->packed || m->l2_bytes <= 0)
        return 1;
    double head = a->b * a->keys * a->width * a->kvb;
    double gone = too_large(head, c[KEEP] * m->l2_bytes);
    double group = a->heads / a->kv_heads, beside = fmax(1, m->sm / a->b);
    return 1 + gone * (fmax(1, group / beside) - 1);
}

/* Cache traffic.  Repeated calls find a cache that fits L2. */
static double cache_seconds(const struct call *a, const struct rl_machine *m,
                            const double *c)
{
    double row = a->keys * a->width * a->kvb;
    double bytes = a->b * a->kv_heads * row * fa2_again(a, m, c);
    double rows = a->b * a->l * a->heads * (a->d + a->dv) * 2;
    double set = bytes + rows;
    double room = c[KEEP] * m->warm * m->l2_bytes;
    double miss = room > 0 ? too_large(set, room) : 1;
    return fmax(a->ctas * row / (c[L2] * m->l2_bw),
                miss * set / (c[DRAM] * m->dram_peak));
}

/* Tensor work in padded tiles and the stream of one CTA alone; or, of the
 * vector kernel, its element rate: that one always spreads over the SMs. */
static void cta_seconds(const struct call *a, const struct rl_machine *m, const double *c,
                        double *compute, double *alone)
{
    double elements = a->keys * a->width, part = elements / a->splits;
    if (c[CUT] == 6 && !a->alt) /* cut without regard to the window */
        part = fmin(elements, a->s * a->width / a->splits);
    *alone = a->waves * part * a->kvb * m->sm / (c[RATE] * m->dram_peak);
    if (a->alt && c[ALT] == 1) {
        double busy = fmin(m->sm, a->ctas * fmax(1, a->keys / 256));
        *compute = a->ctas * a->group * elements / (c[SIMT] * m->clock_hz * busy);
        *alone = 0;
        return;
    }
    if (a->alt) {
        *compute = a->waves * a->at_once * part / (c[SIMT] * m->clock_hz);
        return;
    }
    *compute = a->ctas * a->rows * elements * 2 / (c[EFF] * m->peak[a->unit]);
}

/* What CTAs cost beside streaming.  A wave of the vector kernel's costs the same
 * whatever its blocks, and that kernel needs a launch less (it rotates and appends by
 * itself): half a wave.  flashinfer's one shares a CTA among the group. */
static double launch_seconds(const struct call *a, const struct rl_machine *m,
                             const double *c)
{
    int tall = !a->alt && a->group * a->l > 16;
    double wide = tall && c[ROWS] == 5 ? 1 : pow(a->d / 128, c[CTA_WIDE]);
    double one = a->alt ? c[CTA_ALT] * wide : c[CTA] * wide * (tall ? c[TALL] : 1);
    if (c[ALT] == 1 && a->alt)
        one /= a->group;
    double per = fmax(1, a->ctas * a->splits / m->sm), us = rl_kern_us(m);
    if (a->alt && c[ALT] >= 2)
        per = 4 * a->waves - 2;
    return one * us * per + c[ROW] * us * a->b * a->l * a->heads * a->d / 128 / m->sm;
}

/* FlashAttention-2 packs a group by copying Q, and O back: each read and written once,
 * in L2 as far as it fits. */
static double copy_seconds(const struct call *a, const struct rl_machine *m,
                           const double *c)
{
    double bytes = 2 * a->b * a->l * a->heads * (a->d + a->dv) * 2;
    double miss = rl_kern_miss_excess(m, bytes, c[KEEP], 2);
    return bytes / (c[L2] * m->l2_bw) + miss * bytes / (c[DRAM] * m->dram_peak);
}

/* FlashAttention-3's persistent CTAs find their work by walking past all sequences, 31 at
 * a time; above 992 of them no parts of a cache are counted, which halves a step
 * (hopper/tile_scheduler.hpp).  No row lies between 512 and 992: flat there. */
static double walk_us(const struct call *a, const double *c)
{
    enum { AT_ONCE = 31, COUNTED = 992 };
    return c[WALK] * fmax(fmin(a->b, COUNTED / 2), a->b / 2) / AT_ONCE;
}

static double p_norm3(double x, double y, double z, double n)
{
    return pow(pow(x, n) + pow(y, n) + pow(z, n), 1 / n);
}

double rl_kern_attention_decode_time(const double *p, const struct rl_machine *m,
                                     const double *c, double part[RL_NBOUNDS])
{
    struct call a;
    double compute, alone;
    call_of(p, m, c, &a);
    grid_of(&a, m, c);
    double us = rl_kern_us(m), cache = cache_seconds(&a, m, c);
    cta_seconds(&a, m, c, &compute, &alone);
    double ctas = launch_seconds(&a, m, c);
    double stream = p_norm3(cache, compute, alone, c[NORM]);
    double fixed = c[FIXED];
    if (a.d <= 64)
        fixed += c[FIX64];
    if (a.d > 128 && a.d <= 192 && c[PACK] != 2)
        fixed += c[FIX192];
    if (a.splits > 1)
        fixed += c[SPLIT0] * fmin(1, 2 * (a.splits - 1)) + c[SPLIT] * log2(a.splits);
    if (c[PACK] == 3)
        fixed += walk_us(&a, c);
    double copies = 0;
    if (c[PACK] == 2 && a.packed && a.b > 1 && a.kv_heads > 1) {
        fixed += c[COPY];
        copies = copy_seconds(&a, m, c);
    }
    double append = a.b * a.l * fmin(1, a.kv_heads * a.d / 512) * c[TOKEN] * us / m->sm;
    if (part) {
        part[RL_B_COMPUTE] = compute;
        part[RL_B_MEMORY] = fmax(cache, alone) + copies;
        part[RL_B_LAUNCH] = fixed * us + append;
        part[RL_B_SERIAL] = ctas;
    }
    double t = fixed * us + append + copies +
               pow(pow(stream, c[JOIN]) + pow(ctas, c[JOIN]), 1 / c[JOIN]);
    return rl_ticked(m, t, 1, RL_TICK_ATTENTION);
}
