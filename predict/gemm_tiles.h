/* Tiles that GEMM libraries pick from. */
#ifndef RL_GEMM_TILES_H
#define RL_GEMM_TILES_H

#include <stdbool.h>

struct rl_gemm_tile {
    double a, b;     /* rows (of m) and columns (of n) of one SM's tile */
    double cm, cn;   /* CTAs of a cluster: the grid is a multiple of it */
    double below;    /* up to so many rows a lower tile of the menu does better */
    bool persistent; /* known to have CTAs that stay and take tile after tile */
};

enum rl_gemm_menu {
    RL_GEMM_SPLIT,   /* the best tile, k split where that helps: cuBLAS */
    RL_GEMM_UNSPLIT, /* the best tile, k whole: DeepGEMM, CUTLASS profiles */
    RL_GEMM_SGL,     /* the table of sgl-kernel */
    RL_GEMM_VLLM     /* the table of vLLM */
};

enum { RL_GEMM_MAXTILES = 24 }; /* of a menu */

/* Matrix units fed by wgmma or tcgen05 (compute capability 9 to 11), others by
 * mma.sync. */
bool rl_gemm_fine(int cc);

/* The tiles that a library considers for m × n × k on a device of compute
 * capability cc; *n of them. */
const struct rl_gemm_tile *rl_gemm_tiles(enum rl_gemm_menu menu, int cc, double m,
                                         double cols, double k, int *n);

#endif
