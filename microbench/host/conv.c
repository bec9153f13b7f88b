/* Depthwise causal convolution of width 4 over the tokens, channels last as
 * engines keep them: y[t,c] = Σw k[w,c] x[t − 3 + w, c]. */
#include "host.h"
#include "simd.h"

#include "err.h"

#include <stdlib.h>

enum { WIDTH = 4 };

struct conv {
    struct mb_buffer x, y, k; /* [len + 3][channels] a thread; k [4][channels] */
    long len, channels;       /* of one thread */
};

MB_INLINE void conv_row_body(const float *x, const float *k, float *y, long channels)
{
    for (long c = 0; c < channels; c += 16) {
        mb_v16f s = {0};
        for (int w = 0; w < WIDTH; w++)
            s += *(const mb_v16f *)(k + w * channels + c) *
                 *(const mb_v16f *)(x + w * channels + c);
        *(mb_v16f *)(y + c) = s;
    }
}
MB_CLONES(conv_row, (const float *x, const float *k, float *y, long channels),
          (x, k, y, channels))

static int conv_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const int channels[] = {1536, 1792, 4096, 8192};
    int threads = mb_thread_count(e, i / 8);
    if (!threads)
        return 0;
    long ch = channels[i / 2 % 4], len = i & 1 ? 2048 : 256;
    if (ch % (16 * threads))
        return -1;
    *quick = ch == 1792 && len == 256;
    c->par[0] = ch, c->par[1] = len;
    c->threads = threads;
    c->dtype = "fp32";
    c->op = "conv1d";
    c->impl = "rooflint";
    c->runtime = "rooflint-bench";
    c->what = MB_BYTES_RATE;
    c->bytes = 8.0 * (double)ch * (double)len + 16.0 * (double)ch;
    c->flop = 2.0 * WIDTH * (double)ch * (double)len;
    c->mode = 2 * c->bytes >= 4 * e->llc_bytes ? "cold" : "warm";
    c->limit = e->clock_hz * 192 * mb_busy_cores(e, threads);
    snprintf(c->size, sizeof c->size,
             "batch=1 seq_len=%ld channels=%ld width=4 dtype=fp32", len, ch);
    return 1;
}

static int conv_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct conv *v = rl_alloc(1, sizeof *v, err);
    if (!v)
        return -1;
    c->state = v;
    v->channels = c->par[0] / c->threads;
    v->len = c->par[1];
    size_t row = (size_t)v->channels * sizeof(float), len = (size_t)v->len;
    return mb_buffer_new(e, &v->x, c->threads, row * (len + WIDTH - 1), MB_FILL_FP32,
                         err) ||
                   mb_buffer_new(e, &v->y, c->threads, row * len, MB_FILL_FP32, err) ||
                   mb_buffer_new(e, &v->k, c->threads, row * WIDTH, MB_FILL_FP32, err)
               ? -1
               : 0;
}

static float *part(const struct mb_buffer *b, int tid)
{
    return (float *)(void *)(b->base + (size_t)tid * b->each);
}

static void conv_part(int tid, int n, void *arg)
{
    (void)n;
    struct conv *v = arg;
    const float *x = part(&v->x, tid), *k = part(&v->k, tid);
    float *y = part(&v->y, tid);
    for (long t = 0; t < v->len; t++, x += v->channels, y += v->channels)
        conv_row(x, k, y, v->channels);
}

static int conv_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct conv *v = c->state;
    mb_team_run(e->team, c->threads, conv_part, v);
    const float *x = part(&v->x, 0), *k = part(&v->k, 0), *y = part(&v->y, 0);
    for (long t = 0; t < v->len; t += v->len / 3)
        for (long ch = 0; ch < v->channels; ch += 101) {
            double want = 0;
            for (int w = 0; w < WIDTH; w++)
                want += (double)k[w * v->channels + ch] *
                        (double)x[(t + w) * v->channels + ch];
            if (mb_expect("conv", (double)y[t * v->channels + ch], want, 1, 1e-5, err))
                return -1;
        }
    return 0;
}

static double conv_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    (void)err;
    return mb_timed(e, c->threads, conv_part, c->state, reps);
}

static void conv_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct conv *v = c->state;
    if (v) {
        mb_buffer_free(&v->x);
        mb_buffer_free(&v->y);
        mb_buffer_free(&v->k);
    }
    free(v);
}

const struct mb_item mb_item_conv1d = {.name = "conv1d",
                                       .summary = "causal convolution of width 4",
                                       .quick = true,
                                       .make = conv_make,
                                       .setup = conv_setup,
                                       .check = conv_check,
                                       .run = conv_run,
                                       .teardown = conv_teardown};
