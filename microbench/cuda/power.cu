/* Power at rest and while the memory is busy, by NVML's energy counter where
 * there is one, else by its power reading.  No NVML: no cases. */
#include "gpu.h"

#include <time.h>

static int power_case(struct mb_env *e, int i, struct mb_case *c)
{
    if (i > 0 || !e->nvml || gpu_nvml_power_w(e->nvml) <= 0)
        return 0;
    c->dtype = "none";
    c->what = MB_TIME;
    c->events = 1;
    snprintf(c->size, sizeof c->size, "seconds=1");
    return 1;
}

static int power_make(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)quick;
    return power_case(e, i, c);
}

static void sleep_for(double s)
{
    struct timespec t = {(time_t)s, (long)(1e9 * (s - (double)(time_t)s))};
    nanosleep(&t, NULL);
}

static void note_power(struct mb_env *e, double joules, double t)
{
    double now = gpu_nvml_energy_j(e->nvml);
    e->watts = now > joules && t > 0.5 ? (now - joules) / t : gpu_nvml_power_w(e->nvml);
}

static int idle_setup(struct mb_env *e, struct mb_case *c, struct rl_error *err)
{
    (void)c;
    GPU_TRY(cudaStreamSynchronize(e->stream));
    sleep_for(3); /* the clocks fall */
    return 0;
}

static double idle_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    (void)c;
    (void)err;
    double joules = gpu_nvml_energy_j(e->nvml), t = mb_now();
    sleep_for(1);
    t = mb_now() - t;
    note_power(e, joules, t);
    return t * (double)reps;
}

GPU_ITEM(idle_power, "power at rest", false, power_make, idle_setup, NULL, idle_run, NULL)

static double busy_run(struct mb_env *e, struct mb_case *c, long reps,
                       struct rl_error *err)
{
    (void)c;
    size_t half = e->arena_bytes / 2;
    double joules = gpu_nvml_energy_j(e->nvml), t = mb_now();
    while (mb_now() - t < 1 && !mb_stopped()) {
        for (int i = 0; i < 4; i++)
            cudaMemcpyAsync(e->arena, e->arena + half, half, cudaMemcpyDeviceToDevice,
                            e->stream);
        cudaError_t rc = cudaStreamSynchronize(e->stream);
        if (rc != cudaSuccess)
            return gpu_fail(err, rc, "copy");
    }
    t = mb_now() - t;
    note_power(e, joules, t);
    return t * (double)reps;
}

GPU_ITEM(busy_power, "power while memory is busy", false, power_make, NULL, NULL,
         busy_run, NULL)
