/* The builder's core: nodes, parameters, products, norms, embedding, head.
 *
 * Activations are 16 bits wide in what depends on bytes here (the messages of
 * collectives), as every runtime of the CONTRACT keeps them.
 * Ignored: the memory traffic of masks and position tables.
 */
#include "build.h"

#include "err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ACT_BYTES 2.0 /* of one activation element in a collective */

void rl_b_layers(struct rl_build *b, double count)
{
    b->count = count;
}

void rl_b_phase(struct rl_build *b, unsigned phase)
{
    b->phase = phase;
}

void rl_b_encoder(struct rl_build *b, bool on)
{
    b->encoder = on;
    b->t = on ? RL_TX : RL_T;
    b->l = on ? RL_X : RL_L;
    b->phase = on ? RL_PREFILL : RL_BOTH;
}

/* nodes */

static struct rl_arg first_value(const struct rl_param *p)
{
    struct rl_arg a = {RL_ONE, p->fallback};

    if (p->kind == RL_P_DTYPE && strcmp(p->name, "dtype") == 0)
        return (struct rl_arg){RL_DT_ACT, 1};
    if (p->kind == RL_P_DTYPE && strcmp(p->name, "kv_dtype") == 0)
        return (struct rl_arg){RL_DT_KV, 1};
    if (p->kind == RL_P_DTYPE && strcmp(p->name, "state_dtype") == 0)
        return (struct rl_arg){RL_DT_STATE, 1};
    if (isnan(p->fallback))
        a.sym = RL_NSYMS; /* to be set: rl_b_close looks for it */
    return a;
}

static bool emits(const struct rl_build *b)
{
    return b->rc == 0 && !b->no_nodes && b->count > 0;
}

struct rl_node *rl_b_node(struct rl_build *b, const char *op, const char *label)
{
    struct rl_graph *g = b->g;

    if (!emits(b))
        return NULL;
    const struct rl_op_type *type = rl_op_find(op);
    if (!type) {
        b->rc = rl_fail(b->err, RL_ENAME, b->c->source, 0, "no operator '%s'", op);
        return NULL;
    }
    void *grown = rl_grow(g->node, &g->nodes_cap, g->nnodes + 1, sizeof *g->node, b->err);
    if (!grown) {
        b->rc = -1;
        return NULL;
    }
    g->node = grown;
    struct rl_node *n = &g->node[g->nnodes++];
    memset(n, 0, sizeof *n);
    n->op = type;
    n->cls = type->cls;
    n->count = b->count;
    n->phase = b->phase;
    snprintf(n->label, sizeof n->label, "%s", label);
    for (int i = 0; type->param[i].name; i++)
        n->arg[i] = first_value(&type->param[i]);
    return n;
}

struct rl_node *rl_b_node_in(struct rl_build *b, const char *op, const char *label,
                             unsigned phase)
{
    struct rl_node *n = phase & b->phase ? rl_b_node(b, op, label) : NULL;

    if (n)
        n->phase = phase & b->phase;
    return n;
}

static int arg_index(struct rl_build *b, const struct rl_node *n, const char *name)
{
    int i = rl_op_param(n->op, name);

    if (i < 0 && b->rc == 0)
        b->rc = rl_fail(b->err, RL_ENAME, b->c->source, 0,
                        "operator '%s' has no parameter '%s'", n->op->name, name);
    return i;
}

void rl_b_arg(struct rl_build *b, struct rl_node *n, const char *name, enum rl_sym sym,
              double k)
{
    int i = n ? arg_index(b, n, name) : -1;

    if (i >= 0)
        n->arg[i] = (struct rl_arg){sym, k};
}

void rl_b_split(struct rl_build *b, struct rl_node *n, const char *name)
{
    int i = n ? arg_index(b, n, name) : -1;

    if (i >= 0)
        n->split |= 1u << i;
}

/* parameters, cache, blocks */

void rl_b_params(struct rl_build *b, enum rl_wclass w, double n, bool split)
{
    double all = n * b->count;

    if (b->rc || b->no_params)
        return;
    b->g->resident[w] += all;
    if (split)
        b->g->resident_split[w] += all;
    if (b->encoder || b->no_nodes)
        b->g->not_read += all;
}

void rl_b_own(struct rl_build *b, struct rl_node *n, enum rl_wclass w, double params,
              bool split)
{
    if (n)
        n->weights += params;
    rl_b_params(b, w, params, split);
}

void rl_b_cache(struct rl_build *b, enum rl_cache_kind kind, const char *label,
                double elems, double kv_heads, double window, double fixed)
{
    struct rl_graph *g = b->g;

    if (!emits(b) || b->encoder || g->diffusion || !g->has_decode)
        return;
    void *grown =
        rl_grow(g->cache, &g->caches_cap, g->ncaches + 1, sizeof *g->cache, b->err);
    if (!grown) {
        b->rc = -1;
        return;
    }
    g->cache = grown;
    struct rl_cache *k = &g->cache[g->ncaches++];
    *k = (struct rl_cache){.kind = kind,
                           .layers = b->count,
                           .elems = elems,
                           .window = window,
                           .fixed = fixed,
                           .kv_heads = kv_heads};
    snprintf(k->label, sizeof k->label, "%s", label);
}

struct rl_block *rl_b_block(struct rl_build *b, enum rl_block_kind kind)
{
    struct rl_graph *g = b->g;

    b->scratch = (struct rl_block){.kind = kind};
    if (!emits(b))
        return &b->scratch;
    void *grown =
        rl_grow(g->block, &g->blocks_cap, g->nblocks + 1, sizeof *g->block, b->err);
    if (!grown) {
        b->rc = -1;
        return &b->scratch;
    }
    g->block = grown;
    g->block[g->nblocks] = (struct rl_block){.kind = kind, .count = b->count};
    return &g->block[g->nblocks++];
}

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

void rl_b_store_only(struct rl_build *b, const char *why, double n)
{
    size_t used = strlen(b->g->stored_why);

    if (b->rc || n == 0)
        return;
    b->g->stored_extra += n;
    snprintf(b->g->stored_why + used, sizeof b->g->stored_why - used, "%s%s %+.0f",
             used ? "; " : "", why, n);
}

void rl_b_resident_only(struct rl_build *b, enum rl_wclass w, double n)
{
    bool was = b->no_nodes;

    b->no_nodes = true;
    rl_b_params(b, w, n, false);
    b->no_nodes = was;
}

void rl_b_mark(struct rl_build *b, struct rl_mark *m)
{
    memcpy(m->resident, b->g->resident, sizeof m->resident);
    memcpy(m->split, b->g->resident_split, sizeof m->split);
    m->inactive = b->g->inactive;
    m->not_read = b->g->not_read;
    m->no_nodes = b->no_nodes;
    b->no_nodes = true;
}

void rl_b_file_only(struct rl_build *b, const struct rl_mark *m, const char *why)
{
    double n = 0;

    for (int i = 0; i < RL_NWCLASSES; i++)
        n += b->g->resident[i] - m->resident[i];
    memcpy(b->g->resident, m->resident, sizeof m->resident);
    memcpy(b->g->resident_split, m->split, sizeof m->split);
    b->g->inactive = m->inactive;
    b->g->not_read = m->not_read;
    b->no_nodes = m->no_nodes;
    rl_b_store_only(b, why, n);
}

void rl_b_shared(struct rl_build *b, const struct rl_mark *m)
{
    b->g->not_read = m->not_read;
    b->no_nodes = m->no_nodes;
}

/* The node's parameters in the smallest pass there is: one token. */
static int smallest_pass(const struct rl_build *b, const struct rl_node *n, double *p)
{
    for (int i = 0; n->op->param[i].name; i++) {
        const struct rl_arg *a = &n->arg[i];
        if (a->sym == RL_NSYMS)
            return rl_fail(b->err, RL_EVALUE, b->c->source, 0, "%s of '%s' has no '%s'",
                           n->op->name, n->label, n->op->param[i].name);
        p[i] = a->sym == RL_DT_STATE ? RL_DT_FP32 : a->sym >= RL_DT_W ? RL_DT_BF16 : a->k;
    }
    rl_op_finish(n->op, p);
    return 0;
}

/* An argument nobody set, or a shape that contradicts itself: a family's
 * mistake or a config that leads to one; either way no graph. */
static int check_node(const struct rl_build *b, const struct rl_node *n)
{
    double p[RL_MAXPARAMS];
    struct rl_error why = {0};

    if (smallest_pass(b, n, p) < 0)
        return -1;
    if (rl_op_check(n->op, p, &why) < 0)
        return rl_fail(b->err, RL_EVALUE, b->c->source, 0, "'%s' of this config: %s",
                       n->label, why.text);
    return 0;
}

int rl_b_close(struct rl_build *b)
{
    const struct rl_graph *g = b->g;

    for (size_t i = 0; i < g->nnodes && b->rc == 0; i++)
        b->rc = check_node(b, &g->node[i]);
    if (b->rc == 0 && g->nnodes == 0)
        b->rc = rl_fail(b->err, RL_EVALUE, b->c->source, 0, "the model has no layers");
    return b->rc;
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
