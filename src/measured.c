/* Reading ops files.  A row that is malformed is an error; a row whose operator
 * rooflint does not have, or whose label is known to be wrong, is counted under its
 * reason. */
#include "measured.h"

#include "err.h"
#include "mislabelled.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { C_DEVICE, C_RUNTIME, C_OP, C_IMPL, C_PARAMS, C_LATENCY, NCOLS };
static const char *const column[NCOLS] = {"device", "runtime", "op",
                                          "impl",   "params",  "latency_us"};

int rl_is_ops_file(const char *path, struct rl_error *err)
{
    char line[512];
    FILE *f = fopen(path, "r");
    if (!f)
        return rl_fail(err, RL_EIO, path, 0, "cannot open: %s", strerror(errno));
    bool got; /* the header: the first line that is no comment */
    do
        got = fgets(line, sizeof line, f) != NULL;
    while (got && (*line == '#' || *line == '\n'));
    int failed = ferror(f) ? errno : 0;
    fclose(f);
    if (failed)
        return rl_fail(err, RL_EIO, path, 0, "cannot read: %s", strerror(failed));
    return got && strstr(line, "latency_us") && strstr(line, "params");
}

static bool starts(const char *text, const char *with)
{
    return !with || !strncmp(text, with, strlen(with));
}

/* Both: the exact operator, so that "gdn_scan" is not "gdn". */
static bool wanted(const struct rl_table *t, int row, const int *col,
                   const struct rl_ops_filter *f)
{
    return (!f->op || !strcmp(rl_table_get(t, row, col[C_OP]), f->op)) &&
           starts(rl_table_get(t, row, col[C_DEVICE]), f->device) &&
           starts(rl_table_get(t, row, col[C_RUNTIME]), f->runtime) &&
           starts(rl_table_get(t, row, col[C_IMPL]), f->impl);
}

static const char *wrong_label(const struct rl_measured *m, const struct rl_table *t,
                               int row, const int *col)
{
    struct rl_row_label label = {"ops",
                                 rl_table_get(t, row, col[C_DEVICE]),
                                 rl_table_get(t, row, col[C_RUNTIME]),
                                 rl_table_get(t, row, col[C_OP]),
                                 "",
                                 rl_table_get(t, row, col[C_PARAMS])};
    return rl_mislabelled(m->mislabelled, &label);
}

static int fill(struct rl_measured *m, const struct rl_table *t, int row, const int *col,
                struct rl_sample *s, struct rl_error *err)
{
    struct rl_error why = {0};
    double us;
    if (rl_table_num(t, row, col[C_LATENCY], 0, &us, err))
        return -1;
    if (!(us > 0))
        return rl_fail(err, RL_EVALUE, t->source, t->line[row],
                       "expected a latency above 0 in column 'latency_us'");
    if (rl_op_parse(s->op, rl_table_get(t, row, col[C_PARAMS]), s->p, &why))
        return rl_fail(err, RL_EVALUE, t->source, t->line[row], "%s", why.text);
    s->seconds = us * 1e-6;
    s->line = t->line[row];
    s->device = rl_samples_name(&m->samples, rl_table_get(t, row, col[C_DEVICE]), err);
    s->runtime = rl_samples_name(&m->samples, rl_table_get(t, row, col[C_RUNTIME]), err);
    s->impl = rl_samples_name(&m->samples, rl_table_get(t, row, col[C_IMPL]), err);
    rl_op_dtypes(s->op, s->p, &s->dtype, &s->kv_dtype);
    return s->device && s->runtime && s->impl ? 0 : -1;
}

static int read_row(struct rl_measured *m, const struct rl_table *t, int row,
                    const int *col, const struct rl_ops_filter *f, struct rl_error *err)
{
    if (f && !wanted(t, row, col, f))
        return 0;
    const char *name = rl_table_get(t, row, col[C_OP]);
    const struct rl_op_type *op = rl_op_find(name);
    m->rows++;
    if (!op) {
        char reason[128];
        snprintf(reason, sizeof reason, "unknown operator '%.60s'", name);
        return rl_tally_add(&m->skipped, reason, err);
    }
    const char *wrong = wrong_label(m, t, row, col);
    if (wrong)
        return rl_tally_add(&m->skipped, wrong, err);
    struct rl_sample *s = rl_samples_add(&m->samples, err);
    if (!s)
        return -1;
    s->op = op;
    if (fill(m, t, row, col, s, err))
        return -1;
    if (f && f->dtype && strcmp(rl_dtype(s->dtype)->name, f->dtype)) {
        m->samples.n--;
        m->rows--;
    }
    return 0;
}

static int read_file(struct rl_measured *m, const char *path,
                     const struct rl_ops_filter *f, struct rl_error *err)
{
    int col[NCOLS];
    struct rl_table *t = rl_table_read(path, err);
    int rc = t ? 0 : -1;
    for (int c = 0; !rc && c < NCOLS; c++)
        rc = rl_table_need(t, column[c], &col[c], err);
    for (int row = 0; !rc && row < t->nrows; row++)
        rc = read_row(m, t, row, col, f, err);
    rl_table_free(t);
    return rc;
}

/* The device of that id, loaded once; NULL when hwdb does not have it. */
static const struct rl_device *device_of(struct rl_measured *m, const char *data,
                                         const char *user, const char *id,
                                         struct rl_error *err)
{
    struct rl_error ignored = {0};
    for (size_t i = 0; i < m->nloaded; i++)
        if (!strcmp(m->loaded[i]->id, id))
            return m->loaded[i];
    struct rl_device *d = rl_device_load_for(data, user, id, &ignored);
    if (!d)
        return NULL;
    struct rl_device **grown =
        rl_grow(m->loaded, &m->loaded_cap, m->nloaded + 1, sizeof(*grown), err);
    if (!grown) {
        rl_device_free(d);
        return NULL;
    }
    m->loaded = grown;
    return m->loaded[m->nloaded++] = d;
}

static int load_devices(struct rl_measured *m, const char *data, const char *user,
                        struct rl_error *err)
{
    m->device = rl_alloc(m->ngroups, sizeof(*m->device), err);
    m->machine = rl_alloc(m->ngroups, sizeof *m->machine, err);
    if (!m->device || !m->machine)
        return -1;
    for (size_t i = 0; i < m->ngroups; i++) {
        const char *id = m->samples.at[m->group[i].first].device;
        m->device[i] = device_of(m, data, user, id, err);
        if (m->device[i])
            rl_machine_init(&m->machine[i], m->device[i], 1);
    }
    return err->code == RL_OK ? 0 : -1;
}

int rl_measured_read(struct rl_measured *m, const char *const *path, int npaths,
                     const struct rl_ops_filter *filter, const char *data,
                     struct rl_error *err)
{
    memset(m, 0, sizeof *m);
    if (!(m->mislabelled = rl_mislabelled_read(data, err)))
        return -1;
    for (int i = 0; i < npaths; i++)
        if (read_file(m, path[i], filter, err))
            return -1;
    if (m->samples.n == 0)
        return m->rows ? 0 : rl_fail(err, RL_EVALUE, NULL, 0, "no such rows");
    if (rl_samples_merge(&m->samples, err))
        return -1;
    m->group = rl_samples_groups(&m->samples, &m->ngroups, err);
    return m->group ? load_devices(m, data, filter ? filter->user : NULL, err) : -1;
}

void rl_measured_clear(struct rl_measured *m)
{
    for (size_t i = 0; i < m->nloaded; i++)
        rl_device_free(m->loaded[i]);
    free(m->loaded);
    free(m->device);
    free(m->machine);
    free(m->group);
    rl_samples_clear(&m->samples);
    rl_tally_clear(&m->skipped);
    rl_mislabelled_free(m->mislabelled);
    memset(m, 0, sizeof *m);
}
