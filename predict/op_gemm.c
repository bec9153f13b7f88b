/* GEMM: Y[m,n] = X[m,k]·W[k,n], the linear layer.
 *
 * FLOP 2·m·n·k (NVIDIA, Matrix Multiplication Background User's Guide, §2).
 * DRAM bytes are compulsory: every operand once.  The weight's bytes include
 * its scales; X comes in the unit's own format.  L2 traffic is that of 128 × 128
 * tiles, each reading its strip of X and of W.
 * Ignores: bias (n additions a row), quantising X (operator `quantize`), tile
 * and wave quantisation and split-k (the kernel model's affair).
 */
#include "kernels.h"
#include "op_util.h"

static const double tile = 128.0;

static void gemm_work(const double *p, struct rl_work *w)
{
    double m = p[RL_GEMM_M], n = p[RL_GEMM_N], k = p[RL_GEMM_K];
    const struct rl_dtype_info *d = rl_info(p[RL_GEMM_DTYPE]);
    double wb = d->bits / 8.0, rows = ceil(m / tile), cols = ceil(n / tile);

    w->unit = d->unit;
    w->flop = 2.0 * m * n * k;
    w->weight_bytes = n * k * wb;
    w->act_bytes = m * k * d->act_bytes + m * n * rl_out_bytes(p[RL_GEMM_DTYPE]);
    w->l2_bytes = cols * m * k * d->act_bytes + rows * n * k * wb;
    /* weight-only formats are widened again for every row of tiles: at least
     * one subtraction and one multiplication an element */
    if (d->weight_only)
        w->vector_flop = 2.0 * n * k * rows;
    w->parallel = rows * cols;
    w->launches = 1.0;
}

const struct rl_op_type rl_op_gemm = {
    .name = "gemm",
    .ref = "2mnk; NVIDIA Matrix Multiplication Background User's Guide, section 2",
    .cls = RL_CLS_GEMM,
    .param =
        {
            {"m", RL_P_NUM, 1, RL_REQUIRED},
            {"n", RL_P_NUM, 1, RL_REQUIRED},
            {"k", RL_P_NUM, 1, RL_REQUIRED},
            {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},
        },
    .work = gemm_work,
    .coef = rl_kern_gemm_coef,
    .time = rl_kern_gemm_time,
    .known = rl_kern_gemm_known,
    .most = rl_kern_gemm_most,
    .log_sd = 0.35,
    .shape_params = 1U << RL_GEMM_N | 1U << RL_GEMM_K,
};
