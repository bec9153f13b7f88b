/* Mamba-1 hybrids with a feed-forward part on every layer.
 *
 * Jamba (arXiv 2403.19887): attention every attn_layer_period-th layer, experts
 * every expert_layer_period-th, norms on dt, B and C, no positions (transformers
 * models/jamba).  Samba (arXiv 2406.07522): Mamba and sliding-window attention by
 * turns, microsoft/Samba lit_gpt config.
 */
#include "build.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"jamba", "samba", NULL};

/* How many i in [0, layers) have i % period == offset. */
static double every(struct rl_build *b, const char *period, double period_or,
                    const char *offset, double offset_or, double layers)
{
    double p = rl_b_num_or(b, period, period_or), o = rl_b_num_or(b, offset, offset_or);

    if (b->rc == 0 && o >= p)
        rl_b_bad(b, offset, "less than the period");
    return o >= layers ? 0 : ceil((layers - o) / p);
}

static void mlp(struct rl_build *b)
{
    rl_b_mlp(b, rl_b_num(b, "intermediate_size"), RL_MLP_GATED);
}

/* Jamba */

static void jamba_mamba(struct rl_build *b)
{
    rl_b_mamba1(b, &(struct rl_mamba1){
                       .inner = rl_b_real_or(b, "mamba_expand", 2) * b->hidden,
                       .state = rl_b_num_or(b, "mamba_d_state", 16),
                       .dt_rank = rl_b_auto(b, "mamba_dt_rank", ceil(b->hidden / 16)),
                       .conv = rl_b_num_or(b, "mamba_d_conv", 4),
                       .conv_bias = rl_b_bool_or(b, "mamba_conv_bias", true),
                       .bias = rl_b_bool_or(b, "mamba_proj_bias", false),
                       .dt_bc_norm = true,
                   });
}

static void attention(struct rl_build *b, double window, double rope)
{
    double heads = rl_b_num(b, "num_attention_heads");

    rl_b_attention(b, &(struct rl_attn){
                          .heads = heads,
                          .kv_heads = rl_b_num_or(b, "num_key_value_heads", heads),
                          .head_dim = rl_b_num_or(b, "head_dim", b->hidden / heads),
                          .window = window,
                          .rope_dim = rope,
                      });
}

static void jamba_layers(struct rl_build *b, double layers)
{
    double experts = rl_b_num_or(b, "num_experts", 16), sparse = 0;
    double attn = every(b, "attn_layer_period", 8, "attn_layer_offset", 4, layers);

    if (experts > 1)
        sparse = every(b, "expert_layer_period", 2, "expert_layer_offset", 1, layers);
    rl_b_layers(b, layers);
    rl_b_norm(b, "input_norm", b->hidden, RL_RMS);
    rl_b_layers(b, layers - attn);
    jamba_mamba(b);
    rl_b_layers(b, attn);
    attention(b, 0, -1);
    rl_b_layers(b, layers);
    rl_b_residual(b);
    rl_b_norm(b, "pre_ff_norm", b->hidden, RL_RMS);
    rl_b_layers(b, sparse);
    if (sparse > 0)
        rl_b_moe(b, &(struct rl_moe){
                        .experts = experts,
                        .topk = rl_b_num_or(b, "num_experts_per_tok", 2),
                        .inter = rl_b_num(b, "intermediate_size"),
                    });
    rl_b_layers(b, layers - sparse);
    mlp(b);
    rl_b_layers(b, layers);
    rl_b_residual(b);
}

/* Samba: layer i is Mamba when i % mb_per_layer == 0. */
static void samba_layers(struct rl_build *b, double layers)
{
    double mamba = ceil(layers / rl_b_num_or(b, "mb_per_layer", 2));
    double inner = rl_b_real_or(b, "expand", 2) * b->hidden;

    rl_b_layers(b, layers);
    rl_b_norm(b, "norm_1", b->hidden, RL_RMS);
    rl_b_layers(b, mamba);
    rl_b_mamba1(b, &(struct rl_mamba1){
                       .inner = inner,
                       .state = rl_b_num_or(b, "state_size", 16),
                       .dt_rank = ceil(b->hidden / 16),
                       .conv = rl_b_num_or(b, "conv_kernel", 4),
                       .conv_bias = true,
                   });
    rl_b_layers(b, layers - mamba);
    attention(b, rl_b_num_or(b, "sliding_window", 2048), 0);
    rl_b_layers(b, layers);
    rl_b_residual(b);
    rl_b_norm(b, "norm_2", b->hidden, RL_RMS);
    mlp(b);
    rl_b_residual(b);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    double layers = rl_b_start(&b, c, g, err);
    if (strcmp(c->model_type, "samba") == 0)
        samba_layers(&b, layers);
    else
        jamba_layers(&b, layers);
    rl_b_finish(&b, "final_norm", false);
    return rl_b_close(&b);
}

const struct rl_family rl_family_jamba = {
    .model_types = types,
    .ref = "transformers models/jamba; microsoft/Samba lit_gpt",
    .build = build,
};
