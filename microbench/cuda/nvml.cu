/* NVML by dlopen: power, energy, clocks, throttle reasons, who else is there.
 * Every value may be missing (Jetson has no NVML, containers may forbid power);
 * a missing one is reported as unknown and stops nothing.
 *
 * The few declarations needed are NVML's stable C ABI. */
#include "gpu.h"

#include <dlfcn.h>

typedef void *device;
typedef int (*fn_v)(void);
typedef int (*fn_by_pci)(const char *, device *);
typedef int (*fn_u)(device, unsigned *);
typedef int (*fn_uu)(device, unsigned, unsigned *);
typedef int (*fn_ull)(device, unsigned long long *);
typedef int (*fn_mig)(device, unsigned *, unsigned *);
typedef int (*fn_procs)(device, unsigned *, void *);
typedef int (*fn_text)(char *, unsigned);
struct utilization {
    unsigned gpu, memory;
};
typedef int (*fn_util)(device, struct utilization *);

struct gpu_nvml {
    void *lib;
    device dev;
    fn_v shutdown;
    fn_u power, limit;
    fn_uu clock, max_clock;
    fn_ull energy, throttle;
    fn_mig mig;
    fn_procs processes;
    fn_text driver;
    fn_util utilization;
};

template <class F> static void symbol(void *lib, const char *name, F *to)
{
    void *p = dlsym(lib, name);
    memcpy((void *)to, &p, sizeof p);
}

struct gpu_nvml *gpu_nvml_open(const char *pci_bus_id)
{
    void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return NULL;
    struct gpu_nvml *n = (struct gpu_nvml *)calloc(1, sizeof *n);
    fn_v init;
    fn_by_pci by_pci;
    symbol(lib, "nvmlInit_v2", &init);
    symbol(lib, "nvmlDeviceGetHandleByPciBusId_v2", &by_pci);
    if (!n || !init || !by_pci || init() || by_pci(pci_bus_id, &n->dev)) {
        free(n);
        dlclose(lib);
        return NULL;
    }
    n->lib = lib;
    symbol(lib, "nvmlShutdown", &n->shutdown);
    symbol(lib, "nvmlDeviceGetPowerUsage", &n->power);
    symbol(lib, "nvmlDeviceGetEnforcedPowerLimit", &n->limit);
    symbol(lib, "nvmlDeviceGetClockInfo", &n->clock);
    symbol(lib, "nvmlDeviceGetMaxClockInfo", &n->max_clock);
    symbol(lib, "nvmlDeviceGetTotalEnergyConsumption", &n->energy);
    symbol(lib, "nvmlDeviceGetCurrentClocksThrottleReasons", &n->throttle);
    if (!n->throttle) /* its name since driver 535 */
        symbol(lib, "nvmlDeviceGetCurrentClocksEventReasons", &n->throttle);
    symbol(lib, "nvmlDeviceGetMigMode", &n->mig);
    symbol(lib, "nvmlDeviceGetComputeRunningProcesses_v3", &n->processes);
    symbol(lib, "nvmlSystemGetDriverVersion", &n->driver);
    symbol(lib, "nvmlDeviceGetUtilizationRates", &n->utilization);
    return n;
}

void gpu_nvml_close(struct gpu_nvml *n)
{
    if (!n)
        return;
    if (n->shutdown)
        n->shutdown();
    dlclose(n->lib);
    free(n);
}

double gpu_nvml_power_w(struct gpu_nvml *n) /* milliwatts */
{
    unsigned v = 0;
    return n && n->power && !n->power(n->dev, &v) ? 1e-3 * v : 0;
}

double gpu_nvml_limit_w(struct gpu_nvml *n)
{
    unsigned v = 0;
    return n && n->limit && !n->limit(n->dev, &v) ? 1e-3 * v : 0;
}

double gpu_nvml_energy_j(struct gpu_nvml *n) /* millijoules */
{
    unsigned long long v = 0;
    return n && n->energy && !n->energy(n->dev, &v) ? 1e-3 * (double)v : 0;
}

enum { CLOCK_SM = 1 }; /* NVML_CLOCK_SM, MHz */

double gpu_nvml_clock_hz(struct gpu_nvml *n)
{
    unsigned v = 0;
    return n && n->clock && !n->clock(n->dev, CLOCK_SM, &v) ? 1e6 * v : 0;
}

double gpu_nvml_max_clock_hz(struct gpu_nvml *n)
{
    unsigned v = 0;
    return n && n->max_clock && !n->max_clock(n->dev, CLOCK_SM, &v) ? 1e6 * v : 0;
}

int gpu_nvml_processes(struct gpu_nvml *n)
{
    unsigned count = 0;
    enum { TOO_SMALL = 7 }; /* NVML_ERROR_INSUFFICIENT_SIZE: count is set */
    if (!n || !n->processes)
        return -1;
    int rc = n->processes(n->dev, &count, NULL);
    return rc == 0 || rc == TOO_SMALL ? (int)count : -1;
}

int gpu_nvml_utilization(struct gpu_nvml *n)
{
    struct utilization u = {0, 0};
    return n && n->utilization && !n->utilization(n->dev, &u) ? (int)u.gpu : -1;
}

int gpu_nvml_mig(struct gpu_nvml *n)
{
    unsigned now = 0, pending = 0;
    return n && n->mig && !n->mig(n->dev, &now, &pending) ? (int)now : -1;
}

const char *gpu_nvml_throttle(struct gpu_nvml *n, char *buf, size_t size)
{
    static const struct {
        unsigned long long bit;
        const char *name;
    } reasons[] = {{0x04, "sw_power_cap"}, {0x08, "hw_slowdown"},
                   {0x20, "sw_thermal"},   {0x40, "hw_thermal"},
                   {0x80, "power_brake"},  {0x02, "application_clocks"}};
    unsigned long long v = 0;
    buf[0] = 0;
    if (!n || !n->throttle || n->throttle(n->dev, &v))
        return buf;
    snprintf(buf, size, "none");
    size_t len = 0;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (v & reasons[i].bit && len < size)
            len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? "+" : "",
                                    reasons[i].name);
    return buf;
}

const char *gpu_nvml_driver(struct gpu_nvml *n, char *buf, size_t size)
{
    if (!n || !n->driver || n->driver(buf, (unsigned)size))
        snprintf(buf, size, "unknown");
    return buf;
}
