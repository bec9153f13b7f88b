/* Files of the runs schema judged: each row is the query it was, predicted. */
#include "command.h"
#include "err.h"
#include "judged.h"
#include "mislabelled.h"
#include "runs.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const rl_key_name[NKEYS] = {"device", "runtime", "op",    "impl",
                                        "dtype",  "model",   "metric"};

int rl_judged_alloc(struct rl_judged *j, size_t n, struct rl_error *err)
{
    j->outcome = rl_alloc(n, sizeof *j->outcome, err);
    j->key = rl_alloc(n, sizeof *j->key, err);
    j->n = n;
    return j->outcome && j->key ? 0 : -1;
}

void rl_judged_clear(struct rl_judged *j)
{
    free(j->outcome);
    free((void *)j->key);
    rl_tally_clear(&j->skipped);
    if (j->drop)
        j->drop(j->keep);
}

bool rl_is_runs_file(const char *path)
{
    char line[512];
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    return got && strstr(line, "prompt_tokens") && strstr(line, "metric");
}

enum {
    C_DEVICE,
    C_COUNT,
    C_MODEL,
    C_WDTYPE,
    C_KV,
    C_RUNTIME,
    C_VERSION,
    C_BATCH,
    C_PROMPT,
    C_DEPTH,
    C_OUTPUT,
    C_METRIC,
    C_VALUE,
    C_UNIT,
    C_NOTES,
    NCOLS
};
static const char *const column[NCOLS] = {
    "device",        "device_count",    "model", "weights_dtype", "kv_dtype",
    "runtime",       "runtime_version", "batch", "prompt_tokens", "context_depth",
    "output_tokens", "metric",          "value", "unit",          "notes"};

struct tables { /* keeps the rows' text */
    struct rl_table **t;
    int n;
};

static void drop_tables(void *keep)
{
    struct tables *ts = keep;
    for (int i = 0; ts && i < ts->n; i++)
        rl_table_free(ts->t[i]);
    free(ts ? ts->t : NULL);
    free(ts);
}

static bool starts(const char *text, const char *with)
{
    return !with || !strncmp(text, with, strlen(with));
}

static int read_row(const struct rl_table *t, int i, const int *col, struct rl_run *r,
                    struct rl_error *err)
{
    r->device = rl_table_get(t, i, col[C_DEVICE]);
    r->model = rl_table_get(t, i, col[C_MODEL]);
    r->weights_dtype = rl_table_get(t, i, col[C_WDTYPE]);
    r->kv_dtype = rl_table_get(t, i, col[C_KV]);
    r->runtime = rl_table_get(t, i, col[C_RUNTIME]);
    r->version = rl_table_get(t, i, col[C_VERSION]);
    r->metric = rl_table_get(t, i, col[C_METRIC]);
    r->unit = rl_table_get(t, i, col[C_UNIT]);
    r->notes = rl_table_get(t, i, col[C_NOTES]);
    if (rl_table_num(t, i, col[C_COUNT], 1, &r->device_count, err) ||
        rl_table_num(t, i, col[C_BATCH], 1, &r->batch, err) ||
        rl_table_num(t, i, col[C_PROMPT], 0, &r->prompt, err) ||
        rl_table_num(t, i, col[C_DEPTH], 0, &r->depth, err) ||
        rl_table_num(t, i, col[C_OUTPUT], 0, &r->output, err) ||
        rl_table_num(t, i, col[C_VALUE], 0, &r->value, err))
        return -1;
    if (!(r->value > 0) || r->prompt < 0 || r->depth < 0 || r->output < 0 || r->batch < 0)
        return rl_fail(err, RL_EVALUE, t->source, t->line[i],
                       "expected a measured value above 0 and sizes of at least 0");
    return 0;
}

static void print_row(const struct rl_run *r, const struct rl_outcome *o)
{
    printf("%s,%s,%s,%s,%g,%g,%g,%g,%s,%.6g,", r->device, r->model, r->weights_dtype,
           r->runtime, r->batch, r->prompt, r->depth, r->output, r->metric, o->measured);
    if (o->skipped)
        printf(",,,%s\n", o->skipped);
    else
        printf("%.6g,%.6g,%.6g,%+.1f%%\n", o->predicted, o->lo, o->hi,
               100 * (o->predicted / o->measured - 1));
}

/* The reason kept for the row: the tally copies it when it is counted. */
static const char *intern(struct rl_judged *j, const char *why, struct rl_error *err)
{
    if (rl_tally_add(&j->skipped, why, err))
        return "out of memory";
    for (size_t i = 0; i < j->skipped.n; i++)
        if (!strcmp(j->skipped.reason[i], why))
            return j->skipped.reason[i];
    return why;
}

/* Its label says what did not run. */
static const char *wrong_label(const struct rl_mislabelled *m, const struct rl_run *r)
{
    struct rl_row_label label = {"runs",   r->device, r->runtime,
                                 r->model, r->metric, r->notes};
    return rl_mislabelled(m, &label);
}

static int judge_row(struct rl_runs *runs, const struct rl_mislabelled *mislabelled,
                     const struct rl_run *r, bool rows, struct rl_judged *j,
                     struct rl_error *err)
{
    struct rl_outcome *o = &j->outcome[j->n];
    struct rl_interval p;
    char why[160];

    const char *wrong = wrong_label(mislabelled, r);
    o->measured = r->value;
    if (wrong) {
        o->skipped = intern(j, wrong, err);
    } else if (rl_run_predict(runs, r, &p, why)) {
        o->skipped = intern(j, why, err);
    } else {
        o->predicted = p.value;
        o->lo = p.lo;
        o->hi = p.hi;
    }
    for (int i = 0; i < NKEYS; i++)
        j->key[j->n][i] = "";
    j->key[j->n][K_DEVICE] = r->device;
    j->key[j->n][K_RUNTIME] = r->runtime;
    j->key[j->n][K_DTYPE] = r->weights_dtype;
    j->key[j->n][K_MODEL] = r->model;
    j->key[j->n][K_METRIC] = r->metric;
    j->n++;
    if (rows)
        print_row(r, o);
    return 0;
}

/* Rows of the tables that the filter lets through. */
static int collect(struct tables *ts, const struct rl_runs_filter *f, struct rl_run **out,
                   size_t *n, struct rl_error *err)
{
    size_t total = 1;
    for (int k = 0; k < ts->n; k++)
        total += (size_t)ts->t[k]->nrows;
    struct rl_run *row = rl_alloc(total, sizeof *row, err);
    *n = 0;
    *out = row;
    for (int k = 0; row && k < ts->n; k++) {
        const struct rl_table *t = ts->t[k];
        int col[NCOLS];
        for (int i = 0; i < NCOLS; i++)
            if (rl_table_need(t, column[i], &col[i], err))
                return -1;
        for (int i = 0; i < t->nrows; i++) {
            struct rl_run *r = &row[*n];
            if (read_row(t, i, col, r, err))
                return -1;
            *n += starts(r->device, f->device) && starts(r->runtime, f->runtime) &&
                  starts(r->model, f->model) && starts(r->metric, f->metric);
        }
    }
    return row ? 0 : -1;
}

int rl_runs_read(const char *const *path, int npaths, const struct rl_runs_filter *filter,
                 struct rl_run **row, size_t *n, void **keep, struct rl_error *err)
{
    struct tables *ts = rl_alloc(1, sizeof *ts, err);

    *row = NULL;
    *n = 0;
    *keep = ts;
    if (!ts || !(ts->t = rl_alloc((size_t)npaths, sizeof *ts->t, err)))
        return -1;
    for (; ts->n < npaths; ts->n++)
        if (!(ts->t[ts->n] = rl_table_read(path[ts->n], err)))
            return -1;
    return collect(ts, filter, row, n, err);
}

void rl_runs_drop(void *keep)
{
    drop_tables(keep);
}

int rl_judge_runs(const char *const *path, int npaths,
                  const struct rl_runs_filter *filter, const char *data, bool rows,
                  struct rl_judged *j, struct rl_error *err)
{
    struct rl_runs *runs = rl_runs_new(data, err);
    struct rl_mislabelled *mislabelled = runs ? rl_mislabelled_read(data, err) : NULL;
    char user[4096];
    struct rl_run *row = NULL;
    size_t n;

    j->drop = drop_tables;
    if (runs)
        rl_runs_user(runs, rl_user_dir(user, sizeof user));
    int rc =
        mislabelled ? rl_runs_read(path, npaths, filter, &row, &n, &j->keep, err) : -1;
    if (!rc)
        rc = rl_judged_alloc(j, n + 1, err);
    j->n = 0;
    if (!rc && rows)
        printf("device,model,weights_dtype,runtime,batch,prompt_tokens,context_depth,"
               "output_tokens,metric,measured,predicted,lo,hi,error\n");
    for (size_t i = 0; !rc && i < n; i++)
        rc = judge_row(runs, mislabelled, &row[i], rows, j, err);
    free(row);
    rl_mislabelled_free(mislabelled);
    rl_runs_free(runs);
    return rc;
}
