/* Mamba-2 hybrids whose layers are a mixer and a feed-forward part, each with its
 * norm: Bamba, Granite 4 hybrids, and Falcon-H1, where attention and Mamba-2 work
 * side by side on one norm and are added.
 *
 * Read in transformers models/{bamba,granitemoehybrid,falcon_h1}.  Ignored: the
 * scalar multipliers of Granite and Falcon-H1.
 */
#include "build.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"bamba", "granitemoehybrid", "falcon_h1", NULL};

static void mamba(struct rl_build *b, double inner, double chunk, bool no_norm)
{
    double heads = rl_b_num_or(b, "mamba_n_heads", 128);
    double dim = rl_b_auto(b, "mamba_d_head", inner / heads);

    if (b->rc == 0 && heads * dim != inner)
        rl_b_bad(b, "mamba_n_heads",
                 "mamba_n_heads x mamba_d_head to be the inner width");
    rl_b_mamba2(b, &(struct rl_mamba2){
                       .heads = heads,
                       .head_dim = dim,
                       .state = rl_b_num_or(b, "mamba_d_state", 256),
                       .groups = rl_b_num_or(b, "mamba_n_groups", 1),
                       .conv = rl_b_num_or(b, "mamba_d_conv", 4),
                       .chunk = rl_b_num_or(b, "mamba_chunk_size", chunk),
                       .conv_bias = rl_b_bool_or(b, "mamba_conv_bias", true),
                       .bias = rl_b_bool_or(b, "mamba_proj_bias", false),
                       .no_norm = no_norm,
                   });
}

/* rope: the part of the head that is rotated; 0: no position information. */
static void attention(struct rl_build *b, double rope)
{
    double heads = rl_b_num(b, "num_attention_heads");
    double dim = rl_b_num_or(b, "head_dim", b->hidden / heads);
    bool bias = rl_b_bool_or(b, "attention_bias", false);

    rl_b_attention(b, &(struct rl_attn){
                          .heads = heads,
                          .kv_heads = rl_b_num_or(b, "num_key_value_heads", heads),
                          .head_dim = dim,
                          .rope_dim = rope > 0 ? rope * dim : -1,
                          .qkv_bias = bias,
                          .o_bias = bias,
                      });
}

/* Falcon-H1 */

/* Constants of the parametrisation, each a kernel of its own where nothing is
 * fused: in and out of both branches, the keys, x|z|B|C|dt, gate and down. */
static void multipliers(struct rl_build *b, double inner)
{
    for (int i = 0; i < 5; i++)
        rl_b_elementwise(b, "multiplier", "multiplier", b->hidden, 1, 1, false);
    rl_b_elementwise(b, "mup_vector", "multiplier", 2 * inner, 1, 1, false);
    rl_b_elementwise(b, "mlp_multiplier", "multiplier", rl_b_num(b, "intermediate_size"),
                     1, 1, false);
}

static void parallel_layers(struct rl_build *b, double layers)
{
    double inner = rl_b_real_or(b, "mamba_expand", 2) * b->hidden;

    rl_b_layers(b, layers);
    rl_b_norm(b, "input_norm", b->hidden, RL_RMS);
    mamba(b, rl_b_num_or(b, "mamba_d_ssm", inner), 256,
          !rl_b_bool_or(b, "mamba_rms_norm", false));
    attention(b, 1);
    multipliers(b, inner);
    rl_b_elementwise(b, "branch_add", "residual", b->hidden, 2, 1, false);
    rl_b_residual(b);
    rl_b_norm(b, "pre_ff_norm", b->hidden, RL_RMS);
    rl_b_mlp(b, rl_b_num(b, "intermediate_size"),
             RL_MLP_GATED | (rl_b_bool_or(b, "mlp_bias", false) ? RL_MLP_BIAS : 0));
    rl_b_residual(b);
}

/* Bamba, Granite */

/* Attention layers: Bamba lists their indices, Granite names every layer. */
static double attention_layers(struct rl_build *b, double layers)
{
    const char *key =
        rl_b_has(b, "layers_block_type") ? "layers_block_type" : "layer_types";
    double n = rl_b_list(b, "attn_layer_indices");

    if (n > layers)
        rl_b_bad(b, "attn_layer_indices", "at most one entry per layer");
    if (n >= 0)
        return n;
    n = rl_b_count_str(b, key, "attention", layers);
    return n > 0 ? n : 0;
}

static void mixers(struct rl_build *b, double layers, double rope)
{
    double attn = attention_layers(b, layers);

    rl_b_layers(b, layers);
    rl_b_norm(b, "input_norm", b->hidden, RL_RMS);
    rl_b_layers(b, layers - attn);
    if (layers > attn)
        mamba(b, rl_b_real_or(b, "mamba_expand", 2) * b->hidden, 256, false);
    rl_b_layers(b, attn);
    attention(b, rope);
    rl_b_layers(b, layers);
    rl_b_residual(b);
    rl_b_norm(b, "post_norm", b->hidden, RL_RMS);
}

static void granite_ff(struct rl_build *b)
{
    double shared = rl_b_num_or(b, "shared_intermediate_size", 1024);
    double experts = rl_b_num_or(b, "num_local_experts", 0);

    if (experts > 0)
        rl_b_moe(b, &(struct rl_moe){
                        .experts = experts,
                        .topk = rl_b_num(b, "num_experts_per_tok"),
                        .inter = rl_b_num(b, "intermediate_size"),
                        .shared_inter = shared,
                    });
    else
        rl_b_mlp(b, shared, RL_MLP_GATED);
}

static void bamba_layers(struct rl_build *b, double layers)
{
    mixers(b, layers, rl_b_real_or(b, "partial_rotary_factor", 0.5));
    rl_b_mlp(b, rl_b_num(b, "intermediate_size"),
             RL_MLP_GATED | (rl_b_bool_or(b, "mlp_bias", false) ? RL_MLP_BIAS : 0));
    rl_b_residual(b);
}

static void granite_layers(struct rl_build *b, double layers)
{
    const char *position = rl_b_str_or(b, "position_embedding_type", "nope");

    mixers(b, layers, strcmp(position, "rope") == 0 ? 1 : 0);
    granite_ff(b);
    rl_b_residual(b);
}

/* The head multiplies the logits by a constant: a second copy of them. */
static void falcon_layers(struct rl_build *b, double layers)
{
    parallel_layers(b, layers);
    b->g->cache_on_request = true;
    b->g->logit_copies = 2;
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    bool granite = strcmp(c->model_type, "granitemoehybrid") == 0;
    struct rl_build b;

    double layers = rl_b_start(&b, c, g, err);
    if (granite)
        granite_layers(&b, layers);
    else if (strcmp(c->model_type, "falcon_h1") == 0)
        falcon_layers(&b, layers);
    else
        bamba_layers(&b, layers);
    rl_b_finish(&b, "final_norm", granite);
    return rl_b_close(&b);
}

const struct rl_family rl_family_bamba = {
    .model_types = types,
    .ref = "transformers models/bamba, granitemoehybrid, falcon_h1",
    .build = build,
};
