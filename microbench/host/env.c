/* Buffers, clock, number formats and checks of the host backend. */
#include "host.h"

#include "err.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>

int mb_thread_count(const struct mb_env *e, int i)
{
    if (i == 0)
        return 1;
    return i == 1 && e->cpus > 1 ? e->cpus : 0;
}

int mb_busy_cores(const struct mb_env *e, int n)
{
    return n < e->cores ? n : e->cores;
}

/* random numbers and formats */

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

float mb_random(uint64_t *seed)
{
    return (float)(next_random(seed) >> 40) * 0x1p-23f - 1.0f;
}

uint16_t mb_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

float mb_from_bf16(uint16_t x)
{
    uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

uint16_t mb_fp16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    int e = (int)((u >> 23) & 255) - 127 + 15;
    uint16_t sign = (uint16_t)((u >> 16) & 0x8000);
    if (e <= 0)
        return sign; /* subnormals flushed: random data hardly has any */
    if (e >= 31)
        return (uint16_t)(sign | 0x7bff);
    return (uint16_t)(sign | (e << 10) | ((u >> 13) & 0x3ff));
}

float mb_from_fp16(uint16_t x)
{
    int e = (x >> 10) & 31, m = x & 0x3ff;
    float v = e ? ldexpf((float)(m + 1024), e - 25) : ldexpf((float)m, -24);
    return x & 0x8000 ? -v : v;
}

/* buffers */

struct fill {
    struct mb_buffer *b;
    enum mb_fill kind;
};

static void fill_part(int tid, int n, void *arg)
{
    (void)n;
    struct fill *f = arg;
    char *p = f->b->base + (size_t)tid * f->b->each;
    uint64_t seed = 88172645463325252u + (uint64_t)tid * 7919;
    size_t pattern = f->b->each < 65536 ? f->b->each : 65536, at = 0;
    /* a 64 KiB random pattern, repeated: no cache or DRAM compresses data */
    for (; f->kind == MB_FILL_FP32 && at + 4 <= pattern; at += 4)
        memcpy(p + at, &(float){0.5f * mb_random(&seed)}, 4);
    for (; f->kind == MB_FILL_BF16 && at + 2 <= pattern; at += 2)
        memcpy(p + at, &(uint16_t){mb_bf16(0.5f * mb_random(&seed))}, 2);
    for (; f->kind == MB_FILL_FP16 && at + 2 <= pattern; at += 2)
        memcpy(p + at, &(uint16_t){mb_fp16(0.5f * mb_random(&seed))}, 2);
    for (; at < pattern; at++)
        p[at] = (char)(next_random(&seed) >> 33);
    for (; at + pattern <= f->b->each; at += pattern)
        memcpy(p + at, p, pattern);
    memcpy(p + at, p, f->b->each - at);
}

int mb_buffer_new(struct mb_env *e, struct mb_buffer *b, int n, size_t each,
                  enum mb_fill fill, struct rl_error *err)
{
    b->each = (each + 4095) & ~(size_t)4095;
    b->bytes = b->each * (size_t)n;
    b->base = NULL;
    if ((double)b->bytes > e->mem_bytes)
        return rl_fail(err, RL_ENOMEM, NULL, 0,
                       "needs %.1f GiB, more than half of the memory",
                       (double)b->bytes / 0x1p30);
    void *p =
        mmap(NULL, b->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "cannot allocate %.1f MiB: %s",
                       (double)b->bytes / 0x1p20, strerror(errno));
#ifdef MADV_HUGEPAGE
    madvise(p, b->bytes, MADV_HUGEPAGE);
#endif
    b->base = p;
    mb_team_run(e->team, n, fill_part, &(struct fill){b, fill});
    return 0;
}

void mb_buffer_free(struct mb_buffer *b)
{
    if (b->base)
        munmap(b->base, b->bytes);
    b->base = NULL;
}

int mb_expect(const char *what, double got, double want, double scale, double tol,
              struct rl_error *err)
{
    if (fabs(got - want) <= tol * scale)
        return 0;
    return rl_fail(err, RL_EVALUE, NULL, 0,
                   "%s: got %.7g, the reference says %.7g (off by more than %.1g)", what,
                   got, want, tol * scale);
}

/* clock */

/* A chain of rotations: one cycle each on every x86-64 and arm64 core, and no
 * core removes them at rename as some do additions of constants. */
static uint64_t rotations(long n, uint64_t x)
{
    for (long i = 0; i < n; i++) {
#if defined(__x86_64__)
#define R "ror $1, %0\n\t"
        __asm__ volatile(R R R R R R R R R R R R R R R R : "+r"(x));
#undef R
#elif defined(__aarch64__)
#define R "ror %0, %0, #1\n\t"
        __asm__ volatile(R R R R R R R R R R R R R R R R : "+r"(x));
#undef R
#endif
    }
    return x;
}

double mb_own_now(int n)
{
    struct timespec t;
    if (n > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t))
        return mb_now();
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double mb_measure_clock(void)
{
#if defined(__x86_64__) || defined(__aarch64__)
    double best = 0;
    for (int i = 0; i < 20; i++) {
        long n = 100000;
        double t = mb_own_now(1);
        if (rotations(n, 1) == 0)
            return 0;
        t = mb_own_now(1) - t;
        best = fmax(best, 16.0 * (double)n / t);
    }
    return best;
#else
    (void)rotations;
    return 0;
#endif
}

/* From the first thread's start to the last one's end: on a busy machine the
 * caller may be kept waiting while others have long begun. */
struct timed {
    struct mb_env *e;
    mb_work fn;
    void *arg;
    long reps;
    double *start, *end; /* [threads] */
};

static void timed_part(int tid, int n, void *arg)
{
    struct timed *p = arg;
    mb_team_barrier(p->e->team, n);
    p->start[tid] = mb_own_now(n);
    for (long i = 0; i < p->reps; i++)
        p->fn(tid, n, p->arg);
    p->end[tid] = mb_own_now(n);
}

double mb_timed(struct mb_env *e, int n, mb_work fn, void *arg, long reps)
{
    struct timed p = {e, fn, arg, reps, e->start, e->end};
    mb_team_run(e->team, n, timed_part, &p);
    double first = p.start[0], last = p.end[0];
    for (int i = 1; i < n; i++) {
        first = fmin(first, p.start[i]);
        last = fmax(last, p.end[i]);
    }
    return last - first;
}
