/* The builder's core: nodes, parameters, cache, blocks, and the check of what was
 * emitted.
 */
#include "build.h"

#include "err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

/* what is stored, and not run */

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

/* the check */

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
