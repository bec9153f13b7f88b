/* Linear attention: a matrix state per head instead of a growing cache.
 *
 * Gated delta net: arXiv 2412.06464; Kimi delta attention: arXiv 2510.26692;
 * lightning attention: arXiv 2501.08313; RWKV-6 and -7: fla-org's layers
 * rwkv6.py and rwkv7.py; mLSTM: arXiv 2405.04517 in the xLSTM-7B layout.
 * The l2-norms of q and k belong to the delta rule's operator; gates that are
 * products with the hidden state are GEMMs here.
 */
#include "build.h"

struct head_shape {
    double k_heads, k_dim, v_heads, v_dim;
    double weights; /* parameters the scan itself reads */
};

static void delta_args(struct rl_build *b, struct rl_node *n, const struct head_shape *h)
{
    if (!n)
        return;
    rl_b_arg(b, n, "k_heads", RL_ONE, h->k_heads);
    rl_b_arg(b, n, "k_dim", RL_ONE, h->k_dim);
    rl_b_arg(b, n, "v_heads", RL_ONE, h->v_heads);
    rl_b_arg(b, n, "v_dim", RL_ONE, h->v_dim);
    rl_b_split(b, n, "k_heads");
    rl_b_split(b, n, "v_heads");
    n->weights = h->weights;
}

static void linear_args(struct rl_build *b, struct rl_node *n, const struct head_shape *h)
{
    if (!n)
        return;
    rl_b_arg(b, n, "heads", RL_ONE, h->v_heads);
    rl_b_arg(b, n, "k_dim", RL_ONE, h->k_dim);
    rl_b_arg(b, n, "v_dim", RL_ONE, h->v_dim);
    rl_b_split(b, n, "heads");
    n->weights = h->weights;
}

/* The scan, its update, the parameters they own and the state they keep. */
static void recur(struct rl_build *b, const char *scan, const char *update,
                  const struct head_shape *h, double extra_state)
{
    bool delta = rl_op_find(scan) && rl_op_param(rl_op_find(scan), "v_heads") >= 0;
    struct rl_node *n = rl_b_scan(b, scan, "scan", RL_PREFILL);

    (delta ? delta_args : linear_args)(b, n, h);
    n = rl_b_scan(b, update, "scan", RL_DECODE);
    (delta ? delta_args : linear_args)(b, n, h);
    rl_b_params(b, RL_W_SMALL, h->weights, true);
    rl_b_cache(b, RL_CACHE_STATE, "state", h->v_heads * h->k_dim * h->v_dim + extra_state,
               h->v_heads, 0, 0);
}

static struct rl_block *describe(struct rl_build *b, enum rl_block_kind kind,
                                 const struct head_shape *h, double conv)
{
    struct rl_block *k = rl_b_block(b, kind);

    k->inner = h->v_heads * h->v_dim;
    k->heads = h->v_heads;
    k->kv_heads = h->k_heads;
    k->head_dim = h->k_dim;
    k->v_dim = h->v_dim;
    k->conv = conv;
    return k;
}

void rl_b_gdn(struct rl_build *b, const struct rl_gdn *m)
{
    double kd = m->k_heads * m->k_dim, vd = m->v_heads * m->v_dim;
    struct head_shape h = {m->k_heads, m->k_dim, m->v_heads, m->v_dim, 2 * m->v_heads};

    if (b->count <= 0)
        return;
    rl_b_linear(b, "in_proj_qkvz", b->hidden, 2 * kd + 2 * vd, RL_COL);
    rl_b_linear(b, "in_proj_ba", b->hidden, 2 * m->v_heads, RL_COL);
    rl_b_conv(b, 2 * kd + vd, m->conv, m->conv, false);
    recur(b, "gdn_scan", "gdn_update", &h, 0);
    rl_b_norm_gated(b, m->v_heads, m->v_dim, m->v_dim);
    rl_b_linear(b, "out_proj", vd, b->hidden, RL_ROW);
    describe(b, RL_BLK_GDN, &h, m->conv);
}

void rl_b_kda(struct rl_build *b, const struct rl_kda *m)
{
    double p = m->heads * m->head_dim, d = m->head_dim, in = b->hidden;
    struct head_shape h = {m->heads, d, m->heads, d, m->heads + p}; /* A_log, dt_bias */

    if (b->count <= 0)
        return;
    rl_b_linear(b, "q_proj", in, p, RL_COL);
    rl_b_linear(b, "k_proj", in, p, RL_COL | RL_JOIN);
    rl_b_linear(b, "v_proj", in, p, RL_COL | RL_JOIN);
    rl_b_conv(b, 3 * p, m->conv, m->conv, false);
    rl_b_linear(b, "f_a_proj", in, d, 0);
    rl_b_linear(b, "f_b_proj", d, p, RL_COL);
    rl_b_linear(b, "b_proj", in, m->heads, RL_COL);
    recur(b, "kda_scan", "kda_update", &h, 0);
    rl_b_linear(b, "g_a_proj", in, d, 0);
    rl_b_linear(b, "g_b_proj", d, p, RL_COL);
    rl_b_norm_gated(b, m->heads, d, d);
    rl_b_linear(b, "o_proj", p, in, RL_ROW);
    describe(b, RL_BLK_KDA, &h, m->conv);
}

void rl_b_lightning(struct rl_build *b, double heads, double head_dim)
{
    double z = heads * head_dim;
    struct head_shape h = {heads, head_dim, heads, head_dim, 0};

    if (b->count <= 0)
        return;
    rl_b_linear(b, "qkv_proj", b->hidden, 3 * z, RL_COL);
    rl_b_elementwise(b, "act", "act", 3 * z, 1, 1, true);
    recur(b, "lightning_scan", "lightning_update", &h, 0);
    rl_b_norm(b, "norm", z, RL_RMS | RL_NORM_SHARDED);
    rl_b_linear(b, "output_gate", b->hidden, z, RL_COL);
    rl_b_elementwise(b, "gate", "gate_mul", z, 2, 1, true);
    rl_b_linear(b, "out_proj", z, b->hidden, RL_ROW);
    describe(b, RL_BLK_LINEAR, &h, 0);
}

/* Low-rank correction in → rank → out. */
static void lora(struct rl_build *b, const char *label, double rank, double out,
                 bool bias)
{
    rl_b_linear(b, label, b->hidden, rank, 0);
    rl_b_linear(b, label, rank, out, RL_COL | (bias ? RL_BIAS : 0));
}

/* Token shift: every token mixed with its predecessor, once per stream; the
 * last token of the sequence is kept. */
static void token_shift(struct rl_build *b, double streams, double params)
{
    struct rl_node *n;

    rl_b_elementwise(b, "token_shift", "token_shift", b->hidden, 2, streams, false);
    n = b->rc || b->no_nodes ? NULL : &b->g->node[b->g->nnodes - 1];
    if (n)
        n->wclass = RL_W_SMALL;
    rl_b_own(b, n, RL_W_SMALL, params, false);
    rl_b_cache(b, RL_CACHE_CONV, "shift", b->hidden, 0, 0, 0);
}

static void receptance_key_value(struct rl_build *b)
{
    rl_b_linear(b, "r_proj", b->hidden, b->hidden, RL_COL);
    rl_b_linear(b, "k_proj", b->hidden, b->hidden, RL_COL);
    rl_b_linear(b, "v_proj", b->hidden, b->hidden, RL_COL);
}

/* GroupNorm over the heads, gate, output. */
static void rwkv_out(struct rl_build *b, double head_dim)
{
    double h = b->hidden;

    rl_b_norm_rows(b, "g_norm", "norm_gated", h / head_dim, head_dim, 2 * h);
    rl_b_elementwise(b, "gate", "gate_mul", h, 2, 1, true);
    rl_b_linear(b, "o_proj", h, h, RL_ROW);
}

static void channel_mix(struct rl_build *b, double inter)
{
    rl_b_linear(b, "key", b->hidden, inter, RL_COL);
    rl_b_elementwise(b, "act", "act", inter, 1, 1, true);
    rl_b_linear(b, "value", inter, b->hidden, RL_ROW);
    rl_b_block(b, RL_BLK_MLP)->inter = inter;
}

void rl_b_rwkv7(struct rl_build *b, const struct rl_rwkv *m)
{
    double d = b->hidden, heads = d / m->head_dim;
    /* the scan reads k_k, k_a and r_k */
    struct head_shape h = {heads, m->head_dim, heads, m->head_dim, 3 * d};

    if (b->count <= 0)
        return;
    token_shift(b, 6, 6 * d);
    receptance_key_value(b);
    lora(b, "w_lora", m->lora_w, d, true);
    lora(b, "a_lora", m->lora_a, d, true);
    if (!m->first)
        lora(b, "v_lora", m->lora_v, d, true);
    lora(b, "g_lora", m->lora_g, d, false);
    recur(b, "rwkv7_scan", "rwkv7_update", &h, 0);
    rwkv_out(b, m->head_dim);
    describe(b, RL_BLK_LINEAR, &h, 0);
    token_shift(b, 1, d);
    channel_mix(b, m->inter);
}

void rl_b_rwkv6(struct rl_build *b, const struct rl_rwkv *m)
{
    double d = b->hidden, heads = d / m->head_dim, mix = 5 * m->lora_mix;
    struct head_shape h = {heads, m->head_dim, heads, m->head_dim, d}; /* bonus u */

    if (b->count <= 0)
        return;
    /* x_proj's mix, then five data-dependent ones of low rank with biases */
    token_shift(b, 1, d);
    rl_b_linear(b, "x_proj", d, mix, 0);
    rl_b_linear(b, "x_proj_up", mix, d, 0);
    rl_b_elementwise(b, "mix", "token_shift", d, 3, 5, false);
    rl_b_params(b, RL_W_SMALL, 5 * d, false);
    if (b->rc == 0 && !b->no_nodes)
        b->g->node[b->g->nnodes - 1].weights = 5 * d;
    receptance_key_value(b);
    rl_b_linear(b, "g_proj", d, d, RL_COL);
    lora(b, "w_lora", m->lora_w, d, true);
    recur(b, "rwkv6_scan", "rwkv6_update", &h, 0);
    rwkv_out(b, m->head_dim);
    describe(b, RL_BLK_LINEAR, &h, 0);
    token_shift(b, 2, 2 * d);
    rl_b_linear(b, "receptance", d, d, RL_COL);
    channel_mix(b, m->inter);
    rl_b_elementwise(b, "receptance_mul", "gate_mul", d, 2, 1, false);
}

void rl_b_mlstm(struct rl_build *b, double heads, double qk, double v)
{
    struct head_shape h = {heads, qk / heads, heads, v / heads, 0};

    if (b->count <= 0)
        return;
    rl_b_linear(b, "q_proj", b->hidden, qk, RL_COL);
    rl_b_linear(b, "k_proj", b->hidden, qk, RL_COL | RL_JOIN);
    rl_b_linear(b, "v_proj", b->hidden, v, RL_COL | RL_JOIN);
    rl_b_linear(b, "ogate_proj", b->hidden, v, RL_COL | RL_JOIN);
    rl_b_linear(b, "igate_proj", b->hidden, heads, RL_COL | RL_BIAS);
    rl_b_linear(b, "fgate_proj", b->hidden, heads, RL_COL | RL_BIAS | RL_JOIN);
    /* beside C: the normaliser n per key channel and the stabiliser m per head */
    recur(b, "mlstm_scan", "mlstm_update", &h, qk + heads);
    rl_b_norm_rows(b, "norm", "norm_gated", heads, v / heads, v);
    rl_b_elementwise(b, "ogate", "gate_mul", v, 2, 1, true);
    rl_b_linear(b, "out_proj", v, b->hidden, RL_ROW);
    describe(b, RL_BLK_LINEAR, &h, 0);
}
