/* What stands between the matrices: RMS norm with and without residual, add,
 * SiLU · mul, softmax over a row, rotary embedding, embedding gather.  A row a
 * block or a flat grid, 16-byte accesses, bf16 in and out. */
#include "gpu.h"

#include <math.h>

typedef __nv_bfloat16 bf16;
enum { THREADS = 256 };

__device__ static void load8(const bf16 *p, float *v)
{
    uint4 u4 = *(const uint4 *)p;
    const uint32_t u[4] = {u4.x, u4.y, u4.z, u4.w};
#pragma unroll
    for (int j = 0; j < 4; j++) {
        v[2 * j] = __uint_as_float(u[j] << 16);
        v[2 * j + 1] = __uint_as_float(u[j] & 0xffff0000u);
    }
}

__device__ static void store8(bf16 *p, const float *v)
{
    uint32_t u[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
        __nv_bfloat162 two = __floats2bfloat162_rn(v[2 * j], v[2 * j + 1]);
        memcpy(&u[j], &two, 4);
    }
    *(uint4 *)p = make_uint4(u[0], u[1], u[2], u[3]);
}

/* of the whole block, to every thread */
__device__ static float block_reduce(float x, bool maximum)
{
    __shared__ float part[THREADS / 32];
    for (int d = 16; d; d /= 2) {
        float o = __shfl_xor_sync(~0u, x, d);
        x = maximum ? fmaxf(x, o) : x + o;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = x;
    __syncthreads();
    float r = part[0];
    for (int i = 1; i < THREADS / 32; i++)
        r = maximum ? fmaxf(r, part[i]) : r + part[i];
    return r;
}

/* residual == NULL: y = norm(x) w; else x += residual (stored), then the norm */
__global__ void __launch_bounds__(THREADS)
    rms_norm(bf16 *x, const bf16 *residual, const bf16 *w, bf16 *y, int width)
{
    size_t row = (size_t)blockIdx.x * width;
    float sum = 0;
    for (int i = threadIdx.x * 8; i < width; i += THREADS * 8) {
        float v[8], r[8];
        load8(x + row + i, v);
        if (residual) {
            load8(residual + row + i, r);
            for (int j = 0; j < 8; j++)
                v[j] += r[j];
            store8(x + row + i, v);
            load8(x + row + i, v);
        }
        for (int j = 0; j < 8; j++)
            sum += v[j] * v[j];
    }
    float scale = rsqrtf(block_reduce(sum, false) / width + 1e-5f);
    for (int i = threadIdx.x * 8; i < width; i += THREADS * 8) {
        float v[8], g[8];
        load8(x + row + i, v);
        load8(w + i, g);
        for (int j = 0; j < 8; j++)
            v[j] *= scale * g[j];
        store8(y + row + i, v);
    }
}

__global__ void __launch_bounds__(THREADS) softmax(const bf16 *x, bf16 *y, int width)
{
    size_t row = (size_t)blockIdx.x * width;
    float best = -INFINITY, sum = 0;
    for (int i = threadIdx.x * 8; i < width; i += THREADS * 8) {
        float v[8];
        load8(x + row + i, v);
        for (int j = 0; j < 8; j++)
            best = fmaxf(best, v[j]);
    }
    best = block_reduce(best, true);
    for (int i = threadIdx.x * 8; i < width; i += THREADS * 8) {
        float v[8];
        load8(x + row + i, v);
        for (int j = 0; j < 8; j++)
            sum += exp2f((v[j] - best) * 1.44269504f);
    }
    sum = 1 / block_reduce(sum, false);
    for (int i = threadIdx.x * 8; i < width; i += THREADS * 8) {
        float v[8];
        load8(x + row + i, v);
        for (int j = 0; j < 8; j++)
            v[j] = exp2f((v[j] - best) * 1.44269504f) * sum;
        store8(y + row + i, v);
    }
}

/* kind 0: y = a + b; kind 1: y = silu(a) b */
__global__ void __launch_bounds__(THREADS)
    two_inputs(const bf16 *a, const bf16 *b, bf16 *y, size_t n, int kind)
{
    size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * 8;
    if (i >= n)
        return;
    float u[8], v[8];
    load8(a + i, u);
    load8(b + i, v);
    for (int j = 0; j < 8; j++)
        u[j] = kind ? u[j] / (1 + exp2f(-1.44269504f * u[j])) * v[j] : u[j] + v[j];
    store8(y + i, u);
}

/* x [rows][heads][128] turned in place by angle (row mod 4096) · base^(−2i/128) */
__global__ void __launch_bounds__(THREADS)
    rope(bf16 *x, const float2 *table, size_t pairs, int heads)
{
    size_t id = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (id >= pairs)
        return;
    int i = (int)(id % 64);
    size_t head = id / 64, pos = head / heads % 4096;
    float2 cs = table[pos * 64 + i];
    bf16 *p = x + head * 128 + i;
    float a = __bfloat162float(p[0]), b = __bfloat162float(p[64]);
    p[0] = __float2bfloat16(a * cs.x - b * cs.y);
    p[64] = __float2bfloat16(b * cs.x + a * cs.y);
}

/* every launch other rows of the table: id + shift */
__global__ void __launch_bounds__(THREADS)
    gather(const bf16 *table, const int *id, int shift, int vocab, bf16 *y, int width)
{
    const bf16 *from = table + (size_t)((id[blockIdx.x] + shift) % vocab) * width;
    bf16 *to = y + (size_t)blockIdx.x * width;
    for (int i = threadIdx.x * 8; i < width; i += THREADS * 8)
        *(uint4 *)(to + i) = *(const uint4 *)(from + i);
}

/* cases. par: 0 kind, 1 rows, 2 width, 3 copies */

enum { NORM, NORM_RESIDUAL, ADD, SILU_MUL, SOFTMAX, ROPE, EMBEDDING };

static const struct kind {
    const char *op, *impl;
    double reads, writes; /* of rows × width elements of two bytes */
    double flop;
} kinds[] = {
    [NORM] = {"norm", "rms", 1, 1, 4},
    [NORM_RESIDUAL] = {"norm", "rms_residual", 2, 2, 5},
    [ADD] = {"elementwise", "add", 2, 1, 1},
    [SILU_MUL] = {"elementwise", "silu_mul", 2, 1, 5},
    [SOFTMAX] = {"softmax", "row", 1, 1, 5},
    [ROPE] = {"rope", "neox", 1, 1, 3},
    [EMBEDDING] = {"embedding", "gather", 1, 1, 0},
};

/* As large as a real one, and larger than four times the L2. */
static int vocab_of(const struct mb_env *e, int width)
{
    return (int)fmax(32000, 4 * e->l2_bytes / (2.0 * width));
}

static int row_of_table(const struct mb_env *e, int i, int width)
{
    return (int)((uint64_t)i * 2654435761u % (uint64_t)vocab_of(e, width));
}

static const int rows_of[] = {1, 16, 64, 256, 1024, 4096, 8192};
static const int widths[] = {1024, 2048, 4096, 8192, 14336};

static int element_case(struct mb_env *e, int kind, int i, struct mb_case *c, bool *quick)
{
    int r = i / 5, w = i % 5;
    if (r >= 7)
        return 0;
    double rows = rows_of[r], width = widths[w], n = rows * width;
    const struct kind *k = &kinds[kind];
    double set = n * 2 * (k->reads + k->writes);
    long copies = (long)ceil(4 * e->l2_bytes / set) + 1;
    double table = kind == EMBEDDING ? vocab_of(e, widths[w]) * width * 2 : 0;
    if (n * 6 * copies + table + 8e6 > 0.9 * (double)e->arena_bytes)
        return -1;
    *quick = w == 2 && (r == 0 || r == 5);
    c->par[0] = kind, c->par[1] = rows_of[r], c->par[2] = widths[w], c->par[3] = copies;
    c->dtype = "bf16";
    c->mode = "cold";
    c->op = k->op;
    c->impl = k->impl;
    c->runtime = "rooflint-bench";
    c->what = MB_BYTES_RATE;
    c->bytes = set;
    c->flop = n * k->flop;
    c->limit = e->dram_peak;
    snprintf(c->size, sizeof c->size, "rows=%d width=%d dtype=bf16", rows_of[r],
             widths[w]);
    return 1;
}

struct elements {
    bf16 *a, *b, *y, *w; /* a, b, y: [copies][rows][width] */
    float2 *angles;
    int *ids;
};

static void launch(struct mb_env *e, const struct mb_case *c)
{
    struct elements *s = (struct elements *)c->state;
    int rows = (int)c->par[1], width = (int)c->par[2];
    size_t n = (size_t)rows * width, turn = e->turn++, at = turn % (size_t)c->par[3] * n;
    unsigned flat = (unsigned)((n / 8 + THREADS - 1) / THREADS);
    switch (c->par[0]) {
    case NORM:
        rms_norm<<<rows, THREADS, 0, e->stream>>>(s->a + at, nullptr, s->w, s->y + at,
                                                  width);
        break;
    case NORM_RESIDUAL:
        rms_norm<<<rows, THREADS, 0, e->stream>>>(s->a + at, s->b + at, s->w, s->y + at,
                                                  width);
        break;
    case ADD:
    case SILU_MUL:
        two_inputs<<<flat, THREADS, 0, e->stream>>>(s->a + at, s->b + at, s->y + at, n,
                                                    c->par[0] == SILU_MUL);
        break;
    case SOFTMAX:
        softmax<<<rows, THREADS, 0, e->stream>>>(s->a + at, s->y + at, width);
        break;
    case ROPE:
        rope<<<(unsigned)((n / 2 + THREADS - 1) / THREADS), THREADS, 0, e->stream>>>(
            s->a + at, s->angles, n / 2, width / 128);
        break;
    default:
        gather<<<rows, THREADS, 0, e->stream>>>(
            s->w, s->ids, (int)(turn * (size_t)rows % (size_t)vocab_of(e, width)),
            vocab_of(e, width), s->y + at, width);
    }
}

__global__ void make_angles(float2 *t)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= 4096 * 64)
        return;
    float angle =
        (float)(i / 64) * exp2f(-(float)(i % 64) / 64 * 13.2877124f); /* 10000 */
    t[i] = make_float2(cosf(angle), sinf(angle));
}

static int setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct elements *s = (struct elements *)calloc(1, sizeof *s);
    if (!s)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = s;
    double n = (double)c->par[1] * (double)c->par[2] * (double)c->par[3];
    bool table = c->par[0] == EMBEDDING;
    struct gpu_cut cut = gpu_cut_all(e);
    s->ids = gpu_take<int>(&cut, c->par[1]);
    s->angles = gpu_take<float2>(&cut, 4096 * 64);
    int width = (int)c->par[2];
    double w = (double)width * (table ? vocab_of(e, width) : 1);
    s->w = gpu_take<bf16>(&cut, w);
    s->y = gpu_take<bf16>(&cut, n);
    s->a = gpu_take<bf16>(&cut, n);
    s->b = gpu_take<bf16>(&cut, n);
    if (!s->ids || !s->angles || !s->w || !s->y || !s->a || !s->b)
        return gpu_no_room(err);
    int ids[8192];
    for (int i = 0; i < 8192; i++)
        ids[i] = row_of_table(e, i, width);
    GPU_TRY(
        cudaMemcpy(s->ids, ids, sizeof *ids * (size_t)c->par[1], cudaMemcpyHostToDevice));
    if (gpu_fill(e, s->w, w, GPU_BF16, 1, err) ||
        gpu_fill(e, s->a, n, GPU_BF16, 1, err) || gpu_fill(e, s->b, n, GPU_BF16, 1, err))
        return -1;
    make_angles<<<1024, 256, 0, e->stream>>>(s->angles);
    return gpu_launched("filling", err);
}

/* The last row against doubles. */
static int compare(struct mb_env *e, struct mb_case *c, const float *a, const float *b,
                   const float *w, float *y, struct rl_error *err)
{
    struct elements *s = (struct elements *)c->state;
    int kind = (int)c->par[0];
    size_t width = (size_t)c->par[2], row = ((size_t)c->par[1] - 1) * width;
    double sum = 0, best = -HUGE_VAL;
    const bf16 *from = kind == ROPE ? s->a : s->y;
    if (gpu_fetch(e, from + row, width, GPU_BF16, y, err))
        return -1;
    for (size_t i = 0; i < width; i++)
        best = fmax(best, (double)a[i]);
    for (size_t i = 0; i < width; i++) {
        double v = (double)a[i] + (kind == NORM_RESIDUAL ? (double)b[i] : 0);
        sum += kind == SOFTMAX ? exp((double)a[i] - best) : v * v;
    }
    double scale = 1 / sqrt(sum / (double)width + 1e-5);
    for (size_t i = 0; i < width; i += 7) {
        double x = (double)a[i], want = 0;
        if (kind == NORM || kind == NORM_RESIDUAL)
            want = (x + (kind == NORM ? 0 : (double)b[i])) * scale * (double)w[i];
        else if (kind == ADD)
            want = x + (double)b[i];
        else if (kind == SILU_MUL)
            want = x / (1 + exp(-x)) * (double)b[i];
        else if (kind == SOFTMAX)
            want = exp(x - best) / sum;
        else if (kind == EMBEDDING)
            want = (double)w[i];
        else {
            size_t in = i % 128, base = i - in, half = in % 64;
            double angle =
                (double)((c->par[1] - 1) % 4096) * pow(10000.0, -(double)half / 64);
            double lo = (double)a[base + half], hi = (double)a[base + half + 64];
            want = in < 64 ? lo * cos(angle) - hi * sin(angle)
                           : hi * cos(angle) + lo * sin(angle);
        }
        double size = kind == SOFTMAX ? fabs(want) + 1e-6 : fabs(want) + 1;
        if (gpu_expect("element", (double)y[i], want, size, 1.6e-2, err))
            return -1;
    }
    return 0;
}

static int check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct elements *s = (struct elements *)c->state;
    size_t width = (size_t)c->par[2], row = ((size_t)c->par[1] - 1) * width;
    float *buf = (float *)malloc(4 * width * sizeof *buf);
    if (!buf)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    const bf16 *w = s->w;
    if (c->par[0] == EMBEDDING)
        w += (size_t)row_of_table(e, (int)c->par[1] - 1, (int)width) * width;
    int rc = gpu_fetch(e, s->a + row, width, GPU_BF16, buf, err) ||
             gpu_fetch(e, s->b + row, width, GPU_BF16, buf + width, err) ||
             gpu_fetch(e, w, width, GPU_BF16, buf + 2 * width, err);
    e->turn = 0;
    if (!rc) {
        launch(e, c);
        rc = gpu_launched("element-wise", err) ||
             compare(e, c, buf, buf + width, buf + 2 * width, buf + 3 * width, err);
    }
    free(buf);
    return rc ? -1 : 0;
}

static double run(struct mb_env *e, struct mb_case *c, long reps, struct rl_error *err)
{
    return gpu_timed(e, reps, err, [&] { launch(e, c); });
}

static void teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    free(c->state);
}

static int norm_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    return element_case(e, i % 2 ? NORM_RESIDUAL : NORM, i / 2, c, quick);
}
static int elementwise_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    return element_case(e, i % 2 ? SILU_MUL : ADD, i / 2, c, quick);
}
static int softmax_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    return element_case(e, SOFTMAX, i, c, quick);
}
static int rope_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    return element_case(e, ROPE, i, c, quick);
}
static int embedding_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    return element_case(e, EMBEDDING, i, c, quick);
}

GPU_ITEM(norm, "RMS norm, with and without residual", true, norm_make, setup, check, run,
         teardown)
GPU_ITEM(elementwise, "add, SiLU times mul", true, elementwise_make, setup, check, run,
         teardown)
GPU_ITEM(softmax, "softmax over a row", false, softmax_make, setup, check, run, teardown)
GPU_ITEM(rope, "rotary embedding", false, rope_make, setup, check, run, teardown)
GPU_ITEM(embedding, "embedding gather", false, embedding_make, setup, check, run,
         teardown)
