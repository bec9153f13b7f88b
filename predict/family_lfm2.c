/* LFM2: gated short convolutions and a few attention layers, a gated MLP or a
 * mixture of experts after each.  transformers models/{lfm2,lfm2_moe}.
 *
 * Older configs give the width of the MLP before Llama's two-thirds rule
 * (block_ff_dim with block_auto_adjust_ff_dim).
 */
#include "build.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"lfm2", "lfm2_moe", NULL};

static double attention_layers(struct rl_build *b, double layers)
{
    double n = rl_b_count_str(b, "layer_types", "full_attention", layers);

    if (n < 0)
        n = rl_b_list(b, "full_attn_idxs");
    if (b->rc == 0 && (n < 0 || n > layers))
        rl_b_bad(b, "layer_types", "a list of conv and full_attention");
    return n;
}

static double dense_width(struct rl_build *b, bool moe)
{
    bool old = rl_b_has(b, "block_ff_dim") && !moe;
    double inter = rl_b_num(b, old ? "block_ff_dim" : "intermediate_size");
    double multiple = rl_b_num_or(b, "block_multiple_of", 256);

    if (moe || !rl_b_bool_or(b, "block_auto_adjust_ff_dim", old))
        return inter;
    inter = floor(2 * inter / 3);
    inter = floor(inter * rl_b_real_or(b, "block_ffn_dim_multiplier", 1));
    return ceil(inter / multiple) * multiple;
}

static void mixers(struct rl_build *b, double layers)
{
    double attn = attention_layers(b, layers), heads = rl_b_num(b, "num_attention_heads");

    rl_b_layers(b, layers);
    rl_b_norm(b, "operator_norm", b->hidden, RL_RMS);
    rl_b_layers(b, layers - attn);
    rl_b_shortconv(b, rl_b_num_or(b, "conv_dim", b->hidden),
                   rl_b_num_or(b, "conv_L_cache", 3),
                   rl_b_bool_or(b, "conv_bias", false));
    rl_b_layers(b, attn);
    rl_b_attention(b, &(struct rl_attn){
                          .heads = heads,
                          .kv_heads = rl_b_num_or(b, "num_key_value_heads", heads),
                          .head_dim = rl_b_num_or(b, "head_dim", b->hidden / heads),
                          .qk_norm = RL_QK_HEAD,
                      });
    rl_b_layers(b, layers);
    rl_b_residual(b);
    rl_b_norm(b, "ffn_norm", b->hidden, RL_RMS);
}

static void feed_forward(struct rl_build *b, double layers, bool moe)
{
    double dense = moe ? rl_b_num_or(b, "num_dense_layers", 0) : layers;

    if (b->rc == 0 && dense > layers)
        rl_b_bad(b, "num_dense_layers", "at most the number of layers");
    rl_b_layers(b, dense);
    rl_b_mlp(b, dense_width(b, moe), RL_MLP_GATED);
    rl_b_layers(b, layers - dense);
    if (moe) {
        double experts = rl_b_num(b, "num_experts");

        rl_b_moe(
            b, &(struct rl_moe){
                   .experts = experts,
                   .topk = rl_b_num(b, "num_experts_per_tok"),
                   .inter = rl_b_num(b, "moe_intermediate_size"),
                   .router_bias = rl_b_bool_or(b, "use_expert_bias", true) ? experts : 0,
               });
    }
    rl_b_layers(b, layers);
    rl_b_residual(b);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    double layers = rl_b_start(&b, c, g, err);
    mixers(&b, layers);
    feed_forward(&b, layers, strcmp(c->model_type, "lfm2_moe") == 0);
    rl_b_finish(&b, "embedding_norm", true);
    return rl_b_close(&b);
}

const struct rl_family rl_family_lfm2 = {
    .model_types = types,
    .ref = "transformers models/lfm2, lfm2_moe",
    .build = build,
};
