/* What measured rows show of cuBLAS's kernels and choices beside the formula of
 * kern_gemm.c and the tiles of gemm_tiles.c, each rule in three stacks.  Where more rows
 * come out faster by a rule it is left out within a model (warm 0): whole runs do not
 * show it (docs/calibration.md).
 */
#include "gemm_call.h"

#include <math.h>

static const double SMALL = 2097152;     /* m·n·k up to which k is left whole */
static const double SMALL_MORE_S = 1e-6; /* on sm_80 */
static const double MMA_PARTS = 32;      /* see gemm_search.c */
static const double L2_IDLE = 0.6, L2_ROWS = 1.6; /* see reading() */
/* A row beyond m costs L2 as much as one that is read where cuBLAS loads it by TMA on
 * tcgen05 parts (gemm_deep.c has DeepGEMM's). 1 to 2 fit left-out shapes of B200's three
 * stacks alike, 0.5 and 3 a little worse; columns beyond n and wgmma parts show none. */
static const double TMA_BEYOND = 1;

static bool is_cublas(const struct rl_gemm *g)
{
    return g->stack->menu == RL_GEMM_SPLIT;
}

/* Weights narrower than X take that menu too, but the kernels are not cuBLAS's. */
static bool is_packed(const struct rl_gemm *g)
{
    return g->wb < g->xb;
}

/* On tcgen05 parts cuBLAS's steps of k last twice as long up to 8 rows where k is no
 * longer than n and tiles of 64 columns do not fill half of the SMs (B200, three stacks:
 * 4 x 3584 x 2048 6.7 us, 14 x 3584 x 2048 4.4; 7 x 3072 x 1536 5.2; 6 x 1536 x 2560 4.95
 * as 10 rows); TensorRT-LLM's fp8 shows nothing of it. It makes 9 rows faster than 8, so
 * it is left out within a model. */
double rl_gemm_step_times(const struct rl_gemm *g, const struct rl_machine *mc)
{
    bool few = g->m <= 8 && g->k <= g->n && g->n <= 64 * mc->sm / 2;
    bool shown = is_cublas(g) && !g->stack->alone && rl_has_tcgen05(mc) && mc->warm > 0;

    return shown && few ? 2 : 1;
}

/* How fast cuBLAS's mma.sync kernels read L2, as three stacks' rows show it: those of
 * one row (or column) of tiles of 64 on sm_86 to sm_89 and of up to 32 rows on sm_120
 * slower; and where SMs are idle the others faster, since `l2` is what remains of the
 * part's rate when all SMs work.  Neither is monotone in m: left out
 * within a model. */
static void reading(struct rl_gemm *g, const struct rl_machine *mc)
{
    double few = fmin(g->m, g->n);
    if (mc->warm <= 0 || mc->cc < 70 || rl_gemm_fine(mc->cc))
        return;
    if (few > 64)
        g->l2_idle = L2_IDLE;
    else if (mc->cc >= 120 ? g->m > 1 && g->m <= 32 : mc->cc > 80 && few > 32)
        g->l2_rows = L2_ROWS;
}

void rl_gemm_cublas(struct rl_gemm *g, const struct rl_machine *mc, double k)
{
    bool cublas = is_cublas(g);

    g->l2_idle = g->l2_rows = 1;
    g->most_parts = rl_gemm_fine(mc->cc) || g->wb < 2 ? INFINITY : MMA_PARTS;
    g->no_square = cublas && rl_gemm_no_square(mc->cc, g->wb, k);
    g->beyond = cublas && rl_has_tcgen05(mc) ? TMA_BEYOND : 0;
    if (cublas)
        reading(g, mc);
}

/* The first that fits says up to which k it is left whole. */
static const struct {
    int cc;       /* from this compute capability on */
    double few;   /* rows or columns up to these */
    double below; /* k */
    double tile;  /* k for each tile of 64 x 64 */
} whole_k[] = {{120, 16, 2100, 400},    {120, INFINITY, 1600, 400},
               {81, 16, 4000, 150},     {81, 32, 4000, 70},
               {81, 64, 8000, 220},     {81, INFINITY, 2000, 150},
               {80, INFINITY, 900, 450}};

/* With the mma.sync kernels of sm_86 to sm_89 and of sm_120 on, whatever the memory,
 * cuBLAS takes one CTA per tile for small products, and there and on sm_80 where k is
 * short for as many tiles: the same limits in three stacks on each (measured; on sm_80
 * 768 is whole and 1024 split), none on sm_90 and sm_100.  Turing has no limit here.
 * Within a model (warm 0) whole runs do not show it (docs/calibration.md), and more rows
 * would come out faster. */
bool rl_gemm_splits_k(const struct rl_gemm *g, const struct rl_machine *mc)
{
    if (!is_cublas(g))
        return false;
    if (mc->warm <= 0 || mc->cc < 80 || rl_gemm_fine(mc->cc) || g->m == 1 ||
        (mc->cc == 80 && is_packed(g)))
        return true; /* one row: a GEMV kernel */
    double tiles = rl_whole(g->m / 64) * rl_whole(g->n / 64);
    int i = 0;
    while (mc->cc < whole_k[i].cc || fmin(g->m, g->n) > whole_k[i].few)
        i++;
    if (g->k < fmin(whole_k[i].below, whole_k[i].tile * tiles))
        return false;
    return mc->cc == 80 || g->m * g->n * g->k > SMALL;
}

/* On sm_80 products of more than 16 rows and columns below SMALL take 1 us more, whatever
 * they are: 384 x 128 x 32 4.16 us, 512 x 128 x 32 3.04; 80 x 256 x 64 4.10, 96 x 512 x
 * 64 3.29; 32 x 128 x 256 5.02, 32 x 256 x 256 4.20 (three stacks).  It may be a second
 * launch. The larger one is faster, so it is left out within a model. */
double rl_gemm_small_more(const struct rl_gemm *g, const struct rl_machine *mc, double k)
{
    bool small = fmin(g->m, g->n) > 16 && g->m * g->n * k < SMALL;
    bool shown = is_cublas(g) && !is_packed(g) && mc->cc == 80 && mc->warm > 0;

    return shown && small ? SMALL_MORE_S : 0;
}
