/* Every zoo model on every device, at four contexts and two batches: no NaN,
 * no infinity, nothing negative, no time of zero, shares that add up, nulls
 * only where the CONTRACT allows them. */
#include "device.h"
#include "memory.h"
#include "model.h"
#include "path.h"
#include "plan.h"
#include "rooflint.h"

#include "test.h"

#include <stdio.h>

struct counts {
    long queries, conflicts;
    char first[2048]; /* the first thing wrong */
};

static void wrong(struct counts *n, const struct rl_plan *pl, const struct rl_query *q,
                  const char *what, double v)
{
    if (!*n->first)
        snprintf(n->first, sizeof n->first, "%s on %s (%s), ctx %g batch %g: %s = %g",
                 pl->model->id, pl->device->id, pl->runtime->id, q->ctx, q->batch, what, v);
}

static void positive(struct counts *n, const struct rl_plan *pl, const struct rl_query *q,
                     const char *what, double v)
{
    if (!(isfinite(v) && v > 0))
        wrong(n, pl, q, what, v);
}

static void check_interval(struct counts *n, const struct rl_plan *pl,
                           const struct rl_query *q, const char *what,
                           const struct rl_interval *i)
{
    positive(n, pl, q, what, i->value);
    positive(n, pl, q, what, i->lo);
    if (!(i->lo <= i->value * 1.0000001 && i->value <= i->hi * 1.0000001 &&
          isfinite(i->hi)))
        wrong(n, pl, q, what, i->hi);
}

static void check_shares(struct counts *n, const struct rl_plan *pl,
                         const struct rl_query *q, const double *share)
{
    double sum = 0;
    for (int i = 0; i < RL_NCLASSES; i++) {
        if (!(share[i] >= 0 && share[i] <= 1.0000001))
            wrong(n, pl, q, rl_class_name((enum rl_class)i), share[i]);
        sum += share[i];
    }
    if (fabs(sum - 1) > 1e-9)
        wrong(n, pl, q, "sum of shares", sum);
}

static void check_memory(struct counts *n, const struct rl_plan *pl,
                         const struct rl_query *q, const struct rl_prediction *p)
{
    const struct rl_memory *m = &p->memory;
    const double part[] = {m->kv_cache, m->state,    m->activations,
                           m->logits,   m->workspace, m->runtime};
    double sum = m->weights;

    positive(n, pl, q, "weights", m->weights);
    positive(n, pl, q, "capacity", m->capacity);
    for (int i = 0; i < 6; i++)
        if (!(isfinite(part[i]) && part[i] >= 0))
            wrong(n, pl, q, "a part of the memory", part[i]);
    for (int i = 0; i < 5; i++)
        sum += part[i];
    if (fabs(sum - m->total) > 1)
        wrong(n, pl, q, "total - sum of parts", m->total - sum);
    if (m->reserved < m->total)
        wrong(n, pl, q, "reserved", m->reserved);
    if (p->fits != (m->reserved + m->runtime <= m->capacity))
        wrong(n, pl, q, "fits", p->fits);
    if (isfinite(p->max_ctx) && (p->max_ctx >= q->ctx) != p->fits)
        wrong(n, pl, q, "max_ctx against fits", p->max_ctx);
    if (isfinite(p->max_ctx) && p->max_ctx_allocated < p->max_ctx)
        wrong(n, pl, q, "max_ctx_allocated", p->max_ctx_allocated);
}

static void check_one(struct counts *n, const struct rl_plan *pl, const struct rl_query *q)
{
    struct rl_prediction p;
    struct rl_error err = {0};

    n->queries++;
    if (rl_predict(pl, q, &p, &err)) {
        wrong(n, pl, q, err.text, 0);
        return;
    }
    check_interval(n, pl, q, "ttft", &p.ttft_s);
    check_interval(n, pl, q, "e2e", &p.e2e_s);
    positive(n, pl, q, "speed of light ttft", p.sol_ttft_s);
    check_shares(n, pl, q, p.share_prefill);
    check_memory(n, pl, q, &p);
    if (pl->model->graph.has_decode) {
        check_interval(n, pl, q, "tpot", &p.tpot_s);
        positive(n, pl, q, "decode rate", p.decode_tokens_per_s);
        positive(n, pl, q, "speed of light tpot", p.sol_tpot_s);
        check_shares(n, pl, q, p.share_decode);
    } else if (!isnan(p.tpot_s.value)) {
        wrong(n, pl, q, "tpot of a model without decode", p.tpot_s.value);
    }
}

static void check_pair(struct counts *n, const struct rl_kernel_db *db,
                       const struct rl_device *d, const struct rl_model *m)
{
    static const double ctx[] = {1024, 32768, 131072, 1048576}, batch[] = {1, 64};
    struct rl_error err = {0};
    struct rl_runtime *r = rl_runtime_load(source_dir(), NULL, d, &err);
    struct rl_plan *pl = r ? rl_plan_bind(db, d, m, r, NULL, &err) : NULL;

    if (!pl && !*n->first)
        snprintf(n->first, sizeof n->first, "%s on %s: %s", m->id, d->id, err.text);
    for (int i = 0; pl && i < 4; i++)
        for (int k = 0; k < 2; k++) {
            struct rl_query q = {.ctx = ctx[i], .batch = batch[k], .output_tokens = 128};
            check_one(n, pl, &q);
        }
    rl_plan_free(pl);
    rl_runtime_free(r);
}

Test(grid, every_model_on_every_device, .timeout = 240)
{
    struct rl_error err = {0};
    struct counts n = {0};
    char **models, **devices;
    int nm, nd;
    struct rl_kernel_db *db = rl_kernel_db_load(source_dir(), &err);

    cr_assert(db != NULL, "%s", err.text);
    cr_assert(rl_model_list(source_dir(), &models, &nm, &err) == 0, "%s", err.text);
    cr_assert(rl_device_list(source_dir(), &devices, &nd, &err) == 0, "%s", err.text);
    cr_assert(nm >= 141 && nd >= 95, "%d models, %d devices", nm, nd);
    struct rl_device **dev = calloc((size_t)nd, sizeof(struct rl_device *));
    for (int i = 0; i < nd; i++) {
        dev[i] = rl_device_load(source_dir(), devices[i], &err);
        cr_assert(dev[i] != NULL, "%s", err.text);
    }
    for (int k = 0; k < nm; k++) {
        struct rl_model *m = rl_model_load(source_dir(), models[k], &err);
        cr_assert(m != NULL, "%s: %s", models[k], err.text);
        for (int i = 0; i < nd; i++)
            check_pair(&n, db, dev[i], m);
        rl_model_free(m);
    }
    for (int i = 0; i < nd; i++)
        rl_device_free(dev[i]);
    free(dev);
    rl_free_names(models, nm);
    rl_free_names(devices, nd);
    rl_kernel_db_free(db);
    cr_assert(!*n.first, "%s", n.first);
    cr_assert(n.queries == 8L * nm * nd, "%ld queries", n.queries);
}
