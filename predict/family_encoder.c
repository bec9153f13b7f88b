/* BERT and ViT: encoders without decode.  Read in transformers
 * models/{bert,roberta,vit}.  Post-norm (BERT) and pre-norm (ViT) only differ
 * in order.  BERT's masked-LM head is left out (the checkpoint's base model
 * ends in the pooler); ViT's tokens are patches, the class token among them
 * ignored as work and counted as parameters.
 */
#include "build.h"

struct encoder {
    double heads, layers, inter;
};

static void read(struct rl_build *b, struct encoder *e)
{
    b->g->has_decode = false;
    rl_b_phase(b, RL_PREFILL);
    rl_b_shape(b, rl_b_num(b, "hidden_size"), rl_b_num(b, "num_hidden_layers"),
               b->g->max_positions);
    e->layers = b->g->layers;
    e->heads = rl_b_num(b, "num_attention_heads");
    e->inter = rl_b_num(b, "intermediate_size");
}

static void blocks(struct rl_build *b, const struct encoder *e)
{
    struct rl_attn a = {.heads = e->heads,
                        .kv_heads = e->heads,
                        .head_dim = b->hidden / e->heads,
                        .rope_dim = -1,
                        .qkv_bias = true,
                        .o_bias = true,
                        .bidirectional = true};

    rl_b_layers(b, e->layers);
    rl_b_norm(b, "attn_norm", b->hidden, RL_LN);
    rl_b_attention(b, &a);
    rl_b_residual(b);
    rl_b_norm(b, "mlp_norm", b->hidden, RL_LN);
    rl_b_mlp(b, e->inter, RL_MLP_BIAS);
    rl_b_residual(b);
    rl_b_layers(b, 1);
}

static int build_bert(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct encoder e;
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    read(&b, &e);
    double h = b.hidden;
    rl_b_embed(&b, rl_b_num(&b, "vocab_size"), h);
    rl_b_positions(&b, rl_b_num_or(&b, "max_position_embeddings", 512), h);
    rl_b_positions(&b, rl_b_num_or(&b, "type_vocab_size", 2), h);
    rl_b_norm(&b, "embed_norm", h, RL_LN);
    blocks(&b, &e);
    rl_b_linear_on(&b, "pooler", RL_B, 1, h, h, RL_BIAS);
    return rl_b_close(&b);
}

static const char *const bert_types[] = {"bert", "roberta", "xlm-roberta", NULL};
const struct rl_family rl_family_bert = {.model_types = bert_types,
                                         .ref = "transformers models/bert, roberta",
                                         .build = build_bert};

static int build_vit(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct encoder e;
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    read(&b, &e);
    double h = b.hidden, patch = rl_b_num_or(&b, "patch_size", 16);
    double side = rl_b_num_or(&b, "image_size", 224) / patch;
    /* as transformers counts them: id2label's entries, two where there is none */
    size_t named = json_object_size(json_object_get(c->root, "id2label"));
    double labels = rl_b_num_or(&b, "num_labels", named > 0 ? (double)named : 2);
    g->max_positions = side * side;
    rl_b_linear(&b, "patch_embed", rl_b_num_or(&b, "num_channels", 3) * patch * patch, h,
                RL_BIAS);
    rl_b_positions(&b, side * side + 2, h); /* a row each, and the class token twice */
    blocks(&b, &e);
    rl_b_norm(&b, "final_norm", h, RL_LN);
    rl_b_linear_on(&b, "classifier", RL_B, 1, h, labels, RL_BIAS);
    return rl_b_close(&b);
}

static const char *const vit_types[] = {"vit", NULL};
const struct rl_family rl_family_vit = {
    .model_types = vit_types, .ref = "transformers models/vit", .build = build_vit};
