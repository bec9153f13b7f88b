/* Plot `crossover`: over context and batch, how many times the second model's
 * figure the first one needs. */
#include "err.h"
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* crossover */

static double figure(const struct rl_prediction *p, const char *metric)
{
    if (!strcmp(metric, "ttft"))
        return p->ttft_s.value;
    if (!strcmp(metric, "tpot"))
        return p->tpot_s.value;
    if (!strcmp(metric, "e2e"))
        return p->e2e_s.value;
    if (!strcmp(metric, "memory"))
        return p->memory.total;
    return p->prefill_j.value;
}

static int check_metric(const char *metric, struct rl_error *err)
{
    static const char *const known[] = {"ttft", "tpot", "e2e", "memory", "energy"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(metric, known[i]))
            return 0;
    return rl_fail(err, RL_EVALUE, NULL, 0,
                   "--metric: expected ttft, tpot, e2e, memory or energy, got '%s'",
                   metric);
}

static void map_row(struct rl_plot_job *j, const struct rl_plot_side *a,
                    const struct rl_plot_side *b, const char *metric, double ctx,
                    double batch)
{
    struct rl_query qa = a->q, qb = b->q;
    struct rl_prediction pa, pb;
    double ratio = NAN;
    bool fit = false;

    qa.ctx = qb.ctx = ctx;
    qa.batch = qb.batch = batch;
    if (!rl_predict(a->s.plan, &qa, &pa, NULL) &&
        !rl_predict(b->s.plan, &qb, &pb, NULL)) {
        ratio = figure(&pa, metric) / figure(&pb, metric);
        fit = pa.fits && pb.fits;
    }
    rl_plot_text(j, metric);
    rl_plot_text(j, a->label);
    rl_plot_text(j, b->label);
    rl_plot_num(j, ctx);
    rl_plot_num(j, batch);
    rl_plot_num(j, ratio);
    rl_plot_num(j, fit);
    rl_plot_end(j);
}

int rl_plot_crossover(struct rl_plot_job *j, struct rl_error *err)
{
    const char *metric = rl_plot_arg(j, "metric");
    struct rl_plot_sides s = {0};
    double *ctx = NULL, *batch = NULL;
    int n = 0, nb = 0, rc = -1;

    metric = metric ? metric : "ttft";
    if (check_metric(metric, err) ||
        rl_plot_values(j, "ctx", "256:256k:x1.189207115", &ctx, &n, err) ||
        rl_plot_values(j, "batches", "1:128:x1.189207115", &batch, &nb, err) ||
        rl_plot_sides_open(j, &s, err))
        ;
    else if (s.n != 2)
        rl_fail(err, RL_EVALUE, NULL, 0,
                "crossover: expected two models on one device, or one on two, got %d",
                s.n);
    else if (n < 2 || nb < 2)
        rl_fail(err, RL_EVALUE, NULL, 0,
                "crossover: a map needs two contexts (--ctx) and two batches (--batches) "
                "or more");
    else {
        rc = 0;
        fputs("metric,a,b,ctx,batch,ratio,fits\n", j->csv);
        for (int k = 0; k < nb; k++) {
            for (int i = 0; i < n; i++)
                map_row(j, &s.at[0], &s.at[1], metric, ctx[i], batch[k]);
            putc('\n', j->csv); /* gnuplot: the next line of the grid */
        }
    }
    rl_plot_sides_close(&s);
    free(batch);
    free(ctx);
    return rc;
}
