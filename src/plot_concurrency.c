/* Plot `concurrency`: tokens per joule and per dollar at the largest batch that
 * fits. */
#include "device.h"
#include "err.h"
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
        const struct rl_setup *set = &s->s.plan->setup;
        double price = s->s.device->price_usd * set->tp * set->devices, value;
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
