/* What microbench/cuda/ptx.h says in PTX, in C.  The tensor tile of mma.sync is
 * not emulated: its item needs the unit. */
#ifndef MB_PTX_H
#define MB_PTX_H

#include "emu.h"

static inline unsigned long long ptx_globaltimer()
{
    return (unsigned long long)clock64();
}
static inline void ptx_ex2(float &x)
{
    x = exp2f(x);
}
static inline void ptx_rsqrt(float &x)
{
    x = rsqrtf(x);
}

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
template <int KIND>
static void ptx_mma(uint32_t (&)[4], const uint32_t (&)[4], const uint32_t (&)[2])
{
}

#endif
