/* Mamba-2's state space duality in chunks (Dao and Gu 2024), as the five kernels
 * that mamba_ssm's ssd_combined runs, each with plain 64 × 64 tensor-core tiles:
 *
 *   cumsum         a(t) = Σ Δ A log₂e inside the chunk
 *   chunk_state    S[p,n] = Σt x[t,p] Δ(t) 2^(a(end) − a(t)) B[t,n]
 *   state_passing  states at the chunks' starts, one chunk after another
 *   bmm            CB[t,s] = Σn C[t,n] B[s,n]
 *   chunk_scan     y[t,p] = Σs≤t CB[t,s] 2^(a(t) − a(s)) Δ(s) x[s,p]
 *                           + 2^a(t) Σn C[t,n] S[p,n]
 *
 * ssd_scan times all five, ssd_parts one at a time.  Reference quality: what a
 * tuned library gets is timed by realrun/ops_torch.py. */
#include "gpu.h"

#include <math.h>
#include <mma.h>

using namespace nvcuda;
typedef __nv_bfloat16 bf16;

struct ssd {              /* shapes as in the formulas; N states, Q tokens a chunk */
    const bf16 *x;        /* [batch][L][H][P] */
    const float *dt, *A;  /* [batch][L][H], [H] */
    const bf16 *B, *C;    /* [batch][L][G][N] */
    float *cum;           /* [batch][H][L] */
    float *state, *start; /* [batch][chunks][H][P][N]: of a chunk alone; at its start */
    float *cb;            /* [batch][chunks][G][Q][Q] */
    bf16 *y;              /* [batch][L][H][P] */
    int batch, L, H, P, G, N, Q, chunks;
};

enum { TM = 64, TN = 64, TK = 32, SKEW = 8, THREADS = 128 };

/* One 64 × 64 tile of a product over K; la(row, k), lb(k, col) give elements,
 * st(row, col, value) takes the result.  A_K: neighbouring threads load
 * neighbouring k of A (else rows); B_N: neighbouring columns of B (else k). */
template <bool A_K, bool B_N, class LA, class LB, class ST>
__device__ static void gemm_tile(int K, LA la, LB lb, ST st)
{
#if __CUDA_ARCH__ >= 800
    __shared__ __align__(128) bf16 a[TM][TK + SKEW];
    __shared__ __align__(128) bf16 b[TK][TN + SKEW];
    __shared__ __align__(128) float out[TM][TN + SKEW];
    int warp = threadIdx.x / 32;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc[TN / 16];
    for (int j = 0; j < TN / 16; j++)
        wmma::fill_fragment(acc[j], 0.0f);
    for (int k0 = 0; k0 < K; k0 += TK) {
        for (int i = threadIdx.x; i < TM * TK; i += THREADS) {
            int r = A_K ? i / TK : i % TM, k = A_K ? i % TK : i / TM;
            a[r][k] = __float2bfloat16(la(r, k0 + k));
        }
        for (int i = threadIdx.x; i < TK * TN; i += THREADS) {
            int k = B_N ? i / TN : i % TK, c = B_N ? i % TN : i / TK;
            b[k][c] = __float2bfloat16(lb(k0 + k, c));
        }
        __syncthreads();
        for (int k = 0; k < TK; k += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, wmma::row_major> fa;
            wmma::load_matrix_sync(fa, &a[16 * warp][k], TK + SKEW);
            for (int j = 0; j < TN / 16; j++) {
                wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::row_major> fb;
                wmma::load_matrix_sync(fb, &b[k][16 * j], TN + SKEW);
                wmma::mma_sync(acc[j], fa, fb, acc[j]);
            }
        }
        __syncthreads();
    }
    for (int j = 0; j < TN / 16; j++)
        wmma::store_matrix_sync(&out[16 * warp][16 * j], acc[j], TN + SKEW,
                                wmma::mem_row_major);
    __syncthreads();
    for (int i = threadIdx.x; i < TM * TN; i += THREADS)
        st(i / TN, i % TN, out[i / TN][i % TN]);
#else
    (void)K, (void)la, (void)lb, (void)st;
#endif
}

/* grid: chunks, H, batch; Q threads */
__global__ void cumsum(struct ssd s)
{
    extern __shared__ float sum[];
    int c = blockIdx.x, h = blockIdx.y, b = blockIdx.z, i = threadIdx.x, t = c * s.Q + i;
    sum[i] = t < s.L ? s.dt[((size_t)b * s.L + t) * s.H + h] * s.A[h] * 1.44269504f : 0;
    for (int d = 1; d < s.Q; d *= 2) {
        __syncthreads();
        float v = i >= d ? sum[i - d] : 0;
        __syncthreads();
        sum[i] += v;
    }
    if (t < s.L)
        s.cum[((size_t)b * s.H + h) * s.L + t] = sum[i];
}

/* grid: chunks × H (the dimension without a limit of 65535), tiles of (P, N), batch */
__global__ void __launch_bounds__(THREADS) chunk_state(struct ssd s)
{
    int tn = (s.N + TN - 1) / TN, p0 = blockIdx.y / tn * TM, n0 = blockIdx.y % tn * TN;
    int c = blockIdx.x / s.H, h = blockIdx.x % s.H, b = blockIdx.z, g = h / (s.H / s.G);
    const float *cum = s.cum + ((size_t)b * s.H + h) * s.L + c * s.Q;
    float end = cum[s.Q - 1];
    size_t t0 = (size_t)b * s.L + c * s.Q;
    float *to = s.state + (((size_t)b * s.chunks + c) * s.H + h) * s.P * s.N;
    gemm_tile<false, true>(
        s.Q,
        [&](int r, int t) {
            float x = __bfloat162float(s.x[((t0 + t) * s.H + h) * s.P + p0 + r]);
            return x * s.dt[(t0 + t) * s.H + h] * exp2f(end - cum[t]);
        },
        [&](int t, int n) {
            return __bfloat162float(s.B[((t0 + t) * s.G + g) * s.N + n0 + n]);
        },
        [&](int r, int n, float v) { to[(size_t)(p0 + r) * s.N + n0 + n] = v; });
}

/* grid: P·N / 256, H, batch */
__global__ void state_passing(struct ssd s)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x, h = blockIdx.y, b = blockIdx.z;
    size_t each = (size_t)s.P * s.N;
    if (i >= (int)each)
        return;
    const float *cum = s.cum + ((size_t)b * s.H + h) * s.L;
    float carry = 0;
    for (int c = 0; c < s.chunks; c++) {
        size_t at = (((size_t)b * s.chunks + c) * s.H + h) * each + i;
        s.start[at] = carry;
        carry = carry * exp2f(cum[(size_t)c * s.Q + s.Q - 1]) + s.state[at];
    }
}

/* grid: chunks × G, tiles of (Q, Q), batch; tiles above the diagonal are left */
__global__ void __launch_bounds__(THREADS) bmm(struct ssd s)
{
    int tq = s.Q / TN, r0 = blockIdx.y / tq * TM, s0 = blockIdx.y % tq * TN;
    int c = blockIdx.x / s.G, g = blockIdx.x % s.G, b = blockIdx.z;
    if (s0 > r0)
        return;
    size_t t0 = (size_t)b * s.L + c * s.Q;
    float *to = s.cb + (((size_t)b * s.chunks + c) * s.G + g) * s.Q * s.Q;
    gemm_tile<true, false>(
        s.N,
        [&](int r, int n) {
            return __bfloat162float(s.C[((t0 + r0 + r) * s.G + g) * s.N + n]);
        },
        [&](int n, int k) {
            return __bfloat162float(s.B[((t0 + s0 + k) * s.G + g) * s.N + n]);
        },
        [&](int r, int k, float v) { to[(size_t)(r0 + r) * s.Q + s0 + k] = v; });
}

/* grid: chunks × H, tiles of (Q, P), batch; first over the earlier tokens of the
 * chunk, then over the states */
__global__ void __launch_bounds__(THREADS) chunk_scan(struct ssd s)
{
    int tp = (s.P + TN - 1) / TN, r0 = blockIdx.y / tp * TM, p0 = blockIdx.y % tp * TN;
    int c = blockIdx.x / s.H, h = blockIdx.x % s.H, b = blockIdx.z, g = h / (s.H / s.G);
    const float *cum = s.cum + ((size_t)b * s.H + h) * s.L + c * s.Q;
    const float *cb = s.cb + (((size_t)b * s.chunks + c) * s.G + g) * s.Q * s.Q;
    const float *state = s.start + (((size_t)b * s.chunks + c) * s.H + h) * s.P * s.N;
    size_t t0 = (size_t)b * s.L + c * s.Q;
    int tokens = r0 + TM;
    gemm_tile<true, true>(
        tokens + s.N,
        [&](int r, int k) {
            int t = r0 + r;
            if (k >= tokens)
                return exp2f(cum[t]) *
                       __bfloat162float(s.C[((t0 + t) * s.G + g) * s.N + k - tokens]);
            if (k > t)
                return 0.0f;
            return cb[(size_t)t * s.Q + k] * exp2f(cum[t] - cum[k]) *
                   s.dt[(t0 + k) * s.H + h];
        },
        [&](int k, int p) {
            if (k >= tokens)
                return state[(size_t)(p0 + p) * s.N + k - tokens];
            return __bfloat162float(s.x[((t0 + k) * s.H + h) * s.P + p0 + p]);
        },
        [&](int r, int p, float v) {
            s.y[((t0 + r0 + r) * s.H + h) * s.P + p0 + p] = __float2bfloat16(v);
        });
}

enum { P_CUMSUM, P_STATE, P_PASS, P_BMM, P_SCAN, NPARTS };
static const char *const part_names[NPARTS] = {"cumsum", "chunk_state", "state_passing",
                                               "bmm", "chunk_scan"};

static void part(struct mb_env *e, const struct ssd *s, int which)
{
    unsigned c = (unsigned)s->chunks, H = (unsigned)s->H, G = (unsigned)s->G,
             b = (unsigned)s->batch, q = (unsigned)s->Q / TM, p = (unsigned)s->P / TM,
             n = (unsigned)s->N / TN;
    switch (which) {
    case P_CUMSUM:
        cumsum<<<dim3(c, H, b), (unsigned)s->Q, sizeof(float) * s->Q, e->stream>>>(*s);
        break;
    case P_STATE:
        chunk_state<<<dim3(c * H, p * n, b), THREADS, 0, e->stream>>>(*s);
        break;
    case P_PASS:
        state_passing<<<dim3((unsigned)(s->P * s->N + 255) / 256, H, b), 256, 0,
                        e->stream>>>(*s);
        break;
    case P_BMM:
        bmm<<<dim3(c * G, q * q, b), THREADS, 0, e->stream>>>(*s);
        break;
    default:
        chunk_scan<<<dim3(c * H, q * p, b), THREADS, 0, e->stream>>>(*s);
    }
}

/* cases. par: 0 batch, 1 L, 2 H, 3 P, 4 G, 5 N, 6 Q, 7 part (NPARTS: all) */

static const int shapes[][5] = {/* H P G N Q */
                                {24, 64, 1, 128, 256}, {48, 64, 1, 128, 256},
                                {64, 64, 1, 128, 256}, {128, 64, 8, 128, 256},
                                {24, 64, 1, 256, 256}, {64, 64, 1, 64, 256},
                                {64, 64, 1, 128, 128}, {64, 64, 1, 128, 64}};
enum { NSHAPES = sizeof shapes / sizeof *shapes };

static double cb_elems(const long *p)
{
    return (double)p[0] * p[1] * p[4] * p[6];
}

static double state_elems(const long *p)
{
    return (double)p[0] * (double)(p[1] / p[6]) * p[2] * p[3] * p[5];
}

static double flop_of(const long *p, int which)
{
    double tok = (double)p[0] * p[1], H = (double)p[2], P = (double)p[3],
           G = (double)p[4], N = (double)p[5], Q = (double)p[6];
    switch (which) {
    case P_STATE:
        return 2 * tok * H * P * N;
    case P_PASS:
        return 2 * state_elems(p);
    case P_BMM:
        return tok * G * N * Q; /* the lower triangle */
    case P_SCAN:
        return tok * H * P * Q + 2 * tok * H * P * N;
    default:
        return 2 * tok * H;
    }
}

static double bytes_of(const long *p, int which)
{
    double tok = (double)p[0] * p[1], x = tok * p[2] * p[3] * 2,
           bc = tok * p[4] * p[5] * 2, dt = tok * p[2] * 4, st = state_elems(p) * 4,
           cb = cb_elems(p) * 4;
    switch (which) {
    case P_CUMSUM:
        return 2 * dt;
    case P_STATE:
        return x + bc + 2 * dt + st;
    case P_PASS:
        return 2 * st;
    case P_BMM:
        return 2 * bc + cb / 2;
    default:
        return 2 * x + bc + 2 * dt + st + cb / 2;
    }
}

static int ssd_case(struct mb_env *e, struct mb_case *c, int shape, long batch, long L,
                    int which)
{
    const int *h = shapes[shape];
    long *p = c->par;
    if (e->cc < 80 || L < h[4])
        return -1;
    p[0] = batch, p[1] = L, p[7] = which;
    for (int i = 0; i < 5; i++)
        p[2 + i] = h[i];
    double tok = (double)batch * L;
    double need = tok * h[0] * h[1] * 4 + tok * h[2] * h[3] * 4 + tok * h[0] * 8 +
                  8 * state_elems(p) + 4 * cb_elems(p);
    if (need + 64e6 > 0.9 * (double)e->arena_bytes)
        return -1;
    c->dtype = "bf16";
    c->mode = need > 4 * e->l2_bytes ? "cold" : "warm";
    bool vector = which == P_CUMSUM || which == P_PASS; /* no matrices: bytes tell */
    c->what = vector ? MB_BYTES_RATE : MB_FLOP_RATE;
    c->limit = vector ? 128.0 * e->sms * e->hz
                      : gpu_flop_per_clk(e->cc, "bf16", 32) * e->sms * e->hz;
    for (int i = 0; i < NPARTS; i++)
        if (which == NPARTS || which == i) {
            c->flop += flop_of(p, i);
            c->bytes += bytes_of(p, i);
        }
    snprintf(c->size, sizeof c->size,
             "batch=%ld seq_len=%ld heads=%d head_dim=%d state=%d groups=%d chunk=%d "
             "dtype=bf16 state_dtype=fp32",
             batch, L, h[0], h[1], h[3], h[2], h[4]);
    return 1;
}

static const long lens[] = {512, 2048, 8192, 32768, 131072};

static int scan_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / 10, b = i / 5 % 2, t = i % 5;
    if (s >= NSHAPES)
        return 0;
    *quick = (s == 0 || s == 2) && !b && (t == 1 || t == 2);
    c->op = "ssd_scan";
    c->impl = "rooflint";
    c->runtime = "rooflint-bench";
    return b && t > 2 ? -1 : ssd_case(e, c, s, b ? 8 : 1, lens[t], NPARTS);
}

static int parts_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const int of[] = {0, 2, 3};
    int s = i / (NPARTS * 4), t = i / NPARTS % 4, which = i % NPARTS;
    if (s >= 3)
        return 0;
    *quick = s == 1 && t == 2;
    c->impl = part_names[which];
    return ssd_case(e, c, of[s], 1, lens[t], which);
}

static int ssd_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct ssd *s = (struct ssd *)calloc(1, sizeof *s);
    if (!s)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = s;
    const long *p = c->par;
    double tok = (double)p[0] * p[1], x = tok * p[2] * p[3], bc = tok * p[4] * p[5];
    struct gpu_cut cut = gpu_cut_all(e);
    bf16 *xs = gpu_take<bf16>(&cut, x), *B = gpu_take<bf16>(&cut, bc),
         *C = gpu_take<bf16>(&cut, bc);
    float *dt = gpu_take<float>(&cut, tok * p[2]), *A = gpu_take<float>(&cut, p[2]);
    s->y = gpu_take<bf16>(&cut, x);
    s->cum = gpu_take<float>(&cut, tok * p[2]);
    s->state = gpu_take<float>(&cut, state_elems(p));
    s->start = gpu_take<float>(&cut, state_elems(p));
    s->cb = gpu_take<float>(&cut, cb_elems(p));
    s->x = xs, s->B = B, s->C = C, s->dt = dt, s->A = A;
    s->batch = (int)p[0], s->L = (int)p[1], s->H = (int)p[2], s->P = (int)p[3];
    s->G = (int)p[4], s->N = (int)p[5], s->Q = (int)p[6], s->chunks = (int)(p[1] / p[6]);
    if (!xs || !B || !C || !dt || !A || !s->y || !s->cum || !s->state || !s->start ||
        !s->cb)
        return gpu_no_room(err);
    if (gpu_fill(e, xs, x, GPU_BF16, 1, err) || gpu_fill(e, B, bc, GPU_BF16, 0.3f, err) ||
        gpu_fill(e, C, bc, GPU_BF16, 0.3f, err))
        return -1;
    /* Δ of 0.02 to 0.1, A of −1 to −3: as trained models have */
    float *host = (float *)malloc(sizeof *host * (size_t)(tok * p[2]));
    if (!host)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    for (size_t i = 0; i < (size_t)(tok * p[2]); i++)
        host[i] = 0.02f + 0.08f * (float)(i * 2654435761u % 1000) / 1000;
    cudaError_t rc =
        cudaMemcpy(dt, host, sizeof *host * (size_t)(tok * p[2]), cudaMemcpyHostToDevice);
    for (long i = 0; i < p[2]; i++)
        host[i] = -1 - 2.0f * (float)i / (float)p[2];
    if (rc == cudaSuccess)
        rc = cudaMemcpy(A, host, sizeof *host * (size_t)p[2], cudaMemcpyHostToDevice);
    free(host);
    if (rc != cudaSuccess)
        return gpu_fail(err, rc, "uploading");
    for (int i = 0; i < NPARTS; i++)
        part(e, s, i);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("ssd", err);
}

/* The last element of the last head by the recurrence, token by token.  Parts
 * are checked through the whole. */
static int ssd_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct ssd *s = (struct ssd *)c->state;
    size_t L = (size_t)s->L, H = (size_t)s->H, P = (size_t)s->P, G = (size_t)s->G,
           N = (size_t)s->N, b = (size_t)s->batch - 1;
    if (L > 8192)
        return 0; /* the same code as at 8192 */
    for (int i = 0; i < NPARTS; i++)
        part(e, s, i);
    float *B = (float *)malloc(2 * L * G * N * sizeof *B), *C = B + L * G * N;
    float *x = (float *)malloc(L * H * P * sizeof *x),
          *dt = (float *)malloc(L * H * sizeof *dt);
    double *h = (double *)calloc(N, sizeof *h);
    float a, y;
    int rc =
        !B || !x || !dt || !h ? rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory") : 0;
    rc = rc || gpu_launched("ssd", err) ||
         gpu_fetch(e, s->B + b * L * G * N, L * G * N, GPU_BF16, B, err) ||
         gpu_fetch(e, s->C + b * L * G * N, L * G * N, GPU_BF16, C, err) ||
         gpu_fetch(e, s->x + b * L * H * P, L * H * P, GPU_BF16, x, err) ||
         gpu_fetch(e, s->dt + b * L * H, L * H, GPU_FP32, dt, err) ||
         gpu_fetch(e, s->A + H - 1, 1, GPU_FP32, &a, err);
    for (size_t t = 0; t < L && !rc; t++) {
        double want = 0, scale = 1e-3, d = (double)dt[t * H + H - 1],
               in = d * (double)x[(t * H + H - 1) * P + P - 1];
        const float *Bt = B + (t * G + G - 1) * N, *Ct = C + (t * G + G - 1) * N;
        for (size_t n = 0; n < N; n++) {
            h[n] = exp(d * (double)a) * h[n] + in * (double)Bt[n];
            want += h[n] * (double)Ct[n];
            scale += fabs(h[n] * (double)Ct[n]);
        }
        if (t % 97 != 0 && t + 1 != L)
            continue;
        rc = gpu_fetch(e, s->y + ((b * L + t) * H + H - 1) * P + P - 1, 1, GPU_BF16, &y,
                       err) ||
             gpu_expect("y", (double)y, want, scale, 1e-2, err);
    }
    free(B);
    free(x);
    free(dt);
    free(h);
    return rc ? -1 : 0;
}

static double scan_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    struct ssd *s = (struct ssd *)c->state;
    return gpu_timed(
        e, reps, err,
        [&] {
            for (int i = 0; i < NPARTS; i++)
                part(e, s, i);
        },
        NPARTS);
}

static double parts_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    struct ssd *s = (struct ssd *)c->state;
    return gpu_timed(e, reps, err, [&] { part(e, s, (int)c->par[7]); });
}

static void teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    free(c->state);
}

GPU_ITEM(ssd_scan, "own Mamba-2 chunked scan, five kernels", true, scan_make, ssd_setup,
         ssd_check, scan_run, teardown)
GPU_ITEM(ssd_parts, "the parts of the chunked scan", true, parts_make, ssd_setup,
         ssd_check, parts_run, teardown)
