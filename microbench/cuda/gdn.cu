/* The gated delta rule token by token, and its one-token update.
 *
 *   S ← g S;  u = β (v − S k);  S ← S + u kᵀ;  y = S q
 */
#include "scan.h"

#include <math.h>

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
    int made = scan_update_case(e, c, op, elems, small, 7, half);
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
    return gdn_case(e, c, s, scan_batches[b], 1, half, "gdn_update");
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
    void *h = scan_state_copy(e, s);
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
    if (scan_take(e, c, &s, err))
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
                   scan_fill_squared(e, s->f, n * vh, 0.2f, -1, 1.0f, err) ||
                   scan_fill_squared(e, s->f2, n * vh, 0.3f, 1, 0.1f, err) ||
                   scan_fill_state(e, s, c, (double)c->par[0] * vh * 128 * 128, &cut, err)
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
         gdn_check, gdn_run, scan_teardown)
GPU_ITEM(gdn_scan, "own gated delta rule, token by token", true, gdn_scan_make, gdn_setup,
         gdn_check, gdn_run, scan_teardown)
