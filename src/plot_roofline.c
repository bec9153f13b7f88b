/* Plot `roofline`: the operators of a model, placed by intensity and achieved
 * rate under the ceilings of the device: DRAM and L2 slopes, one roof for each
 * number format the operators run in.  Intensity counts DRAM bytes, so an
 * operator served by L2 lies above the DRAM slope. */
#include "breakdown.h"
#include "err.h"
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    struct rl_plot_job *j;
    const struct rl_plot_side *s;
    double ctx, total_s[2];
    const char *phase; /* NULL: both */
    bool summing;
};

static void put(struct rl_plot_job *j, const char *panel, const char *type,
                const char *label, const char *cls, const char *phase, double ctx,
                double x, double y, double share)
{
    rl_plot_text(j, panel);
    rl_plot_text(j, type);
    rl_plot_text(j, label);
    rl_plot_text(j, cls);
    rl_plot_text(j, phase);
    rl_plot_num(j, ctx);
    rl_plot_num(j, x);
    rl_plot_num(j, y);
    rl_plot_num(j, share);
    rl_plot_end(j);
}

/* One operator of the graph: its time goes to the phase's sum, or it is put. */
static int visit(const struct rl_op_row *r, void *arg)
{
    struct walk *w = arg;
    int decode = !strcmp(r->phase, "decode");

    if (w->phase && strcmp(w->phase, r->phase))
        return 0;
    if (w->summing) {
        w->total_s[decode] += r->time_s;
        return 0;
    }
    /* moves without arithmetic have no place under a roof */
    double flop = r->flop + r->vector_flop;
    if (!(flop > 0) || !(r->bytes > 0) || !(r->time_s > 0))
        return 0;
    put(w->j, w->s->label, "op", r->label, rl_class_name(r->cls), r->phase, w->ctx,
        flop / r->bytes, flop / r->time_s, r->time_s / w->total_s[decode]);
    return 0;
}

static int operators(struct rl_plot_job *j, const struct rl_plot_side *s, double ctx,
                     const char *phase)
{
    struct walk w = {.j = j, .s = s, .ctx = ctx, .phase = phase, .summing = true};
    struct rl_query q = s->q;

    q.ctx = ctx;
    if (rl_breakdown(s->s.plan, &q, visit, &w))
        return 0; /* out of range: no points */
    w.summing = false;
    return rl_breakdown(s->s.plan, &q, visit, &w);
}

/* A straight line of the picture, by its two ends. */
static void line(struct rl_plot_job *j, const char *panel, const char *type,
                 const char *label, double x0, double y0, double x1, double y1)
{
    put(j, panel, type, label, "", "", NAN, x0, y0, NAN);
    put(j, panel, type, label, "", "", NAN, x1, y1, NAN);
}

enum { FAR = 1000000 }; /* FLOP/byte: beyond every operator; 1/FAR before it */

/* Slopes up to the highest roof, roofs from the steepest slope on. */
static void ceilings(struct rl_plot_job *j, const struct rl_plot_side *s)
{
    const struct rl_plan *pl = s->s.plan;
    const struct rl_machine *m = &pl->machine;
    bool unit[RL_NUNITS] = {false};
    double top = 0, steep = fmax(m->dram, m->l2_bw);

    unit[RL_FP32] = unit[rl_device_unit(pl->device, rl_dtype(pl->act)->unit)] = true;
    for (int i = 0; i < RL_NWCLASSES; i++)
        if (pl->model->graph.resident[i] > 0)
            unit[rl_device_unit(pl->device, rl_dtype(pl->wdtype[i])->unit)] = true;
    for (int u = 0; u < RL_NUNITS; u++)
        if (unit[u])
            top = fmax(top, m->rate[u]);
    line(j, s->label, "slope", "DRAM", 1.0 / FAR, m->dram / FAR, top / m->dram, top);
    if (m->l2_bw > 0)
        line(j, s->label, "slope", pl->device->is_cpu ? "LLC" : "L2", 1.0 / FAR,
             m->l2_bw / FAR, top / m->l2_bw, top);
    for (int u = 0; u < RL_NUNITS; u++)
        if (unit[u])
            line(j, s->label, "roof", rl_unit_name((enum rl_unit)u), m->rate[u] / steep,
                 m->rate[u], FAR, m->rate[u]);
}

int rl_plot_roofline(struct rl_plot_job *j, struct rl_error *err)
{
    const char *phase = rl_plot_arg(j, "phase");
    struct rl_plot_sides s = {0};
    double *ctx = NULL;
    int n = 0, rc = -1;

    if (phase && !strcmp(phase, "both"))
        phase = NULL;
    if (phase && strcmp(phase, "prefill") && strcmp(phase, "decode"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--phase: expected prefill, decode or both, got '%s'", phase);
    if (!rl_plot_values(j, "ctx", "1k,8k,64k", &ctx, &n, err) &&
        !rl_plot_sides_open(j, &s, err)) {
        fputs("panel,type,label,class,phase,ctx,intensity,rate,share\n", j->csv);
        for (int i = 0; i < s.n; i++) {
            for (int k = 0; k < n; k++)
                operators(j, &s.at[i], ctx[k], phase);
            ceilings(j, &s.at[i]);
        }
        rc = 0;
    }
    rl_plot_sides_close(&s);
    free(ctx);
    return rc;
}
