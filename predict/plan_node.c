/* One node of the graph bound: its sizes, how the stack launches it, and which kernel
 * with which coefficients runs it. */
#include "plan_bind.h"

#include "err.h"
#include "kern_impl.h"
#include "ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double symbol_dtype(const struct rl_plan *pl, const struct rl_node *n,
                           enum rl_sym sym)
{
    switch (sym) {
    case RL_DT_W:
        return pl->wdtype[n->wclass == RL_W_NONE ? RL_W_LINEAR : n->wclass];
    case RL_DT_KV:
        return pl->kv;
    case RL_DT_STATE:
        return pl->state;
    default:
        return pl->act;
    }
}

/* Constants go into p, sizes of the pass into var. */
static int bind_args(const struct rl_plan *pl, const struct rl_node *n,
                     struct rl_bound_node *b, struct rl_error *err)
{
    double tp = pl->setup.tp;
    int tp_arg = rl_op_param(n->op, "tp"), gpus = rl_op_param(n->op, "gpus");
    int window = rl_op_param(n->op, "window"), sink = rl_op_param(n->op, "sink");

    for (int i = 0; n->op->param[i].name; i++) {
        const struct rl_arg *a = &n->arg[i];
        bool split = n->split >> i & 1;
        if (a->sym == RL_ONE) {
            b->p[i] = split ? ceil(a->k / tp) : a->k;
        } else if (a->sym == RL_TP) {
            b->p[i] = tp;
        } else if (a->sym >= RL_DT_W) {
            b->p[i] = symbol_dtype(pl, n, a->sym);
        } else {
            if (b->nvars == RL_MAXVARS)
                return rl_fail(err, RL_EVALUE, n->label, 0,
                               "more than %d sizes vary with the pass", RL_MAXVARS);
            b->var[b->nvars].index = (unsigned char)i;
            b->var[b->nvars].sym = (unsigned char)a->sym;
            b->var[b->nvars].split = split;
            b->var[b->nvars++].k = a->k;
            b->on_cache |= a->sym == RL_S || a->sym == RL_TS;
        }
    }
    if (n->op == &rl_op_gemm)
        b->p[RL_GEMM_DTYPE] =
            rl_row_dtype((enum rl_dtype)b->p[RL_GEMM_DTYPE], b->p[RL_GEMM_K]);
    if (tp_arg >= 0 && pl->setup.tp > 1)
        b->p[tp_arg] = tp;
    if (gpus >= 0)
        b->p[gpus] = tp;
    b->window = window >= 0 ? b->p[window] : 0;
    if (b->window > 0 && sink >= 0)
        b->window += b->p[sink]; /* full when those kept always are in as well */
    return 0;
}

static double glue_num(const struct rl_plan *pl, const char *what, const char *glue,
                       const char *phase, double fallback)
{
    char key[80];
    snprintf(key, sizeof key, "%s.%s%s", what, glue, phase);
    return rl_runtime_num(pl->runtime, key, fallback);
}

/* Launches per call and traffic, as the runtime has them. */
static void bind_stack(const struct rl_plan *pl, struct rl_bound_node *b)
{
    const struct rl_node *n = b->node;
    const char *glue = n->glue ? n->glue : n->op->name;
    struct rl_work w = {0};
    double p[RL_MAXPARAMS];
    struct rl_pass one = {1, 1, 1, 1, 1};

    rl_node_params(pl, b, &one, p);
    n->op->work(p, &w);
    double fused = w.launches > 0 ? w.launches : 1;
    double both = glue_num(pl, "launches", glue, "", fused);
    b->launches[0] = glue_num(pl, "launches", glue, ".prefill", both);
    b->launches[1] = glue_num(pl, "launches", glue, ".decode", both);
    if (n->op == &rl_op_gemm && p[RL_GEMM_DTYPE] >= RL_DT_Q8_0)
        b->launches[0] += rl_runtime_num(pl->runtime, "launches.unpack", 0);
    if ((n->fusable && glue_num(pl, "fused", glue, "", 0) > 0) ||
        (n->torch_only && rl_runtime_num(pl->runtime, "mem.eager", 0) <= 0))
        b->launches[0] = b->launches[1] = 0;
    for (int ph = 0; ph < 2; ph++) {
        double host = glue_num(pl, "host", glue, "", b->launches[ph]);
        host = glue_num(pl, "host", glue, ph ? ".decode" : ".prefill", host);
        b->host[ph] = b->launches[ph] > 0 ? host : 0;
    }
    for (int ph = 0; n->op->coef && ph < 2; ph++)
        b->beside[ph] = fmax(0, b->launches[ph] - fused);
    b->traffic = glue_num(pl, "bytes", glue, "", 1);
    b->chain = !n->op->coef && (b->traffic != 1 || b->launches[0] > fused);
}

static int group_of(const struct rl_plan *pl, int upto)
{
    int groups = 0;
    for (int i = 0; i < upto; i++) {
        if (pl->node[i].op == pl->node[upto].op)
            return pl->node[i].group;
        if (pl->node[i].group >= groups)
            groups = pl->node[i].group + 1;
    }
    return groups < RL_MAXGROUPS ? groups : RL_MAXGROUPS - 1;
}

/* Rows coef.<op>.<name>[@<device>|@sm<cc>] of the runtime: coefficients that
 * whole runs on a device told, where no rows of the operator were measured. */
static void apply_row(const struct rl_plan *pl, const struct rl_op_type *op, int row,
                      int level, struct rl_choice *c)
{
    const char *key = pl->runtime->key[row] + 5, *at = strchr(key, '@');
    size_t n = strlen(op->name);
    char sm[16];

    rl_capability_name(pl->machine.cc, sm, sizeof sm);
    if (strncmp(key, op->name, n) || key[n] != '.')
        return;
    int found = !at                               ? 0
                : !strcmp(at + 1, sm)             ? 1
                : !strcmp(at + 1, pl->device->id) ? 2
                                                  : 3;
    if (found != level)
        return;
    key += n + 1;
    size_t len = at ? (size_t)(at - key) : strlen(key);
    for (int i = 0; op->coef[i].name; i++) {
        if (strlen(op->coef[i].name) != len || strncmp(op->coef[i].name, key, len))
            continue;
        c->coef[i] = atof(pl->runtime->value[row]);
        if (at) /* what is left of its error is in the spread of those runs */
            c->log_lo = c->log_hi = 0;
    }
}

/* The stack's own kernels where it has some (ggml), else those known for it. */
static void choose(const struct rl_plan *pl, const struct rl_kernel_db *db,
                   const struct rl_op_type *op, const char *glue, const char *impl_name,
                   enum rl_dtype dt, enum rl_dtype kv, struct rl_choice *c)
{
    const char *all = rl_runtime_str(pl->runtime, "impl.all", NULL);
    const struct rl_impl *impl = rl_impl_find(all, op, pl->device->is_cpu);

    if (impl) {
        rl_choose_impl(impl, pl->runtime, pl->machine.cc, glue, dt, c);
        return;
    }
    rl_choose(db, pl->device, pl->runtime, op, impl_name, dt, kv, c);
    for (int level = 0; op->coef && level < 3; level++) /* the device's own last */
        for (int i = 0; i < pl->runtime->nrows; i++)
            if (!strncmp(pl->runtime->key[i], "coef.", 5))
                apply_row(pl, op, i, level, c);
}

/* DynamicCache: torch.cat writes the whole cache anew at every decode step. */
static void bind_cache_growth(struct rl_plan *pl, struct rl_bound_node *b)
{
    bool append = b->op == &rl_op_kv_append && (b->phase & RL_DECODE);

    if (!append || !(rl_runtime_num(pl->runtime, "kv.cat", 0) > 0))
        return;
    for (int i = 0; i < b->nvars; i++)
        if (b->var[i].sym == RL_T) {
            b->var[i].sym = RL_TS;
            b->on_cache = b->grown = true;
        }
}

/* The choice of an earlier node that asks the same as the one being bound; NULL: none
 * does. */
static const struct rl_choice *chosen_before(const struct rl_plan *pl, enum rl_dtype dt,
                                             enum rl_dtype kv)
{
    const struct rl_bound_node *now = &pl->node[pl->nnodes];
    const struct rl_node *n = now->node;

    for (int i = 0; i < pl->nnodes; i++) {
        const struct rl_bound_node *b = &pl->node[i];
        const char *glue = b->node->glue;
        enum rl_dtype bdt, bkv;
        bool same_glue = glue && n->glue ? !strcmp(glue, n->glue) : glue == n->glue;
        if (b->op != n->op || !same_glue || b->attn != now->attn)
            continue;
        rl_op_dtypes(b->op, b->p, &bdt, &bkv);
        if (bdt == dt && bkv == kv)
            return &b->choice;
    }
    return NULL;
}

int rl_bind_node(struct rl_plan *pl, const struct rl_kernel_db *db,
                 const struct rl_node *n, struct rl_error *err)
{
    struct rl_bound_node *b = &pl->node[pl->nnodes];
    enum rl_dtype dt, kv;

    if (n->cls == RL_CLS_COMM && pl->setup.tp <= 1)
        return 0;
    b->node = n;
    b->op = n->op;
    b->phase = n->phase;
    if (bind_args(pl, n, b, err))
        return -1;
    bind_stack(pl, b);
    rl_op_dtypes(b->op, b->p, &dt, &kv);
    if (rl_bind_attention(pl, b, dt, err))
        return -1;
    const struct rl_choice *chosen = chosen_before(pl, dt, kv);
    if (chosen)
        b->choice = *chosen;
    else
        choose(pl, db, n->op, n->glue, b->attn ? b->attn->impl : NULL, dt, kv,
               &b->choice);
    b->chain &= !b->choice.impl;
    b->plain = !b->choice.impl && !(n->op->coef && n->op->time);
    rl_bind_alternative(pl, b);
    if (b->alt)
        choose(pl, db, b->alt, NULL, NULL, dt, kv, &b->alt_choice);
    bind_cache_growth(pl, b);
    rl_bind_repeat(pl, b);
    b->group = group_of(pl, pl->nnodes);
    pl->nnodes++;
    return 0;
}

/* A window that no key has left is none to the kernels: FlashAttention's interface drops
 * one as long as the keys, TensorRT-LLM's takes the smaller of the two.  Mistral-7B's of
 * 4,096 costs nothing in recorded runs of up to 4,096 tokens. */
static void drop_window(double *p)
{
    if (p[RL_ATT_KV_LEN] <= p[RL_ATT_WINDOW] + p[RL_ATT_SINK])
        p[RL_ATT_WINDOW] = p[RL_ATT_SINK] = 0;
}

void rl_node_params(const struct rl_plan *pl, const struct rl_bound_node *b,
                    const struct rl_pass *pass, double *p)
{
    memcpy(p, b->p, sizeof b->p);
    for (int i = 0; i < b->nvars; i++) {
        double k = b->var[i].k, v;
        switch ((enum rl_sym)b->var[i].sym) {
        case RL_T:
            v = k * pass->batch * pass->tokens;
            break;
        case RL_B:
            v = k * pass->batch;
            break;
        case RL_L:
            v = k * pass->tokens;
            break;
        case RL_S:
            v = k * pass->cached;
            break;
        case RL_R:
            v = k * pass->rows;
            break;
        case RL_TS:
            v = k * pass->batch * pass->cached;
            break;
        case RL_X:
            v = k * pass->enc;
            break;
        default:
            v = k * pass->batch * pass->enc;
            break;
        }
        p[b->var[i].index] = b->var[i].split ? ceil(v / pl->setup.tp) : v;
    }
    if (b->window > 0) /* of attention alone */
        drop_window(p);
}
