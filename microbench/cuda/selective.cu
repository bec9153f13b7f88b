/* Mamba-1: the selective scan as state-spaces/mamba runs it (one block a channel,
 * tokens in chunks of 2048, a block-wide scan for each of the N states) and its
 * one-token update.
 *
 *   h[d,n] ← exp(Δ[d] A[d,n]) h[d,n] + Δ[d] B[n] x[d],  y = Σn C[n] h[d,n]
 */
#include "scan.h"

#include <math.h>

/* selective scan: u and Δ [batch][D][L], B and C [batch][N][L], bf16; A fp32 */

enum { N1 = 16, SCAN_THREADS = 128, ITEMS = 16, CHUNK = SCAN_THREADS * ITEMS };

/* Inclusive scan over the block of h ← a h + b, pairs composed left to right;
 * (a, b) become the composition of all earlier threads' pairs (exclusive), and
 * the whole block's composition is returned in total. */
__device__ static void block_scan(float &a, float &b, float2 *warps, float2 &total)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float ia = a, ib = b;
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
        float pa = __shfl_up_sync(~0u, ia, d), pb = __shfl_up_sync(~0u, ib, d);
        if (lane >= d) {
            ib = ia * pb + ib;
            ia = ia * pa;
        }
    }
    __syncthreads(); /* warps[] may still be read from the last scan */
    if (lane == 31)
        warps[warp] = make_float2(ia, ib);
    __syncthreads();
    float ca = 1, cb = 0; /* of the warps before this one */
    float ta = 1, tb = 0;
    for (int w = 0; w < SCAN_THREADS / 32; w++) {
        if (w == warp)
            ca = ta, cb = tb;
        float2 v = warps[w];
        tb = v.x * tb + v.y;
        ta = v.x * ta;
    }
    total = make_float2(ta, tb);
    float ea = __shfl_up_sync(~0u, ia, 1), eb = __shfl_up_sync(~0u, ib, 1);
    if (lane == 0)
        ea = 1, eb = 0;
    b = ea * cb + eb;
    a = ea * ca;
}

__device__ static void load16(const bf16 *p, int left, float *out)
{
    if (left >= ITEMS) {
#pragma unroll
        for (int i = 0; i < ITEMS; i += 8) {
            uint4 v = *(const uint4 *)(p + i);
            const uint32_t u[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                out[i + 2 * j] = __uint_as_float(u[j] << 16);
                out[i + 2 * j + 1] = __uint_as_float(u[j] & 0xffff0000u);
            }
        }
    } else {
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            out[i] = i < left ? __bfloat162float(p[i]) : 0;
    }
}

/* block: channel blockIdx.x of sequence blockIdx.y; lengths are multiples of 8 */
__global__ void __launch_bounds__(SCAN_THREADS)
    selective_scan(const bf16 *u, const bf16 *dt, const float *A, const bf16 *B,
                   const bf16 *C, bf16 *y, float *last, int D, int L)
{
    __shared__ float2 warps[SCAN_THREADS / 32];
    __shared__ float carry[N1];
    int d = blockIdx.x, b = blockIdx.y;
    size_t row = ((size_t)b * D + d) * L;
    if (threadIdx.x < N1)
        carry[threadIdx.x] = 0;
    __syncthreads();
    for (int t0 = 0; t0 < L; t0 += CHUNK) {
        int t = t0 + (int)threadIdx.x * ITEMS, left = L - t;
        float x[ITEMS], step[ITEMS], out[ITEMS];
        load16(u + row + (left > 0 ? t : 0), left, x);
        load16(dt + row + (left > 0 ? t : 0), left, step);
#pragma unroll
        for (int i = 0; i < ITEMS; i++) {
            out[i] = 0;
            x[i] *= step[i];
        }
        for (int n = 0; n < N1; n++) {
            size_t at = ((size_t)b * N1 + n) * L + (left > 0 ? t : 0);
            float Bn[ITEMS], Cn[ITEMS], An = A[d * N1 + n] * 1.44269504f;
            load16(B + at, left, Bn);
            load16(C + at, left, Cn);
            float decay[ITEMS], a = 1, h = 0;
#pragma unroll
            for (int i = 0; i < ITEMS; i++) {
                decay[i] = exp2f(step[i] * An);
                h = decay[i] * h + x[i] * Bn[i];
                a *= decay[i];
            }
            float2 total;
            block_scan(a, h, warps, total);
            float start = carry[n];
            h = a * start + h; /* the state before this thread's tokens */
#pragma unroll
            for (int i = 0; i < ITEMS; i++) {
                h = decay[i] * h + x[i] * Bn[i];
                out[i] += h * Cn[i];
            }
            __syncthreads();
            if (threadIdx.x == 0)
                carry[n] = total.x * start + total.y;
        }
        for (int i = 0; i < ITEMS && i < left; i++)
            y[row + t + i] = __float2bfloat16(out[i]);
        __syncthreads();
    }
    if (threadIdx.x < N1)
        last[((size_t)b * D + d) * N1 + threadIdx.x] = carry[threadIdx.x];
}

template <class S> __device__ static float get(const S *p);
template <> __device__ float get(const float *p)
{
    return *p;
}
template <> __device__ float get(const bf16 *p)
{
    return __bfloat162float(*p);
}
__device__ static void put(float *p, float v)
{
    *p = v;
}
__device__ static void put(bf16 *p, float v)
{
    *p = __float2bfloat16(v);
}

/* Mamba-1: state [batch][D][16]; four threads a channel, four states each */
template <class S>
__global__ void update1(S *h, const bf16 *x, const bf16 *dt, const float *A,
                        const bf16 *B, const bf16 *C, bf16 *y, int D)
{
    int id = blockIdx.x * blockDim.x + threadIdx.x, d = id / 4, part = id % 4,
        b = blockIdx.y;
    bool live = d < D;
    int dd = live ? d : D - 1;
    float step = __bfloat162float(dt[(size_t)b * D + dd]);
    float in = step * __bfloat162float(x[(size_t)b * D + dd]), sum = 0;
    S *row = h + ((size_t)b * D + dd) * N1 + part * 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int n = part * 4 + i;
        float s = exp2f(step * A[dd * N1 + n] * 1.44269504f) * get(row + i) +
                  in * __bfloat162float(B[b * N1 + n]);
        if (live)
            put(row + i, s);
        sum += s * __bfloat162float(C[b * N1 + n]);
    }
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    if (live && part == 0)
        y[(size_t)b * D + d] = __float2bfloat16(sum);
}

/* Mamba-1 scan: par 2 D */

static const int channels1[] = {1536, 3072, 4096, 5120, 8192};

static int scan1_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const long lens[] = {128, 512, 2048, 8192, 32768};
    static const long batches[] = {1, 8};
    int s = i / 10, b = i / 5 % 2, t = i % 5;
    if (s >= 5)
        return 0;
    double n = (double)batches[b] * channels1[s] * lens[t];
    if (n * 6 + 64e6 + (double)batches[b] * lens[t] * 64 > 0.9 * (double)e->arena_bytes ||
        (b && t == 4))
        return -1;
    *quick = (s == 0 || s == 2) && !b && (t == 2 || t == 3);
    c->par[0] = batches[b], c->par[1] = lens[t], c->par[2] = channels1[s];
    double bytes = n * 6 + (double)batches[b] * lens[t] * 64;
    c->mode = bytes > 4 * e->l2_bytes ? "cold" : "warm";
    scan_common(c, "selective_scan", bytes, n * N1 * 7,
                bytes > 4 * e->l2_bytes ? e->dram_peak : 128.0 * e->sms * e->hz);
    c->events = n * N1; /* exponentials */
    snprintf(c->size, sizeof c->size,
             "batch=%ld seq_len=%ld channels=%d state=16 dt_rank=%d dtype=bf16 "
             "state_dtype=fp32",
             batches[b], lens[t], channels1[s], channels1[s] / 32);
    return 1;
}

static void scan1_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    dim3 grid((unsigned)c->par[2], (unsigned)c->par[0]);
    selective_scan<<<grid, SCAN_THREADS, 0, e->stream>>>(
        s->x, s->dt, s->A, s->B, s->C, s->y, s->last, (int)c->par[2], (int)c->par[1]);
}

static int scan1_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = NULL;
    if (scan_take(e, c, &s, err))
        return -1;
    struct gpu_cut cut = gpu_cut_all(e);
    double b = (double)c->par[0], L = (double)c->par[1], D = (double)c->par[2];
    s->A = gpu_take<float>(&cut, D * N1);
    s->last = gpu_take<float>(&cut, b * D * N1);
    s->B = gpu_take<bf16>(&cut, b * N1 * L);
    s->C = gpu_take<bf16>(&cut, b * N1 * L);
    s->x = gpu_take<bf16>(&cut, b * D * L);
    s->dt = gpu_take<bf16>(&cut, b * D * L);
    s->y = gpu_take<bf16>(&cut, b * D * L);
    if (!s->A || !s->last || !s->B || !s->C || !s->x || !s->dt || !s->y)
        return gpu_no_room(err);
    if (gpu_fill(e, s->x, b * D * L, GPU_BF16, 1, err) ||
        gpu_fill(e, s->dt, b * D * L, GPU_BF16, 0.3f, err) ||
        gpu_fill(e, s->B, b * N1 * L, GPU_BF16, 1, err) ||
        gpu_fill(e, s->C, b * N1 * L, GPU_BF16, 1, err) ||
        scan_fill_squared(e, s->A, D * N1, 1, -1, -0.5f, err))
        return -1;
    scan_square(e, s->dt, b * D * L);
    scan1_launch(e, c);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("selective_scan", err);
}

/* The last channel of the last sequence, in doubles. */
static int scan1_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = (struct scan_state *)c->state;
    size_t L = (size_t)c->par[1], D = (size_t)c->par[2], b = (size_t)c->par[0] - 1;
    float *buf = (float *)malloc(L * (3 + 2 * N1) * sizeof *buf), A[N1];
    if (!buf)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    float *x = buf, *dt = x + L, *y = dt + L, *B = y + L, *C = B + N1 * L;
    size_t row = (b * D + D - 1) * L;
    int rc = gpu_fetch(e, s->x + row, L, GPU_BF16, x, err) ||
             gpu_fetch(e, s->dt + row, L, GPU_BF16, dt, err) ||
             gpu_fetch(e, s->y + row, L, GPU_BF16, y, err) ||
             gpu_fetch(e, s->B + b * N1 * L, N1 * L, GPU_BF16, B, err) ||
             gpu_fetch(e, s->C + b * N1 * L, N1 * L, GPU_BF16, C, err) ||
             gpu_fetch(e, s->A + (D - 1) * N1, N1, GPU_FP32, A, err);
    double h[N1] = {0};
    for (size_t t = 0; t < L && !rc; t++) {
        double want = 0, scale = 0;
        for (int n = 0; n < N1; n++) {
            h[n] = exp((double)dt[t] * (double)A[n]) * h[n] +
                   (double)dt[t] * (double)B[n * L + t] * (double)x[t];
            want += h[n] * (double)C[n * L + t];
            scale += fabs(h[n] * (double)C[n * L + t]);
        }
        if (t % 61 == 0 || t + 1 == L)
            rc = gpu_expect("y", (double)y[t], want, scale + 1e-6, 8e-3, err);
    }
    free(buf);
    return rc ? -1 : 0;
}

static double scan1_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { scan1_launch(e, c); });
}

GPU_ITEM(selective_scan, "own Mamba-1 scan, chunks of 2048", true, scan1_make,
         scan1_setup, scan1_check, scan1_run, scan_teardown)

static int update1_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / 10, b = i / 2 % 5, half = i % 2;
    if (s >= 5)
        return 0;
    long batch = scan_batches[b], D = channels1[s];
    *quick = s == 2 && (b == 0 || b == 3) && !half;
    c->par[0] = batch, c->par[1] = 1, c->par[2] = D;
    snprintf(
        c->size, sizeof c->size,
        "batch=%ld seq_len=1 channels=%ld state=16 dt_rank=%ld dtype=bf16 state_dtype=%s",
        batch, D, D / 32, half ? "bf16" : "fp32");
    return scan_update_case(e, c, "selective_state_update", (double)batch * D * N1,
                            (double)batch * D * 6 + (double)D * 64, 7, half);
}

static void update1_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    int D = (int)c->par[2];
    dim3 grid((unsigned)((4 * D + 127) / 128), (unsigned)c->par[0]);
    void *h = scan_state_copy(e, s);
    if (c->par[10])
        update1<bf16><<<grid, 128, 0, e->stream>>>((bf16 *)h, s->x, s->dt, s->A, s->B,
                                                   s->C, s->y, D);
    else
        update1<float><<<grid, 128, 0, e->stream>>>((float *)h, s->x, s->dt, s->A, s->B,
                                                    s->C, s->y, D);
}

static int update1_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = NULL;
    if (scan_take(e, c, &s, err))
        return -1;
    struct gpu_cut cut = gpu_cut_all(e);
    double b = (double)c->par[0], D = (double)c->par[2];
    s->A = gpu_take<float>(&cut, D * N1);
    s->x = gpu_take<bf16>(&cut, b * D);
    s->dt = gpu_take<bf16>(&cut, b * D);
    s->y = gpu_take<bf16>(&cut, b * D);
    s->B = gpu_take<bf16>(&cut, b * N1);
    s->C = gpu_take<bf16>(&cut, b * N1);
    if (!s->A || !s->x || !s->dt || !s->y || !s->B || !s->C)
        return gpu_no_room(err);
    if (gpu_fill(e, s->x, b * D, GPU_BF16, 1, err) ||
        gpu_fill(e, s->dt, b * D, GPU_BF16, 0.3f, err) ||
        gpu_fill(e, s->B, b * N1, GPU_BF16, 1, err) ||
        gpu_fill(e, s->C, b * N1, GPU_BF16, 1, err) ||
        scan_fill_squared(e, s->A, D * N1, 1, -1, -0.5f, err) ||
        scan_fill_state(e, s, c, b * D * N1, &cut, err))
        return -1;
    scan_square(e, s->dt, b * D);
    return gpu_launched("selective_state_update", err);
}

static int update1_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = (struct scan_state *)c->state;
    size_t D = (size_t)c->par[2], b = (size_t)c->par[0] - 1, at = b * D + D - 1;
    float h[N1], A[N1], B[N1], C[N1], x, dt, y;
    int fmt = c->par[10] ? GPU_BF16 : GPU_FP32;
    e->turn = 0;
    if (gpu_fetch(e, s->h + at * N1 * gpu_fmt_bytes(fmt), N1, fmt, h, err) ||
        gpu_fetch(e, s->A + (D - 1) * N1, N1, GPU_FP32, A, err) ||
        gpu_fetch(e, s->B + b * N1, N1, GPU_BF16, B, err) ||
        gpu_fetch(e, s->C + b * N1, N1, GPU_BF16, C, err) ||
        gpu_fetch(e, s->x + at, 1, GPU_BF16, &x, err) ||
        gpu_fetch(e, s->dt + at, 1, GPU_BF16, &dt, err))
        return -1;
    update1_launch(e, c);
    if (gpu_launched("selective_state_update", err) ||
        gpu_fetch(e, s->y + at, 1, GPU_BF16, &y, err))
        return -1;
    double want = 0, scale = 0;
    for (int n = 0; n < N1; n++) {
        double v = exp((double)dt * (double)A[n]) * (double)h[n] +
                   (double)dt * (double)B[n] * (double)x;
        want += v * (double)C[n];
        scale += fabs(v * (double)C[n]);
    }
    return gpu_expect("y", (double)y, want, scale, 8e-3, err);
}

static double update1_run(struct mb_env *e, struct mb_case *c, long reps,
                          struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { update1_launch(e, c); });
}

GPU_ITEM(state_update, "own Mamba-1 state update", true, update1_make, update1_setup,
         update1_check, update1_run, scan_teardown)
