/* Copies between host and device (pinned and pageable), to a peer, and NCCL
 * collectives over all GPUs of the machine (loaded at run time). */
#include "gpu.h"

#include <dlfcn.h>
#include <math.h>

/* host and device: par 0 bytes, 1 pinned, 2 to the device */

struct copy {
    char *host;
    bool pinned;
    int peer;
};

static int copy_case(struct mb_env *e, int i, bool to_device, struct mb_case *c,
                     bool *quick)
{
    int pinned = i % 2 == 0, step = i / 2;
    double bytes = 4096.0 * pow(4, step);
    if (step > 8 || bytes > (double)e->arena_bytes)
        return 0;
    *quick = pinned && (step == 0 || step == 8);
    c->par[0] = (long)bytes, c->par[1] = pinned, c->par[2] = to_device;
    c->dtype = "bytes";
    c->mode = pinned ? "pinned" : "pageable";
    c->what = MB_BYTES_RATE;
    c->bytes = bytes;
    snprintf(c->size, sizeof c->size, "bytes=%.0f", bytes);
    return 1;
}

static int copy_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    (void)e;
    struct copy *s = (struct copy *)calloc(1, sizeof *s);
    if (!s)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = s;
    s->pinned = c->par[1] != 0;
    size_t n = (size_t)c->par[0];
    if (s->pinned)
        GPU_TRY(cudaHostAlloc((void **)&s->host, n, cudaHostAllocDefault));
    else if (!(s->host = (char *)malloc(n)))
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    for (size_t i = 0; i < n; i++)
        s->host[i] = (char)(i * 2654435761u >> 24);
    return 0;
}

static void copy_once(struct mb_env *e, struct mb_case *c)
{
    struct copy *s = (struct copy *)c->state;
    size_t n = (size_t)c->par[0];
    if (c->par[2])
        cudaMemcpyAsync(e->arena, s->host, n, cudaMemcpyHostToDevice, e->stream);
    else
        cudaMemcpyAsync(s->host, e->arena, n, cudaMemcpyDeviceToHost, e->stream);
}

static int copy_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct copy *s = (struct copy *)c->state;
    size_t n = (size_t)c->par[0];
    char device[16], *mine = s->host + n - sizeof device;
    copy_once(e, c);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    GPU_TRY(cudaMemcpy(device, e->arena + n - sizeof device, sizeof device,
                       cudaMemcpyDeviceToHost));
    return gpu_expect("last bytes differ", memcmp(device, mine, sizeof device), 0, 1, 0,
                      err);
}

/* Pageable copies wait inside the call: a blocked stream would never be freed. */
static double copy_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    if (c->par[1])
        return gpu_timed(e, reps, err, [&] { copy_once(e, c); });
    double t = mb_now();
    for (long i = 0; i < reps; i++)
        copy_once(e, c);
    cudaError_t rc = cudaStreamSynchronize(e->stream);
    t = mb_now() - t;
    return rc == cudaSuccess ? t : gpu_fail(err, rc, "copy");
}

static void copy_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct copy *s = (struct copy *)c->state;
    if (s && s->pinned && s->host)
        cudaFreeHost(s->host);
    else if (s)
        free(s->host);
    free(s);
}

static int h2d_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    return copy_case(e, i, true, c, quick);
}
static int d2h_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    return copy_case(e, i, false, c, quick);
}

GPU_ITEM(h2d, "host to device, pinned and pageable", true, h2d_make, copy_setup,
         copy_check, copy_run, copy_teardown)
GPU_ITEM(d2h, "device to host, pinned and pageable", true, d2h_make, copy_setup,
         copy_check, copy_run, copy_teardown)

/* to the next GPU */

static int devices(struct mb_env *e)
{
    int n = 0;
    return e->dry || cudaGetDeviceCount(&n) != cudaSuccess ? 1 : n;
}

static int peer_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    double bytes = 4096.0 * pow(8, i);
    if (devices(e) < 2 || i > 6 || bytes > (double)e->arena_bytes)
        return 0;
    *quick = i == 6;
    c->par[0] = (long)bytes;
    c->dtype = "bytes";
    c->what = MB_BYTES_RATE;
    c->bytes = bytes;
    snprintf(c->size, sizeof c->size, "bytes=%.0f", bytes);
    return 1;
}

static int peer_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct copy *s = (struct copy *)calloc(1, sizeof *s);
    if (!s)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = s;
    s->peer = (e->dev + 1) % devices(e);
    int can = 0;
    GPU_TRY(cudaDeviceCanAccessPeer(&can, e->dev, s->peer));
    if (can &&
        cudaDeviceEnablePeerAccess(s->peer, 0) == cudaErrorPeerAccessAlreadyEnabled)
        cudaGetLastError();
    GPU_TRY(cudaSetDevice(s->peer));
    cudaError_t rc = cudaMalloc((void **)&s->host, (size_t)c->par[0]);
    GPU_TRY(cudaSetDevice(e->dev));
    GPU_TRY(rc);
    return 0;
}

static double peer_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    struct copy *s = (struct copy *)c->state;
    return gpu_timed(e, reps, err, [&] {
        cudaMemcpyPeerAsync(s->host, s->peer, e->arena, e->dev, (size_t)c->par[0],
                            e->stream);
    });
}

static void peer_teardown(struct mb_env *e, struct mb_case *c)
{
    struct copy *s = (struct copy *)c->state;
    if (s && s->host) {
        cudaSetDevice(s->peer);
        cudaFree(s->host);
        cudaSetDevice(e->dev);
    }
    free(s);
}

static int peer_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct copy *s = (struct copy *)c->state;
    char here[16], there[16];
    size_t at = (size_t)c->par[0] - sizeof here;
    if (peer_run(e, c, 1, err) < 0)
        return -1;
    GPU_TRY(cudaMemcpy(here, e->arena + at, sizeof here, cudaMemcpyDeviceToHost));
    GPU_TRY(cudaMemcpy(there, s->host + at, sizeof there, cudaMemcpyDeviceToHost));
    return gpu_expect("last bytes differ", memcmp(here, there, sizeof here), 0, 1, 0,
                      err);
}

GPU_ITEM(peer, "copy to the next GPU", true, peer_make, peer_setup, peer_check, peer_run,
         peer_teardown)

/* NCCL.  The few declarations needed are its stable C ABI. */

typedef void *comm_t;
enum { NCCL_FLOAT16 = 6, NCCL_SUM = 0, MAX_GPUS = 16 };

struct nccl {
    void *lib;
    int n;
    comm_t comm[MAX_GPUS];
    cudaStream_t stream[MAX_GPUS];
    char *buf[MAX_GPUS];
    int (*init)(comm_t *, int, const int *);
    int (*destroy)(comm_t);
    int (*group_start)(void);
    int (*group_end)(void);
    int (*all_reduce)(const void *, void *, size_t, int, int, comm_t, cudaStream_t);
    int (*all_gather)(const void *, void *, size_t, int, comm_t, cudaStream_t);
    int (*reduce_scatter)(const void *, void *, size_t, int, int, comm_t, cudaStream_t);
};

static const char *const collectives[] = {"all_reduce", "all_gather", "reduce_scatter"};

static int collective_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    int n = devices(e), which = i / 9;
    double bytes = 8192.0 * pow(4, i % 9);
    if (n < 2 || which > 2)
        return 0;
    *quick = which == 0 && i % 4 == 0;
    c->par[0] = (long)bytes, c->par[1] = which, c->par[2] = n > MAX_GPUS ? MAX_GPUS : n;
    c->dtype = "fp16";
    c->op = collectives[which];
    c->impl = "nccl";
    c->runtime = "nccl";
    c->what = MB_BYTES_RATE;
    c->bytes = bytes;
    snprintf(c->size, sizeof c->size, "gpus=%ld bytes=%.0f", c->par[2], bytes);
    return 1;
}

template <class F> static bool load(struct nccl *s, const char *name, F *to)
{
    void *p = dlsym(s->lib, name);
    memcpy((void *)to, &p, sizeof p);
    return p != NULL;
}

static int collective_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct nccl *s = (struct nccl *)calloc(1, sizeof *s);
    if (!s)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = s;
    s->lib = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!s->lib || !load(s, "ncclCommInitAll", &s->init) ||
        !load(s, "ncclCommDestroy", &s->destroy) ||
        !load(s, "ncclGroupStart", &s->group_start) ||
        !load(s, "ncclGroupEnd", &s->group_end) ||
        !load(s, "ncclAllReduce", &s->all_reduce) ||
        !load(s, "ncclAllGather", &s->all_gather) ||
        !load(s, "ncclReduceScatter", &s->reduce_scatter))
        return rl_fail(err, RL_ECONFLICT, NULL, 0, "libnccl.so.2 was not found");
    cudaError_t rc = cudaSuccess;
    for (s->n = 0; s->n < c->par[2] && rc == cudaSuccess; s->n++) {
        cudaSetDevice(s->n);
        rc = cudaMalloc((void **)&s->buf[s->n], 2 * (size_t)c->par[0]);
        if (rc == cudaSuccess)
            rc = cudaMemset(s->buf[s->n], 0x3c, 2 * (size_t)c->par[0]);
        if (rc == cudaSuccess)
            rc = cudaDeviceSynchronize(); /* the streams below do not wait for it */
        if (rc == cudaSuccess)
            rc = cudaStreamCreateWithFlags(&s->stream[s->n], cudaStreamNonBlocking);
    }
    cudaSetDevice(e->dev);
    GPU_TRY(rc);
    int status = s->init(s->comm, s->n, NULL);
    return status ? rl_fail(err, RL_EIO, NULL, 0, "ncclCommInitAll failed (%d)", status)
                  : 0;
}

/* Message size as NCCL's tests count it: the larger of the two buffers. */
static int collective_once(struct nccl *s, const struct mb_case *c)
{
    size_t bytes = (size_t)c->par[0], all = bytes / 2, part = all / (size_t)s->n;
    int rc = s->group_start();
    for (int i = 0; i < s->n; i++) {
        char *in = s->buf[i], *out = in + bytes;
        if (c->par[1] == 0)
            rc |= s->all_reduce(in, out, all, NCCL_FLOAT16, NCCL_SUM, s->comm[i],
                                s->stream[i]);
        else if (c->par[1] == 1)
            rc |= s->all_gather(in, out, part, NCCL_FLOAT16, s->comm[i], s->stream[i]);
        else
            rc |= s->reduce_scatter(in, out, part, NCCL_FLOAT16, NCCL_SUM, s->comm[i],
                                    s->stream[i]);
    }
    return rc | s->group_end();
}

/* n ones of 0x3c3c (1.0586) added up, or gathered */
static int collective_check(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct nccl *s = (struct nccl *)c->state;
    if (collective_once(s, c))
        return rl_fail(err, RL_EIO, NULL, 0, "the collective failed");
    for (int i = 0; i < s->n; i++)
        GPU_TRY(cudaStreamSynchronize(s->stream[i]));
    float got;
    double one = 1 + 60.0 / 1024, want = c->par[1] == 1 ? one : s->n * one;
    cudaSetDevice(s->n - 1);
    int rc = gpu_fetch(e, s->buf[s->n - 1] + c->par[0], 1, GPU_FP16, &got, err);
    cudaSetDevice(e->dev);
    return rc ? rc : gpu_expect("element", (double)got, want, want, 4e-3, err);
}

static double collective_run(struct mb_env *e, struct mb_case *c, long reps,
                             struct rl_error *err)
{
    (void)e;
    struct nccl *s = (struct nccl *)c->state;
    int rc = 0;
    double t = mb_now();
    for (long i = 0; i < reps; i++)
        rc |= collective_once(s, c);
    for (int i = 0; i < s->n; i++)
        rc |= cudaStreamSynchronize(s->stream[i]) != cudaSuccess;
    t = mb_now() - t;
    if (rc)
        return rl_fail(err, RL_EIO, NULL, 0, "the collective failed");
    return t;
}

static void collective_teardown(struct mb_env *e, struct mb_case *c)
{
    struct nccl *s = (struct nccl *)c->state;
    for (int i = 0; s && i < s->n; i++) {
        cudaSetDevice(i);
        if (s->comm[i])
            s->destroy(s->comm[i]);
        if (s->stream[i])
            cudaStreamDestroy(s->stream[i]);
        cudaFree(s->buf[i]);
    }
    cudaSetDevice(e->dev);
    free(s);
}

GPU_ITEM(collective, "NCCL over all GPUs of the machine", true, collective_make,
         collective_setup, collective_check, collective_run, collective_teardown)
