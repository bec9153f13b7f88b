/* Linear-attention hybrids with experts.
 *
 * Kimi Linear (arXiv 2510.26692): three Kimi-delta layers to one latent-attention
 * layer without positions; the state is kept in fp32.  MiniMax-Text-01
 * (arXiv 2501.08313): seven lightning-attention layers to one softmax layer.
 * Read in mlx-lm kimi_linear.py and transformers models/minimax.
 */
#include "build.h"

#include <string.h>

static const char *const types[] = {"kimi_linear", "minimax_text_01", "minimax_m1",
                                    "minimax", NULL};

/* Kimi Linear */

static void kimi_mixers(struct rl_build *b, double layers)
{
    struct rl_cfg linear = {0};
    double heads = 32, dim = 128, conv = 4;
    size_t full = 0;

    if (b->rc == 0)
        b->rc =
            rl_cfg_sub(b->c, "linear_attn_config", &linear, b->err) < 0 ||
                    rl_cfg_list(&linear, "full_attn_layers", &full, b->err) < 0 ||
                    rl_cfg_num(&linear, "num_heads", &heads, b->err) < 0 ||
                    rl_cfg_num(&linear, "head_dim", &dim, b->err) < 0 ||
                    rl_cfg_num_or(&linear, "short_conv_kernel_size", 4, &conv, b->err) < 0
                ? -1
                : 0;
    if (b->rc == 0 && (double)full > layers)
        rl_b_bad(b, "linear_attn_config", "at most one full-attention layer per layer");
    rl_b_layers(b, layers - (double)full);
    rl_b_kda(b, &(struct rl_kda){.heads = heads, .head_dim = dim, .conv = conv});
    rl_b_layers(b, (double)full);
    rl_b_mla(b, &(struct rl_mla){
                    .heads = rl_b_num(b, "num_attention_heads"),
                    .q_rank = rl_b_num_or(b, "q_lora_rank", 0),
                    .kv_rank = rl_b_num(b, "kv_lora_rank"),
                    .nope = rl_b_num(b, "qk_nope_head_dim"),
                    .rope = rl_b_num(b, "qk_rope_head_dim"),
                    .v_dim = rl_b_num(b, "v_head_dim"),
                    .no_rope = rl_b_bool_or(b, "mla_use_nope", false),
                });
}

static void kimi_ff(struct rl_build *b, double layers)
{
    double dense = rl_b_num_or(b, "first_k_dense_replace", 0);
    double inter = rl_b_num(b, "moe_intermediate_size");
    double experts = rl_b_num(b, "num_experts");

    if (b->rc == 0 && dense > layers)
        rl_b_bad(b, "first_k_dense_replace", "at most the number of layers");
    rl_b_layers(b, dense);
    rl_b_mlp(b, rl_b_num(b, "intermediate_size"), RL_MLP_GATED);
    rl_b_layers(b, layers - dense);
    rl_b_moe(b, &(struct rl_moe){
                    .experts = experts,
                    .topk = rl_b_num2(b, "num_experts_per_token", "num_experts_per_tok"),
                    .inter = inter,
                    .router_bias = experts, /* e_score_correction_bias */
                    .shared_inter = inter * rl_b_num_or(b, "num_shared_experts", 0),
                });
}

/* MiniMax */

/* 1 in attn_type_list, or "full_attention" in layer_types. */
static double softmax_layers(struct rl_build *b, double layers)
{
    double n = rl_b_count_num(b, "attn_type_list", 1, layers);

    if (n < 0)
        n = rl_b_count_str(b, "layer_types", "full_attention", layers);
    if (n < 0)
        rl_b_bad(b, "attn_type_list", "a list of 0 (lightning) and 1 (softmax)");
    return n;
}

static void minimax_mixers(struct rl_build *b, double layers)
{
    double heads = rl_b_num(b, "num_attention_heads"), full = softmax_layers(b, layers);
    double dim = rl_b_num_or(b, "head_dim", b->hidden / heads);

    rl_b_layers(b, layers - full);
    rl_b_lightning(b, heads, dim);
    rl_b_layers(b, full);
    rl_b_attention(b, &(struct rl_attn){
                          .heads = heads,
                          .kv_heads = rl_b_num_or(b, "num_key_value_heads", heads),
                          .head_dim = dim,
                          .rope_dim = rl_b_num_or(b, "rotary_dim", dim / 2),
                      });
}

static void minimax_ff(struct rl_build *b, double layers)
{
    rl_b_layers(b, layers);
    rl_b_moe(b, &(struct rl_moe){
                    .experts = rl_b_num(b, "num_local_experts"),
                    .topk = rl_b_num(b, "num_experts_per_tok"),
                    .inter = rl_b_num(b, "intermediate_size"),
                    .shared_inter = rl_b_num_or(b, "shared_intermediate_size", 0),
                });
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    bool kimi = strcmp(c->model_type, "kimi_linear") == 0;
    struct rl_build b;

    g->state_dtype = RL_DT_FP32;
    double layers = rl_b_start(&b, c, g, err);
    double hidden = b.hidden;
    rl_b_layers(&b, layers);
    rl_b_norm(&b, "input_norm", hidden, RL_RMS);
    (kimi ? kimi_mixers : minimax_mixers)(&b, layers);
    rl_b_layers(&b, layers);
    rl_b_residual(&b);
    rl_b_norm(&b, "post_norm", hidden, RL_RMS);
    (kimi ? kimi_ff : minimax_ff)(&b, layers);
    rl_b_layers(&b, layers);
    rl_b_residual(&b);
    rl_b_finish(&b, "final_norm", false);
    return rl_b_close(&b);
}

const struct rl_family rl_family_linear = {
    .model_types = types,
    .ref = "ml-explore/mlx-lm kimi_linear.py; transformers models/minimax",
    .build = build,
};
