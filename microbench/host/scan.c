/* The recurrences of state-space models, token by token as CPU engines run
 * them (llama.cpp has no chunked form), in fp32:
 *
 *   selective_scan (Mamba-1)  h[d,n] = exp(Δ[d] A[d,n]) h[d,n] + Δ[d] B[n] x[d]
 *                             y[d] = Σn C[n] h[d,n]
 *   ssd_scan (Mamba-2)        h[p,n] = exp(Δ a) h[p,n] + Δ B[n] x[p], one a and
 *                             Δ a head;  y[p] = Σn C[n] h[p,n]
 *   gdn_scan (gated delta)    S = g S;  u = β (v − S k);  S += u kᵀ;  y = S q
 *
 * seq_len 1 with states rotated over memory is the decode step.  Heads or
 * channels are divided over the threads. */
#include "host.h"
#include "simd.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCAN_MAMBA1, SCAN_SSD, SCAN_GDN };

struct scan {
    int kind, copies;
    long len;            /* tokens */
    long heads, p, n;    /* of one thread: Mamba-1 has p = 1 and heads = channels */
    struct mb_buffer st; /* state [copies][heads][p][n] */
    struct mb_buffer a;  /* Mamba-1: A [channels][n], negative */
    float *in;           /* [len][width]: random inputs, shared */
    float *out[256];     /* [heads][p] of one thread, the last token's */
    long width;
};

/* One channel and token of Mamba-1: n states, an exp each. */
MB_INLINE void mamba1_body(float *h, const float *a, const float *b, const float *c,
                           const float *dt_x, float *y, long n)
{
    mb_v16f sum = {0};
    for (long i = 0; i < n; i += 16) {
        mb_v16f e = dt_x[0] * *(const mb_v16f *)(a + i), s = *(const mb_v16f *)(h + i);
        mb_exp16(&e, &e);
        s = e * s + (dt_x[0] * dt_x[1]) * *(const mb_v16f *)(b + i);
        *(mb_v16f *)(h + i) = s;
        sum += s * *(const mb_v16f *)(c + i);
    }
    *y = mb_sum16(&sum);
}
MB_CLONES(mamba1,
          (float *h, const float *a, const float *b, const float *c, const float *dt_x,
           float *y, long n),
          (h, a, b, c, dt_x, y, n))

/* One head and token of Mamba-2: par = {decay, Δ}. */
MB_INLINE void ssd_body(float *h, const float *x, const float *b, const float *c,
                        const float *par, float *y, long p, long n)
{
    for (long j = 0; j < p; j++, h += n) {
        mb_v16f sum = {0};
        float in = par[1] * x[j];
        for (long i = 0; i < n; i += 16) {
            mb_v16f s =
                par[0] * *(const mb_v16f *)(h + i) + in * *(const mb_v16f *)(b + i);
            *(mb_v16f *)(h + i) = s;
            sum += s * *(const mb_v16f *)(c + i);
        }
        y[j] = mb_sum16(&sum);
    }
}
MB_CLONES(ssd,
          (float *h, const float *x, const float *b, const float *c, const float *par,
           float *y, long p, long n),
          (h, x, b, c, par, y, p, n))

/* One head and token of the gated delta rule: par = {gate, β}. */
MB_INLINE void gdn_body(float *s, const float *v, const float *k, const float *q,
                        const float *par, float *y, long p, long n)
{
    for (long j = 0; j < p; j++, s += n) {
        mb_v16f along = {0}, sum = {0};
        for (long i = 0; i < n; i += 16) {
            mb_v16f x = par[0] * *(const mb_v16f *)(s + i);
            *(mb_v16f *)(s + i) = x;
            along += x * *(const mb_v16f *)(k + i);
        }
        float u = par[1] * (v[j] - mb_sum16(&along));
        for (long i = 0; i < n; i += 16) {
            mb_v16f x = *(const mb_v16f *)(s + i) + u * *(const mb_v16f *)(k + i);
            *(mb_v16f *)(s + i) = x;
            sum += x * *(const mb_v16f *)(q + i);
        }
        y[j] = mb_sum16(&sum);
    }
}
MB_CLONES(gdn,
          (float *s, const float *v, const float *k, const float *q, const float *par,
           float *y, long p, long n),
          (s, v, k, q, par, y, p, n))

/* Inputs of token t: b[n], c[n], then x and parameters.  Random inputs are
 * shared by all heads: they are small against the state. */
static void one_token(struct scan *s, float *state, const float *a, long t, float *y)
{
    const float *b = s->in + t * s->width, *c = b + s->n, *x = c + s->n;
    if (s->kind == SCAN_MAMBA1) {
        float dt_x[2] = {0.05f, 0};
        for (long d = 0; d < s->heads; d++) {
            dt_x[1] = x[d % 64];
            mamba1(state + d * s->n, a + d * s->n, b, c, dt_x, y + d, s->n);
        }
        return;
    }
    const float ssd_par[2] = {0.95f, 0.05f}, gdn_par[2] = {0.95f, 0.1f};
    for (long h = 0; h < s->heads; h++, state += s->p * s->n, y += s->p)
        if (s->kind == SCAN_SSD)
            ssd(state, x, b, c, ssd_par, y, s->p, s->n);
        else
            gdn(state, x, b, c, gdn_par, y, s->p, s->n);
}

static void scan_part(int tid, int n, void *arg)
{
    (void)n;
    struct scan *s = arg;
    float *state = (float *)(void *)(s->st.base + (size_t)tid * s->st.each);
    const float *a =
        s->a.base ? (const float *)(const void *)(s->a.base + (size_t)tid * s->a.each)
                  : NULL;
    for (int i = 0; i < s->copies; i++, state += s->heads * s->p * s->n)
        for (long t = 0; t < s->len; t++)
            one_token(s, state, a, t, s->out[tid]);
}

/* cases: two shapes each, a prefill of 256 tokens and the decode step */

static const struct shape {
    const char *model;
    int heads, p, n, groups, k_heads, quick;
} shapes[3][2] = {
    [SCAN_MAMBA1] = {{"mamba-130m", 1536, 1, 16, 1, 0, 1},
                     {"mamba-1.4b", 4096, 1, 16, 1, 0, 0}},
    [SCAN_SSD] = {{"mamba2-130m", 24, 64, 128, 1, 0, 1},
                  {"mamba2-1.3b", 64, 64, 128, 1, 0, 0}},
    [SCAN_GDN] = {{"qwen3-next", 32, 128, 128, 1, 16, 0},
                  {"small", 16, 128, 128, 1, 8, 1}},
};

static const char *const op_name[3][2] = {{"selective_scan", "selective_state_update"},
                                          {"ssd_scan", "ssd_update"},
                                          {"gdn_scan", "gdn_update"}};

static void describe(struct mb_case *c, int kind, const struct shape *h, long len)
{
    if (kind == SCAN_MAMBA1)
        snprintf(c->size, sizeof c->size,
                 "batch=1 seq_len=%ld channels=%d state=%d dt_rank=%d dtype=fp32 "
                 "state_dtype=fp32",
                 len, h->heads, h->n, h->heads / 32);
    else if (kind == SCAN_SSD)
        snprintf(c->size, sizeof c->size,
                 "batch=1 seq_len=%ld heads=%d head_dim=%d state=%d groups=%d chunk=256 "
                 "dtype=fp32 state_dtype=fp32",
                 len, h->heads, h->p, h->n, h->groups);
    else
        snprintf(c->size, sizeof c->size,
                 "batch=1 seq_len=%ld k_heads=%d k_dim=%d v_heads=%d v_dim=%d dtype=fp32 "
                 "state_dtype=fp32",
                 len, h->k_heads, h->n, h->heads, h->p);
}

static int scan_case(struct mb_env *e, int kind, int i, struct mb_case *c, bool *quick)
{
    int threads = mb_thread_count(e, i / 4);
    if (!threads)
        return 0;
    const struct shape *h = &shapes[kind][i / 2 % 2];
    bool decode = i & 1;
    long len = decode ? 1 : 256;
    double elems = (double)h->heads * h->p * h->n;
    if (threads > 256 || h->heads % threads)
        return -1;
    c->par[0] = i / 2 % 2, c->par[1] = len;
    c->threads = threads;
    c->dtype = "fp32";
    c->mode = decode ? "cold" : "warm";
    c->op = op_name[kind][decode];
    c->impl = "rooflint";
    c->runtime = "rooflint-bench";
    c->what = MB_BYTES_RATE; /* the state is read and written every token */
    c->bytes = elems * 8 * (double)len;
    c->flop = elems * (kind == SCAN_GDN ? 7 : 5) * (double)len;
    c->limit = e->clock_hz * 192 * mb_busy_cores(e, threads);
    *quick = h->quick;
    describe(c, kind, h, len);
    return 1;
}

static int scan_setup(struct mb_env *e, struct mb_case *c, int kind, struct rl_error *err)
{
    struct scan *s = rl_alloc(1, sizeof *s, err);
    if (!s)
        return -1;
    c->state = s;
    const struct shape *h = &shapes[kind][c->par[0]];
    s->kind = kind;
    s->len = c->par[1];
    s->heads = h->heads / c->threads;
    s->p = h->p;
    s->n = h->n;
    s->width = 2 * s->n + (kind == SCAN_MAMBA1 ? 64 : s->p);
    size_t state = (size_t)(s->heads * s->p * s->n) * sizeof(float);
    s->copies = s->len > 1
                    ? 1
                    : (int)(4 * e->llc_bytes / (double)(state * (size_t)c->threads)) + 1;
    if (mb_buffer_new(e, &s->st, c->threads, state * (size_t)s->copies, MB_FILL_FP32,
                      err))
        return -1;
    if (kind == SCAN_MAMBA1 &&
        mb_buffer_new(e, &s->a, c->threads, state, MB_FILL_FP32, err))
        return -1;
    float *a = (float *)(void *)s->a.base;
    for (size_t i = 0; a && i < s->a.bytes / sizeof *a; i++)
        a[i] = -1 - fabsf(a[i]);
    uint64_t seed = 7;
    s->in = rl_alloc((size_t)(s->len * s->width), sizeof *s->in, err);
    for (long i = 0; s->in && i < s->len * s->width; i++)
        s->in[i] = 0.1f * mb_random(&seed);
    for (int t = 0; t < c->threads; t++)
        if (!(s->out[t] = rl_alloc((size_t)(s->heads * s->p), sizeof **s->out, err)))
            return -1;
    return s->in ? 0 : -1;
}

/* The first head of thread 0 again, in doubles and straight from the formulas. */
static int scan_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan *s = c->state;
    int copies = s->copies;
    double *h = rl_alloc((size_t)s->n, sizeof *h, err), y = 0, scale = 0;
    const float *st = (const float *)(const void *)s->st.base;
    const float *a = (const float *)(const void *)s->a.base;
    for (long i = 0; h && i < s->n; i++)
        h[i] = (double)st[i];
    for (long t = 0; h && t < s->len; t++) {
        const float *b = s->in + t * s->width, *cc = b + s->n, *x = cc + s->n;
        double along = 0;
        for (long i = 0; i < s->n; i++)
            along += 0.95 * h[i] * (double)b[i];
        y = scale = 0;
        for (long i = 0; i < s->n; i++) {
            if (s->kind == SCAN_MAMBA1)
                h[i] =
                    exp(0.05 * (double)a[i]) * h[i] + 0.05 * (double)b[i] * (double)x[0];
            else if (s->kind == SCAN_SSD)
                h[i] = 0.95 * h[i] + 0.05 * (double)b[i] * (double)x[0];
            else
                h[i] = 0.95 * h[i] + 0.1 * ((double)x[0] - along) * (double)b[i];
            y += h[i] * (double)cc[i];
            scale += fabs(h[i] * (double)cc[i]);
        }
    }
    s->copies = 1;
    mb_team_run(e->team, c->threads, scan_part, s);
    s->copies = copies;
    free(h);
    return h ? mb_expect("output of the last token", (double)s->out[0][0], y, scale, 1e-4,
                         err)
             : -1;
}

static double scan_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    (void)err;
    struct scan *s = c->state;
    long rounds = reps / s->copies + 1;
    double t = mb_timed(e, c->threads, scan_part, s, rounds);
    return t * (double)reps / (double)(rounds * s->copies);
}

static void scan_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct scan *s = c->state;
    if (s) {
        mb_buffer_free(&s->st);
        mb_buffer_free(&s->a);
        for (int t = 0; t < c->threads; t++)
            free(s->out[t]);
        free(s->in);
    }
    free(s);
}

#define SCAN_ITEM(id, KIND, text)                                                        \
    static int id##_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)        \
    {                                                                                    \
        return scan_case(e, KIND, i, c, quick);                                          \
    }                                                                                    \
    static int id##_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)     \
    {                                                                                    \
        return scan_setup(e, c, KIND, err);                                              \
    }                                                                                    \
    const struct mb_item mb_item_##id = {.name = #id,                                    \
                                         .summary = text,                                \
                                         .quick = true,                                  \
                                         .make = id##_make,                              \
                                         .setup = id##_setup,                            \
                                         .check = scan_check,                            \
                                         .run = scan_run,                                \
                                         .teardown = scan_teardown};

SCAN_ITEM(selective_scan, SCAN_MAMBA1, "Mamba-1 recurrence, prefill and decode step")
SCAN_ITEM(ssd_scan, SCAN_SSD, "Mamba-2 recurrence, prefill and decode step")
SCAN_ITEM(gdn_scan, SCAN_GDN, "gated delta rule, prefill and decode step")
