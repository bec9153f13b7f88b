/* A GGUF header as a config.json.
 *
 * Key names are those of llama.cpp's src/llama-arch.cpp; field names those of the
 * Hugging Face class the file was converted from, because families read these.
 * Where the header is vague (which layer attends, how wide an expert is, whether
 * the query has a bias) the tensors are asked: they are what runs.
 */
#include "ggufmap.h"

#include "err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* reading */

json_t *rl_map_key(const struct rl_map *m, const char *name)
{
    char full[160];

    snprintf(full, sizeof full, "%s.%s", m->arch, name);
    return json_object_get(m->g->keys, full);
}

/* A number; of a list per layer the largest; 0 when absent. */
double rl_map_num(const struct rl_map *m, const char *name)
{
    const json_t *v = rl_map_key(m, name);
    double most = 0;
    size_t i;
    json_t *e;

    if (!json_is_array(v))
        return v ? json_number_value(v) : 0;
    json_array_foreach(v, i, e) most = fmax(most, json_number_value(e));
    return most;
}

const struct rl_gguf_tensor *rl_map_tensor(const struct rl_map *m, int layer,
                                           const char *name)
{
    char full[64];

    snprintf(full, sizeof full, "blk.%d.%s", layer, name);
    return rl_gguf_find(m->g, full);
}

bool rl_map_has(const struct rl_map *m, int layer, const char *name)
{
    return rl_map_tensor(m, layer, name) != NULL;
}

bool rl_map_attends(const struct rl_map *m, int layer)
{
    return rl_map_has(m, layer, "attn_q.weight") ||
           rl_map_has(m, layer, "attn_qkv.weight") ||
           rl_map_has(m, layer, "attn_q_a.weight");
}

bool rl_map_attends_fully(const struct rl_map *m, int layer)
{
    return rl_map_has(m, layer, "attn_k.weight") ||
           rl_map_has(m, layer, "attn_kv_a_mqa.weight");
}

bool rl_map_has_experts(const struct rl_map *m, int layer)
{
    return rl_map_has(m, layer, "ffn_up_exps.weight") ||
           rl_map_has(m, layer, "ffn_gate_up_exps.weight");
}

/* First layer where `is` holds; -1: none. */
int rl_map_first(const struct rl_map *m, bool (*is)(const struct rl_map *, int), int from)
{
    for (int i = from; i < m->layers; i++)
        if (is(m, i))
            return i;
    return -1;
}

/* Output width of a tensor in the first layer that has it; 0: in none. */
double rl_map_width(const struct rl_map *m, const char *name)
{
    for (int i = 0; i < m->layers; i++) {
        const struct rl_gguf_tensor *t = rl_map_tensor(m, i, name);

        if (t)
            return (double)t->dim[1];
    }
    return 0;
}

/* writing */

void rl_map_set(struct rl_map *m, const char *field, double v)
{
    bool whole = floor(v) == v && v < 0x1p53;

    if (v > 0)
        json_object_set_new(m->out, field,
                            whole ? json_integer((json_int_t)v) : json_real(v));
}

void rl_map_set_bool(struct rl_map *m, const char *field, bool v)
{
    json_object_set_new(m->out, field, json_boolean(v));
}

void rl_map_set_type(struct rl_map *m, const char *model_type)
{
    json_object_set_new(m->out, "model_type", json_string(model_type));
}

/* One word per layer. */
void rl_map_set_layers(struct rl_map *m, const char *field,
                       const char *(*word)(const struct rl_map *, int))
{
    json_t *list = json_array();

    for (int i = 0; i < m->layers; i++)
        json_array_append_new(list, json_string(word(m, i)));
    json_object_set_new(m->out, field, list);
}

static const struct {
    const char *arch, *model_type;
    void (*map)(struct rl_map *m);
} known[] = {
    {"llama", "llama", rl_map_llama},
    {"llama4", "llama4", rl_map_llama4},
    {"qwen2", "qwen2", NULL},
    {"qwen3", "qwen3", NULL},
    {"qwen3moe", "qwen3_moe", NULL},
    {"qwen3next", "qwen3_next", rl_map_gdn},
    {"qwen35", "qwen3_5", rl_map_gdn},
    {"qwen35moe", "qwen3_5_moe", rl_map_gdn},
    {"qwen2vl", "qwen2_vl", NULL},
    {"qwen2moe", "qwen2_moe", rl_map_by_tensors},
    {"olmo", "olmo", rl_map_by_tensors},
    {"olmoe", "olmoe", rl_map_by_tensors},
    {"granite", "granite", rl_map_by_tensors},
    {"stablelm", "stablelm", rl_map_by_tensors},
    {"starcoder2", "starcoder2", rl_map_by_tensors},
    {"command-r", "cohere", rl_map_by_tensors},
    {"cohere2", "cohere2", rl_map_by_tensors},
    {"chatglm", "glm", rl_map_by_tensors},
    {"ernie4_5", "ernie4_5", NULL},
    {"exaone4", "exaone4", rl_map_exaone4},
    {"glm4", "glm4", rl_map_by_tensors},
    {"gptneox", "gpt_neox", NULL},
    {"granitemoe", "granitemoe", NULL},
    {"hunyuan-dense", "hunyuan_v1_dense", NULL},
    {"internlm2", "internlm2", NULL},
    {"minimax-m2", "minimax_m2", rl_map_minimax_m2},
    {"nemotron", "nemotron", NULL},
    {"qwen3vl", "qwen3_vl_text", NULL},
    {"qwen3vlmoe", "qwen3_vl_moe_text", NULL},
    {"seed_oss", "seed_oss", NULL},
    {"phi2", "phi", NULL},
    {"bloom", "bloom", rl_map_bloom},
    {"falcon", "falcon", rl_map_falcon},
    {"minicpm", "minicpm", NULL},
    {"plamo2", "plamo2", rl_map_plamo2},
    {"gemma", "gemma", NULL},
    {"phi3", "phi3", NULL},
    {"gemma2", "gemma2", NULL},
    {"gemma3", "gemma3_text", NULL},
    {"olmo2", "olmo2", rl_map_olmo2},
    {"smollm3", "smollm3", NULL},
    {"dream", "Dream", NULL},
    {"llada", "llada", NULL},
    {"gpt2", "gpt2", rl_map_gpt2},
    {"gpt-oss", "gpt_oss", rl_map_gpt_oss},
    {"glm4moe", "glm4_moe", rl_map_glm4},
    {"deepseek2", "deepseek_v3", rl_map_deepseek},
    {"mamba", "mamba", rl_map_mamba},
    {"mamba2", "mamba2", rl_map_mamba2},
    {"falcon-h1", "falcon_h1", rl_map_falcon_h1},
    {"granitehybrid", "granitemoehybrid", rl_map_granite_hybrid},
    {"nemotron_h", "nemotron_h", rl_map_nemotron_h},
    {"nemotron_h_moe", "nemotron_h", rl_map_nemotron_h},
    {"jamba", "jamba", rl_map_jamba},
    {"lfm2", "lfm2", rl_map_lfm2},
    {"lfm2moe", "lfm2_moe", rl_map_lfm2},
    {"kimi-linear", "kimi_linear", rl_map_kimi_linear},
    {"rwkv6", "rwkv6", rl_map_rwkv6},
    {"rwkv7", "rwkv7", rl_map_rwkv7},
};

/* Fields that mean the same in every family. */
static void common(struct rl_map *m)
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

    if (rl_map_num(m, "attention.head_count") > 0) /* llama.cpp's default */
        rl_map_set(m, "head_dim",
                   rl_map_num(m, "embedding_length") /
                       rl_map_num(m, "attention.head_count"));
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        rl_map_set(m, same[i].field, rl_map_num(m, same[i].key));
    rl_map_set(m, "num_hidden_layers", m->layers);
    rl_map_set_bool(m, "tie_word_embeddings", !rl_gguf_find(m->g, "output.weight"));
}

/* Rows of the embedding table, which may be padded beyond the vocabulary. */
static double vocab(const struct rl_map *m)
{
    const struct rl_gguf_tensor *t = rl_gguf_find(m->g, "token_embd.weight");
    const json_t *tokens = json_object_get(m->g->keys, "tokenizer.ggml.tokens");

    if (t)
        return (double)t->dim[1];
    if (rl_map_num(m, "vocab_size") > 0)
        return rl_map_num(m, "vocab_size");
    return json_is_array(tokens) ? (double)json_array_size(tokens)
                                 : json_number_value(tokens);
}

static int unknown(const struct rl_map *m, struct rl_error *err)
{
    char list[900] = "";
    size_t n = 0;

    for (size_t i = 0; i < sizeof known / sizeof *known && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? " " : "",
                              known[i].arch);
    return rl_fail(err, RL_ENAME, m->g->source, 0,
                   "unknown 'general.architecture' '%.60s'; known are: %s", m->arch,
                   list);
}

static int layers_of(struct rl_map *m, struct rl_error *err)
{
    double blocks = rl_map_num(m, "block_count") - rl_map_num(m, "nextn_predict_layers");

    if (!(blocks >= 1 && blocks <= 8192))
        return rl_fail(err, RL_EVALUE, m->g->source, 0,
                       "'%s.block_count': expected 1 to 8192 layers, got %g", m->arch,
                       blocks);
    m->layers = (int)blocks;
    return 0;
}

json_t *rl_gguf_config(const struct rl_gguf *g, struct rl_error *err)
{
    struct rl_map m = {.g = g};
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
    rl_map_set_type(&m, known[i].model_type);
    common(&m);
    rl_map_set(&m, "vocab_size", vocab(&m));
    if (known[i].map)
        known[i].map(&m);
    return m.out;
}
