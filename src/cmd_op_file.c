/* rooflint op --in: every row of an ops file, its columns kept as they are and
 * predicted_us, lo_us, hi_us and bound added.
 *
 * Rows of one kernel share their coefficients, so those are looked up once per
 * (device, runtime, operator, implementation, dtypes).  The output file appears
 * whole or not at all.
 */
#include "cmd_op.h"

#include "command.h"
#include "err.h"
#include "path.h"
#include "plan.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { C_OP, C_PARAMS, C_DEVICE, C_RUNTIME, C_IMPL, NCOLS };
static const char *const column[NCOLS] = {"op", "params", "device", "runtime", "impl"};

struct cached {
    const struct rl_op_type *op;
    const char *device, *runtime, *impl; /* owned by the table, or by the caller */
    enum rl_dtype dtype, kv_dtype;
    struct rl_op_setup setup;
};

struct job {
    struct rl_table *t;
    struct rl_kernel_db *db;
    const char *data;
    const char *fixed[NCOLS]; /* options that stand in for columns */
    int col[NCOLS];           /* -1: absent */
    struct rl_device **device;
    struct rl_runtime **runtime;
    struct cached *cached;
    size_t ndevices, devices_cap, nruntimes, runtimes_cap, ncached, cached_cap;
    size_t unknown_impls; /* rows */
};

static const char *cell(const struct job *j, int row, int which)
{
    if (j->fixed[which])
        return j->fixed[which];
    return j->col[which] < 0 ? "" : rl_table_get(j->t, row, j->col[which]);
}

static const struct rl_device *device_of(struct job *j, const char *name,
                                         struct rl_error *err)
{
    struct rl_device *d = rl_command_device(j->data, name, err), **grown;

    if (!d)
        return NULL;
    grown = rl_grow(j->device, &j->devices_cap, j->ndevices + 1, sizeof *grown, err);
    if (!grown) {
        rl_device_free(d);
        return NULL;
    }
    j->device = grown;
    return j->device[j->ndevices++] = d;
}

/* NULL without an error for a library's name: nccl-2.27.3. */
static const struct rl_runtime *runtime_of(struct job *j, const char *name,
                                           const struct rl_device *d,
                                           struct rl_error *err)
{
    struct rl_runtime *r, **grown;

    if (!strncmp(name, "nccl", 4))
        return NULL;
    r = rl_runtime_load(j->data, *name ? name : NULL, d, err);
    if (!r)
        return NULL;
    if (rl_runtime_check(r, err) || rl_check_device(r, d, err)) {
        rl_runtime_free(r);
        return NULL;
    }
    grown = rl_grow(j->runtime, &j->runtimes_cap, j->nruntimes + 1, sizeof *grown, err);
    if (!grown) {
        rl_runtime_free(r);
        return NULL;
    }
    j->runtime = grown;
    return j->runtime[j->nruntimes++] = r;
}

static bool same(const struct cached *a, const struct cached *b)
{
    return a->op == b->op && a->dtype == b->dtype && a->kv_dtype == b->kv_dtype &&
           !strcmp(a->device, b->device) && !strcmp(a->runtime, b->runtime) &&
           !strcmp(a->impl, b->impl);
}

static struct rl_op_setup *setup_of(struct job *j, const struct cached *key,
                                    const double *p, struct rl_error *err)
{
    const struct rl_device *d;
    const struct rl_runtime *r;
    struct cached *grown;

    for (size_t i = j->ncached; i-- > 0;)
        if (same(&j->cached[i], key))
            return &j->cached[i].setup;
    d = device_of(j, key->device, err);
    r = d ? runtime_of(j, key->runtime, d, err) : NULL;
    if (err->code)
        return NULL;
    grown = rl_grow(j->cached, &j->cached_cap, j->ncached + 1, sizeof *grown, err);
    if (!grown)
        return NULL;
    j->cached = grown;
    j->cached[j->ncached] = *key;
    rl_op_setup(&j->cached[j->ncached].setup, j->db, key->op, d, r,
                r ? r->name : key->runtime, key->impl, p);
    return &j->cached[j->ncached++].setup;
}

/* The error of a row, with its line. */
static int at_row(const struct job *j, int row, const struct rl_error *why,
                  struct rl_error *err)
{
    return rl_fail(err, why->code, j->t->source, j->t->line[row], "%s", why->text);
}

static int answer(struct job *j, int row, struct rl_op_answer *a, struct rl_error *err)
{
    struct rl_error why = {0};
    double p[RL_MAXPARAMS];
    struct rl_op_setup *s;
    struct cached key = {.op = rl_op_find(cell(j, row, C_OP)),
                         .device = cell(j, row, C_DEVICE),
                         .runtime = cell(j, row, C_RUNTIME),
                         .impl = cell(j, row, C_IMPL)};

    if (!key.op)
        return rl_fail(err, RL_ENAME, j->t->source, j->t->line[row],
                       "unknown operator '%s' (see 'rooflint op --list')",
                       cell(j, row, C_OP));
    if (rl_op_parse(key.op, cell(j, row, C_PARAMS), p, &why))
        return at_row(j, row, &why, err);
    rl_op_dtypes(key.op, p, &key.dtype, &key.kv_dtype);
    s = setup_of(j, &key, p, &why);
    if (!s)
        return at_row(j, row, &why, err);
    j->unknown_impls += !s->impl_known;
    rl_op_ask(s, p, a);
    return 0;
}

static void print_fields(FILE *f, char *const *field, int n)
{
    for (int i = 0; i < n; i++) {
        if (i)
            fputc(',', f);
        rl_csv_field(f, field[i]);
    }
}

static int print_rows(struct job *j, FILE *f, struct rl_error *err)
{
    const struct rl_table *t = j->t;

    print_fields(f, t->header, t->ncols);
    fputs(",predicted_us,lo_us,hi_us,bound\n", f);
    for (int row = 0; row < t->nrows; row++) {
        struct rl_op_answer a;
        if (answer(j, row, &a, err))
            return -1;
        print_fields(f, t->cell + (size_t)row * (size_t)t->ncols, t->ncols);
        fprintf(f, ",%.6g,%.6g,%.6g,%s\n", a.us, a.lo_us, a.hi_us,
                rl_bound_name(a.bound));
    }
    return 0;
}

static int write_rows(struct job *j, const char *out_path, struct rl_error *err)
{
    struct rl_out_file o;

    if (!out_path)
        return print_rows(j, stdout, err);
    if (rl_out_open(&o, out_path, err))
        return -1;
    if (print_rows(j, o.f, err)) {
        rl_out_abandon(&o);
        return -1;
    }
    return rl_out_commit(&o, err);
}

static int find_columns(struct job *j, struct rl_error *err)
{
    for (int c = 0; c < NCOLS; c++) {
        bool needed = c <= C_DEVICE && !j->fixed[c];
        j->col[c] = rl_table_col(j->t, column[c]);
        if (needed && rl_table_need(j->t, column[c], &j->col[c], err))
            return -1;
    }
    return 0;
}

int rl_op_file(const char *data, const char *in_path, const char *out_path,
               const char *hw, const char *runtime, const char *impl,
               struct rl_error *err)
{
    struct job j = {.data = data,
                    .fixed = {[C_DEVICE] = hw, [C_RUNTIME] = runtime, [C_IMPL] = impl}};
    int rc;

    j.t = rl_table_read(in_path, err);
    rc = j.t ? find_columns(&j, err) : -1;
    j.db = rc ? NULL : rl_kernel_db_load(data, err);
    rc = j.db ? write_rows(&j, out_path, err) : -1;
    if (!rc && j.unknown_impls)
        fprintf(stderr,
                "rooflint: note: %zu rows name implementations without an entry; the "
                "runtime's usual one was used\n",
                j.unknown_impls);
    while (j.ndevices)
        rl_device_free(j.device[--j.ndevices]);
    while (j.nruntimes)
        rl_runtime_free(j.runtime[--j.nruntimes]);
    free(j.device);
    free(j.runtime);
    free(j.cached);
    rl_kernel_db_free(j.db);
    rl_table_free(j.t);
    return rc;
}
