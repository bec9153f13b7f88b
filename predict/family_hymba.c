/* Hymba (arXiv 2411.13676): attention heads and a Mamba-1 mixer side by side on
 * one input projection; their outputs, both 2H wide, are normed, averaged and
 * projected.  NVlabs/hymba barebones_hymba.
 *
 * Values are wider than keys (v_head_dim = 2H / heads).  Neighbouring layers share
 * a KV cache (kv_reuse_group): only the first of a group projects k and v.  Most
 * layers see a window; 128 learned meta tokens stand before every prompt and stay
 * in every cache.  Its remote code builds a block mask from every pair of tokens in
 * each layer with a window, for a prompt that with those tokens is longer (shorter ones
 * take FlashAttention), and copies the scan's inputs to channels first (SSM-Scope's
 * profile: 57 B a pair, 50 B an element).
 */
#include "build.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"hymba", NULL};

struct shape {
    struct rl_attn attn;
    double inner, producers, consumers, global;
};

/* Layers that read the cache of the layer before them. */
static double consumers(struct rl_build *b)
{
    const json_t *groups = json_object_get(b->c->root, "kv_reuse_group"), *group;
    double n = 0;
    size_t i;

    if (!groups || json_is_null(groups))
        return 0;
    if (!json_is_array(groups)) {
        rl_b_bad(b, "kv_reuse_group", "a list of lists of layers");
        return 0;
    }
    for (i = 0; i < json_array_size(groups); i++) {
        group = json_array_get(groups, i);
        if (!json_is_array(group) || json_array_size(group) < 1) {
            rl_b_bad(b, "kv_reuse_group", "a list of lists of layers");
            return 0;
        }
        n += (double)json_array_size(group) - 1;
    }
    return n;
}

static void read_shape(struct rl_build *b, double layers, struct shape *s)
{
    double heads = rl_b_num(b, "num_attention_heads"), global;

    s->inner = rl_b_real_or(b, "mamba_expand", 2) * b->hidden;
    s->attn = (struct rl_attn){
        .heads = heads,
        .kv_heads = rl_b_num_or(b, "num_key_value_heads", heads),
        .head_dim = rl_b_auto(b, "kq_head_dim",
                              rl_b_auto(b, "attn_hidden_size", b->hidden) / heads),
        .v_dim = rl_b_auto(b, "v_head_dim", s->inner / heads),
        .sinks = rl_b_num_or(b, "num_memory_tokens", 0),
        .no_proj = true,
    };
    global = rl_b_list(b, "global_attn_idx");
    s->global = rl_b_has(b, "sliding_window") ? fmax(global, 0) : layers;
    s->consumers = consumers(b);
    s->producers = layers - s->consumers;
    if (b->rc == 0 && (s->producers < s->global || s->global > layers))
        rl_b_bad(b, "kv_reuse_group", "groups of windowed layers, each layer once");
}

/* x | z | q, and k | v where the layer has a cache of its own. */
static void in_proj(struct rl_build *b, const struct shape *s)
{
    const struct rl_attn *a = &s->attn;
    double q = 2 * s->inner + a->heads * a->head_dim;

    rl_b_layers(b, s->producers);
    rl_b_linear(b, "in_proj", b->hidden, q + a->kv_heads * (a->head_dim + a->v_dim),
                RL_COL);
    rl_b_layers(b, s->consumers);
    rl_b_linear(b, "in_proj", b->hidden, q, RL_COL);
}

static void attention(struct rl_build *b, const struct shape *s)
{
    struct rl_attn a = s->attn;

    rl_b_layers(b, s->global);
    rl_b_attention(b, &a);
    a.window = rl_b_num_or(b, "sliding_window", 1024);
    rl_b_layers(b, s->producers + s->consumers - s->global);
    rl_b_torch_only(b, "block_mask", RL_L, RL_S, 1, a.window); /* one for a batch */
    rl_b_layers(b, s->producers - s->global);
    rl_b_attention(b, &a);
    a.shared_kv = true;
    rl_b_layers(b, s->consumers);
    rl_b_attention(b, &a);
}

static void mixer(struct rl_build *b, double layers, const struct shape *s)
{
    in_proj(b, s);
    rl_b_layers(b, layers);
    rl_b_mamba1(b, &(struct rl_mamba1){
                       .inner = s->inner,
                       .state = rl_b_num_or(b, "mamba_d_state", 16),
                       .dt_rank = rl_b_auto(b, "mamba_dt_rank", ceil(b->hidden / 16)),
                       .conv = rl_b_num_or(b, "mamba_d_conv", 4),
                       .conv_bias = rl_b_bool_or(b, "mamba_conv_bias", true),
                       .dt_bc_norm = rl_b_bool_or(b, "mamba_inner_layernorms", true),
                       .no_proj = true,
                   });
    rl_b_torch_only(b, "layout", RL_T, RL_ONE, s->inner, 0);
    attention(b, s);
    rl_b_layers(b, layers);
    rl_b_norm(b, "attn_branch_norm", s->inner, RL_RMS | RL_NORM_SHARDED);
    rl_b_norm(b, "ssm_branch_norm", s->inner, RL_RMS | RL_NORM_SHARDED);
    rl_b_elementwise(b, "branch_mean", "residual", s->inner, 2, 1, true);
    rl_b_linear(b, "out_proj", s->inner, b->hidden, RL_ROW);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct shape s;
    struct rl_build b;

    double layers = rl_b_start(&b, c, g, err);
    double hidden = b.hidden;
    read_shape(&b, layers, &s);
    rl_b_resident_only(&b, RL_W_EMBED, s.attn.sinks * hidden);
    b.g->prefix = s.attn.sinks;
    rl_b_layers(&b, layers);
    rl_b_norm(&b, "input_norm", hidden, RL_RMS);
    mixer(&b, layers, &s);
    rl_b_residual(&b);
    rl_b_norm(&b, "pre_ff_norm", hidden, RL_RMS);
    rl_b_mlp(&b, rl_b_num(&b, "intermediate_size"), RL_MLP_GATED);
    rl_b_residual(&b);
    rl_b_finish(&b, "final_norm", true);
    return rl_b_close(&b);
}

const struct rl_family rl_family_hymba = {
    .model_types = types,
    .ref = "NVlabs/hymba barebones_hymba",
    .build = build,
};
