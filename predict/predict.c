/* End to end: one query against a plan. */
#include "err.h"
#include "memory.h"
#include "schedule.h"

#include <math.h>
#include <string.h>

static int check_range(const char *what, double v, double least, struct rl_error *err)
{
    if (!(v >= least && v <= 9007199254740992.0))
        return rl_fail(err, RL_EVALUE, what, 0,
                       "expected a number from %g to 2^53, got %g", least, v);
    return 0;
}

/* Tokens already cached mean something where a prompt is appended to them. */
static int check_depth(const struct rl_plan *pl, const struct rl_query *q,
                       struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;

    if (q->context_depth > 0 && (!g->has_decode || g->encoder_decoder))
        return rl_fail(err, RL_ECONFLICT, "--context-depth", 0,
                       "'%s' appends no prompt to a cache", pl->model->id);
    return 0;
}

static void shares(const struct rl_sum *s, double *out)
{
    double total = 0;
    for (int i = 0; i < RL_NCLASSES; i++)
        total += s->by_class[i];
    for (int i = 0; i < RL_NCLASSES; i++)
        out[i] = total > 0 ? s->by_class[i] / total : 0;
}

static enum rl_bound binds(const struct rl_sum *s)
{
    int best = 0;
    for (int i = 1; i < RL_NBOUNDS; i++)
        if (s->by_bound[i] > s->by_bound[best])
            best = i;
    /* the host takes longer: no faster device would help */
    return s->host_weight > 0.5 ? RL_B_LAUNCH : (enum rl_bound)best;
}

static void null_interval(struct rl_interval *i)
{
    i->value = i->lo = i->hi = NAN;
}

/* Watt of all devices together.  Three powers: idle while a device waits for the host or
 * for another's layers, one while kernels wait for memory, one while the matrix units
 * work.  Idle means clocks up, so that a pause between two passes is not cheaper than the
 * sheet's idle.  Tensor parallel ranks all do what s holds; layers over several devices
 * share it. */
static double mean_power(const struct rl_plan *pl, const struct rl_sum *s, int which)
{
    const struct rl_device *d = pl->device;
    const struct rl_value *v[] = {&d->idle_w, &d->busy_w, &d->full_w};
    double w[3], compute = s->by_bound[RL_B_COMPUTE];
    double stages = pl->setup.devices, idle = fmax(0, stages * s->wall - s->gpu);

    for (int i = 0; i < 3; i++)
        w[i] = which < 0 ? v[i]->lo : which > 0 ? v[i]->hi : v[i]->v;
    return pl->setup.tp * stages *
           (idle * w[0] + (s->gpu - compute) * w[1] + compute * w[2]) / (idle + s->gpu);
}

static void energy(const struct rl_plan *pl, const struct rl_sum *s,
                   const struct rl_interval *t, double per, struct rl_interval *out)
{
    double p = mean_power(pl, s, 0);

    if (!(p > 0) || !isfinite(p)) {
        null_interval(out);
        return;
    }
    out->value = t->value * p / per;
    out->lo =
        out->value * exp(-hypot(log(p / mean_power(pl, s, -1)), log(t->value / t->lo)));
    out->hi =
        out->value * exp(hypot(log(mean_power(pl, s, 1) / p), log(t->hi / t->value)));
}

static void predict_decode(const struct rl_plan *pl, const struct rl_query *q,
                           struct rl_prediction *out)
{
    struct rl_sum s;
    double n = q->output_tokens - 1;

    rl_decode(pl, q, n < 1 ? 1 : n, &s);
    rl_sum_interval(pl, &s, 1, &out->tpot_s);
    shares(&s, out->share_decode);
    out->bound_decode = binds(&s);
    out->gpu_decode_s = s.gpu;
    out->host_decode_s = s.host;
    out->launches_decode = s.launches;
    memcpy(out->part_decode_s, s.by_bound, sizeof out->part_decode_s);
    out->decode_tokens_per_s = q->batch / out->tpot_s.value;
    out->sol_tpot_s = s.speed_of_light;
    energy(pl, &s, &out->tpot_s, q->batch, &out->output_token_j);
    out->e2e_s.value = out->ttft_s.value + n * out->tpot_s.value;
    out->e2e_s.lo = out->ttft_s.lo + n * out->tpot_s.lo;
    out->e2e_s.hi = out->ttft_s.hi + n * out->tpot_s.hi;
}

int rl_predict(const struct rl_plan *pl, const struct rl_query *q,
               struct rl_prediction *out, struct rl_error *err)
{
    struct rl_sum s;

    if (check_range("--ctx", q->ctx, 1, err) ||
        check_range("--batch", q->batch, 1, err) ||
        check_range("--output-tokens", q->output_tokens, 1, err) ||
        check_range("--context-depth", q->context_depth, 0, err) ||
        check_depth(pl, q, err))
        return -1;
    memset(out, 0, sizeof *out);
    rl_prefill(pl, q, &s);
    rl_sum_interval(pl, &s, 0, &out->ttft_s);
    shares(&s, out->share_prefill);
    out->bound_prefill = binds(&s);
    out->gpu_prefill_s = s.gpu;
    out->host_prefill_s = s.host;
    out->launches_prefill = s.launches;
    memcpy(out->part_prefill_s, s.by_bound, sizeof out->part_prefill_s);
    out->prefill_tokens_per_s = q->ctx * q->batch / out->ttft_s.value;
    out->sol_ttft_s = s.speed_of_light;
    energy(pl, &s, &out->ttft_s, 1, &out->prefill_j);
    if (pl->model->graph.has_decode) {
        predict_decode(pl, q, out);
    } else {
        null_interval(&out->tpot_s);
        null_interval(&out->output_token_j);
        out->e2e_s = out->ttft_s;
        out->decode_tokens_per_s = out->sol_tpot_s = NAN;
    }
    rl_memory(pl, q, &out->memory);
    out->fits = out->memory.reserved + out->memory.runtime <= out->memory.capacity;
    rl_max_ctx(pl, q, out);
    return 0;
}
