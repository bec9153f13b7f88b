/* `rooflint validate`: predictions against measured rows.
 *
 * A file becomes a list of judged rows, each with its keys and its outcome or
 * the reason why it has none; grouping, statistics and output are the same for
 * every schema. */
#include "command.h"
#include "err.h"
#include "judged.h"
#include "measured.h"
#include "units.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct rl_option options[] = {
    {"by", 0, "KEYS", "device,runtime and op, or model,metric", "group by these columns",
     "device|runtime|op|impl|dtype|model|metric"},
    {"format", 0, "F", "text", "text or json", "text|json"},
    {"max-median-ape", 0, "X", NULL,
     "exit 1 when the overall median is above X (0.1 = 10 %), or no row was scored",
     NULL},
    {"holdout", 0, "WHAT", NULL,
     "operators: score refits that have not seen the row's shape, or other devices' "
     "entries",
     "shapes|device"},
    {"op", 0, "OP", NULL, "operators: only this one", NULL},
    {"device", 0, "TEXT", NULL, "only devices that begin so", "device"},
    {"runtime", 0, "TEXT", NULL, "only runtimes that begin so", "runtime"},
    {"impl", 0, "TEXT", NULL, "operators: only implementations that begin so", NULL},
    {"dtype", 0, "D", NULL, "operators: only this dtype", "dtype"},
    {"model", 0, "TEXT", NULL, "runs: only models that begin so", "model"},
    {"metric", 0, "TEXT", NULL, "runs: only metrics that begin so", NULL},
    {"rows", 0, NULL, NULL, "runs: print every row with its prediction as CSV first",
     NULL},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static int run(const struct rl_args *a);
extern const struct rl_command rl_cmd_validate;
const struct rl_command rl_cmd_validate = {
    .name = "validate",
    .summary = "compare predictions with measured rows",
    .operands = "FILE…",
    .details =
        "APE is |predicted - measured| / measured, bias the median of (predicted -\n"
        "measured) / measured, coverage the share of measured values inside the 90 %\n"
        "interval, width the median of hi / lo. Rows without a prediction are counted\n"
        "by reason.",
    .option = options,
    .run = run,
};

/* Columns to group by: indices into key_name. */
struct by {
    int key[NKEYS], n;
};

static int parse_by(const char *text, struct by *by, struct rl_error *err)
{
    by->n = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        int k = 0;
        while (k < NKEYS &&
               (strlen(rl_key_name[k]) != len || memcmp(rl_key_name[k], text, len)))
            k++;
        if (k == NKEYS || by->n == NKEYS)
            return rl_fail(err, RL_EVALUE, "--by", 0, "no column '%.*s' to group by",
                           (int)len, text);
        by->key[by->n++] = k;
        text += len + (text[len] == ',');
    }
    return 0;
}

static int compare(const struct rl_judged *j, const struct by *by, size_t a, size_t b)
{
    for (int i = 0; i < by->n; i++) {
        int c = strcmp(j->key[a][by->key[i]], j->key[b][by->key[i]]);
        if (c)
            return c;
    }
    return 0;
}

struct order {
    const struct rl_judged *j;
    const struct by *by;
};

static int by_keys(const void *va, const void *vb, void *vo)
{
    const struct order *o = vo;
    size_t a = *(const size_t *)va, b = *(const size_t *)vb;
    int c = compare(o->j, o->by, a, b);
    return c ? c : (a > b) - (a < b);
}

/* Calls show() for each group, then for all rows (nkeys 0). */
typedef int show_fn(void *ctx, const struct by *by, const char *const *key,
                    const struct rl_score *s);

static int for_groups(const struct rl_judged *j, const struct by *by, show_fn *show,
                      void *ctx, struct rl_score *overall, struct rl_error *err)
{
    size_t *index = rl_alloc(j->n, sizeof *index, err);
    struct order order = {j, by};
    int rc = index ? 0 : -1;
    if (rc)
        return rc;
    for (size_t i = 0; i < j->n; i++)
        index[i] = i;
    qsort_r(index, j->n, sizeof *index, by_keys, &order);
    for (size_t i = 0, end; !rc && i < j->n; i = end) {
        struct rl_score s;
        for (end = i + 1; end < j->n && !compare(j, by, index[i], index[end]);)
            end++;
        rc = rl_score(j->outcome, index + i, end - i, &s, err);
        if (!rc)
            rc = show(ctx, by, j->key[index[i]], &s);
    }
    free(index);
    return rc ? rc : rl_score(j->outcome, NULL, j->n, overall, err);
}

static void text_score(const struct rl_score *s)
{
    printf("%7zu %7.2f %7.2f %7.2f %+7.2f %7.1f %7.2f\n", s->n, 100 * s->median_ape,
           100 * s->mean_ape, 100 * s->p90_ape, 100 * s->bias, 100 * s->coverage90,
           s->median_width);
}

static const int width[NKEYS] = {20, 16, 18, 32, 10, 24, 22};

static int show_text(void *ctx, const struct by *by, const char *const *key,
                     const struct rl_score *s)
{
    (void)ctx;
    for (int i = 0; i < by->n; i++)
        printf("%-*.*s ", width[by->key[i]], width[by->key[i]], key[by->key[i]]);
    text_score(s);
    return 0;
}

static int print_text(const struct rl_judged *j, const struct by *by,
                      struct rl_score *overall, struct rl_error *err)
{
    int total = 0;
    for (int i = 0; i < by->n; i++) {
        printf("%-*s ", width[by->key[i]], rl_key_name[by->key[i]]);
        total += width[by->key[i]] + 1;
    }
    printf("%7s %7s %7s %7s %7s %7s %7s\n", "n", "median%", "mean%", "p90%", "bias%",
           "cover%", "hi/lo");
    if (for_groups(j, by, show_text, NULL, overall, err))
        return -1;
    printf("%-*s ", total > 1 ? total - 1 : 0, total > 1 ? "overall" : "");
    text_score(overall);
    if (j->carried)
        printf(
            "%zu rows of kernels measured on one shape, or too seldom to refit: judged "
            "by other devices' entries\n",
            j->carried);
    for (size_t i = 0; i < j->skipped.n; i++)
        printf("skipped %zu: %s\n", j->skipped.count[i], j->skipped.reason[i]);
    return 0;
}

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static void put_score(json_t *o, const struct rl_score *s)
{
    json_object_set_new(o, "n", json_integer((json_int_t)s->n));
    json_object_set_new(o, "median_ape", number(s->median_ape));
    json_object_set_new(o, "mean_ape", number(s->mean_ape));
    json_object_set_new(o, "p90_ape", number(s->p90_ape));
    json_object_set_new(o, "bias", number(s->bias));
    json_object_set_new(o, "coverage90", number(s->coverage90));
    json_object_set_new(o, "median_width", number(s->median_width));
}

static int show_json(void *ctx, const struct by *by, const char *const *key,
                     const struct rl_score *s)
{
    json_t *group = json_object(), *keys = json_object();
    for (int i = 0; i < by->n; i++)
        json_object_set_new(keys, rl_key_name[by->key[i]], json_string(key[by->key[i]]));
    json_object_set_new(group, "key", keys);
    put_score(group, s);
    return json_array_append_new(ctx, group);
}

static int print_json(const struct rl_judged *j, const struct by *by,
                      struct rl_score *overall, struct rl_error *err)
{
    json_t *root = json_object(), *groups = json_array();
    json_t *all = json_object(), *skipped = json_object();
    int rc = for_groups(j, by, show_json, groups, overall, err);
    put_score(all, overall);
    for (size_t i = 0; i < j->skipped.n; i++)
        json_object_set_new(skipped, j->skipped.reason[i],
                            json_integer((json_int_t)j->skipped.count[i]));
    json_object_set_new(root, "groups", groups);
    json_object_set_new(root, "overall", all);
    json_object_set_new(root, "skipped", skipped);
    if (j->carried)
        json_object_set_new(root, "judged_by_other_devices",
                            json_integer((json_int_t)j->carried));
    if (!rc && json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6)))
        rc = rl_fail(err, RL_EIO, NULL, 0, "cannot write the result");
    printf("\n");
    json_decref(root);
    return rc;
}

static int count_skipped(struct rl_judged *j, struct rl_error *err)
{
    for (size_t i = 0; i < j->n; i++)
        if (j->outcome[i].skipped &&
            rl_tally_add(&j->skipped, j->outcome[i].skipped, err))
            return -1;
    return 0;
}

static int threshold(const struct rl_args *a, double *out, struct rl_error *err)
{
    const char *text = rl_arg(&rl_cmd_validate, a, "max-median-ape");
    *out = INFINITY;
    if (text && (rl_parse_number(text, out) || *out < 0))
        return rl_fail(err, RL_EVALUE, "--max-median-ape", 0,
                       "expected a fraction such as 0.1, got '%s'", text);
    return 0;
}

/* 1 when the files are of the ops schema, 0 when of the runs schema. */
static int schema(const struct rl_args *a, struct rl_error *err)
{
    int first = -1;
    for (int i = 0; i < a->noperands; i++) {
        int ops = rl_is_ops_file(a->operand[i], err);
        if (ops < 0)
            return -1;
        if (!ops && !rl_is_runs_file(a->operand[i]))
            return rl_fail(err, RL_EFORMAT, a->operand[i], 1,
                           "expected the header of measured operators (device,runtime,op,"
                           "impl,params,latency_us) or of measured runs (source,device,"
                           "device_count,model,…)");
        if (first >= 0 && ops != first)
            return rl_fail(err, RL_EFORMAT, a->operand[i], 1,
                           "expected the same schema as '%s'", a->operand[0]);
        first = ops;
    }
    return first;
}

/* Options that say nothing about the schema at hand would be ignored. */
static int check_schema_options(const struct rl_args *a, int ops, struct rl_error *err)
{
    static const char *const of_ops[] = {"holdout", "op", "impl", "dtype", NULL};
    static const char *const of_runs[] = {"model", "metric", "rows", NULL};
    for (const char *const *o = ops ? of_runs : of_ops; *o; o++)
        if (rl_arg(&rl_cmd_validate, a, *o))
            return rl_fail(err, RL_EVALUE, NULL, 0,
                           "--%s goes with measured %s, and '%s' holds measured %s", *o,
                           ops ? "runs" : "operators", a->operand[0],
                           ops ? "operators" : "runs");
    return 0;
}

static bool wants_json(const struct rl_args *a)
{
    const char *format = rl_arg(&rl_cmd_validate, a, "format");
    return format && !strcmp(format, "json");
}

static int check_words(const struct rl_args *a, struct rl_error *err)
{
    const char *format = rl_arg(&rl_cmd_validate, a, "format");
    const char *holdout = rl_arg(&rl_cmd_validate, a, "holdout");
    if (format && strcmp(format, "json") && strcmp(format, "text"))
        return rl_fail(err, RL_EVALUE, "--format", 0,
                       "expected 'text' or 'json', got '%s'", format);
    if (holdout && strcmp(holdout, "shapes") && strcmp(holdout, "device"))
        return rl_fail(err, RL_EVALUE, "--holdout", 0,
                       "expected 'shapes' or 'device', got '%s'", holdout);
    return 0;
}

static int judge(const struct rl_args *a, int ops, struct rl_measured *m,
                 struct rl_judged *j, struct rl_error *err)
{
    const struct rl_command *me = &rl_cmd_validate;
    const char *device = rl_arg(me, a, "device"), *runtime = rl_arg(me, a, "runtime");
    char user[4096];
    struct rl_ops_filter of_ops = {device,
                                   runtime,
                                   rl_arg(me, a, "op"),
                                   rl_arg(me, a, "impl"),
                                   rl_arg(me, a, "dtype"),
                                   rl_user_dir(user, sizeof user)};
    struct rl_runs_filter of_runs = {device, runtime, rl_arg(me, a, "model"),
                                     rl_arg(me, a, "metric")};
    if (ops)
        return rl_judge_ops(a->operand, a->noperands, &of_ops, a->data,
                            rl_arg(me, a, "holdout"), m, j, err);
    return rl_judge_runs(a->operand, a->noperands, &of_runs, a->data,
                         rl_arg(me, a, "rows") != NULL, j, err);
}

static int validate(const struct rl_args *a, struct rl_measured *m, struct rl_judged *j,
                    bool *passed, struct rl_error *err)
{
    const char *keys = rl_arg(&rl_cmd_validate, a, "by");
    struct rl_score overall;
    struct by by;
    double most;
    int ops = check_words(a, err) ? -1 : schema(a, err);
    const char *usual = ops > 0 ? "device,runtime,op" : "device,runtime,model,metric";
    if (ops < 0 || check_schema_options(a, ops, err) ||
        parse_by(keys ? keys : usual, &by, err) || threshold(a, &most, err) ||
        judge(a, ops, m, j, err) || (ops && count_skipped(j, err)))
        return -1;
    int rc = wants_json(a) ? print_json(j, &by, &overall, err)
                           : print_text(j, &by, &overall, err);
    if (!rc && isfinite(most) && !overall.n)
        return rl_fail(err, RL_EVALUE, "--max-median-ape", 0,
                       "no row was scored, so there is no median to hold against %g",
                       most);
    *passed = !(overall.median_ape > most);
    return rc;
}

static int run(const struct rl_args *a)
{
    struct rl_error err = {0};
    struct rl_measured m = {0};
    struct rl_judged j = {0};
    bool passed = false;
    if (a->noperands < 1)
        return rl_usage_error(&rl_cmd_validate, "expected a FILE of measured rows");
    if (rl_arg(&rl_cmd_validate, a, "rows") && wants_json(a))
        return rl_usage_error(&rl_cmd_validate,
                              "--rows prints CSV: it does not go with --format json");
    int rc = validate(a, &m, &j, &passed, &err);
    rl_judged_clear(&j);
    rl_measured_clear(&m);
    if (rc)
        return rl_die(&err);
    return passed ? RL_EXIT_OK : RL_EXIT_FAIL;
}
