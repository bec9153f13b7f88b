/* Binding: graph × device × runtime × number formats -> plan. */
#include "plan.h"
#include "err.h"
#include "kern_impl.h"
#include "ops.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rl_plan_note(struct rl_plan *pl, const char *fmt, ...)
{
    char text[sizeof pl->note[0]];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (int i = 0; i < pl->nnotes; i++)
        if (!strcmp(pl->note[i], text))
            return;
    if (pl->nnotes < RL_MAXNOTES)
        memcpy(pl->note[pl->nnotes++], text, sizeof text);
}

bool rl_all_logits(const struct rl_plan *pl, const struct rl_query *q)
{
    return q->logits == RL_LOGITS_ALL ||
           (q->logits == RL_LOGITS_RUNTIME && pl->logits_all);
}

/* number formats */

static bool is_llamacpp(const struct rl_runtime *r)
{
    return !strncmp(r->id, "llamacpp", 8);
}

static bool is_block_format(enum rl_dtype dt)
{
    return dt >= RL_DT_Q8_0;
}

static int parse_dtype(const char *option, const char *name, enum rl_dtype fallback,
                       enum rl_dtype *out, struct rl_error *err)
{
    int dt = name ? rl_dtype_parse(name) : (int)fallback;
    if (dt < 0)
        return rl_fail(err, RL_ENAME, option, 0, "unknown dtype '%s'", name);
    *out = (enum rl_dtype)dt;
    return 0;
}

/* What the activations are kept in beside weights of this format. */
static enum rl_dtype activation_dtype(const struct rl_plan *pl, enum rl_dtype w)
{
    if (w == RL_DT_FP32 || w == RL_DT_TF32)
        return RL_DT_FP32;
    if (w == RL_DT_FP16 || is_llamacpp(pl->runtime))
        return RL_DT_FP16;
    return RL_DT_BF16;
}

/* llama.cpp's file mixes: the output matrix one step finer than the rest. */
static enum rl_dtype head_dtype(enum rl_dtype w, enum rl_dtype act)
{
    if (!is_block_format(w))
        return act;
    return w == RL_DT_Q8_0 ? RL_DT_Q8_0 : RL_DT_Q6_K;
}

static enum rl_dtype default_dtype(const struct rl_plan *pl)
{
    const struct rl_graph *g = &pl->model->graph;
    if (pl->model->gguf_dtype != RL_DT_NONE)
        return pl->model->gguf_dtype;
    if (g->quant[RL_W_LINEAR] != RL_DT_NONE)
        return g->quant[RL_W_LINEAR];
    if (g->quant[RL_W_EXPERT] != RL_DT_NONE)
        return g->quant[RL_W_EXPERT];
    return is_llamacpp(pl->runtime) || g->stored_dtype == RL_DT_FP16 ? RL_DT_FP16
                                                                     : RL_DT_BF16;
}

static int bind_dtypes(struct rl_plan *pl, struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;
    const struct rl_setup *s = &pl->setup;
    bool state32 = !strcmp(rl_runtime_str(pl->runtime, "state_dtype", "act"), "fp32");
    enum rl_dtype state = state32 ? RL_DT_FP32 : g->state_dtype;

    if (parse_dtype("--dtype", s->dtype, default_dtype(pl), &pl->dtype, err))
        return -1;
    if (is_block_format(pl->dtype) && !is_llamacpp(pl->runtime) &&
        strcmp(pl->runtime->id, "ideal"))
        return rl_fail(err, RL_ECONFLICT, "--dtype", 0,
                       "'%s' is a llama.cpp format, runtime '%s' does not read it",
                       rl_dtype(pl->dtype)->name, pl->runtime->name);
    pl->act = activation_dtype(pl, pl->dtype);
    if (parse_dtype("--kv-dtype", s->kv_dtype, pl->act, &pl->kv, err) ||
        parse_dtype("--state-dtype", s->state_dtype,
                    state != RL_DT_NONE ? state : pl->act, &pl->state, err))
        return -1;
    if (!s->state_dtype && g->state_dtype != RL_DT_NONE)
        pl->state = g->state_dtype;

    bool own = s->dtype == NULL; /* the checkpoint's own mix */
    for (int c = 0; c < RL_NWCLASSES; c++)
        pl->wdtype[c] = pl->act;
    pl->wdtype[RL_W_LINEAR] = pl->wdtype[RL_W_EXPERT] = pl->dtype;
    pl->wdtype[RL_W_HEAD] = head_dtype(pl->dtype, pl->act);
    pl->wdtype[RL_W_EMBED] = is_block_format(pl->dtype) ? pl->dtype : pl->act;
    if (g->tied && is_block_format(pl->dtype)) /* the table is the output matrix */
        pl->wdtype[RL_W_EMBED] = pl->wdtype[RL_W_HEAD];
    for (int c = 0; own && c < RL_NWCLASSES; c++)
        if (g->quant[RL_W_LINEAR] != RL_DT_NONE || g->quant[RL_W_EXPERT] != RL_DT_NONE)
            pl->wdtype[c] = g->quant[c] != RL_DT_NONE ? g->quant[c] : pl->act;
    snprintf(pl->dtype_name, sizeof pl->dtype_name, "%s", rl_dtype(pl->dtype)->name);
    return 0;
}

static void note_dtype_fallback(struct rl_plan *pl)
{
    enum rl_unit want = rl_dtype(pl->dtype)->unit;
    enum rl_unit got = rl_device_unit(pl->device, want);
    if (got != want)
        rl_plan_note(pl, "%s has no %s rate: %s runs at its %s rate", pl->device->id,
                     rl_unit_name(want), rl_dtype(pl->dtype)->name, rl_unit_name(got));
}

/* nodes */

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
    int window = rl_op_param(n->op, "window");

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
    if (n->fusable && glue_num(pl, "fused", glue, "", 0) > 0)
        b->launches[0] = b->launches[1] = 0;
    for (int ph = 0; ph < 2; ph++) {
        double host = glue_num(pl, "host", glue, "", b->launches[ph]);
        host = glue_num(pl, "host", glue, ph ? ".decode" : ".prefill", host);
        b->host[ph] = b->launches[ph] > 0 ? host : 0;
    }
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

/* dtype parameters of an operator call, for the choice of coefficients */
static void call_dtypes(const struct rl_bound_node *b, enum rl_dtype *dt,
                        enum rl_dtype *kv)
{
    int i = rl_op_param(b->op, "dtype"), k = rl_op_param(b->op, "kv_dtype");
    if (k < 0)
        k = rl_op_param(b->op, "state_dtype");
    *dt = i >= 0 ? (enum rl_dtype)(int)b->p[i] : RL_DT_NONE;
    *kv = k >= 0 ? (enum rl_dtype)(int)b->p[k] : RL_DT_NONE;
}

/* Rows coef.<op>.<name>[@<device>|@sm<cc>] of the runtime: coefficients that
 * whole runs on a device told, where no rows of the operator were measured. */
static void apply_row(const struct rl_plan *pl, const struct rl_op_type *op, int row,
                      struct rl_choice *c)
{
    const char *key = pl->runtime->key[row] + 5, *at = strchr(key, '@');
    size_t n = strlen(op->name);
    char sm[16];

    snprintf(sm, sizeof sm, "sm%d", pl->machine.cc);
    if (strncmp(key, op->name, n) || key[n] != '.')
        return;
    if (at && strcmp(at + 1, pl->device->id) && strcmp(at + 1, sm))
        return;
    key += n + 1;
    size_t len = at ? (size_t)(at - key) : strlen(key);
    for (int i = 0; op->coef[i].name; i++)
        if (strlen(op->coef[i].name) == len && !strncmp(op->coef[i].name, key, len))
            c->coef[i] = atof(pl->runtime->value[row]);
}

/* The stack's own kernels where it has some (ggml), else those known for it. */
static void choose(const struct rl_plan *pl, const struct rl_kernel_db *db,
                   const struct rl_op_type *op, const char *glue, enum rl_dtype dt,
                   enum rl_dtype kv, struct rl_choice *c)
{
    const char *all = rl_runtime_str(pl->runtime, "impl.all", NULL);
    const struct rl_impl *impl = rl_impl_find(all, op, pl->device->is_cpu);

    if (impl) {
        rl_choose_impl(impl, pl->runtime, glue, dt, c);
        return;
    }
    rl_choose(db, pl->device, pl->runtime, op, NULL, dt, kv, c);
    for (int i = 0; op->coef && i < pl->runtime->nrows; i++)
        if (!strncmp(pl->runtime->key[i], "coef.", 5))
            apply_row(pl, op, i, c);
}

/* Stacks without a flash kernel keep the scores in memory: always, or from the
 * length at which they build a dense mask. */
static void bind_alternative(struct rl_plan *pl, const struct rl_kernel_db *db,
                             struct rl_bound_node *b, enum rl_dtype dt, enum rl_dtype kv)
{
    bool attention =
        b->op == &rl_op_attention_prefill || b->op == &rl_op_attention_decode;
    bool flash = rl_runtime_num(pl->runtime, "attn.flash", 1) > 0;
    bool masks = rl_runtime_num(pl->runtime, "mask.sliding_window", 0) > 0;

    if (pl->setup.flash >= 0)
        flash = pl->setup.flash > 0;
    if (!attention || (flash && !(masks && pl->model->graph.mask_from > 0)))
        return;
    b->alt = flash ? &rl_op_attention_masked : &rl_op_attention_scores;
    b->alt_from = flash ? pl->model->graph.mask_from : 0;
    if (!flash)
        b->p[RL_ATT_SCORE_BYTES] = pl->score_bytes;
    choose(pl, db, b->alt, NULL, dt, kv, &b->alt_choice);
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
            b->on_cache = true;
        }
}

/* The choice of an earlier node that asks the same; NULL: none does. */
static const struct rl_choice *chosen_before(const struct rl_plan *pl,
                                             const struct rl_node *n, enum rl_dtype dt,
                                             enum rl_dtype kv)
{
    for (int i = 0; i < pl->nnodes; i++) {
        const struct rl_bound_node *b = &pl->node[i];
        const char *glue = b->node->glue;
        enum rl_dtype bdt, bkv;
        bool same_glue = glue && n->glue ? !strcmp(glue, n->glue) : glue == n->glue;
        if (b->op != n->op || !same_glue)
            continue;
        call_dtypes(b, &bdt, &bkv);
        if (bdt == dt && bkv == kv)
            return &b->choice;
    }
    return NULL;
}

static int bind_node(struct rl_plan *pl, const struct rl_kernel_db *db,
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
    call_dtypes(b, &dt, &kv);
    const struct rl_choice *chosen = chosen_before(pl, n, dt, kv);
    if (chosen)
        b->choice = *chosen;
    else
        choose(pl, db, n->op, n->glue, dt, kv, &b->choice);
    b->chain &= !b->choice.impl;
    b->plain = !b->choice.impl && !(n->op->coef && n->op->time);
    bind_alternative(pl, db, b, dt, kv);
    bind_cache_growth(pl, b);
    b->group = group_of(pl, pl->nnodes);
    pl->nnodes++;
    return 0;
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
}

/* the software stack */

static int check_match(const struct rl_plan *pl, struct rl_error *err)
{
    const struct rl_runtime *r = pl->runtime;
    const struct rl_device *d = pl->device;
    const char *vendors = rl_runtime_str(r, "vendor", NULL);
    const char *types = rl_runtime_str(r, "model", NULL);
    double cpu = rl_runtime_num(r, "cpu", -1);
    double cc = d->compute_capability ? atof(d->compute_capability) : 0;

    if (cpu >= 0 && (cpu > 0) != (d->is_cpu != 0))
        return rl_fail(err, RL_ECONFLICT, NULL, 0, "runtime '%s' runs on %s, '%s' is %s",
                       r->name, cpu > 0 ? "CPUs" : "GPUs", d->id,
                       d->is_cpu ? "a CPU" : "a GPU");
    if (vendors && !rl_word_in(vendors, d->vendor))
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "runtime '%s' runs on %s devices, '%s' is by %s", r->name, vendors,
                       d->id, d->vendor);
    if (!strcmp(d->vendor, "NVIDIA") && !d->is_cpu && cc < rl_runtime_num(r, "cc_min", 0))
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "runtime '%s' needs compute capability %s, '%s' has %s", r->name,
                       rl_runtime_str(r, "cc_min", "?"), d->id, d->compute_capability);
    if (types && !rl_word_in(types, pl->model->graph.model_type))
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "runtime '%s' runs models of type %s, '%s' is '%s'", r->name,
                       types, pl->model->id, pl->model->graph.model_type);
    return 0;
}

static void bind_runtime(struct rl_plan *pl)
{
    const struct rl_runtime *r = pl->runtime;
    const char *graph = rl_runtime_str(r, "graph", "none");
    double host_factor = rl_runtime_num(r, "host.launch_factor", 1);

    pl->ideal = !strcmp(r->id, "ideal");
    pl->graph_prefill = !strcmp(graph, "all");
    pl->graph_decode = pl->graph_prefill || !strcmp(graph, "decode");
    pl->host_launch_s = pl->device->host_launch_s.v * host_factor;
    pl->step_launches[0] = rl_runtime_num(r, "step.launches.prefill", 0);
    pl->step_launches[1] = rl_runtime_num(r, "step.launches.decode", 0);
    pl->step_host_s[0] = 1e-6 * rl_runtime_num(r, "step.host_us.prefill", 0);
    pl->step_host_s[1] = 1e-6 * rl_runtime_num(r, "step.host_us.decode", 0);
    pl->chunk = pl->setup.ubatch > 0 ? pl->setup.ubatch : rl_runtime_num(r, "chunk", 0);
    pl->overlap = rl_runtime_num(r, "overlap", 6);
    pl->spread[0] = rl_runtime_num(r, "spread.prefill", 0.2);
    pl->spread[1] = rl_runtime_num(r, "spread.decode", 0.2);
    pl->logits_all = !strcmp(rl_runtime_str(r, "logits", "last"), "all");
    pl->split.stage = rl_runtime_num(r, "split.stage", 0);
    pl->split.hop_s = 1e-6 * rl_runtime_num(r, "split.hop_us", 0);
    pl->split.queue = rl_runtime_num(r, "split.queue", 0);
    if (pl->setup.devices > 1) /* graphs cover one device */
        pl->graph_prefill = pl->graph_decode = false;
    pl->score_bytes = rl_runtime_num(r, "attn.score_bytes", 24);
}

static void bind_memory(struct rl_plan *pl)
{
    const struct rl_runtime *r = pl->runtime;
    const double mib = 1048576;

    pl->mem.spread_allocated = rl_runtime_num(r, "spread.allocated", 0.1);
    pl->mem.spread_reserved = rl_runtime_num(r, "spread.reserved", 0.2);
    pl->mem.kv_block = rl_runtime_num(r, "kv.block", 1);
    pl->mem.slack = rl_runtime_num(r, "alloc.slack", 0);
    pl->mem.round = mib * rl_runtime_num(r, "alloc.round_mib", 0);
    pl->mem.workspace = mib * rl_runtime_num(r, "mem.workspace_mib", 0);
    pl->mem.context = mib * rl_runtime_num(r, "mem.context_mib", 0);
    pl->mem.utilisation = rl_runtime_num(r, "mem.utilisation", 1);
    pl->mem.eager = rl_runtime_num(r, "mem.eager", 0) > 0;
    pl->mem.act_bytes = rl_runtime_num(r, "act.bytes", rl_dtype_bytes(pl->act));
    pl->mem.upcast = rl_runtime_num(r, "logits.upcast", 0) > 0;
}

/* n cores do the work of n^0.93: ggml's matrix products, attention and copies at 2
 * threads against 1 on a Zen 4 guest, 1.85 to 1.95. */
static const double CORE_SCALING = 0.93;

/* Cores at work: their share of every rate, and what they can draw from DRAM. */
static void use_threads(struct rl_machine *m, const struct rl_device *d, int threads)
{
    double n = threads > 0 && threads < m->sm ? threads : m->sm;
    double share = pow(n, CORE_SCALING) / m->sm, core = d->dram_core.v;

    if (!m->is_cpu)
        return;
    for (int u = 0; u < RL_NUNITS; u++) {
        m->peak[u] *= share;
        m->rate[u] *= share;
    }
    m->l2_bw *= share;
    m->sfu *= share;
    m->sm = pow(n, CORE_SCALING);
    if (core > 0 && d->dram_core.kind != RL_KIND_NONE)
        m->dram = pow(pow(n * core, -4) + pow(m->dram, -4), -0.25);
}

static int bind_all(struct rl_plan *pl, const struct rl_kernel_db *db,
                    struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;

    if (check_match(pl, err) || bind_dtypes(pl, err))
        return -1;
    rl_machine_init(&pl->machine, pl->device, pl->runtime, pl->setup.tp);
    use_threads(&pl->machine, pl->device, pl->setup.threads);
    pl->machine.warm = 0; /* a layer's operands have left L2 when it comes again */
    bind_runtime(pl);
    bind_memory(pl);
    if (rl_runtime_num(pl->runtime, "fused.projections", 0) > 0) {
        if (rl_graph_merge(g, &pl->merged, err))
            return -1;
        g = &pl->merged;
    }
    pl->node = rl_alloc(g->nnodes ? g->nnodes : 1, sizeof *pl->node, err);
    if (!pl->node)
        return -1;
    for (size_t i = 0; i < g->nnodes; i++)
        if (bind_node(pl, db, &g->node[i], err))
            return -1;
    rl_plan_prepare(pl);
    pl->memo = rl_memo_new(pl->nnodes, err);
    pl->longest = rl_longest_new(err);
    if (!pl->memo || !pl->longest)
        return -1;
    rl_plan_weights(pl);
    if (pl->runtime->is_default)
        rl_plan_note(pl, "no runtime given: %s is the usual one on this device",
                     pl->runtime->id);
    note_dtype_fallback(pl);
    return 0;
}

struct rl_plan *rl_plan_bind(const struct rl_kernel_db *db, const struct rl_device *d,
                             const struct rl_model *m, const struct rl_runtime *r,
                             const struct rl_setup *s, struct rl_error *err)
{
    static const struct rl_setup none = {.flash = -1};
    struct rl_plan *pl = rl_alloc(1, sizeof *pl, err);
    if (!pl)
        return NULL;
    pl->device = d;
    pl->model = m;
    pl->runtime = r;
    pl->setup = s ? *s : none;
    if (pl->setup.tp < 1)
        pl->setup.tp = 1;
    if (pl->setup.devices < 1)
        pl->setup.devices = 1;
    if (bind_all(pl, db, err)) {
        rl_plan_free(pl);
        return NULL;
    }
    return pl;
}

/* Operators whose kernel entries binding a graph may ask for. */
static bool is_asked(const struct rl_op_type *op, const void *graph)
{
    const struct rl_graph *g = graph;
    bool alternative = op == &rl_op_attention_masked || op == &rl_op_attention_scores;

    for (size_t i = 0; i < g->nnodes; i++)
        if (g->node[i].op == op)
            return true;
    return alternative;
}

struct rl_plan *rl_plan_new(const char *data, const struct rl_device *d,
                            const struct rl_model *m, const struct rl_runtime *r,
                            const struct rl_setup *s, struct rl_error *err)
{
    struct rl_kernel_db *db = rl_kernel_db_load_for(data, is_asked, &m->graph, err);
    struct rl_plan *pl = db ? rl_plan_bind(db, d, m, r, s, err) : NULL;
    if (pl)
        pl->own_db = db;
    else
        rl_kernel_db_free(db);
    return pl;
}

void rl_plan_free(struct rl_plan *pl)
{
    if (!pl)
        return;
    rl_kernel_db_free(pl->own_db);
    rl_graph_clear(&pl->merged);
    free(pl->longest);
    free(pl->memo);
    free(pl->node);
    free(pl);
}
