/* Zamba2 (arXiv 2411.15242): a Mamba-2 backbone; before some layers a transformer
 * block runs whose weights are shared between all of them (or alternate between
 * num_mem_blocks sets).  It reads the hidden state beside the embedding (width
 * A = 2H) and keeps a KV cache of its own at every position it is used.
 *
 * What is not shared: a linear H -> H after each use, a low-rank adapter of the
 * MLP, and in the small model adapters of q, k and v (transformers models/zamba2).
 * Parameters are emitted once per set, calls once per use.  The older of two names
 * for a field is that of Zyphra's own fork.
 */
#include "build.h"

#include <string.h>

static const char *const types[] = {"zamba2", NULL};

struct shape {
    double wide, rank, heads, kv_heads, head_dim, inter, uses, sets;
    bool attention_adapter;
};

static void low_rank(struct rl_build *b, const char *label, double in, double rank,
                     double out)
{
    rl_b_linear(b, label, in, rank, 0);
    rl_b_linear(b, label, rank, out, RL_COL);
}

/* The shared weights; called for the parameters, then for the work. */
static void shared_block(struct rl_build *b, const struct shape *z, bool rope)
{
    rl_b_norm(b, "shared_norm", z->wide, RL_RMS);
    rl_b_attention(b, &(struct rl_attn){
                          .in = z->wide,
                          .out = b->hidden,
                          .heads = z->heads,
                          .kv_heads = z->kv_heads,
                          .head_dim = z->head_dim,
                          .rope_dim = rope ? 0 : -1,
                      });
    rl_b_norm(b, "shared_ff_norm", b->hidden, RL_RMS);
    rl_b_mlp(b, z->inter, RL_MLP_GATED);
    if (b->g->nblocks > 0) /* gate and up are one matrix */
        b->g->block[b->g->nblocks - 1].fused_in = true;
}

/* What each use has for itself. */
static void own_part(struct rl_build *b, const struct shape *z)
{
    if (z->attention_adapter)
        for (int i = 0; i < 3; i++)
            low_rank(b, "qkv_adapter", z->wide, z->rank, z->heads * z->head_dim);
    if (z->rank > 0)
        low_rank(b, "mlp_adapter", b->hidden, z->rank, 2 * z->inter);
    rl_b_linear(b, "shared_out", b->hidden, b->hidden, 0);
    rl_b_elementwise(b, "shared_add", "residual", b->hidden, 2, 1, false);
}

static double resident(const struct rl_build *b)
{
    double n = 0;

    for (int i = 0; i < RL_NWCLASSES; i++)
        n += b->g->resident[i];
    return n;
}

static void hybrid_positions(struct rl_build *b, const struct shape *z)
{
    bool rope = rl_b_bool_or(b, "use_mem_rope", false);
    struct rl_mark s;
    double before = resident(b), block, adapters;

    rl_b_mark(b, &s);
    rl_b_layers(b, z->sets);
    shared_block(b, z, rope);
    rl_b_shared(b, &s);
    block = (resident(b) - before) / z->sets;
    before = resident(b);
    rl_b_layers(b, z->uses);
    rl_b_elementwise(b, "concat", "concat", z->wide, 1, 1, false);
    b->no_params = true;
    shared_block(b, z, rope);
    b->no_params = false;
    own_part(b, z);
    /* transformers keeps the adapters of all uses inside the shared block */
    adapters = resident(b) - before - z->uses * b->hidden * b->hidden;
    b->g->shared_again += (z->uses - z->sets) * (block + adapters);
}

static bool flag2(struct rl_build *b, const char *key, const char *old, bool fallback)
{
    return rl_b_bool_or(b, rl_b_has(b, key) ? key : old, fallback);
}

static void read_shape(struct rl_build *b, double layers, struct shape *z)
{
    z->wide = rl_b_num_or(b, "attention_hidden_size", 2 * b->hidden);
    z->heads = rl_b_num(b, "num_attention_heads");
    z->kv_heads = rl_b_num_or(b, "num_key_value_heads", z->heads);
    z->head_dim = rl_b_num_or(b, "attention_head_dim", z->wide / z->heads);
    z->inter = rl_b_num2_or(b, "intermediate_size", "ffn_hidden_size", 4 * b->hidden);
    z->sets = rl_b_num_or(b, "num_mem_blocks", 1);
    z->rank = flag2(b, "use_shared_mlp_adapter", "use_shared_block_lora", true)
                  ? rl_b_num2_or(b, "adapter_rank", "lora_rank", 128)
                  : 0;
    z->attention_adapter =
        flag2(b, "use_shared_attention_adapter", "use_shared_attention_lora", false);
    z->uses = rl_b_list(b, "hybrid_layer_ids");
    if (rl_b_has(b, "layers_block_type"))
        z->uses = rl_b_count_str(b, "layers_block_type", "hybrid", layers);
    if (b->rc == 0 && (z->uses < z->sets || z->uses > layers))
        rl_b_bad(b, "layers_block_type", "at least one 'hybrid' entry per shared block");
}

static void mamba(struct rl_build *b)
{
    const char *expand =
        rl_b_has(b, "mamba_expand") ? "mamba_expand" : "expansion_factor";
    double inner = rl_b_real_or(b, expand, 2) * b->hidden;
    double dim = rl_b_num_or(b, "mamba_headdim", 0);
    double heads = rl_b_num_or(b, "n_mamba_heads", dim > 0 ? inner / dim : 8);

    rl_b_norm(b, "norm", b->hidden, RL_RMS);
    rl_b_mamba2(b, &(struct rl_mamba2){
                       .heads = heads,
                       .head_dim = dim > 0 ? dim : inner / heads,
                       .state = rl_b_num2_or(b, "mamba_d_state", "state_size", 64),
                       .groups = rl_b_num_or(b, "mamba_ngroups", 1),
                       .conv = rl_b_num2_or(b, "mamba_d_conv", "conv_dimension", 4),
                       .chunk = rl_b_num_or(b, "chunk_size", 256),
                       .conv_bias = rl_b_bool_or(b, "use_conv_bias", true),
                       .bias = rl_b_bool_or(b, "add_bias_linear", false),
                   });
    rl_b_residual(b);
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    struct shape z;
    struct rl_build b;

    rl_b_open(&b, c, g, err);
    double hidden = rl_b_num(&b, "hidden_size"), vocab = rl_b_num(&b, "vocab_size");
    double layers = rl_b_num(&b, "num_hidden_layers");
    read_shape(&b, layers, &z);
    rl_b_embed(&b, vocab, hidden);
    hybrid_positions(&b, &z);
    rl_b_layers(&b, layers);
    mamba(&b);
    rl_b_layers(&b, 1);
    rl_b_norm(&b, "final_norm", hidden, RL_RMS);
    b.g->dense_mask = true; /* SSM-Scope's peaks grow with the square of the prompt */
    rl_b_head(&b, hidden, vocab, rl_b_bool_or(&b, "tie_word_embeddings", true), false);
    return rl_b_close(&b);
}

const struct rl_family rl_family_zamba2 = {
    .model_types = types,
    .ref = "transformers models/zamba2; Zyphra/transformers_zamba2",
    .build = build,
};
