/* Sampling one case: batch runs until a sample lasts long enough for the
 * clock, then sample until the interval of the median is narrow or the time
 * of the pass is up.  Foreign CPU time is taken over the whole pass. */
#include "harness.h"

#include "err.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The one process-wide state: a signal handler cannot be given a pointer. */
static volatile sig_atomic_t stop_asked;

void mb_stop(void)
{
    stop_asked = 1;
}

bool mb_stopped(void)
{
    return stop_asked != 0;
}

static int push(struct mb_samples *s, double t, struct rl_error *err)
{
    if (s->n == s->cap) {
        int cap = s->cap ? 2 * s->cap : 64;
        double *grown = realloc(s->t, (size_t)cap * sizeof *grown);
        if (!grown)
            return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
        s->t = grown;
        s->cap = cap;
    }
    s->t[s->n++] = t;
    return 0;
}

void mb_samples_free(struct mb_samples *s)
{
    free(s->t);
    *s = (struct mb_samples){0};
}

/* Half the width of the interval over the median, of this pass's samples. */
static double half_width(const struct mb_samples *s, int from)
{
    int n = s->n - from;
    double *x = malloc((size_t)n * sizeof *x);
    if (!x)
        return HUGE_VAL;
    memcpy(x, s->t + from, (size_t)n * sizeof *x);
    struct mb_stats st;
    mb_stats_of(x, n, &st);
    free(x);
    return 0.5 * (st.hi - st.lo) / st.median;
}

/* How many runs make one sample; negative: a run failed.  Two runs first, so
 * that page faults and lazy set-up are paid outside the samples. */
static long pilot(const struct mb_item *it, struct mb_env *e, struct mb_case *c,
                  const struct mb_budget *b, struct rl_error *err)
{
    long reps = 1;
    double t = it->run(e, c, 1, err);
    for (int i = 0; i < 40 && t >= 0; i++) {
        t = it->run(e, c, reps, err);
        if (t >= 0.8 * b->sample_s || reps >= 1L << 30 || mb_stopped())
            break;
        double grow = t > 0 ? 1.1 * b->sample_s / t : 16;
        reps = (long)ceil((double)reps * fmin(fmax(grow, 1.2), 16));
    }
    return t < 0 ? -1 : reps;
}

static int collect(const struct mb_backend *be, struct mb_env *e,
                   const struct mb_item *it, struct mb_case *c, const struct mb_budget *b,
                   struct mb_samples *s, struct rl_error *err)
{
    long reps = pilot(it, e, c, b, err);
    if (reps < 0)
        return -1;
    int from = s->n;
    double start = mb_now();
    while (!mb_stopped() && s->n - from < b->max_n) {
        double t = it->run(e, c, reps, err);
        if (t < 0 || push(s, t / (double)reps, err))
            return -1;
        int n = s->n - from;
        if (mb_now() - start > b->pass_s && n >= 3)
            break;
        if (n >= b->min_n && n % 5 == 0 && half_width(s, from) <= b->rel)
            break;
    }
    /* right after the last sample, while the device is still warm from it */
    if (be->telemetry)
        be->telemetry(e, &s->clock_hz, &s->power_w);
    return 0;
}

int mb_sample_pass(const struct mb_backend *be, struct mb_env *e,
                   const struct mb_item *it, struct mb_case *c, const struct mb_budget *b,
                   struct mb_samples *s, struct rl_error *err)
{
    if (s->npasses == MB_MAXPASSES)
        return 0;
    struct mb_cpu_time before, after;
    int rc = it->setup ? it->setup(e, c, err) : 0;
    if (!rc && it->check && !s->checked) {
        rc = it->check(e, c, err);
        s->checked = true;
    }
    if (!rc) {
        mb_cpu_time(&before);
        rc = collect(be, e, it, c, b, s, err);
        mb_cpu_time(&after);
        s->foreign_cpu = fmax(s->foreign_cpu, mb_foreign_cpu(&before, &after));
    }
    if (it->teardown)
        it->teardown(e, c);
    c->state = NULL;
    s->failed = rc != 0;
    if (s->n > (s->npasses ? s->pass_end[s->npasses - 1] : 0))
        s->pass_end[s->npasses++] = s->n;
    return rc;
}

static const char *unit_of(enum mb_what w)
{
    static const char *const unit[] = {"B/s", "FLOP/s", "1/s", "s"};
    return unit[w];
}

static double rate_of(const struct mb_case *c, double t)
{
    switch (c->what) {
    case MB_BYTES_RATE:
        return c->bytes / t;
    case MB_FLOP_RATE:
        return c->flop / t;
    case MB_EVENT_RATE:
        return c->events / t;
    case MB_TIME:
        break;
    }
    return t / c->events;
}

void mb_row_of(const struct mb_case *c, struct mb_samples *s, struct mb_row *row)
{
    struct mb_stats st;
    mb_stats_passes(s->t, s->pass_end, s->npasses, &st);
    *row = (struct mb_row){
        .threads = c->threads,
        .n = st.n,
        .median_s = st.median,
        .lo_s = st.lo,
        .hi_s = st.hi,
        .best_s = st.best,
        .bytes = c->bytes,
        .flop = c->flop,
        .events = c->events,
        .rate = rate_of(c, st.median),
        .limit = c->limit,
        .foreign_cpu = s->foreign_cpu,
        .clock_hz = s->clock_hz,
        .power_w = s->power_w,
    };
    const char *text[] = {c->item, c->dtype,   c->size,          c->mode, c->op,
                          c->impl, c->runtime, unit_of(c->what), ""};
    char **to[] = {&row->item, &row->dtype,   &row->size, &row->mode, &row->op,
                   &row->impl, &row->runtime, &row->unit, &row->note};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        const char *t = text[i] ? text[i] : "";
        memcpy(to[i], &t, sizeof t); /* borrowed: mb_rows_add copies */
    }
}

int mb_limit_check(const struct mb_case *c, const struct mb_row *row,
                   struct rl_error *err)
{
    double per_s = c->what == MB_TIME ? 1 / row->rate : row->rate;
    per_s *= row->median_s / row->best_s; /* no single sample may be above either */
    if (!(c->limit > 0) || per_s <= c->limit)
        return 0;
    return rl_fail(err, RL_EVALUE, c->item, 0,
                   "%s %s %s: measured %.4g %s, above the physical limit of %.4g: "
                   "refused",
                   c->dtype, c->size, c->mode, per_s,
                   c->what == MB_TIME ? "1/s" : row->unit, c->limit);
}
