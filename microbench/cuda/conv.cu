/* The causal convolution of width 4 of Mamba and its relatives: a prompt, and one
 * token with the last three inputs kept as state. */
#include "scan.h"

#include <math.h>

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

/* One token: state [batch][3][D] holds the last three inputs, the oldest first, and
 * moves on by one; x, y [batch][D]. */
__global__ void conv4_update(bf16 *state, const bf16 *x, const float *w, bf16 *y, int D)
{
    int d = blockIdx.x * blockDim.x + threadIdx.x, b = blockIdx.y;
    if (d >= D)
        return;
    bf16 *p = state + (size_t)b * 3 * D + d;
    bf16 one = p[D], two = p[2 * D], in = x[(size_t)b * D + d];
    float sum = w[d] * __bfloat162float(p[0]) + w[D + d] * __bfloat162float(one) +
                w[2 * D + d] * __bfloat162float(two) +
                w[3 * D + d] * __bfloat162float(in);
    y[(size_t)b * D + d] = __float2bfloat16(sum);
    p[0] = one;
    p[D] = two;
    p[2 * D] = in;
}

static const int channels[] = {1536, 1792, 4096, 4352, 8192};
enum { NCHANNELS = sizeof channels / sizeof *channels };

/* convolution: par 2 channels */

static int conv_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    static const long lens[] = {128, 512, 2048, 8192, 32768};
    int s = i / 5, t = i % 5;
    if (s >= NCHANNELS)
        return 0;
    double n = (double)channels[s] * lens[t];
    *quick = s == 3 && t >= 2 && t < 4;
    if (n * 4 + 64e6 > 0.9 * (double)e->arena_bytes)
        return -1;
    c->par[0] = 1, c->par[1] = lens[t], c->par[2] = channels[s];
    double bytes = n * 4 + channels[s] * 16.0;
    bool cold = bytes > 4 * e->l2_bytes;
    c->mode = cold ? "cold" : "warm";
    scan_common(c, "conv1d", bytes, n * 8, cold ? e->dram_peak : 128.0 * e->sms * e->hz);
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
    if (scan_take(e, c, &s, err))
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
         conv_check, conv_run, scan_teardown)

/* update: states rotate over more than the L2 */

static int update_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / 5, b = i % 5;
    if (s >= NCHANNELS)
        return 0;
    long batch = scan_batches[b], D = channels[s];
    *quick = s == 3 && (b == 0 || b == 3);
    c->par[0] = batch, c->par[1] = 1, c->par[2] = D;
    snprintf(c->size, sizeof c->size,
             "batch=%ld seq_len=1 channels=%ld width=4 dtype=bf16", batch, D);
    return scan_update_case(e, c, "conv1d_update", 3.0 * (double)(batch * D),
                            4.0 * (double)(batch * D) + 16.0 * (double)D, 2, 1);
}

static void update_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    int D = (int)c->par[2];
    dim3 grid((unsigned)((D + 127) / 128), (unsigned)c->par[0]);
    conv4_update<<<grid, 128, 0, e->stream>>>((bf16 *)scan_state_copy(e, s), s->x, s->A,
                                              s->y, D);
}

static int update_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = NULL;
    if (scan_take(e, c, &s, err))
        return -1;
    struct gpu_cut cut = gpu_cut_all(e);
    double D = (double)c->par[2], n = (double)c->par[0] * D;
    s->A = gpu_take<float>(&cut, 4 * D);
    s->x = gpu_take<bf16>(&cut, n);
    s->y = gpu_take<bf16>(&cut, n);
    if (!s->A || !s->x || !s->y)
        return gpu_no_room(err);
    return gpu_fill(e, s->x, n, GPU_BF16, 1, err) ||
                   gpu_fill(e, s->A, 4 * D, GPU_FP32, 0.5f, err) ||
                   scan_fill_state(e, s, c, 3 * n, &cut, err)
               ? -1
               : 0;
}

/* The last channel of the last sequence: its output, and the state moved on. */
static int update_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct scan_state *s = (struct scan_state *)c->state;
    size_t D = (size_t)c->par[2], last = (size_t)c->par[0] * D - 1;
    const bf16 *state = (const bf16 *)s->h + ((size_t)c->par[0] - 1) * 3 * D + D - 1;
    float in[4], now, w, y;
    double want = 0, scale = 1e-3;
    for (size_t k = 0; k < 3; k++)
        if (gpu_fetch(e, state + k * D, 1, GPU_BF16, &in[k], err))
            return -1;
    if (gpu_fetch(e, s->x + last, 1, GPU_BF16, &in[3], err))
        return -1;
    e->turn = 0;
    update_launch(e, c);
    for (size_t k = 0; k < 4; k++) {
        if (gpu_fetch(e, s->A + (k + 1) * D - 1, 1, GPU_FP32, &w, err))
            return -1;
        want += (double)w * (double)in[k];
        scale += fabs((double)w * (double)in[k]);
    }
    if (gpu_launched("conv1d_update", err) ||
        gpu_fetch(e, s->y + last, 1, GPU_BF16, &y, err) ||
        gpu_expect("y", (double)y, want, scale, 8e-3, err))
        return -1;
    for (size_t k = 0; k < 3; k++)
        if (gpu_fetch(e, state + k * D, 1, GPU_BF16, &now, err) ||
            gpu_expect("state", (double)now, (double)in[k + 1], 1, 0, err))
            return -1;
    return 0;
}

static double update_run(struct mb_env *e, struct mb_case *c, long reps,
                         struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { update_launch(e, c); });
}

GPU_ITEM(conv1d_update, "own causal convolution, one token", true, update_make,
         update_setup, update_check, update_run, scan_teardown)
