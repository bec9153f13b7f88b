/* GPT-2 and the decoders of its generation: LayerNorm, plain or gated MLP,
 * learned positions, ALiBi or partial rotary embeddings.  Read in Hugging Face
 * transformers models/{gpt2,gpt_neo,gpt_neox,gptj,opt,bloom,falcon,mpt,phi,
 * stablelm,starcoder2,cohere,cohere2,olmo}.
 *
 * Each reader fills one struct rl_decoder; field names differ, the rest is
 * the same.  ALiBi's slopes are no parameters and its add is in the scores.
 */
#include "build.h"

#include <string.h>

enum { NO_ROPE = -1 };

static void gpt2(struct rl_build *b, struct rl_decoder *d)
{
    double h = rl_b_num2(b, "n_embd", "hidden_size"),
           pos = rl_b_num_or(b, "n_positions", 1024);

    d->layers = rl_b_num2(b, "n_layer", "num_hidden_layers");
    rl_b_shape(b, h, d->layers, pos);
    d->attn = (struct rl_attn){.heads = rl_b_num2(b, "n_head", "num_attention_heads"),
                               .qkv_bias = true,
                               .o_bias = true,
                               .rope_dim = NO_ROPE};
    d->inter = rl_b_num_or(b, "n_inner", 4 * h);
    d->positions = pos;
    d->norm = RL_LN;
    d->mlp = RL_MLP_BIAS;
    d->tied = true;
    rl_b_store_only(b, "causal-mask buffers", d->layers * pos * pos);
}

/* StarCoder 1: GPT-2 with one key-value head and no mask in the file. */
static void gpt_bigcode(struct rl_build *b, struct rl_decoder *d)
{
    double before = b->g->stored_extra;

    gpt2(b, d);
    b->g->stored_extra = before;
    b->g->stored_why[0] = '\0';
    if (rl_b_bool_or(b, "multi_query", true))
        d->attn.kv_heads = 1;
}

/* attention_types [[["global", "local"], 6]]: local ones see window_size. */
static double local_layers(struct rl_build *b, double layers)
{
    const json_t *groups = json_object_get(b->c->root, "attention_types"), *group, *name;
    double local = 0, n = rl_b_count_str(b, "attention_layers", "local", layers);
    size_t i, j;

    if (n >= 0)
        return n;
    json_array_foreach(groups, i, group)
    {
        double times = json_number_value(json_array_get(group, 1));
        json_array_foreach(json_array_get(group, 0), j, name)
        {
            const char *s = json_string_value(name);
            local += s && strcmp(s, "local") == 0 ? times : 0;
        }
    }
    if (!(local >= 0 && local <= layers))
        rl_b_bad(b, "attention_types",
                 "pairs of names and repetitions that fit the layers");
    return local;
}

static void gpt_neo(struct rl_build *b, struct rl_decoder *d)
{
    double pos = rl_b_num_or(b, "max_position_embeddings", 2048), h = b->hidden;

    d->layers = rl_b_num_or(b, "num_layers", 24);
    rl_b_shape(b, h, d->layers, pos);
    d->attn = (struct rl_attn){.heads = rl_b_num_or(b, "num_heads", 16),
                               .o_bias = true,
                               .rope_dim = NO_ROPE,
                               .window = rl_b_num_or(b, "window_size", 256)};
    d->windowed = local_layers(b, d->layers);
    d->inter = rl_b_num_or(b, "intermediate_size", 4 * h);
    d->positions = pos;
    d->norm = RL_LN;
    d->mlp = RL_MLP_BIAS;
    d->tied = true;
    rl_b_store_only(b, "causal-mask buffers of the local layers",
                    d->windowed * pos * pos);
}

static void gpt_neox(struct rl_build *b, struct rl_decoder *d)
{
    bool bias = rl_b_bool_or(b, "attention_bias", true);

    d->attn = (struct rl_attn){
        .heads = rl_b_num(b, "num_attention_heads"), .qkv_bias = bias, .o_bias = bias};
    d->attn.rope_dim = b->hidden / d->attn.heads * rl_b_real_or(b, "rotary_pct", 0.25);
    d->inter = rl_b_num(b, "intermediate_size");
    d->norm = RL_LN;
    d->mlp = RL_MLP_BIAS;
    d->parallel = rl_b_bool_or(b, "use_parallel_residual", true);
}

static void gptj(struct rl_build *b, struct rl_decoder *d)
{
    double h = rl_b_num2(b, "n_embd", "hidden_size");

    d->layers = rl_b_num2(b, "n_layer", "num_hidden_layers");
    rl_b_shape(b, h, d->layers, rl_b_num_or(b, "n_positions", 2048));
    d->attn = (struct rl_attn){.heads = rl_b_num2(b, "n_head", "num_attention_heads"),
                               .rope_dim = rl_b_num_or(b, "rotary_dim", 64)};
    d->inter = rl_b_num_or(b, "n_inner", 4 * h);
    d->norm = RL_LN;
    d->mlp = RL_MLP_BIAS;
    d->parallel = d->one_norm = d->head_bias = true;
}

static void opt(struct rl_build *b, struct rl_decoder *d)
{
    bool before = rl_b_bool_or(b, "do_layer_norm_before", true);
    bool bias = rl_b_bool_or(b, "enable_bias", true);

    d->attn = (struct rl_attn){.heads = rl_b_num(b, "num_attention_heads"),
                               .qkv_bias = bias,
                               .o_bias = bias,
                               .rope_dim = NO_ROPE};
    d->inter = rl_b_num(b, "ffn_dim");
    d->embed_width = rl_b_num_or(b, "word_embed_proj_dim", b->hidden);
    d->positions = rl_b_num_or(b, "max_position_embeddings", 2048) + 2;
    d->norm = RL_LN;
    d->mlp = bias ? RL_MLP_BIAS : 0;
    d->no_final_norm = !before || rl_b_bool_or(b, "_remove_final_layer_norm", false);
    d->tied = true;
}

static void bloom(struct rl_build *b, struct rl_decoder *d)
{
    double h = rl_b_num2(b, "hidden_size", "n_embed");

    d->layers = rl_b_num2(b, "n_layer", "num_hidden_layers");
    rl_b_shape(b, h, d->layers, 0);
    d->attn = (struct rl_attn){.heads = rl_b_num2(b, "n_head", "num_attention_heads"),
                               .qkv_bias = true,
                               .o_bias = true,
                               .rope_dim = NO_ROPE};
    d->inter = 4 * h;
    d->norm = RL_LN;
    d->mlp = RL_MLP_BIAS;
    d->embed_norm = d->tied = true;
}

static void falcon(struct rl_build *b, struct rl_decoder *d)
{
    bool bias = rl_b_bool_or(b, "bias", false),
         wide = rl_b_bool_or(b, "new_decoder_architecture", false);
    double heads = rl_b_num2(b, "num_attention_heads", "n_head");
    double norms = rl_b_num_or(b, "num_ln_in_parallel_attn", wide ? 2 : 1);

    d->layers = rl_b_num2(b, "num_hidden_layers", "n_layer");
    rl_b_shape(b, b->hidden, d->layers, b->g->max_positions);
    d->attn = (struct rl_attn){
        .heads = heads, .kv_heads = heads, .qkv_bias = bias, .o_bias = bias};
    if (wide)
        d->attn.kv_heads = rl_b_num_or(b, "num_kv_heads", heads);
    else if (rl_b_bool_or(b, "multi_query", true))
        d->attn.kv_heads = 1;
    if (rl_b_bool_or(b, "alibi", false))
        d->attn.rope_dim = NO_ROPE;
    d->inter = rl_b_num_or(b, "ffn_hidden_size", 4 * b->hidden);
    d->norm = RL_LN;
    d->mlp = bias ? RL_MLP_BIAS : 0;
    d->parallel = wide || rl_b_bool_or(b, "parallel_attn", true);
    d->one_norm = d->parallel && norms < 2;
    d->tied = true;
}

static void mpt(struct rl_build *b, struct rl_decoder *d)
{
    double h = rl_b_num_or(b, "d_model", 2048), pos = rl_b_num_or(b, "max_seq_len", 2048);
    const json_t *attn = json_object_get(b->c->root, "attn_config");
    bool alibi = !json_is_false(json_object_get(attn, "alibi"));
    bool bias = !rl_b_bool_or(b, "no_bias", true);

    d->layers = rl_b_num_or(b, "n_layers", 24);
    rl_b_shape(b, h, d->layers, pos);
    d->attn = (struct rl_attn){.heads = rl_b_num_or(b, "n_heads", 16),
                               .qkv_bias = bias,
                               .o_bias = bias,
                               .rope_dim = NO_ROPE};
    d->attn.kv_heads = json_number_value(json_object_get(attn, "kv_n_heads"));
    d->inter = h * rl_b_num_or(b, "expansion_ratio", 4);
    d->positions = alibi ? 0 : pos;
    d->norm = bias ? RL_LN : RL_RMS; /* a weight alone */
    d->mlp = bias ? RL_MLP_BIAS : 0;
    d->tied = true;
}

/* Phi-1, -1.5 and -2. */
static void phi(struct rl_build *b, struct rl_decoder *d)
{
    d->attn = (struct rl_attn){
        .heads = rl_b_num(b, "num_attention_heads"), .qkv_bias = true, .o_bias = true};
    d->attn.rope_dim =
        b->hidden / d->attn.heads * rl_b_real_or(b, "partial_rotary_factor", 0.5);
    if (rl_b_bool_or(b, "qk_layernorm", false))
        d->attn.qk_norm = RL_QK_LN;
    d->inter = rl_b_num_or(b, "intermediate_size", 4 * b->hidden);
    d->norm = RL_LN;
    d->mlp = RL_MLP_BIAS;
    d->parallel = d->one_norm = d->head_bias = true;
}

static void stablelm(struct rl_build *b, struct rl_decoder *d)
{
    d->attn = (struct rl_attn){.heads = rl_b_num(b, "num_attention_heads"),
                               .qkv_bias = rl_b_bool_or(b, "use_qkv_bias", false)};
    d->attn.rope_dim =
        b->hidden / d->attn.heads * rl_b_real_or(b, "partial_rotary_factor", 0.25);
    if (rl_b_bool_or(b, "qk_layernorm", false))
        d->attn.qk_norm = RL_QK_LN;
    d->inter = rl_b_num(b, "intermediate_size");
    d->norm = RL_LN;
    d->mlp = RL_MLP_GATED;
    d->parallel = d->one_norm = rl_b_bool_or(b, "use_parallel_residual", false);
}

static void starcoder2(struct rl_build *b, struct rl_decoder *d)
{
    bool bias = rl_b_bool_or(b, "use_bias", true);

    d->attn = (struct rl_attn){.heads = rl_b_num(b, "num_attention_heads"),
                               .qkv_bias = bias,
                               .o_bias = bias,
                               .window = rl_b_num_or(b, "sliding_window", 0)};
    d->windowed = d->attn.window > 0 ? d->layers : 0;
    d->inter = rl_b_num(b, "intermediate_size");
    d->norm = RL_LN;
    d->mlp = bias ? RL_MLP_BIAS : 0;
    d->tied = true;
}

/* Command R: LayerNorm without bias; Cohere 2 alternates windows 3:1. */
static void cohere(struct rl_build *b, struct rl_decoder *d)
{
    bool bias = rl_b_bool_or(b, "attention_bias", false);
    double n = rl_b_count_str(b, "layer_types", "sliding_attention", d->layers);
    double every = rl_b_num_or(b, "sliding_window_pattern", 4);

    d->attn = (struct rl_attn){.heads = rl_b_num(b, "num_attention_heads"),
                               .qkv_bias = bias,
                               .o_bias = bias,
                               .window = rl_b_num_or(b, "sliding_window", 0)};
    if (rl_b_bool_or(b, "use_qk_norm", false))
        d->attn.qk_norm = RL_QK_LN;
    if (d->attn.window > 0)
        d->windowed = n >= 0 ? n : d->layers - (double)((long)d->layers / (long)every);
    d->inter = rl_b_num(b, "intermediate_size");
    d->norm = RL_RMS; /* a weight alone */
    d->mlp = RL_MLP_GATED;
    d->parallel = d->one_norm = d->tied = true;
    b->g->logit_copies = 2; /* times logit_scale, out of place */
}

/* Minitron: LayerNorm with bias, squared ReLU, grouped queries. */
static void nemotron(struct rl_build *b, struct rl_decoder *d)
{
    bool bias = rl_b_bool_or(b, "attention_bias", false);

    d->attn = (struct rl_attn){
        .heads = rl_b_num(b, "num_attention_heads"), .qkv_bias = bias, .o_bias = bias};
    d->inter = rl_b_num(b, "intermediate_size");
    d->norm = RL_LN;
    d->mlp = rl_b_bool_or(b, "mlp_bias", false) ? RL_MLP_BIAS : 0;
}

/* ChatGLM 2, 3 and GLM-4 in their own code. */
static void chatglm(struct rl_build *b, struct rl_decoder *d)
{
    bool bias = rl_b_bool_or(b, "add_bias_linear", false);
    double heads = rl_b_num(b, "num_attention_heads");

    d->layers = rl_b_num2(b, "num_layers", "num_hidden_layers");
    rl_b_shape(b, b->hidden, d->layers, rl_b_num_or(b, "seq_length", 0));
    d->vocab = rl_b_num2(b, "padded_vocab_size", "vocab_size");
    d->attn =
        (struct rl_attn){.heads = heads,
                         .kv_heads = heads,
                         .head_dim = rl_b_num_or(b, "kv_channels", b->hidden / heads),
                         .qkv_bias = bias || rl_b_bool_or(b, "add_qkv_bias", false),
                         .o_bias = bias};
    d->attn.rope_dim = d->attn.head_dim / 2;
    if (rl_b_bool_or(b, "multi_query_attention", false))
        d->attn.kv_heads = rl_b_num_or(b, "multi_query_group_num", 1);
    d->inter = rl_b_num(b, "ffn_hidden_size");
    d->norm = rl_b_bool_or(b, "rmsnorm", true) ? RL_RMS : RL_LN;
    d->mlp = RL_MLP_GATED | (bias ? RL_MLP_BIAS : 0);
}

static void olmo(struct rl_build *b, struct rl_decoder *d)
{
    d->attn = (struct rl_attn){.heads = rl_b_num(b, "num_attention_heads")};
    d->inter = rl_b_num(b, "intermediate_size");
    d->norm = RL_BARE;
    d->mlp = RL_MLP_GATED;
}

static const struct reader {
    const char *type;
    void (*read)(struct rl_build *b, struct rl_decoder *d);
} readers[] = {
    {"gpt2", gpt2},         {"gpt_neo", gpt_neo},
    {"gpt_neox", gpt_neox}, {"gptj", gptj},
    {"codegen", gptj},      {"opt", opt},
    {"bloom", bloom},       {"falcon", falcon},
    {"mpt", mpt},           {"phi", phi},
    {"stablelm", stablelm}, {"starcoder2", starcoder2},
    {"cohere", cohere},     {"cohere2", cohere},
    {"olmo", olmo},         {"gpt_bigcode", gpt_bigcode},
    {"nemotron", nemotron}, {"chatglm", chatglm},
};

static const char *const types[] = {
    "gpt2",   "gpt_neo",     "gpt_neox", "gptj",     "codegen",    "opt",    "bloom",
    "falcon", "mpt",         "phi",      "stablelm", "starcoder2", "cohere", "cohere2",
    "olmo",   "gpt_bigcode", "nemotron", "chatglm",  NULL};

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_decoder d = {0};
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    d.layers = b.g->layers;
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (strcmp(readers[i].type, c->model_type) == 0)
            readers[i].read(&b, &d);
    if (b.hidden <= 0) /* a reader that relies on hidden_size */
        b.hidden = rl_b_num(&b, "hidden_size");
    if (d.layers <= 0)
        d.layers = rl_b_num(&b, "num_hidden_layers");
    if (d.vocab <= 0)
        d.vocab = rl_b_num(&b, "vocab_size");
    if (d.attn.kv_heads <= 0)
        d.attn.kv_heads = rl_b_num_or(&b, "num_key_value_heads", d.attn.heads);
    if (d.attn.head_dim <= 0)
        d.attn.head_dim = rl_b_num_or(&b, "head_dim", b.hidden / d.attn.heads);
    d.tied = rl_b_bool_or(&b, "tie_word_embeddings", d.tied);
    rl_b_decoder(&b, &d);
    return rl_b_close(&b);
}

const struct rl_family rl_family_gpt = {
    .model_types = types,
    .ref = "transformers models/gpt2, gpt_neo, gpt_neox, gptj, codegen, opt, bloom, "
           "falcon, mpt, phi, stablelm, starcoder2, cohere, cohere2, olmo, gpt_bigcode, "
           "nemotron; THUDM modeling_chatglm.py",
    .build = build,
};
