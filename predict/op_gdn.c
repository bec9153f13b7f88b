/* Gated delta rule: the chunked scan and its recurrent update (arXiv
 * 2412.06464 §3.3; fla-org/flash-linear-attention, ops/gated_delta_rule and
 * ops/common/chunk_delta_h.py, chunk_o.py).
 *
 * Chunks of Q = 64 tokens.  Per token and value head (dk, dv its key and value
 * width): six products with the state, 6·dk·dv (w·h, kᵀ·v, q·h), and inside the
 * chunk 2Q·(dk·10/16 for k·kᵀ in 16 × 16 blocks of its lower triangle, dk for
 * w, dv for u, dk for q·kᵀ, dv for A·v) = 2Q·(2.625 dk + 2 dv).
 * Intermediates between the eight kernels (w, u, v_new, A, chunk states) are L2
 * bytes.  The update: 7 vector FLOP an entry of the state, which is read once
 * and written after each token (speculative tokens keep theirs).
 * Ignores: convolution, projections, the triangular solve inside 16 × 16 blocks.
 */
#include "kernels.h"
#include "op_delta.h"

static const double chunk = 64.0;  /* tokens */
static const double v_cols = 64.0; /* columns of v per block of the serial kernel */
static const double u_cols = 8.0;  /* the same of the update */

/* Bytes that pass between the kernels, per sequence and value head. */
static double scan_l2(double len, double dk, double dv, double a, double squares)
{
    double rows = len * a * (2.0 * dk + 4.0 * dv); /* w, u, v_new: out and in */
    double again = len * a * 3.0 * dk;             /* k three more times */
    double states = 2.0 * ceil(len / chunk) * dk * dv * a;

    return rows + again + states + 3.0 * a * squares; /* A: zeroed, out, in */
}

void rl_delta_scan(const double *p, struct rl_work *w)
{
    double b = p[RL_GDN_BATCH], len = p[RL_GDN_SEQ_LEN], hv = p[RL_GDN_V_HEADS];
    double dk = p[RL_GDN_K_DIM], dv = p[RL_GDN_V_DIM];
    double a = rl_out_bytes(p[RL_GDN_DTYPE]), chunks = ceil(len / chunk);
    double squares = rl_chunk_squares(len, chunk);
    double state =
        rl_cell_bytes(p[RL_GDN_STATE_DTYPE]) + rl_cell_bytes(p[RL_GDN_STATE_OUT_DTYPE]);

    w->unit = rl_unit_of(p[RL_GDN_DTYPE]);
    w->flop = b * hv * (6.0 * dk * dv * len + 2.0 * (2.625 * dk + 2.0 * dv) * squares);
    /* decay of A and of q·kᵀ, scaling of k, v and q, decay of the state */
    w->vector_flop =
        b * hv * (2.0 * squares + len * (6.0 * dk + 2.0 * dv) + chunks * dk * dv);
    w->sfu = b * hv * (0.5 * squares + 3.0 * len);
    w->act_bytes =
        b * len * (2.0 * p[RL_GDN_K_HEADS] * dk * a + hv * (2.0 * dv * a + 2.0 * 4.0));
    w->cache_bytes = b * hv * dk * dv * state;
    w->l2_bytes = b * hv * scan_l2(len, dk, dv, a, squares);
    w->parallel = b * hv * ceil(dv / v_cols);
    w->serial = chunks;
    w->launches = 8.0;
}

void rl_delta_update(const double *p, struct rl_work *w)
{
    double b = p[RL_GDN_BATCH], len = p[RL_GDN_SEQ_LEN], hv = p[RL_GDN_V_HEADS];
    double dk = p[RL_GDN_K_DIM], dv = p[RL_GDN_V_DIM], a = rl_out_bytes(p[RL_GDN_DTYPE]);
    double entries = b * hv * dk * dv;

    w->unit = RL_FP32;
    w->vector_flop = 7.0 * entries * len;
    w->sfu = 4.0 * b * len * hv; /* softplus, exp, sigmoid of β */
    w->act_bytes = b * len * (2.0 * p[RL_GDN_K_HEADS] * dk + hv * (2.0 * dv + 2.0)) * a;
    w->cache_bytes = entries * (rl_cell_bytes(p[RL_GDN_STATE_DTYPE]) +
                                len * rl_cell_bytes(p[RL_GDN_STATE_OUT_DTYPE]));
    w->l2_bytes = w->cache_bytes;
    w->parallel = b * hv * ceil(dv / u_cols);
    w->serial = len - 1.0;
    w->launches = 1.0;
}

int rl_delta_check(const double *p, const char *op, struct rl_error *err)
{
    bool in = p[RL_GDN_STATE_DTYPE] != (double)RL_DT_NONE;
    bool out = p[RL_GDN_STATE_OUT_DTYPE] != (double)RL_DT_NONE;

    if (!in && out)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "%s: state_dtype=none goes with state_out_dtype=none only", op);
    if (rl_check_multiple(op, "v_heads", p[RL_GDN_V_HEADS], "k_heads", p[RL_GDN_K_HEADS],
                          err))
        return -1;
    return rl_check_act(op, "dtype", p[RL_GDN_DTYPE], err);
}

static int scan_check(const double *p, struct rl_error *err)
{
    return rl_delta_check(p, "gdn_scan", err);
}

static int update_check(const double *p, struct rl_error *err)
{
    return rl_delta_check(p, "gdn_update", err);
}

const struct rl_op_type rl_op_gdn_scan = {
    .name = "gdn_scan",
    .ref = "Hv(6 dk dv + 2Q(2.625 dk + 2 dv)) per token, Q = 64; Gated DeltaNet, arXiv "
           "2412.06464; fla-org/flash-linear-attention fla/ops/gated_delta_rule/chunk.py",
    .cls = RL_CLS_SCAN,
    .param = {RL_DELTA_PARAMS},
    .check = scan_check,
    .work = rl_delta_scan,
    .coef = rl_kern_gdn_scan_coef,
    .time = rl_kern_gdn_scan_time,
    .shape_params = RL_DELTA_SHAPE,
    .log_sd = 0.4,
};

const struct rl_op_type rl_op_gdn_update = {
    .name = "gdn_update",
    .ref = "7 dk dv Hv per token; Gated DeltaNet, arXiv 2412.06464; "
           "fla-org/flash-linear-attention fla/ops/gated_delta_rule/fused_recurrent.py",
    .cls = RL_CLS_SCAN,
    .param = {RL_DELTA_PARAMS},
    .check = update_check,
    .work = rl_delta_update,
    .coef = rl_kern_gdn_update_coef,
    .time = rl_kern_gdn_update_time,
    .shape_params = RL_DELTA_SHAPE,
    .log_sd = 0.25,
};
