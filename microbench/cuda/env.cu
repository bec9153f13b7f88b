/* The device, its stream and arena, the blocked stream, and contents of
 * buffers. */
#include "gpu.h"
#include "ptx.h"

#include <math.h>

int gpu_fail(struct rl_error *err, cudaError_t rc, const char *what)
{
    cudaGetLastError(); /* clears an error that is not sticky */
    enum rl_code code = rc == cudaErrorMemoryAllocation ? RL_ENOMEM : RL_EIO;
    return rl_fail(err, code, NULL, 0, "%.80s: %s", what, cudaGetErrorString(rc));
}

int gpu_no_room(struct rl_error *err)
{
    return rl_fail(err, RL_ENOMEM, NULL, 0, "the device's free memory is too small");
}

int gpu_expect(const char *what, double got, double want, double scale, double tol,
               struct rl_error *err)
{
    if (fabs(got - want) <= tol * scale)
        return 0;
    return rl_fail(err, RL_EVALUE, NULL, 0,
                   "%s: got %.7g, the reference says %.7g (off by more than %.1g)", what,
                   got, want, tol * scale);
}

/* The blocked stream.  Five seconds on the device's side end the wait should the
 * host die, or hang in a launch because the queue is full; flag[1] tells so. */
__global__ void wait_for_flag(volatile int *flag)
{
    unsigned long long begin = ptx_globaltimer();
    while (flag[0] == 0)
        if (ptx_globaltimer() - begin > 5000000000ull) {
            flag[1] = 1;
            break;
        }
}

int gpu_block(struct mb_env *e, struct rl_error *err)
{
    e->flag[0] = e->flag[1] = 0;
    __sync_synchronize();
    wait_for_flag<<<1, 1, 0, e->stream>>>(e->flag_dev);
    return gpu_launched("blocking the stream", err);
}

/* Blocks of this kernel that run at once on the whole device: the grid of a kernel
 * that strides over its data, so that there is no second, half-empty wave. */
int gpu_resident(const struct mb_env *e, const void *kernel, int threads)
{
    int n = 0;
    if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n, kernel, threads, 0) !=
            cudaSuccess ||
        n < 1)
        n = 1;
    return n * e->sms;
}

void gpu_release(struct mb_env *e)
{
    __sync_synchronize();
    e->flag[0] = 1;
    __sync_synchronize();
}

int gpu_gave_up(const struct mb_env *e, struct rl_error *err)
{
    if (!e->flag[1])
        return 0;
    return rl_fail(err, RL_EIO, NULL, 0,
                   "the launches did not fit the blocked stream's queue within 5 s");
}

double gpu_elapsed(struct mb_env *e, struct rl_error *err)
{
    float ms = 0;
    cudaError_t rc = cudaGetLastError(); /* of the launches */
    if (rc == cudaSuccess)
        rc = cudaEventSynchronize(e->stop);
    if (rc == cudaSuccess)
        rc = cudaEventElapsedTime(&ms, e->start, e->stop);
    if (rc == cudaSuccess)
        return gpu_gave_up(e, err) ? -1 : ms;
    gpu_fail(err, rc, "kernel");
    return -1;
}

/* contents */

static const struct {
    const char *name;
    size_t bytes;
} formats[GPU_FMTS] = {{"fp32", 4}, {"fp16", 2}, {"bf16", 2}, {"fp8", 1}, {"int8", 1}};

const char *gpu_fmt_name(int fmt)
{
    return formats[fmt].name;
}

size_t gpu_fmt_bytes(int fmt)
{
    return formats[fmt].bytes;
}

/* pcg hash (Jarzynski and Olano 2020) */
__device__ static uint32_t hash(uint32_t x)
{
    uint32_t s = x * 747796405u + 2891336453u;
    uint32_t w = ((s >> ((s >> 28) + 4)) ^ s) * 277803737u;
    return (w >> 22) ^ w;
}

/* the sum of four uniform bytes has deviation 147.8 */
__device__ static float about_normal(uint32_t h)
{
    float s = (float)((h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24)) - 510.0f;
    return s * (1.0f / 147.8f);
}

__global__ void fill(void *p, size_t n, int fmt, float deviation)
{
    size_t step = (size_t)gridDim.x * blockDim.x;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += step) {
        uint32_t h = hash((uint32_t)i ^ (uint32_t)(i >> 32) * 2654435761u);
        float x = deviation * about_normal(h);
        if (fmt == GPU_FP32)
            ((float *)p)[i] = x;
        else if (fmt == GPU_FP16)
            ((__half *)p)[i] = __float2half(x);
        else if (fmt == GPU_BF16)
            ((__nv_bfloat16 *)p)[i] = __float2bfloat16(x);
        else if (fmt == GPU_INT8)
            ((int8_t *)p)[i] = (int8_t)max(-127.0f, min(127.0f, 42.0f * about_normal(h)));
        else /* e4m3: sign, exponent 4 to 7 of 15 (2^-3 to 1), three random bits */
            ((uint8_t *)p)[i] = (uint8_t)((h & 0x87) | (4 + (h >> 8 & 3)) << 3);
    }
}

int gpu_fill(struct mb_env *e, void *p, double n, int fmt, float deviation,
             struct rl_error *err)
{
    fill<<<4 * e->sms, 256, 0, e->stream>>>(p, (size_t)n, fmt, deviation);
    if (gpu_launched("filling a buffer", err))
        return -1;
    GPU_TRY(cudaStreamSynchronize(e->stream));
    return 0;
}

static float from_e4m3(uint8_t b)
{
    int ex = b >> 3 & 15, m = b & 7;
    float v = ex ? ldexpf((float)(8 + m), ex - 10) : ldexpf((float)m, -9);
    return b & 128 ? -v : v;
}

int gpu_fetch(struct mb_env *e, const void *p, size_t n, int fmt, float *out,
              struct rl_error *err)
{
    char *raw = (char *)malloc(n * formats[fmt].bytes + 1);
    if (!raw)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    cudaError_t rc = cudaStreamSynchronize(e->stream);
    if (rc == cudaSuccess)
        rc = cudaMemcpy(raw, p, n * formats[fmt].bytes, cudaMemcpyDeviceToHost);
    for (size_t i = 0; rc == cudaSuccess && i < n; i++) {
        __half h;
        __nv_bfloat16 b;
        switch (fmt) {
        case GPU_FP32:
            memcpy(&out[i], raw + 4 * i, 4);
            break;
        case GPU_FP16:
            memcpy(&h, raw + 2 * i, 2);
            out[i] = __half2float(h);
            break;
        case GPU_BF16:
            memcpy(&b, raw + 2 * i, 2);
            out[i] = __bfloat162float(b);
            break;
        case GPU_INT8:
            out[i] = (float)(int8_t)raw[i];
            break;
        default:
            out[i] = from_e4m3((uint8_t)raw[i]);
        }
    }
    free(raw);
    return rc == cudaSuccess ? 0 : gpu_fail(err, rc, "reading a result back");
}
