/* Attention kernels of reference quality: prefill in the manner of
 * FlashAttention-2 (Dao 2023: tiles of queries, online softmax) with wmma
 * tensor-core tiles, decode with the cache split over blocks and a combining
 * kernel.  Libraries do better; their kernels are timed by realrun/ops_torch.py
 * through the same schema.  These bound what a plain kernel gets. */
#include "gpu.h"

#include <math.h>
#include <mma.h>

using namespace nvcuda;
typedef __half half_t;

/* prefill: one block a tile of 64 queries of one head */

enum { BM = 64, BN = 32, PAD = 8, PRE_THREADS = 128 };

template <int D> struct prefill_smem {
    half_t q[BM][D + PAD], k[BN][D + PAD], v[BN][D + PAD], p[BM][BN + PAD];
    float s[BM][BN + PAD], o[BM][D + PAD];
    float m[BM], l[BM], scale[BM];
};

/* rows × D of one head, zero beyond `rows` */
template <int D>
__device__ static void load_tile(half_t (*to)[D + PAD], const half_t *from, int rows,
                                 int most, size_t stride)
{
    for (int i = threadIdx.x; i < most * D / 8; i += PRE_THREADS) {
        int r = i / (D / 8), c = i % (D / 8) * 8;
        uint4 v = make_uint4(0, 0, 0, 0);
        if (r < rows)
            v = *(const uint4 *)(from + r * stride + c);
        *(uint4 *)&to[r][c] = v;
    }
}

/* S = Q Kᵀ: warp w has rows 16w … 16w + 15 */
template <int D> __device__ static void scores(prefill_smem<D> &sm, int warp)
{
    for (int j = 0; j < BN / 16; j++) {
        wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc;
        wmma::fill_fragment(acc, 0.0f);
        for (int k = 0; k < D; k += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, half_t, wmma::row_major> a;
            wmma::fragment<wmma::matrix_b, 16, 16, 16, half_t, wmma::col_major> b;
            wmma::load_matrix_sync(a, &sm.q[16 * warp][k], D + PAD);
            wmma::load_matrix_sync(b, &sm.k[16 * j][k], D + PAD);
            wmma::mma_sync(acc, a, b, acc);
        }
        wmma::store_matrix_sync(&sm.s[16 * warp][16 * j], acc, BN + PAD,
                                wmma::mem_row_major);
    }
}

/* Two lanes a row: maximum, exponentials, sums; P in half. */
template <int D>
__device__ static void softmax_step(prefill_smem<D> &sm, int warp, int lane, int q0,
                                    int k0, int q_len, int kv_len, int window,
                                    float factor)
{
    int r = 16 * warp + lane / 2, half = lane % 2;
    int last = kv_len - q_len + q0 + r; /* causal: the last key this query sees */
    int first = window > 0 ? last - window + 1 : 0;
    float best = -INFINITY;
    for (int j = half * BN / 2; j < (half + 1) * BN / 2; j++) {
        int key = k0 + j;
        float s =
            key <= last && key >= first && key < kv_len ? sm.s[r][j] * factor : -INFINITY;
        sm.s[r][j] = s;
        best = fmaxf(best, s);
    }
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 1));
    float old = sm.m[r], now = fmaxf(old, best), sum = 0;
    float base = now == -INFINITY ? 0 : now;
    for (int j = half * BN / 2; j < (half + 1) * BN / 2; j++) {
        float p = exp2f(sm.s[r][j] - base);
        sm.p[r][j] = __float2half(p);
        sum += p;
    }
    sum += __shfl_xor_sync(~0u, sum, 1);
    __syncwarp();
    if (half == 0) {
        float keep = exp2f(old - base);
        sm.scale[r] = keep;
        sm.l[r] = sm.l[r] * keep + sum;
        sm.m[r] = now;
    }
    __syncwarp();
}

/* O = scale · O + P V, the warp's sixteen rows */
template <int D>
__device__ static void output_step(prefill_smem<D> &sm, int warp, int lane)
{
    for (int i = lane; i < 16 * D; i += 32) {
        int r = 16 * warp + i / D;
        sm.o[r][i % D] *= sm.scale[r];
    }
    __syncwarp();
    for (int c = 0; c < D; c += 16) {
        wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc;
        wmma::load_matrix_sync(acc, &sm.o[16 * warp][c], D + PAD, wmma::mem_row_major);
        for (int k = 0; k < BN; k += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, half_t, wmma::row_major> a;
            wmma::fragment<wmma::matrix_b, 16, 16, 16, half_t, wmma::row_major> b;
            wmma::load_matrix_sync(a, &sm.p[16 * warp][k], BN + PAD);
            wmma::load_matrix_sync(b, &sm.v[k][c], D + PAD);
            wmma::mma_sync(acc, a, b, acc);
        }
        wmma::store_matrix_sync(&sm.o[16 * warp][c], acc, D + PAD, wmma::mem_row_major);
    }
    __syncwarp();
}

/* q [batch][q_len][heads][D], k and v [batch][kv_len][kv_heads][D] */
template <int D>
__global__ void __launch_bounds__(PRE_THREADS)
    prefill(const half_t *q, const half_t *k, const half_t *v, half_t *out, int heads,
            int kv_heads, int q_len, int kv_len, int window, float factor)
{
    extern __shared__ __align__(128) unsigned char raw[];
    prefill_smem<D> &sm = *(prefill_smem<D> *)raw;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int q0 = (gridDim.x - 1 - blockIdx.x) * BM, h = blockIdx.y, b = blockIdx.z;
    int kvh = h / (heads / kv_heads), rows = min(BM, q_len - q0);
    size_t qs = (size_t)heads * D, ks = (size_t)kv_heads * D;
    const half_t *qp = q + ((size_t)b * q_len + q0) * qs + (size_t)h * D;
    const half_t *kp = k + (size_t)b * kv_len * ks + (size_t)kvh * D;
    const half_t *vp = v + (size_t)b * kv_len * ks + (size_t)kvh * D;
    load_tile<D>(sm.q, qp, rows, BM, qs);
    for (int i = threadIdx.x; i < BM * (D + PAD); i += PRE_THREADS)
        (&sm.o[0][0])[i] = 0;
    for (int i = threadIdx.x; i < BM; i += PRE_THREADS)
        sm.m[i] = -INFINITY, sm.l[i] = 0;
    int end = min(kv_len, kv_len - q_len + q0 + BM);
    int begin = window > 0 ? max(0, kv_len - q_len + q0 - window + 1) / BN * BN : 0;
    for (int k0 = begin; k0 < end; k0 += BN) {
        __syncthreads();
        load_tile<D>(sm.k, kp + k0 * ks, min(BN, kv_len - k0), BN, ks);
        load_tile<D>(sm.v, vp + k0 * ks, min(BN, kv_len - k0), BN, ks);
        __syncthreads();
        scores<D>(sm, warp);
        __syncwarp();
        softmax_step<D>(sm, warp, lane, q0, k0, q_len, kv_len, window, factor);
        output_step<D>(sm, warp, lane);
    }
    __syncthreads();
    half_t *op = out + ((size_t)b * q_len + q0) * qs + (size_t)h * D;
    for (int i = threadIdx.x; i < rows * D; i += PRE_THREADS)
        op[i / D * qs + i % D] = __float2half(sm.o[i / D][i % D] / sm.l[i / D]);
}

/* decode: LANES lanes a key, each D / LANES elements; G query heads a KV head */

enum { DEC_THREADS = 128 };

template <int E> __device__ static void load_row(const half_t *p, float *out)
{
#pragma unroll
    for (int i = 0; i < E; i += 8) {
        uint4 v = __ldcs((const uint4 *)(p + i));
        const __half2 *h = (const __half2 *)&v;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float2 f = __half22float2(h[j]);
            out[i + 2 * j] = f.x;
            out[i + 2 * j + 1] = f.y;
        }
    }
}

/* partial results of one split: acc not yet divided, m, l */
template <int D, int G, int LANES>
__global__ void __launch_bounds__(DEC_THREADS)
    decode(const half_t *q, const half_t *k, const half_t *v, float *part, int kv_heads,
           int kv_len, int splits, float factor)
{
    const int E = D / LANES, GROUPS = DEC_THREADS / LANES;
    int split = blockIdx.x, h = blockIdx.y, b = blockIdx.z;
    int group = threadIdx.x / LANES, lane = threadIdx.x % LANES;
    size_t stride = (size_t)kv_heads * D;
    int per = (kv_len + splits - 1) / splits, begin = split * per,
        end = min(kv_len, begin + per);
    const half_t *kp = k + ((size_t)b * kv_len) * stride + (size_t)h * D + lane * E;
    const half_t *vp = v + ((size_t)b * kv_len) * stride + (size_t)h * D + lane * E;
    float qr[G][E], acc[G][E], m[G], l[G];
#pragma unroll
    for (int g = 0; g < G; g++) {
        load_row<E>(q + (((size_t)b * kv_heads + h) * G + g) * D + lane * E, qr[g]);
        m[g] = -INFINITY;
        l[g] = 0;
#pragma unroll
        for (int i = 0; i < E; i++)
            qr[g][i] *= factor, acc[g][i] = 0;
    }
    /* the trip count is the block's: all lanes take part in every shuffle */
    for (int t0 = begin; t0 < end; t0 += GROUPS) {
        int t = t0 + group;
        bool live = t < end;
        float kr[E], vr[E];
        load_row<E>(kp + (size_t)(live ? t : begin) * stride, kr);
        load_row<E>(vp + (size_t)(live ? t : begin) * stride, vr);
#pragma unroll
        for (int g = 0; g < G; g++) {
            float s = 0;
#pragma unroll
            for (int i = 0; i < E; i++)
                s += qr[g][i] * kr[i];
#pragma unroll
            for (int d = LANES / 2; d; d /= 2)
                s += __shfl_xor_sync(~0u, s, d);
            if (!live)
                continue;
            float now = fmaxf(m[g], s), keep = exp2f(m[g] - now), p = exp2f(s - now);
            l[g] = l[g] * keep + p;
            m[g] = now;
#pragma unroll
            for (int i = 0; i < E; i++)
                acc[g][i] = acc[g][i] * keep + p * vr[i];
        }
    }
    __shared__ float sm[GROUPS], sl[GROUPS], so[GROUPS][D];
#pragma unroll
    for (int g = 0; g < G; g++) {
        __syncthreads();
        if (lane == 0)
            sm[group] = m[g], sl[group] = l[g];
#pragma unroll
        for (int i = 0; i < E; i++)
            so[group][lane * E + i] = acc[g][i];
        __syncthreads();
        float best = -INFINITY, sum = 0;
        for (int j = 0; j < GROUPS; j++)
            best = fmaxf(best, sm[j]);
        for (int j = 0; j < GROUPS; j++)
            sum += sl[j] * (best == -INFINITY ? 0 : exp2f(sm[j] - best));
        float *to =
            part + ((((size_t)b * kv_heads + h) * G + g) * splits + split) * (D + 2);
        for (int i = threadIdx.x; i < D; i += DEC_THREADS) {
            float o = 0;
            for (int j = 0; j < GROUPS; j++)
                o += so[j][i] * (best == -INFINITY ? 0 : exp2f(sm[j] - best));
            to[i] = o;
        }
        if (threadIdx.x == 0)
            to[D] = best, to[D + 1] = sum;
    }
}

/* one block a query head */
template <int D> __global__ void combine(const float *part, half_t *out, int splits)
{
    const float *p = part + (size_t)blockIdx.x * splits * (D + 2);
    float best = -INFINITY, sum = 0, o = 0;
    for (int s = 0; s < splits; s++)
        best = fmaxf(best, p[s * (D + 2) + D]);
    for (int s = 0; s < splits; s++) {
        float w = exp2f(p[s * (D + 2) + D] - best);
        sum += w * p[s * (D + 2) + D + 1];
        o += w * p[s * (D + 2) + threadIdx.x];
    }
    out[(size_t)blockIdx.x * D + threadIdx.x] = __float2half(o / sum);
}

/* cases. par: 0 batch, 1 q_len, 2 kv_len, 3 heads, 4 kv_heads, 5 D, 6 window, 7 splits */

struct attention {
    half_t *q, *k, *v, *o;
    float *part;
};

static const int head_shapes[][3] = {{32, 8, 128}, {32, 8, 64},   {14, 2, 64},
                                     {12, 2, 128}, {32, 32, 128}, {32, 4, 128}};
enum { NHEADS = sizeof head_shapes / sizeof *head_shapes };

static bool attention_case(struct mb_env *e, struct mb_case *c, long batch, long q_len,
                           long kv_len, const int *h, long window)
{
    double kv = 2.0 * batch * kv_len * h[1] * h[2] * 2,
           q = 2.0 * batch * q_len * h[0] * h[2] * 2;
    if (kv + q + 64e6 > (double)e->arena_bytes * 0.9)
        return false;
    c->par[0] = batch, c->par[1] = q_len, c->par[2] = kv_len, c->par[3] = h[0];
    c->par[4] = h[1], c->par[5] = h[2], c->par[6] = window;
    c->dtype = "fp16";
    c->impl = "rooflint";
    c->runtime = "rooflint-bench";
    c->bytes = kv + q;
    snprintf(c->size, sizeof c->size,
             "batch=%ld q_len=%ld kv_len=%ld heads=%d kv_heads=%d head_dim=%d window=%ld "
             "dtype=fp16 kv_dtype=fp16",
             batch, q_len, kv_len, h[0], h[1], h[2], window);
    return true;
}

static int prefill_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const long lens[] = {128, 512, 2048, 4096, 8192, 16384, 32768};
    static const long batches[] = {1, 4};
    int s = i / 28, b = i / 14 % 2, w = i / 7 % 2, t = i % 7;
    if (s >= NHEADS)
        return 0;
    long len = lens[t], window = w ? 1024 : 0;
    const int *h = head_shapes[s];
    /* 86 KiB of shared memory at head dimension 128: Turing has 64 */
    if ((h[2] == 128 && e->cc == 75) || (w && (len <= 1024 || s || b)) ||
        (b && len > 8192))
        return -1;
    *quick = s == 0 && !b && !w && (len == 2048 || len == 8192);
    if (!attention_case(e, c, batches[b], len, len, h, window))
        return -1;
    c->op = "attention_prefill";
    c->mode = "warm";
    c->what = MB_FLOP_RATE;
    double pairs = window ? (double)len * window - 0.5 * window * (double)window
                          : 0.5 * (double)len * (double)len;
    c->flop = 4.0 * batches[b] * h[0] * h[2] * pairs;
    c->limit = gpu_flop_per_clk(e->cc, "fp16", 32) * e->sms * e->hz;
    return 1;
}

static int take(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct attention *a = (struct attention *)calloc(1, sizeof *a);
    if (!a)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = a;
    struct gpu_cut cut = gpu_cut_all(e);
    double q = (double)c->par[0] * c->par[1] * c->par[3] * c->par[5],
           kv = (double)c->par[0] * c->par[2] * c->par[4] * c->par[5];
    a->q = gpu_take<half_t>(&cut, q);
    a->o = gpu_take<half_t>(&cut, q);
    a->part = gpu_take<float>(&cut, (double)c->par[0] * c->par[3] * c->par[7] *
                                        (c->par[5] + 2));
    a->k = gpu_take<half_t>(&cut, kv);
    a->v = gpu_take<half_t>(&cut, kv);
    if (!a->q || !a->o || !a->part || !a->k || !a->v)
        return gpu_no_room(err);
    return gpu_fill(e, a->q, q, GPU_FP16, 1, err) ||
                   gpu_fill(e, a->k, kv, GPU_FP16, 1, err) ||
                   gpu_fill(e, a->v, kv, GPU_FP16, 1, err)
               ? -1
               : 0;
}

static float factor_of(const struct mb_case *c)
{
    return 1.44269504f / sqrtf((float)c->par[5]); /* scores in base two */
}

static void prefill_launch(struct mb_env *e, const struct mb_case *c)
{
    struct attention *a = (struct attention *)c->state;
    dim3 grid((unsigned)((c->par[1] + BM - 1) / BM), (unsigned)c->par[3],
              (unsigned)c->par[0]);
#define GO(D)                                                                            \
    prefill<D><<<grid, PRE_THREADS, sizeof(prefill_smem<D>), e->stream>>>(               \
        a->q, a->k, a->v, a->o, (int)c->par[3], (int)c->par[4], (int)c->par[1],          \
        (int)c->par[2], (int)c->par[6], factor_of(c))
    if (c->par[5] == 64)
        GO(64);
    else
        GO(128);
#undef GO
}

static int prefill_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    if (take(e, c, err))
        return -1;
    if (c->par[5] == 64)
        GPU_TRY(cudaFuncSetAttribute(prefill<64>,
                                     cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     (int)sizeof(prefill_smem<64>)));
    else
        GPU_TRY(cudaFuncSetAttribute(prefill<128>,
                                     cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     (int)sizeof(prefill_smem<128>)));
    prefill_launch(e, c);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("attention_prefill", err);
}

/* One query of one head in doubles on the host. */
static int check_query(struct mb_env *e, struct mb_case *c, long query, long head,
                       struct rl_error *err)
{
    struct attention *a = (struct attention *)c->state;
    long b = c->par[0] - 1, q_len = c->par[1], kv = c->par[2], D = c->par[5];
    long kvh = head / (c->par[3] / c->par[4]), row = c->par[4] * D;
    size_t n = (size_t)kv * (size_t)row;
    float *k = (float *)malloc(n * sizeof *k), *v = (float *)malloc(n * sizeof *v),
          q[256], got[256];
    double *p = (double *)malloc((size_t)kv * sizeof *p), best = -HUGE_VAL, sum = 0;
    int rc = !k || !v || !p ? rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory") : 0;
    size_t at = (((size_t)b * q_len + query) * c->par[3] + head) * D;
    rc = rc || gpu_fetch(e, a->q + at, (size_t)D, GPU_FP16, q, err) ||
         gpu_fetch(e, a->o + at, (size_t)D, GPU_FP16, got, err) ||
         gpu_fetch(e, a->k + b * n, n, GPU_FP16, k, err) ||
         gpu_fetch(e, a->v + b * n, n, GPU_FP16, v, err);
    long last = kv - q_len + query, first = c->par[6] > 0 ? last - c->par[6] + 1 : 0;
    first = first < 0 ? 0 : first;
    for (long t = first; !rc && t <= last; t++) {
        p[t] = 0;
        for (long i = 0; i < D; i++)
            p[t] += (double)q[i] * (double)k[t * row + kvh * D + i];
        p[t] /= sqrt((double)D);
        best = fmax(best, p[t]);
    }
    for (long t = first; !rc && t <= last; t++)
        sum += p[t] = exp(p[t] - best);
    for (long i = 0; !rc && i < D; i += 17) {
        double want = 0;
        for (long t = first; t <= last; t++)
            want += p[t] / sum * (double)v[t * row + kvh * D + i];
        rc = gpu_expect("output", (double)got[i], want, 1, 5e-3, err);
    }
    free(k);
    free(v);
    free(p);
    return rc ? -1 : 0;
}

/* Large shapes are as right as small ones of the same code: above 64 Mi cache
 * elements a sequence the host would take too long. */
static int prefill_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    if ((double)c->par[2] * c->par[4] * c->par[5] > 64e6)
        return 0;
    return check_query(e, c, c->par[1] - 1, c->par[3] - 1, err) ||
                   check_query(e, c, c->par[1] / 3, 0, err) ||
                   check_query(e, c, 0, 1, err)
               ? -1
               : 0;
}

static double prefill_run(struct mb_env *e, struct mb_case *c, long reps,
                          struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { prefill_launch(e, c); });
}

static void teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    free(c->state);
}

GPU_ITEM(attention_prefill, "own causal attention, prompt", true, prefill_make,
         prefill_setup, prefill_check, prefill_run, teardown)

/* decode */

static int decode_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const long lens[] = {512, 2048, 8192, 32768, 131072};
    static const long batches[] = {1, 4, 16, 64};
    int s = i / 20, b = i / 5 % 4, t = i % 5;
    if (s >= NHEADS)
        return 0;
    const int *h = head_shapes[s];
    if (!attention_case(e, c, batches[b], 1, lens[t], h, 0))
        return -1;
    *quick = s == 0 && ((b == 0 && (t == 1 || t == 3)) || (b == 2 && t == 2));
    long want = 4 * e->sms / (batches[b] * h[1]);
    long splits = want < 1 ? 1 : want > 256 ? 256 : want;
    if (splits > lens[t] / 32)
        splits = lens[t] / 32;
    c->par[7] = splits;
    c->op = "attention_decode";
    c->mode = c->bytes > 4 * e->l2_bytes ? "cold" : "warm";
    c->what = MB_BYTES_RATE;
    c->flop = 4.0 * batches[b] * h[0] * h[2] * (double)lens[t];
    c->limit = c->bytes > 4 * e->l2_bytes ? e->dram_peak : 128.0 * e->sms * e->hz;
    return 1;
}

static void decode_launch(struct mb_env *e, const struct mb_case *c)
{
    struct attention *a = (struct attention *)c->state;
    int kvh = (int)c->par[4], g = (int)(c->par[3] / c->par[4]), splits = (int)c->par[7];
    dim3 grid((unsigned)splits, (unsigned)kvh, (unsigned)c->par[0]);
    unsigned heads = (unsigned)(c->par[0] * c->par[3]);
#define GO(D, G, LANES)                                                                  \
    if (c->par[5] == D && g == G) {                                                      \
        decode<D, G, LANES><<<grid, DEC_THREADS, 0, e->stream>>>(                        \
            a->q, a->k, a->v, a->part, kvh, (int)c->par[2], splits, factor_of(c));       \
        combine<D><<<heads, D, 0, e->stream>>>(a->part, a->o, splits);                   \
    }
    GO(128, 1, 8)
    GO(128, 4, 16)
    GO(128, 6, 16)
    GO(128, 8, 16)
    GO(64, 4, 8)
    GO(64, 7, 8)
#undef GO
}

static int decode_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    if (take(e, c, err))
        return -1;
    decode_launch(e, c);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("attention_decode", err);
}

static int decode_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    if ((double)c->par[2] * c->par[4] * c->par[5] > 64e6)
        return 0;
    return check_query(e, c, 0, c->par[3] - 1, err) || check_query(e, c, 0, 1, err) ? -1
                                                                                    : 0;
}

static double decode_run(struct mb_env *e, struct mb_case *c, long reps,
                         struct rl_error *err)
{
    return gpu_timed(
        e, reps, err, [&] { decode_launch(e, c); }, 2);
}

GPU_ITEM(attention_decode, "own split-cache attention, one token", true, decode_make,
         decode_setup, decode_check, decode_run, teardown)
