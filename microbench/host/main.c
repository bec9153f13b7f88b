/* rooflint-bench-host: the CPU that this program runs on. */
#include "host.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Cores behind the CPUs: distinct (package, core) pairs. */
static int count_cores(int cpus)
{
    int seen[1024][2], n = 0, total = (int)sysconf(_SC_NPROCESSORS_CONF);
    for (int cpu = 0; cpu < total && n < 1024; cpu++) {
        int id[2] = {-1, -1};
        static const char *const what[] = {"physical_package_id", "core_id"};
        for (int k = 0; k < 2; k++) {
            char path[160];
            snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu,
                     what[k]);
            FILE *f = fopen(path, "r");
            if (f) {
                if (fscanf(f, "%d", &id[k]) != 1)
                    id[k] = -1;
                fclose(f);
            }
        }
        int j = 0;
        while (j < n && (seen[j][0] != id[0] || seen[j][1] != id[1]))
            j++;
        if (j == n && id[1] >= 0)
            memcpy(seen[n++], id, sizeof id);
    }
    return n > 0 && n < cpus ? n : cpus;
}

static struct mb_env *host_open(int device, bool dry, struct rl_error *err)
{
    if (device != 0) {
        rl_fail(err, RL_EVALUE, "--device", 0, "the host is device 0 only");
        return NULL;
    }
    struct mb_env *e = rl_alloc(1, sizeof *e, err);
    if (!e || !(e->team = mb_team_new(err))) {
        free(e);
        return NULL;
    }
    e->cpus = mb_team_size(e->team);
    e->start = rl_alloc(2 * (size_t)e->cpus, sizeof *e->start, err);
    if (!e->start) {
        mb_team_free(e->team);
        free(e);
        return NULL;
    }
    e->end = e->start + e->cpus;
    e->cores = count_cores(e->cpus);
    e->llc_bytes = mb_llc_bytes();
    e->mem_bytes = 0.45 * mb_mem_bytes();
    e->clock_hz = dry ? 1e9 : mb_measure_clock();
    return e;
}

static void host_close(struct mb_env *e)
{
    mb_team_free(e->team);
    free(e->start);
    free(e->blas);
    free(e->ggml);
    free(e);
}

static int host_record(struct mb_env *e, struct mb_rows *r, struct rl_error *err)
{
    return mb_host_context(r, err) || mb_host_facts(r, e->cores, e->clock_hz, err) ||
                   mb_context_add(r, err, "threads=%d cores=%d clock_hz=%.4g data=random",
                                  e->cpus, e->cores, e->clock_hz)
               ? -1
               : 0;
}

static void busy(int tid, int n, void *arg)
{
    (void)tid;
    (void)n;
    double end = mb_now() + *(double *)arg;
    while (mb_now() < end && !mb_stopped())
        mb_measure_clock();
}

/* Clocks and the scheduler settle; the clock is taken again while hot. */
static void host_warm(struct mb_env *e, double seconds)
{
    mb_team_run(e->team, e->cpus, busy, &seconds);
    double hz = mb_measure_clock();
    if (hz > e->clock_hz)
        e->clock_hz = hz;
}

static const struct mb_item *const items[] = {
    &mb_item_clock,    &mb_item_read,           &mb_item_write,
    &mb_item_copy,     &mb_item_triad,          &mb_item_fma,
    &mb_item_exp,      &mb_item_latency,        &mb_item_barrier,
    &mb_item_dispatch, &mb_item_sgemm,          &mb_item_gemv,
    &mb_item_qdot,     &mb_item_selective_scan, &mb_item_ssd_scan,
    &mb_item_gdn_scan, &mb_item_conv1d,         NULL};

static const struct mb_backend backend = {
    .program = "rooflint-bench-host",
    .device = "host",
    .item = items,
    .open = host_open,
    .close = host_close,
    .context = host_record,
    .warm = host_warm,
    .quick = {.warm_s = 1,
              .sample_s = 0.004,
              .pass_s = 0.15,
              .passes = 3,
              .total_s = 60,
              .min_n = 10,
              .max_n = 60,
              .rel = 0.01},
    .normal = {.warm_s = 5,
               .sample_s = 0.01,
               .pass_s = 0.5,
               .passes = 3,
               .total_s = 1200,
               .min_n = 15,
               .max_n = 200,
               .rel = 0.01},
    .full = {.warm_s = 5,
             .sample_s = 0.02,
             .pass_s = 1.5,
             .passes = 5,
             .total_s = 7200,
             .min_n = 15,
             .max_n = 200,
             .rel = 0.01},
    /* the clock that limits rest on is itself measured, and may rise */
    .limit_slack = 1.05,
};

int main(int argc, char **argv)
{
    return mb_program(&backend, argc, argv);
}
