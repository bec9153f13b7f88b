/* What the recurrences and the convolution share: state of a case, contents in
 * the range of trained models, states rotated over more than the L2, and rows of
 * four states a lane. */
#ifndef MB_SCAN_H
#define MB_SCAN_H

#include "gpu.h"

typedef __nv_bfloat16 bf16;

/* Four neighbouring states of one lane. */
__device__ static inline void load4(const float *p, float *v)
{
    float4 f = *(const float4 *)p;
    v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
}
__device__ static inline void load4(const bf16 *p, float *v)
{
    uint2 u = *(const uint2 *)p;
    v[0] = __uint_as_float(u.x << 16), v[1] = __uint_as_float(u.x & 0xffff0000u);
    v[2] = __uint_as_float(u.y << 16), v[3] = __uint_as_float(u.y & 0xffff0000u);
}
__device__ static inline void store4(float *p, const float *v)
{
    *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
}
__device__ static inline void store4(bf16 *p, const float *v)
{
    __nv_bfloat162 a = __floats2bfloat162_rn(v[0], v[1]),
                   b = __floats2bfloat162_rn(v[2], v[3]);
    uint2 u;
    memcpy(&u.x, &a, 4);
    memcpy(&u.y, &b, 4);
    *(uint2 *)p = u;
}

__device__ static inline float warp_sum(float x)
{
#pragma unroll
    for (int d = 16; d; d /= 2)
        x += __shfl_xor_sync(~0u, x, d);
    return x;
}

/* cases. par: 0 batch, 1 L, 2 …: the item's shape, 9 copies of the state, 10
 * state of bf16 */

struct scan_state {
    bf16 *x, *dt, *B, *C, *y, *q, *k;
    float *A, *f, *f2, *last;
    char *h;
    size_t h_bytes, copies;
};

int scan_take(struct mb_env *e, struct mb_case *c, struct scan_state **out,
              struct rl_error *err);
void scan_teardown(struct mb_env *e, struct mb_case *c);

/* p ← sign · z² + offset, z about normal with deviation dev */
int scan_fill_squared(struct mb_env *e, float *p, double n, float dev, float sign,
                      float offset, struct rl_error *err);
void scan_square(struct mb_env *e, bf16 *p, double n); /* p ← p² */

void scan_common(struct mb_case *c, const char *op, double bytes, double flop,
                 double limit);

/* Updates read and write the state once; copies of it rotate. */
static const long scan_batches[] = {1, 4, 16, 64, 256};
int scan_update_case(struct mb_env *e, struct mb_case *c, const char *op, double elems,
                     double small, int flop, int half);
int scan_fill_state(struct mb_env *e, struct scan_state *s, const struct mb_case *c,
                    double elems, struct gpu_cut *cut, struct rl_error *err);
void *scan_state_copy(struct mb_env *e, struct scan_state *s);

#endif
