/* A prediction as one row of named cells. */
#include "columns.h"
#include "show.h"
#include "table.h"
#include "units.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    bool text;
} fixed[] = {
    {"hw", true},
    {"model", true},
    {"runtime", true},
    {"ctx", false},
    {"batch", false},
    {"output_tokens", false},
    {"context_depth", false},
    {"weights_dtype", true},
    {"kv_dtype", true},
    {"state_dtype", true},
    {"logits", true},
    {"tp", false},
    {"ttft_s", false},
    {"ttft_s.lo", false},
    {"ttft_s.hi", false},
    {"tpot_s", false},
    {"tpot_s.lo", false},
    {"tpot_s.hi", false},
    {"e2e_s", false},
    {"e2e_s.lo", false},
    {"e2e_s.hi", false},
    {"prefill_tokens_per_s", false},
    {"decode_tokens_per_s", false},
    {"memory.weights", false},
    {"memory.kv_cache", false},
    {"memory.state", false},
    {"memory.activations", false},
    {"memory.logits", false},
    {"memory.workspace", false},
    {"memory.total", false},
    {"memory.reserved", false},
    {"memory.runtime", false},
    {"memory.capacity", false},
    {"fits", true},
    {"max_ctx", false},
    {"max_ctx_allocated", false},
    {"energy_j.prefill", false},
    {"energy_j.per_output_token", false},
    {"bound.prefill", true},
    {"bound.decode", true},
    {"speed_of_light.ttft_s", false},
    {"speed_of_light.tpot_s", false},
    {"price_usd", false},
    {"tdp_w", false},
};
enum { NFIXED = sizeof fixed / sizeof *fixed };
_Static_assert(NFIXED + 2 * RL_NCLASSES == RL_NCOLUMNS, "RL_NCOLUMNS is off");

/* "share.decode.attention" …, spelt once. */
static const char *const share_names[] = {
#define PHASE(p)                                                                         \
    "share." p ".gemm", "share." p ".attention", "share." p ".scan", "share." p ".conv", \
        "share." p ".norm", "share." p ".elementwise", "share." p ".embedding",          \
        "share." p ".head", "share." p ".moe", "share." p ".comm", "share." p ".launch"
    PHASE("prefill"), PHASE("decode")};
_Static_assert(sizeof share_names / sizeof *share_names == 2 * RL_NCLASSES,
               "a class is missing");

const char *rl_column_name(int i)
{
    return i < NFIXED ? fixed[i].name : share_names[i - NFIXED];
}

bool rl_column_is_text(int i)
{
    return i < NFIXED && fixed[i].text;
}

int rl_column_find(const char *name)
{
    for (int i = 0; i < RL_NCOLUMNS; i++)
        if (!strcmp(rl_column_name(i), name))
            return i;
    return -1;
}

struct cursor {
    struct rl_cell *at;
};

static void text(struct cursor *c, const char *s)
{
    c->at->text = s;
    (c->at++)->num = NAN;
}

static void num(struct cursor *c, double v)
{
    c->at->text = NULL;
    (c->at++)->num = v;
}

static void interval(struct cursor *c, const struct rl_interval *i)
{
    num(c, i->value);
    num(c, i->lo);
    num(c, i->hi);
}

static void memory(struct cursor *c, const struct rl_memory *m)
{
    const double part[] = {m->weights, m->kv_cache,  m->state, m->activations,
                           m->logits,  m->workspace, m->total, m->reserved,
                           m->runtime, m->capacity};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        num(c, rint(part[i]));
}

void rl_row_fill(struct rl_cell row[RL_NCOLUMNS], const struct rl_plan *pl,
                 const struct rl_query *q, const struct rl_prediction *p)
{
    struct cursor c = {row};
    bool decode = pl->model->graph.has_decode;
    const struct rl_device *d = pl->device;

    text(&c, d->id);
    text(&c, pl->model->id);
    text(&c, pl->runtime->name);
    num(&c, q->ctx);
    num(&c, q->batch);
    num(&c, q->output_tokens);
    num(&c, q->context_depth);
    text(&c, pl->dtype_name);
    text(&c, rl_dtype(pl->kv)->name);
    text(&c, rl_dtype(pl->state)->name);
    text(&c, rl_logits_word(pl, q));
    num(&c, pl->setup.tp);
    interval(&c, &p->ttft_s);
    interval(&c, &p->tpot_s);
    interval(&c, &p->e2e_s);
    num(&c, p->prefill_tokens_per_s);
    num(&c, p->decode_tokens_per_s);
    memory(&c, &p->memory);
    text(&c, p->fits ? "true" : "false");
    num(&c, p->max_ctx);
    num(&c, p->max_ctx_allocated);
    num(&c, p->prefill_j.value);
    num(&c, p->output_token_j.value);
    text(&c, rl_bound_name(p->bound_prefill));
    text(&c, decode ? rl_bound_name(p->bound_decode) : "");
    num(&c, p->sol_ttft_s);
    num(&c, p->sol_tpot_s);
    num(&c, d->price_usd > 0 ? d->price_usd : NAN);
    num(&c, d->tdp_w > 0 ? d->tdp_w : NAN);
    for (int i = 0; i < RL_NCLASSES; i++)
        num(&c, p->share_prefill[i]);
    for (int i = 0; i < RL_NCLASSES; i++)
        num(&c, decode ? p->share_decode[i] : NAN);
}

void rl_row_csv_header(FILE *f)
{
    for (int i = 0; i < RL_NCOLUMNS; i++)
        fprintf(f, "%s%s", i ? "," : "", rl_column_name(i));
    fputc('\n', f);
}

/* Whole numbers are most of a row, and are printed whole. */
static void put_number(FILE *f, double v)
{
    char buf[32], *p = buf + sizeof buf;
    if (!(v >= 0 && v < 1e15 && v == floor(v))) {
        fwrite(buf, 1, rl_format_number(v, buf), f);
        return;
    }
    unsigned long long n = (unsigned long long)v;
    do {
        *--p = (char)('0' + n % 10);
    } while (n /= 10);
    fwrite(p, 1, (size_t)(buf + sizeof buf - p), f);
}

void rl_row_csv(FILE *f, const struct rl_cell row[RL_NCOLUMNS])
{
    for (int i = 0; i < RL_NCOLUMNS; i++) {
        if (i)
            putc_unlocked(',', f);
        if (row[i].text)
            rl_csv_field(f, row[i].text);
        else if (isfinite(row[i].num))
            put_number(f, row[i].num);
    }
    putc_unlocked('\n', f);
}

static void put_string(FILE *f, const char *s)
{
    json_t *j = json_string(s);
    json_dumpf(j, f, JSON_ENCODE_ANY);
    json_decref(j);
}

void rl_row_json(FILE *f, const struct rl_cell row[RL_NCOLUMNS])
{
    for (int i = 0; i < RL_NCOLUMNS; i++) {
        fprintf(f, "%s\"%s\":", i ? "," : "{", rl_column_name(i));
        if (row[i].text && !strcmp(rl_column_name(i), "fits"))
            fputs(row[i].text, f);
        else if (row[i].text && *row[i].text)
            put_string(f, row[i].text);
        else if (!row[i].text && isfinite(row[i].num))
            put_number(f, row[i].num);
        else
            fputs("null", f);
    }
    fputs("}\n", f);
}
