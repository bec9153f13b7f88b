/* Mamba-1: the selective scan over a prompt and its one-token update
 * (arXiv 2312.00752 §3.3; state-spaces/mamba, csrc/selective_scan and
 * ops/triton/selective_state_update.py).
 *
 * Per token, channel and state: one exp for the decay and six vector FLOP
 * (Δ·A, decay·h + Δu·B, C·h).  Per token and channel: five more (Δ·u, D·u, bias
 * and gate) and three special functions (softplus, silu).  No matrix unit.
 * The CUDA scan reads u, Δ and z and writes out and out_z; every channel's block
 * reads all of B and C, which L2 serves.
 * Ignores: chunk padding, the scan's log-depth additions (about twice these
 * FLOP run), dt_proj (a gemm: that is all dt_rank is for).
 */
#include "kernels.h"
#include "op_util.h"

static const double chunk = 2048.0;     /* tokens one block scans at a time */
static const double update_rows = 32.0; /* channels of one block of the update */

static void vector_work(const double *p, struct rl_work *w)
{
    double b = p[RL_SS_BATCH], ch = p[RL_SS_CHANNELS], n = p[RL_SS_STATE];
    double tokens = b * p[RL_SS_SEQ_LEN];

    w->unit = RL_FP32;
    w->vector_flop = tokens * ch * (6.0 * n + 5.0);
    w->sfu = tokens * ch * (n + 3.0);
    w->weight_bytes = 4.0 * ch * (n + 2.0); /* A, D, dt bias in fp32 */
}

static void scan_work(const double *p, struct rl_work *w)
{
    double b = p[RL_SS_BATCH], len = p[RL_SS_SEQ_LEN], ch = p[RL_SS_CHANNELS];
    double n = p[RL_SS_STATE], a = rl_out_bytes(p[RL_SS_DTYPE]);
    double chunks = ceil(len / chunk);

    vector_work(p, w);
    w->act_bytes = b * len * (5.0 * ch + 2.0 * n) * a;
    w->cache_bytes = b * ch * n * rl_cell_bytes(p[RL_SS_STATE_DTYPE]);
    /* B and C for every channel; the running state of each chunk (pair, fp32) */
    w->l2_bytes = 2.0 * n * a * b * len * ch + b * ch * chunks * 2.0 * n * 4.0;
    w->parallel = b * ch;
    w->serial = chunks; /* the n states of a chunk are independent of each other */
    w->launches = 1.0;
}

static void update_work(const double *p, struct rl_work *w)
{
    double b = p[RL_SS_BATCH], len = p[RL_SS_SEQ_LEN], ch = p[RL_SS_CHANNELS];
    double n = p[RL_SS_STATE], a = rl_out_bytes(p[RL_SS_DTYPE]);

    vector_work(p, w);
    w->act_bytes = b * len * (4.0 * ch + 2.0 * n) * a; /* u, Δ, z, out; B, C */
    w->cache_bytes = (1.0 + len) * b * ch * n * rl_cell_bytes(p[RL_SS_STATE_DTYPE]);
    w->l2_bytes = w->cache_bytes + 4.0 * b * ch * n; /* A again per sequence */
    w->parallel = b * ceil(ch / update_rows);
    w->serial = len - 1.0;
    w->launches = 1.0;
}

static int scan_check(const double *p, struct rl_error *err)
{
    return rl_check_act("selective_scan", "dtype", p[RL_SS_DTYPE], err);
}

static int update_check(const double *p, struct rl_error *err)
{
    return rl_check_act("selective_state_update", "dtype", p[RL_SS_DTYPE], err);
}

#define MAMBA1_PARAMS                                                                    \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"seq_len", RL_P_NUM, 1, RL_REQUIRED},          \
        {"channels", RL_P_NUM, 1, RL_REQUIRED}, {"state", RL_P_NUM, 1, RL_REQUIRED},     \
        {"dt_rank", RL_P_NUM, 0, 0}, {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},     \
    {                                                                                    \
        "state_dtype", RL_P_DTYPE, RL_DT_NONE, RL_DT_FP32                                \
    }

const struct rl_op_type rl_op_selective_scan = {
    .name = "selective_scan",
    .ref = "Mamba, arXiv 2312.00752, section 3.3; state-spaces/mamba "
           "csrc/selective_scan/selective_scan_fwd_kernel.cuh",
    .cls = RL_CLS_SCAN,
    .param = {MAMBA1_PARAMS},
    .check = scan_check,
    .work = scan_work,
    .coef = rl_kern_selective_scan_coef,
    .time = rl_kern_selective_scan_time,
    .shape_params = 1U << RL_SS_CHANNELS | 1U << RL_SS_STATE,
    .log_sd = 0.35, /* against profiles of two devices */
};

const struct rl_op_type rl_op_selective_state_update = {
    .name = "selective_state_update",
    .ref = "Mamba, arXiv 2312.00752; state-spaces/mamba "
           "mamba_ssm/ops/triton/selective_state_update.py",
    .cls = RL_CLS_SCAN,
    .param = {MAMBA1_PARAMS},
    .check = update_check,
    .work = update_work,
    .coef = rl_kern_selective_state_update_coef,
    .time = rl_kern_selective_state_update_time,
    .shape_params = 1U << RL_SS_CHANNELS | 1U << RL_SS_STATE,
    .log_sd = 0.35, /* as ssd_update */
};
