/* One measured run -> the query it was -> the figure predicted for it.
 *
 * Notes may hold key=value pairs that choose the configuration (threads, fa,
 * ubatch, tp); the rest of the text is for people.  Rows whose notes name a
 * configuration that is not modelled are skipped with the reason, never
 * predicted as something else.
 */
#include "runs.h"
#include "err.h"
#include "memory.h"
#include "schedule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 512 };

struct entry { /* a plan and what it is made of */
    char key[KEY];
    char why[160]; /* not empty: this combination cannot be predicted */
    struct rl_device *device;
    struct rl_model *model;
    struct rl_runtime *runtime;
    struct rl_plan *plan;
};

struct rl_runs {
    const char *data;
    char user[4096]; /* the user's data folder; "": none */
    struct rl_kernel_db *db;
    struct entry *entry;
    size_t n, cap;
    struct {
        char key[80];
        double value;
    } set[8];
    int nset;
};

struct rl_runs *rl_runs_new(const char *data, struct rl_error *err)
{
    struct rl_runs *r = rl_alloc(1, sizeof *r, err);
    if (!r)
        return NULL;
    r->data = data;
    r->db = rl_kernel_db_load(data, err);
    if (!r->db) {
        free(r);
        return NULL;
    }
    return r;
}

void rl_runs_user(struct rl_runs *r, const char *dir)
{
    snprintf(r->user, sizeof r->user, "%s", dir ? dir : "");
}

static void entry_clear(struct entry *e)
{
    rl_plan_free(e->plan);
    rl_runtime_free(e->runtime);
    rl_model_free(e->model);
    rl_device_free(e->device);
}

void rl_runs_free(struct rl_runs *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        entry_clear(&r->entry[i]);
    free(r->entry);
    rl_kernel_db_free(r->db);
    free(r);
}

/* key=value in the notes: the number, or fallback. */
static double note_num(const char *notes, const char *key, double fallback)
{
    size_t n = strlen(key);
    for (const char *s = notes; s && (s = strstr(s, key)); s += n) {
        bool starts = s == notes || strchr(" ;,", s[-1]);
        if (starts && s[n] == '=') {
            char *end;
            double v = strtod(s + n + 1, &end);
            return end > s + n + 1 ? v : fallback;
        }
    }
    return fallback;
}

/* A version of the years whose stacks had other runtime files and defaults. */
static bool is_of_2024(const struct rl_run *row)
{
    return strstr(row->version, "2023") || strstr(row->version, "2024");
}

/* Flash attention: as the notes say, else as the runtime does it today; the
 * llama.cpp of 2023 and 2024 had it off unless asked. */
static int flash_of(const struct rl_run *row)
{
    double fa = note_num(row->notes, "fa", -1);

    if (fa >= 0)
        return fa > 0;
    if (strstr(row->notes, "-fa off"))
        return 0;
    if (!strncmp(row->runtime, "llamacpp", 8) && is_of_2024(row))
        return 0;
    return -1;
}

/* Stacks whose older versions differ from today's: llama.cpp before mmq, flash
 * attention and fused nodes; servers that schedule and sample on the way of every step;
 * ggml before the tiled CPU kernels.  A version that holds the mark means the runtime
 * file of its own. */
static const char *runtime_of(const struct rl_run *row, char *buf, size_t size)
{
    static const struct {
        const char *runtime, *mark, *suffix; /* mark NULL: of 2023 or 2024 */
    } kept[] = {{"llamacpp-cuda", NULL, "2024"},
                {"llamacpp-metal", NULL, "2024"},
                {"vllm", NULL, "2024"},
                {"llamacpp-cpu", "ggml 0.18", "0.18"}};

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (!strcmp(row->runtime, kept[i].runtime) &&
            (kept[i].mark ? strstr(row->version, kept[i].mark) != NULL
                          : is_of_2024(row))) {
            snprintf(buf, size, "%s-%s", row->runtime, kept[i].suffix);
            return buf;
        }
    return row->runtime;
}

static void open_entry(struct rl_runs *r, struct entry *e, const struct rl_run *row)
{
    struct rl_error err = {0};
    struct rl_setup s = {.flash = flash_of(row)};
    char name[64];
    bool split = row->device_count > 1 && note_num(row->notes, "tp", 0) < 2;

    s.dtype = *row->weights_dtype ? row->weights_dtype : NULL;
    s.kv_dtype = *row->kv_dtype ? row->kv_dtype : NULL;
    s.tp = (int)note_num(row->notes, "tp", 1);
    s.devices = split ? (int)row->device_count : 1;
    s.threads = (int)note_num(row->notes, "threads", 0);
    s.ubatch = note_num(row->notes, "ubatch", 0);
    if (strstr(row->notes, "state=fp32"))
        s.state_dtype = "fp32";
    e->device = rl_device_load_for(r->data, *r->user ? r->user : NULL, row->device, &err);
    if (e->device)
        e->model = rl_model_load(r->data, row->model, &err);
    if (e->model)
        e->runtime =
            rl_runtime_load(r->data, runtime_of(row, name, sizeof name), e->device, &err);
    for (int i = 0; e->runtime && i < r->nset; i++)
        if (rl_runtime_set(e->runtime, r->set[i].key, r->set[i].value, &err))
            return;
    if (e->runtime)
        e->plan = rl_plan_bind(r->db, e->device, e->model, e->runtime, &s, &err);
    if (!e->plan)
        snprintf(e->why, sizeof e->why, "%.150s", err.text);
}

static struct entry *find_entry(struct rl_runs *r, const struct rl_run *row)
{
    char key[KEY];
    struct rl_error err = {0};

    snprintf(key, sizeof key, "%s|%s|%s|%s|%s|%s|%g|%g|%g|%g|%g|%d", row->device,
             row->model, row->weights_dtype, row->kv_dtype, row->runtime, row->version,
             row->device_count, (double)flash_of(row), note_num(row->notes, "tp", 1),
             note_num(row->notes, "threads", 0), note_num(row->notes, "ubatch", 0),
             strstr(row->notes, "state=fp32") != NULL);
    for (size_t i = 0; i < r->n; i++)
        if (!strcmp(r->entry[i].key, key))
            return &r->entry[i];
    void *grown = rl_grow(r->entry, &r->cap, r->n + 1, sizeof *r->entry, &err);
    if (!grown)
        return NULL;
    r->entry = grown;
    struct entry *e = &r->entry[r->n++];
    memset(e, 0, sizeof *e);
    memcpy(e->key, key, sizeof key);
    open_entry(r, e, row);
    return e;
}

int rl_runs_set(struct rl_runs *r, const char *key, double value, struct rl_error *err)
{
    int i = 0;
    while (i < r->nset && strcmp(r->set[i].key, key))
        i++;
    if (i == (int)(sizeof r->set / sizeof *r->set) || strlen(key) >= sizeof r->set[0].key)
        return rl_fail(err, RL_EVALUE, key, 0, "too many keys, or one too long");
    if (i == r->nset)
        strcpy(r->set[r->nset++].key, key);
    r->set[i].value = value;
    for (size_t k = 0; k < r->n; k++)
        entry_clear(&r->entry[k]);
    r->n = 0;
    return 0;
}

static void exact(struct rl_interval *out, double v, double rel)
{
    out->value = v;
    out->lo = v * (1 - rel);
    out->hi = v * (1 + rel);
}

static void scaled(struct rl_interval *out, const struct rl_interval *t, double k)
{
    out->value = t->value * k;
    out->lo = t->lo * k;
    out->hi = t->hi * k;
}

static void rate(struct rl_interval *out, double tokens, const struct rl_interval *t)
{
    out->value = tokens / t->value;
    out->lo = tokens / t->hi;
    out->hi = tokens / t->lo;
}

/* Decode of n steps, from an empty cache when there is no prompt. */
static void decode_steps(const struct rl_plan *pl, const struct rl_query *q, double n,
                         struct rl_interval *step)
{
    struct rl_sum s;
    rl_decode(pl, q, n < 1 ? 1 : n, &s);
    rl_sum_interval(pl, &s, 1, step);
}

/* Share of kernel time of the nodes a profile puts under one name: the SSM
 * block's fused kernels are all of a block but its in_proj; `attention`: the
 * linear layers and the attention kernels, as SSM-Scope's category GEMM. */
static double class_share(const struct rl_plan *pl, const struct rl_query *q, bool ssm,
                          bool attention)
{
    struct rl_sum all, one;
    double sum = 0;

    rl_prefill(pl, q, &all);
    for (int i = 0; i < pl->nnodes; i++) {
        const struct rl_node *n = pl->node[i].node;
        bool inside = n->cls == RL_CLS_SCAN || n->cls == RL_CLS_CONV ||
                      !strcmp(n->label, "x_proj") || !strcmp(n->label, "dt_proj") ||
                      !strcmp(n->label, "out_proj") ||
                      (n->glue && !strcmp(n->glue, "norm_gated"));
        bool linear = n->cls == RL_CLS_HEAD || (n->cls == RL_CLS_GEMM && !inside) ||
                      (n->cls == RL_CLS_ATTENTION && attention);
        struct rl_plan alone = *pl;
        if (ssm ? !inside : !linear)
            continue;
        alone.node = &pl->node[i];
        alone.nnodes = 1;
        alone.memo = NULL;
        rl_prefill(&alone, q, &one);
        double own = one.by_class[n->cls], beside = one.by_class[RL_CLS_ELEMENTWISE];
        if (own > 0)
            sum += one.gpu / one.slowed * own / (own + beside);
    }
    return all.gpu > 0 ? sum / all.gpu * all.slowed : 0;
}

static void times(const struct rl_run *row, const struct rl_plan *pl,
                  const struct rl_query *q, const struct rl_prediction *p,
                  struct rl_interval *out)
{
    const char *m = row->metric;
    double steps = row->prompt > 0 ? row->output - 1 : row->output;
    struct rl_interval step;

    if (!strcmp(m, "ttft")) {
        *out = p->ttft_s;
    } else if (!strcmp(m, "prefill_tokens_per_s")) {
        rate(out, q->ctx * q->batch, &p->ttft_s);
    } else if (!strcmp(m, "e2e_latency")) {
        *out = p->e2e_s;
    } else {
        decode_steps(pl, q, steps, &step);
        if (!strcmp(m, "tpot"))
            *out = step;
        else if (!strcmp(m, "decode_time"))
            scaled(out, &step, steps);
        else
            rate(out, q->batch, &step);
    }
}

/* Cache that the one forward pass of a memory measurement does not keep. */
static double unheld(const struct rl_plan *pl, const struct rl_prediction *p)
{
    bool plain = pl->mem.eager && pl->model->graph.cache_on_request;
    return plain ? p->memory.kv_cache + p->memory.state : 0;
}

/* The kernels of a prefill alone, whatever the host does. */
static void kernel_time(const struct rl_plan *pl, const struct rl_query *q,
                        struct rl_interval *out)
{
    struct rl_sum s;

    rl_prefill(pl, q, &s);
    s.wall = s.gpu;
    s.gpu_weight = 1;
    s.host_weight = 0;
    rl_sum_interval(pl, &s, 0, out);
}

/* Some meter many passes in a row and clean up between them: each pass then carries
 * the energy of the pause, in which a GPU waits with its clocks up. */
static void pass_energy(const struct rl_run *row, const struct rl_plan *pl,
                        const struct rl_prediction *p, struct rl_interval *out)
{
    *out = p->prefill_j;
    if (!strstr(row->notes, "empty_cache between passes"))
        return;
    out->value += pl->pause_j;
    out->lo += pl->pause_j;
    out->hi += pl->pause_j;
}

static void reserved_peak(const struct rl_plan *pl, const struct rl_prediction *p,
                          struct rl_interval *out)
{
    double not_held = unheld(pl, p);

    out->value = p->memory.reserved - not_held;
    out->lo = p->memory.reserved_lo - not_held;
    out->hi = p->memory.reserved_hi - not_held;
}

static int others(const struct rl_run *row, const struct rl_plan *pl,
                  const struct rl_query *q, const struct rl_prediction *p,
                  struct rl_interval *out, char why[160])
{
    const char *m = row->metric;
    double steps = row->prompt > 0 ? row->output - 1 : row->output;

    if (!strcmp(m, "gpu_time"))
        kernel_time(pl, q, out);
    else if (!strcmp(m, "ssm_block_share"))
        exact(out, class_share(pl, q, true, false), 0.15);
    else if (!strcmp(m, "gemm_share"))
        exact(out, class_share(pl, q, false, strstr(row->notes, "category=GEMM") != NULL),
              0.15);
    else if (!strcmp(m, "peak_memory_allocated"))
        exact(out, p->memory.total - unheld(pl, p), pl->mem.spread_allocated);
    else if (!strcmp(m, "peak_memory_reserved"))
        reserved_peak(pl, p, out);
    else if (!strcmp(m, "peak_memory_rss"))
        exact(out, p->memory.reserved + p->memory.runtime, pl->mem.spread_reserved);
    else if (!strcmp(m, "energy") && isfinite(p->prefill_j.value))
        pass_energy(row, pl, p, out);
    else if (!strcmp(m, "decode_energy") && isfinite(p->output_token_j.value))
        scaled(out, &p->output_token_j, steps * row->batch);
    else
        return snprintf(why, 160, "metric '%.60s' is not predicted here", m), -1;
    return 0;
}

static bool is_time(const char *m)
{
    return rl_word_in("ttft tpot decode_time e2e_latency prefill_tokens_per_s "
                      "decode_tokens_per_s",
                      m);
}

int rl_run_predict(struct rl_runs *r, const struct rl_run *row, struct rl_interval *out,
                   char why[160])
{
    struct rl_error err = {0};
    struct rl_prediction p;
    struct entry *e = find_entry(r, row);

    if (!e)
        return snprintf(why, 160, "out of memory"), -1;
    if (*e->why)
        return snprintf(why, 160, "%s", e->why), -1;
    if (!strcmp(row->metric, "max_context_ran"))
        return snprintf(why, 160, "a lower bound, not a value"), -1;
    if (note_num(row->notes, "pp", 1) > 1 || note_num(row->notes, "dp", 1) > 1)
        return snprintf(why, 160, "pipeline and data parallel runs are not modelled"), -1;
    if (note_num(row->notes, "concurrency", 1) > 1)
        return snprintf(why, 160, "concurrent requests are not modelled"), -1;

    struct rl_query q = {.ctx = row->prompt > 0 ? row->prompt : 1,
                         .batch = row->batch > 0 ? row->batch : 1,
                         .output_tokens = row->output > 0 ? row->output : 1,
                         .context_depth = row->depth};
    if (rl_predict(e->plan, &q, &p, &err))
        return snprintf(why, 160, "%.150s", err.text), -1;
    if (!is_time(row->metric))
        return others(row, e->plan, &q, &p, out, why);
    times(row, e->plan, &q, &p, out);
    return 0;
}
