/* What Linux says of the machine: clocks, CPU time of other processes, memory,
 * last-level caches, and the record that goes before the rows. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

double mb_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* First line of a small file, newline removed; "" when unreadable. */
static const char *read_line(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "r");
    buf[0] = 0;
    if (f) {
        if (!fgets(buf, (int)size, f))
            buf[0] = 0;
        fclose(f);
    }
    buf[strcspn(buf, "\n")] = 0;
    return buf;
}

void mb_cpu_time(struct mb_cpu_time *t)
{
    char line[512];
    unsigned long long user = 0, nice = 0, sys = 0, idle = 0, wait = 0, irq = 0,
                       softirq = 0, steal = 0;
    read_line("/proc/stat", line, sizeof line);
    sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &sys, &idle,
           &wait, &irq, &softirq, &steal);
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double tick = (double)sysconf(_SC_CLK_TCK);
    t->wall_s = mb_now();
    t->busy_s = (double)(user + nice + sys + irq + softirq + steal) / tick;
    t->own_s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

double mb_foreign_cpu(const struct mb_cpu_time *from, const struct mb_cpu_time *to)
{
    double wall = to->wall_s - from->wall_s;
    double foreign = (to->busy_s - from->busy_s) - (to->own_s - from->own_s);
    return wall > 0 && foreign > 0 ? foreign / wall : 0;
}

double mb_mem_bytes(void)
{
    return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

/* "32768K", "16M" -> bytes */
static double cache_size(const char *s)
{
    char *end;
    double v = strtod(s, &end);
    return v * (*end == 'K' ? 1024 : *end == 'M' ? 1048576 : 1);
}

static const char *cache_line(int cpu, int index, const char *what, char *buf,
                              size_t size)
{
    char path[160];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/%s", cpu,
             index, what);
    return read_line(path, buf, size);
}

/* Largest level of one CPU; *shared gets the list of CPUs that share it. */
static double cpu_llc(int cpu, char *shared, size_t size)
{
    double best = 0;
    int best_level = 0;
    for (int i = 0; i < 8; i++) {
        char buf[64];
        int level = atoi(cache_line(cpu, i, "level", buf, sizeof buf));
        if (level <= best_level)
            continue;
        best = cache_size(cache_line(cpu, i, "size", buf, sizeof buf));
        best_level = level;
        cache_line(cpu, i, "shared_cpu_list", shared, size);
    }
    return best;
}

double mb_llc_bytes(void)
{
    double sum = 0;
    char seen[256][64];
    int nseen = 0, ncpu = (int)sysconf(_SC_NPROCESSORS_CONF);
    for (int cpu = 0; cpu < ncpu && nseen < 256; cpu++) {
        char shared[64] = "";
        double bytes = cpu_llc(cpu, shared, sizeof shared);
        int k = 0;
        while (k < nseen && strcmp(seen[k], shared))
            k++;
        if (bytes > 0 && k == nseen) {
            snprintf(seen[nseen++], sizeof seen[0], "%s", shared);
            sum += bytes;
        }
    }
    return sum > 0 ? sum : 32.0 * 1048576; /* no sysfs: assume a large one */
}

/* "model name" of /proc/cpuinfo; arm64 has only numbers there. */
static void cpu_name(char *buf, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    snprintf(buf, size, "unknown CPU");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (colon && (!strncmp(line, "model name", 10) || !strncmp(line, "Model", 5))) {
            colon[strcspn(colon, "\n")] = 0;
            snprintf(buf, size, "%s", colon + 1 + (colon[1] == ' '));
            break;
        }
    }
    if (f)
        fclose(f);
}

static const char *vendor_of_cpu(char *buf, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    snprintf(buf, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        if (strstr(line, "AuthenticAMD"))
            snprintf(buf, size, "AMD");
        else if (strstr(line, "GenuineIntel"))
            snprintf(buf, size, "Intel");
        else if (strncmp(line, "CPU implementer", 15) == 0)
            snprintf(buf, size, "Arm");
    }
    if (f)
        fclose(f);
    return buf;
}

/* Watts that the package may draw (RAPL, Linux powercap); 0: not readable. */
static double package_limit_w(void)
{
    char buf[64];
    read_line("/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw", buf,
              sizeof buf);
    return 1e-6 * atof(buf);
}

/* AVX512-FP16: bit 23 of EDX in leaf 7 (Intel's instruction set reference); compilers
 * older than gcc 12 have no name for it. */
static int computes_in_fp16(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 23 & 1;
#else
    return 0;
#endif
}

/* Facts of a device entry: "entry key=value|unit|kind|source". */
int mb_host_facts(struct mb_rows *r, int cores, double clock_hz, struct rl_error *err)
{
    char name[200], vendor[32];
    struct utsname u;
    time_t now = time(NULL);
    struct tm day;
    uname(&u);
    cpu_name(name, sizeof name);
    gmtime_r(&now, &day);
    double limit = package_limit_w();
    return mb_context_add(r, err, "entry name=%s||text|/proc/cpuinfo", name) ||
           mb_context_add(r, err, "entry vendor=%s||text|/proc/cpuinfo",
                          vendor_of_cpu(vendor, sizeof vendor)) ||
           mb_context_add(r, err, "entry arch=%s||text|uname", u.machine) ||
           mb_context_add(r, err, "entry compute_capability=cpu||text|a CPU") ||
           mb_context_add(
               r, err, "entry year=%d|1|prior|year of the measurement, not of the part",
               day.tm_year + 1900) ||
           mb_context_add(
               r, err, "entry sm_count=%d|1|derived|cores this process may use", cores) ||
           mb_context_add(r, err,
                          "entry boost_clock=%.0f|MHz|derived|one busy core, measured",
                          1e-6 * clock_hz) ||
           mb_context_add(r, err, "entry mem_type=unknown||text|not readable") ||
           mb_context_add(r, err, "entry mem_size=%.4g|GiB|derived|sysconf",
                          mb_mem_bytes() / 0x1p30) ||
           mb_context_add(r, err,
                          "entry l2_size=%.6g|MiB|derived|sysfs last-level caches",
                          mb_llc_bytes() / 0x1p20) ||
           (computes_in_fp16() &&
            mb_context_add(r, err, "entry fp16_vector=512|bit|derived|CPU features")) ||
           mb_context_add(r, err, "entry link_type=none||text|a CPU") ||
           mb_context_add(r, err, "entry unified_memory=1|1|derived|a CPU") ||
           (limit > 0
                ? mb_context_add(r, err, "entry tdp=%.0f|W|derived|RAPL limit", limit)
                : mb_context_add(r, err,
                                 "entry tdp=%d|W|prior|no limit readable: 4 W a core",
                                 4 * cores));
}

int mb_host_context(struct mb_rows *r, struct rl_error *err)
{
    char buf[256];
    struct utsname u;
    uname(&u);
    cpu_name(buf, sizeof buf);
    int rc = mb_context_add(r, err, "cpu=%s", buf);
    rc = rc ? rc : mb_context_add(r, err, "kernel=%s %s", u.release, u.machine);
    rc = rc ? rc
            : mb_context_add(r, err, "cpus=%ld memory_bytes=%.0f llc_bytes=%.0f",
                             sysconf(_SC_NPROCESSORS_ONLN), mb_mem_bytes(),
                             mb_llc_bytes());
    static const char *const file[][2] = {
        {"governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"},
        {"thp", "/sys/kernel/mm/transparent_hugepage/enabled"},
        {"loadavg", "/proc/loadavg"},
        {"nvpmodel", "/var/lib/nvpmodel/status"}};
    for (size_t i = 0; i < sizeof file / sizeof *file && !rc; i++)
        if (*read_line(file[i][1], buf, sizeof buf))
            rc = mb_context_add(r, err, "%s=%s", file[i][0], buf);
    return rc;
}
