/* rooflint-bench-cuda: an NVIDIA GPU. */
#include "gpu.h"

#include <math.h>
#include <time.h>

/* FLOP per clock per SM with fp32 (int32) accumulation, dense, highest of the
 * parts of that compute capability; a GeForce part runs at half of it, which
 * measuring shows.  CUDA C++ Programming Guide (arithmetic throughput) for the
 * vector units; NVIDIA whitepapers of each architecture for the tensor cores;
 * consistent with hwdb/rates.csv. */
static const struct {
    int cc;
    double fp32, tf32, fp16, fp8, int8, int4, fp4;
} rates[] = {
    /*  cc  fp32  tf32  fp16   fp8   int8   int4   fp4 */
    {70, 128, 0, 1024, 0, 0, 0, 0},
    {75, 128, 0, 1024, 0, 2048, 4096, 0},
    {80, 128, 1024, 2048, 0, 4096, 8192, 0},
    {86, 256, 512, 1024, 0, 2048, 4096, 0},
    {87, 256, 1024, 2048, 0, 4096, 8192, 0},
    {89, 256, 512, 1024, 2048, 2048, 4096, 0},
    {90, 256, 2048, 4096, 8192, 8192, 0, 0},
    {100, 256, 4096, 8192, 16384, 16384, 0, 32768},
    {103, 256, 4096, 8192, 16384, 512, 0, 49152},
    {110, 256, 4096, 8192, 16384, 16384, 0, 32768},
    {120, 256, 512, 1024, 2048, 2048, 0, 4096},
};

double gpu_flop_per_clk(int cc, const char *dtype, int accumulate)
{
    size_t k = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (rates[i].cc <= cc)
            k = i;
    double twice =
        accumulate == 16 && (cc == 75 || cc >= 86) && cc != 90 && cc < 130 ? 2 : 1;
    if (!strcmp(dtype, "fp32"))
        return rates[k].fp32;
    if (!strcmp(dtype, "tf32"))
        return rates[k].tf32;
    if (!strcmp(dtype, "fp16"))
        return rates[k].fp16 * twice;
    if (!strcmp(dtype, "bf16"))
        return cc >= 80 ? rates[k].fp16 : 0;
    if (!strcmp(dtype, "fp8"))
        return rates[k].fp8 * twice;
    if (!strcmp(dtype, "int8"))
        return rates[k].int8;
    if (!strcmp(dtype, "int4"))
        return rates[k].int4;
    return !strcmp(dtype, "fp4") ? rates[k].fp4 : 0;
}

/* opening */

static int no_device(cudaError_t rc, struct rl_error *err)
{
    if (rc == cudaErrorInsufficientDriver)
        return rl_fail(err, RL_EIO, NULL, 0,
                       "no NVIDIA driver, or one older than this program's CUDA %d.%d",
                       CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (rc == cudaErrorNoDevice || rc == cudaSuccess)
        return rl_fail(err, RL_EIO, NULL, 0,
                       "no CUDA device (is CUDA_VISIBLE_DEVICES empty?)");
    return rl_fail(err, RL_EIO, NULL, 0, "cannot use CUDA: %s", cudaGetErrorString(rc));
}

static double attribute(int dev, enum cudaDeviceAttr a)
{
    int v = 0;
    return cudaDeviceGetAttribute(&v, a, dev) == cudaSuccess ? v : 0;
}

/* A plan can be printed anywhere: of a GPU that is not there. */
static void assume_device(struct mb_env *e)
{
    e->dry = true;
    snprintf(e->name, sizeof e->name, "assumed GPU");
    e->cc = 90;
    e->sms = 132;
    e->hz = 1.98e9;
    e->dram_peak = 4.8e12;
    e->l2_bytes = 50 * 1048576.0;
    e->mem_bytes = e->free_bytes = 141e9;
    e->arena_bytes = (size_t)24e9;
    fprintf(stderr, "rooflint-bench-cuda: no CUDA device: this is the plan for an "
                    "assumed one of 132 SMs and 141 GB\n");
}

static int describe(struct mb_env *e, struct rl_error *err)
{
    cudaDeviceProp p;
    GPU_TRY(cudaGetDeviceProperties(&p, e->dev));
    snprintf(e->name, sizeof e->name, "%s", p.name);
    e->cc = 10 * p.major + p.minor;
    e->sms = p.multiProcessorCount;
    e->integrated = p.integrated != 0;
    e->l2_bytes = p.l2CacheSize;
    e->hz = 1e3 * attribute(e->dev, cudaDevAttrClockRate);
    /* kHz and bits; two transfers a clock on every memory type so reported */
    if (!e->integrated)
        e->dram_peak = 2e3 * attribute(e->dev, cudaDevAttrMemoryClockRate) *
                       attribute(e->dev, cudaDevAttrGlobalMemoryBusWidth) / 8;
    if (attribute(e->dev, cudaDevAttrComputeMode) == cudaComputeModeProhibited)
        return rl_fail(
            err, RL_EIO, e->name, 0,
            "its compute mode is 'prohibited': an administrator must change it");
    char bus[32];
    GPU_TRY(cudaDeviceGetPCIBusId(bus, sizeof bus, e->dev));
    e->nvml = gpu_nvml_open(bus);
    double max_hz = gpu_nvml_max_clock_hz(e->nvml);
    e->hz = max_hz > e->hz ? max_hz : e->hz;
    return 0;
}

/* What may spoil the figures is said before anything is measured. */
static void warn(const struct mb_env *e)
{
    int others = gpu_nvml_processes(e->nvml), busy = gpu_nvml_utilization(e->nvml);
    char why[128];
    gpu_nvml_throttle(e->nvml, why, sizeof why);
    if (others > 1 || busy > 10)
        fprintf(stderr,
                "rooflint-bench-cuda: the device is busy (%d other processes, %d %% used "
                "lately): figures will be low and noisy\n",
                others > 0 ? others - 1 : 0, busy > 0 ? busy : 0);
    if (gpu_nvml_mig(e->nvml) == 1)
        fprintf(stderr,
                "rooflint-bench-cuda: MIG is on: this measures one slice, not the "
                "whole GPU; give the entry its own name\n");
    if (why[0] && strcmp(why, "none") && strcmp(why, "sw_power_cap"))
        fprintf(stderr, "rooflint-bench-cuda: clocks are held down (%s)\n", why);
    if (!e->nvml && !e->integrated)
        fprintf(stderr,
                "rooflint-bench-cuda: no NVML: clocks and power are not recorded\n");
    else if (e->nvml && gpu_nvml_power_w(e->nvml) <= 0)
        fprintf(stderr,
                "rooflint-bench-cuda: power is not readable (no permission, or not "
                "on this part): it is not recorded\n");
}

/* Half of the free memory at most; less when the device says no. */
static int get_arena(struct mb_env *e, struct rl_error *err)
{
    size_t free_bytes = 0, total = 0;
    GPU_TRY(cudaMemGetInfo(&free_bytes, &total));
    e->mem_bytes = (double)total;
    e->free_bytes = (double)free_bytes;
    size_t want = free_bytes / 2;
    if (want > (size_t)24 << 30)
        want = (size_t)24 << 30;
    size_t least = (size_t)(8 * e->l2_bytes) + ((size_t)64 << 20);
    cudaError_t rc = cudaErrorMemoryAllocation;
    for (; want >= least; want = want / 4 * 3) {
        rc = cudaMalloc((void **)&e->arena, want);
        if (rc == cudaSuccess)
            break;
        cudaGetLastError();
    }
    if (rc == cudaSuccess) {
        e->arena_bytes = want;
        return 0;
    }
    return rl_fail(err, RL_ENOMEM, e->name, 0,
                   "%.1f of %.1f GiB are free, at least %.1f are needed: another process "
                   "holds the memory",
                   (double)free_bytes / 0x1p30, (double)total / 0x1p30,
                   2 * (double)least / 0x1p30);
}

static int prepare(struct mb_env *e, struct rl_error *err)
{
    GPU_TRY(cudaSetDevice(e->dev));
    if (describe(e, err))
        return -1;
    cudaError_t rc = cudaFree(0); /* makes the context */
    if (rc == cudaErrorDevicesUnavailable)
        return rl_fail(err, RL_EIO, e->name, 0,
                       "the device is busy: another process holds it exclusively");
    GPU_TRY(rc);
    void *host = NULL;
    GPU_TRY(cudaHostAlloc(&host, 64, cudaHostAllocMapped));
    e->flag = (volatile int *)host;
    GPU_TRY(cudaHostGetDevicePointer((void **)&e->flag_dev, host, 0));
    GPU_TRY(cudaStreamCreateWithFlags(&e->stream, cudaStreamNonBlocking));
    GPU_TRY(cudaEventCreate(&e->start));
    GPU_TRY(cudaEventCreate(&e->stop));
    warn(e);
    return get_arena(e, err) ||
                   gpu_fill(e, e->arena, (double)(e->arena_bytes / 4), GPU_FP32, 1, err)
               ? -1
               : 0;
}

static void gpu_close(struct mb_env *e)
{
    gpu_lt_close(e->lt);
    gpu_nvml_close(e->nvml);
    if (!e->dry) {
        cudaFree(e->arena);
        cudaFreeHost((void *)e->flag);
    }
    free(e);
}

static struct mb_env *gpu_open(int device, bool dry, struct rl_error *err)
{
    int n = 0;
    cudaError_t rc = cudaGetDeviceCount(&n);
    struct mb_env *e = (struct mb_env *)calloc(1, sizeof *e);
    if (!e) {
        rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
        return NULL;
    }
    e->dev = device;
    if (rc != cudaSuccess || n == 0) {
        if (dry) {
            assume_device(e);
            return e;
        }
        no_device(rc, err);
    } else if (device >= n) {
        rl_fail(err, RL_EVALUE, "--device", 0,
                "cuda:%d was asked for, there are %d: 0 to %d", device, n, n - 1);
    } else if (!prepare(e, err)) {
        e->dry = false;
        return e;
    }
    free(e);
    return NULL;
}

/* the record */

/* Families as the device files and the priors name them. */
static const char *arch_of(int cc)
{
    static const struct {
        int cc;
        const char *name;
    } families[] = {
        {120, "Blackwell GB2"},   {110, "Blackwell GB10B"}, {103, "Blackwell Ultra"},
        {100, "Blackwell GB100"}, {90, "Hopper GH100"},     {89, "Ada"},
        {87, "Ampere GA10B"},     {86, "Ampere GA102"},     {80, "Ampere GA100"},
        {75, "Turing"},           {70, "Volta GV100"}};
    if (cc == 121)
        return "Blackwell GB10";
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (cc >= families[i].cc)
            return families[i].name;
    return "unknown";
}

/* What a device file must say, for a part whose sheet nobody wrote down yet. */
static int unknown_part(struct mb_env *e, struct mb_rows *r, double limit,
                        struct rl_error *err)
{
    time_t now = time(NULL);
    struct tm day;
    gmtime_r(&now, &day);
    return mb_context_add(r, err, "entry arch=%s||text|compute capability",
                          arch_of(e->cc)) ||
           mb_context_add(
               r, err, "entry year=%d|1|prior|year of the measurement, not of the part",
               day.tm_year + 1900) ||
           mb_context_add(r, err, "entry mem_type=unknown||text|not readable") ||
           mb_context_add(r, err, "entry mem_size=%.5g|GiB|derived|as CUDA reports it",
                          e->mem_bytes / 0x1p30) ||
           (limit <= 0 &&
            mb_context_add(r, err,
                           "entry tdp=%d|W|prior|no limit readable: 3 W an SM assumed",
                           3 * e->sms));
}

static int gpu_record(struct mb_env *e, struct mb_rows *r, struct rl_error *err)
{
    char driver[96], why[128];
    int runtime = 0, version = 0;
    cudaRuntimeGetVersion(&runtime);
    cudaDriverGetVersion(&version);
    gpu_nvml_driver(e->nvml, driver, sizeof driver);
    gpu_nvml_throttle(e->nvml, why, sizeof why);
    double limit = gpu_nvml_limit_w(e->nvml);
    const char *vendor = "NVIDIA";
    return mb_host_context(r, err) || unknown_part(e, r, limit, err) ||
           mb_context_add(r, err,
                          "gpu=%s driver=%s cuda_driver=%d cuda_runtime=%d mig=%d "
                          "throttle=%s power_limit_w=%.0f data=random",
                          e->name, driver, version, runtime, gpu_nvml_mig(e->nvml), why,
                          limit) ||
           mb_context_add(r, err, "entry name=%s||text|CUDA runtime", e->name) ||
           mb_context_add(r, err, "entry vendor=%s||text|CUDA runtime", vendor) ||
           mb_context_add(r, err, "entry compute_capability=%d.%d||text|CUDA runtime",
                          e->cc / 10, e->cc % 10) ||
           mb_context_add(r, err, "entry sm_count=%d|1|datasheet|CUDA runtime", e->sms) ||
           mb_context_add(r, err, "entry boost_clock=%.0f|MHz|datasheet|CUDA runtime",
                          1e-6 * e->hz) ||
           mb_context_add(r, err, "entry mem_usable=%.5g|GiB|sustained|free at start",
                          e->free_bytes / 0x1p30) ||
           mb_context_add(r, err, "entry l2_size=%.6g|MiB|datasheet|CUDA runtime",
                          e->l2_bytes / 0x1p20) ||
           mb_context_add(r, err, "entry unified_memory=%d|1|datasheet|CUDA runtime",
                          e->integrated) ||
           (e->dram_peak > 0 &&
            mb_context_add(r, err, "entry dram_bw=%.6g|GB/s|datasheet|memory clock x bus",
                           1e-9 * e->dram_peak)) ||
           (limit > 0 &&
            mb_context_add(r, err, "entry tdp=%.0f|W|datasheet|NVML power limit", limit));
}

/* FMA and copies until clocks and temperature have risen. */
__global__ void burn(float *p, size_t n, int rounds)
{
    size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    float x = p[i % n], y = x;
    for (int k = 0; k < rounds; k++)
        x = x * 0.999f + y;
    if (x == 1.2345e33f)
        p[i % n] = x;
}

static void gpu_warm(struct mb_env *e, double seconds)
{
    double end = mb_now() + seconds;
    size_t half = e->arena_bytes / 2;
    while (mb_now() < end && !mb_stopped()) {
        burn<<<8 * e->sms, 256, 0, e->stream>>>((float *)e->arena, half / 4, 20000);
        cudaMemcpyAsync(e->arena, e->arena + half, half < (1u << 30) ? half : 1u << 30,
                        cudaMemcpyDeviceToDevice, e->stream);
        cudaStreamSynchronize(e->stream);
    }
}

static void gpu_telemetry(struct mb_env *e, double *clock_hz, double *power_w)
{
    *clock_hz = gpu_nvml_clock_hz(e->nvml);
    *power_w = e->watts > 0 ? e->watts : gpu_nvml_power_w(e->nvml);
    e->watts = 0;
}

static const struct mb_item *const items[] = {&gpu_item_read,
                                              &gpu_item_write,
                                              &gpu_item_copy,
                                              &gpu_item_triad,
                                              &gpu_item_l2_read,
                                              &gpu_item_latency,
                                              &gpu_item_fma,
                                              &gpu_item_sfu,
                                              &gpu_item_mma,
                                              &gpu_item_gemm,
                                              &gpu_item_gemm_long,
                                              &gpu_item_gemv,
                                              &gpu_item_attention_prefill,
                                              &gpu_item_attention_decode,
                                              &gpu_item_selective_scan,
                                              &gpu_item_state_update,
                                              &gpu_item_ssd_scan,
                                              &gpu_item_ssd_parts,
                                              &gpu_item_ssd_update,
                                              &gpu_item_gdn_scan,
                                              &gpu_item_gdn_update,
                                              &gpu_item_conv1d,
                                              &gpu_item_conv1d_update,
                                              &gpu_item_norm,
                                              &gpu_item_elementwise,
                                              &gpu_item_softmax,
                                              &gpu_item_rope,
                                              &gpu_item_embedding,
                                              &gpu_item_launch_stream,
                                              &gpu_item_launch_host,
                                              &gpu_item_launch_sync,
                                              &gpu_item_launch_graph,
                                              &gpu_item_graph_fixed,
                                              &gpu_item_launch_gap,
                                              &gpu_item_h2d,
                                              &gpu_item_d2h,
                                              &gpu_item_peer,
                                              &gpu_item_collective,
                                              &gpu_item_idle_power,
                                              &gpu_item_busy_power,
                                              NULL};

int main(int argc, char **argv)
{
    struct mb_backend be;
    memset(&be, 0, sizeof be);
    be.program = "rooflint-bench-cuda";
    be.device = "cuda";
    be.item = items;
    be.open = gpu_open;
    be.close = gpu_close;
    be.context = gpu_record;
    be.warm = gpu_warm;
    be.telemetry = gpu_telemetry;
    /* warm-up, sample, pass [s]; passes, all of them [s]; samples least, most; half width
     */
    be.quick = mb_budget{3, 200e-6, 0.08, 3, 60, 7, 60, 0.01};
    be.normal = mb_budget{5, 200e-6, 0.15, 2, 1200, 10, 100, 0.01};
    be.full = mb_budget{30, 500e-6, 0.5, 3, 7200, 15, 200, 0.01};
    /* max clocks may be exceeded by a step of the clock table */
    be.limit_slack = 1.02;
    return mb_program(&be, argc, argv);
}
