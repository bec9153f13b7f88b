/* Tiles of a call in fp8 with block scales (128 along k) by the sources that choose them.
 *
 * DeepGEMM enumerates tiles, counts the waves they make on the part and takes one.  That
 * of 2026 (deepseek-ai/DeepGEMM csrc/jit_kernels/heuristics/{sm90,sm100}.hpp; SGLang's,
 * and TensorRT-LLM's on sm_100) takes on sm_90 the least cycles of shared memory and L2,
 * on sm_100 one wave, then clusters, fewer waves, a fuller last one, smaller tiles.  Its
 * first release, of which TensorRT-LLM has a copy on sm_90 (kernels/cutlass_kernels/
 * fp8_blockscale_gemm), has 64 or 128 rows and takes of the widths 16 to 128 that of the
 * fewest waves, then that of the fullest last one; below 32 rows with operands swapped.
 *
 * TensorRT-LLM (fp8_blockscale_gemm_kernel.cuh) has one tile on sm_89 and, by its rows,
 * two on sm_120.  vLLM's DeepGEMM is of some time between and is left to the search.
 *
 * Ignores: stages but for what they rule out.
 */
#include "gemm_tiles.h"

#include <math.h>
#include <stdint.h>

static const int BLOCK_K = 128;
static const int SHARED = 232448; /* bytes of an SM's shared memory */

/* A call as the source sees it. */
struct call {
    int64_t sm, m, n, k;
};

struct layout {
    int64_t m, n, cm, cn;
    int64_t blocks, waves, last; /* blocks of the last wave */
};

static int64_t parts(int64_t all, int64_t each)
{
    return (all + each - 1) / each;
}

static struct layout layout_of(const struct call *c, int64_t m, int64_t n, int64_t cm,
                               int64_t cn)
{
    int64_t blocks = parts(c->m, m) * parts(c->n, n), rest = blocks % c->sm;

    return (struct layout){.m = m,
                           .n = n,
                           .cm = cm,
                           .cn = cn,
                           .blocks = blocks,
                           .waves = parts(blocks, c->sm),
                           .last = rest ? rest : c->sm};
}

static struct rl_gemm_tile tile_of(const struct layout *l)
{
    return (struct rl_gemm_tile){
        .a = (double)l->m, .b = (double)l->n, .cm = (double)l->cm, .cn = (double)l->cn};
}

/* TensorRT-LLM swaps the operands below so many rows, and two CTAs share X from so many.
 */
enum { UNSWAPPED = 32, SHARING = 1024 };
/* A row of its tile beyond m costs L2 more than one that is read: TMA's filling of what
 * is out of bounds (from one start 1, 2, 3 and 5 give left-out shapes 3.9, 3.6, 3.8
 * and 4.2 %, 0 4.2; DeepGEMM's later sources call it "TMA L2 OOB bound").  Of other
 * libraries only cuBLAS on tcgen05 shows it. */
static const double BEYOND = 2.5;

static struct rl_gemm_tile first_release(const struct call *c)
{
    bool swap = c->m < UNSWAPPED;
    struct call as = {c->sm, swap ? c->n : c->m, swap ? c->m : c->n, 0};
    int64_t m = as.m <= 64 ? 64 : 128;
    struct layout best = layout_of(&as, m, 16, 1, 1);
    for (int64_t n = 24; n <= 128; n += 8) {
        struct layout l = layout_of(&as, m, n, 1, 1);
        if (l.waves < best.waves || (l.waves == best.waves && l.last > best.last))
            best = l;
    }
    bool share = as.m >= SHARING && as.n % (2 * best.n) == 0 && !swap;
    return (struct rl_gemm_tile){.a = (double)(swap ? best.n : best.m),
                                 .b = (double)(swap ? best.m : best.n),
                                 .cm = 1,
                                 .cn = share ? 2 : 1,
                                 .beyond = BEYOND};
}

/* Stages that shared memory has room for: rows of X with their scales and columns of W,
 * beside the output and W's scales. */
static int64_t stages_of(const struct call *c, const struct layout *l)
{
    int64_t scales = parts(c->k, BLOCK_K) * 4 * (BLOCK_K % l->n ? 2 : 1);
    int64_t kept = (l->m * l->n * 2 + 1023) / 1024 * 1024 + 256 + scales;
    int64_t stage = (l->m + l->n) * BLOCK_K + (l->m * 4 + 127) / 128 * 128;

    return (SHARED - kept) / stage;
}

static bool fits_sm90(const struct call *c, const struct layout *l)
{
    int64_t over = l->n - BLOCK_K, stages = stages_of(c, l);

    if (over > 0 && l->n % over && BLOCK_K % over)
        return false;
    if (l->m > 128 && l->n > 128)
        return false;
    if (l->cm * l->cn > 1 && l->waves <= 1)
        return false;
    return stages >= 4 || (stages == 3 && l->m * l->n >= 128 * 192);
}

/* Cycles of its L1 and L2 traffic; rounded down as there, since ties are common. */
static double cycles_sm90(const struct call *c, const struct layout *l)
{
    int64_t l2_bw = (int64_t)fmin(64.0 * (double)c->sm, 8e6 / 1.3e3), l1_bw = 128 * c->sm;
    int64_t out = l->m * l->n * 2, tall = l->m > 64 ? l->m : 64;
    int64_t l2 = c->k * (l->m / l->cn + l->n / l->cm) + out;
    int64_t l1 = c->k * (l->m + l->n + tall + l->n) + 2 * out;
    double blocks = (double)l->blocks, full = blocks / (double)(l->waves * c->sm);
    double l2_cycles = floor((double)l2 * blocks / (double)l2_bw);
    double l1_cycles = floor((double)l1 * blocks / (double)l1_bw);

    return floor(fmax(l1_cycles, l2_cycles) / full);
}

/* Large tiles that share nothing, as in a single wave, multiply four times as
 * long (256 x 12288 x 3072 of H100 70 us and 193 x 12288 x 5120 106, but 192 x 12288 x
 * 4096, in another tile, 40); why, is not known.  3 and 5 times fit left-out shapes as
 * well or a little worse. */
static const double ALONE = 4;
static const int64_t LARGE = (int64_t)128 * 192;

static struct rl_gemm_tile sm90(const struct call *c)
{
    static const int rows[] = {64, 128, 16, 32, 256};
    struct layout best =
        layout_of(c, 64, 16, 1, 1); /* where nothing fits: k of 6 million */
    double least = INFINITY;

    for (int share = 0; share < 3; share++) /* nothing, X, W */
        for (int i = 0; i < 5; i++)
            for (int64_t n = 16; n <= 192; n += 16) {
                struct layout l =
                    layout_of(c, rows[i], n, share == 2 ? 2 : 1, share == 1 ? 2 : 1);
                if ((rows[i] < 64 && c->m > rows[i]) || !fits_sm90(c, &l))
                    continue;
                double cycles = cycles_sm90(c, &l);
                if (cycles < least) {
                    least = cycles;
                    best = l;
                }
            }
    struct rl_gemm_tile t = tile_of(&best);
    if (best.cm * best.cn == 1 && best.m * best.n >= LARGE)
        t.slow = ALONE;
    return t;
}

static bool better_sm100(const struct layout *a, const struct layout *b)
{
    int64_t both = a->cm * a->cn, others = b->cm * b->cn;

    if ((a->waves == 1) != (b->waves == 1))
        return a->waves == 1;
    if (both != others)
        return both > others;
    if (a->waves != b->waves)
        return a->waves < b->waves;
    if (a->last != b->last)
        return a->last > b->last;
    if (a->m + a->n != b->m + b->n)
        return a->m + a->n < b->m + b->n;
    return a->m * a->n < b->m * b->n;
}

/* The better of *best and a tile of m x n, whose clusters have to come out even. */
static void offer_sm100(const struct call *c, int64_t m, int64_t n, int64_t cm,
                        int64_t cn, struct layout *best)
{
    struct layout l = layout_of(c, m, n, cm, cn);

    if (parts(c->m, m) % cm || parts(c->n, n) % cn)
        return;
    if (best->m == 0 || better_sm100(&l, best))
        *best = l;
}

/* Twice the side that MMAs take as theirs and the scales have to fit the 512 columns of
 * tensor memory. */
enum { WIDEST = 224, TALLEST = 240 };

static struct rl_gemm_tile sm100(const struct call *c)
{
    int64_t rows = c->m <= 32 ? 32 : c->m <= 64 ? 64 : 128;
    int64_t wide = c->k <= 256 ? 128 : WIDEST;
    struct layout best = {0};

    for (int64_t share = 1; share <= 2; share++) {
        for (int64_t n = 16; n <= wide; n += n < 32 ? 16 : 32)
            offer_sm100(c, rows, n, share, 1, &best);
        for (int64_t m = 16; m <= TALLEST; m += 16) /* operands swapped */
            offer_sm100(c, m, 128, 1, share, &best);
    }
    return tile_of(&best);
}

static int64_t count(double x)
{
    return (int64_t)ceil(fmin(fmax(x, 1), 1e8)); /* a product of two fits */
}

static struct call call_of(double sm, double m, double n, double k)
{
    return (struct call){count(sm), count(m), count(n), count(k)};
}

struct rl_gemm_tile rl_gemm_deep(int cc, double sm, double m, double n, double k)
{
    struct call c = call_of(sm, m, n, k);

    return cc >= 100 ? sm100(&c) : sm90(&c);
}

/* Of sm_120 the source names the first; 64 rows from 33 on are by the rows of RTX PRO
 * 6000 (33 to 96 rows of 128 x 7168 19.5 to 30 us; 32 or 64 rows throughout are worse).
 */
static const struct rl_gemm_tile TRT_LOW = {.a = 32, .b = 128, .cm = 1, .cn = 1};
static const struct rl_gemm_tile TRT_HIGH = {.a = 64, .b = 128, .cm = 1, .cn = 1};

struct rl_gemm_tile rl_gemm_trt_block(int cc, double sm, double m, double n, double k)
{
    struct call c = call_of(sm, m, n, k);

    if (cc < 90)
        return TRT_LOW;
    if (cc >= 120)
        return m <= TRT_LOW.a ? TRT_LOW : TRT_HIGH;
    return cc >= 100 ? sm100(&c) : first_release(&c);
}
