/* Plot `latency`: TTFT and TPOT against context, with 90 % bands, measured
 * points and the contexts at which one series overtakes another. */
#include "err.h"
#include "plot.h"
#include "runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NFIGURES = 4 };
static const char *const metric[NFIGURES] = {"ttft", "tpot", "e2e", "energy"};

static struct rl_interval figure(const struct rl_plot_side *s, int which, double ctx)
{
    struct rl_prediction p;
    struct rl_query q = s->q;

    q.ctx = ctx;
    if (rl_predict(s->s.plan, &q, &p, NULL))
        return (struct rl_interval){NAN, NAN, NAN};
    return which == 0   ? p.ttft_s
           : which == 1 ? p.tpot_s
           : which == 2 ? p.e2e_s
                        : p.prefill_j;
}

static void put(struct rl_plot_job *j, const char *panel, const char *series,
                const char *kind, const char *type, double ctx,
                const struct rl_interval *v)
{
    rl_plot_text(j, panel);
    rl_plot_text(j, series);
    rl_plot_text(j, kind);
    rl_plot_text(j, type);
    rl_plot_num(j, ctx);
    rl_plot_num(j, v->value);
    rl_plot_num(j, v->lo);
    rl_plot_num(j, v->hi);
    rl_plot_end(j);
}

static double log_ratio(const struct rl_plot_side *a, const struct rl_plot_side *b,
                        int which, double ctx)
{
    return log(figure(a, which, ctx).value / figure(b, which, ctx).value);
}

struct crossing {
    const struct rl_plot_side *a, *b;
    double ctx;
};

/* Halves the interval of a sign change until it is narrower than a pixel. */
static double cross(const struct rl_plot_side *a, const struct rl_plot_side *b, int which,
                    double lo, double hi)
{
    bool below = log_ratio(a, b, which, lo) < 0;

    while (hi / lo > 1.002 && hi - lo > 1) {
        double mid = rint(sqrt(lo * hi));
        *((log_ratio(a, b, which, mid) < 0) == below ? &lo : &hi) = mid;
    }
    return hi;
}

enum { MAXPAIRED = 6, MAXCROSSINGS = 64 }; /* series: more would cross everywhere */

static int pair_crossings(const struct rl_plot_side *a, const struct rl_plot_side *b,
                          int which, const double *ctx, int n, struct crossing *out,
                          int have)
{
    for (int i = 1; i < n && have < MAXCROSSINGS; i++) {
        double r0 = log_ratio(a, b, which, ctx[i - 1]);
        double r1 = log_ratio(a, b, which, ctx[i]);
        if (isfinite(r0) && isfinite(r1) && ctx[i - 1] < ctx[i] && (r0 < 0) != (r1 < 0))
            out[have++] = (struct crossing){a, b, cross(a, b, which, ctx[i - 1], ctx[i])};
    }
    return have;
}

static int by_ctx(const void *x, const void *y)
{
    const struct crossing *p = x, *q = y;
    return p->ctx < q->ctx ? -1 : p->ctx > q->ctx;
}

static void crossings(struct rl_plot_job *j, const struct rl_plot_sides *s, int which,
                      const double *ctx, int n)
{
    struct crossing found[MAXCROSSINGS];
    int k = 0;

    for (int a = 0; a < s->n && s->n <= MAXPAIRED; a++)
        for (int b = a + 1; b < s->n; b++)
            k = pair_crossings(&s->at[a], &s->at[b], which, ctx, n, found, k);
    qsort(found, (size_t)k, sizeof *found, by_ctx);
    for (int i = 0; i < k; i++) {
        char pair[340];
        struct rl_interval v = figure(found[i].a, which, found[i].ctx);
        snprintf(pair, sizeof pair, "%s/%s", found[i].a->label, found[i].b->label);
        put(j, metric[which], pair, found[i].a->kind, "cross", found[i].ctx, &v);
    }
}

static void measured(struct rl_plot_job *j, const struct rl_plot_points *p,
                     const struct rl_plot_side *s, int which)
{
    for (size_t i = 0; i < p->n; i++)
        if (rl_plot_point_of(&p->row[i], s, metric[which])) {
            struct rl_interval v = {p->row[i].value, NAN, NAN};
            put(j, metric[which], s->label, s->kind, "measured", p->row[i].prompt, &v);
        }
}

static void series(struct rl_plot_job *j, const struct rl_plot_side *s, int which,
                   const double *ctx, int n)
{
    for (int i = 0; i < n; i++) {
        struct rl_interval v = figure(s, which, ctx[i]);
        if (isfinite(v.value))
            put(j, metric[which], s->label, s->kind, "line", ctx[i], &v);
    }
}

/* --metric: a list of figures, one panel each. */
static int chosen(struct rl_plot_job *j, bool *want, struct rl_error *err)
{
    const char *text = rl_plot_arg(j, "metric");

    for (text = text ? text : "ttft,tpot"; *text; text += *text == ',') {
        size_t n = strcspn(text, ",");
        int i = 0;
        while (i < NFIGURES && (strlen(metric[i]) != n || memcmp(metric[i], text, n)))
            i++;
        if (i == NFIGURES)
            return rl_fail(err, RL_EVALUE, NULL, 0,
                           "--metric: expected some of ttft, tpot, e2e and energy, got "
                           "'%s'",
                           text);
        want[i] = true;
        text += n;
    }
    return 0;
}

int rl_plot_latency(struct rl_plot_job *j, struct rl_error *err)
{
    struct rl_plot_sides s = {0};
    struct rl_plot_points p = {0};
    double *ctx = NULL;
    bool want[NFIGURES] = {false};
    int n = 0, rc = -1;

    if (!chosen(j, want, err) &&
        !rl_plot_values(j, "ctx", "256:1M:x1.189207115", &ctx, &n, err) &&
        !rl_plot_sides_open(j, &s, err) && !rl_plot_points_read(j, &p, err)) {
        fputs("panel,series,kind,type,ctx,value,lo,hi\n", j->csv);
        for (int which = 0; which < NFIGURES; which++) {
            if (!want[which])
                continue;
            for (int i = 0; i < s.n; i++) {
                series(j, &s.at[i], which, ctx, n);
                measured(j, &p, &s.at[i], which);
            }
            crossings(j, &s, which, ctx, n);
        }
        rc = 0;
    }
    rl_plot_points_clear(&p);
    rl_plot_sides_close(&s);
    free(ctx);
    return rc;
}
