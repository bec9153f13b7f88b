/* CUDA on the CPU, for tests: as much of the runtime and of the language as
 * microbench/cuda uses, so that every kernel runs and is compared with its host
 * reference on a machine without a GPU.
 *
 * Every thread of a block is a coroutine (emu.cc).  A barrier or a warp exchange
 * switches to another one, in an order that EMU_ORDER chooses, so that a missing
 * barrier shows as a wrong result under one order or the other.  Streams defer
 * their work until somebody waits for them, as a non-blocking stream may: a
 * missing wait reads old data.  Nothing about speed is real. */
#ifndef EMU_H
#define EMU_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <tuple>

static inline int min(int a, int b)
{
    return a < b ? a : b;
}
static inline int max(int a, int b)
{
    return a < b ? b : a;
}
static inline float min(float a, float b)
{
    return fminf(a, b);
}
static inline float max(float a, float b)
{
    return fmaxf(a, b);
}

#define CUDART_VERSION 12080
#define __CUDA_ARCH__  900
#define __global__
#define __device__
#define __host__
#define __shared__   static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c)
    {
    }
};
struct uint2 {
    unsigned x, y;
};
struct __align__(16) uint4
{
    unsigned x, y, z, w;
};
struct float2 {
    float x, y;
};
struct __align__(16) float4
{
    float x, y, z, w;
};
static inline uint4 make_uint4(unsigned a, unsigned b, unsigned c, unsigned d)
{
    return uint4{a, b, c, d};
}
static inline float4 make_float4(float a, float b, float c, float d)
{
    return float4{a, b, c, d};
}
static inline float2 make_float2(float a, float b)
{
    return float2{a, b};
}

struct emu_stream;
struct emu_event;
struct emu_graph;
typedef emu_stream *cudaStream_t;
typedef emu_event *cudaEvent_t;
typedef emu_graph *cudaGraph_t;
typedef emu_graph *cudaGraphExec_t;

namespace emu
{
extern uint3 thread, block;
extern dim3 threads, blocks;
void *shared();      /* the dynamic shared memory of the block */
void barrier();      /* __syncthreads */
void warp_barrier(); /* __syncwarp */
/* Every lane of the warp gives n bytes; all 32 lanes' come back, LANE bytes apart,
 * and stay until the lane's next gather. */
enum { LANE = 64 };
const char *gather(const void *value, size_t n);
int lane();
void launch(dim3 grid, dim3 block, size_t smem, cudaStream_t s,
            std::function<void()> body);

template <class... A> struct bound {
    dim3 grid, block;
    size_t smem;
    cudaStream_t stream;
    std::tuple<A...> args;
};
struct cfg { /* kernel<<<grid, block, smem, stream>>>(args) is rewritten as
              * kernel->*emu::cfg(grid, block, smem, stream)(args) */
    dim3 grid, block;
    size_t smem;
    cudaStream_t stream;
    cfg(dim3 g, dim3 b, size_t m = 0, cudaStream_t s = nullptr)
        : grid(g), block(b), smem(m), stream(s)
    {
    }
    template <class... A> bound<A...> operator()(A... a)
    {
        return {grid, block, smem, stream, std::tuple<A...>(a...)};
    }
};
template <class... P, class... A> void operator->*(void (*kernel)(P...), bound<A...> b)
{
    std::tuple<P...> args(b.args); /* converted now, as a launch does */
    launch(b.grid, b.block, b.smem, b.stream, [=] { std::apply(kernel, args); });
}
} // namespace emu

#define threadIdx emu::thread
#define blockIdx  emu::block
#define blockDim  emu::threads
#define gridDim   emu::blocks

static inline void __syncthreads()
{
    emu::barrier();
}
static inline void __syncwarp(unsigned = ~0u)
{
    emu::warp_barrier();
}
template <class T> static inline T emu_from(T v, int from)
{
    memcpy(&v, emu::gather(&v, sizeof v) + from * emu::LANE, sizeof v);
    return v;
}
template <class T> static inline T __shfl_xor_sync(unsigned, T v, int mask)
{
    return emu_from(v, emu::lane() ^ mask);
}
template <class T> static inline T __shfl_up_sync(unsigned, T v, int delta)
{
    int from = emu::lane() - delta;
    return emu_from(v, from < 0 ? emu::lane() : from);
}

template <class T> static inline T __ldcs(const T *p)
{
    return *p;
}
template <class T> static inline T __ldcg(const T *p)
{
    return *p;
}
template <class T> static inline void __stcs(T *p, T v)
{
    *p = v;
}
static inline void atomicXor(unsigned *p, unsigned v)
{
    *p ^= v;
}
static inline float __uint_as_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline uint32_t __float_as_uint(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}
static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 32; i += 8)
        c += (int8_t)(a >> i) * (int8_t)(b >> i);
    return c;
}
long long clock64();

/* number formats: IEEE half and bfloat16, rounded to nearest even */

struct __half {
    uint16_t x;
};
struct __nv_bfloat16 {
    uint16_t x;
};
struct __half2 {
    __half x, y;
};
struct __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
float __half2float(__half h);
__half __float2half(float f);
static inline float __bfloat162float(__nv_bfloat16 b)
{
    return __uint_as_float((uint32_t)b.x << 16);
}
static inline __nv_bfloat16 __float2bfloat16(float f)
{
    uint32_t u = __float_as_uint(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return __nv_bfloat16{0x7fff};
    return __nv_bfloat16{(uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
static inline __nv_bfloat162 __floats2bfloat162_rn(float a, float b)
{
    return {__float2bfloat16(a), __float2bfloat16(b)};
}
static inline float2 __half22float2(__half2 h)
{
    return {__half2float(h.x), __half2float(h.y)};
}
static inline __half __ushort_as_half(unsigned short u)
{
    return __half{u};
}
static inline __half2 __hfma2(__half2 a, __half2 b, __half2 c)
{
    float2 x = __half22float2(a), y = __half22float2(b), z = __half22float2(c);
    return {__float2half(fmaf(x.x, y.x, z.x)), __float2half(fmaf(x.y, y.y, z.y))};
}
static inline __nv_bfloat162 __hfma2(__nv_bfloat162 a, __nv_bfloat162 b, __nv_bfloat162 c)
{
    return __floats2bfloat162_rn(
        fmaf(__bfloat162float(a.x), __bfloat162float(b.x), __bfloat162float(c.x)),
        fmaf(__bfloat162float(a.y), __bfloat162float(b.y), __bfloat162float(c.y)));
}

/* the runtime */

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorNoDevice = 100,
    cudaErrorIllegalAddress = 700,
    cudaErrorPeerAccessAlreadyEnabled = 704
};
enum cudaMemcpyKind {
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice
};
enum cudaDeviceAttr {
    cudaDevAttrClockRate,
    cudaDevAttrMemoryClockRate,
    cudaDevAttrGlobalMemoryBusWidth,
    cudaDevAttrComputeMode
};
enum { cudaComputeModeProhibited = 2 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum { cudaHostAllocDefault, cudaHostAllocMapped = 2, cudaStreamNonBlocking = 1 };
enum { cudaStreamCaptureModeThreadLocal = 1 };
struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount, integrated, l2CacheSize;
};

const char *cudaGetErrorString(cudaError_t e);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaSetDevice(int dev);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int dev);
cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int dev);
cudaError_t cudaDeviceGetPCIBusId(char *buf, int size, int dev);
cudaError_t cudaDeviceCanAccessPeer(int *can, int dev, int peer);
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags);
cudaError_t cudaRuntimeGetVersion(int *v);
cudaError_t cudaDriverGetVersion(int *v);
cudaError_t cudaMemGetInfo(size_t *left, size_t *total);
cudaError_t cudaMalloc(void **p, size_t n);
cudaError_t cudaFree(void *p);
cudaError_t cudaHostAlloc(void **p, size_t n, unsigned flags);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaHostGetDevicePointer(void **dev, void *host, unsigned flags);
cudaError_t cudaMemcpy(void *to, const void *from, size_t n, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind,
                            cudaStream_t s);
cudaError_t cudaMemcpyPeerAsync(void *to, int to_dev, const void *from, int from_dev,
                                size_t n, cudaStream_t s);
cudaError_t cudaMemset(void *p, int v, size_t n);
cudaError_t cudaMemsetAsync(void *p, int v, size_t n, cudaStream_t s);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaEventCreate(cudaEvent_t *e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b);
cudaError_t cudaStreamBeginCapture(cudaStream_t s, int mode);
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t s);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x);
cudaError_t cudaGraphDestroy(cudaGraph_t g);
cudaError_t emu_max_smem(const void *kernel, int bytes);
template <class F>
cudaError_t cudaFuncSetAttribute(F *kernel, cudaFuncAttribute, int bytes)
{
    return emu_max_smem((const void *)kernel, bytes);
}
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, F *, int threads,
                                                          size_t)
{
    *n = 2048 / threads;
    return cudaSuccess;
}

/* Work of the driver's other libraries, called through what dlsym gave. */
void emu_enqueue(cudaStream_t s, std::function<void()> work);
void emu_drain();

/* dlopen and dlsym of stand-ins for NVML, cuBLASLt and NCCL (emu_libs.cc). */
void *emu_dlopen(const char *name, int flags);
void *emu_dlsym(void *lib, const char *symbol);
int emu_dlclose(void *lib);
/* Whether EMU, a list of words, holds this one: a situation to play. */
bool emu_plays(const char *word);

#endif
