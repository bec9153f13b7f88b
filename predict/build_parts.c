/* Modules that every model has: products, norms, element-wise, embedding, head.
 *
 * Activations are 16 bits wide in what depends on bytes here (the messages of
 * collectives), as every runtime of the CONTRACT keeps them.
 * Ignored: the memory traffic of masks and position tables.
 */
#include "build.h"

#include <math.h>

#define ACT_BYTES 2.0 /* of one activation element in a collective */

/* products */

void rl_b_all_reduce(struct rl_build *b, double width)
{
    struct rl_node *n = rl_b_node(b, "all_reduce", "all_reduce");

    rl_b_arg(b, n, "gpus", RL_TP, 1);
    rl_b_arg(b, n, "bytes", b->t, width * ACT_BYTES);
}

static struct rl_node *gemm(struct rl_build *b, const char *label, enum rl_sym sym,
                            double rows_k, double in, double out)
{
    struct rl_node *n = rl_b_node(b, "gemm", label);

    rl_b_arg(b, n, "m", sym, rows_k);
    rl_b_arg(b, n, "n", RL_ONE, out);
    rl_b_arg(b, n, "k", RL_ONE, in);
    rl_b_arg(b, n, "dtype", RL_DT_W, 1);
    return n;
}

void rl_b_linear_on(struct rl_build *b, const char *label, enum rl_sym sym, double rows_k,
                    double in, double out, unsigned flags)
{
    struct rl_node *n = gemm(b, label, sym, rows_k, in, out);
    enum rl_wclass w = flags & RL_SMALL ? RL_W_SMALL : RL_W_LINEAR;

    if (n) {
        n->wclass = w;
        n->join = flags & RL_JOIN;
    }
    if (flags & RL_COL)
        rl_b_split(b, n, "n");
    if (flags & RL_ROW)
        rl_b_split(b, n, "k");
    rl_b_own(b, n, w, in * out, flags & (RL_COL | RL_ROW));
    if (flags & RL_BIAS)
        rl_b_own(b, n, RL_W_SMALL, out, flags & RL_COL);
    if (flags & RL_ROW)
        rl_b_all_reduce(b, out);
}

void rl_b_linear(struct rl_build *b, const char *label, double in, double out,
                 unsigned flags)
{
    rl_b_linear_on(b, label, b->t, 1, in, out, flags);
}

/* norms and element-wise */

static struct rl_node *norm_node(struct rl_build *b, const char *label, const char *glue,
                                 double rows_k, double width)
{
    struct rl_node *n = rl_b_node(b, "norm", label);

    rl_b_arg(b, n, "rows", b->t, rows_k);
    rl_b_arg(b, n, "width", RL_ONE, width);
    if (n) {
        n->wclass = RL_W_SMALL;
        n->glue = glue;
    }
    return n;
}

void rl_b_norm(struct rl_build *b, const char *label, double width, unsigned kind)
{
    struct rl_node *n = norm_node(b, label, "norm", 1, width);
    bool sharded = kind & RL_NORM_SHARDED;
    unsigned k = kind & ~(unsigned)RL_NORM_SHARDED;

    if (sharded)
        rl_b_split(b, n, "width");
    rl_b_own(b, n, RL_W_SMALL,
             k == RL_BARE ? 0
             : k == RL_LN ? 2 * width
                          : width,
             sharded);
}

void rl_b_norm_rows(struct rl_build *b, const char *label, const char *glue,
                    double rows_k, double width, double params)
{
    struct rl_node *n = norm_node(b, label, glue, rows_k, width);

    rl_b_split(b, n, "rows");
    rl_b_own(b, n, RL_W_SMALL, params, false);
}

void rl_b_norm_gated(struct rl_build *b, double rows_k, double width, double params)
{
    struct rl_node *n = norm_node(b, "norm_gated", "norm_gated", rows_k, width);

    rl_b_arg(b, n, "gated", RL_ONE, 1);
    rl_b_split(b, n, rows_k > 1 ? "rows" : "width");
    rl_b_own(b, n, RL_W_SMALL, params, rows_k <= 1);
}

void rl_b_elementwise(struct rl_build *b, const char *label, const char *glue,
                      double width, double reads, double writes, bool sharded)
{
    struct rl_node *n = rl_b_node(b, "elementwise", label);

    rl_b_arg(b, n, "rows", b->t, 1);
    rl_b_arg(b, n, "width", RL_ONE, width);
    rl_b_arg(b, n, "reads", RL_ONE, reads);
    rl_b_arg(b, n, "writes", RL_ONE, writes);
    if (sharded)
        rl_b_split(b, n, "width");
    if (n) {
        n->glue = glue;
        n->fusable = true;
    }
}

void rl_b_torch_only(struct rl_build *b, const char *glue, enum rl_sym rows,
                     enum rl_sym sym, double width, double beyond)
{
    struct rl_node *n = rl_b_node(b, "elementwise", glue);

    rl_b_arg(b, n, "rows", rows, 1);
    rl_b_arg(b, n, "width", sym, width);
    if (n) {
        n->glue = glue;
        n->phase &= RL_PREFILL;
        n->fusable = n->torch_only = true;
        n->beyond = beyond;
    }
}

void rl_b_residual(struct rl_build *b)
{
    rl_b_elementwise(b, "residual", "residual", b->hidden, 2, 1, false);
}

void rl_b_rope(struct rl_build *b, double heads, double dim)
{
    struct rl_node *n = rl_b_node(b, "rope", "rope");

    rl_b_arg(b, n, "rows", b->t, 1);
    rl_b_arg(b, n, "width", RL_ONE, heads * floor(dim));
    rl_b_split(b, n, "width");
    if (n)
        n->glue = "rope";
}

/* both ends of the model */

void rl_b_embed(struct rl_build *b, double vocab, double width)
{
    struct rl_node *n = rl_b_node(b, "embedding", "embed");

    rl_b_arg(b, n, "rows", b->t, 1);
    rl_b_arg(b, n, "width", RL_ONE, width);
    if (n) {
        n->wclass = RL_W_EMBED;
        n->glue = "embedding";
    }
    rl_b_params(b, RL_W_EMBED, vocab * width, true);
    if (b->rc == 0 && !b->encoder && !b->no_nodes && !b->no_params)
        b->g->not_read += vocab * width * b->count; /* one row of it is */
    if (!b->encoder)
        b->g->vocab = vocab;
}

void rl_b_positions(struct rl_build *b, double rows, double width)
{
    rl_b_params(b, RL_W_EMBED, rows * width, false);
    if (b->rc == 0 && !b->encoder && !b->no_nodes && !b->no_params)
        b->g->not_read += rows * width * b->count;
    rl_b_elementwise(b, "positions", "positions", width, 2, 1, false);
}

void rl_b_head(struct rl_build *b, double width, double vocab, bool tied, bool bias)
{
    struct rl_node *n = gemm(b, "lm_head", RL_R, 1, width, vocab);

    if (n) {
        n->cls = RL_CLS_HEAD;
        n->wclass = tied ? RL_W_EMBED : RL_W_HEAD;
        n->glue = "head";
        n->weights = width * vocab + (bias ? vocab : 0);
    }
    rl_b_split(b, n, "n");
    if (tied)
        b->g->not_read -= b->rc ? 0 : width * vocab;
    else
        rl_b_params(b, RL_W_HEAD, width * vocab, true);
    if (bias)
        rl_b_params(b, RL_W_SMALL, vocab, true);
    b->g->shared_again += tied ? width * vocab : 0;
    b->g->tied = tied;
    n = rl_b_node(b, "all_gather", "logits_gather");
    rl_b_arg(b, n, "gpus", RL_TP, 1);
    rl_b_arg(b, n, "bytes", RL_R, vocab * ACT_BYTES);
    n = rl_b_node(b, "sampling", "sampling");
    rl_b_arg(b, n, "rows", RL_B, 1);
    rl_b_arg(b, n, "width", RL_ONE, vocab);
    if (n)
        n->glue = "sampling";
}

double rl_b_start(struct rl_build *b, const struct rl_cfg *c, struct rl_graph *g,
                  struct rl_error *err)
{
    rl_b_open(b, c, g, err);
    double hidden = rl_b_num(b, "hidden_size"), vocab = rl_b_num(b, "vocab_size");
    double layers = rl_b_num(b, "num_hidden_layers");
    rl_b_embed(b, vocab, hidden);
    return layers;
}

void rl_b_finish(struct rl_build *b, const char *norm, bool tied)
{
    rl_b_layers(b, 1);
    rl_b_norm(b, norm, b->hidden, RL_RMS);
    rl_b_head(b, b->hidden, b->g->vocab, rl_b_bool_or(b, "tie_word_embeddings", tied),
              false);
}
