/* Nemotron-H and Nemotron 3: one sub-layer and one norm per position of a pattern:
 * M Mamba-2, * attention without positions, - relu^2 MLP, E mixture of relu^2 MLPs.
 *
 * Read in NVIDIA's modeling_nemotron_h.py.  Nemotron 3 Super and Ultra route in a
 * latent space: experts see moe_latent_size instead of the hidden width, while the
 * router and the shared expert see the hidden state.
 */
#include "build.h"

#include <string.h>

static const char *const types[] = {"nemotron_h", NULL};

struct pattern {
    double mamba, attention, mlp, moe;
};

static void count_letters(struct rl_build *b, const char *key, const char *letters,
                          struct pattern *p)
{
    for (const char *s = letters; *s; s++) {
        switch (*s) {
        case 'M':
            p->mamba++;
            break;
        case '*':
            p->attention++;
            break;
        case '-':
            p->mlp++;
            break;
        case 'E':
            p->moe++;
            break;
        default:
            rl_b_bad(b, key, "a string of the letters M, *, - and E");
            return;
        }
    }
}

static void count_words(struct rl_build *b, const char *key, struct pattern *p)
{
    double n = rl_b_list(b, key);

    p->mamba = rl_b_count_str(b, key, "mamba", n);
    p->attention = rl_b_count_str(b, key, "attention", n);
    p->mlp = rl_b_count_str(b, key, "mlp", n);
    p->moe = rl_b_count_str(b, key, "moe", n);
    if (p->mamba + p->attention + p->mlp + p->moe != n)
        rl_b_bad(b, key, "a list of mamba, attention, mlp and moe");
}

/* Older files write letters, newer ones a list of words. */
static struct pattern read_pattern(struct rl_build *b, const char *letters,
                                   const char *words)
{
    struct pattern p = {0};

    if (rl_b_has(b, letters))
        count_letters(b, letters, rl_b_str_or(b, letters, ""), &p);
    else if (rl_b_has(b, words))
        count_words(b, words, &p);
    return p;
}

static void mamba(struct rl_build *b)
{
    rl_b_mamba2(b, &(struct rl_mamba2){
                       .heads = rl_b_num_or(b, "mamba_num_heads", 128),
                       .head_dim = rl_b_num_or(b, "mamba_head_dim", 64),
                       .state = rl_b_num_or(b, "ssm_state_size", 128),
                       .groups = rl_b_num_or(b, "n_groups", 8),
                       .conv = rl_b_num_or(b, "conv_kernel", 4),
                       .chunk = rl_b_num_or(b, "chunk_size", 128),
                       .conv_bias = rl_b_bool_or(b, "use_conv_bias", true),
                       .bias = rl_b_bool_or(b, "mamba_proj_bias", false),
                   });
}

static void attention(struct rl_build *b)
{
    double heads = rl_b_num(b, "num_attention_heads");
    bool bias = rl_b_bool_or(b, "attention_bias", false);

    rl_b_attention(b,
                   &(struct rl_attn){
                       .heads = heads,
                       .kv_heads = rl_b_num_or(b, "num_key_value_heads", 8),
                       .head_dim = rl_b_num2_or(b, "head_dim", "attention_head_dim", 128),
                       .rope_dim = -1,
                       .qkv_bias = bias,
                       .o_bias = bias,
                   });
}

static void moe(struct rl_build *b)
{
    double experts = rl_b_num(b, "n_routed_experts");

    rl_b_moe(b,
             &(struct rl_moe){
                 .experts = experts,
                 .topk = rl_b_num(b, "num_experts_per_tok"),
                 .inter = rl_b_num(b, "moe_intermediate_size"),
                 .matrices = 2,
                 .latent = rl_b_num_or(b, "moe_latent_size", 0),
                 .router_bias = experts, /* e_score_correction_bias */
                 .shared_inter = rl_b_num_or(b, "n_shared_experts", 1) *
                                 rl_b_num_or(b, "moe_shared_expert_intermediate_size", 0),
             });
}

static void sub_layers(struct rl_build *b, const struct pattern *p)
{
    rl_b_layers(b, p->mamba + p->attention + p->mlp + p->moe);
    rl_b_norm(b, "norm", b->hidden, RL_RMS);
    rl_b_layers(b, p->mamba);
    mamba(b);
    rl_b_layers(b, p->attention);
    if (p->attention > 0)
        attention(b);
    rl_b_layers(b, p->mlp);
    if (p->mlp > 0)
        rl_b_mlp(b, rl_b_num(b, "intermediate_size"),
                 rl_b_bool_or(b, "mlp_bias", false) ? RL_MLP_BIAS : 0);
    rl_b_layers(b, p->moe);
    if (p->moe > 0)
        moe(b);
    rl_b_layers(b, p->mamba + p->attention + p->mlp + p->moe);
    rl_b_residual(b);
}

/* Next-token prediction: its sub-layers, the projection of [embedding, hidden] and
 * three norms; in the checkpoint, not run. */
static void next_token(struct rl_build *b)
{
    double n = rl_b_num_or(b, "num_nextn_predict_layers", 0);
    struct pattern p =
        read_pattern(b, "mtp_hybrid_override_pattern", "mtp_layers_block_type");
    struct rl_mark s;

    if (n < 1)
        return;
    p = (struct pattern){p.mamba * n, p.attention * n, p.mlp * n, p.moe * n};
    rl_b_mark(b, &s);
    if (p.mamba > 0)
        rl_b_bad(b, "num_nextn_predict_layers", "layers without Mamba-2");
    sub_layers(b, &p);
    rl_b_layers(b, n);
    rl_b_linear(b, "mtp_proj", 2 * b->hidden, b->hidden, 0);
    rl_b_norm(b, "mtp_norms", 3 * b->hidden, RL_RMS);
    rl_b_file_only(b, &s, "MTP layer");
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double hidden = rl_b_num(&b, "hidden_size"), vocab = rl_b_num(&b, "vocab_size");
    struct pattern p = read_pattern(&b, "hybrid_override_pattern", "layers_block_type");
    double all = p.mamba + p.attention + p.mlp + p.moe;
    if (all < 1 ||
        (rl_b_has(&b, "num_hidden_layers") && rl_b_num(&b, "num_hidden_layers") != all))
        rl_b_bad(&b, "hybrid_override_pattern", "one letter per layer");
    rl_b_shape(&b, hidden, all, g->max_positions);
    g->logits_upcast = true;
    g->residual_fp32 = rl_b_bool_or(&b, "residual_in_fp32", false);
    if (strcmp(rl_b_str_or(&b, "mamba_ssm_cache_dtype", "auto"), "float32") == 0)
        g->state_dtype = RL_DT_FP32;
    rl_b_embed(&b, vocab, hidden);
    sub_layers(&b, &p);
    rl_b_layers(&b, 1);
    rl_b_norm(&b, "final_norm", hidden, RL_RMS);
    rl_b_head(&b, hidden, vocab, rl_b_bool_or(&b, "tie_word_embeddings", false), false);
    next_token(&b);
    return rl_b_close(&b);
}

const struct rl_family rl_family_nemotron_h = {
    .model_types = types,
    .ref = "nvidia/Nemotron-H modeling_nemotron_h.py; Megatron-Bridge nemotronh recipes",
    .build = build,
};
