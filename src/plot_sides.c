/* What makers of plots share: models on devices, lists, cells, measured points. */
#include "device.h"
#include "err.h"
#include "judged.h"
#include "path.h"
#include "plot.h"
#include "runs.h"
#include "values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *rl_plot_arg(const struct rl_plot_job *j, const char *option)
{
    return rl_arg(j->command, j->args, option);
}

/* cells */

static void cell(struct rl_plot_job *j)
{
    if (j->begun)
        putc(',', j->csv);
    j->begun = true;
}

void rl_plot_text(struct rl_plot_job *j, const char *s)
{
    cell(j);
    for (; *s; s++) /* gnuplot splits lists at blanks and ends them at quotes */
        putc(strchr(" \t\r\n\",'\\", *s) ? '_' : *s, j->csv);
}

void rl_plot_num(struct rl_plot_job *j, double v)
{
    cell(j);
    if (isfinite(v))
        fprintf(j->csv, "%.6g", v);
}

void rl_plot_end(struct rl_plot_job *j)
{
    putc('\n', j->csv);
    j->begun = false;
    j->rows++;
}

/* lists */

int rl_plot_values(struct rl_plot_job *j, const char *option, const char *fallback,
                   double **out, int *n, struct rl_error *err)
{
    const char *text = rl_plot_arg(j, option);
    return rl_values_parse(option, text ? text : fallback, out, n, err);
}

/* models on devices */

const char *rl_plot_kind(const struct rl_model *m)
{
    bool attention = false, ssm = false, linear = false;

    if (!m->graph.has_decode || m->graph.encoder_decoder)
        return "encoder";
    for (size_t i = 0; i < m->graph.nblocks; i++)
        switch (m->graph.block[i].kind) {
        case RL_BLK_ATTN:
        case RL_BLK_MLA:
            attention = true;
            break;
        case RL_BLK_MAMBA1:
        case RL_BLK_MAMBA2:
            ssm = true;
            break;
        case RL_BLK_GDN:
        case RL_BLK_KDA:
        case RL_BLK_LINEAR:
        case RL_BLK_RGLRU:
        case RL_BLK_SHORTCONV:
            linear = true;
            break;
        default:
            break;
        }
    if (attention)
        return ssm || linear ? "hybrid" : "transformer";
    return ssm ? "ssm" : linear ? "linear" : "transformer";
}

static void label(struct rl_plot_side *s, bool many_models, bool many_devices)
{
    const char *model = s->s.model->id, *slash = strrchr(model, '/');
    const char *device = s->s.device->id;

    model = slash && slash[1] ? slash + 1 : model;
    if (many_models && many_devices)
        snprintf(s->label, sizeof s->label, "%s@%s", model, device);
    else
        snprintf(s->label, sizeof s->label, "%s", many_devices ? device : model);
}

struct lists {
    char **hw, **model, **runtime;
    int nhw, nmodel, nruntime;
};

static int read_lists(struct rl_plot_job *j, struct lists *l, struct rl_error *err)
{
    const char *hw = rl_plot_arg(j, "hw"), *model = rl_plot_arg(j, "model");
    const char *runtime = rl_plot_arg(j, "runtime");
    char **known = NULL;
    int n = 0, rc;

    if (!hw || !model)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "this plot needs --hw and --model: --%s is missing",
                       hw ? "model" : "hw");
    if (rl_device_list(j->args->data, &known, &n, err))
        return -1;
    rc = rl_names_parse("hw", hw, known, n, &l->hw, &l->nhw, err);
    rl_free_names(known, n);
    known = NULL;
    if (rc || rl_model_list(j->args->data, &known, &n, err))
        return -1;
    rc = rl_names_parse("model", model, known, n, &l->model, &l->nmodel, err);
    rl_free_names(known, n);
    if (rc)
        return -1;
    if (runtime &&
        rl_names_parse("runtime", runtime, NULL, 0, &l->runtime, &l->nruntime, err))
        return -1;
    if (l->nruntime > 1 && l->nruntime != l->nmodel)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--runtime: expected one name, or one for each of %d models",
                       l->nmodel);
    return 0;
}

static void free_lists(struct lists *l)
{
    rl_free_names(l->hw, l->nhw);
    rl_free_names(l->model, l->nmodel);
    rl_free_names(l->runtime, l->nruntime);
}

enum { MAXSIDES = 2000 };

static int open_all(struct rl_plot_job *j, const struct lists *l, struct rl_plot_sides *s,
                    struct rl_error *err)
{
    struct rl_setup setup;
    struct rl_query q;

    if ((long)l->nhw * l->nmodel > MAXSIDES)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "%d models on %d devices are more than a plot holds (%d pairs)",
                       l->nmodel, l->nhw, MAXSIDES);
    s->at = rl_alloc((size_t)(l->nhw * l->nmodel), sizeof *s->at, err);
    if (!s->at || rl_session_setup(j->command, j->args, &setup, err) ||
        rl_session_fixed(j->command, j->args, &q, err) ||
        rl_session_counts(j->command, j->args, &q, err))
        return -1;
    for (int d = 0; d < l->nhw; d++)
        for (int m = 0; m < l->nmodel; m++) {
            struct rl_plot_side *side = &s->at[s->n++];
            const char *r = l->nruntime ? l->runtime[l->nruntime == 1 ? 0 : m] : NULL;
            side->q = q;
            if (rl_session_open(&side->s, j->args->data, l->hw[d], l->model[m], r, &setup,
                                err))
                return -1;
            side->kind = rl_plot_kind(side->s.model);
            label(side, l->nmodel > 1, l->nhw > 1);
        }
    return 0;
}

int rl_plot_sides_open(struct rl_plot_job *j, struct rl_plot_sides *s,
                       struct rl_error *err)
{
    struct lists l = {0};
    int rc = read_lists(j, &l, err) || open_all(j, &l, s, err) ? -1 : 0;

    free_lists(&l);
    return rc;
}

void rl_plot_sides_close(struct rl_plot_sides *s)
{
    for (int i = 0; i < s->n; i++)
        rl_session_close(&s->at[i].s);
    free(s->at);
    *s = (struct rl_plot_sides){0};
}

/* measured points */

int rl_plot_points_read(struct rl_plot_job *j, struct rl_plot_points *p,
                        struct rl_error *err)
{
    const char *path = rl_plot_arg(j, "measured");
    struct rl_runs_filter all = {0};

    if (!path)
        return 0;
    if (access(path, R_OK))
        return rl_fail(err, RL_EIO, path, 0, "cannot open: %s", strerror(errno));
    if (!rl_is_runs_file(path))
        return rl_fail(err, RL_EFORMAT, path, 1,
                       "expected the header of measured runs (source,device,"
                       "device_count,model,…)");
    return rl_runs_read(&path, 1, &all, &p->row, &p->n, &p->keep, err);
}

void rl_plot_points_clear(struct rl_plot_points *p)
{
    free(p->row);
    rl_runs_drop(p->keep);
}

bool rl_plot_point_of(const struct rl_run *r, const struct rl_plot_side *s,
                      const char *metric)
{
    const char *stack = s->s.runtime->id;

    return !strcmp(r->metric, metric) && !strcmp(r->device, s->s.device->id) &&
           !strcmp(r->model, s->s.model->id) &&
           !strncmp(r->runtime, stack, strlen(stack)) && r->batch == s->q.batch &&
           r->depth == s->q.context_depth;
}
