/* Llama and its near relatives: pre-norm, RoPE, grouped-query attention, a
 * gated MLP or a mixture of such.  Read in Hugging Face transformers
 * models/{llama,mistral,phi3,qwen2,qwen2_moe,qwen3,qwen3_moe,mixtral,...}.
 *
 * What differs is a row of the table, not code: biases, norms of q and k,
 * experts, what an absent field means.
 * Ignored: multipliers and soft caps (no work to speak of).
 */
#include "build.h"
#include "vision.h"

#include <math.h>
#include <string.h>

enum moe_style {
    NO_EXPERTS,
    MIXTRAL,  /* num_local_experts of width intermediate_size on every layer */
    QWEN_MOE, /* num_experts of moe_intermediate_size, some layers dense */
    ERNIE,    /* moe_* fields; dense before moe_layer_start_index and between */
    HUNYUAN   /* per-layer lists of equal entries */
};

struct kin {
    const char *type;
    enum rl_qk_norm qk_norm;
    bool qkv_bias; /* always, whatever attention_bias says */
    bool tied;     /* tie_word_embeddings when absent */
    bool windowed; /* sliding_window on every layer */
    bool diffusion;
    double head_dim; /* when absent; 0: hidden / heads */
    double kv_heads; /* when absent; 0: heads */
    enum moe_style moe;
    bool no_o_bias;  /* attention_bias means q, k and v */
    bool four_norms; /* after attention and MLP too (GLM-4) */
    double rotary;   /* partial_rotary_factor when absent; 0: 1 */
    bool xielu;      /* the activation of one matrix, no gate */
    bool layer_norm; /* with bias in place of RMSNorm, and a bias of the head */
};

static const struct kin kin[] = {
    {.type = "llama"},
    {.type = "mistral", .windowed = true, .kv_heads = 8},
    {.type = "smollm3", .tied = true, .kv_heads = 4},
    {.type = "phi3", .windowed = true},
    {.type = "llada", .diffusion = true},
    {.type = "granite"},
    {.type = "helium", .head_dim = 128},
    {.type = "internlm2"},
    {.type = "baichuan"},
    {.type = "ernie4_5", .tied = true},
    {.type = "ernie4_5_moe", .tied = true, .moe = ERNIE},
    {.type = "phimoe", .windowed = true, .layer_norm = true, .moe = MIXTRAL},
    {.type = "apertus", .qk_norm = RL_QK_HEAD, .xielu = true},
    {.type = "seed_oss", .qkv_bias = true, .head_dim = 128},
    {.type = "glm", .head_dim = 128, .no_o_bias = true, .rotary = 0.5},
    {.type = "glm4",
     .head_dim = 128,
     .no_o_bias = true,
     .four_norms = true,
     .rotary = 0.5},
    {.type = "granitemoe", .moe = MIXTRAL},
    {.type = "hunyuan_v1_dense", .qk_norm = RL_QK_HEAD, .head_dim = 128},
    {.type = "hunyuan_v1_moe", .qk_norm = RL_QK_HEAD, .head_dim = 128, .moe = HUNYUAN},
    {.type = "minimax_m2", .qk_norm = RL_QK_FULL, .head_dim = 128, .moe = MIXTRAL},
    {.type = "minicpm", .tied = true},
    {.type = "qwen2", .qkv_bias = true},
    {.type = "Dream", .qkv_bias = true, .diffusion = true},
    {.type = "qwen2_vl", .qkv_bias = true},
    {.type = "qwen2_5_vl", .qkv_bias = true},
    {.type = "qwen2_5_vl_text", .qkv_bias = true},
    {.type = "qwen2_moe", .qkv_bias = true, .moe = QWEN_MOE},
    {.type = "qwen3", .qk_norm = RL_QK_HEAD, .head_dim = 128},
    {.type = "qwen3_moe", .qk_norm = RL_QK_HEAD, .head_dim = 128, .moe = QWEN_MOE},
    {.type = "qwen3_vl", .qk_norm = RL_QK_HEAD, .head_dim = 128},
    {.type = "qwen3_vl_text", .qk_norm = RL_QK_HEAD, .head_dim = 128},
    {.type = "qwen3_vl_moe", .qk_norm = RL_QK_HEAD, .head_dim = 128, .moe = QWEN_MOE},
    {.type = "qwen3_vl_moe_text",
     .qk_norm = RL_QK_HEAD,
     .head_dim = 128,
     .moe = QWEN_MOE},
    {.type = "olmoe", .qk_norm = RL_QK_FULL, .moe = MIXTRAL},
    {.type = "mixtral", .windowed = true, .kv_heads = 8, .moe = MIXTRAL},
};

static const char *const types[] = {"llama",
                                    "mistral",
                                    "smollm3",
                                    "phi3",
                                    "llada",
                                    "granite",
                                    "helium",
                                    "minicpm",
                                    "internlm2",
                                    "baichuan",
                                    "ernie4_5",
                                    "ernie4_5_moe",
                                    "phimoe",
                                    "apertus",
                                    "seed_oss",
                                    "glm",
                                    "glm4",
                                    "granitemoe",
                                    "hunyuan_v1_dense",
                                    "hunyuan_v1_moe",
                                    "minimax_m2",
                                    "qwen2",
                                    "Dream",
                                    "qwen2_vl",
                                    "qwen2_5_vl",
                                    "qwen2_5_vl_text",
                                    "qwen2_moe",
                                    "qwen3",
                                    "qwen3_moe",
                                    "qwen3_vl",
                                    "qwen3_vl_text",
                                    "qwen3_vl_moe",
                                    "qwen3_vl_moe_text",
                                    "olmoe",
                                    "mixtral",
                                    NULL};

static const struct kin *kin_of(const struct rl_cfg *c)
{
    for (size_t i = 0; i < sizeof kin / sizeof *kin; i++)
        if (strcmp(c->model_type, kin[i].type) == 0 ||
            (c->text_type && strcmp(c->text_type, kin[i].type) == 0))
            return &kin[i];
    return &kin[0];
}

/* Layers that see a window only. */
static double windowed_layers(struct rl_build *b, const struct kin *k, double layers)
{
    double n = rl_b_count_str(b, "layer_types", "sliding_attention", layers);

    if (n >= 0 || !rl_b_has(b, "sliding_window"))
        return n > 0 ? n : 0;
    if (k->windowed)
        return layers;
    if (!rl_b_bool_or(b, "use_sliding_window", false)) {
        b->g->mask_from = rl_b_num_or(b, "sliding_window", 0);
        return 0;
    }
    double first = rl_b_num_or(b, "max_window_layers", 0);
    return first < layers ? layers - first : 0;
}

/* SmolLM3 leaves RoPE out on every no_rope_layer_interval-th layer. */
static double unrotated_layers(struct rl_build *b, double layers)
{
    double n = rl_b_count_num(b, "no_rope_layers", 0, layers);
    double every = rl_b_num_or(b, "no_rope_layer_interval", 0);

    if (n >= 0)
        return n;
    return every > 0 ? (layers - (double)((long)layers % (long)every)) / every : 0;
}

static enum rl_norm_kind norm_of(const struct kin *k)
{
    return k->layer_norm ? RL_LN : RL_RMS;
}

/* LLaDA's own code has other names: n_heads, d_model … */
static void read_attention(struct rl_build *b, const struct kin *k, struct rl_attn *a)
{
    const char *kv = rl_b_has(b, "n_kv_heads") ? "n_kv_heads" : "num_key_value_heads";
    bool bias = rl_b_bool_or(b, rl_b_has(b, "bias") ? "bias" : "attention_bias", false);

    a->heads = rl_b_num2(b, "num_attention_heads", "n_heads");
    a->kv_heads = rl_b_num_or(b, kv, k->kv_heads > 0 ? k->kv_heads : a->heads);
    a->head_dim =
        rl_b_num_or(b, "head_dim", k->head_dim > 0 ? k->head_dim : b->hidden / a->heads);
    a->rope_dim = a->head_dim *
                  rl_b_real_or(b, "partial_rotary_factor", k->rotary > 0 ? k->rotary : 1);
    if (rl_b_has(b, "rotary_dim")) /* MiniMax-M2 */
        a->rope_dim = rl_b_num(b, "rotary_dim");
    a->qk_norm = k->qk_norm;
    a->qkv_bias = k->qkv_bias || bias;
    a->o_bias = bias && !k->qkv_bias && !k->no_o_bias;
    a->bidirectional = k->diffusion;
}

/* Attention on `layers` layers of which the first groups differ. */
static void attention(struct rl_build *b, const struct kin *k, double layers)
{
    struct rl_attn a = {0};
    double windowed = windowed_layers(b, k, layers), bare = unrotated_layers(b, layers);

    read_attention(b, k, &a);
    rl_b_layers(b, layers);
    rl_b_norm(b, "input_norm", b->hidden, norm_of(k));
    if (windowed > 0) {
        a.window = rl_b_num_or(b, "sliding_window", 4096);
        rl_b_attention_mixed(b, a, layers, windowed);
    } else {
        rl_b_layers(b, layers - bare);
        rl_b_attention(b, &a);
        a.rope_dim = -1;
        rl_b_layers(b, bare);
        rl_b_attention(b, &a);
    }
    rl_b_layers(b, layers);
    if (k->four_norms)
        rl_b_norm(b, "post_attn_norm", b->hidden, RL_RMS);
    rl_b_residual(b);
    rl_b_norm(b, "post_norm", b->hidden, norm_of(k));
}

/* Layers with experts: not in mlp_only_layers, every decoder_sparse_step-th. */
static double sparse_layers(struct rl_build *b, double layers)
{
    double step = rl_b_num_or(b, "decoder_sparse_step", 1), n = 0, only = 0, x = -1;

    for (double i = 0; i < layers; i++) {
        bool sparse = (long)(i + 1) % (long)step == 0;
        only = rl_b_list(b, "mlp_only_layers");
        for (size_t j = 0; j < (size_t)(only > 0 ? only : 0) && b->rc == 0; j++) {
            b->rc = rl_cfg_num_at(b->c, "mlp_only_layers", j, &x, b->err);
            sparse = sparse && x != i;
        }
        n += sparse;
    }
    return n;
}

static double ernie_layers(struct rl_build *b, double layers)
{
    double from = rl_b_num_or(b, "moe_layer_start_index", 0), n = 0;
    double last = rl_b_auto(b, "moe_layer_end_index", layers - 1);
    double every = rl_b_num_or(b, "moe_layer_interval", 1);

    for (double i = from; i < layers && i <= last && every > 0; i++)
        n += fmod(i + 1, every) == 0;
    return n;
}

/* A number, or a list of one per layer, all alike. */
static double of_layers(struct rl_build *b, const char *key, double layers)
{
    double x = 1;

    if (b->rc || !json_is_array(json_object_get(b->c->root, key)))
        return rl_b_num(b, key);
    b->rc = rl_cfg_num_at(b->c, key, 0, &x, b->err);
    if (rl_b_count_num(b, key, x, layers) < layers)
        rl_b_bad(b, key, "one number for all layers");
    return x;
}

/* The experts, and how many of the layers have them. */
static double read_moe(struct rl_build *b, const struct kin *k, double layers,
                       struct rl_moe *m)
{
    switch (k->moe) {
    case MIXTRAL:
        m->experts = rl_b_num2(b, "num_local_experts", "num_experts");
        m->topk = rl_b_num(b, "num_experts_per_tok");
        m->inter = rl_b_num(b, "intermediate_size");
        m->router_bias = rl_b_bool_or(b, "use_routing_bias", false) ? m->experts : 0;
        return layers;
    case QWEN_MOE:
        m->experts = rl_b_num(b, "num_experts");
        m->topk = rl_b_num(b, "num_experts_per_tok");
        m->inter = rl_b_num(b, "moe_intermediate_size");
        m->shared_inter = rl_b_num_or(b, "shared_expert_intermediate_size", 0);
        m->shared_gate = m->shared_inter > 0;
        return sparse_layers(b, layers);
    case ERNIE:
        m->experts = m->router_bias = rl_b_num(b, "moe_num_experts");
        m->topk = rl_b_num(b, "moe_k");
        m->inter = rl_b_num(b, "moe_intermediate_size");
        m->shared_inter = m->inter * rl_b_num_or(b, "moe_num_shared_experts", 0);
        return ernie_layers(b, layers);
    case HUNYUAN:
        m->experts = rl_b_num(b, "num_experts");
        m->topk = of_layers(b, "moe_topk", layers);
        m->inter = of_layers(b, "moe_intermediate_size", layers);
        m->shared_inter = m->inter * of_layers(b, "num_shared_expert", layers);
        return layers - rl_b_num_or(b, "moe_layer_num_skipped", 0);
    case NO_EXPERTS:
        break;
    }
    return 0;
}

static void feed_forward(struct rl_build *b, const struct kin *k, double layers)
{
    double inter = rl_b_num2(b, "intermediate_size", "mlp_hidden_size");
    unsigned flags = rl_b_bool_or(b, "mlp_bias", false) ? RL_MLP_BIAS : 0;
    struct rl_moe m = {0};
    double sparse = read_moe(b, k, layers, &m);

    if (sparse > 0) {
        rl_b_layers(b, sparse);
        rl_b_moe(b, &m);
    }
    rl_b_layers(b, layers - sparse);
    rl_b_mlp(b, inter, flags | (k->xielu ? RL_MLP_XIELU : RL_MLP_GATED));
    rl_b_layers(b, layers);
    if (k->four_norms)
        rl_b_norm(b, "post_mlp_norm", b->hidden, RL_RMS);
    rl_b_residual(b);
}

static void vision(struct rl_build *b, const struct kin *k)
{
    if (strncmp(k->type, "qwen3_vl", 8) == 0)
        rl_b_vision_qwen3(b, true);
    else if (strncmp(k->type, "qwen2", 5) == 0)
        rl_b_vision_qwen(b);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    const struct kin *k = kin_of(c);
    struct rl_build b;

    g->diffusion = k->diffusion;
    rl_b_open(&b, c, g, err);
    double hidden = rl_b_num2(&b, "hidden_size", "d_model");
    double vocab =
        rl_b_num(&b, rl_b_has(&b, "embedding_size") ? "embedding_size" : "vocab_size");
    double layers = rl_b_num2(&b, "num_hidden_layers", "n_layers");
    const char *tie =
        rl_b_has(&b, "weight_tying") ? "weight_tying" : "tie_word_embeddings";
    rl_b_shape(&b, hidden, layers, g->max_positions);
    if (k->diffusion)
        rl_b_phase(&b, RL_PREFILL); /* every step is a whole pass */
    rl_b_embed(&b, vocab, hidden);
    attention(&b, k, layers);
    feed_forward(&b, k, layers);
    rl_b_layers(&b, 1);
    rl_b_norm(&b, "final_norm", hidden, norm_of(k));
    rl_b_head(&b, hidden, vocab, rl_b_bool_or(&b, tie, k->tied),
              rl_b_bool_or(&b, "lm_head_bias", k->layer_norm));
    if (strncmp(k->type, "granite", 7) == 0)
        g->logit_copies = 2; /* divided by logits_scaling out of place */
    vision(&b, k);
    return rl_b_close(&b);
}

const struct rl_family rl_family_llama = {
    .model_types = types,
    .ref =
        "transformers models/llama, mistral, mixtral, phi3, smollm3, qwen2(_moe, _vl), "
        "qwen3(_moe), olmoe, granite, helium, hunyuan_v1_dense, hunyuan_v1_moe, "
        "minimax_m2, ernie4_5_moe, phimoe, apertus",
    .build = build,
};
