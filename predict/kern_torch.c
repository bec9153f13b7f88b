/* Scans without fused kernels: the fall-backs in plain PyTorch that transformers
 * takes when mamba_ssm, causal_conv1d or fla are not installed.
 *
 * Mamba-1 (modeling_mamba slow_forward): discrete_A, discrete_B and deltaB_u are
 * tensors of [B, D, L, N] floats, then a Python loop over the tokens.
 * Mamba-2 (modeling_mamba2 torch_forward): chunks, but every product is broadcast
 * to its full shape and summed: C·B over [L, Q, heads, N], M·x over [L, Q, heads,
 * P], states in and out over [L, heads, P, N], and the recurrence over chunks as a
 * product quadratic in their number.
 * Gated delta rule (modeling_qwen3_next torch_chunk_gated_delta_rule): chunks of 64
 * in floats, the triangular solve as a loop of 63 steps, then a loop over chunks.
 * Launches are those of one layer's call beyond its projections, convolution and
 * norms; each is a kernel that the host enqueues.
 * Ignored: the few kernels on [L, heads]; reuse of L2 between the large tensors.
 */
#include "kern_impl.h"
#include "ops.h"

#include <math.h>

static const double FP32 = 4; /* bytes: all of it is computed in float */
static const double GDN_CHUNK = 64;

/* The share of the DRAM rate that broadcasting element-wise kernels draw. */
static const struct rl_coef stream_coef[] = {
    {"dram", "1", RL_C_LOG, 0.9, 0.3, 1, 0.2, "of the sustained DRAM rate"},
    {0},
};

static double eager_time(double kernels, double bytes, double flop,
                         const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    double launch = kernels * m->gap_s, memory = bytes / (c[0] * m->dram);
    double compute = flop / m->rate[RL_FP32];

    if (part) {
        part[RL_B_LAUNCH] = launch;
        part[RL_B_MEMORY] = memory;
        part[RL_B_COMPUTE] = compute;
    }
    return launch + fmax(memory, compute);
}

/* 21 for the discretisation (35 a layer with projections, convolution and norm),
 * and every token: multiply, add, cast, matmul and for half of them a copy. */
static double mamba1_kernels(const double *p)
{
    return 21 + 4.5 * p[RL_SS_SEQ_LEN];
}

/* A·dt written, exp reads and writes; dt·B written; its product with u; the loop
 * reads both, twice the state, and passes the cast state to the product. */
static double mamba1_time(const double *p, const struct rl_machine *m, const double *c,
                          double part[RL_NBOUNDS])
{
    double cells = p[RL_SS_BATCH] * p[RL_SS_CHANNELS] * p[RL_SS_SEQ_LEN] * p[RL_SS_STATE];

    return eager_time(mamba1_kernels(p), cells * (6 + 6 + 2) * FP32, 6 * cells, m, c,
                      part);
}

/* 75 a layer with projections, convolution and norm. */
static double mamba2_kernels(const double *p)
{
    (void)p;
    return 58;
}

static double mamba2_time(const double *p, const struct rl_machine *m, const double *c,
                          double part[RL_NBOUNDS])
{
    double q = p[RL_SSD_CHUNK] > 0 ? p[RL_SSD_CHUNK] : 256;
    double chunks = ceil(p[RL_SSD_SEQ_LEN] / q), tokens = chunks * q;
    double n = p[RL_SSD_STATE], d = p[RL_SSD_HEAD_DIM], heads = p[RL_SSD_HEADS];
    double wide = tokens * (q * (n + d) + 2 * d * n);
    double recurrence = (chunks + 1) * (chunks + 1) * d * n;
    double cells = p[RL_SSD_BATCH] * heads * (wide + recurrence);

    /* each product is written, then read by the sum */
    return eager_time(mamba2_kernels(p), 2 * FP32 * cells, 2 * cells, m, c, part);
}

static double gdn_chunks(const double *p)
{
    return ceil(p[RL_GDN_SEQ_LEN] / GDN_CHUNK);
}

static double gdn_kernels(const double *p)
{
    return 40 + 3.5 * (GDN_CHUNK - 1) + 15 * gdn_chunks(p);
}

/* Per token and head: q, k, v and their products with β, read and written (5 of
 * them); masks and decays of the chunk's width (6); and of the solve's step i a
 * product of i x i entries written and read: 2 · 64²/3 a token. */
static double gdn_time(const double *p, const struct rl_machine *m, const double *c,
                       double part[RL_NBOUNDS])
{
    double q = GDN_CHUNK, tokens = p[RL_GDN_BATCH] * gdn_chunks(p) * q;
    double k = p[RL_GDN_K_DIM], v = p[RL_GDN_V_DIM], heads = p[RL_GDN_V_HEADS];
    double row = 5 * (k + v) + 6 * q + 2 * q * q / 3 + 4 * k * v / q;
    double flop = 6 * k * v + 2 * q * (3 * k + 2 * v) + 2 * q * q / 3;

    return eager_time(gdn_kernels(p), tokens * heads * row * FP32, tokens * heads * flop,
                      m, c, part);
}

/* One token: the state is read or written about ten times. */
static double update_time(double kernels, double cells, const struct rl_machine *m,
                          const double *c, double part[RL_NBOUNDS])
{
    return eager_time(kernels, 10 * FP32 * cells, 6 * cells, m, c, part);
}

/* 44 a layer and token with the rest (modeling_mamba). */
static double mamba1_step_kernels(const double *p)
{
    return 30 * p[RL_SS_SEQ_LEN];
}

static double mamba1_step_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    return update_time(mamba1_step_kernels(p),
                       p[RL_SS_BATCH] * p[RL_SS_CHANNELS] * p[RL_SS_STATE], m, c, part);
}

/* 50 a layer and token with the rest (modeling_mamba2). */
static double mamba2_step_kernels(const double *p)
{
    return 33 * p[RL_SSD_SEQ_LEN];
}

static double mamba2_step_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    return update_time(mamba2_step_kernels(p),
                       p[RL_SSD_BATCH] * p[RL_SSD_HEADS] * p[RL_SSD_HEAD_DIM] *
                           p[RL_SSD_STATE],
                       m, c, part);
}

static double gdn_step_kernels(const double *p)
{
    return 10 + 12 * p[RL_GDN_SEQ_LEN];
}

static double gdn_step_time(const double *p, const struct rl_machine *m, const double *c,
                            double part[RL_NBOUNDS])
{
    return update_time(gdn_step_kernels(p),
                       p[RL_GDN_BATCH] * p[RL_GDN_V_HEADS] * p[RL_GDN_K_DIM] *
                           p[RL_GDN_V_DIM],
                       m, c, part);
}

/* No run of these was compared: half an order of magnitude. */
#define SPREAD 0.35
const struct rl_impl rl_torch[] = {
    {"torch", &rl_op_selective_scan, 0, stream_coef, mamba1_time, SPREAD, mamba1_kernels},
    {"torch", &rl_op_selective_state_update, 0, stream_coef, mamba1_step_time, SPREAD,
     mamba1_step_kernels},
    {"torch", &rl_op_ssd_scan, 0, stream_coef, mamba2_time, SPREAD, mamba2_kernels},
    {"torch", &rl_op_ssd_update, 0, stream_coef, mamba2_step_time, SPREAD,
     mamba2_step_kernels},
    {"torch", &rl_op_gdn_scan, 0, stream_coef, gdn_time, SPREAD, gdn_kernels},
    {"torch", &rl_op_gdn_update, 0, stream_coef, gdn_step_time, SPREAD, gdn_step_kernels},
    {NULL, NULL, 0, NULL, NULL, 0, NULL},
};
