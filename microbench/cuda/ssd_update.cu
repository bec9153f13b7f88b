/* Mamba-2's one-token state update.
 *
 *   h[p,n] ← exp(Δ a) h[p,n] + Δ B[n] x[p],  y = Σn C[n] h[p,n]
 */
#include "scan.h"

#include <math.h>

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

/* Mamba-2: par 2 heads, 3 P, 4 groups; N = 128 */

static const int heads2[][3] = {
    {24, 64, 1}, {48, 64, 1}, {64, 64, 1}, {80, 64, 1}, {128, 64, 8}};

static int update2_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int s = i / 10, b = i / 2 % 5, half = i % 2;
    if (s >= 5)
        return 0;
    long batch = scan_batches[b];
    const int *h = heads2[s];
    *quick = s == 2 && (b == 0 || b == 3) && !half;
    c->par[0] = batch, c->par[1] = 1, c->par[2] = h[0], c->par[3] = h[1],
    c->par[4] = h[2];
    snprintf(c->size, sizeof c->size,
             "batch=%ld seq_len=1 heads=%d head_dim=%d state=128 groups=%d chunk=256 "
             "dtype=bf16 state_dtype=%s",
             batch, h[0], h[1], h[2], half ? "bf16" : "fp32");
    return scan_update_case(e, c, "ssd_update", (double)batch * h[0] * h[1] * 128,
                            (double)batch * (h[0] * h[1] * 4.0 + h[2] * 512.0), 5, half);
}

static void update2_launch(struct mb_env *e, const struct mb_case *c)
{
    struct scan_state *s = (struct scan_state *)c->state;
    int heads = (int)c->par[2], P = (int)c->par[3], groups = (int)c->par[4];
    dim3 grid((unsigned)((heads * P + 3) / 4), (unsigned)c->par[0]);
    void *h = scan_state_copy(e, s);
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
    if (scan_take(e, c, &s, err))
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
                   scan_fill_squared(e, s->A, H, 1, -1, -0.5f, err) ||
                   scan_fill_squared(e, s->f, b * H, 0.3f, 1, 0.01f, err) ||
                   scan_fill_state(e, s, c, b * H * P * 128, &cut, err)
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
         update2_check, update2_run, scan_teardown)
