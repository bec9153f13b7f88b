/* sgemm of whatever BLAS library the machine has (OpenBLAS, BLIS, …), found at
 * run time; without one the item has no cases.  Y[m,n] = X[m,k] · W[n,k]ᵀ, the
 * layout of a linear layer, square and as in language models with m from 1.
 *
 * The library's own threads are used: pinning is left to it, since the team's
 * idle threads sleep. */
#include "host.h"

#include "err.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 }; /* values of cblas.h */

typedef void (*sgemm_fn)(int order, int ta, int tb, int m, int n, int k, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta,
                         float *c, int ldc);
typedef void (*threads_fn)(int n);

struct blas {
    const char *name;
    void *lib;
    sgemm_fn sgemm;
    threads_fn set_threads;
};

static const char *const libraries[][3] = {
    {"openblas", "libopenblas.so.0", "openblas_set_num_threads"},
    {"openblas", "libopenblas.so", "openblas_set_num_threads"},
    {"blis", "libblis.so.4", "bli_thread_set_num_threads"},
    {"blas", "libblas.so.3", "openblas_set_num_threads"},
};

/* dlsym gives a data pointer; POSIX says that copying its bits is right. */
static void *function(void *to, void *lib, const char *name)
{
    void *p = lib ? dlsym(lib, name) : NULL;
    memcpy(to, &p, sizeof p);
    return p;
}

static struct blas *find_blas(struct mb_env *e)
{
    if (e->blas)
        return e->blas;
    struct blas *b = calloc(1, sizeof *b);
    e->blas = b;
    for (size_t i = 0; b && !b->sgemm && i < sizeof libraries / sizeof *libraries; i++) {
        void *lib = dlopen(libraries[i][1], RTLD_NOW | RTLD_LOCAL);
        if (!function(&b->sgemm, lib, "cblas_sgemm")) {
            if (lib)
                dlclose(lib);
            continue;
        }
        b->name = libraries[i][0];
        b->lib = lib;
        function(&b->set_threads, lib, libraries[i][2]);
    }
    return b;
}

static const short shapes[][3] = {
    /* n, k, in quick */
    {1024, 1024, 0}, {2048, 2048, 1}, {4096, 4096, 0}, {896, 896, 0},
    {4864, 896, 0},  {2560, 2560, 0}, {11008, 4096, 0}};
static const short tokens[][2] = {{1, 1},  {2, 0},   {4, 0},   {8, 1},   {16, 0},
                                  {32, 1}, {128, 0}, {512, 1}, {2048, 0}};
enum {
    NSHAPES = sizeof shapes / sizeof *shapes,
    NTOKENS = sizeof tokens / sizeof *tokens
};

static int sgemm_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    struct blas *b = find_blas(e);
    int threads = mb_thread_count(e, i / (NSHAPES * NTOKENS));
    if (!b || !b->sgemm || !threads || (threads > 1 && !b->set_threads))
        return 0;
    int shape = i / NTOKENS % NSHAPES, t = i % NTOKENS;
    long n = shapes[shape][0], k = shapes[shape][1], m = tokens[t][0];
    *quick = shapes[shape][2] && tokens[t][1];
    c->par[0] = m, c->par[1] = n, c->par[2] = k;
    c->threads = threads;
    c->dtype = "fp32";
    c->op = "gemm";
    c->impl = b->name;
    c->runtime = "blas";
    c->what = MB_FLOP_RATE;
    c->flop = 2.0 * (double)m * (double)n * (double)k;
    c->bytes = 4.0 * (double)(m * k + n * k + m * n);
    c->limit = e->clock_hz * 64 * mb_busy_cores(e, threads);
    snprintf(c->size, sizeof c->size, "m=%ld n=%ld k=%ld dtype=fp32", m, n, k);
    return 1;
}

struct gemm {
    struct mb_buffer x, w, y;
    size_t copies, next; /* of W, rotated so that it comes from memory */
};

static int sgemm_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemm *g = rl_alloc(1, sizeof *g, err);
    if (!g)
        return -1;
    c->state = g;
    long m = c->par[0], n = c->par[1], k = c->par[2];
    size_t w = (size_t)(n * k) * sizeof(float);
    g->copies = m < 64 ? (size_t)(4 * e->llc_bytes / (double)w) + 1 : 1;
    return mb_buffer_new(e, &g->x, 1, (size_t)(m * k) * sizeof(float), MB_FILL_FP32,
                         err) ||
                   mb_buffer_new(e, &g->w, 1, w * g->copies, MB_FILL_FP32, err) ||
                   mb_buffer_new(e, &g->y, 1, (size_t)(m * n) * sizeof(float),
                                 MB_FILL_FP32, err)
               ? -1
               : 0;
}

static void sgemm_once(struct mb_env *e, struct mb_case *c)
{
    struct blas *b = e->blas;
    struct gemm *g = c->state;
    int m = (int)c->par[0], n = (int)c->par[1], k = (int)c->par[2];
    const float *w = (const float *)(const void *)g->w.base +
                     (g->next++ % g->copies) * (size_t)n * (size_t)k;
    b->sgemm(ROW_MAJOR, NO_TRANS, TRANS, m, n, k, 1, (float *)(void *)g->x.base, k, w, k,
             0, (float *)(void *)g->y.base, n);
}

static int sgemm_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct gemm *g = c->state;
    long n = c->par[1], k = c->par[2];
    const float *x = (float *)(void *)g->x.base, *w = (float *)(void *)g->w.base,
                *y = (float *)(void *)g->y.base;
    long row = c->par[0] - 1;
    g->next = 0;
    sgemm_once(e, c);
    for (long col = 0; col < n; col += n / 3 + 1) {
        double want = 0, scale = 0;
        for (long i = 0; i < k; i++) {
            double p = (double)x[row * k + i] * (double)w[col * k + i];
            want += p;
            scale += fabs(p);
        }
        if (mb_expect("sgemm", (double)y[row * n + col], want, scale, 1e-5, err))
            return -1;
    }
    return 0;
}

static double sgemm_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    (void)err;
    struct blas *b = e->blas;
    if (b->set_threads)
        b->set_threads(c->threads);
    double t = mb_own_now(c->threads);
    for (long i = 0; i < reps; i++)
        sgemm_once(e, c);
    return mb_own_now(c->threads) - t;
}

static void sgemm_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct gemm *g = c->state;
    if (g) {
        mb_buffer_free(&g->x);
        mb_buffer_free(&g->w);
        mb_buffer_free(&g->y);
    }
    free(g);
}

const struct mb_item mb_item_sgemm = {.name = "sgemm",
                                      .summary = "GEMM of the BLAS library found",
                                      .quick = true,
                                      .make = sgemm_make,
                                      .setup = sgemm_setup,
                                      .check = sgemm_check,
                                      .run = sgemm_run,
                                      .teardown = sgemm_teardown};
