/* The recurrences' common part on the host: see scan.h. */
#include "scan.h"

#include <math.h>

int scan_take(struct mb_env *e, struct mb_case *c, struct scan_state **out,
              struct rl_error *err)
{
    (void)e;
    struct scan_state *s = (struct scan_state *)calloc(1, sizeof *s);
    if (!s)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = *out = s;
    return 0;
}

void scan_teardown(struct mb_env *e, struct mb_case *c)
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

int scan_fill_squared(struct mb_env *e, float *p, double n, float dev, float sign,
                      float offset, struct rl_error *err)
{
    if (gpu_fill(e, p, n, GPU_FP32, dev, err))
        return -1;
    squared<<<e->sms, 256, 0, e->stream>>>(p, (size_t)n, sign, offset);
    return gpu_launched("filling", err);
}

void scan_square(struct mb_env *e, bf16 *p, double n)
{
    squared_bf16<<<e->sms, 256, 0, e->stream>>>(p, (size_t)n);
}

void scan_common(struct mb_case *c, const char *op, double bytes, double flop,
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

static long copies_of(const struct mb_env *e, double bytes)
{
    return (long)ceil(4 * e->l2_bytes / bytes) + 1;
}

int scan_update_case(struct mb_env *e, struct mb_case *c, const char *op, double elems,
                     double small, int flop, int half)
{
    double state = elems * (half ? 2 : 4);
    long copies = copies_of(e, state);
    if (state * copies + small + 64e6 > 0.9 * (double)e->arena_bytes)
        return -1;
    c->par[9] = copies, c->par[10] = half;
    c->mode = "cold";
    scan_common(c, op, 2 * state + small, elems * flop, e->dram_peak);
    return 1;
}

void *scan_state_copy(struct mb_env *e, struct scan_state *s)
{
    return s->h + e->turn++ % s->copies * s->h_bytes;
}

int scan_fill_state(struct mb_env *e, struct scan_state *s, const struct mb_case *c,
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
