/* A whole decoder of the GPT kind from one description: families that differ
 * in norms, biases, positions and whether attention and MLP run in parallel.
 */
#include "build.h"

static void blocks(struct rl_build *b, const struct rl_decoder *d)
{
    rl_b_layers(b, d->layers);
    rl_b_norm(b, "attn_norm", b->hidden, d->norm);
    rl_b_attention_mixed(b, d->attn, d->layers, d->windowed);
    if (!d->parallel)
        rl_b_residual(b);
    if (!d->one_norm)
        rl_b_norm(b, "mlp_norm", b->hidden, d->norm);
    rl_b_mlp(b, d->inter, d->mlp);
    if (d->parallel) /* x + attention + MLP: three reads */
        rl_b_elementwise(b, "residual", "residual", b->hidden, 3, 1, false);
    else
        rl_b_residual(b);
    rl_b_layers(b, 1);
}

void rl_b_decoder(struct rl_build *b, const struct rl_decoder *d)
{
    double width = d->embed_width > 0 ? d->embed_width : b->hidden;
    bool narrow = width < b->hidden || width > b->hidden;

    rl_b_embed(b, d->vocab, width);
    if (narrow)
        rl_b_linear(b, "project_in", width, b->hidden, 0);
    if (d->positions > 0)
        rl_b_positions(b, d->positions, b->hidden);
    if (d->embed_norm)
        rl_b_norm(b, "embed_norm", b->hidden, d->norm);
    blocks(b, d);
    if (!d->no_final_norm)
        rl_b_norm(b, "final_norm", b->hidden, d->norm);
    if (narrow)
        rl_b_linear(b, "project_out", b->hidden, width, 0);
    rl_b_head(b, width, d->vocab, d->tied, d->head_bias);
}
