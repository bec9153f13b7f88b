/* Plot `memory`: the parts of peak memory against context, one panel a model,
 * up to where the device is full.  `breakdown`: shares of time by operator
 * class.  Both stack. */
#include "err.h"
#include "plot.h"
#include "runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* memory */

static void memory_row(struct rl_plot_job *j, const struct rl_plot_side *s,
                       const char *type, double ctx, const struct rl_memory *m,
                       double max_ctx)
{
    const double part[] = {m->weights, m->kv_cache,  m->state, m->activations,
                           m->logits,  m->workspace, m->total, m->capacity};

    rl_plot_text(j, s->label);
    rl_plot_text(j, s->kind);
    rl_plot_text(j, type);
    rl_plot_num(j, ctx);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        rl_plot_num(j, part[i]);
    rl_plot_num(j, max_ctx);
    rl_plot_end(j);
}

static void memory_series(struct rl_plot_job *j, const struct rl_plot_side *s,
                          const double *ctx, int n)
{
    struct rl_query q = s->q;
    struct rl_prediction p;

    for (int i = 0; i < n; i++) {
        q.ctx = ctx[i];
        if (!rl_predict(s->s.plan, &q, &p, NULL) && isfinite(p.memory.total))
            memory_row(j, s, "line", ctx[i], &p.memory, p.max_ctx_allocated);
    }
}

static void memory_points(struct rl_plot_job *j, const struct rl_plot_points *p,
                          const struct rl_plot_side *s)
{
    struct rl_memory m = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};

    for (size_t i = 0; i < p->n; i++)
        if (rl_plot_point_of(&p->row[i], s, "peak_memory_allocated")) {
            m.total = p->row[i].value;
            memory_row(j, s, "measured", p->row[i].prompt, &m, NAN);
        }
}

static int needs_two(int n, struct rl_error *err)
{
    return n > 1 ? 0
                 : rl_fail(err, RL_EVALUE, NULL, 0,
                           "memory: an area needs two contexts (--ctx) or more");
}

int rl_plot_memory(struct rl_plot_job *j, struct rl_error *err)
{
    struct rl_plot_sides s = {0};
    struct rl_plot_points p = {0};
    double *ctx = NULL;
    int n = 0, rc = -1;

    if (!rl_plot_values(j, "ctx", "512:256k:x1.0905077", &ctx, &n, err) &&
        !needs_two(n, err) && !rl_plot_sides_open(j, &s, err) &&
        !rl_plot_points_read(j, &p, err)) {
        fputs("series,kind,type,ctx,weights,kv_cache,state,activations,logits,workspace,"
              "total,capacity,max_ctx\n",
              j->csv);
        for (int i = 0; i < s.n; i++) {
            memory_series(j, &s.at[i], ctx, n);
            memory_points(j, &p, &s.at[i]);
        }
        rc = 0;
    }
    rl_plot_points_clear(&p);
    rl_plot_sides_close(&s);
    free(ctx);
    return rc;
}

/* breakdown */

static void share_row(struct rl_plot_job *j, const struct rl_plot_side *s,
                      const char *phase, double ctx, const double *share)
{
    char panel[200];

    snprintf(panel, sizeof panel, "%s:%s", s->label, phase);
    rl_plot_text(j, panel);
    rl_plot_text(j, s->label);
    rl_plot_text(j, s->kind);
    rl_plot_text(j, phase);
    rl_plot_num(j, ctx);
    for (int i = 0; i < RL_NCLASSES; i++)
        rl_plot_num(j, share[i]);
    rl_plot_end(j);
}

static void shares(struct rl_plot_job *j, const struct rl_plot_side *s, const double *ctx,
                   int n, bool decode)
{
    struct rl_query q = s->q;
    struct rl_prediction p;

    for (int i = 0; i < n; i++) {
        q.ctx = ctx[i];
        if (rl_predict(s->s.plan, &q, &p, NULL))
            continue;
        if (!decode && isfinite(p.ttft_s.value))
            share_row(j, s, "prefill", ctx[i], p.share_prefill);
        if (decode && isfinite(p.tpot_s.value))
            share_row(j, s, "decode", ctx[i], p.share_decode);
    }
}

static int phases(struct rl_plot_job *j, bool *prefill, bool *decode,
                  struct rl_error *err)
{
    const char *phase = rl_plot_arg(j, "phase");

    *prefill = !phase || !strcmp(phase, "both") || !strcmp(phase, "prefill");
    *decode = !phase || !strcmp(phase, "both") || !strcmp(phase, "decode");
    if (*prefill || *decode)
        return 0;
    return rl_fail(err, RL_EVALUE, NULL, 0,
                   "--phase: expected prefill, decode or both, got '%s'", phase);
}

int rl_plot_breakdown(struct rl_plot_job *j, struct rl_error *err)
{
    struct rl_plot_sides s = {0};
    bool prefill, decode;
    double *ctx = NULL;
    int n = 0, rc = -1;

    if (!phases(j, &prefill, &decode, err) &&
        !rl_plot_values(j, "ctx", "1k:256k:x2", &ctx, &n, err) &&
        !rl_plot_sides_open(j, &s, err)) {
        fputs("panel,series,kind,phase,ctx", j->csv);
        for (int i = 0; i < RL_NCLASSES; i++)
            fprintf(j->csv, ",%s", rl_class_name((enum rl_class)i));
        fputc('\n', j->csv);
        for (int i = 0; i < s.n; i++)
            for (int d = 0; d < 2; d++)
                if (d ? decode : prefill)
                    shares(j, &s.at[i], ctx, n, d);
        rc = 0;
    }
    rl_plot_sides_close(&s);
    free(ctx);
    return rc;
}
