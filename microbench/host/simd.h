/* One body, compiled for AVX-512, AVX2 and the base instruction set, chosen
 * when it runs.  Bodies use vector types of 64 bytes, which the compiler cuts
 * to what the target has (NEON: four of 16). */
#ifndef MB_SIMD_H
#define MB_SIMD_H

#define MB_INLINE static inline __attribute__((always_inline))

typedef float mb_v16f __attribute__((vector_size(64), aligned(4), may_alias));
typedef int mb_v16i __attribute__((vector_size(64), aligned(4), may_alias));

#if defined(__x86_64__)
#define MB_T512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c")))
#define MB_T256 __attribute__((target("avx2,fma,f16c")))
MB_INLINE int mb_has_512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("fma");
}
MB_INLINE int mb_has_256(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#define MB_CLONES(name, params, args)                                                    \
    MB_T512 static void name##_512 params                                                \
    {                                                                                    \
        name##_body args;                                                                \
    }                                                                                    \
    MB_T256 static void name##_256 params                                                \
    {                                                                                    \
        name##_body args;                                                                \
    }                                                                                    \
    static void name##_any params                                                        \
    {                                                                                    \
        name##_body args;                                                                \
    }                                                                                    \
    static void name params                                                              \
    {                                                                                    \
        if (mb_has_512())                                                                \
            name##_512 args;                                                             \
        else if (mb_has_256())                                                           \
            name##_256 args;                                                             \
        else                                                                             \
            name##_any args;                                                             \
    }
#else
#define MB_CLONES(name, params, args)                                                    \
    static void name params                                                              \
    {                                                                                    \
        name##_body args;                                                                \
    }
#endif

/* exp of sixteen floats: 2^n times a polynomial of the rest, the coefficients
 * being 1/k! up to 7 (relative error below 1e-6 on |r| ≤ ln 2 / 2). */
MB_INLINE void mb_exp16(const mb_v16f *in, mb_v16f *out)
{
    mb_v16f x = *in, limit = {0};
    x = (mb_v16f)(((mb_v16i)x & (x > limit - 87.0f)) |
                  ((mb_v16i)(limit - 87.0f) & (x <= limit - 87.0f)));
    x = (mb_v16f)(((mb_v16i)x & (x < limit + 88.0f)) |
                  ((mb_v16i)(limit + 88.0f) & (x >= limit + 88.0f)));
    /* adding 1.5 * 2^23 rounds to an integer */
    mb_v16f t = x * 1.44269504f + 12582912.0f;
    mb_v16i n = (mb_v16i)t << 23;
    t -= 12582912.0f;
    mb_v16f r = x - t * 0.693145752f - t * 1.42860677e-6f;
    mb_v16f p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    *out = (mb_v16f)((mb_v16i)p + n);
}

MB_INLINE float mb_sum16(const mb_v16f *v)
{
    float s = 0;
    for (int i = 0; i < 16; i++)
        s += (*v)[i];
    return s;
}

#endif
