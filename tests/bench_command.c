/* What `make bench` prints of the command: the whole process of one prediction,
 * beside one that only starts, and a sweep on one core beside all.
 *
 *     bench_command ROOFLINT DATA
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct run {
    double wall, cpu; /* s */
    double peak;      /* bytes resident */
    long lines;       /* printed */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

static long count_lines(int fd)
{
    static char buf[1 << 16];
    long lines = 0;
    ssize_t n;

    while ((n = read(fd, buf, sizeof buf)) > 0)
        for (const char *p = buf; (p = memchr(p, '\n', (size_t)(buf + n - p))); p++)
            lines++;
    return lines;
}

static struct run run(const char *const *argv)
{
    struct rusage use;
    double start = now();
    int status = 1, fd[2];
    pid_t pid = pipe(fd) ? -1 : fork();

    if (pid == 0) {
        dup2(fd[1], STDOUT_FILENO);
        close(fd[0]);
        close(fd[1]);
        execv(argv[0], (char *const *)(size_t)argv);
        _exit(127);
    }
    if (pid < 0)
        fail("fork");
    close(fd[1]);
    long lines = count_lines(fd[0]);
    close(fd[0]);
    if (wait4(pid, &status, 0, &use) < 0 || status)
        fail(argv[0]);
    return (struct run){now() - start, seconds(use.ru_utime) + seconds(use.ru_stime),
                        1024.0 * (double)use.ru_maxrss, lines};
}

/* Mean of many runs, the best of five such means. */
static struct run repeated(const char *const *argv)
{
    enum { RUNS = 20 };
    struct run best = {1e9, 1e9, 0, 0};

    for (int burst = 0; burst < 5; burst++) {
        struct run sum = {0};
        for (int i = 0; i < RUNS; i++) {
            struct run r = run(argv);
            sum.wall += r.wall / RUNS;
            sum.cpu += r.cpu / RUNS;
        }
        best.wall = sum.wall < best.wall ? sum.wall : best.wall;
        best.cpu = sum.cpu < best.cpu ? sum.cpu : best.cpu;
    }
    return best;
}

static void print_process(const char *what, const char *const *argv)
{
    struct run r = repeated(argv);
    printf("%-36s %8.2f ms %8.2f ms of CPU\n", what, 1e3 * r.wall, 1e3 * r.cpu);
}

/* All devices and models at eleven contexts and some batches. */
static void print_sweep(const char *rooflint, const char *data, const char *batches,
                        bool one)
{
    const char *argv[] = {rooflint,  "sweep",   "--data", data,    "--hw",
                          "all",     "--model", "all",    "--ctx", "1k:1M:x2",
                          "--batch", batches,   NULL};

    if (one)
        setenv("OMP_NUM_THREADS", "1", 1);
    else
        unsetenv("OMP_NUM_THREADS");
    struct run r = run(argv);
    double queries = (double)r.lines - 1; /* the header */
    printf("%8.0f %6s %8.2f s %8.2f s %16.2f s %8.0f MiB\n", queries, one ? "one" : "all",
           r.wall, r.cpu, 1e6 * r.wall / queries, r.peak / 1048576);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("usage");
    const char *predict[] = {argv[1],   "predict",     "--data", argv[2], "--hw", "orin",
                             "--model", "mamba2-1.3b", "--ctx",  "128k",  NULL};
    const char *version[] = {argv[1], "--version", NULL};
    static const char some[] = "1", most[] = "1,2,4,8,16,64";

    printf("whole process, mean of 20, best of five means\n");
    print_process("predict, mamba2-1.3b on orin", predict);
    predict[5] = "h100";
    predict[7] = "llama-3.1-8b";
    print_process("predict, llama-3.1-8b on h100", predict);
    print_process("--version: starting alone", version);
    printf("\nsweep into a pipe\n%8s %6s %10s %10s %18s %12s\n", "queries", "cores",
           "wall", "CPU", "wall a million", "memory");
    print_sweep(argv[1], argv[2], some, false);
    print_sweep(argv[1], argv[2], most, false);
    print_sweep(argv[1], argv[2], most, true);
    printf("\n");
    return 0;
}
