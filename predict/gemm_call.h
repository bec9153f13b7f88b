/* One call of GEMM on one machine, as the parts of its kernel model see it: the whole in
 * kern_gemm.c, tiles and splits of k in gemm_search.c, caches, DRAM and quantising in
 * gemm_memory.c, what cuBLAS does besides in gemm_cublas.c, a kernel without tensor units
 * in gemm_vector.c. */
#ifndef RL_GEMM_CALL_H
#define RL_GEMM_CALL_H

#include "gemm_tiles.h"
#include "kern_root.h"
#include "kernels.h"

static const double RL_GEMM_OUT = 2; /* bytes of an element of Y */
static const double RL_GEMM_IN = 2;  /* of X before it is quantised */
static const double RL_GEMM_US = 1e-6;

/* Rows of rl_kern_gemm_coef. */
enum {
    RL_G_FIXED,
    RL_G_EFF,
    RL_G_TILE,
    RL_G_CHAIN,
    RL_G_RAMP,
    RL_G_EPILOGUE,
    RL_G_DRAM,
    RL_G_FEW,
    RL_G_FILL,
    RL_G_L2,
    RL_G_KEEP,
    RL_G_KEEP_SHARP,
    RL_G_REDUCE,
    RL_G_REDUCE_BW,
    RL_G_CLOCK,
    RL_G_WAVE,
    RL_G_EXPOSED,
    RL_G_STEP,
    RL_G_PAIR,
    RL_G_EXTRA,
    RL_G_START,
    RL_G_QUANT_BW,
    RL_G_QUANT_ROW,
    RL_G_QUANT_CTA,
    RL_G_FLOOR,
    RL_G_STACK
};

/* What a library picks from, and how its benchmark takes operands in turn: sets of
 * weights and inputs in memory, one a call; `fill`: no more weights than fill L2. */
struct rl_gemm_stack {
    enum rl_gemm_menu menu;
    double weights, inputs;
    bool fill;
    double pack; /* rows of a CTA of its quantising kernel, see rounds(); 0: unknown */
    bool alone;  /* each call timed by itself, not all of one graph */
    bool vector; /* a few rows go to CUDA cores, see gemm_vector.c */
    bool tensor; /* X is quantised by tensor, not by row */
};

/* One call on one machine, reduced to what the search needs. */
struct rl_gemm {
    double m, n, k, k_step;  /* k padded to the main loop's step */
    double wb, xb;           /* bytes of an element */
    double sm, per_sm;       /* SMs; 1 / SMs */
    double fma_s, pipe_s;    /* seconds of k multiply-adds of one SM; sustained */
    double slow;             /* rl_machine.slow */
    double l2_s;             /* seconds of k bytes of one SM, all of them reading */
    double port;             /* of that, what it takes alone */
    double l2_idle, l2_rows; /* least share of l2_s, SMs idle; times as long, few rows */
    double first;            /* share of k that the pipeline holds */
    double read_row;         /* multiply-adds in the time of one row, see work_of() */
    int cluster;             /* CTAs of one that the library chose; 0: see the tile */
    bool hopper;             /* a wgmma part */
    double held_s;           /* of a CTA's row beyond m, see held_up() */
    double beyond;           /* what a tile's is, where the library chooses */
    bool by_waves;           /* as measured, see by_waves(); not monotone in m */
    double split_ctas;       /* no split beyond so many CTAs per SM */
    double most_parts;       /* of k */
    bool no_square;          /* the library takes no 128 x 128 */
    double epilogue_s;       /* of one byte */
    double ramp_s;           /* per wave */
    double dram_s, few_s;    /* all bytes; the same with one CTA per SM */
    double dram3, chain_s;   /* cubes of dram_s less out_s; seconds of k steps */
    double in_s;             /* of dram_s, the operands */
    double out_s;            /* of dram_s, the output that L2 has no room for */
    double xmiss, qmiss;     /* share of X, and of X quantised, that L2 does not hold */
    double reduce_s, part_s; /* fixed; per part */
    double start_s;          /* of a first wave that fills the SMs */
    double calls;            /* of one timing */
    const struct rl_gemm_stack *stack;
    const double *c;
};

struct rl_gemm_best {
    double seconds, tensor, l2;
    double core3, reduce; /* cube of what an SM does; s of adding up k's parts */
    double per_sm;        /* CTAs per SM, of all parts */
    double pipe;          /* s of its multiply-adds alone, at the sustained rate */
    bool persistent;      /* tensor has that rate in it */
};

static inline double rl_cube(double x)
{
    return x * x * x;
}

/* Seconds until a first wave's CTAs have all started; per_sm: CTAs per SM. */
static inline double rl_gemm_start(const struct rl_gemm *g, double per_sm)
{
    return g->start_s * (per_sm < 1 ? per_sm : 1);
}

/* ceil() of a count, 1e-9 of it rounding; inlined, where libm's is a call. */
static inline double rl_whole(double x)
{
    double floor_ = (double)(long long)x;
    return floor_ < x - 1e-9 * x ? floor_ + 1 : floor_;
}

/* Sets the seconds of DRAM and the shares that L2 does not hold; x_bytes: of an
 * element of X before it is quantised, 0 for none; tile: of a dispatch table, else NULL.
 */
void rl_gemm_dram(struct rl_gemm *g, const struct rl_machine *mc, double k,
                  double x_bytes, const struct rl_gemm_tile *tile);

/* Rules of cuBLAS: what it sets in the call; how often a step of k is counted; whether it
 * considers splits of k; seconds that a small product takes more. */
void rl_gemm_cublas(struct rl_gemm *g, const struct rl_machine *mc, double k);
double rl_gemm_step_times(const struct rl_gemm *g, const struct rl_machine *mc);
bool rl_gemm_splits_k(const struct rl_gemm *g, const struct rl_machine *mc);
double rl_gemm_small_more(const struct rl_gemm *g, const struct rl_machine *mc, double k);

/* Seconds of quantising X. */
double rl_gemm_quantise(const struct rl_gemm *g, const struct rl_machine *mc);

/* Whether CUDA cores do the call, and its time: of *best the seconds, what multiplying
 * takes (tensor) and the CTAs of an SM. */
bool rl_gemm_on_vector(const struct rl_gemm *g, const struct rl_machine *mc);
void rl_gemm_vector(const struct rl_gemm *g, const struct rl_machine *mc, double k,
                    struct rl_gemm_best *best);

/* The fastest of n tiles and, where `split`, the splits of k; best->seconds starts at
 * infinity. */
void rl_gemm_search(const struct rl_gemm *g, const struct rl_gemm_tile *tile, int n,
                    bool split, struct rl_gemm_best *best);

#endif
