/* Kernel entries of hwdb/kernels/<device>.csv: rows of one coefficient each,
 * gathered into one struct per key (runtime, op, impl, dtype, kv_dtype).
 *
 * A coefficient that an entry lacks takes the operator's prior, so an older
 * file keeps working when a kernel model gains a term.  A name that the model
 * does not know is an error: it would silently change nothing. */
#include "kernel.h"

#include "device.h"
#include "err.h"
#include "path.h"
#include "table.h"
#include "units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rl_kernel_db {
    struct rl_kernel *at;
    size_t n, cap;
};

/* Columns of a file, in the order of this enum. */
enum { C_RUNTIME, C_OP, C_IMPL, C_DTYPE, C_KV, C_COEF, C_VALUE, C_N, C_SOURCE, NCOLS };
static const char *const column[NCOLS] = {"runtime", "op",    "impl", "dtype", "kv_dtype",
                                          "coef",    "value", "n",    "source"};

struct file {
    const struct rl_table *t;
    int col[NCOLS];
    const char *device, *arch;
    size_t first; /* entries of this file start here */
};

static void kernel_clear(struct rl_kernel *k)
{
    free(k->runtime);
    free(k->impl);
    free(k->device);
    free(k->arch);
    free(k->source);
}

void rl_kernel_db_free(struct rl_kernel_db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < db->n; i++)
        kernel_clear(&db->at[i]);
    free(db->at);
    free(db);
}

int rl_kernel_db_count(const struct rl_kernel_db *db)
{
    return db ? (int)db->n : 0;
}

const struct rl_kernel *rl_kernel_db_at(const struct rl_kernel_db *db, int i)
{
    return &db->at[i];
}

static const char *cell(const struct file *f, int row, int c)
{
    return rl_table_get(f->t, row, f->col[c]);
}

static int parse_dtype(const struct file *f, int row, int c, enum rl_dtype *out,
                       struct rl_error *err)
{
    const char *s = cell(f, row, c);
    int dt = *s ? rl_dtype_parse(s) : RL_DT_NONE;
    if (dt < 0)
        return rl_fail(err, RL_EVALUE, f->t->source, f->t->line[row], "unknown %s '%s'",
                       column[c], s);
    *out = (enum rl_dtype)dt;
    return 0;
}

static bool same_key(const struct rl_kernel *a, const struct rl_kernel *b)
{
    return a->op == b->op && a->dtype == b->dtype && a->kv_dtype == b->kv_dtype &&
           !strcmp(a->runtime, b->runtime) && !strcmp(a->impl, b->impl);
}

/* A new entry at the operator's priors, with an interval to match. */
static int append(struct rl_kernel_db *db, const struct file *f,
                  const struct rl_kernel *key, struct rl_error *err)
{
    struct rl_kernel *grown = rl_grow(db->at, &db->cap, db->n + 1, sizeof *grown, err);
    if (!grown)
        return -1;
    db->at = grown;
    struct rl_kernel *k = &db->at[db->n++];
    memset(k, 0, sizeof *k);
    k->op = key->op;
    k->dtype = key->dtype;
    k->kv_dtype = key->kv_dtype;
    k->runtime = rl_strdup(key->runtime, err);
    k->impl = rl_strdup(key->impl, err);
    k->device = rl_strdup(f->device, err);
    k->arch = rl_strdup(f->arch, err);
    if (!k->runtime || !k->impl || !k->device || !k->arch)
        return -1;
    for (int i = 0; k->op->coef && k->op->coef[i].name; i++)
        k->coef[i] = k->op->coef[i].prior;
    k->lo = -1.64 * k->op->log_sd;
    k->hi = 1.64 * k->op->log_sd;
    k->lgo = NAN;
    return 0;
}

/* The row's entry: rows of one key stand together, so look at the last first. */
static struct rl_kernel *entry_of(struct rl_kernel_db *db, const struct file *f, int row,
                                  struct rl_error *err)
{
    struct rl_kernel key = {0};
    key.runtime = (char *)(size_t)cell(f, row, C_RUNTIME);
    key.impl = (char *)(size_t)cell(f, row, C_IMPL);
    key.op = rl_op_find(cell(f, row, C_OP));
    if (!key.op) {
        rl_fail(err, RL_ENAME, f->t->source, f->t->line[row], "unknown operator '%s'",
                cell(f, row, C_OP));
        return NULL;
    }
    if (parse_dtype(f, row, C_DTYPE, &key.dtype, err) ||
        parse_dtype(f, row, C_KV, &key.kv_dtype, err))
        return NULL;
    for (size_t i = db->n; i-- > f->first;)
        if (same_key(&db->at[i], &key))
            return &db->at[i];
    return append(db, f, &key, err) ? NULL : &db->at[db->n - 1];
}

/* Figures of an entry beside its coefficients; their bits follow those. */
static const char *const figures[] = {"bias", "lo", "hi", "lgo"};
enum { NFIGURES = sizeof figures / sizeof *figures };

/* The bit of a name: a coefficient's index, or a figure's after them; -1. */
static int bit_of(const struct rl_op_type *op, const char *name)
{
    for (int i = 0; i < NFIGURES; i++)
        if (!strcmp(figures[i], name))
            return RL_MAXCOEFS + i;
    for (int i = 0; op->coef && op->coef[i].name; i++)
        if (!strcmp(op->coef[i].name, name))
            return i;
    return -1;
}

static int set_coef(const struct file *f, int row, struct rl_kernel *k, double v,
                    struct rl_error *err)
{
    const char *name = cell(f, row, C_COEF), *source = f->t->source;
    int bit = bit_of(k->op, name), line = f->t->line[row];
    double *figure[] = {NULL, &k->lo, &k->hi, &k->lgo};

    if (bit < 0)
        return rl_fail(err, RL_ENAME, source, line,
                       "operator '%s' has no coefficient '%s'", k->op->name, name);
    if (k->given >> bit & 1)
        return rl_fail(err, RL_EVALUE, source, line, "'%s' is given twice", name);
    k->given |= 1UL << bit;
    if (bit >= RL_MAXCOEFS) {
        if (figure[bit - RL_MAXCOEFS])
            *figure[bit - RL_MAXCOEFS] = v;
        return 0;
    }
    const struct rl_coef *c = &k->op->coef[bit];
    if (v < c->min || v > c->max)
        return rl_fail(err, RL_EVALUE, source, line, "'%s' is %g, expected %g to %g",
                       name, v, c->min, c->max);
    k->coef[bit] = v;
    return 0;
}

static int read_row(struct rl_kernel_db *db, const struct file *f, int row,
                    struct rl_error *err)
{
    double value, n;
    if (rl_table_num(f->t, row, f->col[C_VALUE], NAN, &value, err) ||
        rl_table_num(f->t, row, f->col[C_N], 0, &n, err))
        return -1;
    if (!isfinite(value))
        return rl_fail(err, RL_EVALUE, f->t->source, f->t->line[row],
                       "expected a number in column 'value'");
    struct rl_kernel *k = entry_of(db, f, row, err);
    if (!k || set_coef(f, row, k, value, err))
        return -1;
    k->n = fmax(k->n, n);
    if (!k->source && strncmp(cell(f, row, C_SOURCE), "prior", 5)) {
        k->source = rl_strdup(cell(f, row, C_SOURCE), err);
        return k->source ? 0 : -1;
    }
    return 0;
}

static int check_intervals(const struct rl_kernel_db *db, const struct file *f,
                           struct rl_error *err)
{
    for (size_t i = f->first; i < db->n; i++) {
        const struct rl_kernel *k = &db->at[i];
        if (!(k->lo <= 0 && k->hi >= 0))
            return rl_fail(err, RL_EVALUE, f->t->source, 0,
                           "'%s' of %s: expected lo <= 0 <= hi", k->op->name, k->impl);
    }
    return 0;
}

/* What kernel entries need of a device file; loading the whole device, with
 * priors and aliases, for each would take most of a run. */
struct facts {
    char capability[32];
    double sustained; /* bf16 rate over peak; 0: unknown */
};

static int read_facts(const char *data, const char *device, struct facts *f,
                      struct rl_error *err)
{
    char file[160];
    int key, value, kind;
    double peak = 0, rate = 0, v;

    memset(f, 0, sizeof *f);
    snprintf(file, sizeof file, "%s.csv", device);
    char *path = rl_path_join(data, "hwdb", "devices", file, NULL);
    struct rl_table *t = path ? rl_table_read(path, err) : NULL;
    int rc = t ? 0 : -1;

    if (!rc)
        rc = rl_table_need(t, "key", &key, err) ||
             rl_table_need(t, "value", &value, err) ||
             rl_table_need(t, "kind", &kind, err);
    for (int i = 0; !rc && i < t->nrows; i++) {
        const char *k = rl_table_get(t, i, key), *how = rl_table_get(t, i, kind);
        if (!strcmp(k, "compute_capability"))
            snprintf(f->capability, sizeof f->capability, "%s",
                     rl_table_get(t, i, value));
        if (strcmp(k, "flops.bf16") || rl_parse_number(rl_table_get(t, i, value), &v))
            continue;
        if (!strcmp(how, "sustained"))
            rate = v;
        else if (!strcmp(how, "datasheet") || !strcmp(how, "derived"))
            peak = v;
    }
    f->sustained = peak > 0 ? rate / peak : 0;
    rl_table_free(t);
    free(path);
    return rc ? -1 : 0;
}

static int load_file(struct rl_kernel_db *db, const char *data, const char *device,
                     const char *path, struct rl_error *err)
{
    struct facts facts;
    int rc = read_facts(data, device, &facts, err);
    struct rl_table *t = rc ? NULL : rl_table_read(path, err);
    struct file f = {.t = t, .device = device, .first = db->n};
    rc = t ? 0 : -1;
    for (int c = 0; !rc && c < NCOLS; c++)
        rc = rl_table_need(t, column[c], &f.col[c], err);
    if (!rc)
        f.arch = facts.capability;
    for (int row = 0; !rc && row < t->nrows; row++)
        rc = read_row(db, &f, row, err);
    for (size_t i = f.first; !rc && i < (size_t)db->n; i++)
        db->at[i].sustained = facts.sustained;
    if (!rc)
        rc = check_intervals(db, &f, err);
    rl_table_free(t);
    return rc;
}

static int load_folder(struct rl_kernel_db *db, const char *data, const char *dir,
                       struct rl_error *err)
{
    char **names = NULL;
    int n = 0, rc = rl_list_dir(dir, ".csv", &names, &n, err);
    for (int i = 0; !rc && i < n; i++) {
        char *file = malloc(strlen(names[i]) + sizeof ".csv");
        if (!file) {
            rc = rl_fail(err, RL_ENOMEM, dir, 0, "out of memory");
            break;
        }
        sprintf(file, "%s.csv", names[i]);
        char *path = rl_path_join(dir, file, NULL);
        rc = path ? load_file(db, data, names[i], path, err)
                  : rl_fail(err, RL_ENOMEM, dir, 0, "out of memory");
        free(path);
        free(file);
    }
    rl_free_names(names, n);
    return rc;
}

struct rl_kernel_db *rl_kernel_db_load(const char *data, struct rl_error *err)
{
    struct rl_kernel_db *db = rl_alloc(1, sizeof *db, err);
    char *dir = db ? rl_path_join(data, "hwdb", "kernels", NULL) : NULL;
    int rc = db && dir ? load_folder(db, data, dir, err) : -1;
    free(dir);
    if (!rc)
        return db;
    if (db && !dir)
        rl_fail(err, RL_ENOMEM, data, 0, "out of memory");
    rl_kernel_db_free(db);
    return NULL;
}
