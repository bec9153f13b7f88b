/* Plot `roofline`: the operators of a model, placed by intensity and achieved
 * rate under the ceilings of the device: DRAM and L2 slopes, one roof for each
 * number format the operators run in.  Intensity counts DRAM bytes, so an
 * operator served by L2 lies above the DRAM slope. */
#include "breakdown.h"
#include "err.h"
#include "plot.h"
#include "units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An operator's place at one context. */
struct spot {
    char label[48];
    const char *cls, *phase;
    double ctx, intensity, rate, share;
};
struct spots {
    struct spot *at;
    size_t n, cap;
};

struct walk {
    struct spots *out; /* NULL: only the sums are wanted */
    double ctx, total_s[2];
    const char *phase; /* NULL: both */
    struct rl_error *err;
};

static void put(struct rl_plot_job *j, const char *panel, const char *type,
                const struct spot *p, const struct spot *next, const char *mark)
{
    rl_plot_text(j, panel);
    rl_plot_text(j, type);
    rl_plot_text(j, p->label);
    rl_plot_text(j, mark);
    rl_plot_text(j, p->cls);
    rl_plot_text(j, p->phase);
    rl_plot_num(j, p->ctx);
    rl_plot_num(j, p->intensity);
    rl_plot_num(j, p->rate);
    rl_plot_num(j, p->share);
    rl_plot_num(j, next ? next->intensity : NAN);
    rl_plot_num(j, next ? next->rate : NAN);
    rl_plot_end(j);
}

/* One operator of the graph: its time goes to the phase's sum, or it is kept. */
static int visit(const struct rl_op_row *r, void *arg)
{
    struct walk *w = arg;
    int decode = !strcmp(r->phase, "decode");
    double flop = r->flop + r->vector_flop;

    if (w->phase && strcmp(w->phase, r->phase))
        return 0;
    if (!w->out) {
        w->total_s[decode] += r->time_s;
        return 0;
    }
    /* moves without arithmetic have no place under a roof */
    if (!(flop > 0) || !(r->bytes > 0) || !(r->time_s > 0))
        return 0;
    struct spots *l = w->out;
    void *grown = rl_grow(l->at, &l->cap, l->n + 1, sizeof *l->at, w->err);
    if (!grown)
        return -1;
    l->at = grown;
    l->at[l->n] = (struct spot){.cls = rl_class_name(r->cls),
                                .phase = decode ? "decode" : "prefill",
                                .ctx = w->ctx,
                                .intensity = flop / r->bytes,
                                .rate = flop / r->time_s,
                                .share = r->time_s / w->total_s[decode]};
    snprintf(l->at[l->n++].label, sizeof l->at->label, "%s", r->label);
    return 0;
}

static int operators(struct spots *l, const struct rl_plot_side *s, double ctx,
                     const char *phase, struct rl_error *err)
{
    struct walk w = {.ctx = ctx, .phase = phase, .err = err};
    struct rl_query q = s->q;

    q.ctx = ctx;
    if (rl_breakdown(s->s.plan, &q, visit, &w))
        return 0; /* out of range: no points */
    w.out = l;
    return rl_breakdown(s->s.plan, &q, visit, &w);
}

/* The same operator at the next context, or NULL. */
static const struct spot *next_of(const struct spots *l, size_t i)
{
    const struct spot *p = &l->at[i];
    size_t nth = 0, k = i;

    while (k > 0 && l->at[k - 1].ctx == p->ctx) /* twins of the same name before it */
        nth += !strcmp(l->at[--k].label, p->label) && l->at[k].phase == p->phase;
    while (k < l->n && l->at[k].ctx == p->ctx)
        k++;
    for (double ctx = k < l->n ? l->at[k].ctx : 0; k < l->n && l->at[k].ctx == ctx; k++)
        if (!strcmp(l->at[k].label, p->label) && l->at[k].phase == p->phase && !nth--)
            return &l->at[k];
    return NULL;
}

/* How far an operator that matters moves from here on: its trail, logarithmic. */
static double trail(const struct spots *l, size_t i)
{
    double way = 0;

    for (const struct spot *p = &l->at[i], *q; (q = next_of(l, (size_t)(p - l->at)));
         p = q)
        way += hypot(log(q->intensity / p->intensity), log(q->rate / p->rate)) * q->share;
    return way;
}

/* Would labels at both points stand on each other?  In e-folds of the axes of a
 * picture of a column's width. */
static bool close_by(const struct spot *a, const struct spot *b)
{
    return fabs(log(a->intensity / b->intensity)) < 0.75 &&
           fabs(log(a->rate / b->rate)) < 0.75;
}

static const struct spot *end_of(const struct spots *l, const struct spot *p)
{
    for (const struct spot *q; p && (q = next_of(l, (size_t)(p - l->at)));)
        p = q;
    return p;
}

/* The point whose trail is the longest, NULL where nothing moves. */
static const struct spot *longest(const struct spots *l)
{
    const struct spot *found = NULL;
    double most = 0.05;

    for (size_t i = 0; i < l->n && l->at[i].ctx == l->at[0].ctx; i++)
        if (trail(l, i) > most) {
            most = trail(l, i);
            found = &l->at[i];
        }
    return found;
}

/* The longest trail's points say their context, its ends before what lies between. */
static void put_spots(struct rl_plot_job *j, const char *panel, const struct spots *l)
{
    const struct spot *walk = longest(l), *last = end_of(l, walk), *said = NULL;
    char text[32];

    for (size_t i = 0; i < l->n; i++) {
        const struct spot *p = &l->at[i], *next = next_of(l, i);
        const char *mark = "";
        if (p == walk && (!said || !close_by(p, said)) &&
            (p == last || !said || !close_by(p, last))) {
            mark = rl_human_tokens(p->ctx, text);
            said = p;
        }
        put(j, panel, "op", p, next, mark);
        if (p == walk)
            walk = next;
    }
}

/* A straight line of the picture, by its two ends. */
static void line(struct rl_plot_job *j, const char *panel, const char *type,
                 const char *label, double x0, double y0, double x1, double y1)
{
    struct spot end[2] = {
        {.cls = "", .phase = "", .ctx = NAN, .intensity = x0, .rate = y0, .share = NAN},
        {.cls = "", .phase = "", .ctx = NAN, .intensity = x1, .rate = y1, .share = NAN}};

    for (int i = 0; i < 2; i++) {
        snprintf(end[i].label, sizeof end[i].label, "%s", label);
        put(j, panel, type, &end[i], NULL, "");
    }
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
        fputs("panel,type,label,mark,class,phase,ctx,intensity,rate,share,to_intensity,"
              "to_rate\n",
              j->csv);
        rc = 0;
        for (int i = 0; i < s.n && !rc; i++) {
            struct spots l = {0};
            for (int k = 0; k < n && !rc; k++)
                rc = operators(&l, &s.at[i], ctx[k], phase, err);
            put_spots(j, s.at[i].label, &l);
            ceilings(j, &s.at[i]);
            free(l.at);
        }
    }
    rl_plot_sides_close(&s);
    free(ctx);
    return rc;
}
