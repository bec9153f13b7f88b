/* The CUDA backend's own: one device, one stream, one arena of random data that
 * every item carves its buffers from, and timing behind a blocked stream.
 *
 * Built for every architecture that the toolkit knows (build-aux/cuda-archs);
 * NVML, cuBLASLt and NCCL are found at run time. */
#ifndef MB_GPU_H
#define MB_GPU_H

extern "C" {
#include "../harness.h"
#include "err.h"
}

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gpu_nvml; /* nvml.cu */
struct gpu_lt;   /* gemm.cu */

struct mb_env {
    int dev;
    bool dry; /* no device: sizes of an assumed one */
    char name[256];
    int cc; /* 80, 90, … */
    int sms;
    double hz;        /* highest SM clock */
    double dram_peak; /* bytes/s of the memory clock and bus width; 0: unknown */
    double l2_bytes, mem_bytes, free_bytes;
    bool integrated;
    cudaStream_t stream;
    cudaEvent_t start, stop;
    volatile int *flag; /* host memory: a blocked stream waits on [0], [1]: it gave up */
    int *flag_dev;
    char *arena;
    size_t arena_bytes;
    double watts; /* set by an item that measured power itself */
    size_t turn;  /* counts launches of rotated buffers */
    struct gpu_nvml *nvml;
    struct gpu_lt *lt;
};

/* Fills *err with the call and CUDA's words; −1. */
int gpu_fail(struct rl_error *err, cudaError_t rc, const char *what);
#define GPU_TRY(call)                                                                    \
    do {                                                                                 \
        cudaError_t rc_ = (call);                                                        \
        if (rc_ != cudaSuccess)                                                          \
            return gpu_fail(err, rc_, #call);                                            \
    } while (0)

/* Blocks the stream until gpu_release, at most five seconds. */
int gpu_block(struct mb_env *e, struct rl_error *err);
void gpu_release(struct mb_env *e);
/* −1 with a message when the block ended by itself: the times hold launches. */
int gpu_gave_up(const struct mb_env *e, struct rl_error *err);
int gpu_resident(const struct mb_env *e, const void *kernel, int threads);
/* Milliseconds between the events; waits; negative: failed. */
double gpu_elapsed(struct mb_env *e, struct rl_error *err);

/* How many launches a stream takes before it blocks the host, with a margin. */
enum { GPU_QUEUE = 256 };

/* Seconds that `reps` calls of launch took on the device, the cost of launching
 * kept out: the calls are enqueued while the stream waits on a host flag. */
template <class F>
static double gpu_timed(struct mb_env *e, long reps, struct rl_error *err, F launch,
                        int kernels_per_launch = 1)
{
    double total = 0;
    long batch = GPU_QUEUE / kernels_per_launch;
    if (batch < 1)
        batch = 1;
    while (reps > 0) {
        long n = reps < batch ? reps : batch;
        if (gpu_block(e, err))
            return -1;
        cudaEventRecord(e->start, e->stream);
        for (long i = 0; i < n; i++)
            launch();
        cudaEventRecord(e->stop, e->stream);
        gpu_release(e);
        double ms = gpu_elapsed(e, err);
        if (ms < 0)
            return -1;
        total += 1e-3 * ms;
        reps -= n;
    }
    return total;
}

/* Buffers: consecutive pieces of the arena, 256-byte aligned. */
struct gpu_cut {
    char *at, *end;
};
static inline struct gpu_cut gpu_cut_all(struct mb_env *e)
{
    struct gpu_cut c = {e->arena, e->arena + e->arena_bytes};
    return c;
}
/* NULL when the arena is too small: make must not have offered the case. */
template <class T> static T *gpu_take(struct gpu_cut *c, double n)
{
    size_t bytes = ((size_t)(n * sizeof(T)) + 255) / 256 * 256;
    if ((size_t)(c->end - c->at) < bytes)
        return NULL;
    T *p = (T *)c->at;
    c->at += bytes;
    return p;
}
int gpu_no_room(struct rl_error *err);

/* Random contents: about normal with the given deviation. */
enum gpu_fmt { GPU_FP32, GPU_FP16, GPU_BF16, GPU_FP8, GPU_INT8, GPU_FMTS };
const char *gpu_fmt_name(int fmt);
size_t gpu_fmt_bytes(int fmt);
int gpu_fill(struct mb_env *e, void *p, double n, int fmt, float deviation,
             struct rl_error *err);
/* n elements back as floats. */
int gpu_fetch(struct mb_env *e, const void *p, size_t n, int fmt, float *out,
              struct rl_error *err);

int gpu_expect(const char *what, double got, double want, double scale, double tol,
               struct rl_error *err);

/* Peak of a tensor unit in FLOP per clock per SM, dense; 0: no such unit.
 * accumulate 16 or 32 bits (see main.cu for the sources). */
double gpu_flop_per_clk(int cc, const char *dtype, int accumulate);

/* nvml.cu */
struct gpu_nvml *gpu_nvml_open(const char *pci_bus_id);
void gpu_nvml_close(struct gpu_nvml *n);
double gpu_nvml_power_w(struct gpu_nvml *n);  /* 0: not readable */
double gpu_nvml_energy_j(struct gpu_nvml *n); /* since the driver started; 0 */
double gpu_nvml_clock_hz(struct gpu_nvml *n);
double gpu_nvml_max_clock_hz(struct gpu_nvml *n);
double gpu_nvml_limit_w(struct gpu_nvml *n);
int gpu_nvml_processes(struct gpu_nvml *n);   /* −1: unknown */
int gpu_nvml_utilization(struct gpu_nvml *n); /* percent; −1: unknown */
int gpu_nvml_mig(struct gpu_nvml *n);         /* 1 on, 0 off, −1 unknown */
/* "sw_power_cap+…" or "none"; "" unknown */
const char *gpu_nvml_throttle(struct gpu_nvml *n, char *buf, size_t size);
const char *gpu_nvml_driver(struct gpu_nvml *n, char *buf, size_t size);

/* gemm.cu */
void gpu_lt_close(struct gpu_lt *lt);

extern const struct mb_item gpu_item_read, gpu_item_write, gpu_item_copy, gpu_item_triad,
    gpu_item_l2_read, gpu_item_latency, gpu_item_fma, gpu_item_sfu, gpu_item_mma,
    gpu_item_gemm, gpu_item_gemm_long, gpu_item_gemv, gpu_item_attention_prefill,
    gpu_item_attention_decode, gpu_item_selective_scan, gpu_item_state_update,
    gpu_item_ssd_update, gpu_item_gdn_scan, gpu_item_gdn_update, gpu_item_ssd_scan,
    gpu_item_ssd_parts, gpu_item_conv1d, gpu_item_conv1d_update, gpu_item_norm,
    gpu_item_elementwise, gpu_item_softmax, gpu_item_rope, gpu_item_embedding,
    gpu_item_launch_stream, gpu_item_launch_host, gpu_item_launch_sync,
    gpu_item_launch_graph, gpu_item_graph_fixed, gpu_item_launch_gap, gpu_item_h2d,
    gpu_item_d2h, gpu_item_peer, gpu_item_collective, gpu_item_idle_power,
    gpu_item_busy_power;

/* An item's row, positional in C++. */
#define GPU_ITEM(id, text, is_quick, make, setup, check, run, teardown)                  \
    extern const struct mb_item gpu_item_##id;                                           \
    const struct mb_item gpu_item_##id = {#id,   text,  is_quick, make,                  \
                                          setup, check, run,      teardown};

static inline int gpu_launched(const char *what, struct rl_error *err)
{
    cudaError_t rc = cudaGetLastError();
    return rc == cudaSuccess ? 0 : gpu_fail(err, rc, what);
}

#endif
