/* DRAM and L2: read, write, copy and triad by size, L2 plateau, latency.
 *
 * A persistent grid with 16-byte accesses, eight in flight per thread: 256 KiB
 * per SM at full occupancy, above the 64 KiB that the fastest memories need.
 * Cold sizes below four times the L2 rotate over buffers that together exceed
 * it.  A sum is kept live by a comparison that never holds. */
#include "gpu.h"

#include <math.h>

enum { U = 8, THREADS = 512 };

/* Accumulators start with four words whose xor an even number of threads cancels. */
template <bool SUM> __device__ static void finish(uint4 acc, unsigned *sink)
{
    if (SUM)
        atomicXor(sink, acc.x ^ acc.y ^ acc.z ^ acc.w);
    /* written by one thread that may exist: the loads cannot be dropped */
    else if (acc.x == 0x12345678u && acc.y == 0x9abcdef0u)
        *sink = acc.z;
}

__device__ static uint4 mix(uint4 a, uint4 b)
{
    return make_uint4(a.x ^ b.x, a.y ^ b.y, a.z ^ b.z, a.w ^ b.w);
}

/* SUM: the kernel of the check, the same loads; *sink gets the xor of all words */
template <bool SUM>
__global__ void __launch_bounds__(THREADS)
    read_all(const uint4 *p, size_t n, unsigned *sink)
{
    size_t step = (size_t)gridDim.x * THREADS,
           i = blockIdx.x * (size_t)THREADS + threadIdx.x;
    uint4 acc = make_uint4(1, 2, 3, 4);
    for (; i + (U - 1) * step < n; i += U * step) {
        uint4 v[U];
#pragma unroll
        for (int k = 0; k < U; k++)
            v[k] = __ldcs(p + i + k * step);
#pragma unroll
        for (int k = 0; k < U; k++)
            acc = mix(acc, v[k]);
    }
    for (; i < n; i += step)
        acc = mix(acc, __ldcs(p + i));
    finish<SUM>(acc, sink);
}

__global__ void __launch_bounds__(THREADS) write_all(uint4 *p, size_t n, unsigned x)
{
    size_t step = (size_t)gridDim.x * THREADS,
           i = blockIdx.x * (size_t)THREADS + threadIdx.x;
    uint4 v = make_uint4(x, x + 1, x + 2, x + 3);
    for (; i + (U - 1) * step < n; i += U * step)
#pragma unroll
        for (int k = 0; k < U; k++)
            __stcs(p + i + k * step, v);
    for (; i < n; i += step)
        __stcs(p + i, v);
}

__global__ void __launch_bounds__(THREADS)
    copy_all(uint4 *to, const uint4 *from, size_t n)
{
    size_t step = (size_t)gridDim.x * THREADS,
           i = blockIdx.x * (size_t)THREADS + threadIdx.x;
    for (; i + (U - 1) * step < n; i += U * step) {
        uint4 v[U];
#pragma unroll
        for (int k = 0; k < U; k++)
            v[k] = __ldcs(from + i + k * step);
#pragma unroll
        for (int k = 0; k < U; k++)
            __stcs(to + i + k * step, v[k]);
    }
    for (; i < n; i += step)
        __stcs(to + i, __ldcs(from + i));
}

__global__ void __launch_bounds__(THREADS)
    triad_all(float4 *to, const float4 *x, const float4 *y, size_t n, float s)
{
    size_t step = (size_t)gridDim.x * THREADS,
           i = blockIdx.x * (size_t)THREADS + threadIdx.x;
    for (; i + 3 * step < n; i += 4 * step) {
        float4 a[4], b[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            a[k] = __ldcs(x + i + k * step);
            b[k] = __ldcs(y + i + k * step);
        }
#pragma unroll
        for (int k = 0; k < 4; k++)
            __stcs(to + i + k * step,
                   make_float4(a[k].x + s * b[k].x, a[k].y + s * b[k].y,
                               a[k].z + s * b[k].z, a[k].w + s * b[k].w));
    }
    for (; i < n; i += step) {
        float4 a = x[i], b = y[i];
        to[i] = make_float4(a.x + s * b.x, a.y + s * b.y, a.z + s * b.z, a.w + s * b.w);
    }
}

/* the four items */

enum { READ, WRITE, COPY, TRIAD };

static int arrays(int kind)
{
    return kind == TRIAD ? 3 : kind == COPY ? 2 : 1;
}

/* par: 0 kind, 1 bytes of one array, 2 copies rotated over */
static int bw_case(struct mb_env *e, int kind, int i, struct mb_case *c, bool *quick)
{
    double bytes = 65536.0 * (1 << (i / 2)) * (i & 1 ? 1.5 : 1);
    double most = fmin(4.0 * 1024 * 1048576, (double)e->arena_bytes / 2);
    if (i > 34 || bytes > most)
        return 0;
    bool largest = bytes * (i & 1 ? 4.0 / 3 : 1.5) > most;
    *quick = i % 4 == 0 || bytes >= 1e9 || largest;
    if (kind != READ)
        *quick = bytes >= 5e8;
    size_t each = (size_t)(bytes / arrays(kind)) / 4096 * 4096;
    if (each < 4096)
        return -1;
    double whole = (double)each * arrays(kind);
    long copies = (long)ceil(4 * e->l2_bytes / whole) + 1;
    if (whole * (double)copies > (double)e->arena_bytes)
        return -1;
    c->par[0] = kind;
    c->par[1] = (long)each;
    c->par[2] = copies;
    c->dtype = kind == TRIAD ? "fp32" : "b128";
    c->mode = "cold";
    c->what = MB_BYTES_RATE;
    c->bytes = whole;
    c->flop = kind == TRIAD ? 2.0 * (double)each / 4 : 0;
    c->limit = e->dram_peak;
    snprintf(c->size, sizeof c->size, "bytes=%.0f", whole);
    return 1;
}

static int grid_of(const struct mb_env *e, int kind, size_t n)
{
    const void *kernel = kind == READ    ? (const void *)read_all<false>
                         : kind == WRITE ? (const void *)write_all
                         : kind == COPY  ? (const void *)copy_all
                                         : (const void *)triad_all;
    size_t want = (n + THREADS - 1) / THREADS,
           most = (size_t)gpu_resident(e, kernel, THREADS);
    return (int)(want < most ? want : most);
}

static void bw_launch(struct mb_env *e, const struct mb_case *c)
{
    size_t each = (size_t)c->par[1], n = each / 16;
    char *p = e->arena + e->turn++ % (size_t)c->par[2] * each * arrays((int)c->par[0]);
    int grid = grid_of(e, (int)c->par[0], n);
    switch (c->par[0]) {
    case READ:
        read_all<false><<<grid, THREADS, 0, e->stream>>>((uint4 *)p, n, (unsigned *)p);
        break;
    case WRITE:
        write_all<<<grid, THREADS, 0, e->stream>>>((uint4 *)p, n, 7);
        break;
    case COPY:
        copy_all<<<grid, THREADS, 0, e->stream>>>((uint4 *)(p + each), (uint4 *)p, n);
        break;
    default:
        triad_all<<<grid, THREADS, 0, e->stream>>>((float4 *)(p + 2 * each), (float4 *)p,
                                                   (float4 *)(p + each), n, 0.5f);
    }
}

static int bw_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    double n = (double)c->par[1] * arrays((int)c->par[0]) * (double)c->par[2] / 4;
    if (gpu_fill(e, e->arena, n, GPU_FP32, 1, err))
        return -1;
    bw_launch(e, c);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return 0;
}

/* A word behind every case's buffers. */
static unsigned *last_words(struct mb_env *e)
{
    return (unsigned *)(e->arena + e->arena_bytes / 256 * 256 - 256);
}

/* The xor of all words that `launch` read, against the host's. */
template <class F>
static int check_xor(struct mb_env *e, size_t bytes, F launch, struct rl_error *err)
{
    unsigned want = 0, got = 0, *out = last_words(e), *host = (unsigned *)malloc(bytes);
    if (!host)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    cudaError_t rc = cudaMemcpy(host, e->arena, bytes, cudaMemcpyDeviceToHost);
    for (size_t i = 0; i < bytes / 4; i++)
        want ^= host[i];
    free(host);
    cudaMemsetAsync(out, 0, 4, e->stream);
    launch(out);
    cudaStreamSynchronize(e->stream);
    if (rc == cudaSuccess)
        rc = cudaMemcpy(&got, out, 4, cudaMemcpyDeviceToHost);
    if (rc != cudaSuccess)
        return gpu_fail(err, rc, "checking the read");
    return gpu_expect("xor of all words", got, want, 1, 0, err);
}

/* Above 64 MiB the first 64 MiB: the code is the same. */
static size_t checked_bytes(long bytes)
{
    return (size_t)(bytes < 64 << 20 ? bytes : 64 << 20);
}

static int read_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    size_t bytes = checked_bytes(c->par[1]);
    return check_xor(
        e, bytes,
        [&](unsigned *out) {
            read_all<true><<<grid_of(e, READ, bytes / 16), THREADS, 0, e->stream>>>(
                (uint4 *)e->arena, bytes / 16, out);
        },
        err);
}

static int bw_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    size_t each = (size_t)c->par[1];
    if (c->par[0] == READ)
        return read_check(e, c, err);
    e->turn = 0;
    bw_launch(e, c);
    float in[2], out;
    size_t last = each / 4 - 1;
    unsigned word;
    GPU_TRY(cudaStreamSynchronize(e->stream));
    if (c->par[0] == WRITE) {
        GPU_TRY(cudaMemcpy(&word, e->arena + each - 4, 4, cudaMemcpyDeviceToHost));
        return gpu_expect("last word", word, 10, 1, 0, err);
    }
    if (gpu_fetch(e, e->arena + 4 * last, 1, GPU_FP32, &in[0], err) ||
        gpu_fetch(e, e->arena + each + 4 * last, 1, GPU_FP32, &in[1], err))
        return -1;
    if (c->par[0] == COPY)
        return gpu_expect("last element", in[1], in[0], 1, 0, err);
    if (gpu_fetch(e, e->arena + 2 * each + 4 * last, 1, GPU_FP32, &out, err))
        return -1;
    return gpu_expect("last element", out, in[0] + 0.5 * in[1], 1, 1e-6, err);
}

static double bw_run(struct mb_env *e, struct mb_case *c, long reps, struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { bw_launch(e, c); });
}

#define BW(id, KIND, text)                                                               \
    static int id##_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)        \
    {                                                                                    \
        return bw_case(e, KIND, i, c, quick);                                            \
    }                                                                                    \
    GPU_ITEM(id, text, true, id##_make, bw_setup, bw_check, bw_run, NULL)

BW(read, READ, "DRAM read by size")
BW(write, WRITE, "DRAM write by size")
BW(copy, COPY, "DRAM copy by size, both ways counted")
BW(triad, TRIAD, "a = b + s c")

/* L2: many sweeps in one launch, past the L1 (.cg), by working set */

template <bool SUM>
__global__ void __launch_bounds__(THREADS)
    sweep(const uint4 *p, size_t n, int sweeps, unsigned *sink)
{
    size_t step = (size_t)gridDim.x * THREADS;
    uint4 acc = make_uint4(1, 2, 3, 4);
    for (int s = 0; s < sweeps; s++) {
        /* another block's part every sweep, so that all of the L2 serves all SMs */
        size_t i = (size_t)((blockIdx.x + 37 * s) % gridDim.x) * THREADS + threadIdx.x;
        for (; i + 3 * step < n; i += 4 * step) {
            uint4 v[4];
#pragma unroll
            for (int k = 0; k < 4; k++)
                v[k] = __ldcg(p + i + k * step);
#pragma unroll
            for (int k = 0; k < 4; k++)
                acc = mix(acc, v[k]);
        }
        for (; i < n; i += step)
            acc = mix(acc, __ldcg(p + i));
    }
    finish<SUM>(acc, sink);
}

static int l2_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    double bytes = 262144 * pow(2, 0.25 * i);
    if (bytes > 3 * e->l2_bytes || bytes > (double)e->arena_bytes)
        return 0;
    long n = (long)(bytes / 65536) * 65536;
    *quick = i % 4 == 0 && bytes > e->l2_bytes / 20;
    c->par[0] = n;
    c->par[1] = (long)ceil(256e6 / (double)n);
    c->dtype = "b128";
    c->mode = (double)n <= e->l2_bytes ? "warm" : "mixed";
    c->what = MB_BYTES_RATE;
    c->bytes = (double)n * (double)c->par[1];
    c->limit = 128.0 * e->sms * e->hz; /* 128 bytes a clock and SM from L2 at most */
    snprintf(c->size, sizeof c->size, "set=%ld sweeps=%ld", n, c->par[1]);
    return 1;
}

static int l2_grid(const struct mb_env *e, size_t n)
{
    int most = gpu_resident(e, (const void *)sweep<false>, THREADS),
        want = (int)(n / THREADS / 4);
    return want < 1 ? 1 : want < most ? want : most;
}

static double l2_run(struct mb_env *e, struct mb_case *c, long reps, struct rl_error *err)
{
    size_t n = (size_t)c->par[0] / 16;
    int grid = l2_grid(e, n), sweeps = (int)c->par[1];
    uint4 *p = (uint4 *)e->arena;
    return gpu_timed(e, reps, err, [&] {
        sweep<false><<<grid, THREADS, 0, e->stream>>>(p, n, sweeps, (unsigned *)p);
    });
}

static int l2_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    return gpu_fill(e, e->arena, (double)c->par[0] / 4, GPU_FP32, 1, err);
}

static int l2_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    size_t bytes = checked_bytes(c->par[0]);
    return check_xor(
        e, bytes,
        [&](unsigned *out) { /* three sweeps: an odd number leaves one */
                             sweep<true>
                                 <<<l2_grid(e, bytes / 16), THREADS, 0, e->stream>>>(
                                     (uint4 *)e->arena, bytes / 16, 3, out);
        },
        err);
}

GPU_ITEM(l2_read, "L2 read by working set: plateau and effective size", true, l2_make,
         l2_setup, l2_check, l2_run, NULL)

/* latency: one thread follows a random cycle over 128-byte lines */

enum { LINE = 128, HOPS = 4096 };

__global__ void chase(const unsigned *next, int hops, unsigned *out)
{
    unsigned at = *out;
    for (int i = 0; i < hops; i++)
        at = __ldcg(next + at);
    *out = at;
}

static int chase_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    double bytes = 16384.0 * pow(2, i);
    if (i > 20 || (i > 0 && bytes > 8 * e->l2_bytes) ||
        bytes > (double)e->arena_bytes / 2)
        return 0;
    *quick = i == 4 || bytes * 2 > 8 * e->l2_bytes;
    c->par[0] = (long)bytes;
    c->dtype = "none";
    c->mode = bytes > 4 * e->l2_bytes ? "cold" : "warm";
    c->what = MB_TIME;
    c->events = HOPS;
    c->limit = e->hz / 20; /* no global load takes fewer than twenty cycles */
    snprintf(c->size, sizeof c->size, "bytes=%.0f", bytes);
    return 1;
}

/* Sattolo's shuffle (1986): one cycle through all lines */
static int chase_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    size_t lines = (size_t)c->par[0] / LINE, words = LINE / 4;
    unsigned *next = (unsigned *)calloc(lines, LINE);
    unsigned *order = (unsigned *)malloc(lines * sizeof *order);
    if (!next || !order) {
        free(next);
        free(order);
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    }
    unsigned long long seed = 12345;
    for (size_t i = 0; i < lines; i++)
        order[i] = (unsigned)i;
    for (size_t i = lines - 1; i > 0; i--) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        size_t j = (size_t)((seed >> 33) % i);
        unsigned t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (size_t i = 0; i < lines; i++)
        next[i * words] = order[i] * (unsigned)words;
    cudaError_t rc = cudaMemcpy(e->arena, next, lines * LINE, cudaMemcpyHostToDevice);
    free(next);
    free(order);
    if (rc != cudaSuccess)
        return gpu_fail(err, rc, "uploading the cycle");
    GPU_TRY(cudaMemsetAsync(last_words(e), 0, 4, e->stream));
    return 0;
}

static int chase_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    unsigned at = 0;
    size_t lines = (size_t)c->par[0] / LINE;
    chase<<<1, 1, 0, e->stream>>>((unsigned *)e->arena, (int)lines, last_words(e));
    GPU_TRY(cudaStreamSynchronize(e->stream));
    GPU_TRY(cudaMemcpy(&at, last_words(e), 4, cudaMemcpyDeviceToHost));
    return gpu_expect("end of the whole cycle", at, 0, 1, 0, err);
}

static double chase_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    (void)c;
    return gpu_timed(e, reps, err, [&] {
        chase<<<1, 1, 0, e->stream>>>((unsigned *)e->arena, HOPS, last_words(e));
    });
}

GPU_ITEM(latency, "dependent loads past the L1 by working set", true, chase_make,
         chase_setup, chase_check, chase_run, NULL)
