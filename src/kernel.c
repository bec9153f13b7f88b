/* Kernel entries of hwdb/kernels/<device>.csv: rows of one coefficient each,
 * gathered into one struct per key (runtime, op, impl, dtype, kv_dtype).
 *
 * One prediction needs a few of thousands of rows, and reading them all would be
 * most of its time: a key is looked at only where it differs from that of the row
 * before, and rows of operators that nobody asked for are passed over.
 *
 * A coefficient that an entry lacks takes the operator's prior, so an older
 * file keeps working when a kernel model gains a term.  A name that the model
 * does not know is an error: it would silently change nothing. */
#include "kernel.h"

#include "err.h"
#include "kernel_facts.h"
#include "path.h"
#include "rows.h"
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

enum { UNWANTED = -1 };

struct file {
    struct rl_rows rows;
    struct rl_error *err;
    const char *data, *device;
    rl_kernel_want *want; /* NULL: every operator */
    const void *want_arg;
    int col[NCOLS];
    char *pool; /* text of the row's fields */
    struct rl_kernel_facts facts;
    int first; /* entries of this file start here */
    /* of the row before: its key as it stands in the file (length 0: not at the
     * head of the row, or quoted) and its entry or UNWANTED */
    const char *key;
    size_t key_len;
    int entry;
    int next; /* the coefficient expected now */
};

static void kernel_clear(struct rl_kernel *k)
{
    free(k->runtime);
    free(k->impl);
    free(k->device);
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

static const char *cell(const struct file *f, int c)
{
    return f->rows.field[f->col[c]];
}

#define FAIL(f, code, ...)                                                               \
    rl_fail((f)->err, code, (f)->rows.source, (f)->rows.line, __VA_ARGS__)

static int parse_dtype(const struct file *f, int c, enum rl_dtype *out)
{
    const char *s = cell(f, c);
    int dt = *s ? rl_dtype_parse(s) : RL_DT_NONE;
    if (dt < 0)
        return FAIL(f, RL_EVALUE, "unknown %s '%s'", column[c], s);
    *out = (enum rl_dtype)dt;
    return 0;
}

static int parse_number(const struct file *f, int c, double *out)
{
    if (!rl_parse_number(cell(f, c), out))
        return 0;
    return FAIL(f, RL_EVALUE, "expected a number in column '%s', found '%.60s'",
                column[c], cell(f, c));
}

static bool same_key(const struct rl_kernel *a, const struct rl_kernel *b)
{
    return a->op == b->op && a->dtype == b->dtype && a->kv_dtype == b->kv_dtype &&
           !strcmp(a->runtime, b->runtime) && !strcmp(a->impl, b->impl);
}

/* A new entry at the operator's priors, with an interval to match. */
static int append(struct rl_kernel_db *db, struct file *f, const struct rl_kernel *key)
{
    struct rl_kernel *grown = rl_grow(db->at, &db->cap, db->n + 1, sizeof *grown, f->err);
    if (!grown)
        return -1;
    db->at = grown;
    if (!f->facts.read && rl_kernel_facts_read(f->data, f->device, &f->facts, f->err))
        return -1;
    struct rl_kernel *k = &db->at[db->n];
    memset(k, 0, sizeof *k);
    f->entry = (int)db->n++;
    k->op = key->op;
    k->dtype = key->dtype;
    k->kv_dtype = key->kv_dtype;
    rl_kernel_facts_set(k, &f->facts);
    k->runtime = rl_strdup(key->runtime, f->err);
    k->impl = rl_strdup(key->impl, f->err);
    k->device = rl_strdup(f->device, f->err);
    if (!k->runtime || !k->impl || !k->device)
        return -1;
    for (int i = 0; k->op->coef && k->op->coef[i].name; i++)
        k->coef[i] = k->op->coef[i].prior;
    k->lo = -1.64 * k->op->log_sd;
    k->hi = 1.64 * k->op->log_sd;
    k->lgo = NAN;
    return 0;
}

/* Finds or makes the entry of the row just cut. */
static int find_entry(struct rl_kernel_db *db, struct file *f)
{
    struct rl_kernel key = {0};
    key.runtime = (char *)(size_t)cell(f, C_RUNTIME);
    key.impl = (char *)(size_t)cell(f, C_IMPL);
    key.op = rl_op_find(cell(f, C_OP));
    if (!key.op)
        return FAIL(f, RL_ENAME, "unknown operator '%s'", cell(f, C_OP));
    f->entry = UNWANTED;
    if (f->want && !f->want(key.op, f->want_arg))
        return 0;
    if (parse_dtype(f, C_DTYPE, &key.dtype) || parse_dtype(f, C_KV, &key.kv_dtype))
        return -1;
    for (int i = (int)db->n; i-- > f->first;)
        if (same_key(&db->at[i], &key)) {
            f->entry = i;
            return 0;
        }
    return append(db, f, &key);
}

/* Length of the row's key with its commas. */
static size_t key_length(const struct file *f)
{
    const char *s = f->rows.text, *end = s + f->rows.len;
    for (int i = 0; i < C_COEF; i++) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        if (f->col[i] >= C_COEF || !comma || memchr(s, '"', (size_t)(comma - s)))
            return 0;
        s = comma + 1;
    }
    return (size_t)(s - f->rows.text);
}

/* Figures of an entry beside its coefficients; their bits follow those. */
static const char *const figures[] = {"bias", "lo", "hi", "lgo", "spread", "from", "to"};
enum { NFIGURES = sizeof figures / sizeof *figures, SPREAD = RL_MAXCOEFS + 4 };

/* The bit of a name: a coefficient's index, or a figure's after them; -1.  Rows
 * follow the operator's order as a rule, so its next one is looked at first. */
static int bit_of(const struct rl_op_type *op, const char *name, int next)
{
    if (op->coef && op->coef[next].name && !strcmp(op->coef[next].name, name))
        return next;
    for (int i = 0; i < NFIGURES; i++)
        if (!strcmp(figures[i], name))
            return RL_MAXCOEFS + i;
    for (int i = 0; op->coef && op->coef[i].name; i++)
        if (!strcmp(op->coef[i].name, name))
            return i;
    return -1;
}

static void set_figure(struct rl_kernel *k, int which, double v)
{
    double *figure[NFIGURES] = {
        NULL, &k->lo, &k->hi, &k->lgo, &k->spread.power, &k->spread.from, &k->spread.to};
    if (figure[which])
        *figure[which] = which > SPREAD - RL_MAXCOEFS ? v * 1e-6 : v; /* µs */
}

static int set_coef(struct file *f, struct rl_kernel *k, double v)
{
    const char *name = cell(f, C_COEF);
    int bit = bit_of(k->op, name, f->next);

    if (bit < 0)
        return FAIL(f, RL_ENAME, "operator '%s' has no coefficient '%s'", k->op->name,
                    name);
    if (k->given >> bit & 1)
        return FAIL(f, RL_EVALUE, "'%s' is given twice", name);
    k->given |= 1UL << bit;
    f->next = bit < RL_MAXCOEFS ? bit + 1 : 0;
    if (bit >= RL_MAXCOEFS) {
        set_figure(k, bit - RL_MAXCOEFS, v);
        return 0;
    }
    const struct rl_coef *c = &k->op->coef[bit];
    if (v < c->min || v > c->max)
        return FAIL(f, RL_EVALUE, "'%s' is %g, expected %g to %g", name, v, c->min,
                    c->max);
    k->coef[bit] = v;
    return 0;
}

/* The row's coefficient goes into its entry. */
static int add_row(struct file *f, struct rl_kernel *k)
{
    double value, n = 0;
    if (!*cell(f, C_VALUE))
        return FAIL(f, RL_EVALUE, "expected a number in column 'value'");
    if (parse_number(f, C_VALUE, &value) || (*cell(f, C_N) && parse_number(f, C_N, &n)) ||
        set_coef(f, k, value))
        return -1;
    k->n = fmax(k->n, n);
    k->line = f->rows.line;
    if (!k->source && strncmp(cell(f, C_SOURCE), "prior", 5)) {
        k->source = rl_strdup(cell(f, C_SOURCE), f->err);
        return k->source ? 0 : -1;
    }
    return 0;
}

static int read_row(struct rl_kernel_db *db, struct file *f)
{
    bool again = f->key_len && f->rows.len >= f->key_len &&
                 !memcmp(f->rows.text, f->key, f->key_len);
    if (again && f->entry == UNWANTED)
        return 0;
    if (rl_rows_cut(&f->rows, f->pool))
        return -1;
    if (!again) {
        if (find_entry(db, f))
            return -1;
        f->next = 0;
        f->key = f->rows.text;
        f->key_len = key_length(f);
    }
    return f->entry == UNWANTED ? 0 : add_row(f, &db->at[f->entry]);
}

/* All three figures or none, and a spread that stays one. */
static bool is_spread(const struct rl_kernel *k)
{
    unsigned long given = k->given >> SPREAD & 7;
    const struct rl_spread *s = &k->spread;
    return !given ||
           (given == 7 && fabs(s->power) <= 1 && s->from > 0 && s->to >= s->from);
}

static int check_intervals(const struct rl_kernel_db *db, const struct file *f)
{
    for (size_t i = (size_t)f->first; i < db->n; i++) {
        const struct rl_kernel *k = &db->at[i];
        if (!(k->lo <= 0 && k->hi >= 0))
            return rl_fail(f->err, RL_EVALUE, f->rows.source, k->line,
                           "'%s' of %s: expected lo <= 0 <= hi", k->op->name, k->impl);
        if (!is_spread(k))
            return rl_fail(f->err, RL_EVALUE, f->rows.source, k->line,
                           "'%s' of %s: expected spread from -1 to 1 with 0 < from <= to",
                           k->op->name, k->impl);
    }
    return 0;
}

static int read_rows(struct rl_kernel_db *db, struct file *f)
{
    int more = rl_rows_header(&f->rows, column, NCOLS, f->col, f->pool);
    while (!more && (more = rl_rows_next(&f->rows)) > 0)
        more = read_row(db, f);
    return more ? -1 : check_intervals(db, f);
}

/* f: all but the rows is filled in. */
static int load_file(struct rl_kernel_db *db, struct file *f, const char *path)
{
    size_t len, room = 0;
    char *text = rl_read_file(path, RL_MOST_BYTES, &len, f->err);
    int rc = -1;

    f->first = (int)db->n;
    f->pool = text ? rl_grow(NULL, &room, len + 1, 1, f->err) : NULL;
    if (f->pool && !rl_rows_init(&f->rows, path, text, len, f->err)) {
        rc = read_rows(db, f);
        rl_rows_clear(&f->rows);
    }
    free(f->pool);
    free(text);
    return rc;
}

static int load_folder(struct rl_kernel_db *db, const char *data, const char *dir,
                       rl_kernel_want *want, const void *arg, struct rl_error *err)
{
    char **names = NULL;
    int n = 0, rc = rl_list_dir(dir, ".csv", &names, &n, err);
    for (int i = 0; !rc && i < n; i++) {
        struct file f = {
            .err = err, .data = data, .device = names[i], .want = want, .want_arg = arg};
        char *file = rl_alloc(strlen(names[i]) + sizeof ".csv", 1, err), *path = NULL;
        if (file) {
            sprintf(file, "%s.csv", names[i]);
            path = rl_path_join(dir, file, NULL);
        }
        rc = path ? load_file(db, &f, path)
                  : rl_fail(err, RL_ENOMEM, dir, 0, "out of memory");
        free(path);
        free(file);
    }
    rl_free_names(names, n);
    return rc;
}

struct rl_kernel_db *rl_kernel_db_load_for(const char *data, rl_kernel_want *want,
                                           const void *arg, struct rl_error *err)
{
    struct rl_kernel_db *db = rl_alloc(1, sizeof *db, err);
    char *dir = db ? rl_path_join(data, "hwdb", "kernels", NULL) : NULL;
    int rc = db && dir ? load_folder(db, data, dir, want, arg, err) : -1;
    free(dir);
    if (!rc)
        return db;
    if (db && !dir)
        rl_fail(err, RL_ENOMEM, data, 0, "out of memory");
    rl_kernel_db_free(db);
    return NULL;
}

struct rl_kernel_db *rl_kernel_db_load(const char *data, struct rl_error *err)
{
    return rl_kernel_db_load_for(data, NULL, NULL, err);
}
