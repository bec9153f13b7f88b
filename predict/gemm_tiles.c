/* Tile menus of GEMM libraries.  cuBLAS chooses by an estimate that nobody publishes:
 * it gets a menu, and the kernel model takes the best (DeepGEMM's choice is public:
 * gemm_deep.c).  The fp8 kernels of vLLM and sgl-kernel are chosen by a table over m and
 * n:
 *
 *   vLLM csrc/quantization/w8a8/cutlass: scaled_mm_c2x_sm89_fp8_dispatch.cuh,
 *     c3x/scaled_mm_{sm90,sm100,sm120}_fp8_dispatch.cuh
 *   SGLang sgl-kernel/csrc/gemm/fp8_gemm_kernel.cu, on sm_90
 *     cutlass_extensions/gemm/fp8_gemm_sm90_dispatch.cuh
 *
 * Up to 64 rows sm_90 and sm_100 kernels swap the operands: their tile's columns are
 * the rows here, as narrow as 16.  On sm_90 those alone are not persistent.  All of
 * sm_120's are: warps of their own load by TMA, and CUTLASS's scheduler hands out tiles.
 *
 * The kernels for sm_89 are CUTLASS 2's (warps, stores and order of the CTAs:
 * scaled_mm_c2x.cuh and fp8_gemm_kernel.cu).  vLLM's store four elements at once,
 * sgl-kernel's eight; vLLM's go through the tiles in cohorts of eight rows,
 * sgl-kernel's down the columns.
 *
 * Some of vLLM's store their output slowly, whatever k is, and slower the more CTAs
 * there are: those of two warps down and two along k by 3 to 4 us (33 x 8192 x 64 of
 * L40S 13.1 us, 65 x 1536 x 32 6.1), those of 256 x 128 by eight times as much (2048 x
 * 8192 x 32 192 us for four waves).  Registers that spill would do that; their number
 * is not published.
 *
 * Ignores stages, shapes of warps and the rows of those tables made for single models'
 * shapes.
 */
#include "gemm_tiles.h"

#include <math.h>
#include <stddef.h>

/* mma.sync kernels first; wgmma and tcgen05 kernels (compute capability 9 to
 * 11) come in finer widths too. */
static const struct rl_gemm_tile menu[] = {
    {256, 128, 1, 1, 128}, {128, 256, 1, 1, 64},  {128, 128, 1, 1, 64},
    {64, 256, 1, 1, 0},    {256, 64, 1, 1, 128},  {64, 128, 1, 1, 32},
    {128, 64, 1, 1, 64},   {64, 64, 1, 1, 16},    {32, 128, 1, 1, 16},
    {16, 128, 1, 1, 0},    {16, 64, 1, 1, 0},     {256, 256, 1, 1, 128},
    {128, 192, 1, 1, 64},  {192, 128, 1, 1, 128}, {64, 192, 1, 1, 0},
    {128, 96, 1, 1, 0},    {64, 32, 1, 1, 0},     {64, 16, 1, 1, 0},
    {192, 256, 1, 1, 128}, {128, 160, 1, 1, 0},   {160, 128, 1, 1, 128},
    {256, 192, 1, 1, 128},
};
enum { NMENU = sizeof menu / sizeof *menu, NCOARSE = 11 };
_Static_assert((int)NMENU <= (int)RL_GEMM_MAXTILES,
               "the search keeps all tiles of a menu");

/* One row of a dispatch table; the first that fits counts.  A tile of two SMs
 * (sm_100, 256 rows) stands here as the half of each. */
struct row {
    int cc;      /* from this compute capability on */
    double m, n; /* up to these */
    struct rl_gemm_tile tile;
    double k; /* from this on */
};

static const struct row vllm[] = {
    {120, 16, INFINITY, {16, 64, 1, 1, 0, true}},
    {120, 32, INFINITY, {32, 64, 1, 1, 0, true}},
    {120, 256, INFINITY, {64, 64, 1, 1, 0, true}},
    {120, INFINITY, INFINITY, {128, 128, 1, 1, 0, true}},
    {100, 16, INFINITY, {32, 64, 1, 4, 0, true}},
    {100, 63, INFINITY, {64, 64, 1, 4, 0, true}},
    {100, 64, INFINITY, {64, 64, 1, 4, 0, true}, 4096},
    {100, 64, INFINITY, {64, 64, 1, 1, 0, true}},
    {100, 256, INFINITY, {64, 128, 2, 1, 0, true}},
    {100, INFINITY, INFINITY, {128, 128, 2, 2, 0, true}},
    {90, 16, 1280, {16, 64, 2, 1, 0}},
    {90, 16, INFINITY, {16, 64, 1, 1, 0}},
    {90, 64, 1280, {16, 64, 4, 1, 0}},
    {90, 64, INFINITY, {64, 64, 1, 1, 0}},
    {90, 128, INFINITY, {64, 128, 2, 1, 0, true}},
    {90, 8191, INFINITY, {128, 128, 2, 1, 0, true}},
    {90, INFINITY, INFINITY, {256, 128, 2, 1, 0, true}, 6144},
    {90, INFINITY, INFINITY, {128, 128, 2, 1, 0, true}},
    {0, 16, 8192, {16, 64, 1, 1, 0, false, {2, 4, 1, 0, 8}}},
    {0, 16, 16384, {16, 128, 1, 1, 0, false, {2, 4, 2, 0, 8}}},
    {0, 16, INFINITY, {32, 64, 1, 1, 0, false, {4, 4, 1, 1, 8}}},
    {0, 32, 8192, {32, 64, 1, 1, 0, false, {4, 4, 1, 1, 8}}},
    {0, 32, 16384, {32, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, 32, INFINITY, {32, 64, 1, 1, 0, false, {4, 4, 1, 1, 8}}},
    {0, 64, 8192, {64, 64, 1, 1, 0, false, {4, 4, 1, 1, 8}}},
    {0, 64, 16384, {64, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, 64, INFINITY, {64, 64, 1, 1, 0, false, {4, 4, 1, 1, 8}}},
    {0, 128, 8192, {64, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, 128, 16384, {128, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, 128, INFINITY, {128, 64, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, 256, 4096, {64, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, INFINITY, 4096, {128, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, 256, INFINITY, {128, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
    {0, INFINITY, 8192, {256, 128, 1, 1, 0, false, {8, 4, 1, 8, 8}}},
    {0, INFINITY, INFINITY, {128, 128, 1, 1, 0, false, {4, 4, 1, 0, 8}}},
};

static const struct row sgl[] = {
    {120, INFINITY, INFINITY, {128, 128, 1, 1, 0, true}},
    {100, 16, INFINITY, {64, 64, 1, 4, 0, true}},
    {100, 64, INFINITY, {64, 64, 1, 1, 0, true}},
    {100, 256, INFINITY, {64, 128, 2, 1, 0, true}},
    {100, INFINITY, INFINITY, {128, 128, 2, 2, 0, true}},
    {90, 16, 1280, {16, 64, 2, 1, 0}},
    {90, 16, INFINITY, {16, 64, 1, 1, 0}},
    {90, 64, 1280, {16, 64, 4, 1, 0}},
    {90, 32, INFINITY, {32, 64, 1, 1, 0}},
    {90, 64, INFINITY, {64, 64, 1, 1, 0}},
    {90, 128, 4096, {64, 64, 1, 1, 0, true}},
    {90, 128, INFINITY, {64, 128, 2, 1, 0, true}},
    {90, INFINITY, INFINITY, {128, 128, 2, 1, 0, true}},
    {0, 1, 8192, {16, 64, 1, 1, 0, false, {2, 8, 1, 0, 0}}},
    {0, 1, INFINITY, {32, 64, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 16, 8192, {16, 64, 1, 1, 0, false, {2, 8, 2, 0, 0}}},
    {0, 16, 16384, {32, 64, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 16, INFINITY, {16, 64, 1, 1, 0, false, {2, 8, 1, 0, 0}}},
    {0, 64, 16384, {32, 64, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 64, INFINITY, {16, 64, 1, 1, 0, false, {2, 8, 1, 0, 0}}},
    {0, 128, 16384, {64, 64, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 128, INFINITY, {32, 64, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 256, 8192, {128, 64, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 256, 16384, {64, 128, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 256, INFINITY, {128, 64, 1, 1, 0, false, {4, 8, 1, 0, 0}}},
    {0, 512, 16384, {128, 128, 1, 1, 0, false, {8, 8, 2, 0, 0}}},
    {0, 512, INFINITY, {128, 128, 1, 1, 0, false, {8, 8, 1, 0, 0}}},
    {0, INFINITY, INFINITY, {128, 128, 1, 1, 0, false, {8, 8, 2, 0, 0}}},
};

static const struct rl_gemm_tile square = {128, 128, 1, 1, 0};

static const struct rl_gemm_tile *look_up(const struct row *r, int cc, double m, double n,
                                          double k)
{
    while (cc < r->cc || m > r->m || n > r->n || k < r->k)
        r++;
    return &r->tile;
}

bool rl_gemm_fine(int cc)
{
    return cc >= 90 && cc < 120;
}

/* On sm_86 to sm_89 cuBLAS takes no tile above 128 x 128 below this k of two bytes each
 * (L40S, three stacks: in bf16 at k = 512 time is waves of 128 x 128, at 1024 and 1536 of
 * 256 x 128; in fp8 from 2048 on). */
static const double ADA_LARGE_K = 1000;

/* Up to which k it keeps to large tiles on sm_120. */
static const double SM120_LARGE_K = 2100;

static bool is_ada(int cc)
{
    return cc > 80 && cc < 90;
}

/* As three stacks' rows show it: 1024 x 3584 x 3072 takes two whole waves of 256 x 128
 * on A100 (157 us), where three of 128 x 128 would take 117; with k = 8192 it splits k.
 * On L40S 4.2 to 9 waves of 128 x 128 at k = 1536 take 52 to 60 us for each wave of 256 x
 * 128, whole waves counted (3328 x 2560 113 us, 3840 x 2560 162.5, 4352 x 2560 156.7).
 * Short k is no exception (256 x 16384 x 64 15.1 us, 384 x 16384 15.8, 512 x 7168 15.0:
 * two waves), but for k = 32 on sm_120 and for fp8.  Volta and Turing are taken as sm_80;
 * other makers' libraries (cc 0) are not cuBLAS. */
bool rl_gemm_large(int cc, double sm, double bytes, double m, double n, double k)
{
    bool ada = is_ada(cc) && bytes >= 2;
    double from_k = bytes < 2 ? 300 : ada ? ADA_LARGE_K : cc >= 120 ? 32 : 0;
    double to_k = cc >= 120              ? SM120_LARGE_K
                  : ada                  ? 12000
                  : cc >= 70 && cc <= 80 ? 6600
                                         : 0;
    double tall = ceil(m / 256) * ceil(n / 128), wide = ceil(m / 128) * ceil(n / 256);

    return m > 64 && k > from_k && k <= to_k && fmin(tall, wide) > sm;
}

/* Beyond the k up to which it keeps to large tiles on sm_120, cuBLAS has others for less
 * than a wave too: without 128 x 128 in the menu three stacks of RTX PRO 6000 fit better,
 * most of all at k of 4096 to 8192; at k of 256 to 2048 it has it, and so has fp8. */
bool rl_gemm_no_square(int cc, double bytes, double k)
{
    return cc >= 120 && bytes >= 2 && k > SM120_LARGE_K;
}

const struct rl_gemm_tile *rl_gemm_tiles(enum rl_gemm_menu which, int cc, double m,
                                         double cols, double k, int *n)
{
    if (which == RL_GEMM_SGL || which == RL_GEMM_VLLM) {
        *n = 1;
        return look_up(which == RL_GEMM_SGL ? sgl : vllm, cc, m, cols, k);
    }
    if (which == RL_GEMM_SQUARE) {
        *n = 1;
        return &square;
    }
    bool small = which == RL_GEMM_SPLIT && is_ada(cc) && k < ADA_LARGE_K;
    int first = small ? RL_GEMM_NLARGE : 0; /* the large ones come first */
    *n = (rl_gemm_fine(cc) ? NMENU : NCOARSE) - first;
    return menu + first;
}
