/* Predictions as JSON, CONTRACT keys in CONTRACT order. */
#include "breakdown.h"
#include "show.h"

#include <math.h>

json_t *rl_json_num(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *rl_json_count(double v)
{
    return v == rint(v) && fabs(v) < 0x1p53 ? json_integer((json_int_t)v)
                                            : rl_json_num(v);
}

const char *rl_logits_word(const struct rl_plan *pl, const struct rl_query *q)
{
    return rl_all_logits(pl, q) ? "all" : "last";
}

static json_t *interval(const struct rl_interval *i)
{
    if (!isfinite(i->value))
        return json_null();
    return json_pack("{s:o,s:o,s:o}", "value", rl_json_num(i->value), "lo",
                     rl_json_num(i->lo), "hi", rl_json_num(i->hi));
}

static json_t *query_json(const struct rl_plan *pl, const struct rl_query *q)
{
    return json_pack(
        "{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:s,s:s,s:s,s:s,s:i}", "hw", pl->device->id,
        "model", pl->model->id, "runtime", pl->runtime->name, "ctx",
        json_integer((json_int_t)q->ctx), "batch", json_integer((json_int_t)q->batch),
        "output_tokens", json_integer((json_int_t)q->output_tokens), "context_depth",
        json_integer((json_int_t)q->context_depth), "weights_dtype", pl->dtype_name,
        "kv_dtype", rl_dtype(pl->kv)->name, "state_dtype", rl_dtype(pl->state)->name,
        "logits", rl_logits_word(pl, q), "tp", pl->setup.tp);
}

static json_t *memory_json(const struct rl_memory *m)
{
    const struct {
        const char *name;
        double v;
    } part[] = {{"weights", m->weights},
                {"kv_cache", m->kv_cache},
                {"state", m->state},
                {"activations", m->activations},
                {"logits", m->logits},
                {"workspace", m->workspace},
                {"total", m->total},
                {"reserved", m->reserved},
                {"runtime", m->runtime},
                {"capacity", m->capacity},
                {"reserved_lo", m->reserved_lo},
                {"reserved_hi", m->reserved_hi}};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        json_object_set_new(o, part[i].name, rl_json_count(rint(part[i].v)));
    return o;
}

/* Plain figures, as the memory's; the intervals stand beside them. */
static json_t *energy_json(const struct rl_prediction *p)
{
    if (!isfinite(p->prefill_j.value))
        return json_null();
    return json_pack("{s:o,s:o,s:{s:o,s:o}}", "prefill", rl_json_num(p->prefill_j.value),
                     "per_output_token", rl_json_num(p->output_token_j.value), "interval",
                     "prefill", interval(&p->prefill_j), "per_output_token",
                     interval(&p->output_token_j));
}

static json_t *share_json(const double *share)
{
    json_t *o = json_object();
    for (int i = 0; i < RL_NCLASSES; i++)
        json_object_set_new(o, rl_class_name((enum rl_class)i), rl_json_num(share[i]));
    return o;
}

static json_t *notes_json(const struct rl_plan *pl, const struct rl_query *q)
{
    char text[RL_NOTE_TEXT];
    json_t *a = json_array();
    for (int i = 0; i < pl->nnotes; i++)
        json_array_append_new(a, json_string(pl->note[i]));
    if (rl_beyond_positions(pl, q, text))
        json_array_append_new(a, json_string(text));
    return a;
}

json_t *rl_prediction_json(const struct rl_plan *pl, const struct rl_query *q,
                           const struct rl_prediction *p)
{
    bool decode = pl->model->graph.has_decode;
    json_t *o = json_object();
    json_object_set_new(o, "query", query_json(pl, q));
    json_object_set_new(o, "ttft_s", interval(&p->ttft_s));
    json_object_set_new(o, "tpot_s", interval(&p->tpot_s));
    json_object_set_new(o, "e2e_s", interval(&p->e2e_s));
    json_object_set_new(o, "prefill_tokens_per_s", rl_json_num(p->prefill_tokens_per_s));
    json_object_set_new(o, "decode_tokens_per_s", rl_json_num(p->decode_tokens_per_s));
    json_object_set_new(o, "memory_bytes", memory_json(&p->memory));
    json_object_set_new(o, "fits", json_boolean(p->fits));
    json_object_set_new(o, "max_ctx", rl_json_count(p->max_ctx));
    json_object_set_new(o, "max_ctx_allocated", rl_json_count(p->max_ctx_allocated));
    json_object_set_new(o, "energy_j", energy_json(p));
    json_object_set_new(
        o, "bound",
        json_pack("{s:s,s:o}", "prefill", rl_bound_name(p->bound_prefill), "decode",
                  decode ? json_string(rl_bound_name(p->bound_decode)) : json_null()));
    json_object_set_new(o, "speed_of_light",
                        json_pack("{s:o,s:o}", "ttft_s", rl_json_num(p->sol_ttft_s),
                                  "tpot_s", rl_json_num(p->sol_tpot_s)));
    json_object_set_new(o, "share",
                        json_pack("{s:o,s:o}", "prefill", share_json(p->share_prefill),
                                  "decode",
                                  decode ? share_json(p->share_decode) : json_null()));
    json_object_set_new(o, "notes", notes_json(pl, q));
    return o;
}

static int add_row(const struct rl_op_row *r, void *arg)
{
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:s,s:o,s:o,s:o,s:s,s:s}", "op", r->op,
                          "label", r->label, "phase", r->phase, "class",
                          rl_class_name(r->cls), "count", rl_json_count(r->calls),
                          "params", r->params, "time_s", rl_json_num(r->time_s), "flop",
                          rl_json_count(r->flop), "bytes", rl_json_count(r->bytes),
                          "bound", rl_bound_name(r->bound), "source", r->source);
    return json_array_append_new(arg, o);
}

json_t *rl_breakdown_json(const struct rl_plan *pl, const struct rl_query *q)
{
    json_t *rows = json_array();
    rl_breakdown(pl, q, add_row, rows);
    return rows;
}
