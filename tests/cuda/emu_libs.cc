/* Stand-ins for the libraries that the GPU program loads at run time: cuBLASLt
 * (plain products), NCCL (sums over buffers of one process) and NVML, which plays
 * what the variable EMU says: mig, busy, nopower, throttled, nonvml. */
#include "cublasLt.h"

#include <stdio.h>
#include <stdlib.h>

#include <vector>

/* cuBLASLt */

static float e4m3(uint8_t b)
{
    int ex = b >> 3 & 15, m = b & 7;
    float v = ex ? ldexpf((float)(8 + m), ex - 10) : ldexpf((float)m, -9);
    return b & 128 ? -v : v;
}

static double element(const void *p, cudaDataType t, size_t i)
{
    switch (t) {
    case CUDA_R_32F:
        return ((const float *)p)[i];
    case CUDA_R_16F:
        return __half2float(((const __half *)p)[i]);
    case CUDA_R_16BF:
        return __bfloat162float(((const __nv_bfloat16 *)p)[i]);
    case CUDA_R_8F_E4M3:
        return e4m3(((const uint8_t *)p)[i]);
    case CUDA_R_8I:
        return ((const int8_t *)p)[i];
    default:
        return ((const int32_t *)p)[i];
    }
}

static void store(void *p, cudaDataType t, size_t i, double v)
{
    if (t == CUDA_R_32F)
        ((float *)p)[i] = (float)v;
    else if (t == CUDA_R_16F)
        ((__half *)p)[i] = __float2half((float)v);
    else if (t == CUDA_R_16BF)
        ((__nv_bfloat16 *)p)[i] = __float2bfloat16((float)v);
    else
        ((int32_t *)p)[i] = (int32_t)v;
}

/* D = Aᵀ B; the first and last columns of D and some between: a whole product of
 * a large shape would take minutes, and the check reads three elements. */
static void product(const void *a, emu_lt_layout la, const void *b, emu_lt_layout lb,
                    void *d, emu_lt_layout ld)
{
    std::vector<double> column(la.rows);
    for (uint64_t j = 0; j < ld.cols; j++) {
        if (j && j + 1 < ld.cols && j != ld.cols / 2)
            continue;
        for (uint64_t k = 0; k < lb.rows; k++)
            column[k] = element(b, lb.type, j * (size_t)lb.ld + k);
        for (uint64_t i = 0; i < ld.rows; i++) {
            double sum = 0;
            if (i && i + 1 < ld.rows && i != ld.rows / 3)
                continue;
            for (uint64_t k = 0; k < la.rows; k++)
                sum += element(a, la.type, i * (size_t)la.ld + k) * column[k];
            store(d, ld.type, j * (size_t)ld.ld + i, sum);
        }
    }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *h)
{
    *h = new int(0);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
    delete h;
    return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion(void)
{
    return 120000;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t d, const void *,
                              const void *a, cublasLtMatrixLayout_t la, const void *b,
                              cublasLtMatrixLayout_t lb, const void *, const void *,
                              cublasLtMatrixLayout_t, void *out,
                              cublasLtMatrixLayout_t lo, const cublasLtMatmulAlgo_t *,
                              void *, size_t, cudaStream_t s)
{
    if (d->a != CUBLAS_OP_T || la->rows != lb->rows || la->cols != lo->rows ||
        lb->cols != lo->cols)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    emu_lt_layout x = *la, y = *lb, z = *lo;
    emu_enqueue(s, [=] { product(a, x, b, y, out, z); });
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
    cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
    cublasLtMatmulPreference_t, int most, cublasLtMatmulHeuristicResult_t *out, int *n)
{
    *n = min(most, 2);
    out[0] = {{0}, CUBLAS_STATUS_SUCCESS};
    out[1] = {{1}, CUBLAS_STATUS_NOT_SUPPORTED};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *d, cublasComputeType_t c,
                                        cudaDataType scale)
{
    *d = new emu_lt_desc{c, scale, CUBLAS_OP_N};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
    delete d;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                              cublasLtMatmulDescAttributes_t,
                                              const void *v, size_t n)
{
    if (n != sizeof d->a)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memcpy(&d->a, v, n);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *l, cudaDataType t,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    *l = new emu_lt_layout{t, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    delete l;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p)
{
    *p = new int(0);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    delete p;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t,
                                                    const void *, size_t)
{
    return CUBLAS_STATUS_SUCCESS;
}

/* NCCL: a rank is an index; a group collects the ranks' calls and runs them */

struct call {
    int kind; /* 0 all_reduce, 1 all_gather, 2 reduce_scatter */
    const __half *in;
    __half *out;
    size_t n;
};
static std::vector<call> calls;

static int init_all(void **comm, int n, const int *)
{
    for (int i = 0; i < n; i++)
        comm[i] = new int(i);
    return 0;
}
static int comm_destroy(void *comm)
{
    delete (int *)comm;
    return 0;
}
static int group_start(void)
{
    calls.clear();
    return 0;
}
static __half total(size_t i)
{
    float sum = 0;
    for (const call &c : calls)
        sum += __half2float(c.in[i]);
    return __float2half(sum);
}
static int group_end(void)
{
    emu_drain();
    size_t ranks = calls.size();
    std::vector<std::vector<__half>> out(ranks);
    for (size_t r = 0; r < ranks; r++) {
        const call &c = calls[r];
        if (c.kind == 1)
            for (const call &from : calls)
                out[r].insert(out[r].end(), from.in, from.in + c.n);
        else
            for (size_t i = 0; i < c.n; i++)
                out[r].push_back(total(c.kind == 2 ? r * c.n + i : i));
    }
    for (size_t r = 0; r < ranks; r++)
        memcpy(calls[r].out, out[r].data(), out[r].size() * sizeof(__half));
    return 0;
}
enum { HALF = 6 };
static int all_reduce(const void *in, void *out, size_t n, int type, int, void *,
                      cudaStream_t)
{
    calls.push_back({0, (const __half *)in, (__half *)out, n});
    return type != HALF;
}
static int all_gather(const void *in, void *out, size_t n, int type, void *, cudaStream_t)
{
    calls.push_back({1, (const __half *)in, (__half *)out, n});
    return type != HALF;
}
static int reduce_scatter(const void *in, void *out, size_t n, int type, int, void *,
                          cudaStream_t)
{
    calls.push_back({2, (const __half *)in, (__half *)out, n});
    return type != HALF;
}

/* NVML; 4 is its "no permission" */

static int nvml_init(void)
{
    return 0;
}
static int nvml_by_pci(const char *, void **dev)
{
    *dev = &calls;
    return 0;
}
static int nvml_power(void *, unsigned *v)
{
    *v = 123000;
    return emu_plays("nopower") ? 4 : 0;
}
static int nvml_energy(void *, unsigned long long *v)
{
    static unsigned long long joules;
    *v = 1000 * ++joules;
    return emu_plays("nopower") ? 4 : 0;
}
static int nvml_clock(void *, unsigned, unsigned *v)
{
    *v = 1000;
    return 0;
}
static int nvml_throttle(void *, unsigned long long *v)
{
    *v = emu_plays("throttled") ? 0x44 : 0;
    return 0;
}
static int nvml_mig(void *, unsigned *now, unsigned *pending)
{
    *now = *pending = emu_plays("mig");
    return 0;
}
static int nvml_processes(void *, unsigned *n, void *)
{
    *n = emu_plays("busy") ? 3 : 1;
    return 7; /* no room for the list: the count is set */
}
static int nvml_driver(char *buf, unsigned size)
{
    snprintf(buf, size, "999.1");
    return 0;
}
static int nvml_utilization(void *, unsigned *v)
{
    v[0] = emu_plays("busy") ? 88 : 0;
    return 0;
}

static const struct {
    const char *lib, *symbol;
    void *f;
} symbols[] = {
#define LT(f)                                                                            \
    {                                                                                    \
        "libcublasLt.so.12", #f, (void *)f                                               \
    }
    LT(cublasLtCreate),
    LT(cublasLtDestroy),
    LT(cublasLtGetVersion),
    LT(cublasLtMatmul),
    LT(cublasLtMatmulAlgoGetHeuristic),
    LT(cublasLtMatmulDescCreate),
    LT(cublasLtMatmulDescDestroy),
    LT(cublasLtMatmulDescSetAttribute),
    LT(cublasLtMatrixLayoutCreate),
    LT(cublasLtMatrixLayoutDestroy),
    LT(cublasLtMatmulPreferenceCreate),
    LT(cublasLtMatmulPreferenceDestroy),
    LT(cublasLtMatmulPreferenceSetAttribute),
    {"libnccl.so.2", "ncclCommInitAll", (void *)init_all},
    {"libnccl.so.2", "ncclCommDestroy", (void *)comm_destroy},
    {"libnccl.so.2", "ncclGroupStart", (void *)group_start},
    {"libnccl.so.2", "ncclGroupEnd", (void *)group_end},
    {"libnccl.so.2", "ncclAllReduce", (void *)all_reduce},
    {"libnccl.so.2", "ncclAllGather", (void *)all_gather},
    {"libnccl.so.2", "ncclReduceScatter", (void *)reduce_scatter},
#define ML(name, f)                                                                      \
    {                                                                                    \
        "libnvidia-ml.so.1", name, (void *)f                                             \
    }
    ML("nvmlInit_v2", nvml_init),
    ML("nvmlShutdown", nvml_init),
    ML("nvmlDeviceGetHandleByPciBusId_v2", nvml_by_pci),
    ML("nvmlDeviceGetPowerUsage", nvml_power),
    ML("nvmlDeviceGetEnforcedPowerLimit", nvml_power),
    ML("nvmlDeviceGetClockInfo", nvml_clock),
    ML("nvmlDeviceGetMaxClockInfo", nvml_clock),
    ML("nvmlDeviceGetTotalEnergyConsumption", nvml_energy),
    ML("nvmlDeviceGetCurrentClocksEventReasons", nvml_throttle), /* the newer name */
    ML("nvmlDeviceGetMigMode", nvml_mig),
    ML("nvmlDeviceGetComputeRunningProcesses_v3", nvml_processes),
    ML("nvmlSystemGetDriverVersion", nvml_driver),
    ML("nvmlDeviceGetUtilizationRates", nvml_utilization),
};

void *emu_dlopen(const char *name, int)
{
    if (emu_plays("nonvml") && strstr(name, "nvidia-ml"))
        return NULL;
    if (emu_plays("nolibs") && !strstr(name, "nvidia-ml"))
        return NULL;
    for (auto &s : symbols)
        if (!strcmp(s.lib, name))
            return (void *)s.lib;
    return NULL;
}

void *emu_dlsym(void *lib, const char *symbol)
{
    for (auto &s : symbols)
        if (!strcmp(s.lib, (const char *)lib) && !strcmp(s.symbol, symbol))
            return s.f;
    return NULL;
}

int emu_dlclose(void *)
{
    return 0;
}
