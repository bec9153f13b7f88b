/* RecurrentGemma (Griffin, arXiv 2402.19427): RG-LRU blocks and local multi-query
 * attention in a repeating pattern, a gated MLP with biases after each.
 *
 * transformers models/recurrent_gemma, google-deepmind/recurrentgemma.  The
 * config's intermediate_size is twice the width the MLP has.  The recurrence runs
 * and is kept in fp32.
 */
#include "build.h"

#include <string.h>

static const char *const types[] = {"recurrent_gemma", NULL};

/* Layers whose entry in the repeated pattern is `want`. */
static double layers_of(struct rl_build *b, const char *want, double layers)
{
    static const char *const usual[] = {"recurrent", "recurrent", "attention"};
    double len = rl_b_list(b, "block_types"), n = 0;

    if (len == 0)
        rl_b_bad(b, "block_types", "a list of recurrent and attention");
    for (size_t i = 0; i < (size_t)layers && b->rc == 0; i++) {
        const char *s = usual[i % 3];

        if (len > 0)
            b->rc = rl_cfg_str_at(b->c, "block_types", i % (size_t)len, &s, b->err);
        n += b->rc == 0 && strcmp(s, want) == 0;
    }
    return n;
}

static void attention(struct rl_build *b)
{
    double heads = rl_b_num(b, "num_attention_heads");
    double dim = rl_b_num_or(b, "head_dim", b->hidden / heads);
    bool bias = rl_b_bool_or(b, "attention_bias", false);

    rl_b_attention(b, &(struct rl_attn){
                          .heads = heads,
                          .kv_heads = rl_b_num_or(b, "num_key_value_heads", 1),
                          .head_dim = dim,
                          .window = rl_b_num_or(b, "attention_window_size", 2048),
                          .rope_dim = dim * rl_b_real_or(b, "partial_rotary_factor", 0.5),
                          .qkv_bias = bias,
                          .o_bias = true,
                      });
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    g->logit_copies = 3; /* of the soft cap: logits, logits / cap, tanh */
    g->state_dtype = RL_DT_FP32;
    double layers = rl_b_start(&b, c, g, err);
    double hidden = b.hidden;
    double recurrent = layers_of(&b, "recurrent", layers);
    double attn = layers_of(&b, "attention", layers);

    if (b.rc == 0 && recurrent + attn != layers)
        rl_b_bad(&b, "block_types", "a list of recurrent and attention");
    rl_b_layers(&b, layers);
    rl_b_norm(&b, "temporal_norm", hidden, RL_RMS);
    rl_b_layers(&b, recurrent);
    rl_b_rglru(&b, rl_b_num_or(&b, "lru_width", hidden),
               rl_b_num(&b, "num_attention_heads"), rl_b_num_or(&b, "conv1d_width", 4));
    rl_b_layers(&b, attn);
    attention(&b);
    rl_b_layers(&b, layers);
    rl_b_residual(&b);
    rl_b_norm(&b, "channel_norm", hidden, RL_RMS);
    rl_b_mlp(&b, rl_b_num(&b, "intermediate_size") / 2, RL_MLP_GATED | RL_MLP_BIAS);
    rl_b_residual(&b);
    rl_b_finish(&b, "final_norm", true);
    return rl_b_close(&b);
}

const struct rl_family rl_family_griffin = {
    .model_types = types,
    .ref = "transformers models/recurrent_gemma; google-deepmind/recurrentgemma",
    .build = build,
};
