/* Plot `validation`: measured runs against their prediction, and which share of
 * the rows has an error of at most so much. */
#include "command.h"
#include "err.h"
#include "plot.h"
#include "runs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct judged_row {
    const struct rl_run *run;
    struct rl_interval p;
    const char *group, *kind; /* kind: "" unless the groups are models */
    double error;             /* |predicted / measured - 1| in per cent */
};

static bool starts(const char *text, const char *with)
{
    return !with || !strncmp(text, with, strlen(with));
}

static int check_by(const char *by, struct rl_error *err)
{
    if (!strcmp(by, "device") || !strcmp(by, "runtime") || !strcmp(by, "model") ||
        !strcmp(by, "metric"))
        return 0;
    return rl_fail(err, RL_EVALUE, NULL, 0,
                   "--by: expected device, model, runtime or metric, got '%s'", by);
}

static const char *group_of(const struct rl_run *r, const char *by)
{
    return !strcmp(by, "device")    ? r->device
           : !strcmp(by, "runtime") ? r->runtime
           : !strcmp(by, "model")   ? r->model
                                    : r->metric;
}

static size_t judge(struct rl_plot_job *j, struct rl_runs *runs,
                    const struct rl_plot_points *p, const char *by,
                    struct judged_row *out)
{
    const char *metric = rl_plot_arg(j, "metric"), *hw = rl_plot_arg(j, "hw");
    const char *model = rl_plot_arg(j, "model");
    size_t n = 0, skipped = 0;
    char why[160];

    for (size_t i = 0; i < p->n; i++) {
        const struct rl_run *r = &p->row[i];
        if (!starts(r->metric, metric) || !starts(r->device, hw) ||
            !starts(r->model, model))
            continue;
        if (rl_run_predict(runs, r, &out[n].p, why) || !(out[n].p.value > 0)) {
            skipped++;
            continue;
        }
        out[n].run = r;
        out[n].group = group_of(r, by);
        out[n].kind = "";
        out[n].error = fabs(100 * (out[n].p.value / r->value - 1));
        n++;
    }
    if (skipped)
        fprintf(stderr, "rooflint: plot: %zu measured rows have no prediction\n",
                skipped);
    return n;
}

/* Groups that are models get their family's colour, as in the other plots. */
static void find_kinds(const char *data, struct judged_row *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct rl_error ignored = {0};
        if (i && !strcmp(r[i].group, r[i - 1].group)) {
            r[i].kind = r[i - 1].kind;
            continue;
        }
        struct rl_model *m = rl_model_load(data, r[i].run->model, &ignored);
        r[i].kind = m ? rl_plot_kind(m) : "";
        rl_model_free(m);
    }
}

static int by_error(const void *a, const void *b)
{
    const struct judged_row *p = a, *q = b;
    return p->error < q->error ? -1 : p->error > q->error;
}

static int by_group(const void *a, const void *b)
{
    const struct judged_row *p = a, *q = b;
    int c = strcmp(p->group, q->group);
    return c ? c : by_error(a, b);
}

/* share: of the group (of all), in per cent, with an error no larger. */
static void put(struct rl_plot_job *j, const struct judged_row *r, const char *type,
                double share)
{
    rl_plot_text(j, type);
    rl_plot_text(j, !strcmp(type, "all") ? "all" : r->group);
    rl_plot_text(j, r->kind);
    rl_plot_text(j, r->run->device);
    rl_plot_text(j, r->run->model);
    rl_plot_text(j, r->run->runtime);
    rl_plot_text(j, r->run->metric);
    rl_plot_text(j, r->run->unit);
    rl_plot_num(j, r->run->prompt);
    rl_plot_num(j, r->run->batch);
    rl_plot_num(j, r->run->value);
    rl_plot_num(j, r->p.value);
    rl_plot_num(j, r->p.lo);
    rl_plot_num(j, r->p.hi);
    rl_plot_num(j, r->error);
    rl_plot_num(j, share);
    rl_plot_end(j);
}

static void put_all(struct rl_plot_job *j, struct judged_row *r, size_t n, bool models)
{
    fputs("type,series,kind,device,model,runtime,metric,unit,ctx,batch,measured,"
          "predicted,lo,"
          "hi,error_percent,share_percent\n",
          j->csv);
    qsort(r, n, sizeof *r, by_group);
    if (models)
        find_kinds(j->args->data, r, n);
    for (size_t i = 0, from = 0; i < n; i++) {
        size_t end = i;
        if (strcmp(r[i].group, r[from].group))
            from = i;
        while (end < n && !strcmp(r[end].group, r[i].group))
            end++;
        put(j, &r[i], "row", 100.0 * (double)(i - from + 1) / (double)(end - from));
    }
    qsort(r, n, sizeof *r, by_error);
    for (size_t i = 0; i < n; i++)
        put(j, &r[i], "all", 100.0 * (double)(i + 1) / (double)n);
}

int rl_plot_validation(struct rl_plot_job *j, struct rl_error *err)
{
    const char *by = rl_plot_arg(j, "by");
    struct rl_plot_points p = {0};

    by = by ? by : "metric";
    if (!rl_plot_arg(j, "measured"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "validation: needs --measured FILE (measured runs)");
    struct rl_runs *runs = check_by(by, err) ? NULL : rl_runs_new(j->args->data, err);
    char user[4096];
    if (runs)
        rl_runs_user(runs, rl_user_dir(user, sizeof user));
    struct judged_row *r = NULL;
    int rc = !runs || rl_plot_points_read(j, &p, err) ? -1 : 0;
    if (!rc && !(r = rl_alloc(p.n + 1, sizeof *r, err)))
        rc = -1;
    if (!rc)
        put_all(j, r, judge(j, runs, &p, by, r), !strcmp(by, "model"));
    free(r);
    rl_plot_points_clear(&p);
    rl_runs_free(runs);
    return rc;
}
