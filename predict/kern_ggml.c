/* Kernel models of ggml's GPU back ends (CUDA, HIP, Metal, Vulkan), as
 * llama.cpp runs them.
 *
 * gemm: up to `vecmax` rows a matrix-vector kernel streams the weights once.
 * Each SM keeps a bounded number of loads in flight and unpacks block formats
 * on its integer and FP32 lanes, so that it draws at most `lane` bytes a clock:
 * a part with much bandwidth per SM (A100, H100) does not reach its DRAM rate.
 * More rows: `mode` 0 unpacks block formats to fp16 in memory and calls the
 * vendor's BLAS in fp16 with fp16 accumulation (GeForce parts run that at full
 * rate); 1 multiplies blocks as int8 (mmq), where an SM does so much a clock whatever its
 * matrix units are: it unpacks, and scales every block's sum in floats; 2 unpacks inside
 * its own kernel.  A kernel chosen up to some rows costs no more there than the next one
 * does from there on.
 * Activations are fp32 and are converted before and after.
 * attention without flash: scores in memory as fp32, written, read and written
 * by softmax, narrowed to fp16 and read; one query: K and V pass once through
 * DRAM and once per query head through the SMs.
 * Glue is one kernel per ggml node on fp32 tensors.  Every kernel costs on
 * top the gap to the one before and a number of clocks: start, ramp and drain (`fixed`).
 * Read in ggml-org/ggml d99724f, src/ggml-cuda and src/ggml-metal.
 * Ignored: stream-k's tails, split buffers, partial offload.
 */
#include "kern_impl.h"
#include "kernels.h"
#include "op_util.h"
#include "throttle.h"

#include <string.h>

static const double SHARE_L2 = 0.75; /* of L2, in which a producer's output lasts */
static const double FP32 = 4;        /* bytes of an activation */

/* A kernel beyond its bytes: the gap to the one before, which the front end makes at its
 * own clock, and the start, ramp and drain of its blocks. */
static double kernel_s(const struct rl_machine *m, double clocks)
{
    return m->gap_s + clocks / m->clock_hz;
}

/* A tensor passed from one kernel to the next: from L2 where it fits. */
static double stream_s(const struct rl_machine *m, double bytes, double tensor,
                       double fraction)
{
    double bw = fraction * m->dram_net;

    if (m->l2_bytes > 0 && tensor < SHARE_L2 * m->l2_bytes)
        bw = fmax(bw, 0.5 * m->l2_bw);
    return bytes / bw;
}

static void set_part(double *part, double compute, double memory, double launch)
{
    if (!part)
        return;
    part[RL_B_COMPUTE] = compute;
    part[RL_B_MEMORY] = memory;
    part[RL_B_LAUNCH] = launch;
}

/* matrices */

enum { G_FIXED, G_LANE, G_ROW, G_DRAM, G_JOIN, G_KERNELS, G_VECMAX };
enum { G_MODE = G_VECMAX + 1, G_EFF, G_DEQ, G_ULANE, G_BLOCK_RATE, G_MMQMAX, G_TAIL };
enum { G_TILE = G_TAIL + 1 };

static const struct rl_coef gemm_coef[] = {
    {"fixed", "clk", RL_C_LOG, 4800, 500, 40000, 0.3,
     "start, ramp and drain of a kernel"},
    {"lane", "B/clk/SM", RL_C_LOG, 7.2, 1, 64, 0.3, "weights streamed by one SM"},
    {"row", "1", RL_C_LOG, 0.15, 0, 1, 0.5, "slow-down of that per further row"},
    {"dram", "1", RL_C_LOG, 0.9, 0.4, 1, 0.05, "DRAM rate of the sheet reached"},
    {"join", "1", RL_C_LOG, 4, 1, 20, 0.3, "exponent joining the two"},
    {"kernels", "1", RL_C_LINEAR, 1, 1, 4, 0, "per product: 2 when X is quantised first"},
    {"vecmax", "1", RL_C_LINEAR, 8, 1, 32, 0, "rows up to which it is matrix-vector"},
    {"mode", "1", RL_C_CHOICE, 0, 0, 2, 0, "0 BLAS, 1 int8 blocks, 2 own kernel"},
    {"eff", "1", RL_C_LOG, 0.75, 0.05, 2, 0.2, "of the matrix rate, or of BLAS's time"},
    {"unpack", "1", RL_C_LOG, 0.95, 0.2, 2, 0.3,
     "DRAM rate of the sheet that unpacking reaches"},
    {"unpack_lane", "B/clk/SM", RL_C_LOG, 6.1, 1, 64, 0.3, "read and written by one SM"},
    {"block_rate", "FLOP/clk/SM", RL_C_LOG, 640, 20, 2000, 0.2,
     "blocks unpacked, scaled and summed by one SM"},
    {"mmqmax", "1", RL_C_LINEAR, 0, 0, 128, 0,
     "mode 0: rows up to which it is int8 blocks"},
    {"tail", "1", RL_C_LINEAR, 0, 0, 8192, 0,
     "a row's end, in weights: its sum goes through a whole warp"},
    {"tile", "rows", RL_C_LINEAR, 128, 0, 128, 0, "of experts' products, at most"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* Blocks with scales, not plain numbers. */
static bool is_blocks(const double *p)
{
    enum rl_dtype dt = (enum rl_dtype)p[RL_GEMM_DTYPE];

    return dt >= RL_DT_Q8_0 || dt == RL_DT_MXFP4;
}

static double vec_time(const double *p, const struct rl_machine *m, const double *c,
                       double *part)
{
    double rows = p[RL_GEMM_M], bytes = p[RL_GEMM_N] * p[RL_GEMM_K];
    double launch = c[G_KERNELS] * kernel_s(m, c[G_FIXED]);

    bytes *= rl_dtype_bytes((enum rl_dtype)p[RL_GEMM_DTYPE]);
    double lane = bytes / (c[G_LANE] * m->sm * m->clock_hz) * (1 + c[G_ROW] * (rows - 1));
    double dram = bytes / (c[G_DRAM] * m->dram_net);
    lane *= 1 + c[G_TAIL] / p[RL_GEMM_K];
    set_part(part, lane, dram, launch);
    return launch + rl_join(lane, dram, c[G_JOIN]);
}

/* The vendor's BLAS: the common GEMM model at its pooled coefficients. */
static double blas_time(const double *p, const struct rl_machine *m, double eff)
{
    struct rl_machine mc = *m;
    double c[RL_MAXCOEFS], q[RL_MAXPARAMS];

    memcpy(q, p, sizeof q);
    q[RL_GEMM_DTYPE] = RL_DT_FP16;
    for (int i = 0; rl_kern_gemm_coef[i].name; i++)
        c[i] = rl_kern_gemm_coef[i].prior;
    mc.peak[RL_FP16] = eff * rl_fp16_rate(m);
    mc.warm = 0;
    return rl_kern_gemm_time(q, &mc, c, NULL);
}

/* BLAS in fp16 between conversions; block formats are unpacked to memory first. */
static double narrowed_time(const double *p, const struct rl_machine *m, const double *c,
                            double part[RL_NBOUNDS])
{
    enum rl_dtype dt = (enum rl_dtype)p[RL_GEMM_DTYPE];
    double rows = p[RL_GEMM_M], n = p[RL_GEMM_N], k = p[RL_GEMM_K];
    double launch = (c[G_KERNELS] + 2) * kernel_s(m, c[G_FIXED]);
    double memory = stream_s(m, 6 * rows * k, 6 * rows * k, c[G_DRAM]) +
                    stream_s(m, 6 * rows * n, 6 * rows * n, c[G_DRAM]);
    double compute = blas_time(p, m, c[G_EFF]);

    if (is_blocks(p)) {
        double bytes = n * k * (rl_dtype_bytes(dt) + 2);
        memory += rl_join(bytes / (c[G_DEQ] * m->dram_net),
                          bytes / (c[G_ULANE] * m->sm * m->clock_hz), c[G_JOIN]);
        launch += kernel_s(m, c[G_FIXED]);
    }
    set_part(part, compute, memory, launch);
    return launch + compute + memory;
}

/* One kernel that unpacks on its way, for products of int8 blocks or of fp16. */
static double tiles_time(const double *p, const struct rl_machine *m, const double *c,
                         enum rl_unit unit, double part[RL_NBOUNDS])
{
    double rows = p[RL_GEMM_M], n = p[RL_GEMM_N], k = p[RL_GEMM_K];
    double weights = n * k * rl_dtype_bytes((enum rl_dtype)p[RL_GEMM_DTYPE]);
    double launch = c[G_KERNELS] * kernel_s(m, c[G_FIXED]);
    double x = stream_s(m, 6 * rows * k, 6 * rows * k, c[G_DRAM]);
    double memory = rl_join(weights / (c[G_DRAM] * m->dram_net),
                            weights / (c[G_LANE] * m->sm * m->clock_hz), c[G_JOIN]);
    double peak = unit == RL_FP16 ? fmax(m->peak[unit], rl_fp16_full(m)) : m->peak[unit];
    double rate = c[G_EFF] * peak;

    if (is_blocks(p))
        rate = fmin(rate, c[G_BLOCK_RATE] * m->sm * m->clock_hz);
    double compute = 2 * rows * n * k / rate;
    set_part(part, compute, memory + x, launch);
    return launch + x + rl_join(compute, memory, c[G_JOIN]);
}

/* Beyond the vector kernel's rows.  Where BLAS takes over at some number of rows, what
 * goes before it costs no more than BLAS does there: that is why it does. */
static double matrix_time(const double *p, const struct rl_machine *m, const double *c,
                          double part[RL_NBOUNDS])
{
    bool blocks = is_blocks(p);
    double q[RL_MAXPARAMS];

    if (c[G_MODE] >= 1)
        return tiles_time(p, m, c, c[G_MODE] < 2 && blocks ? RL_INT8 : RL_FP16, part);
    if (!blocks || p[RL_GEMM_M] > c[G_MMQMAX])
        return narrowed_time(p, m, c, part);
    memcpy(q, p, sizeof q);
    q[RL_GEMM_M] = c[G_MMQMAX] + 1;
    return fmin(tiles_time(p, m, c, RL_INT8, part), narrowed_time(q, m, c, NULL));
}

/* The same of the vector kernel: its last rows cost no more than the next kernel's
 * first, but for one row, which is fitted to runs. */
static double gemm_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    double q[RL_MAXPARAMS];

    if (p[RL_GEMM_M] > c[G_VECMAX])
        return matrix_time(p, m, c, part);
    memcpy(q, p, sizeof q);
    q[RL_GEMM_M] = c[G_VECMAX] + 1;
    double next = matrix_time(q, m, c, NULL);
    q[RL_GEMM_M] = 1;
    double one = vec_time(q, m, c, NULL);
    return fmin(vec_time(p, m, c, part), fmax(one, next));
}

/* Experts: their products, then activation, weighting and sum, a kernel each. */
static double moe_time(const double *p, const struct rl_machine *m, const double *c,
                       double part[RL_NBOUNDS])
{
    double elements = rl_ggml_expert_glue(p);
    double s = rl_ggml_experts(p, c[G_VECMAX], c[G_TILE], gemm_time, m, c, part);
    double launch = 3 * kernel_s(m, c[G_FIXED]);
    double memory = stream_s(m, FP32 * elements, FP32 * elements, c[G_DRAM]);

    if (part) {
        part[RL_B_LAUNCH] += launch;
        part[RL_B_MEMORY] += memory;
    }
    return s + launch + memory;
}

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
    double launch = c[A_KERNELS] * kernel_s(m, c[A_FIXED]);

    set_part(part, lane, dram, launch);
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
    double launch = (c[A_KERNELS] + 2) * kernel_s(m, c[A_FIXED]);
    set_part(part, compute, memory, launch);
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
    double launch = c[A_KERNELS] * kernel_s(m, c[A_FIXED]);
    set_part(part, compute, memory, launch);
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
    double tensor = p[RL_GLUE_ROWS] * p[RL_GLUE_WIDTH] * FP32;
    double memory = stream_s(m, c[E_MOVES] * tensor, 2 * tensor, c[E_DRAM]);
    double launch = c[E_KERNELS] * kernel_s(m, c[E_FIXED]);

    set_part(part, 0, memory, launch);
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
    double launch = c[S_KERNELS] * kernel_s(m, c[S_FIXED]);

    set_part(part, 0, memory, launch);
    if (part)
        part[RL_B_SERIAL] = serial;
    return launch + rl_join(serial, memory, 3);
}

static double scan1_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    double rows = p[RL_SS_BATCH] * p[RL_SS_CHANNELS];

    return recurrent(m, c, p[RL_SS_SEQ_LEN], rows / 32, FP32 * rows * p[RL_SS_STATE],
                     5 * FP32 * rows * p[RL_SS_SEQ_LEN], part);
}

static double scan2_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    double rows = p[RL_SSD_BATCH] * p[RL_SSD_HEADS] * p[RL_SSD_HEAD_DIM];

    return recurrent(m, c, p[RL_SSD_SEQ_LEN], rows, FP32 * rows * p[RL_SSD_STATE],
                     6 * FP32 * rows * p[RL_SSD_SEQ_LEN], part);
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
    {"ggml", &rl_op_gemm, 0, gemm_coef, gemm_time, 0.06, NULL},
    {"ggml", &rl_op_moe, 0, gemm_coef, moe_time, 0.3, NULL, "gemm"},
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
