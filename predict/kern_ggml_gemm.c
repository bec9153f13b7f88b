/* Matrix products and routed experts of ggml's GPU back ends.
 *
 * Up to `vecmax` rows a matrix-vector kernel streams the weights once.
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
 * Read in ggml-org/ggml d99724f, src/ggml-cuda and src/ggml-metal.
 * Ignored: stream-k's tails, split buffers, partial offload.
 */
#include "kern_ggml.h"
#include "kernels.h"
#include "op_util.h"
#include "throttle.h"

#include <string.h>

enum { G_FIXED, G_LANE, G_ROW, G_DRAM, G_JOIN, G_KERNELS, G_VECMAX };
enum { G_MODE = G_VECMAX + 1, G_EFF, G_DEQ, G_ULANE, G_BLOCK_RATE, G_MMQMAX, G_TAIL };
enum { G_TILE = G_TAIL + 1, G_TOKENS };

const struct rl_coef rl_ggml_gemm_coef[] = {
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
    {"tokens", "1", RL_C_LINEAR, 8, 0, 32, 0,
     "of a call up to which experts are matrix-vector; 0: by the rows of each"},
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
    double launch = c[G_KERNELS] * rl_ggml_kernel_s(m, c[G_FIXED]);

    bytes *= rl_dtype_bytes((enum rl_dtype)p[RL_GEMM_DTYPE]);
    double lane = bytes / (c[G_LANE] * m->sm * m->clock_hz) * (1 + c[G_ROW] * (rows - 1));
    double dram = bytes / (c[G_DRAM] * m->dram_net);
    lane *= 1 + c[G_TAIL] / p[RL_GEMM_K];
    rl_ggml_set_part(part, lane, dram, launch);
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
    double launch = (c[G_KERNELS] + 2) * rl_ggml_kernel_s(m, c[G_FIXED]);
    double memory = rl_ggml_stream_s(m, 6 * rows * k, 6 * rows * k, c[G_DRAM]) +
                    rl_ggml_stream_s(m, 6 * rows * n, 6 * rows * n, c[G_DRAM]);
    double compute = blas_time(p, m, c[G_EFF]);

    if (is_blocks(p)) {
        double bytes = n * k * (rl_dtype_bytes(dt) + 2);
        memory += rl_join(bytes / (c[G_DEQ] * m->dram_net),
                          bytes / (c[G_ULANE] * m->sm * m->clock_hz), c[G_JOIN]);
        launch += rl_ggml_kernel_s(m, c[G_FIXED]);
    }
    rl_ggml_set_part(part, compute, memory, launch);
    return launch + compute + memory;
}

/* One kernel that unpacks on its way, for products of int8 blocks or of fp16. */
static double tiles_time(const double *p, const struct rl_machine *m, const double *c,
                         enum rl_unit unit, double part[RL_NBOUNDS])
{
    double rows = p[RL_GEMM_M], n = p[RL_GEMM_N], k = p[RL_GEMM_K];
    double weights = n * k * rl_dtype_bytes((enum rl_dtype)p[RL_GEMM_DTYPE]);
    double launch = c[G_KERNELS] * rl_ggml_kernel_s(m, c[G_FIXED]);
    double x = rl_ggml_stream_s(m, 6 * rows * k, 6 * rows * k, c[G_DRAM]);
    double memory = rl_join(weights / (c[G_DRAM] * m->dram_net),
                            weights / (c[G_LANE] * m->sm * m->clock_hz), c[G_JOIN]);
    double peak = unit == RL_FP16 ? fmax(m->peak[unit], rl_fp16_full(m)) : m->peak[unit];
    double rate = c[G_EFF] * peak;

    if (is_blocks(p))
        rate = fmin(rate, c[G_BLOCK_RATE] * m->sm * m->clock_hz);
    double compute = 2 * rows * n * k / rate;
    rl_ggml_set_part(part, compute, memory + x, launch);
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
double rl_ggml_gemm_time(const double *p, const struct rl_machine *m, const double *c,
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

/* A row that another token sent to an expert is walked by a warp of its own. */
static double own_row_time(const double *p, const struct rl_machine *m, const double *c,
                           double part[RL_NBOUNDS])
{
    double own[RL_MAXCOEFS];

    memcpy(own, c, sizeof own);
    own[G_ROW] = 1;
    return vec_time(p, m, own, part);
}

/* Products of experts.  The kernel is chosen by the tokens of the call, or each expert is
 * a product of its own; a vector kernel's last tokens cost no more than what comes next,
 * as above. */
static double experts_time(const double *p, const struct rl_machine *m, const double *c,
                           double part[RL_NBOUNDS])
{
    double tokens = p[RL_MOE_TOKENS], q[RL_MAXPARAMS];

    if (c[G_TOKENS] <= 0)
        return rl_ggml_experts(p, 0, rl_ggml_gemm_time, m, c, part);
    if (tokens > c[G_TOKENS])
        return rl_ggml_experts(p, c[G_TILE], matrix_time, m, c, part);
    memcpy(q, p, sizeof q);
    q[RL_MOE_TOKENS] = c[G_TOKENS] + 1;
    double next = rl_ggml_experts(q, c[G_TILE], matrix_time, m, c, NULL);
    q[RL_MOE_TOKENS] = 1;
    double one = rl_ggml_experts_few(q, own_row_time, m, c, NULL);
    return fmin(rl_ggml_experts_few(p, own_row_time, m, c, part), fmax(one, next));
}

/* Experts: their products, then activation, weighting and sum, a kernel each. */
double rl_ggml_moe_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    double elements = rl_ggml_expert_glue(p);
    double s = experts_time(p, m, c, part);
    double launch = 3 * rl_ggml_kernel_s(m, c[G_FIXED]);
    double memory =
        rl_ggml_stream_s(m, RL_GGML_FP32 * elements, RL_GGML_FP32 * elements, c[G_DRAM]);

    if (part) {
        part[RL_B_LAUNCH] += launch;
        part[RL_B_MEMORY] += memory;
    }
    return s + launch + memory;
}
