/* Mamba-2, state-space duality: the chunked scan and its one-token update
 * (arXiv 2405.21060 §6; state-spaces/mamba, ops/triton/ssd_*.py).
 *
 * With chunks of Q tokens, P = head_dim, N = state, G groups of H heads, four
 * products: chunk states 2PN and their use 2PN per token and head, the causal
 * half of (C·Bᵀ)·x, PQ per token and head, and C·Bᵀ itself as a full square,
 * 2QN per token and group (the kernel does not skip its upper half).
 * Per token and head H·(4PN + QP) + G·2QN in all; a short last chunk counts
 * with its own length.
 * Exp: the causal half of the decay matrix per head, and four per token and
 * head (softplus, decay to and from the chunk's ends).
 * Intermediates (chunk states in fp32 and 16 bits, C·Bᵀ in fp32 read again by
 * every head, Δ and cumulated A) count as L2 bytes.
 * Ignores: padding to whole chunks, projections, convolution, gated norm.
 */
#include "kernels.h"
#include "op_util.h"

static const double p_rows = 4.0; /* rows of head_dim per block of the update */

/* Vector work: weighting C·Bᵀ by decay and Δ (3 per causal entry), B by decay,
 * D·x, passing states on (2 per entry and chunk). */
static void scan_vector(const double *p, struct rl_work *w, double squares, double chunks)
{
    double b = p[RL_SSD_BATCH], len = p[RL_SSD_SEQ_LEN], heads = p[RL_SSD_HEADS];
    double hd = p[RL_SSD_HEAD_DIM], n = p[RL_SSD_STATE];

    w->vector_flop =
        b * heads * (1.5 * squares + len * (n + 2.0 * hd) + 2.0 * chunks * hd * n);
    w->sfu = b * heads * (0.5 * squares + 4.0 * len);
}

static double scan_l2(const double *p, double squares, double chunks)
{
    double b = p[RL_SSD_BATCH], len = p[RL_SSD_SEQ_LEN], heads = p[RL_SSD_HEADS];
    double hd = p[RL_SSD_HEAD_DIM], n = p[RL_SSD_STATE];
    double a = rl_out_bytes(p[RL_SSD_DTYPE]);
    double states = chunks * heads * hd * n * (4.0 + 4.0 + a + a); /* w, r, w, r */
    double cb = squares * 4.0 * (p[RL_SSD_GROUPS] + heads / 2.0);
    double dt = len * heads * 32.0; /* Δ and ΣΔA, fp32, through five kernels */
    double again = len * heads * (2.0 * n + hd) * a; /* B, C per head; x twice */

    return b * (states + cb + dt + again);
}

static void scan_work(const double *p, struct rl_work *w)
{
    double b = p[RL_SSD_BATCH], len = p[RL_SSD_SEQ_LEN], heads = p[RL_SSD_HEADS];
    double hd = p[RL_SSD_HEAD_DIM], n = p[RL_SSD_STATE], g = p[RL_SSD_GROUPS];
    double a = rl_out_bytes(p[RL_SSD_DTYPE]), chunks = ceil(len / p[RL_SSD_CHUNK]);
    double squares = rl_chunk_squares(len, p[RL_SSD_CHUNK]);

    w->unit = rl_unit_of(p[RL_SSD_DTYPE]);
    w->flop = b * (heads * (4.0 * hd * n * len + hd * squares) + 2.0 * g * n * squares);
    scan_vector(p, w, squares, chunks);
    w->act_bytes = b * len * (2.0 * heads * hd + 2.0 * g * n + heads) * a;
    w->cache_bytes = b * heads * hd * n * rl_cell_bytes(p[RL_SSD_STATE_DTYPE]);
    w->weight_bytes = 3.0 * 4.0 * heads; /* A, D, Δ bias */
    w->l2_bytes = scan_l2(p, squares, chunks);
    w->parallel = b * chunks * heads;
    w->serial = chunks;
    w->launches = 5.0;
}

/* h = decay·h + Δx·B, y = C·h: 5 FLOP an entry of the state. */
static void update_work(const double *p, struct rl_work *w)
{
    double b = p[RL_SSD_BATCH], len = p[RL_SSD_SEQ_LEN], heads = p[RL_SSD_HEADS];
    double hd = p[RL_SSD_HEAD_DIM], n = p[RL_SSD_STATE];
    double a = rl_out_bytes(p[RL_SSD_DTYPE]), entries = b * heads * hd * n;

    w->unit = RL_FP32;
    w->vector_flop = 5.0 * entries * len;
    w->sfu = 3.0 * b * len * heads;
    w->act_bytes = b * len * (2.0 * heads * hd + 2.0 * p[RL_SSD_GROUPS] * n + heads) * a;
    w->cache_bytes = (1.0 + len) * entries * rl_cell_bytes(p[RL_SSD_STATE_DTYPE]);
    w->weight_bytes = 3.0 * 4.0 * heads;
    w->l2_bytes = w->cache_bytes + b * len * heads * 2.0 * n * a;
    w->parallel = b * heads * ceil(hd / p_rows);
    w->serial = len - 1.0;
    w->launches = 1.0;
}

static int ssd_check(const double *p, const char *op, struct rl_error *err)
{
    if (rl_check_multiple(op, "heads", p[RL_SSD_HEADS], "groups", p[RL_SSD_GROUPS], err))
        return -1;
    return rl_check_act(op, "dtype", p[RL_SSD_DTYPE], err);
}

static int scan_check(const double *p, struct rl_error *err)
{
    return ssd_check(p, "ssd_scan", err);
}

static int update_check(const double *p, struct rl_error *err)
{
    return ssd_check(p, "ssd_update", err);
}

/* chunk 256: the default of mamba_ssm; the final state leaves in fp32 */
#define SSD_PARAMS                                                                       \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"seq_len", RL_P_NUM, 1, RL_REQUIRED},          \
        {"heads", RL_P_NUM, 1, RL_REQUIRED}, {"head_dim", RL_P_NUM, 1, RL_REQUIRED},     \
        {"state", RL_P_NUM, 1, RL_REQUIRED}, {"groups", RL_P_NUM, 1, 1},                 \
        {"chunk", RL_P_NUM, 1, 256}, {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},     \
    {                                                                                    \
        "state_dtype", RL_P_DTYPE, RL_DT_NONE, RL_DT_FP32                                \
    }
#define SSD_SHAPE                                                                        \
    (1U << RL_SSD_HEADS | 1U << RL_SSD_HEAD_DIM | 1U << RL_SSD_STATE |                   \
     1U << RL_SSD_GROUPS)

const struct rl_op_type rl_op_ssd_scan = {
    .name = "ssd_scan",
    .ref = "H(4PN + QP) + 2GQN per token; Mamba-2, arXiv 2405.21060, section 6; "
           "state-spaces/mamba mamba_ssm/ops/triton/ssd_combined.py",
    .cls = RL_CLS_SCAN,
    .param = {SSD_PARAMS},
    .check = scan_check,
    .work = scan_work,
    .coef = rl_kern_ssd_scan_coef,
    .time = rl_kern_ssd_scan_time,
    .known = rl_kern_ssd_scan_known,
    .shape_params = SSD_SHAPE,
    .log_sd = 0.4,
};

const struct rl_op_type rl_op_ssd_update = {
    .name = "ssd_update",
    .ref = "5PNH per token; Mamba-2, arXiv 2405.21060; state-spaces/mamba "
           "mamba_ssm/ops/triton/selective_state_update.py",
    .cls = RL_CLS_SCAN,
    .param = {SSD_PARAMS},
    .check = update_check,
    .work = update_work,
    .coef = rl_kern_ssd_update_coef,
    .time = rl_kern_ssd_update_time,
    .shape_params = SSD_SHAPE,
    .log_sd = 0.35, /* as gdn_update, and what is not measured */
};
