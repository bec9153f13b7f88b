/* What costs time without moving much data: the core's clock, the latency of
 * dependent loads, a barrier of all threads, and handing work to them (what a
 * CPU engine pays per operator), and the rate of exp, the only special
 * function that scans and softmax need in numbers. */
#include "host.h"
#include "simd.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>

/* clock */

static int clock_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    if (i > 0 || !(e->clock_hz > 0))
        return 0;
    c->dtype = "none";
    snprintf(c->size, sizeof c->size, "cycles=1600000");
    c->what = MB_EVENT_RATE;
    c->events = 1600000;
    return 1;
}

static double clock_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    (void)e;
    (void)err;
    double t = 0;
    for (long i = 0; i < reps; i++)
        t += c->events / mb_measure_clock();
    return t;
}

/* pointer chase: a random cycle through all lines of the working set */

struct chase {
    struct mb_buffer buf;
    void **at;
    size_t lines;
};

enum { LINE = 64, HOPS = 20000 };

static int chase_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    double bytes = 16384.0 * (1 << i);
    if (i > 20 || (i > 0 && bytes > 4 * e->llc_bytes))
        return 0;
    *quick = i == 0 || i == 4 || bytes == 0x1p23 || bytes * 2 > 4 * e->llc_bytes;
    c->dtype = "none";
    c->par[0] = (long)bytes;
    c->mode = bytes >= 4 * e->llc_bytes ? "cold" : "warm";
    snprintf(c->size, sizeof c->size, "bytes=%.0f", bytes);
    c->what = MB_TIME;
    c->events = HOPS;
    c->limit = e->clock_hz; /* a load takes more than a cycle */
    return 1;
}

/* Sattolo's shuffle (1986): one cycle through all lines. */
static int chase_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct chase *s = rl_alloc(1, sizeof *s, err);
    if (!s)
        return -1;
    c->state = s;
    s->lines = (size_t)c->par[0] / LINE;
    if (mb_buffer_new(e, &s->buf, 1, (size_t)c->par[0], MB_FILL_BYTES, err))
        return -1;
    uint32_t *order = rl_alloc(s->lines, sizeof *order, err);
    if (!order)
        return -1;
    uint64_t seed = 12345;
    for (size_t i = 0; i < s->lines; i++)
        order[i] = (uint32_t)i;
    for (size_t i = s->lines - 1; i > 0; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t j = (size_t)((seed >> 33) % i);
        uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (size_t i = 0; i < s->lines; i++)
        *(void **)(void *)(s->buf.base + i * LINE) =
            s->buf.base + order[i] * (size_t)LINE;
    free(order);
    s->at = (void **)(void *)s->buf.base;
    return 0;
}

static int chase_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    (void)e;
    struct chase *s = c->state;
    void **p = s->at;
    size_t hops = 0;
    do
        p = *p;
    while (++hops < s->lines && p != s->at);
    return mb_expect("length of the cycle", (double)hops, (double)s->lines, 1, 0, err);
}

static double chase_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    (void)e;
    (void)err;
    struct chase *s = c->state;
    void **p = s->at;
    double t = mb_own_now(1);
    for (long r = 0; r < reps; r++)
        for (int i = 0; i < HOPS; i++)
            p = *p;
    t = mb_own_now(1) - t;
    s->at = p;
    __asm__ volatile("" : : "r"(p));
    return t;
}

static void chase_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct chase *s = c->state;
    if (s)
        mb_buffer_free(&s->buf);
    free(s);
}

/* barrier and hand-over of all threads */

static int threads_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    if (i > 0 || e->cpus < 2)
        return 0;
    c->dtype = "none";
    c->threads = e->cpus;
    c->what = MB_TIME;
    c->events = 1;
    snprintf(c->size, sizeof c->size, "threads=%d", e->cpus);
    return 1;
}

struct meet {
    struct mb_env *e;
    long reps;
};

static void barrier_part(int tid, int n, void *arg)
{
    (void)tid;
    struct meet *m = arg;
    for (long i = 0; i < m->reps; i++)
        mb_team_barrier(m->e->team, n);
}

static double barrier_run(struct mb_env *e, struct mb_case *c, long reps,
                          struct rl_error *err)
{
    (void)err;
    struct meet m = {e, reps};
    double t = mb_now();
    mb_team_run(e->team, c->threads, barrier_part, &m);
    return mb_now() - t;
}

static void nothing(int tid, int n, void *arg)
{
    (void)tid;
    (void)n;
    (void)arg;
}

static double dispatch_run(struct mb_env *e, struct mb_case *c, long reps,
                           struct rl_error *err)
{
    (void)err;
    double t = mb_now();
    for (long i = 0; i < reps; i++)
        mb_team_run(e->team, c->threads, nothing, NULL);
    return mb_now() - t;
}

/* exp of a vector that stays in the first-level cache */

enum { NEXP = 4096 };

struct exps {
    float x[64][NEXP], y[64][NEXP];
};

MB_INLINE void exp_all_body(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i += 16)
        mb_exp16((const mb_v16f *)(x + i), (mb_v16f *)(y + i));
}
MB_CLONES(exp_all, (const float *x, float *y, int n), (x, y, n))

static int exp_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    int threads = mb_thread_count(e, i);
    if (!threads)
        return 0;
    c->dtype = "fp32";
    c->threads = threads > 64 ? 64 : threads;
    snprintf(c->size, sizeof c->size, "width=%d", NEXP);
    c->what = MB_EVENT_RATE;
    c->events = (double)NEXP * c->threads;
    /* at least six vector operations each, two pipes of 16 lanes */
    c->limit = e->clock_hz * 32 / 6 * mb_busy_cores(e, c->threads);
    return 1;
}

static int exp_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    (void)e;
    struct exps *s = c->state = rl_alloc(1, sizeof *s, err);
    uint64_t seed = 99;
    for (int t = 0; s && t < 64; t++)
        for (int i = 0; i < NEXP; i++)
            s->x[t][i] = 10 * mb_random(&seed);
    return s ? 0 : -1;
}

static void exp_part(int tid, int n, void *arg)
{
    (void)n;
    struct exps *s = arg;
    exp_all(s->x[tid], s->y[tid], NEXP);
}

static int exp_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct exps *s = c->state;
    mb_team_run(e->team, c->threads, exp_part, s);
    for (int i = 0; i < NEXP; i++) {
        double want = exp((double)s->x[0][i]);
        if (mb_expect("exp", (double)s->y[0][i], want, want, 1e-5, err))
            return -1;
    }
    return 0;
}

static double exp_run(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    (void)err;
    return mb_timed(e, c->threads, exp_part, c->state, reps);
}

static void exp_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    free(c->state);
}

const struct mb_item mb_item_clock = {.name = "clock",
                                      .summary = "cycles a second of one busy core",
                                      .quick = true,
                                      .make = clock_make,
                                      .run = clock_run};
const struct mb_item mb_item_latency = {.name = "latency",
                                        .summary = "dependent loads by working set",
                                        .quick = true,
                                        .make = chase_make,
                                        .setup = chase_setup,
                                        .check = chase_check,
                                        .run = chase_run,
                                        .teardown = chase_teardown};
const struct mb_item mb_item_barrier = {.name = "barrier",
                                        .summary = "all threads meet",
                                        .quick = true,
                                        .make = threads_make,
                                        .run = barrier_run};
const struct mb_item mb_item_dispatch = {.name = "dispatch",
                                         .summary = "empty work handed to all threads",
                                         .quick = true,
                                         .make = threads_make,
                                         .run = dispatch_run};
const struct mb_item mb_item_exp = {.name = "exp",
                                    .summary = "exp evaluations, vectorised",
                                    .quick = true,
                                    .make = exp_make,
                                    .setup = exp_setup,
                                    .check = exp_check,
                                    .run = exp_run,
                                    .teardown = exp_teardown};
