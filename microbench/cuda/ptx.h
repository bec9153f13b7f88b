/* Instructions that CUDA C++ has no word for, as inline PTX. */
#ifndef MB_PTX_H
#define MB_PTX_H

#include <stdint.h>

__device__ static inline unsigned long long ptx_globaltimer() /* ns */
{
    unsigned long long t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    return t;
}
__device__ static inline void ptx_ex2(float &x)
{
    asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(x));
}
__device__ static inline void ptx_rsqrt(float &x)
{
    asm volatile("rsqrt.approx.ftz.f32 %0, %0;" : "+f"(x));
}

/* mma.sync: one tile of a warp, d += a b; the number says the accumulator's bits */

enum {
    MMA_FP16_32,
    MMA_FP16_16,
    MMA_BF16,
    MMA_TF32,
    MMA_INT8,
    MMA_INT4,
    MMA_FP8_32,
    MMA_FP8_16,
    NMMA
};

#define MMA4(shape, types)                                                               \
    asm volatile("mma.sync.aligned." shape ".row.col." types                             \
                 " {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"                   \
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                        \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#define MMA4F(shape, types)                                                              \
    asm volatile("mma.sync.aligned." shape ".row.col." types                             \
                 " {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"                   \
                 : "+f"(f[0]), "+f"(f[1]), "+f"(f[2]), "+f"(f[3])                        \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#define MMA2(shape, types)                                                               \
    asm volatile("mma.sync.aligned." shape ".row.col." types                             \
                 " {%0,%1},{%2,%3,%4,%5},{%6,%7},{%0,%1};"                               \
                 : "+r"(d[0]), "+r"(d[1])                                                \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))

template <int KIND>
__device__ static void ptx_mma(uint32_t (&d)[4], const uint32_t (&a)[4],
                               const uint32_t (&b)[2])
{
#if __CUDA_ARCH__ >= 800
    float f[4];
    if (KIND == MMA_FP16_32 || KIND == MMA_BF16 || KIND == MMA_TF32 || KIND == MMA_FP8_32)
        for (int k = 0; k < 4; k++)
            f[k] = __uint_as_float(d[k]);
    if (KIND == MMA_FP16_32)
        MMA4F("m16n8k16", "f32.f16.f16.f32");
    if (KIND == MMA_FP16_16)
        MMA2("m16n8k16", "f16.f16.f16.f16");
    if (KIND == MMA_BF16)
        MMA4F("m16n8k16", "f32.bf16.bf16.f32");
    if (KIND == MMA_TF32)
        MMA4F("m16n8k8", "f32.tf32.tf32.f32");
    if (KIND == MMA_INT8)
        MMA4("m16n8k32", "s32.s8.s8.s32");
#if __CUDA_ARCH__ < 900
    if (KIND == MMA_INT4)
        MMA4("m16n8k64", "s32.s4.s4.s32");
#endif
#if __CUDA_ARCH__ >= 890
    if (KIND == MMA_FP8_32)
        MMA4F("m16n8k32", "f32.e4m3.e4m3.f32");
#endif
#if __CUDA_ARCH__ >= 1200
    if (KIND == MMA_FP8_16)
        MMA2("m16n8k32", "f16.e4m3.e4m3.f16");
#endif
    if (KIND == MMA_FP16_32 || KIND == MMA_BF16 || KIND == MMA_TF32 || KIND == MMA_FP8_32)
        for (int k = 0; k < 4; k++)
            d[k] = __float_as_uint(f[k]);
#else
    (void)d, (void)a, (void)b;
#endif
}

#endif
