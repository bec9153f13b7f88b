/* Kernel model of prefill attention: FlashAttention-2 (arXiv 2307.08691),
 * FlashAttention-3 (arXiv 2407.08608), flashinfer, TensorRT-LLM's FMHA, Triton.
 *
 *   t = fixed + (core^join + memory^join)^(1/join) + glue + merge
 *   core   = tiles·t_tile/SMs + CTAs·cta/SMs + lone·(longest CTA), or the cubic
 *            mean of throughput and longest CTA where a persistent grid balances
 *   t_tile = rows·keys·(2(d + dv)/(eff·peak per SM) + exp) + loading its K and V
 *   memory = Q, O, K and V once, from L2 as far as repeated calls find them
 *   glue   = scattering new K and V into pages: per token, or per byte
 *   merge  = joining the parts of a cache that several CTAs shared
 *
 * A query block of `rows` rows (tokens, or tokens × group where the group is
 * packed) walks the key blocks that mask and window leave; a closed form counts
 * them.  Ignores: page gathering of K and V, the clock falling under load.
 */
#include "kern_root.h"
#include "kernels.h"
#include "ops.h"
#include "tick.h"

#include <math.h>

enum {
    FIXED,
    EFF,
    EFF64,
    EFF192,
    EFF256,
    EFF512,
    EXP,
    LOAD,
    LONE,
    CTA,
    L2,
    KEEP,
    DRAM,
    JOIN,
    KV,
    TOKEN,
    SKIP,
    WINDOW,
    EXTRA,
    FIX192,
    TILE,
    PACK,
    SCHED,
    GLUE,
};

const struct rl_coef rl_kern_attention_prefill_coef[] = {
    {"fixed", "us", RL_C_LOG, 9, 1, 40, 0.35, "launches, prologue, epilogue"},
    {"eff", "1", RL_C_PEAK, 0.8, 0.1, 1, 0.3, "tensor peak of a tile of head dim 128"},
    {"eff64", "1", RL_C_LOG, 0.85, 0.4, 1.5, 0.25, "the same relative, head dim to 64"},
    {"eff192", "1", RL_C_LOG, 0.8, 0.1, 2, 0.3, "relative, head dim 129 to 192"},
    {"eff256", "1", RL_C_LOG, 0.9, 0.1, 1.5, 0.3, "relative, head dim 193 to 256"},
    {"eff512", "1", RL_C_LOG, 0.7, 0.1, 2, 0.4, "relative, head dim above 256"},
    {"exp", "1", RL_C_LOG, 0.8, 0.1, 6, 0.4, "exp not hidden, at the unit's rate"},
    {"load", "1", RL_C_LOG, 0.3, 0.02, 3, 0.8, "K and V of a tile not hidden, L2 rate"},
    {"lone", "1", RL_C_LOG, 0.6, 0.1, 4, 0.5, "longest CTA not hidden"},
    {"cta", "us", RL_C_LOG, 1.5, 0.05, 10, 0.7, "one CTA and SM"},
    {"l2", "1", RL_C_LOG, 1, 0.05, 4, 0.6, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.4, 0.05, 2, 0.6, "share of L2 that repeats find"},
    {"dram", "1", RL_C_DRAM, 0.85, 0.2, 1, 0.2, "DRAM peak reached"},
    {"join", "1", RL_C_LOG, 1.6, 1, 6, 0.5, "1: compute and memory add; 6: overlap"},
    {"kv", "1", RL_C_LOG, 2, 0.1, 20, 0.7, "passes over new K and V beside attention"},
    {"token", "us", RL_C_LOG, 0.2, 0.005, 10, 1, "scatter of one token and SM"},
    {"skip", "1", RL_C_LOG, 0.01, 1e-4, 12, 2, "mask of a tile under a window, in exp"},
    {"window", "1", RL_C_LOG, 1.05, 0.9, 8, 0.4, "tile time relative at a window's edge"},
    {"extra", "us", RL_C_LOG, 0.3, 0.01, 20, 1.2,
     "merge of a row and SM (sched 2); copies at one query (pack 2); window set-up"},
    {"fix192", "us", RL_C_LOG, 0.3, 0.02, 30, 1.5, "more launches at head dim 192"},
    {"tile", "1", RL_C_CHOICE, 4, 0, 15, 0, "rows × keys of a tile, see tile_shape"},
    {"pack", "1", RL_C_CHOICE, 0, 0, 2, 0,
     "query group packed into rows: 0 no, 1 yes, 2 at one query without window"},
    {"sched", "1", RL_C_CHOICE, 0, 0, 4, 0,
     "0 plain, 1 splits keys, 2 splits and merges, 3 balanced, 4 balanced and splits"},
    {"glue", "1", RL_C_CHOICE, 0, 0, 3, 0,
     "token cost 0 flat, 1 by width of K; +2: Q is copied too"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* One call, unpacked. */
struct call {
    double b, l, s, heads, kv_heads, d, dv, window, chunk;
    double qb, kvb; /* bytes of a query and of a cache element */
    int causal;
    enum rl_unit unit;
};

static void call_of(const double *p, struct call *a)
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
    a->chunk = p[RL_ATT_CHUNK];
    a->causal = p[RL_ATT_CAUSAL] > 0;
    a->qb = dt->act_bytes;
    a->kvb = rl_dtype_bytes((enum rl_dtype)p[RL_ATT_KV_DTYPE]);
    a->unit = dt->unit;
}

/* Tiles of the kernels: rows of queries × keys.  rows 0: 128, 64 or 16, what
 * the rows of one sequence fill (flashinfer); keys < 0: so many KiB elements of
 * K (the tile shrinks with the head dim). */
static const struct {
    short rows, keys;
} tile_menu[] = {{64, 64},   {64, 128},  {128, 32}, {128, 64}, {128, 128}, {192, 128},
                 {256, 128}, {256, 64},  {0, 64},   {0, 128},  {0, -4},    {0, -8},
                 {128, -8},  {128, -16}, {64, -8},  {192, -16}};

static void tile_shape(double choice, double rows, double d, double *bm, double *bn)
{
    int i = (int)choice;
    *bm = tile_menu[i].rows;
    *bn = tile_menu[i].keys;
    if (*bm <= 0)
        *bm = rows > 64 ? 128 : rows > 16 ? 64 : 16;
    if (*bn < 0)
        *bn = fmax(16, -1024 * *bn / d);
}

static double gcd(double a, double b)
{
    a = floor(a);
    if (a < 1)
        return 1;
    while (b > 0) {
        double t = fmod(a, b);
        a = b;
        b = t;
    }
    return a;
}

/* Key blocks walked by all query blocks of one head. */
struct tiles {
    double n;             /* query blocks */
    double all, longest;  /* key blocks computed: in total, by the last block */
    double skip, skipmax; /* key blocks outside the window, causal ones only */
};

/* Blocks of q queries, keys in blocks of bn; `part` is what the mean block end
 * sticks out of the mask when q and bn do not divide each other. */
static void count_tiles(const struct call *a, double q, double bn, struct tiles *t)
{
    double prefix = a->s - a->l, n = ceil(a->l / q - 1e-9), g = gcd(q, bn) / bn;
    double part = (1 - g) / 2, full = ceil(a->s / bn);
    double causal = (n * prefix + q * n * (n + 1) / 2) / bn + n * part;
    t->n = n;
    t->skip = t->skipmax = 0;
    t->longest = full;
    t->all = fmin(a->causal ? causal : n * full, n * full);
    double w = a->window > 0 ? a->window : a->s;
    if (a->chunk > 0) {
        double pairs = rl_attention_pairs(a->l, a->s, 0, a->chunk, 1);
        t->all = fmin(t->all, pairs / (q * bn) + n * ((q - 1) / (2 * bn) + part));
        w = a->chunk;
    } else if (w + q < a->s) {
        double early = fmax(0, fmin(n, floor((w + q - prefix) / q)));
        double wide = (w + q - 1) / bn + 1 - g, before = t->all;
        t->all = (early * prefix + q * early * (early + 1) / 2) / bn + early * part +
                 (n - early) * wide;
        t->all = fmin(t->all, before);
        t->skip = before - t->all;
    }
    t->longest = fmin(full, (w + q - 1) / bn + 1 - g);
    if (t->skip > 0)
        t->skipmax = full - t->longest;
    t->all = fmax(t->all, n);
}

static double efficiency(const double *c, double d)
{
    double rel = d <= 64    ? c[EFF64]
                 : d <= 128 ? 1
                 : d <= 192 ? c[EFF192]
                 : d <= 256 ? c[EFF256]
                            : c[EFF512];
    return fmin(c[EFF] * rel, 1);
}

/* Keys are shared among CTAs that would leave SMs idle: the longest shrinks.
 * sched 2 (flashinfer) makes parts of 128 keys at least and then merges every
 * row.  Returns the seconds of the merge. */
static double split_keys(const struct call *a, const struct rl_machine *m,
                         const double *c, double ctas, double q, struct tiles *t)
{
    enum { TWO_PER_SM = 2, MIN_KEYS = 128, MOST = 16 };
    if ((c[SCHED] == 1 || c[SCHED] == 4) && ctas < m->sm)
        t->longest = fmax(1, t->longest * fmax(ctas / m->sm, 1.0 / MOST));
    if (c[SCHED] != 2 || a->l <= 1)
        return 0;
    double keys = a->window > 0 ? fmin(a->s, a->window + q) : a->s;
    double parts = fmin(floor(TWO_PER_SM * m->sm / ctas), ceil(keys / MIN_KEYS));
    if (parts < 2)
        return 0;
    t->longest = fmax(1, t->longest / parts);
    return a->b * a->l * a->heads * c[EXTRA] * rl_kern_us(m) / m->sm;
}

/* Keys: so wide a window is a chunk of its own to the libraries, set up and masked
 * as a sequence is. */
enum { NARROW = 8192 };
/* Power of 128 / d: how many CTAs would share an SM, and so how far from filling it one
 * alone is.  0.7 serves eight entries of five libraries better than 0 and 1. */
static const double ALONE = 0.7;

/* Compute side: seconds of all tiles on all SMs. */
static double core_seconds(const struct call *a, const struct rl_machine *m,
                           const double *c, double part[2], double *merge)
{
    int packed = c[PACK] == 1 || (c[PACK] == 2 && a->l <= 1 && a->window <= 0);
    double group = packed ? a->heads / a->kv_heads : 1, heads = a->b * a->heads / group;
    double bm, bn;
    struct tiles t;
    tile_shape(c[TILE], a->l * group, a->d, &bm, &bn);
    count_tiles(a, bm / group, bn, &t);
    double ctas = heads * t.n;
    *merge = split_keys(a, m, c, ctas, bm / group, &t);
    double exp_s = bm * bn * m->sm / m->sfu;
    double slow = rl_slow(m, a->unit), flop = bm * bn * 2 * (a->d + a->dv) * m->sm;
    double tile = flop / (efficiency(c, a->d) * m->peak[a->unit] * slow) +
                  c[EXP] * exp_s +
                  c[LOAD] * bn * (a->d + a->dv) * a->kvb * m->sm / m->l2_bw;
    if (slow > 1)
        tile = rl_behind_tensor(tile, flop / rl_pipe(m, a->unit), slow);
    double skipped = c[SKIP] * exp_s; /* the mask, evaluated for every tile walked */
    if (a->window > 0) {
        double edge = (bm / group + bn) / (a->window + bm / group + bn);
        if (a->window >= a->s)
            edge = 0;
        tile *= 1 + (c[WINDOW] - 1) * edge;
        if (a->window < NARROW)
            tile += skipped;
    }
    double body =
        (heads * (t.all * tile + t.skip * skipped) + ctas * c[CTA] * rl_kern_us(m)) /
        m->sm;
    double lone =
        c[LONE] * pow(128 / a->d, ALONE) * (t.longest * tile + t.skipmax * skipped);
    part[0] = body;
    part[1] = lone;
    if (c[SCHED] >= 3)
        return cbrt(body * body * body + lone * lone * lone);
    return body + lone;
}

/* Memory side, and the kernels around attention. */
static double memory_seconds(const struct call *a, const struct rl_machine *m,
                             const double *c, double *glue)
{
    double q = a->b * a->l * a->heads * a->d * a->qb;
    double o = a->b * a->l * a->heads * a->dv * 2;
    double row = a->b * a->kv_heads * (a->d + a->dv) * a->kvb; /* K and V, one token */
    double keys = a->window > 0 ? fmin(a->s, a->l - 1 + a->window) : a->s;
    double set = q + o + 2 * row * keys;
    double miss = fmax(0, 1 - c[KEEP] * m->warm * m->l2_bytes / set);
    double per_byte = 1 / (c[L2] * m->l2_bw) + miss / (c[DRAM] * m->dram_peak);
    double width = (int)c[GLUE] & 1 ? fmin(a->kv_heads * a->d, 512) / 512 : 1;
    double token = a->b * a->l * width * c[TOKEN] * rl_kern_us(m) / m->sm;
    double pass = c[KV] * row * a->l * per_byte;
    if (c[GLUE] >= 2)
        pass += 2 * q * per_byte;
    *glue = fmax(pass, token);
    if (c[PACK] == 2 && a->l <= 1 && a->heads > a->kv_heads && a->b > 1 &&
        a->kv_heads > 1 && a->window <= 0)
        *glue += c[EXTRA] * rl_kern_us(m);
    return (q + o + row * keys) * per_byte;
}

double rl_kern_attention_prefill_time(const double *p, const struct rl_machine *m,
                                      const double *c, double part[RL_NBOUNDS])
{
    struct call a;
    double glue, merge, core[2];
    call_of(p, &a);
    double busy = core_seconds(&a, m, c, core, &merge);
    double memory = memory_seconds(&a, m, c, &glue);
    double us = rl_kern_us(m);
    double fixed = c[FIXED] + (a.d > 128 && a.d <= 192 ? c[FIX192] : 0);
    if (a.window > 0 && a.window < NARROW && c[SCHED] != 2 && c[PACK] != 2)
        fixed += c[EXTRA];
    if (part) {
        part[RL_B_COMPUTE] = core[0];
        part[RL_B_SERIAL] = core[1];
        part[RL_B_MEMORY] = memory + glue;
        part[RL_B_LAUNCH] = fixed * us;
    }
    double t = fixed * us + merge + glue +
               pow(pow(busy, c[JOIN]) + pow(memory, c[JOIN]), 1 / c[JOIN]);
    return rl_ticked(m, t, 1, RL_TICK_ATTENTION);
}
