/* Kernel model of GEMM, Y[m,n] = X[m,k]·W[k,n].
 *
 * Of the tiles that the library picks from (gemm_tiles.c) and the splits of k,
 * the fastest:
 *
 *   t = fixed + start + (tensor³ + l2³ + dram³ + few³ + chain³)^(1/3) + reduction
 *
 *   tensor  waves of CTAs, each a·b·k multiply-adds at the rate of one SM, less
 *           for small tiles (a·b + tile·(a + b)), its pipeline's fill, the shorter the
 *           less of k there is, what it loads first, and its output written after the
 *           main loop: of that and the next CTA's multiply-adds the longer, and a share
 *           of the shorter
 *   l2      the operands that the CTAs read from L2, at its whole rate or, where few
 *           of them read, at what the ports of their SMs move; rows beyond m and
 *           columns beyond n are computed but not read (rows: see TMA_BEYOND), and what
 *           the CTAs of a cluster have in common is read once
 *   dram    compulsory bytes that L2 does not hold, operands slower where a CTA's
 *           k is so short that its first loads count
 *   few     the same where too few CTAs ask to keep DRAM busy, in the last wave too: with
 *           more than one, dram and few are joined for what the last one reads
 *   chain   k steps of one CTA one after another, whatever the tile
 *   start   CTAs of the first wave one after another: a few CTAs are done sooner than one
 *           on each SM, by as much for small k as for large
 *
 * plus quantising the activations where the weights' format asks for it, which
 * the measured operator contains.  The cubes join ceilings: a kernel near two of
 * them is slower than either (a hard maximum fits worse, docs/calibration.md), though
 * less so the longer it runs.  An output beyond L2 is stored and written to DRAM at once.
 *
 * A kernel known to be persistent keeps its CTAs on their SMs: its pipeline runs on from
 * tile to tile, so that of chain and a tile's multiply-adds the longer counts, all SMs
 * together reach the sustained rate and not the peak, and few comes after dram, the last
 * CTAs' loads after everybody's.  Where the tile is known, a last wave that leaves SMs
 * idle comes after what the others take.
 *
 * Measured rows replay the operator in a CUDA graph (aiconfigurator
 * collector/STACK/collect_gemm.py): vLLM's with six layers of their own weights
 * over one input, SGLang's with six inputs too, TensorRT-LLM's with as many
 * weights as fill the L2 but five at most.  What comes between two uses of an
 * operand decides whether L2 still holds it, and on Blackwell the graph, or
 * TensorRT-LLM's single call in fp8, lasts whole ticks (tick.h).  With machine->warm 0
 * the weights come from DRAM.  Beside the formula: `clock` in long calls, `floor` where
 * the host is waited for.
 *
 * Ignores: order of the CTAs where the source does not tell it (DRAM is charged once),
 * power limits but for that rate and one slow-down in long compute, and how well the
 * library really chooses, but for what gemm_cublas.c says of cuBLAS.
 */
#include "gemm_call.h"
#include "ops.h"
#include "tick.h"

#include <math.h>

static const struct rl_gemm_stack stacks[] = {
    {RL_GEMM_SPLIT, 6, 1, false, 0},   /* vLLM */
    {RL_GEMM_SPLIT, 6, 6, false, 0},   /* SGLang */
    {RL_GEMM_SPLIT, 5, 1, true, 0},    /* TensorRT-LLM */
    {RL_GEMM_UNSPLIT, 6, 1, false, 0}, /* the same three, k whole */
    {RL_GEMM_UNSPLIT, 6, 6, false, 0},
    {RL_GEMM_UNSPLIT, 5, 1, true, 0},
    {RL_GEMM_UNSPLIT, 1, 1, false, 0},                /* vLLM, block fp8 and nvfp4 */
    {RL_GEMM_SGL, 6, 6, false, 8},                    /* fp8 */
    {RL_GEMM_VLLM, 6, 1, false, 1},                   /* fp8 */
    {RL_GEMM_SPLIT, 5, 1, true, 0, true, true, true}, /* TensorRT-LLM, fp8 */
    {RL_GEMM_SQUARE, 6, 6, false, 8},                 /* nvfp4 on sm_120 */
    {RL_GEMM_DEEP, 6, 6, false, 0},                   /* SGLang, block fp8 */
    {RL_GEMM_TRT_BLOCK, 5, 1, true, 0},               /* TensorRT-LLM, block fp8 */
};
enum { NSTACKS = sizeof stacks / sizeof *stacks };

/* Which row of stacks[] it is follows the stack and in fp8 the name of its kernel. */
double rl_kern_gemm_known(const char *runtime, const char *impl, enum rl_dtype dtype,
                          int i)
{
    static const struct {
        const char *runtime, *impl;
        enum rl_dtype dtype;
        int stack;
    } rows[] = {{"vllm", "", RL_DT_BF16, 0},
                {"sglang", "", RL_DT_BF16, 1},
                {"trtllm", "", RL_DT_BF16, 2},
                {"sglang", "sglang_sgl_kernel_fp8", RL_DT_FP8, 7},
                {"vllm", "CutlassFP8ScaledMM", RL_DT_FP8, 8},
                {"trtllm", "torch_flow", RL_DT_FP8, 9},
                {"sglang", "sglang_deepgemm", RL_DT_FP8_BLOCK, 11},
                {"trtllm", "", RL_DT_FP8_BLOCK, 12}};
    if (dtype == RL_DT_FP16)
        dtype = RL_DT_BF16;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (rows[k].dtype == dtype && rl_begins(runtime, rows[k].runtime) &&
            rl_begins(impl, rows[k].impl))
            return rows[k].stack;
    return NAN;
}

/* Those of one library's block fp8 are for what is known to be it. */
double rl_kern_gemm_most(const char *runtime, const char *impl, int i)
{
    (void)runtime, (void)impl, (void)i;
    enum { ANYBODYS = NSTACKS - 2 };
    return ANYBODYS - 1;
}

const struct rl_coef rl_kern_gemm_coef[] = {
    {"fixed", "us", RL_C_LOG, 2.8, 0.3, 20, 0.5, "launches and the first loads"},
    {"eff", "1", RL_C_PEAK, 1.05, 0.2, 1.2, 0.15, "tensor peak reached by a large tile"},
    {"tile", "1", RL_C_LOG, 5, 0.5, 100, 0.7, "ab/(a+b) at which a tile reaches half"},
    {"chain", "us", RL_C_LOG, 2.5, 0.05, 10, 0.7, "1024 dependent k steps of one CTA"},
    {"ramp", "us", RL_C_LOG, 0.3, 0.01, 5, 0.8, "filling the pipeline, each wave"},
    {"epilogue", "1", RL_C_LOG, 1.7, 0.05, 20, 0.7, "output bytes over the L2 rate"},
    {"dram", "1", RL_C_DRAM, 0.82, 0.35, 1, 0.1, "DRAM peak reached"},
    {"few", "1", RL_C_LOG, 3, 0.1, 20, 0.6, "share of DRAM rate of one CTA per SM"},
    {"fill", "1", RL_C_LOG, 100, 1, 3000, 1, "k steps that a CTA's first loads take"},
    {"l2", "1", RL_C_LOG, 0.9, 0.05, 6, 0.5, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.8, 0.1, 2, 0.4, "share of L2 that a replay finds again"},
    {"keep_sharp", "1", RL_C_LOG, 10, 1, 60, 0.5, "sharpness of that boundary"},
    {"reduce", "us", RL_C_LOG, 2.5, 0.05, 10, 0.5, "adding the parts of a split k"},
    {"reduce_bw", "1", RL_C_LOG, 0.7, 0.05, 20, 0.7, "its bytes over the L2 rate"},
    {"clock", "1", RL_C_LOG, 0.1, 0.005, 1, 0.8, "slow-down of long compute"},
    {"wave", "1", RL_C_LINEAR, 0.8, 0, 1, 0.3, "1: whole waves; 0: work shared evenly"},
    {"exposed", "1", RL_C_LINEAR, 0.8, 0, 1, 0.3, "share of ramp and output not hidden"},
    {"step", "us", RL_C_LOG, 0.1, 0.005, 2, 0.7, "a step of a CTA's output, CUTLASS 2"},
    {"pair", "1", RL_C_LINEAR, 0.5, 0, 2, 0.3, "longer by that, both SMs of a pair busy"},
    {"extra", "us", RL_C_LOG, 2.5, 0.1, 20, 0.7, "output of vLLM's slow tiles, more by"},
    {"start", "us", RL_C_LOG, 0.4, 0.01, 5, 0.7, "a first wave's CTAs, one on each SM"},
    {"quant_bw", "1", RL_C_LOG, 1.6, 0.1, 30, 0.7, "passes of quantising over its bytes"},
    {"quant_row", "us", RL_C_LOG, 0.1, 0.005, 10, 1, "quantising 1024 of k"},
    {"quant_cta", "us", RL_C_LOG, 0.2, 0.005, 10, 1, "a round of quantising"},
    {"floor", "us", RL_C_LOG, 0.8, 0.5, 600, 1.2, "host time of a launch (no graph)"},
    {"stack", "1", RL_C_CHOICE, 0, 0, NSTACKS - 1, 0,
     "menu and benchmark: row of stacks[]"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* s beyond whole ticks (tick.h) of a timing: 0.14 to 0.29 and 0.65 to 0.9 us measured. */
static const double TICK_ALONE = 0.2e-6, TICK_GRAPH = 0.75e-6;
static const double PART_BYTES = 4; /* partial sums in fp32 */
static const double PIPELINE = 128; /* of k that the stages of a pipeline hold */
static const double THERMAL_S = 0.7e-3, THERMAL_TCGEN05_S = 0.1e-3; /* see dropped() */
static const double BOTH = 3.4e9; /* bytes: by left-out shapes, see hidden() */
/* Bytes a clock that an SM takes from L2, and by TMA, as wgmma and tcgen05 kernels load:
 * of the powers of two those that fit shapes left out (docs/calibration.md). */
static const double PORT = 64, PORT_TMA = 128;
/* Multiply-adds in the time that shared memory takes for a row's element, see work_of():
 * on tcgen05 4096 a clock, 2 bytes, 128 of them a clock (SemiAnalysis, Dissecting Nvidia
 * Blackwell: MMAs of less than 128 columns are bound by it), and the same in fp8.  On
 * wgmma that would be 16: fitted, why is not known. */
static const double READ_TCGEN05 = 64, READ_WGMMA = 48;
static const double HELD_S = 0.14e-9, HELD_K = 20000; /* see held_up() */

static bool quantises(const struct rl_dtype_info *dt)
{
    return !dt->weight_only && (dt->unit == RL_FP8 || dt->unit == RL_INT8 ||
                                dt->unit == RL_FP4 || dt->unit == RL_INT4);
}

/* On sm_120 the rows of a tile beyond m, which TMA fills, hold up all SMs together,
 * one by one: in tiles of 128 x 128 (sgl-kernel) a step of 128 of k takes 17.5 ns for
 * each CTA there is at 3 rows, 15 at 32, 13 at 48, whether W comes from L2 or DRAM (16384
 * x 768 of 5 rows 19.2 us, of 48 15.1; nothing else would take 10.7).  Up to k of 16,384
 * as measured; where rows lie 51,200 bytes apart they cost nothing.  What it is, is not
 * known; wgmma and tcgen05 parts show none of it.  It makes more rows faster, so it is
 * left out within a model. */
static double held_up(const struct rl_machine *mc, const struct rl_gemm *g)
{
    bool held = mc->warm > 0 && mc->cc >= 120 && g->k <= HELD_K;
    return held ? HELD_S * g->k / PIPELINE : 0;
}

static void prepare(struct rl_gemm *g, const struct rl_machine *mc,
                    const struct rl_dtype_info *dt)
{
    const double *c = g->c;
    g->sm = mc->sm;
    g->per_sm = 1 / mc->sm;
    g->slow = rl_slow(mc, dt->unit);
    g->fma_s = g->k * 2 * mc->sm / (mc->peak[dt->unit] * g->slow * c[RL_G_EFF]);
    g->pipe_s = g->k * 2 * mc->sm / rl_pipe(mc, dt->unit);
    g->l2_s = g->k * mc->sm / (c[RL_G_L2] * mc->l2_bw);
    double port = rl_gemm_fine(mc->cc) ? PORT_TMA : PORT;
    g->port = c[RL_G_L2] * mc->l2_bw / (mc->sm * port * mc->clock_hz);
    g->epilogue_s = c[RL_G_EPILOGUE] * mc->sm / mc->l2_bw;
    bool wgmma = g->hopper && g->stack->menu == RL_GEMM_SPLIT;
    double filled = wgmma ? g->k / (g->k + PIPELINE) : fmin(1, g->k / PIPELINE);
    g->ramp_s = c[RL_G_RAMP] * RL_GEMM_US * filled; /* wgmma: fits H100's stacks better */
    g->chain_s = g->k * c[RL_G_CHAIN] * RL_GEMM_US / 1024 * rl_gemm_step_times(g, mc);
    g->few_s = g->dram_s / c[RL_G_FEW];
    g->first = rl_gemm_fine(mc->cc) ? 0 : PIPELINE / g->k;
    g->dram3 = rl_cube(g->dram_s) - rl_cube(g->out_s);
    g->reduce_s = c[RL_G_REDUCE] * RL_GEMM_US;
    g->start_s = c[RL_G_START] * RL_GEMM_US;
    g->part_s = c[RL_G_REDUCE_BW] * g->m * g->n * PART_BYTES / mc->l2_bw;
}

/* On a part of slower tensor units: the tile that is best without them, as the library
 * was tuned, and then all that its SMs do hidden behind them; DRAM is not of the SMs. */
static void behind_tensor(const struct rl_gemm *g, struct rl_gemm_best *best)
{
    double memory = rl_cube(best->seconds - best->reduce) - best->core3;

    best->tensor = rl_behind_tensor(rl_cbrt(best->core3), best->pipe, g->slow);
    best->seconds = best->reduce + rl_cbrt(memory + rl_cube(best->tensor));
}

/* Two ceilings that lie together cost what one of them takes before and after the other:
 * cubes give it for short calls, but it does not grow with a call for ever (256 x 12288 x
 * 51200 on H100 472 us; DRAM alone 445, cubes 556).  BOTH bytes of DRAM's time halve it.
 */
static double hidden(const struct rl_machine *mc, const struct rl_gemm *g,
                     const struct rl_gemm_best *best)
{
    double core = g->slow > 1 ? best->tensor : rl_cbrt(best->core3);
    double longer = fmax(core, g->dram_s), more = best->seconds - best->reduce - longer;

    return fmax(0, more) * longer / (longer + BOTH / mc->dram_peak);
}

/* Seconds more since the clock drops: the longer a call (and so its benchmark), and the
 * more of it are multiply-adds, which draw the power.  Half of it is gone after 0.1 ms on
 * B200, after 0.7 ms on the others (0.05 to 0.1 and 0.5 to 1 do alike). */
static double dropped(const struct rl_gemm *g, const struct rl_machine *mc,
                      const struct rl_gemm_best *best)
{
    double half = rl_has_tcgen05(mc) ? THERMAL_TCGEN05_S : THERMAL_S;

    if (g->slow > 1 || best->persistent) /* sustained as it is */
        return 0;
    return g->c[RL_G_CLOCK] * fmin(best->pipe, best->seconds) * best->tensor /
           (best->tensor + half);
}

/* The best of the n tiles, its clock dropped where it is long. */
static void on_tensor(const struct rl_gemm *g, const struct rl_machine *mc,
                      const struct rl_gemm_tile *tile, int n, double k,
                      struct rl_gemm_best *best)
{
    enum rl_gemm_menu menu = g->stack->menu;
    bool large =
        menu == RL_GEMM_SPLIT && rl_gemm_large(mc->cc, mc->sm, g->wb, g->m, g->n, k);

    rl_gemm_search(g, tile, large ? RL_GEMM_NLARGE : n, !large && rl_gemm_splits_k(g, mc),
                   best);
    if (g->slow > 1)
        behind_tensor(g, best);
    best->seconds -= hidden(mc, g, best);
    best->seconds += dropped(g, mc, best);
}

/* What the stack's library takes its tile from: *n of them, *own where a source tells the
 * one.  On parts that it has no such kernel for it is as another library. */
static const struct rl_gemm_tile *tiles_of(const struct rl_gemm *g,
                                           const struct rl_machine *mc, double k,
                                           struct rl_gemm_tile *own, int *n)
{
    enum rl_gemm_menu menu = g->stack->menu;
    double halves = menu == RL_GEMM_SPLIT ? k * g->xb / 2 : k;

    *n = 1;
    if (menu == RL_GEMM_DEEP && rl_gemm_fine(mc->cc))
        *own = rl_gemm_deep(mc->cc, mc->sm, g->m, g->n, k);
    else if (menu == RL_GEMM_TRT_BLOCK && mc->cc >= 89)
        *own = rl_gemm_trt_block(mc->cc, mc->sm, g->m, g->n, k);
    else
        return rl_gemm_tiles(menu, mc->cc, g->m, g->n, halves, n);
    return own;
}

double rl_kern_gemm_time(const double *p, const struct rl_machine *mc, const double *c,
                         double part[RL_NBOUNDS])
{
    const struct rl_dtype_info *dt = rl_dtype((enum rl_dtype)p[RL_GEMM_DTYPE]);
    struct rl_gemm g = {.m = p[RL_GEMM_M],
                        .n = p[RL_GEMM_N],
                        .wb = dt->bits / 8,
                        .xb = dt->act_bytes,
                        .stack = &stacks[(int)c[RL_G_STACK]],
                        .c = c};
    double k = p[RL_GEMM_K];
    int n;
    enum rl_gemm_menu menu = g.stack->menu;
    struct rl_gemm_tile own;
    const struct rl_gemm_tile *tile = tiles_of(&g, mc, k, &own, &n);
    g.k_step = n == 1 ? PIPELINE : rl_gemm_fine(mc->cc) ? 64 : 32;
    g.k = g.k_step * rl_whole(k / g.k_step);
    bool table = menu == RL_GEMM_SGL || menu == RL_GEMM_VLLM;
    rl_gemm_dram(&g, mc, k, quantises(dt) ? RL_GEMM_IN : 0, table ? tile : NULL);
    if (rl_gemm_fine(mc->cc) && n > 1) {
        g.cluster = rl_has_tcgen05(mc) ? 4 : 2;
        g.read_row = rl_has_tcgen05(mc) ? READ_TCGEN05 : READ_WGMMA;
    }
    g.hopper = rl_gemm_fine(mc->cc) && !rl_has_tcgen05(mc);
    g.by_waves = mc->warm > 0;
    g.held_s = table ? held_up(mc, &g) : 0;
    g.split_ctas = rl_gemm_fine(mc->cc) ? 4 : 8;
    prepare(&g, mc, dt);
    rl_gemm_cublas(&g, mc, k);
    struct rl_gemm_best best = {.seconds = INFINITY};
    if (rl_gemm_on_vector(&g, mc))
        rl_gemm_vector(&g, mc, k, &best);
    else
        on_tensor(&g, mc, tile, n, k, &best);
    double t = best.seconds;
    double start = rl_gemm_start(&g, best.per_sm);
    t += c[RL_G_FIXED] * RL_GEMM_US + start + rl_gemm_small_more(&g, mc, k);
    if (quantises(dt))
        t += rl_gemm_quantise(&g, mc);
    if (mc->warm > 0) { /* in a model the host's time is counted elsewhere */
        t = rl_cbrt(rl_cube(t) + rl_cube(c[RL_G_FLOOR] * RL_GEMM_US));
        t = rl_ticked(mc, t, g.calls, g.stack->alone ? TICK_ALONE : TICK_GRAPH);
    }
    if (part) {
        part[RL_B_COMPUTE] = best.tensor;
        part[RL_B_MEMORY] = fmax(best.l2, g.dram_s);
        part[RL_B_LAUNCH] = c[RL_G_FIXED] * RL_GEMM_US + start;
    }
    return t;
}
