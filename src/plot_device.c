/* Plots of devices.  `ceilings`: what a device's sheet promises and what was
 * measured, with intervals.  `concurrency`: tokens per joule and per dollar at
 * the largest batch that fits. */
#include "device_rows.h"
#include "err.h"
#include "path.h"
#include "plot.h"
#include "values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ceilings */

/* What was put last: values of one ceiling share its place on the axis. */
struct last {
    char panel[16];
    const char *what;
    int place; /* 1, 2, … in each panel */
};

static void ceiling(struct rl_plot_job *j, struct last *last, const char *panel,
                    const char *device, const char *what, const struct rl_value *v)
{
    bool first = strcmp(panel, last->panel) || !last->what || strcmp(what, last->what);

    if (!(v->v > 0) || v->kind == RL_KIND_NONE)
        return;
    if (strcmp(panel, last->panel))
        last->place = 0;
    last->place += first;
    last->what = what;
    snprintf(last->panel, sizeof last->panel, "%s", panel);
    rl_plot_text(j, panel);
    rl_plot_text(j, device);
    rl_plot_text(j, what);
    rl_plot_text(j, rl_kind_name(v->kind));
    rl_plot_num(j, v->v);
    rl_plot_num(j, v->lo > 0 ? v->lo : v->v);
    rl_plot_num(j, v->hi > 0 ? v->hi : v->v);
    rl_plot_num(j, last->place);
    rl_plot_num(j, first);
    rl_plot_end(j);
}

static void bandwidths(struct rl_plot_job *j, struct last *l, const struct rl_device *d)
{
    ceiling(j, l, "bandwidth", d->id, "DRAM", &d->dram_peak);
    ceiling(j, l, "bandwidth", d->id, "DRAM", &d->dram);
    if (d->is_cpu)
        ceiling(j, l, "bandwidth", d->id, "core", &d->dram_core);
    ceiling(j, l, "bandwidth", d->id, d->is_cpu ? "LLC" : "L2", &d->l2);
    ceiling(j, l, "bandwidth", d->id, "link", &d->link);
    ceiling(j, l, "bandwidth", d->id, "PCIe", &d->pcie_bw);
    l->what = NULL; /* the next device has a DRAM of its own */
}

static void rates(struct rl_plot_job *j, struct last *l, const struct rl_device *d)
{
    for (int u = 0; u < RL_NUNITS; u++)
        if (d->peak[u].kind != RL_KIND_NONE) {
            const char *name = rl_unit_name((enum rl_unit)u);
            ceiling(j, l, "compute", d->id, name, &d->peak[u]);
            ceiling(j, l, "compute", d->id, name, &d->rate[u]);
        }
    l->what = NULL;
}

static int device_names(struct rl_plot_job *j, char ***name, int *n, struct rl_error *err)
{
    const char *hw = rl_plot_arg(j, "hw");
    char **known = NULL;
    int nknown = 0;

    if (!hw)
        return rl_fail(err, RL_EVALUE, NULL, 0, "this plot needs --hw");
    if (rl_device_list(j->args->data, &known, &nknown, err))
        return -1;
    int rc = rl_names_parse("hw", hw, known, nknown, name, n, err);
    rl_free_names(known, nknown);
    return rc;
}

int rl_plot_ceilings(struct rl_plot_job *j, struct rl_error *err)
{
    char **name = NULL;
    int n = 0, rc = device_names(j, &name, &n, err);
    struct last last = {.what = NULL};

    fputs("panel,device,ceiling,type,value,lo,hi,place,first\n", j->csv);
    for (int k = 0; k < 2; k++)
        for (int i = 0; !rc && i < n; i++) {
            struct rl_device *d = rl_command_device(j->args->data, name[i], err);
            if (d)
                (k ? rates : bandwidths)(j, &last, d);
            rc = d ? 0 : -1;
            rl_device_free(d);
        }
    rl_free_names(name, n);
    return rc;
}

/* concurrency */

static bool fits(const struct rl_plot_side *s, struct rl_query *q, double batch,
                 struct rl_prediction *p)
{
    q->batch = batch;
    return !rl_predict(s->s.plan, q, p, NULL) && p->fits && isfinite(p->tpot_s.value);
}

/* The largest batch that fits, 0: none; doubling, then halving the gap. */
static double largest_batch(const struct rl_plot_side *s, struct rl_query *q, double most)
{
    struct rl_prediction p;
    double lo = 0, hi = 1;

    while (hi <= most && fits(s, q, hi, &p)) {
        lo = hi;
        hi *= 2;
    }
    if (hi > most)
        hi = most + 1;
    while (hi - lo > 1 && lo > 0) {
        double mid = floor((lo + hi) / 2);
        *(fits(s, q, mid, &p) ? &lo : &hi) = mid;
    }
    return lo;
}

static void concurrency_row(struct rl_plot_job *j, const char *panel,
                            const struct rl_plot_side *s, double ctx, double batch,
                            double value)
{
    if (!isfinite(value))
        return;
    rl_plot_text(j, panel);
    rl_plot_text(j, s->label);
    rl_plot_text(j, s->kind);
    rl_plot_num(j, ctx);
    rl_plot_num(j, batch);
    rl_plot_num(j, value);
    rl_plot_end(j);
}

static void concurrency(struct rl_plot_job *j, const struct rl_plot_side *s,
                        const char *panel, const double *ctx, int n, double most)
{
    for (int i = 0; i < n; i++) {
        struct rl_query q = s->q;
        struct rl_prediction p;
        double price = s->s.device->price_usd, value;
        q.ctx = ctx[i];
        double batch = largest_batch(s, &q, most);
        if (batch < 1 || !fits(s, &q, batch, &p))
            continue;
        if (!strcmp(panel, "batch"))
            value = batch;
        else if (!strcmp(panel, "per_watt")) /* of the step's J per output token */
            value = 1 / p.output_token_j.value;
        else
            value = price > 0 ? p.decode_tokens_per_s / (price / 1000) : (double)NAN;
        concurrency_row(j, panel, s, ctx[i], batch, value);
    }
}

int rl_plot_concurrency(struct rl_plot_job *j, struct rl_error *err)
{
    static const char *const panel[] = {"per_watt", "per_dollar"};
    struct rl_plot_sides s = {0};
    double *ctx = NULL, *most = NULL;
    int n = 0, nmost = 0, rc = -1;

    if (!rl_plot_values(j, "ctx", "1k:256k:x2", &ctx, &n, err) &&
        !rl_plot_values(j, "max-batch", "256", &most, &nmost, err) &&
        !rl_plot_sides_open(j, &s, err)) {
        fputs("panel,series,kind,ctx,batch,value\n", j->csv);
        for (int k = 0; k < 2; k++)
            for (int i = 0; i < s.n; i++)
                concurrency(j, &s.at[i], panel[k], ctx, n, most[0]);
        rc = 0;
    }
    rl_plot_sides_close(&s);
    free(most);
    free(ctx);
    return rc;
}
