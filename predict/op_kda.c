/* Kimi delta attention (arXiv 2510.26692 §3; fla-org/flash-linear-attention,
 * ops/kda): the gated delta rule with a decay per channel of the key.
 *
 * The products are those of op_gdn.c.  On top: the decay gate is a dk vector
 * per token and head, made from a low-rank projection by softplus, cumulated in
 * fp32 and applied to q and k by one exp per element each way; inside 16-token
 * sub-blocks on the diagonal it cannot be taken out of k·kᵀ and q·kᵀ, which
 * then run element by element (three vector FLOP and one exp per pair and
 * channel, half of 16 pairs a token).
 * Ignores: what op_gdn.c ignores.
 */
#include "kernels.h"
#include "op_delta.h"

static const double sub = 16.0; /* tokens of a diagonal sub-block */

static void scan_work(const double *p, struct rl_work *w)
{
    double b = p[RL_GDN_BATCH], len = p[RL_GDN_SEQ_LEN];
    double gates = b * len * p[RL_GDN_V_HEADS] * p[RL_GDN_K_DIM];
    double pairs = gates * fmin(sub, len) / 2.0;
    double a = rl_out_bytes(p[RL_GDN_DTYPE]);

    rl_delta_scan(p, w);
    w->vector_flop += 2.0 * 3.0 * pairs + 4.0 * gates;
    w->sfu += pairs + 4.0 * gates; /* softplus: 2; decay to and from the chunk: 2 */
    w->act_bytes += gates * a;
    w->l2_bytes += gates * 4.0 * 4.0; /* cumulated in fp32: one write, three reads */
    w->launches += 1.0;
}

static void update_work(const double *p, struct rl_work *w)
{
    double gates =
        p[RL_GDN_BATCH] * p[RL_GDN_SEQ_LEN] * p[RL_GDN_V_HEADS] * p[RL_GDN_K_DIM];

    rl_delta_update(p, w);
    w->sfu += 3.0 * gates;
    w->act_bytes += gates * rl_out_bytes(p[RL_GDN_DTYPE]);
}

static int scan_check(const double *p, struct rl_error *err)
{
    return rl_delta_check(p, "kda_scan", err);
}

static int update_check(const double *p, struct rl_error *err)
{
    return rl_delta_check(p, "kda_update", err);
}

const struct rl_op_type rl_op_kda_scan = {
    .name = "kda_scan",
    .ref = "gated delta rule with a decay per channel; Kimi Linear, arXiv 2510.26692, "
           "section 3; fla-org/flash-linear-attention fla/ops/kda/chunk.py",
    .cls = RL_CLS_SCAN,
    .param = {RL_DELTA_PARAMS},
    .check = scan_check,
    .work = scan_work,
    .coef = rl_kern_kda_scan_coef,
    .time = rl_kern_kda_scan_time,
    .shape_params = RL_DELTA_SHAPE,
    .log_sd = 0.7,
};

const struct rl_op_type rl_op_kda_update = {
    .name = "kda_update",
    .ref = "7 dk dv Hv per token; Kimi Linear, arXiv 2510.26692, section 3; "
           "fla-org/flash-linear-attention fla/ops/kda/fused_recurrent.py",
    .cls = RL_CLS_SCAN,
    .param = {RL_DELTA_PARAMS},
    .check = update_check,
    .work = update_work,
    .coef = rl_kern_kda_update_coef,
    .time = rl_kern_kda_update_time,
    .shape_params = RL_DELTA_SHAPE,
    .log_sd = 0.25,
};
