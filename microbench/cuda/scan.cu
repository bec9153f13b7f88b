/* Recurrences: the Mamba-1 selective scan as state-spaces/mamba runs it (one
 * block a channel, tokens in chunks of 2048, a block-wide scan for each of the
 * N states), one-token state updates of Mamba-1, Mamba-2 and the gated delta
 * rule, the gated delta rule token by token, and the causal convolution.
 *
 *   Mamba-1  h[d,n] ← exp(Δ[d] A[d,n]) h[d,n] + Δ[d] B[n] x[d],  y = Σn C[n] h[d,n]
 *   Mamba-2  h[p,n] ← exp(Δ a) h[p,n] + Δ B[n] x[p],             y = Σn C[n] h[p,n]
 *   GDN      S ← g S;  u = β (v − S k);  S ← S + u kᵀ;           y = S q
 */
#include "gpu.h"

#include <math.h>

typedef __nv_bfloat16 bf16;

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

/* one-token updates: a row of state a warp (N 128) or a thread (N 16) */

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

/* Four neighbouring states of one lane. */
__device__ static void load4(const float *p, float *v)
{
    float4 f = *(const float4 *)p;
    v[0] = f.x, v[1] = f.y, v[2] = f.z, v[3] = f.w;
}
__device__ static void load4(const bf16 *p, float *v)
{
    uint2 u = *(const uint2 *)p;
    v[0] = __uint_as_float(u.x << 16), v[1] = __uint_as_float(u.x & 0xffff0000u);
    v[2] = __uint_as_float(u.y << 16), v[3] = __uint_as_float(u.y & 0xffff0000u);
}
__device__ static void store4(float *p, const float *v)
{
    *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
}
__device__ static void store4(bf16 *p, const float *v)
{
    __nv_bfloat162 a = __floats2bfloat162_rn(v[0], v[1]),
                   b = __floats2bfloat162_rn(v[2], v[3]);
    uint2 u;
    memcpy(&u.x, &a, 4);
    memcpy(&u.y, &b, 4);
    *(uint2 *)p = u;
}

__device__ static float warp_sum(float x)
{
#pragma unroll
    for (int d = 16; d; d /= 2)
        x += __shfl_xor_sync(~0u, x, d);
    return x;
}

/* Mamba-2: state [batch][heads][P][128], a warp a row p */
template <class S>
__global__ void update2(S *h, const bf16 *x, const float *dt, const float *a,
                        const bf16 *B, const bf16 *C, bf16 *y, int heads, int P,
                        int groups)
{
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    int b = blockIdx.y, head = row / P;
    if (head >= heads)
        return;
    int group = head / (heads / groups);
    float step = dt[b * heads + head], decay = exp2f(step * a[head] * 1.44269504f), s[4],
          Bn[4], Cn[4];
    float in = step * __bfloat162float(x[((size_t)b * heads) * P + row]), sum = 0;
    S *state = h + (((size_t)b * heads) * P + row) * 128 + 4 * lane;
    load4(state, s);
    load4(B + ((size_t)b * groups + group) * 128 + 4 * lane, Bn);
    load4(C + ((size_t)b * groups + group) * 128 + 4 * lane, Cn);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        s[i] = decay * s[i] + in * Bn[i];
        sum += s[i] * Cn[i];
    }
    store4(state, s);
    sum = warp_sum(sum);
    if (lane == 0)
        y[((size_t)b * heads) * P + row] = __float2bfloat16(sum);
}

/* Gated delta rule: state [batch][v_heads][V][128 keys], a warp a row, L tokens
 * in order (1: the update); q, k [batch][L][k_heads][128], v, y
 * [batch][L][v_heads][V] */
template <class S>
__global__ void gdn(S *state, const bf16 *q, const bf16 *k, const bf16 *v,
                    const float *gate, const float *beta, bf16 *y, int k_heads,
                    int v_heads, int V, int L)
{
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    int b = blockIdx.y, head = row / V, j = row % V;
    if (head >= v_heads)
        return;
    int kh = head / (v_heads / k_heads);
    S *mine = state + (((size_t)b * v_heads + head) * V + j) * 128 + 4 * lane;
    float s[4];
    load4(mine, s);
    for (int t = 0; t < L; t++) {
        size_t tok = (size_t)b * L + t, at = (tok * k_heads + kh) * 128 + 4 * lane;
        float kk[4], qq[4], along = 0, sum = 0, g = gate[tok * v_heads + head];
        load4(k + at, kk);
        load4(q + at, qq);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            s[i] *= g;
            along += s[i] * kk[i];
        }
        along = warp_sum(along);
        float u = beta[tok * v_heads + head] *
                  (__bfloat162float(v[(tok * v_heads + head) * V + j]) - along);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            s[i] += u * kk[i];
            sum += s[i] * qq[i];
        }
        sum = warp_sum(sum);
        if (lane == 0)
            y[(tok * v_heads + head) * V + j] = __float2bfloat16(sum);
    }
    store4(mine, s);
}

/* causal convolution of width 4, channels last: x, y [batch][L][D] */
__global__ void conv4(const bf16 *x, const float *w, bf16 *y, int D, int L)
{
    const int RUN = 32; /* tokens of one thread */
    int d = blockIdx.x * blockDim.x + threadIdx.x, t0 = blockIdx.y * RUN, b = blockIdx.z;
    if (d >= D)
        return;
    const bf16 *p = x + (size_t)b * L * D + d;
    float w0 = w[d], w1 = w[D + d], w2 = w[2 * D + d], w3 = w[3 * D + d];
    float a = t0 >= 3 ? __bfloat162float(p[(size_t)(t0 - 3) * D]) : 0;
    float e = t0 >= 2 ? __bfloat162float(p[(size_t)(t0 - 2) * D]) : 0;
    float c = t0 >= 1 ? __bfloat162float(p[(size_t)(t0 - 1) * D]) : 0;
#pragma unroll 8
    for (int t = t0; t < min(L, t0 + RUN); t++) {
        float v = __bfloat162float(p[(size_t)t * D]);
        y[((size_t)b * L + t) * D + d] =
            __float2bfloat16(w0 * a + w1 * e + w2 * c + w3 * v);
        a = e, e = c, c = v;
    }
}

/* cases. par: 0 batch, 1 L, 2 …: the item's shape, 9 copies of the state, 10
 * state of bf16 */

struct scan_state {
    bf16 *x, *dt, *B, *C, *y, *q, *k;
    float *A, *f, *f2, *last;
    char *h;
    size_t h_bytes, copies;
};

static int take(struct mb_env *e, struct mb_case *c, struct scan_state **out,
                struct rl_error *err)
{
    (void)e;
    struct scan_state *s = (struct scan_state *)calloc(1, sizeof *s);
    if (!s)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = *out = s;
    return 0;
}

static void teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    free(c->state);
}

/* A is negative, Δ and the gates positive: squares of random numbers. */
__global__ void squared(float *p, size_t n, float sign, float offset)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x)
        p[i] = sign * p[i] * p[i] + offset;
}
__global__ void squared_bf16(bf16 *p, size_t n)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x)
        p[i] = __float2bfloat16(__bfloat162float(p[i]) * __bfloat162float(p[i]));
}

static int fill_squared(struct mb_env *e, float *p, double n, float dev, float sign,
                        float offset, struct rl_error *err)
{
    if (gpu_fill(e, p, n, GPU_FP32, dev, err))
        return -1;
    squared<<<e->sms, 256, 0, e->stream>>>(p, (size_t)n, sign, offset);
    return gpu_launched("filling", err);
}

static void common(struct mb_case *c, const char *op, double bytes, double flop,
                   double limit)
{
    c->dtype = "bf16";
    c->op = op;
    c->impl = "rooflint";
    c->runtime = "rooflint-bench";
    c->what = MB_BYTES_RATE;
    c->bytes = bytes;
    c->flop = flop;
    c->limit = limit;
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
    common(c, "selective_scan", bytes, n * N1 * 7,
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
    if (take(e, c, &s, err))
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
        fill_squared(e, s->A, D * N1, 1, -1, -0.5f, err))
        return -1;
    squared_bf16<<<e->sms, 256, 0, e->stream>>>(s->dt, (size_t)(b * D * L));
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
         scan1_setup, scan1_check, scan1_run, teardown)

/* updates: the state is read and written once; copies rotate */

static long copies_of(const struct mb_env *e, double bytes)
{
    return (long)ceil(4 * e->l2_bytes / bytes) + 1;
}

static const long update_batches[] = {1, 4, 16, 64, 256};

static int update_case(struct mb_env *e, struct mb_case *c, const char *op, double elems,
                       double small, int flop, int half)
{
    double state = elems * (half ? 2 : 4);
    long copies = copies_of(e, 2 * state);
    if (state * copies + small + 64e6 > 0.9 * (double)e->arena_bytes)
        return -1;
    c->par[9] = copies, c->par[10] = half;
    c->mode = "cold";
    common(c, op, 2 * state + small, elems * flop, e->dram_peak);
    return 1;
}

static int update1_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / 10, b = i / 2 % 5, half = i % 2;
    if (s >= 5)
        return 0;
    long batch = update_batches[b], D = channels1[s];
    *quick = s == 2 && (b == 0 || b == 3) && !half;
    c->par[0] = batch, c->par[1] = 1, c->par[2] = D;
    snprintf(
        c->size, sizeof c->size,
        "batch=%ld seq_len=1 channels=%ld state=16 dt_rank=%ld dtype=bf16 state_dtype=%s",
        batch, D, D / 32, half ? "bf16" : "fp32");
    return update_case(e, c, "selective_state_update", (double)batch * D * N1,
                       (double)batch * D * 6 + (double)D * 64, 7, half);
}

static void *state_copy(struct mb_env *e, struct scan_state *s)
{
    return s->h + e->turn++ % s->copies * s->h_bytes;
}

static void update1_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    int D = (int)c->par[2];
    dim3 grid((unsigned)((4 * D + 127) / 128), (unsigned)c->par[0]);
    void *h = state_copy(e, s);
    if (c->par[10])
        update1<bf16><<<grid, 128, 0, e->stream>>>((bf16 *)h, s->x, s->dt, s->A, s->B,
                                                   s->C, s->y, D);
    else
        update1<float><<<grid, 128, 0, e->stream>>>((float *)h, s->x, s->dt, s->A, s->B,
                                                    s->C, s->y, D);
}

static int fill_state(struct mb_env *e, struct scan_state *s, const struct mb_case *c,
                      double elems, struct gpu_cut *cut, struct rl_error *err)
{
    int fmt = c->par[10] ? GPU_BF16 : GPU_FP32;
    s->copies = (size_t)c->par[9];
    s->h_bytes = (size_t)elems * gpu_fmt_bytes(fmt);
    s->h = gpu_take<char>(cut, (double)s->h_bytes * (double)s->copies);
    if (!s->h)
        return gpu_no_room(err);
    return gpu_fill(e, s->h, elems * (double)s->copies, fmt, 1, err);
}

static int update1_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = NULL;
    if (take(e, c, &s, err))
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
        fill_squared(e, s->A, D * N1, 1, -1, -0.5f, err) ||
        fill_state(e, s, c, b * D * N1, &cut, err))
        return -1;
    squared_bf16<<<e->sms, 256, 0, e->stream>>>(s->dt, (size_t)(b * D));
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
         update1_check, update1_run, teardown)

/* Mamba-2: par 2 heads, 3 P, 4 groups; N = 128 */

static const int heads2[][3] = {
    {24, 64, 1}, {48, 64, 1}, {64, 64, 1}, {80, 64, 1}, {128, 64, 8}};

static int update2_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / 10, b = i / 2 % 5, half = i % 2;
    if (s >= 5)
        return 0;
    long batch = update_batches[b];
    const int *h = heads2[s];
    *quick = s == 2 && (b == 0 || b == 3) && !half;
    c->par[0] = batch, c->par[1] = 1, c->par[2] = h[0], c->par[3] = h[1],
    c->par[4] = h[2];
    snprintf(c->size, sizeof c->size,
             "batch=%ld seq_len=1 heads=%d head_dim=%d state=128 groups=%d chunk=256 "
             "dtype=bf16 state_dtype=%s",
             batch, h[0], h[1], h[2], half ? "bf16" : "fp32");
    return update_case(e, c, "ssd_update", (double)batch * h[0] * h[1] * 128,
                       (double)batch * (h[0] * h[1] * 4.0 + h[2] * 512.0), 5, half);
}

static void update2_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    int heads = (int)c->par[2], P = (int)c->par[3], groups = (int)c->par[4];
    dim3 grid((unsigned)((heads * P + 3) / 4), (unsigned)c->par[0]);
    void *h = state_copy(e, s);
    if (c->par[10])
        update2<bf16><<<grid, 128, 0, e->stream>>>((bf16 *)h, s->x, s->f, s->A, s->B,
                                                   s->C, s->y, heads, P, groups);
    else
        update2<float><<<grid, 128, 0, e->stream>>>((float *)h, s->x, s->f, s->A, s->B,
                                                    s->C, s->y, heads, P, groups);
}

static int update2_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = NULL;
    if (take(e, c, &s, err))
        return -1;
    struct gpu_cut cut = gpu_cut_all(e);
    double b = (double)c->par[0], H = (double)c->par[2], P = (double)c->par[3],
           G = (double)c->par[4];
    s->A = gpu_take<float>(&cut, H);
    s->f = gpu_take<float>(&cut, b * H);
    s->x = gpu_take<bf16>(&cut, b * H * P);
    s->y = gpu_take<bf16>(&cut, b * H * P);
    s->B = gpu_take<bf16>(&cut, b * G * 128);
    s->C = gpu_take<bf16>(&cut, b * G * 128);
    if (!s->A || !s->f || !s->x || !s->y || !s->B || !s->C)
        return gpu_no_room(err);
    return gpu_fill(e, s->x, b * H * P, GPU_BF16, 1, err) ||
                   gpu_fill(e, s->B, b * G * 128, GPU_BF16, 1, err) ||
                   gpu_fill(e, s->C, b * G * 128, GPU_BF16, 1, err) ||
                   fill_squared(e, s->A, H, 1, -1, -0.5f, err) ||
                   fill_squared(e, s->f, b * H, 0.3f, 1, 0.01f, err) ||
                   fill_state(e, s, c, b * H * P * 128, &cut, err)
               ? -1
               : 0;
}

static int update2_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = (struct scan_state *)c->state;
    size_t H = (size_t)c->par[2], P = (size_t)c->par[3], G = (size_t)c->par[4],
           b = (size_t)c->par[0] - 1, at = (b + 1) * H * P - 1;
    float h[128], B[128], C[128], x, dt, a, y;
    int fmt = c->par[10] ? GPU_BF16 : GPU_FP32;
    e->turn = 0;
    if (gpu_fetch(e, s->h + at * 128 * gpu_fmt_bytes(fmt), 128, fmt, h, err) ||
        gpu_fetch(e, s->B + (b * G + G - 1) * 128, 128, GPU_BF16, B, err) ||
        gpu_fetch(e, s->C + (b * G + G - 1) * 128, 128, GPU_BF16, C, err) ||
        gpu_fetch(e, s->x + at, 1, GPU_BF16, &x, err) ||
        gpu_fetch(e, s->f + (b + 1) * H - 1, 1, GPU_FP32, &dt, err) ||
        gpu_fetch(e, s->A + H - 1, 1, GPU_FP32, &a, err))
        return -1;
    update2_launch(e, c);
    if (gpu_launched("ssd_update", err) || gpu_fetch(e, s->y + at, 1, GPU_BF16, &y, err))
        return -1;
    double want = 0, scale = 0, decay = exp((double)dt * (double)a);
    for (int n = 0; n < 128; n++) {
        double v = decay * (double)h[n] + (double)dt * (double)B[n] * (double)x;
        want += v * (double)C[n];
        scale += fabs(v * (double)C[n]);
    }
    return gpu_expect("y", (double)y, want, scale, 8e-3, err);
}

static double update2_run(struct mb_env *e, struct mb_case *c, long reps,
                          struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { update2_launch(e, c); });
}

GPU_ITEM(ssd_update, "own Mamba-2 state update", true, update2_make, update2_setup,
         update2_check, update2_run, teardown)

/* gated delta rule: par 2 k_heads, 3 v_heads; dimensions 128 */

static const int heads3[][2] = {{16, 32}, {16, 16}, {16, 48}};

static int gdn_case(struct mb_env *e, struct mb_case *c, int s, long batch, long L,
                    int half, const char *op)
{
    int kh = heads3[s][0], vh = heads3[s][1];
    double elems = (double)batch * vh * 128 * 128;
    double small = (double)batch * L * (2.0 * kh * 256 + 2.0 * vh * 256 + 8.0 * vh);
    c->par[0] = batch, c->par[1] = L, c->par[2] = kh, c->par[3] = vh;
    snprintf(c->size, sizeof c->size,
             "batch=%ld seq_len=%ld k_heads=%d k_dim=128 v_heads=%d v_dim=128 dtype=bf16 "
             "state_dtype=%s",
             batch, L, kh, vh, half ? "bf16" : "fp32");
    int made = update_case(e, c, op, elems, small, 7, half);
    c->flop = 7 * elems * (double)L;
    if (L > 1)
        c->par[9] = 1, c->mode = "warm", c->limit = 128.0 * e->sms * e->hz;
    return made;
}

static int gdn_update_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / 10, b = i / 2 % 5, half = i % 2;
    if (s >= 3)
        return 0;
    *quick = s == 0 && (b == 0 || b == 3) && !half;
    return gdn_case(e, c, s, update_batches[b], 1, half, "gdn_update");
}

static int gdn_scan_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const long lens[] = {128, 512, 2048, 8192};
    int s = i / 8, b = i / 4 % 2, t = i % 4;
    if (s >= 3)
        return 0;
    *quick = s == 0 && b == 0 && t == 1;
    return gdn_case(e, c, s, b ? 8 : 1, lens[t], 0, "gdn_scan");
}

static void gdn_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    int kh = (int)c->par[2], vh = (int)c->par[3], L = (int)c->par[1];
    dim3 grid((unsigned)(vh * 128 / 4), (unsigned)c->par[0]);
    void *h = state_copy(e, s);
    if (c->par[10])
        gdn<bf16><<<grid, 128, 0, e->stream>>>((bf16 *)h, s->q, s->k, s->x, s->f, s->f2,
                                               s->y, kh, vh, 128, L);
    else
        gdn<float><<<grid, 128, 0, e->stream>>>((float *)h, s->q, s->k, s->x, s->f, s->f2,
                                                s->y, kh, vh, 128, L);
}

static int gdn_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = NULL;
    if (take(e, c, &s, err))
        return -1;
    struct gpu_cut cut = gpu_cut_all(e);
    double n = (double)c->par[0] * (double)c->par[1], kh = (double)c->par[2],
           vh = (double)c->par[3];
    s->q = gpu_take<bf16>(&cut, n * kh * 128);
    s->k = gpu_take<bf16>(&cut, n * kh * 128);
    s->x = gpu_take<bf16>(&cut, n * vh * 128);
    s->y = gpu_take<bf16>(&cut, n * vh * 128);
    s->f = gpu_take<float>(&cut, n * vh);
    s->f2 = gpu_take<float>(&cut, n * vh);
    if (!s->q || !s->k || !s->x || !s->y || !s->f || !s->f2)
        return gpu_no_room(err);
    /* keys of length about 1: the rule stays stable */
    return gpu_fill(e, s->q, n * kh * 128, GPU_BF16, 0.088f, err) ||
                   gpu_fill(e, s->k, n * kh * 128, GPU_BF16, 0.088f, err) ||
                   gpu_fill(e, s->x, n * vh * 128, GPU_BF16, 1, err) ||
                   fill_squared(e, s->f, n * vh, 0.2f, -1, 1.0f, err) ||
                   fill_squared(e, s->f2, n * vh, 0.3f, 1, 0.1f, err) ||
                   fill_state(e, s, c, (double)c->par[0] * vh * 128 * 128, &cut, err)
               ? -1
               : 0;
}

/* The last row of the last head, all tokens. */
static int gdn_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = (struct scan_state *)c->state;
    size_t L = (size_t)c->par[1], kh = (size_t)c->par[2], vh = (size_t)c->par[3],
           b = (size_t)c->par[0] - 1;
    int fmt = c->par[10] ? GPU_BF16 : GPU_FP32;
    size_t row = (b + 1) * vh * 128 - 1;
    float st[128], k[128], q[128], v, g, beta, y;
    e->turn = 0;
    if (gpu_fetch(e, s->h + row * 128 * gpu_fmt_bytes(fmt), 128, fmt, st, err))
        return -1;
    gdn_launch(e, c);
    if (gpu_launched("gdn", err))
        return -1;
    double S[128];
    for (int n = 0; n < 128; n++)
        S[n] = (double)st[n];
    if (L > 512)
        return 0; /* the same code as at 512, and slow to fetch by token */
    for (size_t t = 0; t < L; t++) {
        size_t tok = b * L + t;
        if (gpu_fetch(e, s->k + (tok * kh + kh - 1) * 128, 128, GPU_BF16, k, err) ||
            gpu_fetch(e, s->q + (tok * kh + kh - 1) * 128, 128, GPU_BF16, q, err) ||
            gpu_fetch(e, s->x + (tok + 1) * vh * 128 - 1, 1, GPU_BF16, &v, err) ||
            gpu_fetch(e, s->f + (tok + 1) * vh - 1, 1, GPU_FP32, &g, err) ||
            gpu_fetch(e, s->f2 + (tok + 1) * vh - 1, 1, GPU_FP32, &beta, err) ||
            gpu_fetch(e, s->y + (tok + 1) * vh * 128 - 1, 1, GPU_BF16, &y, err))
            return -1;
        double along = 0, want = 0, scale = 0;
        for (int n = 0; n < 128; n++)
            along += (S[n] *= (double)g) * (double)k[n];
        double u = (double)beta * ((double)v - along);
        for (int n = 0; n < 128; n++) {
            S[n] += u * (double)k[n];
            want += S[n] * (double)q[n];
            scale += fabs(S[n] * (double)q[n]);
        }
        if (gpu_expect("y", (double)y, want, scale, 8e-3, err))
            return -1;
    }
    return 0;
}

static double gdn_run(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { gdn_launch(e, c); });
}

GPU_ITEM(gdn_update, "own gated delta rule, one token", true, gdn_update_make, gdn_setup,
         gdn_check, gdn_run, teardown)
GPU_ITEM(gdn_scan, "own gated delta rule, token by token", true, gdn_scan_make, gdn_setup,
         gdn_check, gdn_run, teardown)

/* convolution: par 2 channels */

static int conv_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const long lens[] = {128, 512, 2048, 8192, 32768};
    static const int channels[] = {1536, 1792, 4096, 4352, 8192};
    int s = i / 5, t = i % 5;
    if (s >= 5)
        return 0;
    double n = (double)channels[s] * lens[t];
    *quick = s == 3 && t >= 2 && t < 4;
    if (n * 4 + 64e6 > 0.9 * (double)e->arena_bytes)
        return -1;
    c->par[0] = 1, c->par[1] = lens[t], c->par[2] = channels[s];
    double bytes = n * 4 + channels[s] * 16.0;
    bool cold = bytes > 4 * e->l2_bytes;
    c->mode = cold ? "cold" : "warm";
    common(c, "conv1d", bytes, n * 8, cold ? e->dram_peak : 128.0 * e->sms * e->hz);
    snprintf(c->size, sizeof c->size,
             "batch=1 seq_len=%ld channels=%d width=4 dtype=bf16", lens[t], channels[s]);
    return 1;
}

static void conv_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    int D = (int)c->par[2], L = (int)c->par[1];
    dim3 grid((unsigned)((D + 127) / 128), (unsigned)((L + 31) / 32), 1);
    conv4<<<grid, 128, 0, e->stream>>>(s->x, s->A, s->y, D, L);
}

static int conv_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = NULL;
    if (take(e, c, &s, err))
        return -1;
    struct gpu_cut cut = gpu_cut_all(e);
    double n = (double)c->par[1] * (double)c->par[2];
    s->A = gpu_take<float>(&cut, 4.0 * (double)c->par[2]);
    s->x = gpu_take<bf16>(&cut, n);
    s->y = gpu_take<bf16>(&cut, n);
    if (!s->A || !s->x || !s->y)
        return gpu_no_room(err);
    if (gpu_fill(e, s->x, n, GPU_BF16, 1, err) ||
        gpu_fill(e, s->A, 4.0 * (double)c->par[2], GPU_FP32, 0.5f, err))
        return -1;
    conv_launch(e, c);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("conv1d", err);
}

static int conv_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = (struct scan_state *)c->state;
    long L = c->par[1], D = c->par[2];
    const long at[] = {0, 1, 31, 32, 33, L - 1};
    for (int i = 0; i < 6; i++) {
        double want = 0, scale = 1e-3;
        float x, w, y;
        for (int k = 0; k < 4; k++) {
            long t = at[i] - 3 + k;
            if (t < 0)
                continue;
            if (gpu_fetch(e, s->x + (size_t)t * D + D - 1, 1, GPU_BF16, &x, err) ||
                gpu_fetch(e, s->A + (size_t)k * D + D - 1, 1, GPU_FP32, &w, err))
                return -1;
            want += (double)w * (double)x;
            scale += fabs((double)w * (double)x);
        }
        if (gpu_fetch(e, s->y + (size_t)at[i] * D + D - 1, 1, GPU_BF16, &y, err) ||
            gpu_expect("y", (double)y, want, scale, 8e-3, err))
            return -1;
    }
    return 0;
}

static double conv_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { conv_launch(e, c); });
}

GPU_ITEM(conv1d, "own causal convolution of width 4", true, conv_make, conv_setup,
         conv_check, conv_run, teardown)
