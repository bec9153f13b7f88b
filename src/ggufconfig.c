/* A GGUF header as a config.json.
 *
 * Key names are those of llama.cpp's src/llama-arch.cpp; field names those of the
 * Hugging Face class the file was converted from, because families read these.
 * Where the header is vague (which layer attends, how wide an expert is, whether
 * the query has a bias) the tensors are asked: they are what runs.
 */
#include "gguf.h"

#include "err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct map {
    const struct rl_gguf *g;
    const char *arch;
    json_t *out;
    int layers;
};

/* reading */

static json_t *key(const struct map *m, const char *name)
{
    char full[160];

    snprintf(full, sizeof full, "%s.%s", m->arch, name);
    return json_object_get(m->g->keys, full);
}

/* A number; of a list per layer the largest; 0 when absent. */
static double num(const struct map *m, const char *name)
{
    const json_t *v = key(m, name);
    double most = 0;
    size_t i;
    json_t *e;

    if (!json_is_array(v))
        return v ? json_number_value(v) : 0;
    json_array_foreach(v, i, e) most = fmax(most, json_number_value(e));
    return most;
}

static const struct rl_gguf_tensor *tensor(const struct map *m, int layer,
                                           const char *name)
{
    char full[64];

    snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    return rl_gguf_find(m->g, full);
}

static bool has(const struct map *m, int layer, const char *name)
{
    return tensor(m, layer, name) != NULL;
}

static bool attends(const struct map *m, int layer)
{
    return has(m, layer, "attn_q.weight") || has(m, layer, "attn_qkv.weight") ||
           has(m, layer, "attn_q_a.weight");
}

static bool attends_fully(const struct map *m, int layer)
{
    return has(m, layer, "attn_k.weight") || has(m, layer, "attn_kv_a_mqa.weight");
}

static bool has_experts(const struct map *m, int layer)
{
    return has(m, layer, "ffn_up_exps.weight") ||
           has(m, layer, "ffn_gate_up_exps.weight");
}

/* First layer where `is` holds; -1: none. */
static int first(const struct map *m, bool (*is)(const struct map *, int), int from)
{
    for (int i = from; i < m->layers; i++)
        if (is(m, i))
            return i;
    return -1;
}

/* Output width of a tensor in the first layer that has it; 0: in none. */
static double width(const struct map *m, const char *name)
{
    for (int i = 0; i < m->layers; i++) {
        const struct rl_gguf_tensor *t = tensor(m, i, name);

        if (t)
            return (double)t->dim[1];
    }
    return 0;
}

/* writing */

static void set(struct map *m, const char *field, double v)
{
    bool whole = floor(v) == v && v < 0x1p53;

    if (v > 0)
        json_object_set_new(m->out, field,
                            whole ? json_integer((json_int_t)v) : json_real(v));
}

static void set_bool(struct map *m, const char *field, bool v)
{
    json_object_set_new(m->out, field, json_boolean(v));
}

static void set_type(struct map *m, const char *model_type)
{
    json_object_set_new(m->out, "model_type", json_string(model_type));
}

/* One word per layer. */
static void set_layers(struct map *m, const char *field,
                       const char *(*word)(const struct map *, int))
{
    json_t *list = json_array();

    for (int i = 0; i < m->layers; i++)
        json_array_append_new(list, json_string(word(m, i)));
    json_object_set_new(m->out, field, list);
}

/* architectures */

static void map_llama(struct map *m)
{
    if (num(m, "expert_count") > 0)
        set_type(m, "mixtral");
    set_bool(m, "attention_bias", has(m, 0, "attn_q.bias"));
    set_bool(m, "mlp_bias", has(m, 0, "ffn_up.bias"));
}

static void map_gpt_oss(struct map *m)
{
    set(m, "intermediate_size", width(m, "ffn_up_exps.weight"));
}

static void map_llama4(struct map *m)
{
    set(m, "intermediate_size", width(m, "ffn_up_exps.weight"));
    set(m, "intermediate_size_mlp", num(m, "feed_forward_length"));
    set(m, "interleave_moe_layer_step", num(m, "interleave_moe_layer_step"));
}

static void map_glm4(struct map *m)
{
    set_bool(m, "attention_bias", has(m, 0, "attn_q.bias"));
    set_bool(m, "use_qk_norm", has(m, 0, "attn_q_norm.weight"));
}

static void map_mla(struct map *m)
{
    double rope = num(m, "rope.dimension_count");
    double qk = num(m, "attention.key_length_mla");
    double v = num(m, "attention.value_length_mla");

    if (qk <= 0) /* files from before key_length_mla */
        qk = num(m, "attention.key_length");
    if (v <= 0)
        v = num(m, "attention.value_length");
    set(m, "q_lora_rank", num(m, "attention.q_lora_rank"));
    set(m, "kv_lora_rank", num(m, "attention.kv_lora_rank"));
    set(m, "qk_rope_head_dim", rope);
    set(m, "qk_nope_head_dim", qk - rope);
    set(m, "v_head_dim", v);
    set(m, "num_key_value_heads", num(m, "attention.head_count"));
    json_object_del(m->out, "head_dim");
}

static void map_deepseek(struct map *m)
{
    map_mla(m);
    if (first(m, has_experts, 0) >= 0) {
        int dense = first(m, has_experts, 0);

        set_type(m, tensor(m, dense, "exp_probs_b.bias") ? "deepseek_v3" : "deepseek_v2");
        json_object_set_new(m->out, "first_k_dense_replace", json_integer(dense));
    }
}

static void map_mamba(struct map *m)
{
    if (json_is_true(key(m, "ssm.dt_b_c_rms")))
        set_type(m, "falcon_mamba");
    set(m, "intermediate_size", num(m, "ssm.inner_size"));
    set(m, "state_size", num(m, "ssm.state_size"));
    set(m, "conv_kernel", num(m, "ssm.conv_kernel"));
    set(m, "time_step_rank", num(m, "ssm.time_step_rank"));
    set_bool(m, "use_conv_bias", has(m, 0, "ssm_conv1d.bias"));
}

/* ssm.time_step_rank holds the number of heads of a Mamba-2 block. */
static double ssm_head_dim(const struct map *m)
{
    double heads = num(m, "ssm.time_step_rank");

    return heads > 0 ? num(m, "ssm.inner_size") / heads : 0;
}

static void map_mamba2(struct map *m)
{
    json_object_del(m->out, "intermediate_size");
    json_object_del(m->out, "head_dim");
    set(m, "num_heads", num(m, "ssm.time_step_rank"));
    set(m, "head_dim", ssm_head_dim(m));
    set(m, "state_size", num(m, "ssm.state_size"));
    set(m, "n_groups", num(m, "ssm.group_count"));
    set(m, "conv_kernel", num(m, "ssm.conv_kernel"));
    set(m, "expand", num(m, "ssm.inner_size") / num(m, "embedding_length"));
}

/* The names that Bamba, Granite and Falcon-H1 share. */
static void mamba2_fields(struct map *m)
{
    set(m, "mamba_n_heads", num(m, "ssm.time_step_rank"));
    set(m, "mamba_d_head", ssm_head_dim(m));
    set(m, "mamba_d_state", num(m, "ssm.state_size"));
    set(m, "mamba_n_groups", num(m, "ssm.group_count"));
    set(m, "mamba_d_conv", num(m, "ssm.conv_kernel"));
    set(m, "mamba_expand", num(m, "ssm.inner_size") / num(m, "embedding_length"));
}

static void map_falcon_h1(struct map *m)
{
    mamba2_fields(m);
    set(m, "mamba_d_ssm", num(m, "ssm.inner_size"));
    set_bool(m, "mamba_rms_norm", has(m, 0, "ssm_norm.weight"));
}

static const char *mamba_or_attention(const struct map *m, int layer)
{
    return attends(m, layer) ? "attention" : "mamba";
}

static void map_granite_hybrid(struct map *m)
{
    double shared = width(m, "ffn_up_shexp.weight");

    mamba2_fields(m);
    set_layers(m, "layer_types", mamba_or_attention);
    set(m, "shared_intermediate_size", shared > 0 ? shared : width(m, "ffn_up.weight"));
    set(m, "intermediate_size", width(m, "ffn_up_exps.weight"));
}

static void map_nemotron_h(struct map *m)
{
    char *pattern = calloc((size_t)m->layers + 1, 1);

    for (int i = 0; pattern && i < m->layers; i++)
        pattern[i] = attends(m, i)                ? '*'
                     : has(m, i, "ssm_in.weight") ? 'M'
                     : has_experts(m, i)          ? 'E'
                                                  : '-';
    json_object_set_new(m->out, "hybrid_override_pattern", json_string(pattern));
    free(pattern);
    set(m, "mamba_num_heads", num(m, "ssm.time_step_rank"));
    set(m, "mamba_head_dim", ssm_head_dim(m));
    set(m, "ssm_state_size", num(m, "ssm.state_size"));
    set(m, "n_groups", num(m, "ssm.group_count"));
    set(m, "conv_kernel", num(m, "ssm.conv_kernel"));
    set(m, "moe_latent_size", num(m, "moe_latent_size"));
    set(m, "moe_shared_expert_intermediate_size", width(m, "ffn_up_shexp.weight"));
}

/* "every p-th layer from o on", as Jamba's config has it. */
static void set_period(struct map *m, const char *period, const char *offset,
                       bool (*is)(const struct map *, int))
{
    int a = first(m, is, 0), b = a < 0 ? -1 : first(m, is, a + 1);

    if (a < 0)
        return;
    json_object_set_new(m->out, offset, json_integer(a));
    json_object_set_new(m->out, period, json_integer(b < 0 ? m->layers : b - a));
}

static void map_jamba(struct map *m)
{
    set(m, "mamba_d_state", num(m, "ssm.state_size"));
    set(m, "mamba_d_conv", num(m, "ssm.conv_kernel"));
    set(m, "mamba_dt_rank", num(m, "ssm.time_step_rank"));
    set(m, "mamba_expand", num(m, "ssm.inner_size") / num(m, "embedding_length"));
    set_period(m, "attn_layer_period", "attn_layer_offset", attends);
    set_period(m, "expert_layer_period", "expert_layer_offset", has_experts);
    if (first(m, has_experts, 0) < 0)
        json_object_set_new(m->out, "num_experts", json_integer(1));
}

static const char *conv_or_attention(const struct map *m, int layer)
{
    return attends(m, layer) ? "full_attention" : "conv";
}

static void map_lfm2(struct map *m)
{
    set_layers(m, "layer_types", conv_or_attention);
    set(m, "conv_L_cache", num(m, "shortconv.l_cache"));
    set(m, "num_dense_layers", num(m, "leading_dense_block_count"));
    set_bool(m, "block_auto_adjust_ff_dim", false); /* feed_forward_length is final */
}

static const char *linear_or_attention(const struct map *m, int layer)
{
    return attends_fully(m, layer) ? "full_attention" : "linear_attention";
}

static void map_gdn(struct map *m)
{
    set_layers(m, "layer_types", linear_or_attention);
    set(m, "linear_num_key_heads", num(m, "ssm.group_count"));
    set(m, "linear_key_head_dim", num(m, "ssm.state_size"));
    set(m, "linear_num_value_heads", num(m, "ssm.time_step_rank"));
    set(m, "linear_value_head_dim", ssm_head_dim(m));
    set(m, "linear_conv_kernel_dim", num(m, "ssm.conv_kernel"));
    set(m, "shared_expert_intermediate_size", width(m, "ffn_up_shexp.weight"));
    json_object_del(m->out, "num_nextn_predict_layers");
}

static void map_kimi_linear(struct map *m)
{
    json_t *linear = json_object(), *full = json_array();

    map_mla(m);
    for (int i = 0; i < m->layers; i++)
        if (attends_fully(m, i) && has(m, i, "attn_kv_a_mqa.weight"))
            json_array_append_new(full, json_integer(i + 1)); /* counted from 1 */
    json_object_set_new(linear, "full_attn_layers", full);
    json_object_set_new(linear, "head_dim", json_copy(key(m, "kda.head_dim")));
    json_object_set_new(linear, "num_heads", json_real(num(m, "attention.head_count")));
    json_object_set_new(linear, "short_conv_kernel_size",
                        json_copy(key(m, "ssm.conv_kernel")));
    json_object_set_new(m->out, "linear_attn_config", linear);
}

static void map_rwkv6(struct map *m)
{
    set(m, "head_size", num(m, "wkv.head_size"));
    set(m, "proj_low_rank_dim", num(m, "time_mix_extra_dim"));
    set(m, "gate_low_rank_dim", num(m, "time_decay_extra_dim"));
    set(m, "num_attention_heads", num(m, "embedding_length") / num(m, "wkv.head_size"));
}

static void map_rwkv7(struct map *m)
{
    set(m, "head_dim", num(m, "wkv.head_size"));
    set(m, "decay_low_rank_dim", num(m, "attention.decay_lora_rank"));
    set(m, "a_low_rank_dim", num(m, "attention.iclr_lora_rank"));
    set(m, "v_low_rank_dim", num(m, "attention.value_residual_mix_lora_rank"));
    set(m, "gate_low_rank_dim", num(m, "attention.gate_lora_rank"));
}

static void map_gpt2(struct map *m)
{
    set(m, "n_embd", num(m, "embedding_length"));
    set(m, "n_layer", m->layers);
    set(m, "n_head", num(m, "attention.head_count"));
    set(m, "n_positions", num(m, "context_length"));
    set(m, "n_inner", num(m, "feed_forward_length"));
}

static const struct {
    const char *arch, *model_type;
    void (*map)(struct map *m);
} known[] = {
    {"llama", "llama", map_llama},
    {"llama4", "llama4", map_llama4},
    {"qwen2", "qwen2", NULL},
    {"qwen3", "qwen3", NULL},
    {"qwen3moe", "qwen3_moe", NULL},
    {"qwen3next", "qwen3_next", map_gdn},
    {"qwen35", "qwen3_5", map_gdn},
    {"qwen35moe", "qwen3_5_moe", map_gdn},
    {"phi3", "phi3", NULL},
    {"gemma2", "gemma2", NULL},
    {"gemma3", "gemma3_text", NULL},
    {"olmo2", "olmo2", NULL},
    {"smollm3", "smollm3", NULL},
    {"dream", "Dream", NULL},
    {"llada", "llada", NULL},
    {"gpt2", "gpt2", map_gpt2},
    {"gpt-oss", "gpt_oss", map_gpt_oss},
    {"glm4moe", "glm4_moe", map_glm4},
    {"deepseek2", "deepseek_v3", map_deepseek},
    {"mamba", "mamba", map_mamba},
    {"mamba2", "mamba2", map_mamba2},
    {"falcon-h1", "falcon_h1", map_falcon_h1},
    {"granitehybrid", "granitemoehybrid", map_granite_hybrid},
    {"nemotron_h", "nemotron_h", map_nemotron_h},
    {"nemotron_h_moe", "nemotron_h", map_nemotron_h},
    {"jamba", "jamba", map_jamba},
    {"lfm2", "lfm2", map_lfm2},
    {"lfm2moe", "lfm2_moe", map_lfm2},
    {"kimi-linear", "kimi_linear", map_kimi_linear},
    {"rwkv6", "rwkv6", map_rwkv6},
    {"rwkv7", "rwkv7", map_rwkv7},
};

/* Fields that mean the same in every family. */
static void common(struct map *m)
{
    static const struct {
        const char *key, *field;
    } same[] = {
        {"embedding_length", "hidden_size"},
        {"feed_forward_length", "intermediate_size"},
        {"attention.head_count", "num_attention_heads"},
        {"attention.head_count_kv", "num_key_value_heads"},
        {"attention.key_length", "head_dim"},
        {"attention.sliding_window", "sliding_window"},
        {"context_length", "max_position_embeddings"},
        {"expert_count", "num_experts"},
        {"expert_count", "num_local_experts"},
        {"expert_count", "n_routed_experts"},
        {"expert_used_count", "num_experts_per_tok"},
        {"expert_used_count", "num_experts_per_token"},
        {"expert_feed_forward_length", "moe_intermediate_size"},
        {"expert_shared_count", "n_shared_experts"},
        {"expert_shared_count", "num_shared_experts"},
        {"leading_dense_block_count", "first_k_dense_replace"},
        {"full_attention_interval", "full_attention_interval"},
    };

    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        set(m, same[i].field, num(m, same[i].key));
    set(m, "num_hidden_layers", m->layers);
    set_bool(m, "tie_word_embeddings", !rl_gguf_find(m->g, "output.weight"));
}

/* Rows of the embedding table, which may be padded beyond the vocabulary. */
static double vocab(const struct map *m)
{
    const struct rl_gguf_tensor *t = rl_gguf_find(m->g, "token_embd.weight");
    const json_t *tokens = json_object_get(m->g->keys, "tokenizer.ggml.tokens");

    if (t)
        return (double)t->dim[1];
    if (num(m, "vocab_size") > 0)
        return num(m, "vocab_size");
    return json_is_array(tokens) ? (double)json_array_size(tokens)
                                 : json_number_value(tokens);
}

static int unknown(const struct map *m, struct rl_error *err)
{
    char list[640] = "";
    size_t n = 0;

    for (size_t i = 0; i < sizeof known / sizeof *known && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? " " : "",
                              known[i].arch);
    return rl_fail(err, RL_ENAME, m->g->source, 0,
                   "unknown 'general.architecture' '%.60s'; known are: %s", m->arch,
                   list);
}

static int layers_of(struct map *m, struct rl_error *err)
{
    double blocks = num(m, "block_count") - num(m, "nextn_predict_layers");

    if (!(blocks >= 1 && blocks <= 8192))
        return rl_fail(err, RL_EVALUE, m->g->source, 0,
                       "'%s.block_count': expected 1 to 8192 layers, got %g", m->arch,
                       blocks);
    m->layers = (int)blocks;
    return 0;
}

json_t *rl_gguf_config(const struct rl_gguf *g, struct rl_error *err)
{
    struct map m = {.g = g};
    size_t i = 0, n = sizeof known / sizeof *known;

    m.arch = json_string_value(json_object_get(g->keys, "general.architecture"));
    if (!m.arch) {
        rl_fail(err, RL_EFORMAT, g->source, 0, "expected a key 'general.architecture'");
        return NULL;
    }
    while (i < n && strcmp(known[i].arch, m.arch) != 0)
        i++;
    if (i == n) {
        unknown(&m, err);
        return NULL;
    }
    if (layers_of(&m, err) < 0)
        return NULL;
    m.out = json_object();
    set_type(&m, known[i].model_type);
    common(&m);
    set(&m, "vocab_size", vocab(&m));
    if (known[i].map)
        known[i].map(&m);
    return m.out;
}
