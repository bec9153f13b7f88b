/* Tiles that GEMM libraries pick from. */
#ifndef RL_GEMM_TILES_H
#define RL_GEMM_TILES_H

#include <stdbool.h>

/* What decides the time of a CTA beside its tile, of CUTLASS 2 kernels, whose
 * sources tell it. */
struct rl_gemm_cta {
    double warps;    /* 0: not known */
    double vec;      /* elements of Y that a thread stores at once */
    double resident; /* CTAs of an SM side by side, by their shared memory */
    double extra;    /* times that what some take longer, see gemm_tiles.c */
    double strip;    /* rows of tiles that go through all columns before the next ones;
                        0: a column of tiles goes through all rows */
};

struct rl_gemm_tile {
    double a, b;     /* rows (of m) and columns (of n) of one SM's tile */
    double cm, cn;   /* CTAs of a cluster: the grid is a multiple of it */
    double below;    /* up to so many rows a lower tile of the menu does better */
    bool persistent; /* known to have CTAs that stay and take tile after tile */
    struct rl_gemm_cta cta;
    double slow;   /* times as long as they should its multiply-adds take; 0: once */
    double beyond; /* rows of X that one of its rows beyond m costs L2 */
};

enum rl_gemm_menu {
    RL_GEMM_SPLIT,    /* the best tile, k split where that helps: cuBLAS */
    RL_GEMM_UNSPLIT,  /* the best tile, k whole: DeepGEMM, CUTLASS profiles */
    RL_GEMM_SGL,      /* the table of sgl-kernel */
    RL_GEMM_VLLM,     /* the table of vLLM */
    RL_GEMM_SQUARE,   /* 128 x 128: FlashInfer's CUTLASS kernels for nvfp4 on sm_120 */
    RL_GEMM_DEEP,     /* DeepGEMM's own choice, of 2026 */
    RL_GEMM_TRT_BLOCK /* TensorRT-LLM's for block fp8 */
};

enum {
    RL_GEMM_MAXTILES = 24, /* of a menu */
    RL_GEMM_NLARGE = 2     /* its first: 256 x 128 and 128 x 256 */
};

/* Matrix units fed by wgmma or tcgen05 (compute capability 9 to 11), others by
 * mma.sync. */
bool rl_gemm_fine(int cc);

/* The tile that DeepGEMM (sm_90 to sm_110) and TensorRT-LLM (from sm_89 on) take for so
 * many rows, columns and k of block fp8 on a part of sm SMs. */
struct rl_gemm_tile rl_gemm_deep(int cc, double sm, double m, double n, double k);
struct rl_gemm_tile rl_gemm_trt_block(int cc, double sm, double m, double n, double k);

/* The tiles that a library considers for m × n × k on a device of compute
 * capability cc; *n of them.  RL_GEMM_SPLIT takes k as of two bytes each. */
const struct rl_gemm_tile *rl_gemm_tiles(enum rl_gemm_menu menu, int cc, double m,
                                         double cols, double k, int *n);

/* Whether cuBLAS takes a large tile and leaves k whole although the CTAs do not fill
 * their last wave on an SM count of sm; bytes: of an element of W. */
bool rl_gemm_large(int cc, double sm, double bytes, double m, double n, double k);

/* Whether cuBLAS takes no 128 x 128 for a k this long; bytes: of an element of W. */
bool rl_gemm_no_square(int cc, double bytes, double k);

#endif
