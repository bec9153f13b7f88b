/* Kernel model of GEMM, Y[m,n] = X[m,k]·W[k,n].
 *
 * Of the tiles that the library picks from (gemm_tiles.c) and the splits of k,
 * the fastest:
 *
 *   t = fixed + (tensor³ + l2³ + dram³ + few³ + chain³)^(1/3) + reduction
 *
 *   tensor  waves of CTAs, each a·b·k multiply-adds at the rate of one SM, less
 *           for small tiles (a·b + tile·(a + b)), its pipeline's fill, and its
 *           output written after the main loop, of which the next CTA on that SM
 *           may hide a part
 *   l2      the operands that the CTAs read from L2, at its whole rate or, where few
 *           of them read, at what the ports of their SMs move; rows beyond m and
 *           columns beyond n are computed but not read, and what the CTAs of a
 *           cluster have in common is read once
 *   dram    compulsory bytes that L2 does not hold, operands slower where a CTA's
 *           k is so short that its first loads count
 *   few     the same where too few CTAs ask to keep DRAM busy
 *   chain   k steps of one CTA one after another, whatever the tile
 *
 * plus quantising the activations where the weights' format asks for it, which
 * the measured operator contains.  The cubes join ceilings: a kernel near two of
 * them is slower than either (a hard maximum fits worse, docs/calibration.md).
 *
 * A kernel known to be persistent keeps its CTAs on their SMs: its pipeline runs on from
 * tile to tile, so that of chain and a tile's multiply-adds the longer counts, all SMs
 * together reach the sustained rate and not the peak, and few comes after dram, the last
 * CTAs' loads after everybody's.
 *
 * Measured rows replay the operator in a CUDA graph (aiconfigurator
 * collector/STACK/collect_gemm.py): vLLM's with six layers of their own weights
 * over one input, SGLang's with six inputs too, TensorRT-LLM's with as many
 * weights as fill the L2 but five at most.  What comes between two uses of an
 * operand decides whether L2 still holds it.  With machine->warm 0 the weights
 * come from DRAM.
 *
 * Ignores: order of the CTAs (DRAM is charged once), power limits but for that
 * rate and one slow-down in long compute, and how well the library really chooses, but
 * for one thing: see splits_k, cuBLAS leaves k whole up to 2²¹ multiply-adds, where a
 * split would be up to seven times as fast.  That is left out within a model (warm 0),
 * where more rows would come out faster.
 */
#include "gemm_tiles.h"
#include "kern_root.h"
#include "kernels.h"
#include "ops.h"

#include <math.h>
#include <string.h>

enum {
    FIXED,
    EFF,
    TILE,
    CHAIN,
    RAMP,
    EPILOGUE,
    DRAM,
    FEW,
    FILL,
    L2,
    KEEP,
    KEEP_SHARP,
    REDUCE,
    REDUCE_BW,
    CLOCK,
    WAVE,
    EXPOSED,
    QUANT_BW,
    QUANT_ROW,
    QUANT_CTA,
    FLOOR,
    STACK
};

/* What a library picks from, and how its benchmark takes operands in turn: sets of
 * weights and inputs in memory, one a call; `fill`: no more weights than fill L2. */
static const struct stack {
    enum rl_gemm_menu menu;
    double weights, inputs;
    bool fill;
    double pack; /* rows of a CTA of its quantising kernel, see rounds(); 0: unknown */
} stacks[] = {
    {RL_GEMM_SPLIT, 6, 1, false, 0},   /* vLLM */
    {RL_GEMM_SPLIT, 6, 6, false, 0},   /* SGLang */
    {RL_GEMM_SPLIT, 5, 1, true, 0},    /* TensorRT-LLM */
    {RL_GEMM_UNSPLIT, 6, 1, false, 0}, /* the same three, k whole */
    {RL_GEMM_UNSPLIT, 6, 6, false, 0}, {RL_GEMM_UNSPLIT, 5, 1, true, 0},
    {RL_GEMM_UNSPLIT, 1, 1, false, 0}, /* vLLM, block fp8 and nvfp4 */
    {RL_GEMM_SGL, 6, 6, false, 8},     /* fp8 */
    {RL_GEMM_VLLM, 6, 1, false, 1},    /* fp8 */
};
enum { NSTACKS = sizeof stacks / sizeof *stacks };

/* Which row of stacks[] it is follows the stack, and for fp8 the name of its kernel. */
double rl_kern_gemm_known(const char *runtime, const char *impl, enum rl_dtype dtype,
                          int i)
{
    static const struct {
        const char *runtime, *impl;
        bool fp8;
        int stack;
    } rows[] = {{"vllm", "", false, 0},
                {"sglang", "", false, 1},
                {"trtllm", "", false, 2},
                {"sglang", "sglang_sgl_kernel_fp8", true, 7},
                {"vllm", "CutlassFP8ScaledMM", true, 8}};
    bool fp8 = dtype == RL_DT_FP8, halves = dtype == RL_DT_BF16 || dtype == RL_DT_FP16;
    for (size_t k = 0; (fp8 || halves) && k < sizeof rows / sizeof *rows; k++)
        if (rows[k].fp8 == fp8 &&
            !strncmp(runtime, rows[k].runtime, strlen(rows[k].runtime)) &&
            !strncmp(impl, rows[k].impl, strlen(rows[k].impl)))
            return rows[k].stack;
    return NAN;
}

const struct rl_coef rl_kern_gemm_coef[] = {
    {"fixed", "us", RL_C_LOG, 2.8, 0.3, 20, 0.5, "launches and the first loads"},
    {"eff", "1", RL_C_PEAK, 1.05, 0.2, 1.2, 0.15, "tensor peak reached by a large tile"},
    {"tile", "1", RL_C_LOG, 5, 0.5, 100, 0.7, "ab/(a+b) at which a tile reaches half"},
    {"chain", "us", RL_C_LOG, 2.5, 0.05, 10, 0.7, "1024 dependent k steps of one CTA"},
    {"ramp", "us", RL_C_LOG, 0.2, 0.01, 5, 0.8, "filling the pipeline, each wave"},
    {"epilogue", "1", RL_C_LOG, 1.7, 0.05, 20, 0.7, "output bytes over the L2 rate"},
    {"dram", "1", RL_C_DRAM, 0.82, 0.35, 1, 0.1, "DRAM peak reached"},
    {"few", "1", RL_C_LOG, 3, 0.1, 20, 0.6, "share of DRAM rate of one CTA per SM"},
    {"fill", "1", RL_C_LOG, 100, 1, 3000, 1, "k steps that a CTA's first loads take"},
    {"l2", "1", RL_C_LOG, 0.9, 0.05, 6, 0.5, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.8, 0.1, 2, 0.4, "share of L2 that a replay finds again"},
    {"keep_sharp", "1", RL_C_LOG, 10, 1, 60, 0.5, "sharpness of that boundary"},
    {"reduce", "us", RL_C_LOG, 2.5, 0.05, 10, 0.5, "adding the parts of a split k"},
    {"reduce_bw", "1", RL_C_LOG, 0.7, 0.05, 20, 0.7, "its bytes over the L2 rate"},
    {"clock", "1", RL_C_LOG, 0.1, 0.005, 1, 0.8, "slow-down of compute beyond 1 ms"},
    {"wave", "1", RL_C_LINEAR, 0.8, 0, 1, 0.3, "1: whole waves; 0: work shared evenly"},
    {"exposed", "1", RL_C_LINEAR, 0.8, 0, 1, 0.3, "share of ramp and output not hidden"},
    {"quant_bw", "1", RL_C_LOG, 1.6, 0.1, 30, 0.7, "quantising: 3 bytes over DRAM rate"},
    {"quant_row", "us", RL_C_LOG, 0.1, 0.005, 10, 1, "quantising 1024 of one row"},
    {"quant_cta", "us", RL_C_LOG, 0.2, 0.005, 10, 1, "quantising one row on each SM"},
    {"floor", "us", RL_C_LOG, 0.8, 0.5, 600, 1.2, "host time of a launch (no graph)"},
    {"stack", "1", RL_C_CHOICE, 0, 0, NSTACKS - 1, 0,
     "menu and benchmark: row of stacks[]"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

static const double splits[] = {1, 2, 3, 4, 6, 8, 16, 32, 64};
enum { NSPLITS = sizeof splits / sizeof *splits };
static const double SPLIT_CTAS = 4;   /* no split beyond so many CTAs per SM */
static const double OUT_BYTES = 2;    /* Y in 16 bits */
static const double IN_BYTES = 2;     /* X before it is quantised */
static const double PART_BYTES = 4;   /* partial sums in fp32 */
static const double LARGE = 16384;    /* a·b above which the epilogue spills */
static const double THERMAL_S = 1e-3; /* until the clock has dropped */
static const double SMALL = 2097152;  /* m·n·k up to which cuBLAS leaves k whole */
/* Bytes a clock that an SM takes from L2, and by TMA, as wgmma and tcgen05 kernels load:
 * of the powers of two those that fit shapes left out (docs/calibration.md). */
static const double PORT = 64, PORT_TMA = 128;
/* Quantising: elements of a warp's vectors of 16, warps that an SM issues at once. */
static const double WARP = 512, SCHEDULERS = 4;
/* SMs of a full GPC of wgmma and tcgen05 parts (CUTLASS tile_scheduler_params.h). */
static const double GPC = 18;
static const double US = 1e-6;

/* One call on one machine, reduced to what the search needs. */
struct gemm {
    double m, n, k, k_step;  /* k padded to the main loop's step */
    double wb, xb;           /* bytes of an element */
    double sm, per_sm;       /* SMs; 1 / SMs */
    double fma_s, pipe_s;    /* seconds of k multiply-adds of one SM; sustained */
    double slow;             /* rl_machine.slow */
    double l2_s;             /* seconds of k bytes of one SM, all of them reading */
    double port;             /* of that, what it takes alone */
    int cluster;             /* CTAs of one that the library chose; 0: see the tile */
    bool ragged;             /* see part_of */
    double epilogue_s;       /* of one byte */
    double ramp_s;           /* per wave */
    double dram_s, few_s;    /* all bytes; the same with one CTA per SM */
    double dram3, chain_s;   /* cube of dram_s; seconds of k steps */
    double in_s;             /* of dram_s, the operands */
    double reduce_s, part_s; /* fixed; per part */
    const double *c;
};

static double cube(double x)
{
    return x * x * x;
}

/* ceil() of a count, 1e-9 of it rounding; inlined, where libm's is a call. */
static double whole(double x)
{
    double floor_ = (double)(long long)x;
    return floor_ < x - 1e-9 * x ? floor_ + 1 : floor_;
}

/* Share of a working set that a cache does not hold: rises smoothly about its
 * size, since L2 replaces lines at random rather than in order. */
static double miss(double set, double room, double sharp)
{
    double x = pow(set / room, sharp);
    return isfinite(x) ? x / (1 + x) : 1;
}

static bool quantises(const struct rl_dtype_info *dt)
{
    return !dt->weight_only && (dt->unit == RL_FP8 || dt->unit == RL_INT8 ||
                                dt->unit == RL_FP4 || dt->unit == RL_INT4);
}

/* Sets g->dram_s and g->in_s; returns the share of X that L2 does not hold. */
static double dram(struct gemm *g, const struct rl_machine *mc, double k,
                   double read_bytes, const double *c)
{
    const struct stack *in = &stacks[(int)c[STACK]];
    double w = g->n * k * g->wb, x = g->m * k * g->xb, y = g->m * g->n * OUT_BYTES;
    double held = x + g->m * k * read_bytes; /* X as it is and quantised */
    double room = c[KEEP] * mc->l2_bytes + 1, once = w + held + y;
    double all = in->weights, ymiss = miss(once, room, c[KEEP_SHARP]);
    double wmiss = 1, xmiss = ymiss;
    if (mc->warm > 0) {
        if (in->fill)
            all = fmin(all, whole(mc->l2_bytes / w));
        double between = in->inputs > 1 ? all * (w + held) + y : all * w + held + y;
        wmiss = miss(between, room, c[KEEP_SHARP]);
        xmiss = in->inputs > 1 ? wmiss : ymiss;
    }
    double bw = c[DRAM] * mc->dram_peak;
    g->in_s = (w * wmiss + x * xmiss) / bw;
    g->dram_s = g->in_s + y * ymiss / bw;
    return xmiss;
}

static void prepare(struct gemm *g, const struct rl_machine *mc,
                    const struct rl_dtype_info *dt, const double *c)
{
    g->sm = mc->sm;
    g->per_sm = 1 / mc->sm;
    g->slow = rl_slow(mc, dt->unit);
    g->fma_s = g->k * 2 * mc->sm / (mc->peak[dt->unit] * g->slow * c[EFF]);
    g->pipe_s = g->k * 2 * mc->sm / rl_pipe(mc, dt->unit);
    g->l2_s = g->k * mc->sm / (c[L2] * mc->l2_bw);
    double port = rl_gemm_fine(mc->cc) ? PORT_TMA : PORT;
    g->port = c[L2] * mc->l2_bw / (mc->sm * port * mc->clock_hz);
    g->epilogue_s = c[EPILOGUE] * mc->sm / mc->l2_bw;
    g->ramp_s = c[RAMP] * US;
    g->chain_s = g->k * c[CHAIN] * US / 1024;
    g->few_s = g->dram_s / c[FEW];
    g->dram3 = cube(g->dram_s);
    g->reduce_s = c[REDUCE] * US;
    g->part_s = c[REDUCE_BW] * g->m * g->n * PART_BYTES / mc->l2_bw;
    g->c = c;
}

/* A tile on this call: what each of its SMs has to do, k whole. */
struct part {
    double per_sm;    /* CTAs per SM */
    double area;      /* of the tile */
    double fma, load; /* s of one CTA: multiply-adds, operands from L2 */
    double once;      /* s per wave */
    double few;       /* s of the DRAM traffic that so few CTAs ask for */
    double least;     /* cube of seconds: no split is faster */
    bool persistent;
};

struct best {
    double seconds, tensor, l2;
    double core3, reduce; /* cube of what an SM does; s of adding up k's parts */
    double pipe;          /* s of its multiply-adds alone, at the sustained rate */
};

/* Bytes of one k that a CTA reads from L2 itself; its neighbours in the cluster give it
 * the rest. */
static double read_bytes(const struct gemm *g, const struct rl_gemm_tile *t, double rows,
                         double cols)
{
    double x = rows * g->xb, w = cols * g->wb;
    if (g->cluster == 0)
        return x / t->cn + w / t->cm;
    double half_x = g->n > t->b ? x / 2 : x, half_w = g->m > t->a ? w / 2 : w;
    return g->cluster > 2 ? half_x + half_w : fmin(x + half_w, half_x + w);
}

/* SMs that clusters of `ctas` fill, one CTA each: a cluster stays within a GPC, so that
 * clusters of four leave 16 of B200's 148 SMs idle. */
static double usable(double sm, double ctas)
{
    double rest = fmod(sm, GPC), idle = (sm - rest) / GPC * fmod(GPC, ctas);
    return sm > ctas ? sm - idle - fmod(rest, ctas) : sm;
}

/* On Hopper a last row of clusters that m does not fill takes twice as long (measured,
 * vLLM and SGLang with the same kernel: 1281 × 10240 × 5120 200.9 us, 1536 × 10240 × 5120
 * 140.9; why, is not known).  It makes 512 rows faster than 511, so it is left out
 * within a model. */
static struct part part_of(const struct gemm *g, const struct rl_gemm_tile *t)
{
    double area = t->a * t->b, spill = area > LARGE ? area * (1 / LARGE) : 1;
    double rows = t->a < g->m ? t->a : g->m, cols = t->b < g->n ? t->b : g->n;
    double high = whole(g->m / (t->a * t->cm));
    if (g->ragged && t->persistent && high > 1 && high * t->a * t->cm > g->m)
        high++;
    double per_sm = t->cm * high * t->cn * whole(g->n / (t->b * t->cn)) /
                    usable(g->sm, t->cm * t->cn);
    struct part p = {
        .per_sm = per_sm,
        .area = area,
        .fma = g->fma_s * (area + g->c[TILE] * (t->a + t->b)),
        .load = g->l2_s * read_bytes(g, t, rows, cols),
        .once = g->ramp_s + g->epilogue_s * OUT_BYTES * spill * rows * cols,
        .few = g->few_s / per_sm,
        .persistent = t->persistent,
    };
    double chain = t->persistent ? 0 : g->chain_s;
    p.least = cube(per_sm) * (cube(p.fma) + cube(p.load) + cube(chain)) + g->dram3;
    return p;
}

/* Seconds that an SM multiplies and writes. Of the output of one CTA and the
 * multiply-adds of the next the longer counts, and of the shorter the share `exposed`.
 * A step of k takes a persistent kernel as long as its multiply-adds or the wait for
 * them, and all SMs together do what the part sustains. */
static double tensor_of(const struct gemm *g, const struct part *p, double per,
                        double waves, double share)
{
    double fma = p->fma * share;
    if (p->persistent) {
        fma = fmax(fma, g->chain_s * share);
        fma = fmax(fma, per / waves * p->area * g->pipe_s * share);
    }
    double longer = fmax(fma, p->once), shorter = fmin(fma, p->once);
    return fma + p->once + (waves - 1) * (longer + shorter * g->c[EXPOSED]);
}

/* One tile, k split into parts of `share`: cube of seconds without the reduction. */
static double try_split(const struct gemm *g, const struct part *p, double split,
                        double share, struct best *out)
{
    double per = p->per_sm * split, even = per > 1 ? per : 1;
    double waves = even + g->c[WAVE] * (whole(per) - even);
    double dram = g->dram_s + g->in_s * g->c[FILL] / (g->c[FILL] + g->k * share);
    double chain = p->persistent ? 0 : g->chain_s * share * even;
    out->tensor = tensor_of(g, p, per, waves, share);
    out->l2 = fmax(per, waves * g->port) * p->load * share;
    out->pipe = waves * share * p->area * g->pipe_s;
    out->core3 = cube(out->tensor) + cube(out->l2) + cube(chain);
    if (p->persistent)
        return out->core3 + cube(dram + p->few * share);
    return out->core3 + cube(dram) + cube(p->few * share);
}

/* The best of all tiles and splits.  One split of all tiles at a time: the
 * reduction is the same for them, so that cubes compare, and a tile whose least
 * time is beyond what a split leaves is out for every further one. */
static void search(const struct gemm *g, const struct rl_gemm_tile *tile, int n,
                   int nsplits, struct best *best)
{
    struct part part[RL_GEMM_MAXTILES];
    struct best now = {0};
    int left = 0;
    for (int i = 0; i < n; i++)
        if (g->m > tile[i].below)
            part[left++] = part_of(g, &tile[i]);
    for (int i = 0; i < nsplits && left; i++) {
        double s = splits[i], reduce = s > 1 ? g->reduce_s + (s + 1) * g->part_s : 0;
        double room = best->seconds - reduce, cubes = cube(room);
        int in = left;
        bool better = false;
        if (s > 1 && (g->k < g->k_step * s || room <= g->dram_s))
            break;
        left = 0;
        for (int j = 0; j < in; j++) {
            const struct part *p = &part[j];
            if (p->least >= cubes || (s > 1 && p->per_sm * s > SPLIT_CTAS))
                continue;
            double c = try_split(g, p, s, 1 / s, &now);
            if (c < cubes) {
                cubes = c;
                *best = now;
                better = true;
            }
            part[left++] = *p;
        }
        if (!better)
            continue;
        best->reduce = reduce;
        best->seconds = reduce + rl_cbrt(cubes);
    }
}

/* On a part of slower tensor units: the tile that is best without them, as the library
 * was tuned, and then all that its SMs do hidden behind them; DRAM is not of the SMs. */
static void behind_tensor(const struct gemm *g, struct best *best)
{
    double cubes = cube(best->seconds - best->reduce) - best->core3;

    best->tensor = rl_behind_tensor(rl_cbrt(best->core3), best->pipe, g->slow);
    best->seconds = best->reduce + rl_cbrt(cubes + cube(best->tensor));
}

/* cuBLAS takes one CTA per tile for small products with the mma.sync kernels of sm_86 to
 * sm_89 and of sm_120 on, whatever the memory: the same limit in three stacks on sm_89
 * and sm_120 (measured), not on sm_80, sm_90 and sm_100.  Turing is taken as sm_80. */
static bool splits_k(const struct rl_machine *mc, const struct gemm *g,
                     enum rl_gemm_menu menu)
{
    if (menu != RL_GEMM_SPLIT)
        return false;
    bool whole_k = mc->cc > 80 && !rl_gemm_fine(mc->cc);
    return !(mc->warm > 0 && whole_k && g->m > 1 && g->m * g->n * g->k <= SMALL);
}

static double rounds_of(double k, double rows)
{
    return (1 + whole(rows * whole(k / WARP) / SCHEDULERS)) / rows;
}

/* The kernels that quantise X are bound by instructions, a scheduler's warps one after
 * another, and a CTA's start takes as long as one of them: rounds per row. vLLM takes
 * a row a CTA, sgl-kernel from two of its CTAs an SM on eight. Within a model (warm 0),
 * where more rows would come out faster, fewer take no longer than that many. */
static double rounds(const struct gemm *g, double warm)
{
    double pack = stacks[(int)g->c[STACK]].pack, rows = g->m * g->per_sm;
    if (pack < 1)
        return 1;
    double packed = rounds_of(g->k, pack), alone = rounds_of(g->k, 1);
    if (rows >= 2 * pack)
        return packed;
    return warm > 0 ? alone : fmin(alone, packed * 2 * pack / rows);
}

/* Where it is one kernel that is known, reading and writing overlap with the
 * instructions; others may be several, one after another. */
static double quantise(const struct gemm *g, const struct rl_machine *mc, double missed)
{
    double bw = missed * mc->dram + (1 - missed) * mc->l2_bw / 2;
    double pass = g->c[QUANT_BW] * g->m * g->k * 3 / bw; /* 16 bits read, 8 written */
    double issue = US * g->c[QUANT_CTA] * rounds(g, mc->warm) * g->m * g->per_sm;
    bool known = stacks[(int)g->c[STACK]].pack > 0;

    return (known ? rl_cbrt(cube(pass) + cube(issue)) : pass + issue) +
           US * g->c[QUANT_ROW] * g->k / 1024;
}

double rl_kern_gemm_time(const double *p, const struct rl_machine *mc, const double *c,
                         double part[RL_NBOUNDS])
{
    const struct rl_dtype_info *dt = rl_dtype((enum rl_dtype)p[RL_GEMM_DTYPE]);
    struct gemm g = {
        .m = p[RL_GEMM_M], .n = p[RL_GEMM_N], .wb = dt->bits / 8, .xb = dt->act_bytes};
    double k = p[RL_GEMM_K];
    g.k_step = rl_gemm_fine(mc->cc) ? 64 : 32;
    g.k = g.k_step * whole(k / g.k_step);
    double xmiss = dram(&g, mc, k, quantises(dt) ? IN_BYTES : 0, c);

    int n;
    enum rl_gemm_menu menu = stacks[(int)c[STACK]].menu;
    const struct rl_gemm_tile *tile = rl_gemm_tiles(menu, mc->cc, g.m, g.n, k, &n);
    if (rl_gemm_fine(mc->cc) && n > 1)
        g.cluster = rl_has_tcgen05(mc) ? 4 : 2;
    g.ragged = !rl_has_tcgen05(mc) && mc->warm > 0;
    prepare(&g, mc, dt, c);
    struct best best = {.seconds = INFINITY};
    search(&g, tile, n, splits_k(mc, &g, menu) ? NSPLITS : 1, &best);
    if (g.slow > 1)
        behind_tensor(&g, &best);

    double held = g.slow > 1 ? 0 : c[CLOCK]; /* pipe_s is sustained */
    double t = best.seconds * (1 + held * (1 - exp(-best.tensor / THERMAL_S)));
    t += c[FIXED] * US;
    if (quantises(dt))
        t += quantise(&g, mc, xmiss);
    if (mc->warm > 0) /* in a model the host's time is counted elsewhere */
        t = rl_cbrt(cube(t) + cube(c[FLOOR] * US));
    if (part) {
        part[RL_B_COMPUTE] = best.tensor;
        part[RL_B_MEMORY] = fmax(best.l2, g.dram_s);
        part[RL_B_LAUNCH] = c[FIXED] * US;
    }
    return t;
}
