/* Predictions as CSV: one header, one row per query. */
#include "show.h"
#include "table.h"

#include <math.h>

static const char *const columns[] = {
    "hw",
    "model",
    "runtime",
    "ctx",
    "batch",
    "output_tokens",
    "context_depth",
    "weights_dtype",
    "kv_dtype",
    "state_dtype",
    "logits",
    "tp",
    "ttft_s",
    "ttft_s.lo",
    "ttft_s.hi",
    "tpot_s",
    "tpot_s.lo",
    "tpot_s.hi",
    "e2e_s",
    "e2e_s.lo",
    "e2e_s.hi",
    "prefill_tokens_per_s",
    "decode_tokens_per_s",
    "memory.weights",
    "memory.kv_cache",
    "memory.state",
    "memory.activations",
    "memory.logits",
    "memory.workspace",
    "memory.total",
    "memory.reserved",
    "memory.runtime",
    "memory.capacity",
    "fits",
    "max_ctx",
    "max_ctx_allocated",
    "energy_j.prefill",
    "energy_j.per_output_token",
    "bound.prefill",
    "bound.decode",
    "speed_of_light.ttft_s",
    "speed_of_light.tpot_s",
};

void rl_prediction_csv_header(FILE *f)
{
    size_t n = sizeof columns / sizeof *columns;
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s%s", i ? "," : "", columns[i]);
    for (int phase = 0; phase < 2; phase++)
        for (int c = 0; c < RL_NCLASSES; c++)
            fprintf(f, ",share.%s.%s", phase ? "decode" : "prefill",
                    rl_class_name((enum rl_class)c));
    fputc('\n', f);
}

/* Null is an empty field. */
static void num(FILE *f, double v)
{
    if (isfinite(v))
        fprintf(f, ",%.9g", v);
    else
        fputc(',', f);
}

static void interval(FILE *f, const struct rl_interval *i)
{
    num(f, i->value);
    num(f, i->lo);
    num(f, i->hi);
}

static void word(FILE *f, const char *s)
{
    fputc(',', f);
    rl_csv_field(f, s);
}

void rl_prediction_csv_row(FILE *f, const struct rl_plan *pl, const struct rl_query *q,
                           const struct rl_prediction *p)
{
    const struct rl_memory *m = &p->memory;
    const double mem[] = {m->weights, m->kv_cache,  m->state, m->activations,
                          m->logits,  m->workspace, m->total, m->reserved,
                          m->runtime, m->capacity};
    bool decode = pl->model->graph.has_decode;

    rl_csv_field(f, pl->device->id);
    word(f, pl->model->id);
    word(f, pl->runtime->name);
    num(f, q->ctx);
    num(f, q->batch);
    num(f, q->output_tokens);
    num(f, q->context_depth);
    word(f, pl->dtype_name);
    word(f, rl_dtype(pl->kv)->name);
    word(f, rl_dtype(pl->state)->name);
    word(f, rl_logits_word(pl, q));
    num(f, pl->setup.tp);
    interval(f, &p->ttft_s);
    interval(f, &p->tpot_s);
    interval(f, &p->e2e_s);
    num(f, p->prefill_tokens_per_s);
    num(f, p->decode_tokens_per_s);
    for (size_t i = 0; i < sizeof mem / sizeof *mem; i++)
        num(f, rint(mem[i]));
    word(f, p->fits ? "true" : "false");
    num(f, p->max_ctx);
    num(f, p->max_ctx_allocated);
    num(f, p->prefill_j.value);
    num(f, p->output_token_j.value);
    word(f, rl_bound_name(p->bound_prefill));
    word(f, decode ? rl_bound_name(p->bound_decode) : "");
    num(f, p->sol_ttft_s);
    num(f, p->sol_tpot_s);
    for (int c = 0; c < RL_NCLASSES; c++)
        num(f, p->share_prefill[c]);
    for (int c = 0; c < RL_NCLASSES; c++)
        num(f, decode ? p->share_decode[c] : NAN);
    fputc('\n', f);
}
