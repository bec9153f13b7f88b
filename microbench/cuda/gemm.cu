/* GEMM of cuBLASLt, loaded at run time: Y[m,n] = X[m,k] · W[n,k]ᵀ, the layout of
 * a linear layer, for square shapes and the layers of language models with m
 * from one token up.  The best of the first eight heuristic algorithms is timed;
 * weights are rotated over four times the L2, as a model's are. */
#include "gpu.h"

#include <dlfcn.h>
#include <math.h>

#if defined(__has_include)
#if __has_include(<cublasLt.h>)
#define HAVE_LT 1
#endif
#endif

#ifndef HAVE_LT
void gpu_lt_close(struct gpu_lt *lt)
{
    (void)lt;
}
static int none(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)e, (void)i, (void)c, (void)quick;
    return 0;
}
GPU_ITEM(gemm, "GEMM (built without cublasLt.h: no cases)", true, none, NULL, NULL, NULL,
         NULL)
GPU_ITEM(gemm_long, "sustained GEMM (built without cublasLt.h)", false, none, NULL, NULL,
         NULL, NULL)
#else
#include <cublasLt.h>

#define LT_FUNCTIONS(F)                                                                  \
    F(cublasLtCreate)                                                                    \
    F(cublasLtDestroy)                                                                   \
    F(cublasLtGetVersion)                                                                \
    F(cublasLtMatmul)                                                                    \
    F(cublasLtMatmulAlgoGetHeuristic)                                                    \
    F(cublasLtMatmulDescCreate)                                                          \
    F(cublasLtMatmulDescDestroy)                                                         \
    F(cublasLtMatmulDescSetAttribute)                                                    \
    F(cublasLtMatrixLayoutCreate)                                                        \
    F(cublasLtMatrixLayoutDestroy)                                                       \
    F(cublasLtMatmulPreferenceCreate)                                                    \
    F(cublasLtMatmulPreferenceDestroy)                                                   \
    F(cublasLtMatmulPreferenceSetAttribute)

struct gpu_lt {
    void *lib;
    cublasLtHandle_t handle;
    char impl[40];
#define MEMBER(f) decltype(&f) f##_;
    LT_FUNCTIONS(MEMBER)
#undef MEMBER
};

void gpu_lt_close(struct gpu_lt *lt)
{
    if (!lt)
        return;
    if (lt->handle)
        lt->cublasLtDestroy_(lt->handle);
    if (lt->lib)
        dlclose(lt->lib);
    free(lt);
}

static void *open_library(void)
{
    char name[64];
    /* the version this was compiled against first: its ABI is certain */
    snprintf(name, sizeof name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    void *lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    return lib ? lib : dlopen("libcublasLt.so", RTLD_NOW | RTLD_LOCAL);
}

/* NULL when the library is not there; tried once. */
static struct gpu_lt *find_lt(struct mb_env *e)
{
    if (e->lt)
        return e->lt->handle || e->dry ? e->lt : NULL;
    struct gpu_lt *lt = e->lt = (struct gpu_lt *)calloc(1, sizeof *lt);
    if (!lt)
        return NULL;
    snprintf(lt->impl, sizeof lt->impl, "cublaslt");
    if (e->dry)
        return lt;
    lt->lib = open_library();
    bool whole = lt->lib != NULL;
#define LOAD(f)                                                                          \
    if (whole) {                                                                         \
        void *p = dlsym(lt->lib, #f);                                                    \
        memcpy((void *)&lt->f##_, &p, sizeof p);                                         \
        whole = p != NULL;                                                               \
    }
    LT_FUNCTIONS(LOAD)
#undef LOAD
    if (!whole || lt->cublasLtCreate_(&lt->handle) != CUBLAS_STATUS_SUCCESS) {
        fprintf(stderr, "rooflint-bench-cuda: no usable libcublasLt: GEMM is left out\n");
        lt->handle = NULL;
        return NULL;
    }
    return lt;
}

static const struct kind {
    const char *name;
    int fmt; /* of X and W in the arena */
    cudaDataType in, out;
    cublasComputeType_t compute;
    cudaDataType scale;
    int min_cc, max_cc;
    double tolerance;
} kinds[] = {
    {"fp32", GPU_FP32, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, CUDA_R_32F, 70, 999,
     1e-4},
    {"tf32", GPU_FP32, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F,
     80, 999, 2e-3},
    {"fp16", GPU_FP16, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F, CUDA_R_32F, 70, 999,
     5e-3},
    {"bf16", GPU_BF16, CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F, CUDA_R_32F, 80, 999,
     2e-2},
#if CUDART_VERSION >= 11080
    {"fp8", GPU_FP8, CUDA_R_8F_E4M3, CUDA_R_16BF, CUBLAS_COMPUTE_32F, CUDA_R_32F, 89, 999,
     2e-2},
#endif
    {"int8", GPU_INT8, CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I, CUDA_R_32I, 75, 999, 0},
};
enum { NKINDS = sizeof kinds / sizeof *kinds };

static const int squares[] = {512, 1024, 2048, 4096, 8192, 16384};
/* n, k of layers of Qwen2.5, Llama 3, Mamba, Mamba-2, Falcon-H1 */
static const int layers[][2] = {
    {1024, 1024},  {2048, 2048}, {2560, 2560},  {4096, 4096},   {5120, 5120},
    {8192, 8192},  {6144, 4096}, {8960, 1536},  {1536, 8960},   {4864, 896},
    {16384, 2048}, {2048, 8192}, {28672, 4096}, {4096, 14336},  {3072, 1536},
    {3352, 768},   {8512, 2048}, {2048, 4096},  {128256, 2048}, {151936, 896}};
static const int tokens[] = {1,  2,   4,   8,   16,  24,  32,   48,   64,   65,
                             96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192};
enum {
    NSQUARES = sizeof squares / sizeof *squares,
    NLAYERS = sizeof layers / sizeof *layers,
    NTOKENS = sizeof tokens / sizeof *tokens,
    PER_KIND = NSQUARES + NLAYERS * NTOKENS
};

enum { WORKSPACE = 64 << 20 };

/* par: 0 kind, 1 m, 2 n, 3 k, 4 copies of W */
static bool shape(struct mb_env *e, struct mb_case *c, int kind, long m, long n, long k)
{
    size_t el = gpu_fmt_bytes(kinds[kind].fmt),
           out = kinds[kind].out == CUDA_R_32F || kinds[kind].out == CUDA_R_32I ? 4 : 2;
    double w = (double)n * k * el, rest = (double)m * k * el + (double)m * n * out;
    long copies = w >= 4 * e->l2_bytes ? 2 : (long)ceil(4 * e->l2_bytes / w) + 1;
    if (w * copies + rest + WORKSPACE + 1e6 > (double)e->arena_bytes)
        return false;
    c->par[0] = kind, c->par[1] = m, c->par[2] = n, c->par[3] = k, c->par[4] = copies;
    c->dtype = kinds[kind].name;
    c->op = "gemm";
    c->impl = find_lt(e)->impl;
    c->runtime = "cublas";
    c->mode = "cold";
    c->what = MB_FLOP_RATE;
    c->flop = 2.0 * m * n * k;
    c->bytes = w + rest;
    c->limit = gpu_flop_per_clk(e->cc, kinds[kind].name, 32) * e->sms * e->hz;
    snprintf(c->size, sizeof c->size, "m=%ld n=%ld k=%ld dtype=%s", m, n, k,
             kinds[kind].name);
    return true;
}

static int gemm_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    if (!find_lt(e) || i >= NKINDS * PER_KIND)
        return 0;
    int kind = i / PER_KIND, at = i % PER_KIND;
    const char *name = kinds[kind].name;
    if (e->cc < kinds[kind].min_cc || e->cc > kinds[kind].max_cc)
        return -1;
    bool bf16 = !strcmp(name, "bf16") || (e->cc < 80 && !strcmp(name, "fp16"));
    if (at < NSQUARES) {
        long n = squares[at];
        *quick = n == 8192 || (bf16 && n == 2048);
        return shape(e, c, kind, n, n, n) ? 1 : -1;
    }
    at -= NSQUARES;
    int layer = at / NTOKENS, t = at % NTOKENS, m = tokens[t];
    /* the other dtypes: four shapes at every second m; no odd m for bytes */
    bool few = layer == 1 || layer == 3 || layer == 12 || layer == 13;
    if (!bf16 && (!few || t % 2 || !strcmp(name, "tf32")))
        return -1;
    if (gpu_fmt_bytes(kinds[kind].fmt) == 1 && (m % 4 || layers[layer][0] % 16))
        return -1;
    *quick = bf16 && (layer == 1 || layer == 12) &&
             (m == 1 || m == 16 || m == 128 || m == 1024);
    return shape(e, c, kind, m, layers[layer][0], layers[layer][1]) ? 1 : -1;
}

struct gemm {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulAlgo_t algo;
    char *x, *w, *y, *work;
    size_t w_bytes, copies;
    int kind;
    float one, zero;
    int32_t ione, izero;
};

static cublasStatus_t once(struct mb_env *e, struct gemm *g,
                           const cublasLtMatmulAlgo_t *algo)
{
    bool ints = kinds[g->kind].scale == CUDA_R_32I;
    const void *alpha = ints ? (void *)&g->ione : (void *)&g->one;
    const void *beta = ints ? (void *)&g->izero : (void *)&g->zero;
    char *w = g->w + e->turn++ % g->copies * g->w_bytes;
    return e->lt->cublasLtMatmul_(e->lt->handle, g->desc, alpha, w, g->a, g->x, g->b,
                                  beta, g->y, g->c, g->y, g->c, algo, g->work, WORKSPACE,
                                  e->stream);
}

/* Column-major library: Yᵀ[n,m] = (W as k × n)ᵀ · (X as k × m). */
static cublasStatus_t describe(struct gpu_lt *lt, struct gemm *g, const struct mb_case *c)
{
    const struct kind *k = &kinds[g->kind];
    uint64_t m = (uint64_t)c->par[1], n = (uint64_t)c->par[2], kk = (uint64_t)c->par[3];
    cublasOperation_t t = CUBLAS_OP_T;
    cublasStatus_t rc = lt->cublasLtMatmulDescCreate_(&g->desc, k->compute, k->scale);
    if (!rc)
        rc = lt->cublasLtMatmulDescSetAttribute_(g->desc, CUBLASLT_MATMUL_DESC_TRANSA, &t,
                                                 sizeof t);
    if (!rc)
        rc = lt->cublasLtMatrixLayoutCreate_(&g->a, k->in, kk, n, (int64_t)kk);
    if (!rc)
        rc = lt->cublasLtMatrixLayoutCreate_(&g->b, k->in, kk, m, (int64_t)kk);
    if (!rc)
        rc = lt->cublasLtMatrixLayoutCreate_(&g->c, k->out, n, m, (int64_t)n);
    return rc;
}

/* The fastest of the heuristic's first eight, by the median of three. */
static int choose(struct mb_env *e, struct gemm *g, struct rl_error *err)
{
    struct gpu_lt *lt = e->lt;
    cublasLtMatmulPreference_t pref = NULL;
    cublasLtMatmulHeuristicResult_t found[8];
    size_t work = WORKSPACE;
    int n = 0;
    cublasStatus_t rc = lt->cublasLtMatmulPreferenceCreate_(&pref);
    if (!rc)
        rc = lt->cublasLtMatmulPreferenceSetAttribute_(
            pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &work, sizeof work);
    if (!rc)
        rc = lt->cublasLtMatmulAlgoGetHeuristic_(lt->handle, g->desc, g->a, g->b, g->c,
                                                 g->c, pref, 8, found, &n);
    if (pref)
        lt->cublasLtMatmulPreferenceDestroy_(pref);
    if (rc || n == 0)
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "the library has no kernel for this shape here (status %d)",
                       (int)rc);
    double best = HUGE_VAL;
    for (int i = 0; i < n; i++) {
        if (found[i].state != CUBLAS_STATUS_SUCCESS || once(e, g, &found[i].algo))
            continue;
        if (cudaStreamSynchronize(e->stream) != cudaSuccess)
            return gpu_launched("a cuBLASLt algorithm", err)
                       ? -1
                       : rl_fail(err, RL_EIO, NULL, 0, "a cuBLASLt algorithm failed");
        double t[3];
        for (int k = 0; k < 3; k++)
            if ((t[k] = gpu_timed(
                     e, 4, err, [&] { once(e, g, &found[i].algo); }, 2)) < 0)
                return -1;
        double median = fmax(fmin(t[0], t[1]), fmin(fmax(t[0], t[1]), t[2]));
        if (median < best) {
            best = median;
            g->algo = found[i].algo;
        }
    }
    return best < HUGE_VAL ? 0
                           : rl_fail(err, RL_ECONFLICT, NULL, 0,
                                     "none of %d cuBLASLt algorithms ran", n);
}

static int gemm_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemm *g = (struct gemm *)calloc(1, sizeof *g);
    if (!g)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = g;
    g->kind = (int)c->par[0];
    g->one = 1, g->ione = 1;
    double m = (double)c->par[1], n = (double)c->par[2], k = (double)c->par[3];
    int fmt = kinds[g->kind].fmt;
    double el = (double)gpu_fmt_bytes(fmt);
    struct gpu_cut cut = gpu_cut_all(e);
    g->copies = (size_t)c->par[4];
    g->w_bytes = (size_t)(n * k * el);
    g->x = gpu_take<char>(&cut, m * k * el);
    g->y = gpu_take<char>(&cut, m * n * 4);
    g->work = gpu_take<char>(&cut, WORKSPACE);
    g->w = gpu_take<char>(&cut, n * k * el * (double)g->copies);
    if (!g->x || !g->y || !g->work || !g->w)
        return gpu_no_room(err);
    if (gpu_fill(e, g->x, m * k, fmt, 1, err) ||
        gpu_fill(e, g->w, n * k * (double)g->copies, fmt, 0.05f, err))
        return -1;
    cublasStatus_t rc = describe(e->lt, g, c);
    if (rc)
        return rl_fail(err, RL_ECONFLICT, NULL, 0, "cuBLASLt refuses the shape (%d)",
                       (int)rc);
    return choose(e, g, err);
}

static int out_format(int kind)
{
    return kinds[kind].out == CUDA_R_32F   ? GPU_FP32
           : kinds[kind].out == CUDA_R_16F ? GPU_FP16
                                           : GPU_BF16;
}

/* one output element: row, col of Y */
static int element(struct mb_env *e, struct gemm *g, const struct mb_case *c, long row,
                   long col, float *x, float *w, struct rl_error *err)
{
    const struct kind *kd = &kinds[g->kind];
    long n = c->par[2], k = c->par[3];
    size_t el = gpu_fmt_bytes(kd->fmt);
    if (gpu_fetch(e, g->x + (size_t)(row * k) * el, (size_t)k, kd->fmt, x, err) ||
        gpu_fetch(e, g->w + (size_t)(col * k) * el, (size_t)k, kd->fmt, w, err))
        return -1;
    double want = 0, scale = 0;
    for (long i = 0; i < k; i++) {
        want += (double)x[i] * (double)w[i];
        scale += fabs((double)x[i] * (double)w[i]);
    }
    size_t at = (size_t)(row * n + col);
    if (kd->out == CUDA_R_32I) {
        int32_t got;
        GPU_TRY(cudaMemcpy(&got, g->y + 4 * at, 4, cudaMemcpyDeviceToHost));
        return gpu_expect("element", got, want, 1, 0, err);
    }
    float got;
    if (gpu_fetch(e, g->y + at * gpu_fmt_bytes(out_format(g->kind)), 1,
                  out_format(g->kind), &got, err))
        return -1;
    /* the rounding of the output, and of the sum */
    return gpu_expect("element", (double)got, want, fabs(want) + 0.01 * scale,
                      kd->tolerance, err);
}

static int gemm_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemm *g = (struct gemm *)c->state;
    long m = c->par[1], n = c->par[2], k = c->par[3];
    e->turn = 0;
    cublasStatus_t status = once(e, g, &g->algo);
    if (status)
        return rl_fail(err, RL_EIO, NULL, 0, "cublasLtMatmul failed (%d)", (int)status);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    float *x = (float *)malloc((size_t)k * 2 * sizeof *x);
    if (!x)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    int rc = element(e, g, c, 0, 0, x, x + k, err) ||
             element(e, g, c, m - 1, n - 1, x, x + k, err) ||
             element(e, g, c, m / 2, n / 3, x, x + k, err);
    free(x);
    return rc ? -1 : 0;
}

static double gemm_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    struct gemm *g = (struct gemm *)c->state;
    /* a split-k algorithm is two kernels */
    return gpu_timed(
        e, reps, err, [&] { once(e, g, &g->algo); }, 2);
}

static void gemm_teardown(struct mb_env *e, struct mb_case *c)
{
    struct gemm *g = (struct gemm *)c->state;
    if (!g)
        return;
    if (g->desc)
        e->lt->cublasLtMatmulDescDestroy_(g->desc);
    if (g->a)
        e->lt->cublasLtMatrixLayoutDestroy_(g->a);
    if (g->b)
        e->lt->cublasLtMatrixLayoutDestroy_(g->b);
    if (g->c)
        e->lt->cublasLtMatrixLayoutDestroy_(g->c);
    free(g);
}

GPU_ITEM(gemm, "cuBLASLt GEMM: squares and the layers of language models", true,
         gemm_make, gemm_setup, gemm_check, gemm_run, gemm_teardown)

/* sustained: back to back for three seconds a sample, clocks and heat settled */

static int long_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    if (!find_lt(e) || i >= NKINDS)
        return 0;
    const char *name = kinds[i].name;
    if (e->cc < kinds[i].min_cc || (strcmp(name, "bf16") && strcmp(name, "fp8") &&
                                    (e->cc >= 80 || strcmp(name, "fp16"))))
        return -1;
    if (!shape(e, c, i, 8192, 8192, 8192) && !shape(e, c, i, 4096, 4096, 4096))
        return -1;
    c->op = NULL;
    c->mode = "sustained";
    return 1;
}

/* Blocking is no use at this length: the queue is kept full instead. */
static double long_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    struct gemm *g = (struct gemm *)c->state;
    double end = mb_now() + 3;
    long done = 0;
    cudaEventRecord(e->start, e->stream);
    while (mb_now() < end && !mb_stopped()) {
        for (int i = 0; i < 16; i++, done++)
            once(e, g, &g->algo);
        cudaStreamSynchronize(e->stream);
    }
    cudaEventRecord(e->stop, e->stream);
    double ms = gpu_elapsed(e, err);
    return ms < 0 || !done ? -1 : 1e-3 * ms / (double)done * (double)reps;
}

GPU_ITEM(gemm_long, "GEMM for seconds on end: the sustained rate", false, long_make,
         gemm_setup, gemm_check, long_run, gemm_teardown)
#endif
