/* Memory bandwidth: read (sum), write, copy (non-temporal stores above the
 * caches), triad a = b + s·c, by working set and threads.  Bytes are those the
 * program asks for: a write or a copy with ordinary stores also reads the line
 * it writes, which no figure here counts. */
#include "host.h"
#include "simd.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

enum { BW_READ, BW_WRITE, BW_COPY, BW_TRIAD };

struct bw {
    struct mb_buffer buf;
    int kind;
    size_t each;   /* bytes of one array of one thread */
    int streaming; /* stores go past the caches */
    float sink[64][16];
};

/* 8 sums in flight: enough for two loads a cycle at 4 cycles of latency */
MB_INLINE void read_sum_body(const float *p, size_t n, float *sum)
{
    const mb_v16f *v = (const mb_v16f *)p, *end = v + n / 16;
    mb_v16f s0 = {0}, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
    for (; v + 8 <= end; v += 8) {
        s0 += v[0];
        s1 += v[1];
        s2 += v[2];
        s3 += v[3];
        s4 += v[4];
        s5 += v[5];
        s6 += v[6];
        s7 += v[7];
    }
    for (; v < end; v++)
        s0 += *v;
    s0 += s1 + s2 + s3 + s4 + s5 + s6 + s7;
    *sum += mb_sum16(&s0);
}
MB_CLONES(read_sum, (const float *p, size_t n, float *sum), (p, n, sum))

MB_INLINE void write_all_body(float *p, size_t n, const float *x)
{
    mb_v16f *v = (mb_v16f *)p;
    mb_v16f a = *x - (mb_v16f){0};
    for (size_t i = 0; i < n / 16; i++)
        v[i] = a;
}
MB_CLONES(write_all, (float *p, size_t n, const float *x), (p, n, x))

MB_INLINE void copy_all_body(float *to, const float *from, size_t n)
{
    mb_v16f *a = (mb_v16f *)to;
    const mb_v16f *b = (const mb_v16f *)from;
    for (size_t i = 0; i < n / 16; i++)
        a[i] = b[i];
}
MB_CLONES(copy_all, (float *to, const float *from, size_t n), (to, from, n))

MB_INLINE void triad_all_body(float *to, const float *x, const float *y, size_t n,
                              const float *s)
{
    mb_v16f *a = (mb_v16f *)to;
    const mb_v16f *b = (const mb_v16f *)x, *c = (const mb_v16f *)y;
    for (size_t i = 0; i < n / 16; i++)
        a[i] = b[i] + *s * c[i];
}
MB_CLONES(triad_all,
          (float *to, const float *x, const float *y, size_t n, const float *s),
          (to, x, y, n, s))

#if defined(__x86_64__)
#include <immintrin.h>
static void stream_copy(float *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(from + i + 4));
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(from + i + 8));
        __m128i d = _mm_loadu_si128((const __m128i *)(const void *)(from + i + 12));
        _mm_stream_si128((__m128i *)(void *)(to + i), a);
        _mm_stream_si128((__m128i *)(void *)(to + i + 4), b);
        _mm_stream_si128((__m128i *)(void *)(to + i + 8), c);
        _mm_stream_si128((__m128i *)(void *)(to + i + 12), d);
    }
    _mm_sfence();
}
#else
static void stream_copy(float *to, const float *from, size_t n)
{
    copy_all(to, from, n);
}
#endif

static int arrays(int kind)
{
    return kind == BW_TRIAD ? 3 : kind == BW_COPY ? 2 : 1;
}

static void bw_part(int tid, int n, void *arg)
{
    (void)n;
    struct bw *b = arg;
    float *p = (float *)(void *)(b->buf.base + (size_t)tid * b->buf.each);
    size_t k = b->each / sizeof *p;
    switch (b->kind) {
    case BW_READ:
        read_sum(p, k, b->sink[tid % 64]);
        break;
    case BW_WRITE:
        write_all(p, k, &(float){0.25f});
        break;
    case BW_COPY:
        (b->streaming ? stream_copy : copy_all)(p + k, p, k);
        break;
    default:
        triad_all(p + 2 * k, p, p + k, k, &(float){0.5f});
    }
    __asm__ volatile("" ::: "memory");
}

/* Working sets: par[0] = bytes of all arrays and threads together. */
static int bw_case(struct mb_env *e, int kind, int i, struct mb_case *c, bool *quick)
{
    static const double fixed[] = {0x1p14, 0x1p15, 0x1p17, 0x1p19, 0x1p20, 0x1p21,
                                   0x1p22, 0x1p23, 0x1p24, 0x1p25, 0x1p26};
    enum { NFIXED = sizeof fixed / sizeof *fixed, NSIZES = NFIXED + 3 };
    int threads = mb_thread_count(e, i / NSIZES), k = i % NSIZES;
    if (!threads)
        return 0;
    double llc = e->llc_bytes, bytes = k < NFIXED    ? fixed[k] * threads
                                       : k == NFIXED ? llc / 2
                                                     : llc * (k == NFIXED + 1 ? 4 : 8);
    bool cold = bytes >= 4 * llc;
    *quick = k == 0 || k == 3 || k == NFIXED || k == NFIXED + 1;
    if (kind != BW_READ)
        *quick = k == NFIXED + 1 && (kind != BW_TRIAD || threads > 1);
    c->par[0] = (long)bytes / threads / arrays(kind) / 4096 * 4096;
    if (c->par[0] < 4096)
        c->par[0] = 4096;
    c->threads = threads;
    c->dtype = "fp32";
    c->mode = cold ? "cold" : "warm";
    c->what = MB_BYTES_RATE;
    c->bytes = (double)c->par[0] * threads * arrays(kind);
    c->flop = kind == BW_TRIAD ? 2.0 * (double)c->par[0] / 4 * threads : 0;
    snprintf(c->size, sizeof c->size, "bytes=%.0f", c->bytes);
    /* two 64-byte loads and one 64-byte store in a cycle: no core does more */
    c->limit = e->clock_hz * 192 * mb_busy_cores(e, threads);
    return 1;
}

static int bw_setup(struct mb_env *e, struct mb_case *c, int kind, struct rl_error *err)
{
    struct bw *b = rl_alloc(1, sizeof *b, err);
    if (!b)
        return -1;
    c->state = b;
    b->kind = kind;
    b->each = (size_t)c->par[0];
    b->streaming = !strcmp(c->mode, "cold");
    return mb_buffer_new(e, &b->buf, c->threads, b->each * (size_t)arrays(kind),
                         MB_FILL_FP32, err);
}

static int bw_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct bw *b = c->state;
    float *p = (float *)(void *)b->buf.base;
    size_t k = b->each / sizeof *p, last = k - 1;
    memset(b->sink, 0, sizeof b->sink);
    mb_team_run(e->team, c->threads, bw_part, b);
    if (b->kind == BW_WRITE)
        return mb_expect("last element", (double)p[last], 0.25, 1, 0, err);
    if (b->kind == BW_COPY)
        return mb_expect("last element", (double)p[k + last], (double)p[last], 1, 0, err);
    if (b->kind == BW_TRIAD)
        return mb_expect("last element", (double)p[2 * k + last],
                         (double)p[last] + 0.5 * (double)p[k + last], 1, 1e-6, err);
    double want = 0, scale = 1;
    for (size_t i = 0; i < k; i++) {
        want += (double)p[i];
        scale += (double)(p[i] < 0 ? -p[i] : p[i]);
    }
    return mb_expect("sum", (double)b->sink[0][0], want, scale, 1e-4, err);
}

static double bw_run(struct mb_env *e, struct mb_case *c, long reps, struct rl_error *err)
{
    (void)err;
    return mb_timed(e, c->threads, bw_part, c->state, reps);
}

static void bw_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct bw *b = c->state;
    if (b)
        mb_buffer_free(&b->buf);
    free(b);
}

#define BW_ITEM(kind_name, KIND, text)                                                   \
    static int kind_name##_make(struct mb_env *e, int i, struct mb_case *c, bool *quick) \
    {                                                                                    \
        return bw_case(e, KIND, i, c, quick);                                            \
    }                                                                                    \
    static int kind_name##_setup(struct mb_env *e, struct mb_case *c,                    \
                                 struct rl_error *err)                                   \
    {                                                                                    \
        return bw_setup(e, c, KIND, err);                                                \
    }                                                                                    \
    const struct mb_item mb_item_##kind_name = {.name = #kind_name,                      \
                                                .summary = text,                         \
                                                .quick = true,                           \
                                                .make = kind_name##_make,                \
                                                .setup = kind_name##_setup,              \
                                                .check = bw_check,                       \
                                                .run = bw_run,                           \
                                                .teardown = bw_teardown};

BW_ITEM(read, BW_READ, "read bandwidth by working set and threads")
BW_ITEM(write, BW_WRITE, "write bandwidth by working set and threads")
BW_ITEM(copy, BW_COPY, "copy bandwidth, non-temporal when cold")
BW_ITEM(triad, BW_TRIAD, "a = b + s c by working set and threads")
