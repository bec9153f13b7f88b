/* Peak arithmetic of the cores by number format: twelve independent chains of
 * the widest multiply-add that the CPU has, in registers, chosen at run time.
 *
 * The accumulators are plain variables: an array of them behind an asm barrier
 * made gcc 12 spill and halved the "peak".  Limits are two vector pipes of 512
 * bits (x86) or four of 128 bits (arm64), the widest cores built so far. */
#include "host.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

struct kernel {
    const char *isa, *dtype;
    int (*supported)(void);
    double (*body)(long n); /* n steps; the sum of the accumulators */
    double flop;            /* of one step */
    double limit;           /* FLOP a cycle of one core at most */
    double want;            /* the sum after one step, start value 0 */
};

/* Twelve chains.  They do the same arithmetic on the same values, and gcc finds
 * that out and keeps one: an empty asm makes each a value of its own. */
#define OWN(a) __asm__ volatile("" : REG(a))
#define ACC(T, zero)                                                                     \
    T a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero, a6 = zero,       \
      a7 = zero, a8 = zero, a9 = zero, aa = zero, ab = zero;                             \
    OWN(a0);                                                                             \
    OWN(a1);                                                                             \
    OWN(a2);                                                                             \
    OWN(a3);                                                                             \
    OWN(a4);                                                                             \
    OWN(a5);                                                                             \
    OWN(a6);                                                                             \
    OWN(a7);                                                                             \
    OWN(a8);                                                                             \
    OWN(a9);                                                                             \
    OWN(aa);                                                                             \
    OWN(ab)
#define STEP(f)                                                                          \
    a0 = f(a0), a1 = f(a1), a2 = f(a2), a3 = f(a3), a4 = f(a4), a5 = f(a5), a6 = f(a6),  \
    a7 = f(a7), a8 = f(a8), a9 = f(a9), aa = f(aa), ab = f(ab)

#if defined(__x86_64__)
#include <immintrin.h>

#define REG(a) "+x"(a)

/* The multiplier comes through volatile memory: the compiler cannot fold it. */
static volatile float one_half = 0.5f;
static volatile int two = 2;

#define KERNEL(name, target_name, T, zero, setup, f, sum)                                \
    __attribute__((target(target_name))) static double name(long n)                      \
    {                                                                                    \
        setup ACC(T, zero);                                                              \
        for (long i = 0; i < n; i++)                                                     \
            STEP(f);                                                                     \
        T s[12] = {a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, aa, ab};                      \
        double total = 0;                                                                \
        for (int i = 0; i < 12; i++)                                                     \
            total += sum(&s[i], sizeof s[i]);                                            \
        return total;                                                                    \
    }

static double sum_f32(const void *p, size_t bytes)
{
    double s = 0;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        float f;
        memcpy(&f, (const char *)p + i, 4);
        s += (double)f;
    }
    return s;
}

static double sum_i32(const void *p, size_t bytes)
{
    double s = 0;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        int v;
        memcpy(&v, (const char *)p + i, 4);
        s += v;
    }
    return s;
}

#define F512(a) _mm512_fmadd_ps(x, y, a)
KERNEL(fp32_avx512, "avx512f", __m512, _mm512_setzero_ps(),
       const __m512 x = _mm512_set1_ps(one_half);
       const __m512 y = x;, F512, sum_f32)
#define F256(a) _mm256_fmadd_ps(x, y, a)
KERNEL(fp32_avx2, "avx2,fma", __m256, _mm256_setzero_ps(),
       const __m256 x = _mm256_set1_ps(one_half);
       const __m256 y = x;, F256, sum_f32)
/* Half precision is stored, not computed: convert eight or sixteen, then FMA.
 * The barriers keep the compiler from hoisting what every step must do again. */
__attribute__((target("avx512f"))) static inline __m512 h512(__m512 a, __m512 y,
                                                             const uint16_t *h)
{
    __asm__ volatile("" : "+r"(h));
    return _mm512_fmadd_ps(
        _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)h)), y, a);
}
#define H512(a) h512(a, y, h)
KERNEL(fp16_avx512, "avx512f", __m512, _mm512_setzero_ps(),
       const __m512 y = _mm512_set1_ps(one_half);
       uint16_t h[16]; memset(h, 0x38, sizeof h);, H512, sum_f32)
__attribute__((target("avx2,fma,f16c"))) static inline __m256 h256(__m256 a, __m256 y,
                                                                   const uint16_t *h)
{
    __asm__ volatile("" : "+r"(h));
    return _mm256_fmadd_ps(
        _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)h)), y, a);
}
#define H256(a) h256(a, y, h)
KERNEL(fp16_f16c, "avx2,fma,f16c", __m256, _mm256_setzero_ps(),
       const __m256 y = _mm256_set1_ps(one_half);
       uint16_t h[8]; memset(h, 0x38, sizeof h);, H256, sum_f32)
#define B512(a) _mm512_dpbf16_ps(a, x, x)
KERNEL(bf16_avx512, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(),
       const __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(one_half),
                                              _mm512_set1_ps(one_half));
       , B512, sum_f32)
#define V512(a) _mm512_dpbusd_epi32(a, x, x)
KERNEL(int8_vnni512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(),
       const __m512i x = _mm512_set1_epi8((char)two);
       , V512, sum_i32)
/* what engines do without VNNI: 8-bit products to 16, pairs to 32, add */
__attribute__((target("avx2"))) static inline __m256i m256(__m256i a, __m256i x,
                                                           __m256i ones)
{
    __asm__ volatile("" : "+x"(x));
    return _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_maddubs_epi16(x, x), ones));
}
#define M256(a) m256(a, x, ones)
KERNEL(int8_avx2, "avx2", __m256i, _mm256_setzero_si256(),
       const __m256i x = _mm256_set1_epi8((char)two);
       const __m256i ones = _mm256_set1_epi16(1);, M256, sum_i32)

static int has_512(void)
{
    return __builtin_cpu_supports("avx512f");
}
static int has_bf16(void)
{
    return has_512() && __builtin_cpu_supports("avx512bf16");
}
static int has_vnni(void)
{
    return has_512() && __builtin_cpu_supports("avx512vnni");
}
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static const struct kernel kernels[] = {
    {"avx512", "fp32", has_512, fp32_avx512, 12 * 16 * 2, 64, 12 * 16 * 0.25},
    {"avx2", "fp32", has_avx2, fp32_avx2, 12 * 8 * 2, 64, 12 * 8 * 0.25},
    /* 0x3838 as fp16 is 0.52734375 */
    {"avx512", "fp16", has_512, fp16_avx512, 12 * 16 * 2, 64, 12 * 16 * 0.5 * 0.52734375},
    {"f16c", "fp16", has_avx2, fp16_f16c, 12 * 8 * 2, 64, 12 * 8 * 0.5 * 0.52734375},
    {"avx512", "bf16", has_bf16, bf16_avx512, 12 * 32 * 2, 128, 12 * 32 * 0.25},
    {"vnni512", "int8", has_vnni, int8_vnni512, 12 * 64 * 2, 256, 12 * 64 * 4},
    {"avx2", "int8", has_avx2, int8_avx2, 12 * 32 * 2, 256, 12 * 32 * 4},
};

#elif defined(__aarch64__)
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#define REG(a) "+w"(a)

static volatile float one_half = 0.5f;
static volatile int two = 2;

static double fp32_neon(long n)
{
    const float32x4_t x = vdupq_n_f32(one_half);
    ACC(float32x4_t, vdupq_n_f32(0));
#define FN(a)  vfmaq_f32(a, x, x)
    for (long i = 0; i < n; i++)
        STEP(FN);
    float32x4_t s = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + aa + ab;
    return (double)vaddvq_f32(s);
}

__attribute__((target("arch=armv8.2-a+fp16"))) static double fp16_neon(long n)
{
    const float16x8_t x = vdupq_n_f16((float16_t)one_half);
    ACC(float16x8_t, vdupq_n_f16(0));
#define HN(a)  vfmaq_f16(a, x, x)
    for (long i = 0; i < n; i++)
        STEP(HN);
    float16x8_t s = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + aa + ab;
    double total = 0;
    for (int i = 0; i < 8; i++)
        total += (double)s[i];
    return total;
}

__attribute__((target("arch=armv8.2-a+dotprod"))) static double int8_dot(long n)
{
    const int8x16_t x = vdupq_n_s8((int8_t)two);
    ACC(int32x4_t, vdupq_n_s32(0));
#define DN(a)  vdotq_s32(a, x, x)
    for (long i = 0; i < n; i++)
        STEP(DN);
    int32x4_t s = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + aa + ab;
    return (double)vaddvq_s32(s);
}

static int has_neon(void)
{
    return 1;
}
static int has_fp16(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDHP) != 0;
}
static int has_dot(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

static const struct kernel kernels[] = {
    {"neon", "fp32", has_neon, fp32_neon, 12 * 4 * 2, 32, 12 * 4 * 0.25},
    {"neon", "fp16", has_fp16, fp16_neon, 12 * 8 * 2, 64, 12 * 8 * 0.25},
    {"dotprod", "int8", has_dot, int8_dot, 12 * 16 * 2, 128, 12 * 16 * 4},
};

#else

#define REG(a) "+m"(a)

static volatile float one_half = 0.5f;

static double fp32_scalar(long n)
{
    const float x = one_half;
    ACC(float, 0);
#define SN(a)  (a + x * x)
    for (long i = 0; i < n; i++)
        STEP(SN);
    return (double)(a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + aa + ab);
}

static int has_any(void)
{
    return 1;
}

static const struct kernel kernels[] = {
    {"scalar", "fp32", has_any, fp32_scalar, 12 * 2, 64, 12 * 0.25},
};
#endif

enum { NKERNELS = sizeof kernels / sizeof *kernels, STEPS = 20000 };

static int fma_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    int usable[NKERNELS], n = 0;
    for (int k = 0; k < NKERNELS; k++)
        if (kernels[k].supported())
            usable[n++] = k;
    int threads = n ? mb_thread_count(e, i / n) : 0;
    if (!threads)
        return 0;
    const struct kernel *k = &kernels[usable[i % n]];
    c->par[0] = usable[i % n];
    c->threads = threads;
    c->dtype = k->dtype;
    c->impl = k->isa;
    snprintf(c->size, sizeof c->size, "chains=12");
    c->what = MB_FLOP_RATE;
    c->flop = k->flop * STEPS * threads;
    c->limit = k->limit * e->clock_hz * mb_busy_cores(e, threads);
    return 1;
}

static int fma_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    (void)e;
    const struct kernel *k = &kernels[c->par[0]];
    return mb_expect("sum after one step", k->body(1), k->want, k->want, 1e-6, err);
}

struct fma {
    const struct kernel *k;
    volatile double sink[256];
};

static void fma_part(int tid, int n, void *arg)
{
    (void)n;
    struct fma *f = arg;
    f->sink[tid % 256] = f->k->body(STEPS);
}

static double fma_run(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    (void)err;
    struct fma f = {.k = &kernels[c->par[0]]};
    return mb_timed(e, c->threads, fma_part, &f, reps);
}

const struct mb_item mb_item_fma = {.name = "fma",
                                    .summary = "multiply-add peak by number format",
                                    .quick = true,
                                    .make = fma_make,
                                    .check = fma_check,
                                    .run = fma_run};
