/* gpt-oss and Llama 4: mixtures of experts with unusual attention.
 *
 * gpt-oss (transformers models/gpt_oss): biases everywhere, in the router and
 * the experts too, a learned sink logit per head, windows of 128 on every
 * other layer.  Llama 4 (models/llama4): three of four layers rotate and see
 * only their chunk, the fourth has no RoPE and sees all; experts on every
 * interleave_moe_layer_step-th layer, one shared expert beside them.
 */
#include "build.h"
#include "vision.h"

#include <math.h>

static int build_oss(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double h = rl_b_num(&b, "hidden_size"), vocab = rl_b_num(&b, "vocab_size");
    double layers = rl_b_num(&b, "num_hidden_layers"),
           inter = rl_b_num(&b, "intermediate_size");
    double windowed = rl_b_count_str(&b, "layer_types", "sliding_attention", layers);
    bool bias = rl_b_bool_or(&b, "attention_bias", true);
    struct rl_attn a = {.heads = rl_b_num(&b, "num_attention_heads"),
                        .kv_heads = rl_b_num(&b, "num_key_value_heads"),
                        .head_dim = rl_b_num_or(&b, "head_dim", 64),
                        .window = rl_b_num_or(&b, "sliding_window", 128),
                        .qkv_bias = bias,
                        .o_bias = bias,
                        .sink_logits = true};
    struct rl_moe m = {.experts = rl_b_num(&b, "num_local_experts"),
                       .topk = rl_b_num2(&b, "num_experts_per_tok", "experts_per_token"),
                       .inter = inter,
                       .expert_bias = 2 * inter + h};

    m.router_bias = m.experts;
    rl_b_embed(&b, vocab, h);
    rl_b_layers(&b, layers);
    rl_b_norm(&b, "input_norm", h, RL_RMS);
    rl_b_attention_mixed(&b, a, layers, windowed >= 0 ? windowed : ceil(layers / 2));
    rl_b_residual(&b);
    rl_b_norm(&b, "post_norm", h, RL_RMS);
    rl_b_moe(&b, &m);
    rl_b_residual(&b);
    rl_b_layers(&b, 1);
    rl_b_norm(&b, "final_norm", h, RL_RMS);
    rl_b_head(&b, h, vocab, rl_b_bool_or(&b, "tie_word_embeddings", false), false);
    return rl_b_close(&b);
}

static const char *const oss_types[] = {"gpt_oss", NULL};
const struct rl_family rl_family_gpt_oss = {
    .model_types = oss_types, .ref = "transformers models/gpt_oss", .build = build_oss};

static void attention4(struct rl_build *b, double layers)
{
    double bare = rl_b_count_num(b, "no_rope_layers", 0, layers);
    double every = rl_b_num_or(b, "no_rope_layer_interval", 4);
    struct rl_attn a = {.heads = rl_b_num(b, "num_attention_heads"),
                        .kv_heads = rl_b_num(b, "num_key_value_heads"),
                        .chunk = rl_b_num_or(b, "attention_chunk_size", 8192)};

    if (bare < 0)
        bare = floor(layers / every);
    a.head_dim = rl_b_num_or(b, "head_dim", b->hidden / a.heads);
    a.qkv_bias = a.o_bias = rl_b_bool_or(b, "attention_bias", false);
    a.qk_norm = rl_b_bool_or(b, "use_qk_norm", true) ? RL_QK_BARE : RL_QK_NONE;
    rl_b_layers(b, layers - bare);
    rl_b_attention(b, &a);
    a.qk_norm = RL_QK_NONE;
    a.rope_dim = -1;
    a.chunk = 0;
    rl_b_layers(b, bare);
    rl_b_attention(b, &a);
    rl_b_layers(b, layers);
}

static int build_llama4(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double h = rl_b_num(&b, "hidden_size"), vocab = rl_b_num(&b, "vocab_size");
    double layers = rl_b_num(&b, "num_hidden_layers"),
           inter = rl_b_num(&b, "intermediate_size");
    double step = rl_b_num_or(&b, "interleave_moe_layer_step", 1);
    double listed = rl_b_list(&b, "moe_layers");
    double sparse = listed > 0 ? listed : floor(layers / step);
    struct rl_moe m = {.experts = rl_b_num(&b, "num_local_experts"),
                       .topk = rl_b_num_or(&b, "num_experts_per_tok", 1),
                       .inter = inter,
                       .shared_inter = inter};

    if (sparse > layers)
        rl_b_bad(&b, "moe_layers", "at most one entry per layer");
    rl_b_embed(&b, vocab, h);
    rl_b_layers(&b, layers);
    rl_b_norm(&b, "input_norm", h, RL_RMS);
    attention4(&b, layers);
    rl_b_residual(&b);
    rl_b_norm(&b, "post_norm", h, RL_RMS);
    rl_b_layers(&b, sparse);
    rl_b_moe(&b, &m);
    rl_b_layers(&b, layers - sparse);
    rl_b_mlp(&b, rl_b_num_or(&b, "intermediate_size_mlp", 2 * inter), RL_MLP_GATED);
    rl_b_layers(&b, layers);
    rl_b_residual(&b);
    rl_b_layers(&b, 1);
    rl_b_norm(&b, "final_norm", h, RL_RMS);
    rl_b_head(&b, h, vocab, rl_b_bool_or(&b, "tie_word_embeddings", false), false);
    rl_b_vision_llama4(&b);
    return rl_b_close(&b);
}

static const char *const llama4_types[] = {"llama4", "llama4_text", NULL};
const struct rl_family rl_family_llama4 = {.model_types = llama4_types,
                                           .ref = "transformers models/llama4",
                                           .build = build_llama4};
