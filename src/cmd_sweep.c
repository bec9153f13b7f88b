/* rooflint sweep: many queries, one row each.  Here its options and axes; the rows
 * are made in sweep_rows.c, and the best of them found in sweep_best.c. */
#include "sweep.h"

#include "err.h"
#include "path.h"
#include "session.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

static const struct rl_option options[] = {
    {"hw", 'H', "LIST", NULL, "devices: names, patterns, or all", "device"},
    {"model", 'm', "LIST", NULL, "models: names, patterns, or all", "model"},
    {"ctx", 'c', "LIST", NULL, "prompt tokens: 1k,8k or 1k:1M:x2 or 1k:8k:1k", NULL},
    {"batch", 'b', "LIST", "1", "sequences at once", NULL},
    {"output-tokens", 'o', "LIST", "128", "tokens to generate", NULL},
    {"runtime", 'r', "LIST", "the device's usual one", "software stacks", "runtime"},
    {"dtype", 0, "LIST", "the config's", "weights", "dtype"},
    {"kv-dtype", 0, "LIST", "as activations", "KV cache", "dtype"},
    {"tp", 0, "LIST", "1", "tensor-parallel ranks", NULL},
    {"logits", 0, "W", "the runtime's", "logit rows of the prefill", "all|last"},
    {"context-depth", 0, "D", "0", "tokens cached before the prompt", NULL},
    {"where", 0, "COND", NULL, "rows to keep: comparisons of columns joined by &&", NULL},
    {"best", 0, "COLUMN", NULL, "only the best row by this column", NULL},
    {"per", 0, "COLUMN", NULL, "with --best: the best row for each value", NULL},
    {"shard", 0, "K/N", NULL, "the K-th of N parts; concatenated they are the whole",
     NULL},
    {"format", 'f', "F", "csv", "csv, or json: one object per line", "csv|json"},
    {0},
};

static int run(const struct rl_args *a);
extern const struct rl_command rl_cmd_sweep;
const struct rl_command rl_cmd_sweep = {
    .name = "sweep",
    .summary = "predict every combination of devices, models, contexts …",
    .details =
        "Columns carry the figures of predict's JSON, parts after a dot: ttft_s, "
        "ttft_s.lo and ttft_s.hi are its value, lo and hi, memory.total is total of "
        "memory_bytes; price_usd and tdp_w are one device's. "
        "--where 'ttft_s<2 && fits' keeps rows: a bare fits means true, '!' before it "
        "false, text is compared by == and !=, and a null cell satisfies nothing. --best "
        "takes the smallest value, or the largest of tokens per second, fits, ctx, batch "
        "and max_ctx. Combinations that do not go together are counted on stderr.",
    .option = options,
    .run = run,
};

/* axes from options */

static int name_axis(struct rl_sweep *s, int axis, const char *option,
                     int (*list)(const char *, char ***, int *, struct rl_error *),
                     struct rl_error *err)
{
    const char *text = rl_arg(&rl_cmd_sweep, s->args, option);
    struct rl_axis *a = &s->axis[axis];
    char **known = NULL;
    int n = 0;

    if (!text) { /* one combination: the default */
        a->name = rl_alloc(1, sizeof *a->name, err);
        a->n = 1;
        return a->name ? 0 : -1;
    }
    if (list && list(s->args->data, &known, &n, err))
        return -1;
    int rc = rl_names_parse(option, text, known, n, &a->name, &a->n, err);
    rl_free_names(known, n);
    return rc;
}

static int num_axis(struct rl_sweep *s, int axis, const char *option, double fallback,
                    struct rl_error *err)
{
    const char *text = rl_arg(&rl_cmd_sweep, s->args, option);
    struct rl_axis *a = &s->axis[axis];

    if (text)
        return rl_values_parse(option, text, &a->num, &a->n, err);
    a->num = rl_alloc(1, sizeof *a->num, err);
    if (!a->num)
        return -1;
    a->num[0] = fallback;
    a->n = 1;
    return 0;
}

static int read_axes(struct rl_sweep *s, struct rl_error *err)
{
    if (name_axis(s, A_HW, "hw", rl_device_list, err) ||
        name_axis(s, A_MODEL, "model", rl_model_list, err) ||
        name_axis(s, A_RUNTIME, "runtime", rl_runtime_list, err) ||
        name_axis(s, A_DTYPE, "dtype", NULL, err) ||
        name_axis(s, A_KV, "kv-dtype", NULL, err) || num_axis(s, A_TP, "tp", 1, err) ||
        num_axis(s, A_BATCH, "batch", 1, err) ||
        num_axis(s, A_OUT, "output-tokens", 128, err) ||
        num_axis(s, A_CTX, "ctx", 0, err))
        return -1;
    s->plans = s->inner = 1;
    for (int i = 0; i < NAXES; i++)
        *(i < NPLAN ? &s->plans : &s->inner) *= s->axis[i].n;
    return 0;
}

static int column_option(struct rl_sweep *s, const char *option, int *out,
                         struct rl_error *err)
{
    const char *name = rl_arg(&rl_cmd_sweep, s->args, option);
    *out = name ? rl_column_find(name) : -1;
    if (name && *out < 0)
        return rl_fail(err, RL_ENAME, NULL, 0, "--%s: no column '%s'", option, name);
    return 0;
}

static int read_shard(struct rl_sweep *s, struct rl_error *err)
{
    const char *text = rl_arg(&rl_cmd_sweep, s->args, "shard");
    long k = 1, n = 1, total = s->plans * s->inner;
    char end;

    if (text && (sscanf(text, "%ld/%ld%c", &k, &n, &end) != 2 || n < 1 || k < 1 || k > n))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--shard: expected K/N with 1 <= K <= N, got '%s'", text);
    s->header = k == 1 && !s->json; /* a shard before this one may have no rows */
    s->from = (long)((double)total / (double)n * (double)(k - 1) + 0.5);
    s->to = k == n ? total : (long)((double)total / (double)n * (double)k + 0.5);
    return 0;
}

static int read_options(struct rl_sweep *s, struct rl_error *err)
{
    const struct rl_command *c = &rl_cmd_sweep;
    const char *format = rl_arg(c, s->args, "format"),
               *where = rl_arg(c, s->args, "where");
    struct rl_query q;

    if (format && strcmp(format, "csv") && strcmp(format, "json"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--format: expected csv or json, got '%s'", format);
    s->json = format && !strcmp(format, "json");
    s->conditional = where != NULL;
    if (read_axes(s, err) ||
        (where && rl_condition_parse(where, s->args->data, &s->where, err)) ||
        column_option(s, "best", &s->best, err) ||
        column_option(s, "per", &s->per, err) || read_shard(s, err) ||
        rl_session_fixed(c, s->args, &q, err))
        return -1;
    s->logits = q.logits;
    s->depth = q.context_depth;
    if (s->best >= 0 && rl_column_is_text(s->best) &&
        strcmp(rl_column_name(s->best), "fits"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--best: '%s' is text: expected a column of numbers, or fits",
                       rl_column_name(s->best));
    if (s->per >= 0 && s->best < 0)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--per: goes with --best");
    return 0;
}

static int load_all(struct rl_sweep *s, struct rl_error *err)
{
    s->device = rl_alloc((size_t)s->axis[A_HW].n, sizeof *s->device, err);
    s->model = rl_alloc((size_t)s->axis[A_MODEL].n, sizeof *s->model, err);
    if (!s->device || !s->model)
        return -1;
    for (int i = 0; i < s->axis[A_HW].n; i++)
        if (!(s->device[i] =
                  rl_command_device(s->args->data, s->axis[A_HW].name[i], err)))
            return -1;
    for (int i = 0; i < s->axis[A_MODEL].n; i++)
        if (!(s->model[i] = rl_model_load(s->args->data, s->axis[A_MODEL].name[i], err)))
            return -1;
    s->db = rl_kernel_db_load(s->args->data, err);
    return s->db ? 0 : -1;
}

static void sweep_clear(struct rl_sweep *s)
{
    for (int i = 0; s->device && i < s->axis[A_HW].n; i++)
        rl_device_free(s->device[i]);
    for (int i = 0; s->model && i < s->axis[A_MODEL].n; i++)
        rl_model_free(s->model[i]);
    for (int i = 0; i < NAXES; i++) {
        if (s->axis[i].name)
            rl_free_names(s->axis[i].name, s->axis[i].n);
        free(s->axis[i].num);
    }
    free(s->device);
    free(s->model);
    rl_kernel_db_free(s->db);
}

static int run(const struct rl_args *a)
{
    struct rl_sweep s = {.args = a};
    struct rl_error err = {0};
    static const char *const needed[] = {"hw", "model", "ctx"};

    for (int i = 0; i < 3; i++)
        if (!rl_arg(&rl_cmd_sweep, a, needed[i]))
            return rl_usage_error(&rl_cmd_sweep, "--%s is missing", needed[i]);
    if (rl_arg(&rl_cmd_sweep, a, "best") && rl_arg(&rl_cmd_sweep, a, "shard"))
        return rl_usage_error(&rl_cmd_sweep,
                              "--best needs all rows: it does not go with --shard");
    int rc = read_options(&s, &err) || load_all(&s, &err);
    if (!rc && s.header)
        rl_row_csv_header(stdout);
    if (!rc)
        rc = rl_sweep_rows(&s, stdout, &err);
    sweep_clear(&s);
    return rc ? rl_die(&err) : RL_EXIT_OK;
}
