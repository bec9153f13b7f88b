/* Arithmetic in registers: multiply-add of the vector units, special functions,
 * and the tensor cores by mma.sync for every dtype and accumulator.
 *
 * On Hopper and later the full tensor rate needs wgmma or tcgen05, which the
 * gemm item reaches through cuBLASLt; mma.sync shows what older-style kernels
 * get, and by its accumulator rows whether a part runs at half rate. */
#include "gpu.h"
#include "ptx.h"

#include <math.h>
#include <mma.h>

enum { ITERS = 2048, BLOCK = 256 };

/* vector units */

template <class T> __device__ static T fma_of(T a, T b, T c);
template <> __device__ float fma_of(float a, float b, float c)
{
    return fmaf(a, b, c);
}
template <> __device__ __half2 fma_of(__half2 a, __half2 b, __half2 c)
{
    return __hfma2(a, b, c);
}
template <>
__device__ __nv_bfloat162 fma_of(__nv_bfloat162 a, __nv_bfloat162 b, __nv_bfloat162 c)
{
#if __CUDA_ARCH__ >= 800
    return __hfma2(a, b, c);
#else
    return c; /* no such unit: the case is not offered */
#endif
}
template <> __device__ int fma_of(int a, int b, int c)
{
    return a * b + c;
}
struct bytes4 { /* dp4a: four int8 products added to an int32 */
    int v;
};
template <> __device__ bytes4 fma_of(bytes4 a, bytes4 b, bytes4 c)
{
    bytes4 r = {__dp4a(a.v, b.v, c.v)};
    return r;
}

/* eight chains a thread; start values from memory, so nothing folds */
template <class T>
__global__ void __launch_bounds__(BLOCK) chains(const T *in, T *out, int n)
{
    T x = in[0], acc[8];
#pragma unroll
    for (int k = 0; k < 8; k++)
        acc[k] = in[1 + k];
    for (int i = 0; i < n; i++)
#pragma unroll
        for (int k = 0; k < 8; k++)
            acc[k] = fma_of(acc[k], x, acc[k]);
#pragma unroll
    for (int k = 0; k < 8; k++)
        out[(blockIdx.x * BLOCK + threadIdx.x) * 8 + k] = acc[k];
}

/* acc ← acc · x + acc: with x = 0 and acc = 1 all chains stay 1; dp4a chains
 * multiply bytes and are checked with zeros. */
static const struct {
    const char *dtype;
    double flop, limit; /* of one instruction of a lane; FLOP/clk/SM at most */
    int min_cc;
    uint32_t zero, one;
} vectors[] = {{"fp32", 2, 256, 70, 0, 0x3f800000u},
               {"fp16", 4, 512, 70, 0, 0x3c003c00u},
               {"bf16", 4, 512, 80, 0, 0x3f803f80u},
               {"int32", 2, 256, 70, 0, 1},
               {"int8_dp4a", 8, 1024, 70, 0, 1}};

static int fma_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    if (i >= (int)(sizeof vectors / sizeof *vectors))
        return 0;
    if (e->cc < vectors[i].min_cc)
        return -1;
    c->par[0] = i;
    c->dtype = vectors[i].dtype;
    c->what = MB_FLOP_RATE;
    c->flop = vectors[i].flop * 8 * ITERS * BLOCK * 8.0 * e->sms;
    c->limit = vectors[i].limit * e->sms * e->hz;
    snprintf(c->size, sizeof c->size, "chains=8 threads_per_sm=2048");
    return 1;
}

static void fma_launch(struct mb_env *e, int kind, int n)
{
    int grid = 8 * e->sms;
    char *out = e->arena + 4096;
    switch (kind) {
    case 0:
        chains<float><<<grid, BLOCK, 0, e->stream>>>((float *)e->arena, (float *)out, n);
        break;
    case 1:
        chains<__half2>
            <<<grid, BLOCK, 0, e->stream>>>((__half2 *)e->arena, (__half2 *)out, n);
        break;
    case 2:
        chains<__nv_bfloat162><<<grid, BLOCK, 0, e->stream>>>((__nv_bfloat162 *)e->arena,
                                                              (__nv_bfloat162 *)out, n);
        break;
    case 3:
        chains<int><<<grid, BLOCK, 0, e->stream>>>((int *)e->arena, (int *)out, n);
        break;
    default:
        chains<bytes4>
            <<<grid, BLOCK, 0, e->stream>>>((bytes4 *)e->arena, (bytes4 *)out, n);
    }
}

static int put(struct mb_env *e, uint32_t first, uint32_t rest, struct rl_error *err)
{
    uint32_t in[9];
    for (int k = 0; k < 9; k++)
        in[k] = k ? rest : first;
    GPU_TRY(cudaMemcpy(e->arena, in, sizeof in, cudaMemcpyHostToDevice));
    return 0;
}

static int fma_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    if (put(e, vectors[c->par[0]].zero, vectors[c->par[0]].one, err))
        return -1;
    fma_launch(e, (int)c->par[0], 1);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("fma", err);
}

static int fma_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    uint32_t got, one = vectors[c->par[0]].one,
                  two[] = {0x40000000u, 0x40004000u, 0x40004000u, 2, 2};
    /* x = 1: every step doubles; one step takes 1 to 2 */
    if (put(e, one, one, err))
        return -1;
    fma_launch(e, (int)c->par[0], 1);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    GPU_TRY(cudaMemcpy(&got, e->arena + 4096 + 4 * 12345, 4, cudaMemcpyDeviceToHost));
    if (gpu_expect("bits of 1 * 1 + 1", got, two[c->par[0]], 1, 0, err))
        return -1;
    return put(e, vectors[c->par[0]].zero, one, err);
}

static double fma_run(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { fma_launch(e, (int)c->par[0], ITERS); });
}

GPU_ITEM(fma, "vector multiply-add by number format", true, fma_make, fma_setup,
         fma_check, fma_run, NULL)

/* special functions */

__global__ void __launch_bounds__(BLOCK)
    specials(const float *in, float *out, int n, int kind)
{
    float acc[8];
#pragma unroll
    for (int k = 0; k < 8; k++)
        acc[k] = in[k];
    if (kind == 0)
        for (int i = 0; i < n; i++)
#pragma unroll
            for (int k = 0; k < 8; k++)
                ptx_ex2(acc[k]);
    else
        for (int i = 0; i < n; i++)
#pragma unroll
            for (int k = 0; k < 8; k++)
                ptx_rsqrt(acc[k]);
#pragma unroll
    for (int k = 0; k < 8; k++)
        out[(blockIdx.x * BLOCK + threadIdx.x) * 8 + k] = acc[k];
}

static int sfu_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    if (i > 1)
        return 0;
    c->par[0] = i;
    c->dtype = "fp32";
    c->impl = i ? "rsqrt" : "ex2";
    c->what = MB_EVENT_RATE;
    c->events = 8.0 * ITERS * BLOCK * 8.0 * e->sms;
    /* four units of four lanes an SM; Blackwell Ultra has twice that for ex2 (CUDA
     * C++ Programming Guide, arithmetic throughput) */
    c->limit = (e->cc == 103 && !i ? 32.0 : 16.0) * e->sms * e->hz;
    snprintf(c->size, sizeof c->size, "chains=8");
    return 1;
}

static void sfu_launch(struct mb_env *e, struct mb_case *c, int n)
{
    specials<<<8 * e->sms, BLOCK, 0, e->stream>>>(
        (float *)e->arena, (float *)(e->arena + 4096), n, (int)c->par[0]);
}

static int sfu_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    float in[8] = {0.5f, 0.25f, 0.75f, 1, 1.5f, 2, 0.1f, 0.9f};
    GPU_TRY(cudaMemcpy(e->arena, in, sizeof in, cudaMemcpyHostToDevice));
    sfu_launch(e, c, 1);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("sfu", err);
}

static int sfu_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    float got;
    sfu_launch(e, c, 1);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    GPU_TRY(cudaMemcpy(&got, e->arena + 4096 + 8, 4, cudaMemcpyDeviceToHost));
    double want = c->par[0] ? 1 / sqrt(0.75) : exp2(0.75);
    return gpu_expect("of 0.75", got, want, want, 1e-5, err);
}

static double sfu_run(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { sfu_launch(e, c, ITERS); });
}

GPU_ITEM(sfu, "special functions: ex2, rsqrt", true, sfu_make, sfu_setup, sfu_check,
         sfu_run, NULL)

/* tensor cores */

/* mask and bits that make random words finite numbers of about 1/8 to 1/4 */
static const struct mma_kind {
    const char *name, *dtype;
    int accumulate, min_cc, max_cc;
    double flop; /* of one instruction of a warp, sm_80 and later shapes */
    uint32_t mask, bits, one, acc_of_k; /* operand 1; accumulator after one step */
} kinds[NMMA] = {
    {"fp16", "fp16", 32, 70, 999, 2 * 16 * 8 * 16, 0x83ff83ffu, 0x30003000u, 0x3c003c00u,
     0x41800000u},
    {"fp16_acc16", "fp16", 16, 80, 999, 2 * 16 * 8 * 16, 0x83ff83ffu, 0x30003000u,
     0x3c003c00u, 0x4c004c00u},
    {"bf16", "bf16", 32, 80, 999, 2 * 16 * 8 * 16, 0x807f807fu, 0x3e003e00u, 0x3f803f80u,
     0x41800000u},
    {"tf32", "tf32", 32, 80, 999, 2 * 16 * 8 * 8, 0x807fe000u, 0x3e000000u, 0x3f800000u,
     0x41000000u},
    {"int8", "int8", 32, 80, 999, 2 * 16 * 8 * 32, 0xffffffffu, 0, 0x01010101u, 32},
    {"int4", "int4", 32, 80, 89, 2 * 16 * 8 * 64, 0xffffffffu, 0, 0x11111111u, 64},
    {"fp8", "fp8", 32, 89, 999, 2 * 16 * 8 * 32, 0x87878787u, 0x28282828u, 0x38383838u,
     0x42000000u},
    {"fp8_acc16", "fp8", 16, 120, 999, 2 * 16 * 8 * 32, 0x87878787u, 0x28282828u,
     0x38383838u, 0x50005000u},
};

__device__ static uint32_t scramble(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* four chains of tiles a warp; start != 0 makes operands that value */
template <int KIND>
__global__ void __launch_bounds__(BLOCK)
    tiles(uint32_t *out, int n, uint32_t mask, uint32_t bits, uint32_t start)
{
    uint32_t a[4], b[2], d[4][4], id = blockIdx.x * BLOCK + threadIdx.x;
    for (int k = 0; k < 4; k++)
        a[k] = start ? start : (scramble(id * 8 + k) & mask) | bits;
    for (int k = 0; k < 2; k++)
        b[k] = start ? start : (scramble(id * 8 + 4 + k) & mask) | bits;
    for (int c = 0; c < 4; c++)
        for (int k = 0; k < 4; k++)
            d[c][k] = 0;
    for (int i = 0; i < n; i++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            ptx_mma<KIND>(d[c], a, b);
    uint32_t sum = 0;
    for (int c = 1; c < 4; c++)
        for (int k = 0; k < 4; k++)
            sum ^= d[c][k];
    out[2 * id] = d[0][0];
    out[2 * id + 1] = sum;
}

/* Volta and Turing: fp16 by the wmma interface (16 × 16 × 16) */
__global__ void __launch_bounds__(BLOCK)
    tiles_wmma(uint32_t *out, int n, uint32_t mask, uint32_t bits, uint32_t start)
{
    using namespace nvcuda::wmma;
    fragment<matrix_a, 16, 16, 16, __half, row_major> a;
    fragment<matrix_b, 16, 16, 16, __half, col_major> b;
    fragment<accumulator, 16, 16, 16, float> d[4];
    uint32_t id = blockIdx.x * BLOCK + threadIdx.x;
    for (int k = 0; k < a.num_elements; k++) {
        unsigned short h =
            (unsigned short)(start ? start : (scramble(id * 64 + k) & mask) | bits);
        a.x[k] = __ushort_as_half(h);
    }
    for (int k = 0; k < b.num_elements; k++) {
        unsigned short h =
            (unsigned short)(start ? start : (scramble(id * 64 + 32 + k) & mask) | bits);
        b.x[k] = __ushort_as_half(h);
    }
    for (int c = 0; c < 4; c++) /* unequal: equal chains may be merged */
        fill_fragment(d[c], (float)c);
    for (int i = 0; i < n; i++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            mma_sync(d[c], a, b, d[c]);
    out[2 * id] = __float_as_uint(d[0].x[0]);
    out[2 * id + 1] = __float_as_uint(d[1].x[0] + d[2].x[0] + d[3].x[0]);
}

enum { MMA_ITERS = 4096, MMA_BLOCKS = 2 };

static int mma_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    if (i >= NMMA)
        return 0;
    const struct mma_kind *k = &kinds[i];
    if (e->cc < k->min_cc || e->cc > k->max_cc)
        return -1;
    bool wmma = e->cc < 80;
    c->par[0] = i;
    c->dtype = k->name;
    c->impl = wmma ? "wmma" : k->accumulate == 16 ? "mma.sync-acc16" : "mma.sync-acc32";
    c->what = MB_FLOP_RATE;
    c->flop = (wmma ? 2 * 4096 : k->flop) * 4 * MMA_ITERS * (BLOCK / 32) * MMA_BLOCKS *
              (double)e->sms;
    c->limit = gpu_flop_per_clk(e->cc, k->dtype, k->accumulate) * e->sms * e->hz;
    snprintf(c->size, sizeof c->size, "acc=%d chains=4 warps_per_sm=16", k->accumulate);
    return 1;
}

static void mma_launch(struct mb_env *e, int kind, int n, uint32_t start)
{
    const struct mma_kind *k = &kinds[kind];
    uint32_t *out = (uint32_t *)e->arena;
    int grid = MMA_BLOCKS * e->sms;
#define GO(K)                                                                            \
    case K:                                                                              \
        tiles<K><<<grid, BLOCK, 0, e->stream>>>(out, n, k->mask, k->bits, start);        \
        break
    if (e->cc < 80) {
        tiles_wmma<<<grid, BLOCK, 0, e->stream>>>(out, n, k->mask, k->bits, start);
        return;
    }
    switch (kind) {
        GO(MMA_FP16_32);
        GO(MMA_FP16_16);
        GO(MMA_BF16);
        GO(MMA_TF32);
        GO(MMA_INT8);
        GO(MMA_INT4);
        GO(MMA_FP8_32);
        GO(MMA_FP8_16);
    }
#undef GO
}

static int mma_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    const struct mma_kind *k = &kinds[c->par[0]];
    uint32_t got;
    mma_launch(e, (int)c->par[0], 1, k->one);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    GPU_TRY(cudaMemcpy(&got, e->arena, 4, cudaMemcpyDeviceToHost));
    return gpu_expect("bits of the sum of ones", got, k->acc_of_k, 1, 0, err);
}

static double mma_run(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { mma_launch(e, (int)c->par[0], MMA_ITERS, 0); });
}

static int mma_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    mma_launch(e, (int)c->par[0], 1, 0);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("mma", err);
}

GPU_ITEM(mma, "tensor cores by mma.sync, dtype and accumulator", true, mma_make,
         mma_setup, mma_check, mma_run, NULL)
