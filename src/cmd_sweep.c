/* rooflint sweep: many queries, one row each.
 *
 * Device, model, runtime, number formats and tensor parallelism make a plan;
 * batch, output tokens and context vary within it.  The rows come in the order
 * of the options (context fastest), whatever the number of threads, so that
 * shards concatenate to the bytes of the whole.
 */
#include "columns.h"
#include "condition.h"
#include "err.h"
#include "path.h"
#include "session.h"
#include "values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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
        "Columns are the keys of predict's JSON joined by dots, with price_usd and "
        "tdp_w. "
        "--where 'ttft_s<2 && fits' keeps rows; a bare name means true, '!' before it "
        "false, and a null cell satisfies nothing. --best takes the smallest value, or "
        "the largest of tokens per second, fits and max_ctx. Combinations that do not go "
        "together are counted on stderr.",
    .option = options,
    .run = run,
};

/* The axes in row order; the last varies fastest. */
enum {
    A_HW,
    A_MODEL,
    A_RUNTIME,
    A_DTYPE,
    A_KV,
    A_TP,
    NPLAN,
    A_BATCH = NPLAN,
    A_OUT,
    A_CTX,
    NAXES
};

struct axis {
    char **name; /* text axes; a NULL name is the default */
    double *num;
    int n;
};

struct sweep {
    const struct rl_args *args;
    struct axis axis[NAXES];
    long plans, inner; /* combinations of plan axes, and of the rest */
    long from, to;     /* rows of this shard, counted over all */
    bool json, conditional;
    struct rl_condition where;
    int best, per; /* columns; -1: none */
    enum rl_logits logits;
    double depth;
    struct rl_device **device; /* [axis A_HW] */
    struct rl_model **model;   /* [axis A_MODEL] */
    struct rl_kernel_db *db;
};

/* axes from options */

static int name_axis(struct sweep *s, int axis, const char *option,
                     int (*list)(const char *, char ***, int *, struct rl_error *),
                     struct rl_error *err)
{
    const char *text = rl_arg(&rl_cmd_sweep, s->args, option);
    struct axis *a = &s->axis[axis];
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

static int num_axis(struct sweep *s, int axis, const char *option, double fallback,
                    struct rl_error *err)
{
    const char *text = rl_arg(&rl_cmd_sweep, s->args, option);
    struct axis *a = &s->axis[axis];

    if (text)
        return rl_values_parse(option, text, &a->num, &a->n, err);
    a->num = rl_alloc(1, sizeof *a->num, err);
    if (!a->num)
        return -1;
    a->num[0] = fallback;
    a->n = 1;
    return 0;
}

static int read_axes(struct sweep *s, struct rl_error *err)
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

static int column_option(struct sweep *s, const char *option, int *out,
                         struct rl_error *err)
{
    const char *name = rl_arg(&rl_cmd_sweep, s->args, option);
    *out = name ? rl_column_find(name) : -1;
    if (name && *out < 0)
        return rl_fail(err, RL_ENAME, NULL, 0, "--%s: no column '%s'", option, name);
    return 0;
}

static int read_shard(struct sweep *s, struct rl_error *err)
{
    const char *text = rl_arg(&rl_cmd_sweep, s->args, "shard");
    long k = 1, n = 1, total = s->plans * s->inner;
    char end;

    if (text && (sscanf(text, "%ld/%ld%c", &k, &n, &end) != 2 || n < 1 || k < 1 || k > n))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--shard: expected K/N with 1 <= K <= N, got '%s'", text);
    s->from = (long)((double)total / (double)n * (double)(k - 1) + 0.5);
    s->to = k == n ? total : (long)((double)total / (double)n * (double)k + 0.5);
    return 0;
}

static int read_options(struct sweep *s, struct rl_error *err)
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
    if (read_axes(s, err) || (where && rl_condition_parse(where, &s->where, err)) ||
        column_option(s, "best", &s->best, err) ||
        column_option(s, "per", &s->per, err) || read_shard(s, err) ||
        rl_session_fixed(c, s->args, &q, err))
        return -1;
    s->logits = q.logits;
    s->depth = q.context_depth;
    if (s->per >= 0 && s->best < 0)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--per: goes with --best");
    return 0;
}

static int load_all(struct sweep *s, struct rl_error *err)
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

/* one plan */

struct bound {
    struct rl_runtime *runtime;
    struct rl_plan *plan;
    struct rl_error err;
};

static void split_index(const struct sweep *s, long index, int first, int last, int *at)
{
    for (int i = last; i >= first; i--) {
        at[i] = (int)(index % s->axis[i].n);
        index /= s->axis[i].n;
    }
}

static void bind_plan(const struct sweep *s, long index, struct bound *b)
{
    int at[NAXES];
    struct rl_setup setup = {.flash = -1};

    split_index(s, index, 0, NPLAN - 1, at);
    setup.dtype = s->axis[A_DTYPE].name[at[A_DTYPE]];
    setup.kv_dtype = s->axis[A_KV].name[at[A_KV]];
    setup.tp = (int)s->axis[A_TP].num[at[A_TP]];
    memset(b, 0, sizeof *b);
    b->runtime = rl_runtime_load(s->args->data, s->axis[A_RUNTIME].name[at[A_RUNTIME]],
                                 s->device[at[A_HW]], &b->err);
    if (b->runtime)
        b->plan = rl_plan_bind(s->db, s->device[at[A_HW]], s->model[at[A_MODEL]],
                               b->runtime, &setup, &b->err);
}

static void unbind_plan(struct bound *b)
{
    rl_plan_free(b->plan);
    rl_runtime_free(b->runtime);
}

static bool predict_row(const struct sweep *s, const struct rl_plan *pl, long inner,
                        struct rl_cell *row)
{
    struct rl_prediction p;
    int at[NAXES];

    split_index(s, inner, NPLAN, NAXES - 1, at);
    struct rl_query q = {.ctx = s->axis[A_CTX].num[at[A_CTX]],
                         .batch = s->axis[A_BATCH].num[at[A_BATCH]],
                         .output_tokens = s->axis[A_OUT].num[at[A_OUT]],
                         .context_depth = s->depth,
                         .logits = s->logits};
    if (rl_predict(pl, &q, &p, NULL))
        return false;
    rl_row_fill(row, pl, &q, &p);
    return !s->conditional || rl_condition_holds(&s->where, row);
}

/* a piece of the rows: one plan, some of its queries */

struct piece {
    long plan, from, to; /* inner indices */
    char *text;
    size_t size;
    long rows;
    char why[200]; /* not empty: the plan cannot be bound */
};

enum { PIECE = 512, BLOCK = 128 }; /* rows of a piece, pieces in memory */

/* --best across plans: rows kept as text, one per value of --per. */
struct winner {
    char *key, *row;
    double value;
};
struct winners {
    struct winner *at;
    size_t n, cap;
};

static bool larger_wins(int column)
{
    const char *name = rl_column_name(column);
    return strstr(name, "tokens_per_s") || strstr(name, "max_ctx") ||
           !strcmp(name, "fits") || !strcmp(name, "ctx") || !strcmp(name, "batch");
}

static char *row_text(const struct sweep *s, const struct rl_cell *row)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    if (s->json)
        rl_row_json(f, row);
    else
        rl_row_csv(f, row);
    fclose(f);
    return text;
}

static int offer(const struct sweep *s, struct winners *w, const struct rl_cell *row)
{
    const struct rl_cell *key = s->per >= 0 ? &row[s->per] : NULL;
    char number[32];
    double v = row[s->best].text ? !strcmp(row[s->best].text, "true") : row[s->best].num;
    size_t i = 0;
    struct rl_error err = {0};

    if (!isfinite(v))
        return 0;
    snprintf(number, sizeof number, "%.9g", key ? key->num : 0);
    const char *k = key && key->text ? key->text : number;
    while (i < w->n && strcmp(w->at[i].key, k))
        i++;
    if (i < w->n && !(larger_wins(s->best) ? v > w->at[i].value : v < w->at[i].value))
        return 0;
    if (i == w->n) {
        void *grown = rl_grow(w->at, &w->cap, w->n + 1, sizeof *w->at, &err);
        if (!grown)
            return -1;
        w->at = grown;
        w->at[i] = (struct winner){rl_strdup(k, &err), NULL, v};
        w->n++;
    }
    free(w->at[i].row);
    w->at[i].value = v;
    w->at[i].row = row_text(s, row);
    return w->at[i].key && w->at[i].row ? 0 : -1;
}

static void winners_print(struct winners *w)
{
    for (size_t i = 0; i < w->n; i++) {
        fputs(w->at[i].row, stdout);
        free(w->at[i].row);
        free(w->at[i].key);
    }
    free(w->at);
}

/* Fills a piece's text, or offers its rows to the winners of this thread. */
static void do_piece(const struct sweep *s, struct piece *pc, struct bound *b,
                     long *bound, struct winners *w)
{
    struct rl_cell row[RL_NCOLUMNS];

    if (*bound != pc->plan) {
        if (*bound >= 0)
            unbind_plan(b);
        bind_plan(s, pc->plan, b);
        *bound = pc->plan;
    }
    pc->text = NULL;
    pc->rows = 0;
    *pc->why = 0;
    if (!b->plan) {
        snprintf(pc->why, sizeof pc->why, "%.190s", b->err.text);
        return;
    }
    FILE *f = s->best < 0 ? open_memstream(&pc->text, &pc->size) : NULL;
    for (long i = pc->from; i < pc->to; i++) {
        if (!predict_row(s, b->plan, i, row))
            continue;
        pc->rows++;
        if (s->best >= 0)
            offer(s, w, row);
        else if (f && s->json)
            rl_row_json(f, row);
        else if (f)
            rl_row_csv(f, row);
    }
    if (f)
        fclose(f);
}

/* The next piece after `row`; its rows lie in one plan. */
static long next_piece(const struct sweep *s, long row, struct piece *pc)
{
    pc->plan = row / s->inner;
    pc->from = row % s->inner;
    pc->to = pc->from + PIECE < s->inner ? pc->from + PIECE : s->inner;
    if (pc->plan * s->inner + pc->to > s->to)
        pc->to = s->to - pc->plan * s->inner;
    return pc->plan * s->inner + pc->to;
}

/* progress on a terminal */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void progress(const struct sweep *s, long done, double start, double *last)
{
    double t = seconds(), total = (double)(s->to - s->from);
    if (!isatty(STDERR_FILENO) || (t - *last < 0.2 && done < s->to - s->from))
        return;
    *last = t;
    double share = total > 0 ? (double)done / total : 1;
    int bar = (int)(30 * share);
    fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %.0f s left ", bar,
            "##############################", 30 - bar, "", 100 * share,
            share > 0 ? (t - start) * (1 - share) / share : 0);
    if (done >= s->to - s->from)
        fprintf(stderr, "\r%60s\r", "");
}

/* Reasons, with how many queries each cost. */
struct reasons {
    char text[8][200];
    long count[8];
    int n;
};

static void note_reason(struct reasons *r, const char *why, long queries)
{
    int i = 0;
    while (i < r->n && strcmp(r->text[i], why))
        i++;
    if (i == 8)
        i = 7;
    if (i == r->n) {
        snprintf(r->text[i], sizeof r->text[i], "%s", why);
        r->n++;
    }
    r->count[i] += queries;
}

static void print_block(struct piece *pc, int n, struct reasons *r)
{
    for (int i = 0; i < n; i++) {
        if (*pc[i].why)
            note_reason(r, pc[i].why, pc[i].to - pc[i].from);
        if (pc[i].text)
            fwrite(pc[i].text, 1, pc[i].size, stdout);
        free(pc[i].text);
    }
}

static void do_block(const struct sweep *s, struct piece *pc, int n, struct winners *w)
{
    /* --best keeps the first of equal rows: one thread, in order */
#pragma omp parallel if (s->best < 0)
    {
        struct bound b;
        long bound = -1;
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < n; i++)
            do_piece(s, &pc[i], &b, &bound, w);
        if (bound >= 0)
            unbind_plan(&b);
    }
}

static void sweep_rows(const struct sweep *s)
{
    static const char *const why = "rooflint: sweep: %ld queries left out: %s\n";
    struct piece *pc = calloc(BLOCK, sizeof *pc);
    struct winners w = {0};
    struct reasons r = {0};
    double start = seconds(), last = 0;

    for (long row = s->from; pc && row < s->to;) {
        int n = 0;
        while (n < BLOCK && row < s->to)
            row = next_piece(s, row, &pc[n++]);
        do_block(s, pc, n, &w);
        print_block(pc, n, &r);
        progress(s, row - s->from, start, &last);
    }
    winners_print(&w);
    for (int i = 0; i < r.n; i++)
        fprintf(stderr, why, r.count[i], r.text[i]);
    free(pc);
}

static void sweep_clear(struct sweep *s)
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
    struct sweep s = {.args = a};
    struct rl_error err = {0};
    static const char *const needed[] = {"hw", "model", "ctx"};

    for (int i = 0; i < 3; i++)
        if (!rl_arg(&rl_cmd_sweep, a, needed[i]))
            return rl_usage_error(&rl_cmd_sweep, "--%s is missing", needed[i]);
    int rc = read_options(&s, &err) || load_all(&s, &err);
    if (!rc && !s.json && s.from == 0)
        rl_row_csv_header(stdout);
    if (!rc)
        sweep_rows(&s);
    sweep_clear(&s);
    return rc ? rl_die(&err) : RL_EXIT_OK;
}
