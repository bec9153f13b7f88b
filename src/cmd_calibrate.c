/* `rooflint calibrate`: measured operators to kernel entries. */
#include "cmd_calibrate.h"
#include "command.h"
#include "err.h"
#include "judged.h"
#include "kernel_out.h"
#include "tune.h"
#include "units.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct rl_option options[] = {
    {"out", 0, "DIR", NULL, "where to write <device>.csv", "file"},
    {"dry-run", 'n', NULL, NULL, "print the errors, write nothing", NULL},
    {"op", 0, "OP", NULL, "only this operator", NULL},
    {"device", 0, "TEXT", NULL, "only devices that begin so", "device"},
    {"runtime", 0, "TEXT", NULL, "only runtimes that begin so", "runtime"},
    {"impl", 0, "TEXT", NULL, "only implementations that begin so", NULL},
    {"dtype", 0, "D", NULL, "only this dtype", "dtype"},
    {"few", 0, "LIST", NULL,
     "fit N rows of each kernel from other devices' entries, writes nothing; "
     "0,1,3,5,10,30,all: a table",
     NULL},
    {"folds", 0, "K", "5", "parts of the cross-validation", NULL},
    {"starts", 0, "N", "3", "starting points of each fit", NULL},
    {"coefs", 'c', NULL, NULL, "print the coefficients too", NULL},
    {"worst", 0, "N", "0", "print the N left-out rows with the largest errors", NULL},
    {"tune", 0, "KEY=START,…", NULL,
     "runs: fit these numbers of the runtime files to whole runs, print them", NULL},
    {"model", 0, "TEXT", NULL, "runs: only models that begin so", "model"},
    {"metric", 0, "TEXT", NULL, "runs: only metrics that begin so", NULL},
    {"source", 0, "TEXT", "rooflint calibrate", "what to note as the source", NULL},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static int run(const struct rl_args *a);
extern const struct rl_command rl_cmd_calibrate;
const struct rl_command rl_cmd_calibrate = {
    .name = "calibrate",
    .summary = "fit kernel entries to measured operators",
    .operands = "FILE…",
    .details =
        "Fits the kernel model of every (device, runtime, operator, implementation,\n"
        "dtype) in the FILEs (ops schema) and prints its errors on the rows it was\n"
        "fitted to and on shapes left out of the fit. A coefficient that the rows do\n"
        "not determine stays at its prior and is marked with '~'.",
    .option = options,
    .run = run,
};

enum { MOST = 10000 }; /* of any whole number asked for */

static int number_option(const struct rl_args *a, const char *name, int fallback, int min,
                         int *out, struct rl_error *err)
{
    double v = fallback;
    const char *text = rl_arg(&rl_cmd_calibrate, a, name);
    if (text && (rl_parse_number(text, &v) || floor(v) != v || v < min || v > MOST))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--%s: expected a whole number from %d to %d, got '%s'", name, min,
                       MOST, text);
    *out = (int)v;
    return 0;
}

static const char *kv_name(const struct rl_sample *k)
{
    return k->kv_dtype == RL_DT_NONE ? "-" : rl_dtype(k->kv_dtype)->name;
}

static void print_head(void)
{
    printf("%-20s %-14s %-16s %-24s %-9s %-5s %5s %6s  %6s  %6s %6s %6s %6s %5s %5s\n",
           "device", "runtime", "op", "impl", "dtype", "kv", "n", "shapes", "seen",
           "median", "mean", "p90", "bias", "cov", "width");
}

static void print_score(const struct rl_calibration *c)
{
    const struct rl_sample *k = c->key;
    printf("%-20.20s %-14s %-16s %-24.24s %-9s %-5s %5zu %6zu  ", k->device, k->runtime,
           k->op->name, k->impl, rl_dtype(k->dtype)->name, kv_name(k), c->n, c->shapes);
    if (c->refused) {
        printf("refused: %s\n", c->refused);
        return;
    }
    printf("%6.2f  %6.2f %6.2f %6.2f %+6.2f %5.1f %5.2f%s\n", 100 * c->seen.median_ape,
           100 * c->held.median_ape, 100 * c->held.mean_ape, 100 * c->held.p90_ape,
           100 * c->held.bias, 100 * c->held.coverage90, c->held.median_width,
           c->by_row ? "  rows left out, not shapes" : "");
}

static void print_coefs(const struct rl_calibration *c)
{
    const struct rl_coef *coef = c->key->op->coef;
    printf("   ");
    for (int i = 0; coef[i].name; i++) {
        bool moved = coef[i].kind == RL_C_CHOICE || rl_calibration_identified(c, i);
        printf(" %s=%.4g%s", coef[i].name, c->fit.coef[i], moved ? "" : "~");
    }
    printf("\n");
}

struct miss {
    const struct rl_sample *s;
    const struct rl_outcome *o;
    double error;
};

static int larger(const void *va, const void *vb)
{
    double a = fabs(((const struct miss *)va)->error);
    double b = fabs(((const struct miss *)vb)->error);
    return (a < b) - (a > b);
}

static int print_worst(const struct rl_calibration *c, int n, struct rl_error *err)
{
    char params[400];
    struct miss *m = rl_alloc(c->n, sizeof *m, err);
    if (!m)
        return -1;
    for (size_t i = 0; i < c->n; i++) {
        const struct rl_outcome *o = &c->outcome[i];
        double e = o->skipped ? 0 : log(o->predicted / o->measured);
        m[i] = (struct miss){c->key + i, o, e};
    }
    qsort(m, c->n, sizeof *m, larger);
    for (size_t i = 0; i < c->n && i < (size_t)n; i++)
        printf("    %+6.1f %% %10.2f us, predicted %10.2f  %s\n", 100 * expm1(m[i].error),
               m[i].o->measured * 1e6, m[i].o->predicted * 1e6,
               rl_op_format(m[i].s->op, m[i].s->p, params, sizeof params));
    free(m);
    return 0;
}

static int print_pooled(const struct rl_calibration *c, size_t n, const char *op,
                        const char *dtype, struct rl_error *err)
{
    struct rl_score s;
    if (rl_calibration_pool(c, n, op, dtype, &s, err))
        return -1;
    if (s.n)
        printf(
            "pooled %-18s %-10s n %6zu  median %5.2f  mean %5.2f  p90 %5.2f  bias %+5.2f"
            "  coverage %4.1f  width %4.2f\n",
            op, dtype ? dtype : "all", s.n, 100 * s.median_ape, 100 * s.mean_ape,
            100 * s.p90_ape, 100 * s.bias, 100 * s.coverage90, s.median_width);
    return 0;
}

static int print_all_pooled(const struct rl_calibration *c, size_t n,
                            struct rl_error *err)
{
    for (int o = 0; rl_op_types[o]; o++) {
        const char *op = rl_op_types[o]->name;
        if (print_pooled(c, n, op, NULL, err))
            return -1;
        for (int dt = 0; dt < RL_NDTYPES && !strcmp(op, "gemm"); dt++)
            if (print_pooled(c, n, op, rl_dtype((enum rl_dtype)dt)->name, err))
                return -1;
    }
    return 0;
}

static int report(const struct rl_args *a, const struct rl_calibration *c, size_t n,
                  int worst, struct rl_error *err)
{
    int coefs = 0, entries = 0;
    bool show = rl_arg(&rl_cmd_calibrate, a, "coefs") != NULL;
    print_head();
    for (size_t i = 0; i < n; i++) {
        print_score(&c[i]);
        if (c[i].refused)
            continue;
        entries++;
        coefs += rl_calibration_ncoefs(&c[i]);
        if (show)
            print_coefs(&c[i]);
        if (worst && print_worst(&c[i], worst, err))
            return -1;
    }
    bool few = rl_arg(&rl_cmd_calibrate, a, "few") != NULL;
    printf("\n%s, errors in per cent:\n", few ? "Rows not measured" : "Left-out shapes");
    if (print_all_pooled(c, n, err))
        return -1;
    printf("%d entries, %d coefficients in all\n", entries, coefs);
    return 0;
}

static const char *folder_to_write(const struct rl_args *a)
{
    bool dry = rl_arg(&rl_cmd_calibrate, a, "dry-run") != NULL;
    return dry ? NULL : rl_arg(&rl_cmd_calibrate, a, "out");
}

/* Before the fits, which take long. */
static int check_folder(const char *dir, struct rl_error *err)
{
    struct stat st;
    if (stat(dir, &st))
        return rl_fail(err, RL_EIO, "--out", 0, "'%s': %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode) || access(dir, W_OK | X_OK))
        return rl_fail(err, RL_EIO, "--out", 0, "'%s': expected a folder to write to",
                       dir);
    return 0;
}

/* One file for each device; the groups of a device lie anywhere in c. */
static int write_all(const char *dir, const struct rl_calibration *c, size_t n,
                     const char *source, struct rl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *device = c[i].key->device;
        size_t j = 0;
        while (j < i && strcmp(c[j].key->device, device))
            j++;
        if (j == i && rl_kernel_write(dir, device, c, n, source, err))
            return -1;
    }
    return 0;
}

static int calibrate(const struct rl_args *a, const struct rl_measured *m,
                     const struct rl_calibrate_options *o, int worst,
                     struct rl_error *err)
{
    const char *dir = folder_to_write(a);
    const char *source = rl_arg(&rl_cmd_calibrate, a, "source");
    struct rl_calibration *c = rl_alloc(m->ngroups, sizeof *c, err);
    if (!c)
        return -1;
    int rc = rl_calibrate_all(&m->samples, m->group, m->ngroups, m->device, m->machine, o,
                              c, err);
    if (!rc)
        rc = report(a, c, m->ngroups, worst, err);
    if (!rc && dir)
        rc = write_all(dir, c, m->ngroups, source ? source : "rooflint calibrate", err);
    for (size_t i = 0; i < m->ngroups; i++)
        rl_calibration_clear(&c[i]);
    free(c);
    return rc;
}

static int run_with(const struct rl_args *a, struct rl_measured *m, struct rl_error *err)
{
    const struct rl_command *me = &rl_cmd_calibrate;
    struct rl_calibrate_options o = {0};
    struct rl_few_list few = {.n = 0};
    const char *list = rl_arg(me, a, "few"), *dir = folder_to_write(a);
    int worst;
    struct rl_ops_filter filter = {rl_arg(me, a, "device"), rl_arg(me, a, "runtime"),
                                   rl_arg(me, a, "op"),     rl_arg(me, a, "impl"),
                                   rl_arg(me, a, "dtype"),  NULL};
    char user[4096];
    filter.user = rl_user_dir(user, sizeof user);
    if ((list && rl_few_parse(list, &few, err)) ||
        number_option(a, "folds", 5, 2, &o.folds, err) ||
        number_option(a, "starts", 3, 1, &o.starts, err) ||
        number_option(a, "worst", 0, 0, &worst, err) || (dir && check_folder(dir, err)))
        return -1;
    if (rl_measured_read(m, a->operand, a->noperands, &filter, a->data, err))
        return -1;
    struct rl_kernel_db *db = NULL;
    if (list && !(db = rl_kernel_db_load(a->data, err)))
        return -1;
    o.prior = db;
    o.few = few.count[0];
    bool table = few.n > 1 || o.few == RL_FEW_ALL;
    int rc = table ? rl_few_curve(m, &o, &few, err) : calibrate(a, m, &o, worst, err);
    rl_kernel_db_free(db);
    return rc;
}

/* "key=start,key=start" into t; the text is cut up. */
static int parse_keys(char *text, struct rl_tuned *t, struct rl_error *err)
{
    char *save = NULL;
    for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(p, '=');
        if (!eq || t->n == RL_MAXTUNE || rl_parse_number(eq + 1, &t->value[t->n]) ||
            !(t->value[t->n] > 0))
            return rl_fail(err, RL_EVALUE, "--tune", 0,
                           "expected up to %d KEY=START with START above 0, got '%s'",
                           RL_MAXTUNE, p);
        *eq = 0;
        t->key[t->n++] = p;
    }
    return t->n ? 0 : rl_fail(err, RL_EVALUE, "--tune", 0, "no keys");
}

/* Numbers of the runtime files fitted to whole runs, printed as their rows. */
static int tune_runs(const struct rl_args *a, const char *keys, struct rl_error *err)
{
    const struct rl_command *me = &rl_cmd_calibrate;
    struct rl_runs_filter f = {rl_arg(me, a, "device"), rl_arg(me, a, "runtime"),
                               rl_arg(me, a, "model"), rl_arg(me, a, "metric")};
    struct rl_tuned t = {.n = 0};
    struct rl_run *row = NULL;
    size_t n = 0;
    void *keep = NULL;
    char *text = rl_strdup(keys, err);
    struct rl_runs *runs = text ? rl_runs_new(a->data, err) : NULL;
    char user[4096];
    if (runs)
        rl_runs_user(runs, rl_user_dir(user, sizeof user));

    int rc = runs && !parse_keys(text, &t, err) &&
                     !rl_runs_read(a->operand, a->noperands, &f, &row, &n, &keep, err)
                 ? rl_tune(runs, row, n, &t, err)
                 : -1;
    for (int i = 0; !rc && i < t.n; i++)
        printf("%s,%.4g\n", t.key[i], t.value[i]);
    if (!rc)
        printf("# %.0f rows, rms of the log residual %.4f\n", t.rows, t.sd);
    free(row);
    rl_runs_drop(keep);
    rl_runs_free(runs);
    free(text);
    return rc;
}

static int run(const struct rl_args *a)
{
    const char *tune = rl_arg(&rl_cmd_calibrate, a, "tune");
    const char *few = rl_arg(&rl_cmd_calibrate, a, "few");
    struct rl_error err = {0};
    struct rl_measured m = {0};
    if (a->noperands < 1)
        return rl_usage_error(&rl_cmd_calibrate, "expected a FILE of measured operators");
    if (rl_arg(&rl_cmd_calibrate, a, "out") && (few || tune))
        return rl_usage_error(&rl_cmd_calibrate,
                              "--%s writes nothing: it does not go with --out",
                              few ? "few" : "tune");
    if (tune)
        return tune_runs(a, tune, &err) ? rl_die(&err) : RL_EXIT_OK;
    if (!rl_arg(&rl_cmd_calibrate, a, "out") &&
        !rl_arg(&rl_cmd_calibrate, a, "dry-run") && !few)
        return rl_usage_error(&rl_cmd_calibrate, "expected --out DIR or --dry-run");
    int rc = run_with(a, &m, &err);
    rl_measured_clear(&m);
    return rc ? rl_die(&err) : RL_EXIT_OK;
}
