/* Causal depthwise convolution over the sequence, with silu, and its one-token
 * update (Dao-AILab/causal-conv1d, csrc/causal_conv1d_fwd.cu and _update.cu).
 *
 * Per token and channel 2·K vector FLOP for K taps, one for the gate, two
 * special functions (exp and reciprocal of silu).  DRAM: input and output once
 * (the K − 1 tokens of overlap stay on chip), and in the update the K − 1 tokens
 * of state read and written.
 * Ignores: bias, a layout copy when the input is token-major.
 */
#include "kernels.h"
#include "op_util.h"

static const double tile = 64.0; /* tokens and channels of one block */

static void conv_common(const double *p, struct rl_work *w)
{
    double elems = p[RL_CONV_BATCH] * p[RL_CONV_SEQ_LEN] * p[RL_CONV_CHANNELS];
    double a = rl_out_bytes(p[RL_CONV_DTYPE]);

    w->unit = RL_FP32;
    w->vector_flop = elems * (2.0 * p[RL_CONV_WIDTH] + 1.0);
    w->sfu = 2.0 * elems;
    w->act_bytes = 2.0 * a * elems;
    w->weight_bytes = p[RL_CONV_CHANNELS] * p[RL_CONV_WIDTH] * a;
    w->launches = 1.0;
}

static void conv_work(const double *p, struct rl_work *w)
{
    conv_common(p, w);
    w->l2_bytes = w->act_bytes;
    w->parallel = p[RL_CONV_BATCH] * ceil(p[RL_CONV_SEQ_LEN] / tile) *
                  ceil(p[RL_CONV_CHANNELS] / tile);
}

static void update_work(const double *p, struct rl_work *w)
{
    conv_common(p, w);
    w->cache_bytes = 2.0 * p[RL_CONV_BATCH] * p[RL_CONV_CHANNELS] *
                     (p[RL_CONV_WIDTH] - 1.0) * rl_out_bytes(p[RL_CONV_DTYPE]);
    w->l2_bytes = w->act_bytes + w->cache_bytes;
    w->parallel = p[RL_CONV_BATCH] * ceil(p[RL_CONV_CHANNELS] / tile);
    w->serial = p[RL_CONV_SEQ_LEN] - 1.0;
}

static int conv_check(const double *p, struct rl_error *err)
{
    return rl_check_act("conv1d", "dtype", p[RL_CONV_DTYPE], err);
}

#define CONV_PARAMS                                                                      \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"seq_len", RL_P_NUM, 1, RL_REQUIRED},          \
        {"channels", RL_P_NUM, 1, RL_REQUIRED}, {"width", RL_P_NUM, 1, 4},               \
    {                                                                                    \
        "dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED                                     \
    }

const struct rl_op_type rl_op_conv1d = {
    .name = "conv1d",
    .ref = "(2K + 1) per element; Dao-AILab/causal-conv1d csrc/causal_conv1d_fwd.cu",
    .cls = RL_CLS_CONV,
    .param = {CONV_PARAMS},
    .check = conv_check,
    .work = conv_work,
    .coef = rl_kern_conv1d_coef,
    .time = rl_kern_conv1d_time,
    .shape_params = 1U << RL_CONV_CHANNELS | 1U << RL_CONV_WIDTH,
    .log_sd = 0.5,
};

const struct rl_op_type rl_op_conv1d_update = {
    .name = "conv1d_update",
    .ref = "(2K + 1) per element; Dao-AILab/causal-conv1d csrc/causal_conv1d_update.cu",
    .cls = RL_CLS_CONV,
    .param = {CONV_PARAMS},
    .check = conv_check,
    .work = update_work,
    .coef = rl_kern_conv1d_update_coef,
    .time = rl_kern_conv1d_update_time,
    .shape_params = 1U << RL_CONV_CHANNELS | 1U << RL_CONV_WIDTH,
    .log_sd = 0.3,
};
