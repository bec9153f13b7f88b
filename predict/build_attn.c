/* Attention blocks: GQA in all its dressings, cross attention, and multi-head
 * latent attention with DeepSeek-V3.2's indexer.
 *
 * Parameters: design of the Hugging Face modules (q, k, v, o projections, per
 * head or full-width norms).  MLA: DeepSeek-V2, arXiv 2405.04434, section 2.1:
 * decompressed heads in the prefill, kv_b absorbed into query and output in
 * decode; with the sparse indexer (V3.2) absorbed in both.
 * Ignored: dropout, T5's position buckets (an add inside the scores).
 */
#include "build.h"

#include <math.h>

static double or_else(double x, double fallback)
{
    return x > 0 ? x : fallback;
}

static double v_width(const struct rl_attn *a)
{
    return or_else(a->v_dim, a->head_dim);
}

static void project(struct rl_build *b, const struct rl_attn *a)
{
    double in = or_else(a->in, b->hidden);
    unsigned bias = a->qkv_bias ? RL_BIAS : 0;
    unsigned k_bias = a->no_k_bias ? 0 : bias;

    if (a->no_proj)
        return;
    rl_b_linear(b, "q_proj", in, a->heads * a->head_dim * (a->gate ? 2 : 1),
                RL_COL | bias);
    if (a->shared_kv)
        return;
    rl_b_linear(b, "k_proj", in, a->kv_heads * a->head_dim, RL_COL | RL_JOIN | k_bias);
    rl_b_linear(b, "v_proj", in, a->kv_heads * v_width(a), RL_COL | RL_JOIN | bias);
}

static void qk_norm(struct rl_build *b, const struct rl_attn *a)
{
    double kv = a->shared_kv ? 0 : a->kv_heads, d = a->head_dim;

    switch (a->qk_norm) {
    case RL_QK_NONE:
        break;
    case RL_QK_HEAD:
        rl_b_norm_rows(b, "qk_norm", "norm_qk", a->heads + kv, d, kv > 0 ? 2 * d : d);
        break;
    case RL_QK_BARE:
        rl_b_norm_rows(b, "qk_norm", "norm_qk", a->heads + kv, d, 0);
        break;
    case RL_QK_LN:
        rl_b_norm_rows(b, "qk_norm", "norm_qk", a->heads + kv, d, (a->heads + kv) * d);
        break;
    case RL_QK_FULL:
        rl_b_norm(b, "q_norm", a->heads * d, RL_RMS | RL_NORM_SHARDED);
        rl_b_norm(b, "k_norm", kv * d, RL_RMS | RL_NORM_SHARDED);
        break;
    }
}

static void core_args(struct rl_build *b, struct rl_node *n, const struct rl_attn *a,
                      enum rl_sym q, enum rl_sym kv, bool causal)
{
    if (!n)
        return;
    rl_b_arg(b, n, "batch", RL_B, 1);
    rl_b_arg(b, n, "q_len", q, 1);
    rl_b_arg(b, n, "kv_len", kv, 1);
    rl_b_arg(b, n, "heads", RL_ONE, a->heads);
    rl_b_arg(b, n, "kv_heads", RL_ONE, a->kv_heads);
    rl_b_arg(b, n, "head_dim", RL_ONE, a->head_dim);
    rl_b_arg(b, n, "v_dim", RL_ONE, a->v_dim);
    rl_b_arg(b, n, "window", RL_ONE, a->window);
    rl_b_arg(b, n, "chunk", RL_ONE, a->chunk);
    rl_b_arg(b, n, "sink", RL_ONE, a->window > 0 ? a->sinks : 0);
    rl_b_arg(b, n, "causal", RL_ONE, causal);
    rl_b_split(b, n, "heads");
    rl_b_split(b, n, "kv_heads");
    if (a->sink_logits) {
        n->weights = a->heads;
        n->wclass = RL_W_SMALL;
    }
}

static void core(struct rl_build *b, const struct rl_attn *a)
{
    enum rl_sym kv = b->encoder ? RL_X : RL_S;
    bool causal = !a->bidirectional && !b->encoder;

    core_args(b, rl_b_node_in(b, "attention_prefill", "attn", RL_PREFILL), a, b->l, kv,
              causal);
    core_args(b, rl_b_node_in(b, "attention_decode", "attn", RL_DECODE), a, RL_L, kv,
              causal);
    if (a->sink_logits)
        rl_b_params(b, RL_W_SMALL, a->heads, true);
}

static void append(struct rl_build *b, const struct rl_attn *a)
{
    double width = a->kv_heads * (a->head_dim + v_width(a));
    double window = a->window > 0 ? a->window : a->chunk;

    if (b->encoder || a->shared_kv || b->g->diffusion || !b->g->has_decode)
        return;
    struct rl_node *n = rl_b_node(b, "kv_append", "kv_append");
    rl_b_arg(b, n, "rows", b->t, 1);
    rl_b_arg(b, n, "width", RL_ONE, width);
    rl_b_split(b, n, "width");
    if (n)
        n->glue = "kv_append";
    rl_b_cache(b, RL_CACHE_KV, "kv", width, a->kv_heads, window, a->sinks);
}

static void describe(struct rl_build *b, enum rl_block_kind kind, const struct rl_attn *a)
{
    struct rl_block *k = rl_b_block(b, b->encoder ? RL_BLK_ENCODER : kind);

    k->heads = a->heads;
    k->kv_heads = a->kv_heads;
    k->head_dim = a->head_dim;
    k->v_dim = v_width(a);
    k->window = a->window > 0 ? a->window : a->chunk;
}

static void output(struct rl_build *b, const struct rl_attn *a)
{
    double width = a->heads * v_width(a);

    if (a->gate)
        rl_b_elementwise(b, "attn_gate", "attn_gate", width, 2, 1, true);
    if (!a->no_o && !a->no_proj)
        rl_b_linear(b, "o_proj", width, or_else(a->out, b->hidden),
                    RL_ROW | (a->o_bias ? RL_BIAS : 0));
}

/* No model has a fraction of a head, or KV heads that are not shared evenly. */
static void check_heads(struct rl_build *b, const struct rl_attn *a)
{
    if (fmod(a->head_dim, 1) != 0)
        rl_b_bad(b, "num_attention_heads", "a divisor of hidden_size, or a head_dim");
    else if (a->kv_heads > 0 && fmod(a->heads, a->kv_heads) != 0)
        rl_b_bad(b, "num_key_value_heads", "a divisor of the attention heads");
}

void rl_b_attention(struct rl_build *b, const struct rl_attn *a)
{
    if (b->count <= 0)
        return;
    check_heads(b, a);
    project(b, a);
    qk_norm(b, a);
    if (a->rope_dim >= 0)
        rl_b_rope(b, a->heads + (a->shared_kv ? 0 : a->kv_heads),
                  or_else(a->rope_dim, a->head_dim));
    append(b, a);
    core(b, a);
    output(b, a);
    describe(b, RL_BLK_ATTN, a);
}

void rl_b_attention_mixed(struct rl_build *b, struct rl_attn a, double layers,
                          double windowed)
{
    rl_b_layers(b, windowed);
    rl_b_attention(b, &a);
    a.window = 0;
    rl_b_layers(b, layers - windowed);
    rl_b_attention(b, &a);
    rl_b_layers(b, layers);
}

/* k and v of the encoder's output: once, in the prefill, on its rows. */
static void cross_kv(struct rl_build *b, const struct rl_attn *a)
{
    unsigned phase = b->phase, bias = a->qkv_bias ? RL_BIAS : 0;
    double in = or_else(a->in, b->hidden), before = 0, after = 0;

    for (int i = 0; i < RL_NWCLASSES; i++)
        before += b->g->resident[i];
    rl_b_phase(b, phase & RL_PREFILL);
    rl_b_linear_on(b, "cross_k_proj", RL_TX, 1, in, a->kv_heads * a->head_dim,
                   RL_COL | (a->no_k_bias ? 0 : bias));
    rl_b_linear_on(b, "cross_v_proj", RL_TX, 1, in, a->kv_heads * v_width(a),
                   RL_COL | RL_JOIN | bias);
    rl_b_phase(b, phase);
    for (int i = 0; i < RL_NWCLASSES; i++)
        after += b->g->resident[i];
    b->g->not_read += after - before;
}

void rl_b_cross_attention(struct rl_build *b, const struct rl_attn *a)
{
    double in = or_else(a->in, b->hidden);

    if (b->count <= 0)
        return;
    cross_kv(b, a);
    rl_b_linear(b, "cross_q_proj", in, a->heads * a->head_dim,
                RL_COL | (a->qkv_bias ? RL_BIAS : 0));
    core_args(b, rl_b_node_in(b, "attention_prefill", "cross_attn", RL_PREFILL), a, RL_L,
              RL_X, false);
    core_args(b, rl_b_node_in(b, "attention_decode", "cross_attn", RL_DECODE), a, RL_L,
              RL_X, false);
    rl_b_cache(b, RL_CACHE_CROSS, "cross_kv", a->kv_heads * (a->head_dim + v_width(a)),
               a->kv_heads, 0, 0);
    output(b, a);
    describe(b, RL_BLK_CROSS, a);
}

/* multi-head latent attention */

static void mla_args(struct rl_build *b, struct rl_node *n, const struct rl_mla *a,
                     bool absorbed)
{
    if (!n)
        return;
    rl_b_arg(b, n, "batch", RL_B, 1);
    rl_b_arg(b, n, "q_len", RL_L, 1);
    rl_b_arg(b, n, "kv_len", RL_S, 1);
    rl_b_arg(b, n, "heads", RL_ONE, a->heads);
    rl_b_arg(b, n, "kv_lora_rank", RL_ONE, a->kv_rank);
    rl_b_arg(b, n, "rope_dim", RL_ONE, a->rope);
    rl_b_arg(b, n, "nope_dim", RL_ONE, a->nope);
    rl_b_arg(b, n, "v_dim", RL_ONE, a->v_dim);
    rl_b_arg(b, n, "topk", RL_ONE, a->index_heads > 0 ? a->index_topk : 0);
    rl_b_arg(b, n, "absorbed", RL_ONE, absorbed);
    rl_b_split(b, n, "heads");
}

static void mla_project(struct rl_build *b, const struct rl_mla *a)
{
    double q = a->heads * (a->nope + a->rope);

    if (a->q_rank > 0) {
        rl_b_linear(b, "q_a_proj", b->hidden, a->q_rank, 0);
        rl_b_linear(b, "kv_a_proj", b->hidden, a->kv_rank + a->rope, RL_JOIN);
        rl_b_norm(b, "q_a_norm", a->q_rank, RL_RMS);
        rl_b_linear(b, "q_b_proj", a->q_rank, q, RL_COL);
    } else {
        rl_b_linear(b, "q_proj", b->hidden, q, RL_COL);
        rl_b_linear(b, "kv_a_proj", b->hidden, a->kv_rank + a->rope, 0);
    }
    rl_b_norm(b, "kv_a_norm", a->kv_rank, RL_RMS);
    if (!a->no_rope)
        rl_b_rope(b, a->heads + 1, a->rope);
}

/* The indexer scores every cached token for every query; its keys are kept in
 * fp8 with a 4-byte scale: index_dim + 4 bytes, here in 16-bit elements. */
static void indexer(struct rl_build *b, const struct rl_mla *a)
{
    double n = a->index_heads, d = a->index_dim;

    rl_b_linear(b, "index_q", a->q_rank, n * d, 0);
    rl_b_linear(b, "index_k", b->hidden, d, 0);
    rl_b_linear(b, "index_weights", b->hidden, n, RL_JOIN | RL_SMALL);
    rl_b_norm(b, "index_k_norm", d, RL_LN);
    rl_b_rope(b, n + 1, a->rope);
    struct rl_node *node = rl_b_node(b, "dsa_indexer", "indexer");
    rl_b_arg(b, node, "batch", RL_B, 1);
    rl_b_arg(b, node, "q_len", RL_L, 1);
    rl_b_arg(b, node, "kv_len", RL_S, 1);
    rl_b_arg(b, node, "heads", RL_ONE, n);
    rl_b_arg(b, node, "head_dim", RL_ONE, d);
    rl_b_arg(b, node, "dtype", RL_ONE, RL_DT_FP8);
    rl_b_cache(b, RL_CACHE_KV, "index_k", (d + 4) / 2, 0, 0, 0);
}

/* One matrix, used whole in the prefill or in two halves when absorbed. */
static void mla_core(struct rl_build *b, const struct rl_mla *a)
{
    bool sparse = a->index_heads > 0;
    double up = a->heads * (a->nope + a->v_dim), r = a->kv_rank;
    unsigned phase = b->phase, absorbed = phase & (sparse ? RL_BOTH : RL_DECODE);
    bool counted = b->no_params;

    rl_b_params(b, RL_W_LINEAR, r * up, true);
    b->no_params = true;
    if (!sparse && phase & RL_PREFILL) { /* of the whole cache, prefix included */
        rl_b_phase(b, RL_PREFILL);
        rl_b_linear_on(b, "kv_b_proj", RL_TS, 1, r, up, RL_COL);
        mla_args(b, rl_b_node(b, "mla_prefill", "attn"), a, false);
    }
    rl_b_phase(b, absorbed);
    rl_b_linear(b, "q_absorb", a->nope, a->heads * r, RL_COL);
    mla_args(b, rl_b_node_in(b, "mla_prefill", "attn", RL_PREFILL), a, true);
    mla_args(b, rl_b_node_in(b, "mla_decode", "attn", RL_DECODE), a, true);
    rl_b_linear(b, "o_absorb", r, a->heads * a->v_dim, RL_COL);
    rl_b_phase(b, phase);
    b->no_params = counted;
}

void rl_b_mla(struct rl_build *b, const struct rl_mla *a)
{
    double width = a->kv_rank + a->rope;

    if (b->count <= 0)
        return;
    mla_project(b, a);
    if (a->index_heads > 0)
        indexer(b, a);
    struct rl_node *n = rl_b_node(b, "kv_append", "kv_append");
    rl_b_arg(b, n, "rows", b->t, 1);
    rl_b_arg(b, n, "width", RL_ONE, width);
    if (n)
        n->glue = "kv_append";
    rl_b_cache(b, RL_CACHE_KV, "latent", width, 0, 0, 0);
    mla_core(b, a);
    rl_b_linear(b, "o_proj", a->heads * a->v_dim, b->hidden, RL_ROW);
    struct rl_block *k = rl_b_block(b, RL_BLK_MLA);
    k->heads = a->heads;
    k->head_dim = a->nope + a->rope;
    k->v_dim = a->v_dim;
    k->inner = a->kv_rank;
}
