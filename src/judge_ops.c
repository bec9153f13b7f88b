/* Files of the ops schema judged: each kernel's rows by its entry, by other devices'
 * entries, or by refits that have not seen them. */
#include "judged.h"

#include "err.h"
#include "measured.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void set_keys(const char **key, const struct rl_sample *s)
{
    for (int i = 0; i < NKEYS; i++)
        key[i] = "";
    key[K_DEVICE] = s->device;
    key[K_RUNTIME] = s->runtime;
    key[K_OP] = s->op->name;
    key[K_IMPL] = s->impl;
    key[K_DTYPE] = rl_dtype(s->dtype)->name;
}

/* What the entries of hwdb say about one kernel's rows. */
static void judge_group(const struct rl_measured *m, size_t g,
                        const struct rl_kernel_db *db, bool without,
                        struct rl_outcome *outcome)
{
    const struct rl_sample *key = &m->samples.at[m->group[g].first];
    struct rl_ask ask = {db,      m->device[g], key->runtime,  key->impl,
                         key->op, key->dtype,   key->kv_dtype, without};
    struct rl_choice ch;
    if (m->device[g])
        rl_choose_by(&ask, &ch);
    for (size_t i = m->group[g].first; i < m->group[g].first + m->group[g].n; i++) {
        const struct rl_sample *s = &m->samples.at[i];
        struct rl_outcome *o = &outcome[i];
        o->measured = s->seconds;
        if (!m->device[g]) {
            o->skipped = "the device is not in hwdb";
            continue;
        }
        o->predicted = rl_op_seconds(s->op, s->p, &m->machine[g], &ch, NULL);
        rl_choice_bounds(&ch, o->predicted, &o->lo, &o->hi);
        if (!(o->predicted > 0) || !isfinite(o->predicted))
            o->skipped = "the kernel model gives no time";
    }
}

static int judge_entries(const struct rl_measured *m, const char *data, bool without,
                         struct rl_judged *j, struct rl_error *err)
{
    struct rl_kernel_db *db = rl_kernel_db_load(data, err);
    if (!db)
        return -1;
    for (size_t g = 0; g < m->ngroups; g++)
        judge_group(m, g, db, without, j->outcome);
    rl_kernel_db_free(db);
    return 0;
}

/* Refits without the row's shape; a kernel with too few rows to be refitted is
 * judged by what hwdb offers without it. */
static int judge_shapes(const struct rl_measured *m, const char *data,
                        struct rl_judged *j, struct rl_error *err)
{
    struct rl_calibrate_options o = {.folds = 5, .starts = 3};
    struct rl_calibration *c = rl_alloc(m->ngroups, sizeof *c, err);
    struct rl_kernel_db *db = c ? rl_kernel_db_load(data, err) : NULL;
    int rc = db ? rl_calibrate_all(&m->samples, m->group, m->ngroups, m->device,
                                   m->machine, &o, c, err)
                : -1;
    for (size_t g = 0; !rc && g < m->ngroups; g++) {
        if (c[g].refused || c[g].by_row) {
            judge_group(m, g, db, true, j->outcome);
            j->carried += m->group[g].n;
        } else
            memcpy(j->outcome + m->group[g].first, c[g].outcome,
                   c[g].n * sizeof *j->outcome);
    }
    for (size_t g = 0; c && g < m->ngroups; g++)
        rl_calibration_clear(&c[g]);
    free(c);
    rl_kernel_db_free(db);
    return rc;
}

int rl_judge_ops(const char *const *path, int npaths, const struct rl_ops_filter *filter,
                 const char *data, const char *holdout, struct rl_measured *m,
                 struct rl_judged *j, struct rl_error *err)
{
    if (rl_measured_read(m, path, npaths, filter, data, err) ||
        rl_judged_alloc(j, m->samples.n, err))
        return -1;
    for (size_t i = 0; i < m->samples.n; i++)
        set_keys(j->key[i], &m->samples.at[i]);
    for (size_t i = 0; i < m->skipped.n; i++)
        for (size_t k = 0; k < m->skipped.count[i]; k++)
            if (rl_tally_add(&j->skipped, m->skipped.reason[i], err))
                return -1;
    if (holdout && !strcmp(holdout, "shapes"))
        return judge_shapes(m, data, j, err);
    return judge_entries(m, data, holdout != NULL, j, err);
}
