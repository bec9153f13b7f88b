/* The emulated device: coroutines of a block, streams, events, memory. */
#include "emu.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <vector>

bool emu_plays(const char *word)
{
    const char *list = getenv("EMU"), *at = list ? strstr(list, word) : NULL;
    size_t n = strlen(word);
    return at && (at == list || at[-1] == ',') && (at[n] == ',' || !at[n]);
}

[[noreturn]] static void die(const char *why)
{
    fprintf(stderr, "emulated device: %s (block %u,%u,%u thread %u)\n", why, emu::block.x,
            emu::block.y, emu::block.z, emu::thread.x);
    abort();
}

/* coroutines: entered once by a context, afterwards by the cheaper longjmp */

namespace emu
{
uint3 thread, block;
dim3 threads, blocks;

enum { STACK = 64 << 10, MAX_THREADS = 1024, WARP = 32 };

struct fiber {
    jmp_buf at;
    bool entered, done;
    unsigned waits_block, waits_warp; /* barriers passed so far */
    std::vector<char> stack;
};
struct warp {
    unsigned turn; /* exchanges completed */
    int arrived, size;
    char value[2][WARP][LANE];
};

static fiber fibers[MAX_THREADS];
static warp warps[MAX_THREADS / WARP];
static int count, live, current;
static unsigned block_turn;
static int block_arrived;
static jmp_buf scheduler;
enum { SMEM = 227 << 10 };
static __align__(128) char smem[SMEM];
static const std::function<void()> *body;

void *shared()
{
    return smem;
}

int lane()
{
    return current % WARP;
}

static void pause()
{
    if (!_setjmp(fibers[current].at))
        _longjmp(scheduler, 1);
    thread = {(unsigned)current, 0, 0};
}

void barrier()
{
    unsigned turn = block_turn;
    if (++block_arrived == live) {
        block_arrived = 0;
        block_turn++;
        pause(); /* another one may be first behind the barrier */
    }
    while (block_turn == turn)
        pause();
}

const char *gather(const void *value, size_t n)
{
    warp &w = warps[current / WARP];
    if (w.size != WARP)
        die("a full-warp exchange in a warp that is not full");
    unsigned turn = w.turn;
    memcpy(w.value[turn % 2][lane()], value, n);
    if (++w.arrived == w.size) {
        w.arrived = 0;
        w.turn++;
        pause();
    }
    while (w.turn == turn)
        pause();
    return w.value[turn % 2][0];
}

void warp_barrier()
{
    gather("", 1);
}

static void enter()
{
    (*body)();
    fibers[current].done = true;
    live--;
    warps[current / WARP].size--;
    if (warps[current / WARP].arrived)
        die("a lane left while others of its warp wait for it");
    if (block_arrived)
        die("a thread left while others wait at a barrier");
    _longjmp(scheduler, 1);
}

static void start(fiber &f)
{
    ucontext_t to, from;
    getcontext(&to);
    f.stack.resize(STACK);
    to.uc_stack.ss_sp = f.stack.data();
    to.uc_stack.ss_size = f.stack.size();
    to.uc_link = NULL;
    makecontext(&to, enter, 0);
    f.entered = true;
    swapcontext(&from, &to);
}

/* in order, backwards, or scattered */
static int pick(int i)
{
    static const char *order = getenv("EMU_ORDER");
    if (!order || !strcmp(order, "forward"))
        return i;
    return !strcmp(order, "backward") ? count - 1 - i : (i * 37 + 11) % count;
}

static void run_block()
{
    live = count;
    block_arrived = 0;
    for (int i = 0; i < count; i++)
        fibers[i].entered = fibers[i].done = false;
    for (int w = 0; w * WARP < count; w++)
        warps[w].turn = 0, warps[w].arrived = 0,
        warps[w].size = min((int)WARP, count - w * WARP);
    static volatile int i;
    for (volatile int idle = 0; live > 0; idle = idle + 1) {
        if (idle > 1000000)
            die("all threads wait: a barrier that not all reach");
        int before = live;
        for (i = 0; i < count; i = i + 1) {
            current = pick(i);
            if (fibers[current].done)
                continue;
            thread = {(unsigned)current, 0, 0};
            if (_setjmp(scheduler))
                continue;
            if (fibers[current].entered)
                _longjmp(fibers[current].at, 1);
            start(fibers[current]);
        }
        if (live < before)
            idle = 0;
    }
}

static cudaError_t error;
static int smem_limit = 48 << 10;

static void run_grid(dim3 grid, dim3 shape, size_t bytes, const std::function<void()> &f)
{
    if (shape.y != 1 || shape.z != 1)
        die("blocks of more than one dimension are not emulated");
    blocks = grid, threads = shape, count = (int)shape.x;
    body = &f;
    memset(smem, 0xee, bytes); /* what was there before: anything */
    for (block.z = 0; block.z < grid.z; block.z++)
        for (block.y = 0; block.y < grid.y; block.y++)
            for (block.x = 0; block.x < grid.x; block.x++)
                run_block();
}

void launch(dim3 grid, dim3 shape, size_t bytes, cudaStream_t s, std::function<void()> f)
{
    if (!shape.x || shape.x > MAX_THREADS || !grid.x || !grid.y || !grid.z ||
        grid.y > 65535 || grid.z > 65535 || bytes > (size_t)smem_limit) {
        error = cudaErrorInvalidConfiguration;
        return;
    }
    emu_enqueue(s, [=] { run_grid(grid, shape, bytes, f); });
}
} // namespace emu

/* The largest that any kernel asked for: attributes are not kept apart. */
cudaError_t emu_max_smem(const void *, int bytes)
{
    if (bytes > emu::SMEM)
        return cudaErrorInvalidValue;
    emu::smem_limit = max(emu::smem_limit, bytes);
    return cudaSuccess;
}

/* streams */

struct emu_stream {
    std::deque<std::function<void()>> work;
    emu_graph *capture;
};
struct emu_graph {
    std::vector<std::function<void()>> node;
};
struct emu_event {
    emu_stream *stream;
    double at;
};

static std::vector<emu_stream *> streams;

static double now()
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

long long clock64()
{
    return (long long)(1e9 * now());
}

void emu_enqueue(cudaStream_t s, std::function<void()> work)
{
    if (!s)
        work();
    else if (s->capture)
        s->capture->node.push_back(work);
    else
        s->work.push_back(work);
}

static void drain(emu_stream *s)
{
    while (s && !s->work.empty()) {
        std::function<void()> f = s->work.front();
        s->work.pop_front();
        f();
    }
}

void emu_drain()
{
    for (emu_stream *s : streams)
        drain(s);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    if (flags != cudaStreamNonBlocking)
        return cudaErrorInvalidValue;
    streams.push_back(*s = new emu_stream());
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    drain(s);
    streams.erase(std::find(streams.begin(), streams.end(), s));
    delete s;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    drain(s);
    return cudaGetLastError();
}
cudaError_t cudaDeviceSynchronize()
{
    emu_drain();
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    *e = new emu_event();
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    e->stream = s;
    emu_enqueue(s, [=] { e->at = now(); });
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    drain(e->stream);
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b)
{
    *ms = (float)(1e3 * (b->at - a->at));
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, int)
{
    s->capture = new emu_graph();
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    *g = s->capture;
    s->capture = NULL;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned)
{
    *x = new emu_graph(*g);
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t s)
{
    for (auto &f : x->node)
        emu_enqueue(s, f);
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x)
{
    delete x;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete g;
    return cudaSuccess;
}

/* memory: a new piece holds no zeros */

cudaError_t cudaMalloc(void **p, size_t n)
{
    static int calls;
    bool dead = emu_plays("nomem") || (emu_plays("lessmem") && calls++ < 2);
    *p = dead ? NULL : aligned_alloc(512, (n + 511) / 512 * 512);
    if (!*p)
        return emu::error = cudaErrorMemoryAllocation;
    return cudaSuccess;
}
cudaError_t cudaFree(void *p)
{
    if (!p && emu_plays("exclusive"))
        return cudaErrorDevicesUnavailable;
    free(p);
    return cudaSuccess;
}
cudaError_t cudaHostAlloc(void **p, size_t n, unsigned)
{
    *p = calloc(1, n);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void *p)
{
    free(p);
    return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void **dev, void *host, unsigned)
{
    *dev = host;
    return cudaSuccess;
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t n, cudaMemcpyKind)
{
    if (emu_plays("broken"))
        return cudaErrorIllegalAddress;
    memcpy(to, from, n);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind,
                            cudaStream_t s)
{
    emu_enqueue(s, [=] { memcpy(to, from, n); });
    return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void *to, int, const void *from, int, size_t n,
                                cudaStream_t s)
{
    return cudaMemcpyAsync(to, from, n, cudaMemcpyDeviceToDevice, s);
}
cudaError_t cudaMemset(void *p, int v, size_t n)
{
    memset(p, v, n);
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *p, int v, size_t n, cudaStream_t s)
{
    emu_enqueue(s, [=] { memset(p, v, n); });
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *left, size_t *total)
{
    *total = (size_t)(getenv("EMU") ? 320 : 640) << 20; /* a situation needs little */
    *left = emu_plays("full") ? (size_t)20 << 20 : *total;
    return cudaSuccess;
}

/* the device: two small SMs of a Hopper with 256 KiB of L2 */

cudaError_t cudaGetLastError()
{
    cudaError_t e = emu::error;
    emu::error = cudaSuccess;
    return e;
}
const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaErrorMemoryAllocation       ? "out of memory"
           : e == cudaErrorInvalidConfiguration ? "invalid configuration argument"
           : e == cudaErrorIllegalAddress ? "an illegal memory access was encountered"
                                          : "an error of the emulated device";
}
cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 2;
    return emu_plays("nodevice")    ? cudaErrorNoDevice
           : emu_plays("olddriver") ? cudaErrorInsufficientDriver
                                    : cudaSuccess;
}
cudaError_t cudaSetDevice(int)
{
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    *p = {"Emulated GPU", 9, 0, 2, 0, 256 << 10};
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int)
{
    *v = a == cudaDevAttrGlobalMemoryBusWidth ? 5120
         : a == cudaDevAttrComputeMode        ? emu_plays("prohibited") * 2
                                              : 1000000; /* kHz */
    return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char *buf, int size, int)
{
    snprintf(buf, (size_t)size, "0000:01:00.0");
    return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int *can, int, int)
{
    *can = 1;
    return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned)
{
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *v)
{
    *v = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *v)
{
    *v = CUDART_VERSION;
    return cudaSuccess;
}

/* half precision */

float __half2float(__half h)
{
    int exponent = h.x >> 10 & 31, m = h.x & 1023;
    float v = exponent == 31 ? (m ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + m), exponent - 25)
                             : ldexpf((float)m, -24);
    return h.x & 0x8000 ? -v : v;
}

__half __float2half(float f)
{
    uint16_t sign = (uint16_t)(__float_as_uint(f) >> 16 & 0x8000);
    float a = fabsf(f);
    if (a != a)
        return __half{(uint16_t)(sign | 0x7fff)};
    int e;
    frexpf(a, &e); /* a in [2^(e-1), 2^e) */
    int step = (e - 1 < -14 ? -14 : e - 1) - 10;
    float units = nearbyintf(ldexpf(a, -step)); /* of 2^step, to even */
    uint32_t bits = units >= 1024 ? (uint32_t)(step + 25) * 1024 + (uint32_t)units - 1024
                                  : (uint32_t)units;
    if (a >= 65520 || bits > 0x7c00)
        bits = 0x7c00;
    return __half{(uint16_t)(sign | bits)};
}
