/* Gemma, Gemma 2, Gemma 3, OLMo 2, 3 and EXAONE 4: dense decoders whose norms stand
 * elsewhere than Llama's, with windows on most layers.  Read in transformers
 * models/{gemma,gemma2,gemma3,olmo2,olmo3,exaone4}.
 *
 * Gemma 2 and 3: norms before and after each of attention and MLP; windows
 * alternate (2) or leave every sixth layer global (3).  OLMo 2: norms after
 * only, and over all of q and k (EXAONE 4: over each head).
 */
#include "build.h"
#include "vision.h"

#include <math.h>
#include <string.h>

struct kin {
    const char *type;
    double norms; /* per layer */
    enum rl_qk_norm qk_norm;
    double pattern; /* every so manieth layer is global; 0: all are */
    double window, vocab, heads, kv_heads, head_dim; /* when absent */
    bool gemma;
};

static const struct kin kin[] = {
    {"gemma", 2, RL_QK_NONE, 0, 0, 256000, 16, 16, 256, true},
    {"gemma2", 4, RL_QK_NONE, 2, 4096, 256000, 8, 4, 256, true},
    {"gemma3_text", 4, RL_QK_HEAD, 6, 4096, 262208, 8, 4, 256, true},
    {"gemma3", 4, RL_QK_HEAD, 6, 4096, 262208, 8, 4, 256, true},
    {"olmo2", 2, RL_QK_FULL, 0, 0, 0, 0, 0, 0, false},
    {"olmo3", 2, RL_QK_FULL, 4, 4096, 0, 0, 0, 0, false},
    {"exaone4", 2, RL_QK_HEAD, 0, 4096, 102400, 32, 32, 0, false},
};

static const char *const types[] = {"gemma", "gemma2", "gemma3_text", "gemma3",
                                    "olmo2", "olmo3",  "exaone4",     NULL};

static const struct kin *kin_of(const struct rl_cfg *c)
{
    for (size_t i = 0; i < sizeof kin / sizeof *kin; i++)
        if (strcmp(c->model_type, kin[i].type) == 0)
            return &kin[i];
    return &kin[0];
}

static double or_needed(struct rl_build *b, const char *key, double fallback)
{
    return fallback > 0 ? rl_b_num_or(b, key, fallback) : rl_b_num(b, key);
}

static double windowed_layers(struct rl_build *b, const struct kin *k, double layers)
{
    double n = rl_b_count_str(b, "layer_types", "sliding_attention", layers), every;

    if (n >= 0) /* EXAONE's pattern beside it is a word, "LLLG" */
        return n;
    every = rl_b_num_or(b, "sliding_window_pattern", k->pattern);
    return every > 0 ? layers - floor(layers / every) : 0;
}

static void layers_of(struct rl_build *b, const struct kin *k, double layers)
{
    bool bias = rl_b_bool_or(b, "attention_bias", false), around = k->norms > 2;
    double heads = or_needed(b, "num_attention_heads", k->heads);
    struct rl_attn a = {
        .heads = heads,
        .kv_heads = rl_b_num_or(b, "num_key_value_heads", k->gemma ? k->kv_heads : heads),
        .head_dim =
            rl_b_num_or(b, "head_dim", k->gemma ? k->head_dim : b->hidden / heads),
        .qk_norm = k->qk_norm,
        .qkv_bias = bias,
        .o_bias = bias,
        .window = rl_b_num_or(b, "sliding_window", k->window)};
    double windowed = a.window > 0 ? windowed_layers(b, k, layers) : 0;

    rl_b_layers(b, layers);
    if (k->gemma)
        rl_b_norm(b, "input_norm", b->hidden, RL_RMS);
    rl_b_attention_mixed(b, a, layers, windowed);
    if (!k->gemma || around)
        rl_b_norm(b, "post_attn_norm", b->hidden, RL_RMS);
    rl_b_residual(b);
    if (k->gemma)
        rl_b_norm(b, "pre_mlp_norm", b->hidden, RL_RMS);
    rl_b_mlp(b, rl_b_num(b, "intermediate_size"), RL_MLP_GATED);
    if (!k->gemma || around)
        rl_b_norm(b, "post_mlp_norm", b->hidden, RL_RMS);
    rl_b_residual(b);
    rl_b_layers(b, 1);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    const struct kin *k = kin_of(c);
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double hidden = rl_b_num(&b, "hidden_size"),
           layers = rl_b_num(&b, "num_hidden_layers");
    double vocab = or_needed(&b, "vocab_size", k->vocab);
    rl_b_embed(&b, vocab, hidden);
    layers_of(&b, k, layers);
    rl_b_norm(&b, "final_norm", hidden, RL_RMS);
    rl_b_head(&b, hidden, vocab, rl_b_bool_or(&b, "tie_word_embeddings", k->gemma),
              false);
    if (strcmp(k->type, "gemma2") == 0 || rl_b_has(&b, "final_logit_softcapping"))
        g->logit_copies = 2; /* capped out of place */
    rl_b_vision_gemma(&b);
    return rl_b_close(&b);
}

const struct rl_family rl_family_gemma = {
    .model_types = types,
    .ref = "transformers models/gemma, gemma2, gemma3, olmo2, olmo3, exaone4",
    .build = build,
};
