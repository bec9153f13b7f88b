/* Qwen3-Next and Qwen3.5: gated delta nets (arXiv 2412.06464) with a gated
 * attention layer every fourth, an MLP or a mixture of experts with one shared
 * expert after each.  transformers models/{qwen3_next,qwen3_5,qwen3_5_moe}.
 *
 * The checkpoints also hold a multi-token-prediction layer and, for Qwen3.5, a
 * vision tower; neither runs for text.
 */
#include "build.h"
#include "vision.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"qwen3_next",  "qwen3_5",          "qwen3_5_text",
                                    "qwen3_5_moe", "qwen3_5_moe_text", NULL};

static double attention_layers(struct rl_build *b, double layers)
{
    double n = rl_b_count_str(b, "layer_types", "full_attention", layers);
    double every = rl_b_num_or(b, "full_attention_interval", 4);

    return n >= 0 ? n : floor(layers / every);
}

static void delta_net(struct rl_build *b)
{
    rl_b_gdn(b, &(struct rl_gdn){
                    .k_heads = rl_b_num_or(b, "linear_num_key_heads", 16),
                    .k_dim = rl_b_num_or(b, "linear_key_head_dim", 128),
                    .v_heads = rl_b_num_or(b, "linear_num_value_heads", 32),
                    .v_dim = rl_b_num_or(b, "linear_value_head_dim", 128),
                    .conv = rl_b_num_or(b, "linear_conv_kernel_dim", 4),
                });
}

static void attention(struct rl_build *b)
{
    double dim = rl_b_num_or(b, "head_dim", 256);
    bool bias = rl_b_bool_or(b, "attention_bias", false);

    rl_b_attention(b,
                   &(struct rl_attn){
                       .heads = rl_b_num(b, "num_attention_heads"),
                       .kv_heads = rl_b_num(b, "num_key_value_heads"),
                       .head_dim = dim,
                       .rope_dim = dim * rl_b_real_or(b, "partial_rotary_factor", 0.25),
                       .qk_norm = RL_QK_HEAD,
                       .gate = rl_b_bool_or(b, "attn_output_gate", true),
                       .qkv_bias = bias,
                       .o_bias = bias,
                   });
}

static void feed_forward(struct rl_build *b, bool moe)
{
    if (!moe) {
        rl_b_mlp(b, rl_b_num(b, "intermediate_size"), RL_MLP_GATED);
        return;
    }
    rl_b_moe(b, &(struct rl_moe){
                    .experts = rl_b_num(b, "num_experts"),
                    .topk = rl_b_num(b, "num_experts_per_tok"),
                    .inter = rl_b_num(b, "moe_intermediate_size"),
                    .shared_inter = rl_b_num_or(b, "shared_expert_intermediate_size", 0),
                    .shared_gate = true,
                });
}

static void layers_of(struct rl_build *b, double layers, double attn, bool moe)
{
    rl_b_layers(b, layers);
    rl_b_norm(b, "input_norm", b->hidden, RL_RMS);
    rl_b_layers(b, layers - attn);
    delta_net(b);
    rl_b_layers(b, attn);
    attention(b);
    rl_b_layers(b, layers);
    rl_b_residual(b);
    rl_b_norm(b, "post_norm", b->hidden, RL_RMS);
    feed_forward(b, moe);
    rl_b_residual(b);
}

/* Attention layers like the model's, the projection of [embedding, hidden] and
 * three norms. */
static void next_token(struct rl_build *b, bool moe, double n)
{
    struct rl_mark s;

    if (n < 1)
        return;
    rl_b_mark(b, &s);
    layers_of(b, n, n, moe);
    rl_b_layers(b, n);
    rl_b_linear(b, "mtp_proj", 2 * b->hidden, b->hidden, 0);
    rl_b_norm(b, "mtp_norms", 3 * b->hidden, RL_RMS);
    rl_b_file_only(b, &s, "MTP layer");
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    bool next = strcmp(c->model_type, "qwen3_next") == 0;
    bool moe = next || strstr(c->model_type, "moe") != NULL;
    struct rl_build b;

    double layers = rl_b_start(&b, c, g, err);
    if (strcmp(rl_b_str_or(&b, "mamba_ssm_dtype", ""), "float32") == 0)
        g->state_dtype = RL_DT_FP32;
    layers_of(&b, layers, attention_layers(&b, layers), moe);
    rl_b_finish(&b, "final_norm", false);
    next_token(&b, moe, rl_b_num_or(&b, "mtp_num_hidden_layers", next ? 1 : 0));
    rl_b_vision_qwen3(&b, false);
    return rl_b_close(&b);
}

const struct rl_family rl_family_gdn = {
    .model_types = types,
    .ref = "transformers models/qwen3_next, qwen3_5, qwen3_5_moe",
    .build = build,
};
