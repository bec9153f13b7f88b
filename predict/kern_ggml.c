/* Kernel models of ggml's GPU back ends (CUDA, HIP, Metal, Vulkan), as
 * llama.cpp runs them.
 *
 * gemm and moe: kern_ggml_gemm.c.
 * attention without flash: scores in memory as fp32, written, read and written
 * by softmax, narrowed to fp16 and read; one query: K and V pass once through
 * DRAM and once per query head through the SMs.
 * Glue is one kernel per ggml node on fp32 tensors.  Every kernel costs on
 * top the gap to the one before and a number of clocks: start, ramp and drain (`fixed`).
 * Read in ggml-org/ggml d99724f, src/ggml-cuda and src/ggml-metal.
 * Ignored: split buffers, partial offload.
 */
#include "kern_ggml.h"
#include "kernels.h"
#include "op_util.h"
#include "throttle.h"

/* attention */

enum { A_FIXED, A_KERNELS, A_LANE, A_DRAM, A_EFF, A_SCORE };

static const struct rl_coef attention_coef[] = {
    {"fixed", "clk", RL_C_LOG, 4800, 500, 40000, 0.3,
     "start, ramp and drain of a kernel"},
    {"kernels", "1", RL_C_LINEAR, 2, 1, 10, 0, "kernels of one call"},
    {"lane", "B/clk/SM", RL_C_LOG, 14.6, 1, 128, 0.3, "K and V streamed per query head"},
    {"dram", "1", RL_C_LOG, 0.57, 0.1, 1.1, 0.2, "DRAM rate of the sheet reached"},
    {"eff", "1", RL_C_LOG, 0.4, 0.02, 1, 0.3, "fp16 matrix peak reached"},
    {"score_bytes", "B", RL_C_LOG, 24, 8, 64, 0.3, "traffic per score"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* Bytes of K and V that one query head walks, and of all KV heads. */
static double cache_bytes(const double *p, double *per_head)
{
    double keys = p[RL_ATT_KV_LEN];

    if (p[RL_ATT_WINDOW] > 0)
        keys = fmin(keys, p[RL_ATT_WINDOW] + p[RL_ATT_SINK] + p[RL_ATT_Q_LEN] - 1);
    *per_head = keys * (p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p)) *
                rl_dtype_bytes((enum rl_dtype)p[RL_ATT_KV_DTYPE]);
    return p[RL_ATT_BATCH] * p[RL_ATT_KV_HEADS] * *per_head;
}

static double few_queries(const double *p, const struct rl_machine *m, const double *c,
                          double *part)
{
    double per_head, bytes = cache_bytes(p, &per_head);
    double walked = p[RL_ATT_BATCH] * p[RL_ATT_Q_LEN] * p[RL_ATT_HEADS] * per_head;
    double dram = bytes / (c[A_DRAM] * m->dram_net);
    double lane = walked / (c[A_LANE] * m->sm * m->clock_hz);
    double launch = c[A_KERNELS] * rl_ggml_kernel_s(m, c[A_FIXED]);

    rl_ggml_set_part(part, lane, dram, launch);
    return launch + dram + lane;
}

static double scores_time(const double *p, const struct rl_machine *m, const double *c,
                          double part[RL_NBOUNDS])
{
    double heads = p[RL_ATT_BATCH] * p[RL_ATT_HEADS];
    double scores = heads * p[RL_ATT_Q_LEN] * p[RL_ATT_KV_LEN];

    if (p[RL_ATT_Q_LEN] <= 8)
        return few_queries(p, m, c, part);
    double compute = 2 * scores * (p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p)) /
                     (c[A_EFF] * rl_fp16_rate(m));
    double memory = c[A_SCORE] * scores / m->dram_net;
    double launch = (c[A_KERNELS] + 2) * rl_ggml_kernel_s(m, c[A_FIXED]);
    rl_ggml_set_part(part, compute, memory, launch);
    return launch + compute + memory;
}

static double flash_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    const double tile = 64; /* queries and keys rounded up to the tile */
    double pairs, per_head, bytes = cache_bytes(p, &per_head);

    if (p[RL_ATT_Q_LEN] <= 8)
        return few_queries(p, m, c, part);
    pairs = rl_attention_pairs(p[RL_ATT_Q_LEN], p[RL_ATT_KV_LEN], p[RL_ATT_WINDOW],
                               p[RL_ATT_CHUNK], p[RL_ATT_CAUSAL] != 0);
    pairs += p[RL_ATT_Q_LEN] * 0.5 * tile;
    double flop = 2 * p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * pairs *
                  (p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p));
    double compute = flop / (c[A_EFF] * m->peak[RL_FP16]);
    double memory = bytes / m->dram_net;
    double launch = c[A_KERNELS] * rl_ggml_kernel_s(m, c[A_FIXED]);
    rl_ggml_set_part(part, compute, memory, launch);
    return launch + rl_join(compute, memory, 4);
}

/* glue: `kernels` passes over fp32 tensors of rows × width */

enum { E_FIXED, E_KERNELS, E_MOVES, E_DRAM };

#define GLUE(kernels, moves)                                                             \
    {                                                                                    \
        {"fixed", "clk", RL_C_LOG, 4800, 500, 40000, 0.3, "start, ramp and drain"},      \
            {"kernels", "1", RL_C_LINEAR, kernels, 0, 20, 0, "ggml nodes of one call"},  \
            {"moves", "1", RL_C_LINEAR, moves, 0, 64, 0, "fp32 moved per element"},      \
            {"dram", "1", RL_C_LOG, 0.92, 0.2, 1.1, 0.1, "DRAM rate of the sheet"},      \
        {                                                                                \
            NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL                                       \
        }                                                                                \
    }

static const struct rl_coef norm_coef[] = GLUE(2, 4);        /* rms_norm, mul */
static const struct rl_coef elementwise_coef[] = GLUE(1, 3); /* add */
static const struct rl_coef rope_coef[] = GLUE(2, 2);        /* Q, K */
static const struct rl_coef append_coef[] = GLUE(2, 1.5);    /* K, V: fp32 to fp16 */

static double glue_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    double tensor = p[RL_GLUE_ROWS] * p[RL_GLUE_WIDTH] * RL_GGML_FP32;
    double memory = rl_ggml_stream_s(m, c[E_MOVES] * tensor, 2 * tensor, c[E_DRAM]);
    double launch = c[E_KERNELS] * rl_ggml_kernel_s(m, c[E_FIXED]);

    rl_ggml_set_part(part, 0, memory, launch);
    return launch + memory;
}

/* Recurrent layers: the state is fp32, kept in the scratch of a graph and
 * copied back to the cache. */

enum { S_FIXED, S_KERNELS, S_TOKEN, S_WARPS, S_DRAM };

#define SCAN(kernels, token, warps)                                                      \
    {                                                                                    \
        {"fixed", "clk", RL_C_LOG, 4800, 500, 40000, 0.3, "start, ramp and drain"},      \
            {"kernels", "1", RL_C_LINEAR, kernels, 0, 20, 0, "ggml nodes of one call"},  \
            {"token", "clk", RL_C_LOG, token, 10, 20000, 0.7, "one dependent step"},     \
            {"warps", "1", RL_C_LOG, warps, 1, 64, 0.5, "warps an SM serves at once"},   \
            {"dram", "1", RL_C_LOG, 0.8, 0.2, 1.1, 0.1, "DRAM rate of the sheet"},       \
        {                                                                                \
            NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL                                       \
        }                                                                                \
    }

static const struct rl_coef scan1_coef[] = SCAN(4, 1100, 8);
static const struct rl_coef scan2_coef[] = SCAN(5, 300, 32);

static double recurrent(const struct rl_machine *m, const double *c, double tokens,
                        double warps, double state_bytes, double io_bytes, double *part)
{
    double waves = fmax(1, warps / (c[S_WARPS] * m->sm));
    double serial = tokens * c[S_TOKEN] / m->clock_hz * waves; /* of one launch */
    double memory = (4 * state_bytes + io_bytes) / (c[S_DRAM] * m->dram_net);
    double launch = c[S_KERNELS] * rl_ggml_kernel_s(m, c[S_FIXED]);

    rl_ggml_set_part(part, 0, memory, launch);
    if (part)
        part[RL_B_SERIAL] = serial;
    return launch + rl_join(serial, memory, 3);
}

static double scan1_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    double rows = p[RL_SS_BATCH] * p[RL_SS_CHANNELS];

    return recurrent(m, c, p[RL_SS_SEQ_LEN], rows / 32,
                     RL_GGML_FP32 * rows * p[RL_SS_STATE],
                     5 * RL_GGML_FP32 * rows * p[RL_SS_SEQ_LEN], part);
}

static double scan2_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    double rows = p[RL_SSD_BATCH] * p[RL_SSD_HEADS] * p[RL_SSD_HEAD_DIM];

    return recurrent(m, c, p[RL_SSD_SEQ_LEN], rows, RL_GGML_FP32 * rows * p[RL_SSD_STATE],
                     6 * RL_GGML_FP32 * rows * p[RL_SSD_SEQ_LEN], part);
}

static const struct rl_coef conv_coef[] = GLUE(4, 10); /* concat, conv, silu, copy */

static double conv_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    double q[RL_MAXPARAMS] = {0};

    q[RL_GLUE_ROWS] = p[RL_CONV_BATCH] * (p[RL_CONV_SEQ_LEN] + p[RL_CONV_WIDTH] - 1);
    q[RL_GLUE_WIDTH] = p[RL_CONV_CHANNELS];
    return glue_time(q, m, c, part);
}

const struct rl_impl rl_ggml_gpu[] = {
    {"ggml", &rl_op_gemm, 0, rl_ggml_gemm_coef, rl_ggml_gemm_time, 0.06, NULL},
    {"ggml", &rl_op_moe, 0, rl_ggml_gemm_coef, rl_ggml_moe_time, 0.3, NULL, "gemm"},
    {"ggml", &rl_op_attention_prefill, 0, attention_coef, flash_time, 0.3, NULL},
    {"ggml", &rl_op_attention_decode, 0, attention_coef, flash_time, 0.3, NULL},
    {"ggml", &rl_op_attention_scores, 0, attention_coef, scores_time, 0.2, NULL},
    {"ggml", &rl_op_norm, 0, norm_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_elementwise, 0, elementwise_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_rope, 0, rope_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_kv_append, 0, append_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_selective_scan, 0, scan1_coef, scan1_time, 0.7, NULL},
    {"ggml", &rl_op_selective_state_update, 0, scan1_coef, scan1_time, 0.4, NULL},
    {"ggml", &rl_op_ssd_scan, 0, scan2_coef, scan2_time, 0.7, NULL},
    {"ggml", &rl_op_ssd_update, 0, scan2_coef, scan2_time, 0.4, NULL},
    {"ggml", &rl_op_conv1d, 0, conv_coef, conv_time, 0.4, NULL},
    {"ggml", &rl_op_conv1d_update, 0, conv_coef, conv_time, 0.4, NULL},
    {NULL, NULL, 0, NULL, NULL, 0, NULL},
};
