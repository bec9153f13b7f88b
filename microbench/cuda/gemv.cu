/* y[m,n] = x[m,k] · W[n,k]ᵀ for m of 1, 2 and 4 with a kernel of our own: one
 * warp a row of W, 16-byte loads, x in shared memory; weights of 16, 8 (int8
 * with a factor a row) and 4 bits (nibbles with a factor every 32).  It measures the
 * stream of weights from memory; with 4 bits on the fastest memories, unpacking. */
#include "gpu.h"

#include <math.h>

enum { W16, W8, W4, NW, WARPS = 8 };
static const char *const names[NW] = {"bf16", "w8a16", "w4a16"};

/* Eight consecutive weights of row r from element i, as floats. */
template <int W> struct loader;
template <> struct loader<W16> {
    static const int per = 8; /* weights of one 16-byte load */
    __device__ static void get(const void *w, const float *scale, size_t row, int i,
                               int k, float *out)
    {
        (void)scale;
        uint4 v = __ldcs((const uint4 *)((const __nv_bfloat16 *)w + row * k + i));
        const uint32_t u[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int j = 0; j < 4; j++) {
            out[2 * j] = __uint_as_float(u[j] << 16);
            out[2 * j + 1] = __uint_as_float(u[j] & 0xffff0000u);
        }
    }
};
template <> struct loader<W8> {
    static const int per = 16;
    __device__ static void get(const void *w, const float *scale, size_t row, int i,
                               int k, float *out)
    {
        uint4 v = __ldcs((const uint4 *)((const int8_t *)w + row * k + i));
        const uint32_t u[4] = {v.x, v.y, v.z, v.w};
        float s = scale[row];
#pragma unroll
        for (int j = 0; j < 16; j++)
            out[j] = s * (float)(int8_t)(u[j / 4] >> 8 * (j % 4));
    }
};
template <> struct loader<W4> {
    static const int per = 32;
    __device__ static void get(const void *w, const float *scale, size_t row, int i,
                               int k, float *out)
    {
        uint4 v = __ldcs((const uint4 *)((const uint8_t *)w + (row * k + i) / 2));
        const uint32_t u[4] = {v.x, v.y, v.z, v.w};
        float s = scale[(row * k + i) / 32];
#pragma unroll
        for (int j = 0; j < 32; j++)
            out[j] = s * (float)((int)(u[j / 8] >> 4 * (j % 8) & 15) - 8);
    }
};

/* Where element i of x lies in shared memory: a lane's `per` elements are followed
 * by 16 bytes, so that eight lanes' 16-byte loads fall into different banks. */
template <int PER> __host__ __device__ static constexpr int padded(int i)
{
    return PER == 8 ? i : i + i / PER * 8;
}

__device__ static float dot8(const float *v, const __nv_bfloat16 *x)
{
    uint4 x4 = *(const uint4 *)x;
    const uint32_t u[4] = {x4.x, x4.y, x4.z, x4.w};
    float sum = 0;
#pragma unroll
    for (int j = 0; j < 4; j++)
        sum += v[2 * j] * __uint_as_float(u[j] << 16) +
               v[2 * j + 1] * __uint_as_float(u[j] & 0xffff0000u);
    return sum;
}

template <int W, int M>
__global__ void __launch_bounds__(WARPS * 32)
    gemv(const void *w, const float *scale, const __nv_bfloat16 *x, __nv_bfloat16 *y,
         int n, int k)
{
    extern __shared__ __align__(16) __nv_bfloat16 xs[]; /* [M][padded(k)] */
    const int per = loader<W>::per, lane = threadIdx.x % 32, kp = padded<per>(k);
    for (int i = threadIdx.x; i < M * k; i += WARPS * 32)
        xs[i / k * kp + padded<per>(i % k)] = x[i];
    __syncthreads();
    for (int row = blockIdx.x * WARPS + threadIdx.x / 32; row < n;
         row += gridDim.x * WARPS) {
        float sum[M] = {};
#pragma unroll 2
        for (int i = lane * per; i < k; i += 32 * per) {
            float v[per];
            loader<W>::get(w, scale, (size_t)row, i, k, v);
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int j = 0; j < per; j += 8)
                    sum[m] += dot8(v + j, xs + m * kp + padded<per>(i) + j);
        }
#pragma unroll
        for (int m = 0; m < M; m++) {
            for (int d = 16; d; d /= 2)
                sum[m] += __shfl_xor_sync(~0u, sum[m], d);
            if (lane == 0)
                y[(size_t)m * n + row] = __float2bfloat16(sum[m]);
        }
    }
}

static const int shapes[][2] = {{2048, 2048}, {4096, 4096}, {28672, 4096}, {4096, 14336}};
static const int tokens[] = {1, 2, 4};

static int gemv_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / (3 * NW), kind = i / 3 % NW, m = tokens[i % 3];
    if (s >= 4)
        return 0;
    long n = shapes[s][0], k = shapes[s][1];
    /* the block's shared memory holds x and its padding: 48 KiB everywhere */
    if (m * k * (kind == W16 ? 2 : 3) > 48 * 1024)
        return -1;
    double w = (double)n * k * (kind == W16 ? 2 : kind == W8 ? 1 : 0.5);
    double factors = kind == W16 ? 0 : kind == W8 ? 4.0 * n : (double)n * k / 8;
    long copies = (long)ceil(4 * e->l2_bytes / w) + 1;
    if (w * copies + factors + 1e6 > (double)e->arena_bytes)
        return -1;
    *quick = m == 1 && s == 2;
    c->par[0] = kind, c->par[1] = m, c->par[2] = n, c->par[3] = k, c->par[4] = copies;
    c->dtype = names[kind];
    c->mode = "cold";
    c->op = "gemm";
    c->impl = "rooflint-gemv";
    c->runtime = "rooflint-bench";
    c->what = MB_BYTES_RATE;
    c->bytes = w + factors + 2.0 * m * (n + k);
    c->flop = 2.0 * m * n * k;
    c->limit = e->dram_peak;
    snprintf(c->size, sizeof c->size, "m=%d n=%ld k=%ld dtype=%s", m, n, k, names[kind]);
    return 1;
}

struct gemv_state {
    char *w;
    float *scale;
    __nv_bfloat16 *x, *y;
};

template <int W> static void go(struct mb_env *e, const struct mb_case *c, const char *w)
{
    struct gemv_state *g = (struct gemv_state *)c->state;
    int m = (int)c->par[1], n = (int)c->par[2], k = (int)c->par[3];
    size_t smem = (size_t)m * padded<loader<W>::per>(k) * 2;
    int rows = (n + WARPS - 1) / WARPS, most = 8 * e->sms,
        grid = rows < most ? rows : most;
    if (m == 1)
        gemv<W, 1><<<grid, WARPS * 32, smem, e->stream>>>(w, g->scale, g->x, g->y, n, k);
    else if (m == 2)
        gemv<W, 2><<<grid, WARPS * 32, smem, e->stream>>>(w, g->scale, g->x, g->y, n, k);
    else
        gemv<W, 4><<<grid, WARPS * 32, smem, e->stream>>>(w, g->scale, g->x, g->y, n, k);
}

static void gemv_launch(struct mb_env *e, const struct mb_case *c)
{
    struct gemv_state *g = (struct gemv_state *)c->state;
    size_t bytes = (size_t)c->par[2] * c->par[3] * 2 >> c->par[0];
    const char *w = g->w + e->turn++ % (size_t)c->par[4] * bytes;
    if (c->par[0] == W16)
        go<W16>(e, c, w);
    else if (c->par[0] == W8)
        go<W8>(e, c, w);
    else
        go<W4>(e, c, w);
}

static int gemv_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemv_state *g = (struct gemv_state *)calloc(1, sizeof *g);
    if (!g)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = g;
    double m = (double)c->par[1], n = (double)c->par[2], k = (double)c->par[3];
    double bytes = n * k * 2 / (1 << c->par[0]) * (double)c->par[4];
    struct gpu_cut cut = gpu_cut_all(e);
    g->x = gpu_take<__nv_bfloat16>(&cut, m * k);
    g->y = gpu_take<__nv_bfloat16>(&cut, m * n);
    g->scale = gpu_take<float>(&cut, fmax(n, n * k / 32));
    g->w = gpu_take<char>(&cut, bytes);
    if (!g->x || !g->y || !g->scale || !g->w)
        return gpu_no_room(err);
    int fmt = c->par[0] == W16 ? GPU_BF16 : GPU_INT8;
    if (gpu_fill(e, g->x, m * k, GPU_BF16, 1, err) ||
        gpu_fill(e, g->scale, fmax(n, n * k / 32), GPU_FP32, 0.01f, err) ||
        gpu_fill(e, g->w, fmt == GPU_BF16 ? bytes / 2 : bytes, fmt, 0.05f, err))
        return -1;
    gemv_launch(e, c);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("gemv", err);
}

/* weight i of a row, from the raw bytes of that row */
static double weight(int kind, const unsigned char *raw, const float *scale, long row,
                     long i, long k)
{
    if (kind == W16) {
        uint32_t u = (uint32_t)(raw[2 * i] | raw[2 * i + 1] << 8) << 16;
        float f;
        memcpy(&f, &u, 4);
        return (double)f;
    }
    if (kind == W8)
        return (double)scale[row] * (int8_t)raw[i];
    int q = raw[i / 2] >> 4 * (i % 2) & 15;
    return (double)scale[(row * k + i) / 32] * (q - 8);
}

static int check_row(struct mb_env *e, struct mb_case *c, long row, float *x,
                     float *scale, unsigned char *raw, struct rl_error *err)
{
    struct gemv_state *g = (struct gemv_state *)c->state;
    int kind = (int)c->par[0];
    long m = c->par[1], n = c->par[2], k = c->par[3];
    size_t bytes = (size_t)k * 2 >> kind;
    double want = 0, sum = 0;
    float got;
    GPU_TRY(cudaMemcpy(raw, g->w + (size_t)row * bytes, bytes, cudaMemcpyDeviceToHost));
    for (long i = 0; i < k; i++) {
        double p = weight(kind, raw, scale, row, i, k) * (double)x[(m - 1) * k + i];
        want += p;
        sum += fabs(p);
    }
    if (gpu_fetch(e, g->y + (m - 1) * n + row, 1, GPU_BF16, &got, err))
        return -1;
    return gpu_expect("row", (double)got, want, fabs(want) + 0.01 * sum, 0.01, err);
}

static int gemv_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemv_state *g = (struct gemv_state *)c->state;
    size_t m = (size_t)c->par[1], n = (size_t)c->par[2], k = (size_t)c->par[3];
    size_t factors = n > n * k / 32 ? n : n * k / 32;
    e->turn = 0;
    gemv_launch(e, c);
    float *x = (float *)malloc(m * k * sizeof *x);
    float *scale = (float *)malloc(factors * sizeof *scale);
    unsigned char *raw = (unsigned char *)malloc(2 * k);
    int rc = !x || !scale || !raw ? rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory") : 0;
    rc = rc || gpu_fetch(e, g->x, m * k, GPU_BF16, x, err) ||
         gpu_fetch(e, g->scale, factors, GPU_FP32, scale, err) ||
         check_row(e, c, 0, x, scale, raw, err) ||
         check_row(e, c, (long)n - 1, x, scale, raw, err) ||
         check_row(e, c, (long)n / 3, x, scale, raw, err);
    free(x);
    free(scale);
    free(raw);
    return rc ? -1 : 0;
}

static double gemv_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { gemv_launch(e, c); });
}

static void gemv_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    free(c->state);
}

GPU_ITEM(gemv, "own matrix times vector, 16-, 8- and 4-bit weights", true, gemv_make,
         gemv_setup, gemv_check, gemv_run, gemv_teardown)
