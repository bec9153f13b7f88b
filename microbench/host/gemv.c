/* y = W x with W[n,k] in fp32, bf16 or fp16: the shape of decode, streamed once
 * from memory (cold: matrices rotated over four times the caches) or from the
 * caches (warm).  Rows are divided over the threads; 16 bits are widened and
 * accumulated in fp32. */
#include "host.h"
#include "simd.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t v16u __attribute__((vector_size(32), aligned(2), may_alias));

MB_INLINE void rows_fp32_body(const float *w, const float *x, float *y, long rows, long k)
{
    for (long r = 0; r < rows; r++, w += k) {
        mb_v16f a = {0}, b = a, c = a, d = a;
        long i = 0;
        for (; i + 64 <= k; i += 64) {
            a += *(const mb_v16f *)(w + i) * *(const mb_v16f *)(x + i);
            b += *(const mb_v16f *)(w + i + 16) * *(const mb_v16f *)(x + i + 16);
            c += *(const mb_v16f *)(w + i + 32) * *(const mb_v16f *)(x + i + 32);
            d += *(const mb_v16f *)(w + i + 48) * *(const mb_v16f *)(x + i + 48);
        }
        a += b + c + d;
        float s = mb_sum16(&a);
        for (; i < k; i++)
            s += w[i] * x[i];
        y[r] = s;
    }
}
MB_CLONES(rows_fp32, (const float *w, const float *x, float *y, long rows, long k),
          (w, x, y, rows, k))

MB_INLINE void widen_bf16(const uint16_t *p, mb_v16f *out)
{
    typedef unsigned v16w __attribute__((vector_size(64)));
    v16w wide = __builtin_convertvector(*(const v16u *)p, v16w) << 16;
    *out = (mb_v16f)wide;
}

MB_INLINE void rows_bf16_body(const uint16_t *w, const float *x, float *y, long rows,
                              long k)
{
    for (long r = 0; r < rows; r++, w += k) {
        mb_v16f a = {0}, b = a, u, v;
        long i = 0;
        for (; i + 32 <= k; i += 32) {
            widen_bf16(w + i, &u);
            widen_bf16(w + i + 16, &v);
            a += u * *(const mb_v16f *)(x + i);
            b += v * *(const mb_v16f *)(x + i + 16);
        }
        a += b;
        float s = mb_sum16(&a);
        for (; i < k; i++)
            s += mb_from_bf16(w[i]) * x[i];
        y[r] = s;
    }
}
MB_CLONES(rows_bf16, (const uint16_t *w, const float *x, float *y, long rows, long k),
          (w, x, y, rows, k))

#if defined(__x86_64__)
#include <immintrin.h>
__attribute__((target("avx2,fma,f16c"))) static void
rows_fp16_f16c(const uint16_t *w, const float *x, float *y, long rows, long k)
{
    for (long r = 0; r < rows; r++, w += k) {
        __m256 a[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                       _mm256_setzero_ps()};
        long i = 0;
        for (; i + 32 <= k; i += 32)
            for (int j = 0; j < 4; j++)
                a[j] =
                    _mm256_fmadd_ps(_mm256_cvtph_ps(_mm_loadu_si128(
                                        (const __m128i *)(const void *)(w + i + 8 * j))),
                                    _mm256_loadu_ps(x + i + 8 * j), a[j]);
        float part[8], s = 0;
        _mm256_storeu_ps(
            part, _mm256_add_ps(_mm256_add_ps(a[0], a[1]), _mm256_add_ps(a[2], a[3])));
        for (int j = 0; j < 8; j++)
            s += part[j];
        for (; i < k; i++)
            s += mb_from_fp16(w[i]) * x[i];
        y[r] = s;
    }
}
static int has_fp16(void)
{
    /* every CPU with AVX2 and FMA has F16C too */
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#elif defined(__aarch64__)
#include <arm_neon.h>
static void rows_fp16_f16c(const uint16_t *w, const float *x, float *y, long rows, long k)
{
    for (long r = 0; r < rows; r++, w += k) {
        float32x4_t a = vdupq_n_f32(0), b = a;
        long i = 0;
        for (; i + 8 <= k; i += 8) {
            float16x8_t h = vreinterpretq_f16_u16(vld1q_u16(w + i));
            a = vfmaq_f32(a, vcvt_f32_f16(vget_low_f16(h)), vld1q_f32(x + i));
            b = vfmaq_f32(b, vcvt_f32_f16(vget_high_f16(h)), vld1q_f32(x + i + 4));
        }
        float s = vaddvq_f32(a) + vaddvq_f32(b);
        for (; i < k; i++)
            s += mb_from_fp16(w[i]) * x[i];
        y[r] = s;
    }
}
static int has_fp16(void)
{
    return 1;
}
#else
static void rows_fp16_f16c(const uint16_t *w, const float *x, float *y, long rows, long k)
{
    (void)w, (void)x, (void)y, (void)rows, (void)k;
}
static int has_fp16(void)
{
    return 0;
}
#endif

/* the item */

enum { G_FP32, G_BF16, G_FP16, NDT };
static const char *const dt_name[] = {"fp32", "bf16", "fp16"};
static const int shapes[][2] = {
    {1024, 1024}, {2048, 2048}, {4096, 4096}, {11008, 4096}, {4864, 896}};
enum { NSHAPES = sizeof shapes / sizeof *shapes, PER_THREADS = NDT * NSHAPES * 2 };

struct gemv {
    struct mb_buffer w, x, y;
    long rows, k; /* of one thread and matrix */
    int dt, copies;
};

static int gemv_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int threads = mb_thread_count(e, i / PER_THREADS);
    if (!threads)
        return 0;
    i %= PER_THREADS;
    int cold = i & 1, dt = i / 2 % NDT, s = i / 2 / NDT;
    long n = shapes[s][0] / threads * threads, k = shapes[s][1];
    if (dt == G_FP16 && !has_fp16())
        return -1;
    size_t size = dt == G_FP32 ? 4 : 2;
    c->par[0] = dt, c->par[1] = n, c->par[2] = k;
    c->threads = threads;
    c->dtype = dt_name[dt];
    c->mode = cold ? "cold" : "warm";
    c->op = "gemm";
    c->impl = "rooflint";
    c->runtime = "rooflint-bench";
    c->what = MB_BYTES_RATE;
    c->bytes = (double)(n * k) * (double)size + 4.0 * (double)(n + k);
    c->flop = 2.0 * (double)n * (double)k;
    c->limit = e->clock_hz * 192 * mb_busy_cores(e, threads);
    *quick = s == 1;
    snprintf(c->size, sizeof c->size, "m=1 n=%ld k=%ld dtype=%s", n, k, dt_name[dt]);
    return 1;
}

static int gemv_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemv *g = rl_alloc(1, sizeof *g, err);
    if (!g)
        return -1;
    c->state = g;
    g->dt = (int)c->par[0];
    g->rows = c->par[1] / c->threads;
    g->k = c->par[2];
    size_t each = (size_t)(g->rows * g->k) * (g->dt == G_FP32 ? 4 : 2);
    bool cold = !strcmp(c->mode, "cold");
    g->copies =
        cold ? (int)(4 * e->llc_bytes / (double)(each * (size_t)c->threads)) + 1 : 1;
    enum mb_fill fill = g->dt == G_FP32   ? MB_FILL_FP32
                        : g->dt == G_BF16 ? MB_FILL_BF16
                                          : MB_FILL_FP16;
    return mb_buffer_new(e, &g->w, c->threads, each * (size_t)g->copies, fill, err) ||
                   mb_buffer_new(e, &g->x, 1, (size_t)g->k * 4, MB_FILL_FP32, err) ||
                   mb_buffer_new(e, &g->y, c->threads, (size_t)g->rows * 4, MB_FILL_FP32,
                                 err)
               ? -1
               : 0;
}

static void gemv_part(int tid, int n, void *arg)
{
    (void)n;
    struct gemv *g = arg;
    const char *mine = g->w.base + (size_t)tid * g->w.each;
    const float *x = (const float *)(const void *)g->x.base;
    float *y = (float *)(void *)(g->y.base + (size_t)tid * g->y.each);
    for (int i = 0; i < g->copies; i++) {
        size_t at = (size_t)i * (size_t)(g->rows * g->k);
        const uint16_t *half = (const uint16_t *)(const void *)mine + at;
        if (g->dt == G_FP32)
            rows_fp32((const float *)(const void *)mine + at, x, y, g->rows, g->k);
        else if (g->dt == G_BF16)
            rows_bf16(half, x, y, g->rows, g->k);
        else
            rows_fp16_f16c(half, x, y, g->rows, g->k);
    }
}

static double weight(const struct gemv *g, long i)
{
    if (g->dt == G_FP32)
        return (double)((const float *)(const void *)g->w.base)[i];
    uint16_t h = ((const uint16_t *)(const void *)g->w.base)[i];
    return (double)(g->dt == G_BF16 ? mb_from_bf16(h) : mb_from_fp16(h));
}

static int gemv_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemv *g = c->state;
    const float *x = (const float *)(const void *)g->x.base;
    int copies = g->copies;
    g->copies = 1;
    mb_team_run(e->team, c->threads, gemv_part, g);
    g->copies = copies;
    for (long r = 0; r < g->rows; r += g->rows / 5 + 1) {
        double want = 0, scale = 0;
        for (long i = 0; i < g->k; i++) {
            double p = weight(g, r * g->k + i) * (double)x[i];
            want += p;
            scale += fabs(p);
        }
        double got = (double)((float *)(void *)g->y.base)[r];
        if (mb_expect("row", got, want, scale, 1e-5, err))
            return -1;
    }
    return 0;
}

/* One run of the harness is one product: the rotation goes over `copies`. */
static double gemv_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    (void)err;
    struct gemv *g = c->state;
    long rounds = reps / g->copies + 1;
    double t = mb_timed(e, c->threads, gemv_part, g, rounds);
    return t * (double)reps / (double)(rounds * g->copies);
}

static void gemv_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct gemv *g = c->state;
    if (g) {
        mb_buffer_free(&g->w);
        mb_buffer_free(&g->x);
        mb_buffer_free(&g->y);
    }
    free(g);
}

const struct mb_item mb_item_gemv = {.name = "gemv",
                                     .summary = "matrix times vector, fp32 bf16 fp16",
                                     .quick = true,
                                     .make = gemv_make,
                                     .setup = gemv_setup,
                                     .check = gemv_check,
                                     .run = gemv_run,
                                     .teardown = gemv_teardown};
