/* RWKV-6 (arXiv 2404.05892), RWKV-7 (arXiv 2503.14456) and xLSTM-7B
 * (arXiv 2503.13427): a matrix state per head on every layer, no cache.
 *
 * RWKV in fla-org/flash-linear-attention's layers rwkv6.py and rwkv7.py, xLSTM in
 * NX-AI/xlstm.  All three keep their state in fp32.
 */
#include "build.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"rwkv6", "rwkv7", "xlstm", NULL};

/* Ranks where the config leaves them out: BlinkDL's rule, a multiple of 32 next to
 * scale · width^power (RWKV-LM, RWKV-v7 train_temp/src/model.py). */
static double rank(const struct rl_build *b, double scale, double power)
{
    return fmax(32, 32 * rint(scale * pow(b->hidden, power) / 32));
}

static void read_rwkv7(struct rl_build *b, struct rl_rwkv *m)
{
    m->head_dim = rl_b_num2_or(b, "head_dim", "head_size", 64);
    m->inter = rl_b_num_or(b, "intermediate_size", 4 * b->hidden);
    m->lora_w = rl_b_num_or(b, "decay_low_rank_dim", rank(b, 1.8, 0.5));
    m->lora_a = rl_b_num_or(b, "a_low_rank_dim", rank(b, 1.8, 0.5));
    m->lora_v = rl_b_num_or(b, "v_low_rank_dim", rank(b, 1.3, 0.5));
    m->lora_g = rl_b_num_or(b, "gate_low_rank_dim", rank(b, 0.6, 0.8));
}

/* Head size divides the width: the state would not be square otherwise. */
static void check_heads(struct rl_build *b, const char *key, double dim)
{
    if (b->rc == 0 && fmod(b->hidden, dim) != 0)
        rl_b_bad(b, key, "a divisor of hidden_size");
}

/* An extra norm stands before the first layer. */
static void rwkv7_layers(struct rl_build *b, double layers)
{
    struct rl_rwkv m = {0};
    unsigned norm = rl_b_bool_or(b, "norm_bias", true) ? RL_LN : RL_RMS;

    read_rwkv7(b, &m);
    check_heads(b, "head_dim", m.head_dim);
    rl_b_layers(b, 1);
    rl_b_norm(b, "pre_norm", b->hidden, norm);
    rl_b_layers(b, layers);
    rl_b_norm(b, "attn_norm", b->hidden, norm);
    m.first = true;
    rl_b_layers(b, 1);
    rl_b_rwkv7(b, &m);
    m.first = false;
    rl_b_layers(b, layers - 1);
    rl_b_rwkv7(b, &m);
    rl_b_layers(b, layers);
    rl_b_residual(b);
    rl_b_norm(b, "ffn_norm", b->hidden, norm);
    rl_b_residual(b);
    rl_b_layers(b, 1);
    rl_b_norm(b, "final_norm", b->hidden, norm);
}

/* The hub's configs leave the ranks out: 32 and 64, twice that at width 4096
 * (RWKV/v6-Finch modeling_rwkv6.py). */
static void rwkv6_layers(struct rl_build *b, double layers)
{
    double dim = rl_b_num2_or(b, "head_size", "head_dim", 64);
    double scale = b->hidden >= 4096 ? 2 : 1;
    struct rl_rwkv m = {
        .head_dim = dim,
        .inter = rl_b_num_or(b, "intermediate_size", 32 * floor(3.5 * b->hidden / 32)),
        .lora_w = rl_b_num_or(b, "gate_low_rank_dim", 64 * scale),
        .lora_mix = rl_b_num_or(b, "proj_low_rank_dim", 32 * scale),
    };

    check_heads(b, "head_size", dim);
    rl_b_layers(b, 1);
    rl_b_norm(b, "pre_norm", b->hidden, RL_LN);
    rl_b_layers(b, layers);
    rl_b_norm(b, "attn_norm", b->hidden, RL_LN);
    rl_b_rwkv6(b, &m);
    rl_b_residual(b);
    rl_b_norm(b, "ffn_norm", b->hidden, RL_LN);
    rl_b_residual(b);
    rl_b_layers(b, 1);
    rl_b_norm(b, "final_norm", b->hidden, RL_LN);
}

static void xlstm_layers(struct rl_build *b, double layers)
{
    double multiple = rl_b_num_or(b, "ffn_round_up_to_multiple_of", 64);
    double inter = rl_b_real_or(b, "ffn_proj_factor", 2.667) * b->hidden;

    rl_b_layers(b, layers);
    rl_b_norm(b, "norm_mlstm", b->hidden, RL_RMS);
    rl_b_mlstm(b, rl_b_num(b, "num_heads"),
               rl_b_real_or(b, "qk_dim_factor", 0.5) * b->hidden,
               rl_b_real_or(b, "v_dim_factor", 1) * b->hidden);
    rl_b_residual(b);
    rl_b_norm(b, "norm_ffn", b->hidden, RL_RMS);
    rl_b_mlp(b, ceil(inter / multiple) * multiple, RL_MLP_GATED);
    rl_b_residual(b);
    rl_b_layers(b, 1);
    rl_b_norm(b, "final_norm", b->hidden, RL_RMS);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    bool xlstm = strcmp(c->model_type, "xlstm") == 0;
    struct rl_build b;

    g->state_dtype = RL_DT_FP32;
    g->logits_upcast = xlstm;
    rl_b_open(&b, c, g, err);
    if (xlstm && !rl_b_has(&b, "hidden_size"))
        b.hidden = rl_b_num(&b, "embedding_dim");
    double hidden = b.hidden > 0 ? b.hidden : rl_b_num(&b, "hidden_size");
    double vocab = rl_b_num(&b, "vocab_size");
    double layers = rl_b_num2(&b, "num_hidden_layers", "num_blocks");
    rl_b_shape(&b, hidden, layers, g->max_positions);
    rl_b_embed(&b, vocab, hidden);
    (xlstm                                 ? xlstm_layers
     : strcmp(c->model_type, "rwkv6") == 0 ? rwkv6_layers
                                           : rwkv7_layers)(&b, layers);
    rl_b_head(&b, hidden, vocab, rl_b_bool_or(&b, "tie_word_embeddings", false), false);
    return rl_b_close(&b);
}

const struct rl_family rl_family_rwkv = {
    .model_types = types,
    .ref = "fla-org/flash-linear-attention rwkv6.py, rwkv7.py; NX-AI/xlstm",
    .build = build,
};
