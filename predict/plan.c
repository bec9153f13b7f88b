/* Binding: graph × device × runtime × number formats -> plan. */
#include "kern_impl.h"
#include "plan_bind.h"

#include "err.h"
#include "memory.h"
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

/* n cores do the work of n^0.93: ggml's matrix products, attention and copies at 2
 * threads against 1 on a Zen 4 guest, 1.85 to 1.95. */
static const double CORE_SCALING = 0.93;

/* Cores at work: their share of every rate, and what they can draw from DRAM. */
static void use_threads(struct rl_machine *m, const struct rl_device *d, int threads)
{
    double n = threads > 0 && threads < m->sm ? threads : m->sm;
    double share = pow(n, CORE_SCALING) / m->sm;

    if (!m->is_cpu)
        return;
    for (int u = 0; u < RL_NUNITS; u++) {
        m->light[u] *= share;
        m->peak[u] *= share;
        m->rate[u] *= share;
    }
    m->l2_bw *= share;
    m->sfu *= share;
    m->sm = pow(n, CORE_SCALING);
    m->dram_cores = n * d->dram_core.v;
    m->dram = 1 / rl_join(1 / m->dram_cores, 1 / m->dram_channels, RL_CHANNEL_JOIN);
}

static int bind_all(struct rl_plan *pl, const struct rl_kernel_db *db,
                    struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;

    if (rl_runtime_check(pl->runtime, err) || rl_check_match(pl, err) ||
        rl_bind_dtypes(pl, err))
        return -1;
    rl_machine_init(&pl->machine, pl->device, pl->setup.tp);
    use_threads(&pl->machine, pl->device, pl->setup.threads);
    pl->machine.warm = 0; /* a layer's operands have left L2 when it comes again */
    rl_bind_runtime(pl);
    rl_bind_memory(pl);
    if (rl_runtime_num(pl->runtime, "fused.projections", 0) > 0) {
        if (rl_graph_merge(g, &pl->merged, err))
            return -1;
        g = &pl->merged;
    }
    pl->node = rl_alloc(g->nnodes ? g->nnodes : 1, sizeof *pl->node, err);
    if (!pl->node)
        return -1;
    for (size_t i = 0; i < g->nnodes; i++)
        if (rl_bind_node(pl, db, &g->node[i], err))
            return -1;
    rl_plan_prepare(pl);
    pl->memo = rl_memo_new(pl->nnodes, err);
    if (!pl->memo)
        return -1;
    rl_plan_weights(pl);
    if (rl_memory_bind(pl, err))
        return -1;
    if (pl->runtime->is_default)
        rl_plan_note(pl, "no runtime given: %s is the usual one on this device",
                     pl->runtime->id);
    rl_note_rates(pl);
    if (pl->setup.tp > 1 && pl->device->link.kind <= RL_KIND_PRIOR)
        rl_plan_note(pl,
                     "no figure of a link between several %s: collectives at %.3g GB/s",
                     pl->device->id, pl->machine.link / 1e9);
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
    bool alternative = op == &rl_op_attention_masked || op == &rl_op_attention_scores ||
                       op == &rl_op_attention_efficient;

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
    free(pl->mem.live);
    free(pl->mem.tensor);
    free(pl->mem.scores);
    free(pl->mem.kv_token);
    free(pl->memo);
    free(pl->node);
    free(pl);
}
