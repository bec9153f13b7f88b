/* PLaMo 2 (ml-explore/mlx-lm plamo2.py): Samba-like turns of Mamba and windowed
 * attention, each followed by a gated MLP, with a norm before and after both.
 *
 * Its Mamba has one decay per head like Mamba-2, while B, C and dt come from the
 * convolved x like Mamba-1; no convolution bias; norms on dt, B and C.
 */
#include "build.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"plamo2", NULL};

struct shape {
    double heads, head_dim, state, conv, dt_rank, chunk;
};

static void scan(struct rl_build *b, const struct shape *m, struct rl_node *n)
{
    if (!n)
        return;
    rl_b_arg(b, n, "heads", RL_ONE, m->heads);
    rl_b_arg(b, n, "head_dim", RL_ONE, m->head_dim);
    rl_b_arg(b, n, "state", RL_ONE, m->state);
    rl_b_arg(b, n, "groups", RL_ONE, 1);
    rl_b_arg(b, n, "chunk", RL_ONE, m->chunk);
    rl_b_split(b, n, "heads");
    n->weights = 3 * m->heads; /* A, D, dt_bias */
}

static void mamba(struct rl_build *b, const struct shape *m)
{
    double inner = m->heads * m->head_dim, bc = m->dt_rank + 2 * m->state;

    if (b->count <= 0)
        return;
    rl_b_linear(b, "in_proj", b->hidden, 2 * inner, RL_COL);
    rl_b_conv(b, inner, m->conv, m->conv, false);
    rl_b_linear(b, "bcdt_proj", inner, bc, RL_ROW);
    rl_b_norm(b, "dt_bc_norm", bc, RL_RMS);
    rl_b_linear(b, "dt_proj", m->dt_rank, m->heads, RL_COL);
    scan(b, m, rl_b_scan(b, "ssd_scan", "ssd", RL_PREFILL));
    scan(b, m, rl_b_scan(b, "ssd_update", "ssd", RL_DECODE));
    rl_b_params(b, RL_W_SMALL, 3 * m->heads, true);
    rl_b_cache(b, RL_CACHE_STATE, "ssm", inner * m->state, m->heads, 0, 0);
    rl_b_elementwise(b, "gate", "gate_mul", inner, 2, 1, true);
    rl_b_linear(b, "out_proj", inner, b->hidden, RL_ROW);
    struct rl_block *k = rl_b_block(b, RL_BLK_MAMBA2);
    k->inner = inner;
    k->state = m->state;
    k->groups = 1;
    k->ssm_heads = m->heads;
    k->ssm_head_dim = m->head_dim;
    k->chunk = m->chunk;
    k->conv = m->conv;
}

/* One attention layer in every `step`, the middle one; a model of at most step / 2
 * layers attends in its last. */
static double attention_layers(struct rl_build *b, double layers)
{
    double step = rl_b_num_or(b, "mamba_step", 2), middle = floor(step / 2);

    if (rl_b_has(b, "mamba_enabled") && !rl_b_bool_or(b, "mamba_enabled", true))
        return layers;
    return layers <= middle ? 1 : ceil((layers - middle) / step);
}

/* full: layers that see everything (full_attention_idx). */
static void attention(struct rl_build *b, double dim, double attn, double full)
{
    double heads = rl_b_num(b, "num_attention_heads");
    struct rl_attn a = {
        .heads = heads,
        .kv_heads = rl_b_num_or(b, "num_key_value_heads", 1),
        .head_dim = dim,
        .qk_norm = RL_QK_LN,
    };

    rl_b_layers(b, full);
    rl_b_attention(b, &a);
    a.window = rl_b_num_or(b, "attention_window_size", 2048);
    rl_b_layers(b, attn - full);
    rl_b_attention(b, &a);
}

static void layers_of(struct rl_build *b, double layers)
{
    double attn = attention_layers(b, layers);
    double dim = rl_b_num_or(b, "hidden_size_per_head", 128);
    struct shape m = {
        .heads = rl_b_num_or(b, "mamba_num_heads", 2 * b->hidden / dim),
        .head_dim = dim,
        .state = rl_b_num_or(b, "mamba_d_state", 64),
        .conv = rl_b_num_or(b, "mamba_d_conv", 4),
        .dt_rank = fmax(64, floor(b->hidden / 16)),
        .chunk = rl_b_num_or(b, "mamba_chunk_size", 256),
    };

    rl_b_layers(b, layers);
    rl_b_norm(b, "pre_mixer_norm", b->hidden, RL_RMS);
    rl_b_layers(b, layers - attn);
    mamba(b, &m);
    attention(b, dim, attn, fmin(fmax(rl_b_list(b, "full_attention_idx"), 0), attn));
    rl_b_layers(b, layers);
    rl_b_norm(b, "post_mixer_norm", b->hidden, RL_RMS);
    rl_b_residual(b);
    rl_b_norm(b, "pre_mlp_norm", b->hidden, RL_RMS);
    rl_b_mlp(b, rl_b_num(b, "intermediate_size"), RL_MLP_GATED);
    rl_b_norm(b, "post_mlp_norm", b->hidden, RL_RMS);
    rl_b_residual(b);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct rl_build b;

    double layers = rl_b_start(&b, c, g, err);
    layers_of(&b, layers);
    rl_b_finish(&b, "final_norm", true);
    return rl_b_close(&b);
}

const struct rl_family rl_family_plamo2 = {
    .model_types = types,
    .ref = "ml-explore/mlx-lm plamo2.py",
    .build = build,
};
