/* What a launch costs, apart from the kernel: the device's interval from one
 * empty kernel to the next in a stream and in a graph, the host's time to
 * enqueue one, the round trip, a graph's own cost, and the gap between two
 * kernels that depend on each other and do run for a while. */
#include "gpu.h"

#include <math.h>

template <int BYTES> struct arguments {
    char c[BYTES];
};
template <int BYTES> __global__ void nothing(struct arguments<BYTES> a)
{
    (void)a;
}
__global__ void empty()
{
}

/* one block an SM turns for so many cycles */
__global__ void turn(long long cycles)
{
    long long begin = clock64();
    while (clock64() - begin < cycles)
        ;
}

static void time_case(struct mb_case *c, double events)
{
    c->dtype = "none";
    c->what = MB_TIME;
    c->events = events;
}

static int once_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)e;
    (void)quick;
    time_case(c, 1);
    snprintf(c->size, sizeof c->size, "args=0");
    return i == 0;
}

static int warm_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    (void)c;
    empty<<<1, 32, 0, e->stream>>>();
    turn<<<e->sms, 32, 0, e->stream>>>(1000);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("an empty kernel", err);
}

static double stream_run(struct mb_env *e, struct mb_case *c, long reps,
                         struct rl_error *err)
{
    (void)c;
    return gpu_timed(e, reps, err, [&] { empty<<<1, 32, 0, e->stream>>>(); });
}

GPU_ITEM(launch_stream, "empty kernel to empty kernel in a stream", true, once_make,
         warm_setup, NULL, stream_run, NULL)

/* host: par 0 which size of arguments */

static const int sizes[] = {0, 8, 64, 1024, 4000};

static int host_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)e;
    if (i >= 5)
        return 0;
    *quick = i < 2;
    time_case(c, 1);
    c->par[0] = i;
    snprintf(c->size, sizeof c->size, "args=%d", sizes[i]);
    return 1;
}

static void one_launch(struct mb_env *e, int which)
{
    static const arguments<8> a8 = {};
    static const arguments<64> a64 = {};
    static const arguments<1024> a1k = {};
    static const arguments<4000> a4k = {};
    switch (which) {
    case 0:
        empty<<<1, 32, 0, e->stream>>>();
        break;
    case 1:
        nothing<8><<<1, 32, 0, e->stream>>>(a8);
        break;
    case 2:
        nothing<64><<<1, 32, 0, e->stream>>>(a64);
        break;
    case 3:
        nothing<1024><<<1, 32, 0, e->stream>>>(a1k);
        break;
    default:
        nothing<4000><<<1, 32, 0, e->stream>>>(a4k);
    }
}

static int host_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    one_launch(e, (int)c->par[0]);
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return gpu_launched("an empty kernel", err);
}

static double host_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    double total = 0;
    while (reps > 0) {
        long n = reps < GPU_QUEUE ? reps : GPU_QUEUE;
        if (gpu_block(e, err))
            return -1;
        double t = mb_now();
        for (long i = 0; i < n; i++)
            one_launch(e, (int)c->par[0]);
        total += mb_now() - t;
        gpu_release(e);
        cudaError_t rc = cudaStreamSynchronize(e->stream);
        if (rc != cudaSuccess)
            return gpu_fail(err, rc, "empty kernels");
        if (gpu_gave_up(e, err))
            return -1;
        reps -= n;
    }
    return total;
}

GPU_ITEM(launch_host, "host time to enqueue a kernel, by size of arguments", true,
         host_make, host_setup, NULL, host_run, NULL)

static double sync_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    (void)c;
    double t = mb_now();
    for (long i = 0; i < reps; i++) {
        empty<<<1, 32, 0, e->stream>>>();
        cudaStreamSynchronize(e->stream);
    }
    t = mb_now() - t;
    return gpu_launched("an empty kernel", err) ? -1 : t;
}

GPU_ITEM(launch_sync, "launch and wait: the round trip", true, once_make, warm_setup,
         NULL, sync_run, NULL)

/* graphs: a chain of n empty kernels */

struct graph {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
};

static const int nodes[] = {1, 16, 256, 1024};

static int graph_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    struct graph *g = (struct graph *)calloc(1, sizeof *g);
    if (!g)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    c->state = g;
    GPU_TRY(cudaStreamBeginCapture(e->stream, cudaStreamCaptureModeThreadLocal));
    for (long i = 0; i < c->par[0]; i++)
        empty<<<1, 32, 0, e->stream>>>();
    GPU_TRY(cudaStreamEndCapture(e->stream, &g->graph));
#if CUDART_VERSION >= 12000
    GPU_TRY(cudaGraphInstantiate(&g->exec, g->graph, 0));
#else
    GPU_TRY(cudaGraphInstantiate(&g->exec, g->graph, NULL, NULL, 0));
#endif
    GPU_TRY(cudaGraphLaunch(g->exec, e->stream));
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return 0;
}

static void graph_teardown(struct mb_env *e, struct mb_case *c)
{
    (void)e;
    struct graph *g = (struct graph *)c->state;
    if (!g)
        return;
    if (g->exec)
        cudaGraphExecDestroy(g->exec);
    if (g->graph)
        cudaGraphDestroy(g->graph);
    free(g);
}

static int graph_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)e;
    if (i >= 4)
        return 0;
    *quick = i >= 2;
    c->par[0] = nodes[i];
    time_case(c, nodes[i]);
    snprintf(c->size, sizeof c->size, "nodes=%d", nodes[i]);
    return 1;
}

/* Few launches in flight: each graph fills part of the queue. */
static double graph_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    struct graph *g = (struct graph *)c->state;
    return gpu_timed(
        e, reps, err, [&] { cudaGraphLaunch(g->exec, e->stream); }, 128);
}

GPU_ITEM(launch_graph, "node to node in a graph, a chain of empty kernels", true,
         graph_make, graph_setup, NULL, graph_run, graph_teardown)

static int fixed_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    if (!graph_make(e, i, c, quick))
        return 0;
    time_case(c, 1);
    *quick = i == 0 || i == 2;
    return 1;
}

/* launch and wait, the whole graph: minus its nodes this is the fixed cost */
static double fixed_run(struct mb_env *e, struct mb_case *c, long reps,
                        struct rl_error *err)
{
    struct graph *g = (struct graph *)c->state;
    double t = mb_now();
    for (long i = 0; i < reps; i++) {
        cudaGraphLaunch(g->exec, e->stream);
        cudaStreamSynchronize(e->stream);
    }
    t = mb_now() - t;
    return gpu_launched("a graph", err) ? -1 : t;
}

GPU_ITEM(graph_fixed, "launch a graph and wait, by its nodes", true, fixed_make,
         graph_setup, NULL, fixed_run, graph_teardown)

/* gap: n kernels of 10 µs against one of n · 10 µs */

static int gap_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    time_case(c, 1);
    c->par[0] = (long)(10e-6 * e->hz);
    snprintf(c->size, sizeof c->size, "kernel_us=10 blocks=sms");
    return i == 0;
}

static double gap_run(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    const int N = 64;
    double sum = 0;
    for (long i = 0; i < reps; i++) {
        double many =
            gpu_timed(e, N, err, [&] { turn<<<e->sms, 32, 0, e->stream>>>(c->par[0]); });
        double one = gpu_timed(
            e, 1, err, [&] { turn<<<e->sms, 32, 0, e->stream>>>(N * c->par[0]); });
        if (many < 0 || one < 0)
            return -1;
        sum += (many - one) / (N - 1);
    }
    return sum > 0 ? sum
                   : rl_fail(err, RL_EVALUE, NULL, 0,
                             "many kernels were faster than one as long: the clock "
                             "changed meanwhile");
}

GPU_ITEM(launch_gap, "gap between dependent kernels of 10 us", true, gap_make, warm_setup,
         NULL, gap_run, NULL)
