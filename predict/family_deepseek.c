/* DeepSeek-V2, V3, V3.2 and Kimi K2: multi-head latent attention, a few dense
 * layers, then many small experts beside shared ones.  Read in transformers
 * models/{deepseek_v2,deepseek_v3} and DeepSeek's inference/model.py (V3.2).
 * GLM-4.5 (glm4_moe) has the same feed-forward over grouped-query attention.
 *
 * The multi-token-prediction layer is in the file, with its own copies of
 * embedding and head; no runtime of the CONTRACT keeps it.
 */
#include "build.h"

#include <string.h>

struct shape {
    bool glm, bias; /* bias: router correction */
    struct rl_mla mla;
    struct rl_attn attn;
    struct rl_moe moe;
    double hidden, vocab, layers, dense, inter;
};

static void read_mla(struct rl_build *b, struct rl_mla *m)
{
    m->heads = rl_b_num(b, "num_attention_heads");
    m->q_rank = rl_b_num_or(b, "q_lora_rank", 0);
    m->kv_rank = rl_b_num(b, "kv_lora_rank");
    m->nope = rl_b_num(b, "qk_nope_head_dim");
    m->rope = rl_b_num(b, "qk_rope_head_dim");
    m->v_dim = rl_b_num(b, "v_head_dim");
    m->index_heads = rl_b_num_or(b, "index_n_heads", 0);
    m->index_dim = rl_b_num_or(b, "index_head_dim", 128);
    m->index_topk = rl_b_num_or(b, "index_topk", 2048);
    if (m->index_heads > 0 && m->q_rank <= 0)
        rl_b_bad(b, "q_lora_rank", "a rank, which the indexer reads");
}

static void read_gqa(struct rl_build *b, struct rl_attn *a)
{
    a->heads = rl_b_num(b, "num_attention_heads");
    a->kv_heads = rl_b_num_or(b, "num_key_value_heads", a->heads);
    a->head_dim = rl_b_num_or(b, "head_dim", b->hidden / a->heads);
    a->qkv_bias = rl_b_bool_or(b, "attention_bias", false);
    a->rope_dim = a->head_dim * rl_b_real_or(b, "partial_rotary_factor", 0.5);
    if (rl_b_bool_or(b, "use_qk_norm", false))
        a->qk_norm = RL_QK_HEAD;
}

static void read_moe(struct rl_build *b, struct shape *s)
{
    double shared = rl_b_num_or(b, "n_shared_experts", 0);
    const char *method = rl_b_str_or(b, "topk_method", "");

    s->moe.experts = rl_b_num_or(b, "n_routed_experts", 0);
    s->dense = s->layers;
    if (s->moe.experts <= 0)
        return;
    s->dense = rl_b_num_or(b, "first_k_dense_replace", 0);
    s->moe.topk = rl_b_num(b, "num_experts_per_tok");
    s->moe.inter = rl_b_num(b, "moe_intermediate_size");
    s->moe.shared_inter = shared * s->moe.inter;
    /* V2 routes by softmax without the correction bias */
    if (strcmp(b->c->model_type, "deepseek_v2") != 0 || strcmp(method, "noaux_tc") == 0)
        s->moe.router_bias = s->moe.experts;
    if (s->dense > s->layers)
        rl_b_bad(b, "first_k_dense_replace", "at most the number of layers");
}

static void mixer(struct rl_build *b, const struct shape *s)
{
    rl_b_norm(b, "input_norm", b->hidden, RL_RMS);
    if (s->glm)
        rl_b_attention(b, &s->attn);
    else
        rl_b_mla(b, &s->mla);
    rl_b_residual(b);
    rl_b_norm(b, "post_norm", b->hidden, RL_RMS);
}

/* A whole block and the projection of [embedding | hidden], three norms. */
static void predictor(struct rl_build *b, const struct shape *s)
{
    double n = rl_b_num_or(b, "num_nextn_predict_layers", 0);
    struct rl_mark mark;

    if (n <= 0)
        return;
    rl_b_layers(b, n);
    rl_b_mark(b, &mark);
    mixer(b, s);
    rl_b_moe(b, &s->moe);
    rl_b_linear(b, "eh_proj", 2 * s->hidden, s->hidden, 0);
    rl_b_params(b, RL_W_SMALL, 3 * s->hidden, false);
    rl_b_file_only(b, &mark, "MTP layer");
    rl_b_store_only(b, "MTP copies of embedding and head", n * 2 * s->vocab * s->hidden);
    rl_b_layers(b, 1);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct shape s = {.glm = strcmp(c->model_type, "glm4_moe") == 0};
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    s.hidden = rl_b_num(&b, "hidden_size");
    s.vocab = rl_b_num(&b, "vocab_size");
    s.layers = rl_b_num(&b, "num_hidden_layers");
    s.inter = rl_b_num(&b, "intermediate_size");
    if (s.glm)
        read_gqa(&b, &s.attn);
    else
        read_mla(&b, &s.mla);
    read_moe(&b, &s);
    rl_b_embed(&b, s.vocab, s.hidden);
    rl_b_layers(&b, s.layers);
    mixer(&b, &s);
    rl_b_layers(&b, s.dense);
    rl_b_mlp(&b, s.inter, RL_MLP_GATED);
    rl_b_layers(&b, s.layers - s.dense);
    rl_b_moe(&b, &s.moe);
    rl_b_layers(&b, s.layers);
    rl_b_residual(&b);
    rl_b_layers(&b, 1);
    rl_b_norm(&b, "final_norm", s.hidden, RL_RMS);
    rl_b_head(&b, s.hidden, s.vocab, rl_b_bool_or(&b, "tie_word_embeddings", false),
              false);
    predictor(&b, &s);
    return rl_b_close(&b);
}

static const char *const types[] = {"deepseek_v2", "deepseek_v3", "deepseek_v32",
                                    "kimi_k2",     "glm4_moe",    NULL};

const struct rl_family rl_family_deepseek = {
    .model_types = types,
    .ref = "transformers models/deepseek_v2, deepseek_v3, glm4_moe; arXiv 2405.04434, "
           "2412.19437; DeepSeek-V3.2-Exp inference/model.py",
    .build = build,
};
