/* Dot products of llama.cpp's block formats, as decode uses them: rows of
 * quantised weights against one vector quantised to 8 bits.  Block layouts are
 * those of its GGUF files (ggml-common.h, 2024); the kernels are this file's
 * own: AVX2, or plain C where there is none.
 *
 *   q8_0  32 weights: fp16 d, 32 × int8                    w = d q
 *   q4_0  32 weights: fp16 d, 16 bytes of nibbles          w = d (q − 8)
 *   q4_k 256 weights: fp16 d and dmin, 8 × (6-bit scale, 6-bit minimum),
 *                     128 bytes of nibbles                 w = d s q − dmin m
 *   q6_k 256 weights: 4 low bits, 2 high bits, 16 × int8 scales, fp16 d
 *                                                          w = d s (q − 32)
 */
#include "host.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { Q8_0, Q4_0, Q4_K, Q6_K, NFORMATS };

static const struct format {
    const char *name;
    int block, bytes;     /* weights, bytes of one block */
    int scale_at, min_at; /* offsets of the fp16 factors; −1: none */
} formats[NFORMATS] = {[Q8_0] = {"q8_0", 32, 34, 0, -1},
                       [Q4_0] = {"q4_0", 32, 18, 0, -1},
                       [Q4_K] = {"q4_k", 256, 144, 0, 2},
                       [Q6_K] = {"q6_k", 256, 210, 208, -1}};

/* The vector: int8 with one factor a block of 32 or 256 (d[k / block]), and
 * the sums of every 16, which the offset formats need. */
struct vec {
    int8_t *q;
    float *d;
    int16_t *sum16;
};

static float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return mb_from_fp16(h);
}

/* 6-bit scale (m = 0) or minimum (m = 1) of sub-block j out of the 12 bytes */
static int six_bits(const uint8_t *s, int j, int m)
{
    if (j < 4)
        return s[j + 4 * m] & 63;
    int low = m ? s[j + 4] >> 4 : s[j + 4] & 15;
    return low | (s[j - 4 + 4 * m] >> 6) << 4;
}

/* One weight, in plain C: the reference, and the fall-back kernel. */
static double weight(int f, const uint8_t *row, long i)
{
    const uint8_t *b = row + i / formats[f].block * formats[f].bytes;
    int j = (int)(i % formats[f].block);
    double d = (double)half_at(b + formats[f].scale_at);
    if (f == Q8_0)
        return d * (int8_t)b[2 + j];
    if (f == Q4_0)
        return d * ((j < 16 ? b[2 + j] & 15 : b[2 + j - 16] >> 4) - 8);
    if (f == Q4_K) {
        int byte = b[16 + j / 64 * 32 + j % 32], q = j / 32 % 2 ? byte >> 4 : byte & 15;
        return d * six_bits(b + 4, j / 32, 0) * q -
               (double)half_at(b + 2) * six_bits(b + 4, j / 32, 1);
    }
    int half = j / 128, l = j % 32, quarter = j % 128 / 32;
    int low = b[64 * half + 32 * (quarter % 2) + l], high = b[128 + 32 * half + l];
    int q = (quarter < 2 ? low & 15 : low >> 4) | (high >> 2 * quarter & 3) << 4;
    return d * (int8_t)b[192 + j / 16] * (q - 32);
}

static float dot_plain(int f, const uint8_t *row, const struct vec *x, long k)
{
    double s = 0;
    for (long i = 0; i < k; i++)
        s += weight(f, row, i) * (double)x->d[i / formats[f].block] * x->q[i];
    return (float)s;
}

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma,f16c")))

AVX2 static inline float half_fast(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

AVX2 static inline __m256i load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

AVX2 static inline float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* signed times signed through |a| and b·sign(a) */
AVX2 static inline __m256 dot_i8(__m256i a, __m256i b)
{
    __m256i p = _mm256_maddubs_epi16(_mm256_sign_epi8(a, a), _mm256_sign_epi8(b, a));
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(p, _mm256_set1_epi16(1)));
}

AVX2 static inline __m256i nibbles(const uint8_t *p)
{
    __m128i q = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m256i both = _mm256_set_m128i(_mm_srli_epi16(q, 4), q);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

AVX2 static float dot_q8_0(const uint8_t *w, const struct vec *x, long k)
{
    __m256 s = _mm256_setzero_ps();
    for (long b = 0; b < k / 32; b++, w += 34)
        s = _mm256_fmadd_ps(_mm256_set1_ps(half_fast(w) * x->d[b]),
                            dot_i8(load(w + 2), load(x->q + 32 * b)), s);
    return sum8(s);
}

AVX2 static float dot_q4_0(const uint8_t *w, const struct vec *x, long k)
{
    __m256 s = _mm256_setzero_ps();
    const __m256i eight = _mm256_set1_epi8(8);
    for (long b = 0; b < k / 32; b++, w += 18)
        s = _mm256_fmadd_ps(
            _mm256_set1_ps(half_fast(w) * x->d[b]),
            dot_i8(_mm256_sub_epi8(nibbles(w + 2), eight), load(x->q + 32 * b)), s);
    return sum8(s);
}

AVX2 static float dot_q4_k(const uint8_t *w, const struct vec *x, long k)
{
    __m256 s = _mm256_setzero_ps();
    const __m256i low = _mm256_set1_epi8(15);
    double mins = 0;
    for (long b = 0; b < k / 256; b++, w += 144) {
        const int8_t *q8 = x->q + 256 * b;
        const int16_t *sums = x->sum16 + 16 * b;
        __m256i acc = _mm256_setzero_si256();
        int m = 0;
        for (int j = 0; j < 8; j++)
            m += six_bits(w + 4, j, 1) * (sums[2 * j] + sums[2 * j + 1]);
        for (int j = 0; j < 4; j++) {
            __m256i q = load(w + 16 + 32 * j);
            __m256i a = _mm256_maddubs_epi16(_mm256_and_si256(q, low), load(q8 + 64 * j));
            __m256i c = _mm256_maddubs_epi16(
                _mm256_and_si256(_mm256_srli_epi16(q, 4), low), load(q8 + 64 * j + 32));
            __m256i sa = _mm256_set1_epi16((short)six_bits(w + 4, 2 * j, 0));
            __m256i sc = _mm256_set1_epi16((short)six_bits(w + 4, 2 * j + 1, 0));
            acc = _mm256_add_epi32(acc, _mm256_madd_epi16(a, sa));
            acc = _mm256_add_epi32(acc, _mm256_madd_epi16(c, sc));
        }
        s = _mm256_fmadd_ps(_mm256_set1_ps(half_fast(w) * x->d[b]),
                            _mm256_cvtepi32_ps(acc), s);
        mins += (double)(half_fast(w + 2) * x->d[b]) * m;
    }
    return sum8(s) - (float)mins;
}

/* 32 of the 6-bit weights (quarter 0…3 of a half) as unsigned bytes */
AVX2 static inline __m256i six(const uint8_t *ql, const uint8_t *qh, int quarter)
{
    __m256i l = load(ql + 32 * (quarter & 1)), h = load(qh);
    if (quarter >= 2)
        l = _mm256_srli_epi16(l, 4);
    h = _mm256_and_si256(_mm256_srl_epi16(h, _mm_cvtsi32_si128(2 * quarter)),
                         _mm256_set1_epi8(3));
    return _mm256_or_si256(_mm256_and_si256(l, _mm256_set1_epi8(15)),
                           _mm256_slli_epi16(h, 4));
}

AVX2 static float dot_q6_k(const uint8_t *w, const struct vec *x, long k)
{
    __m256 s = _mm256_setzero_ps();
    double offset = 0;
    for (long b = 0; b < k / 256; b++, w += 210) {
        const int8_t *scale = (const int8_t *)(w + 192);
        __m256i acc = _mm256_setzero_si256();
        int o = 0;
        for (int j = 0; j < 16; j++)
            o += scale[j] * x->sum16[16 * b + j];
        for (int j = 0; j < 8; j++) {
            __m256i q = six(w + 64 * (j / 4), w + 128 + 32 * (j / 4), j % 4);
            __m256i p = _mm256_maddubs_epi16(q, load(x->q + 256 * b + 32 * j));
            __m256i f = _mm256_set_m128i(_mm_set1_epi16(scale[2 * j + 1]),
                                         _mm_set1_epi16(scale[2 * j]));
            acc = _mm256_add_epi32(acc, _mm256_madd_epi16(p, f));
        }
        float d = half_fast(w + 208) * x->d[b];
        s = _mm256_fmadd_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(acc), s);
        offset += (double)d * 32 * o;
    }
    return sum8(s) - (float)offset;
}

static float dot_avx2(int f, const uint8_t *row, const struct vec *x, long k)
{
    switch (f) {
    case Q8_0:
        return dot_q8_0(row, x, k);
    case Q4_0:
        return dot_q4_0(row, x, k);
    case Q4_K:
        return dot_q4_k(row, x, k);
    default:
        return dot_q6_k(row, x, k);
    }
}
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
static float dot_avx2(int f, const uint8_t *row, const struct vec *x, long k)
{
    return dot_plain(f, row, x, k);
}
static int has_avx2(void)
{
    return 0;
}
#endif

/* the item */

enum { NSHAPES = 2, PER_THREADS = NFORMATS * NSHAPES * 2 };
static const int shapes[NSHAPES][2] = {{2048, 2048}, {11008, 4096}};

struct qdot {
    struct mb_buffer w;
    struct vec x;
    float *y; /* [rows of all threads] */
    long rows, k;
    int f, copies, fast;
};

static int qdot_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int threads = mb_thread_count(e, i / PER_THREADS);
    if (!threads)
        return 0;
    i %= PER_THREADS;
    const struct format *f = &formats[i / 2 % NFORMATS];
    int s = i / 2 / NFORMATS;
    long n = shapes[s][0] / threads * threads, k = shapes[s][1];
    c->par[0] = i / 2 % NFORMATS, c->par[1] = n, c->par[2] = k;
    c->threads = threads;
    c->dtype = f->name;
    c->mode = i & 1 ? "cold" : "warm";
    c->op = "gemm";
    c->impl = has_avx2() ? "rooflint-avx2" : "rooflint-c";
    c->runtime = "rooflint-bench";
    c->what = MB_BYTES_RATE;
    c->bytes = (double)(n * k) / f->block * f->bytes;
    c->flop = 2.0 * (double)n * (double)k;
    c->limit = e->clock_hz * 192 * mb_busy_cores(e, threads);
    *quick = s == 0;
    snprintf(c->size, sizeof c->size, "m=1 n=%ld k=%ld dtype=%s", n, k, f->name);
    return 1;
}

/* Random bytes make senseless factors: every block's is set to about 0.01. */
static void fix_scales(const struct format *f, char *base, size_t blocks)
{
    uint64_t seed = 4711;
    for (size_t b = 0; b < blocks; b++, base += f->bytes) {
        uint16_t d = mb_fp16(0.01f + 0.004f * mb_random(&seed));
        memcpy(base + f->scale_at, &d, sizeof d);
        if (f->min_at >= 0)
            memcpy(base + f->min_at, &d, sizeof d);
    }
}

static int make_vec(struct qdot *q, struct rl_error *err)
{
    uint64_t seed = 31;
    struct vec *x = &q->x;
    x->q = rl_alloc((size_t)q->k, 1, err);
    x->d = rl_alloc((size_t)q->k / 32, sizeof *x->d, err);
    x->sum16 = rl_alloc((size_t)q->k / 16, sizeof *x->sum16, err);
    if (!x->q || !x->d || !x->sum16)
        return -1;
    for (long i = 0; i < q->k; i++) {
        x->q[i] = (int8_t)(127 * mb_random(&seed));
        x->sum16[i / 16] = (int16_t)(x->sum16[i / 16] + x->q[i]);
    }
    for (long i = 0; i < q->k / 32; i++)
        x->d[i] = 0.005f + 0.002f * mb_random(&seed);
    return 0;
}

static int qdot_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct qdot *q = rl_alloc(1, sizeof *q, err);
    if (!q)
        return -1;
    c->state = q;
    q->f = (int)c->par[0];
    q->rows = c->par[1] / c->threads;
    q->k = c->par[2];
    q->fast = has_avx2();
    const struct format *f = &formats[q->f];
    size_t blocks = (size_t)(q->rows * q->k / f->block), each = blocks * (size_t)f->bytes;
    bool cold = !strcmp(c->mode, "cold");
    q->copies =
        cold ? (int)(4 * e->llc_bytes / (double)(each * (size_t)c->threads)) + 1 : 1;
    q->y = rl_alloc((size_t)c->par[1], sizeof *q->y, err);
    if (!q->y || make_vec(q, err) ||
        mb_buffer_new(e, &q->w, c->threads, each * (size_t)q->copies, MB_FILL_BYTES, err))
        return -1;
    for (int t = 0; t < c->threads; t++)
        fix_scales(f, q->w.base + (size_t)t * q->w.each, blocks * (size_t)q->copies);
    return 0;
}

static void qdot_part(int tid, int n, void *arg)
{
    (void)n;
    struct qdot *q = arg;
    size_t row = (size_t)(q->k / formats[q->f].block) * (size_t)formats[q->f].bytes;
    const uint8_t *w = (const uint8_t *)q->w.base + (size_t)tid * q->w.each;
    float *y = q->y + tid * q->rows;
    for (int i = 0; i < q->copies; i++)
        for (long r = 0; r < q->rows; r++, w += row)
            y[r] = (q->fast ? dot_avx2 : dot_plain)(q->f, w, &q->x, q->k);
}

static int qdot_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct qdot *q = c->state;
    size_t row = (size_t)(q->k / formats[q->f].block) * (size_t)formats[q->f].bytes;
    int copies = q->copies;
    q->copies = 1;
    mb_team_run(e->team, c->threads, qdot_part, q);
    q->copies = copies;
    for (long r = 0; r < q->rows; r += q->rows / 5 + 1) {
        const uint8_t *w = (const uint8_t *)q->w.base + (size_t)r * row;
        double want = 0, scale = 0;
        for (long i = 0; i < q->k; i++) {
            double x = (double)q->x.d[i / formats[q->f].block] * q->x.q[i];
            want += weight(q->f, w, i) * x;
            scale += fabs(weight(q->f, w, i) * x);
        }
        if (mb_expect("row", (double)q->y[r], want, scale, 1e-5, err))
            return -1;
    }
    return 0;
}

static double qdot_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    (void)err;
    struct qdot *q = c->state;
    long rounds = reps / q->copies + 1;
    double t = mb_timed(e, c->threads, qdot_part, q, rounds);
    return t * (double)reps / (double)(rounds * q->copies);
}

static void qdot_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct qdot *q = c->state;
    if (q) {
        mb_buffer_free(&q->w);
        free(q->x.q);
        free(q->x.d);
        free(q->x.sum16);
        free(q->y);
    }
    free(q);
}

const struct mb_item mb_item_qdot = {.name = "qdot",
                                     .summary = "quantised matrix times vector",
                                     .quick = true,
                                     .make = qdot_make,
                                     .setup = qdot_setup,
                                     .check = qdot_check,
                                     .run = qdot_run,
                                     .teardown = qdot_teardown};
