/* Threads that stand ready, each pinned to one CPU: work is handed over by a
 * counter that they spin on, so that a hand-over costs what an engine's own
 * thread pool pays.  After a while of nothing they yield, since on a shared
 * machine a spinning barrier starves whom it waits for. */
#include "host.h"

#include "err.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { SPINS = 4096, YIELDS = 2000 };

struct worker {
    struct mb_team *team;
    pthread_t thread;
    int tid, cpu;
};

struct mb_team {
    struct worker *w;
    int n;
    atomic_uint round; /* counts hand-overs */
    atomic_int left;   /* workers not done with this round */
    atomic_int arrived, phase;
    atomic_bool quit;
    mb_work fn;
    void *arg;
    int active;
};

static inline void relax(unsigned *spins)
{
    if (++*spins < SPINS) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    } else if (*spins < SPINS + YIELDS) {
        sched_yield();
    } else { /* idle: leave the CPU to single-thread measurements */
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct mb_team *t = w->team;
    unsigned seen = 0;
    pin(w->cpu);
    for (;;) {
        unsigned spins = 0;
        while (atomic_load_explicit(&t->round, memory_order_acquire) == seen)
            relax(&spins);
        seen++;
        if (atomic_load(&t->quit))
            return NULL;
        if (w->tid < t->active)
            t->fn(w->tid, t->active, t->arg);
        atomic_fetch_sub_explicit(&t->left, 1, memory_order_acq_rel);
    }
}

void mb_team_run(struct mb_team *t, int n, mb_work fn, void *arg)
{
    if (n <= 1) {
        fn(0, 1, arg);
        return;
    }
    t->fn = fn;
    t->arg = arg;
    t->active = n;
    atomic_store(&t->left, t->n - 1);
    atomic_fetch_add_explicit(&t->round, 1, memory_order_release);
    fn(0, n, arg);
    unsigned spins = 0;
    while (atomic_load_explicit(&t->left, memory_order_acquire) > 0)
        if (++spins < SPINS)
            relax(&(unsigned){0});
        else
            sched_yield();
}

void mb_team_barrier(struct mb_team *t, int n)
{
    if (n <= 1)
        return;
    int phase = atomic_load(&t->phase);
    if (atomic_fetch_add(&t->arrived, 1) + 1 == n) {
        atomic_store(&t->arrived, 0);
        atomic_fetch_add(&t->phase, 1);
        return;
    }
    for (unsigned spins = 0; atomic_load(&t->phase) == phase;)
        if (++spins < SPINS)
            relax(&(unsigned){0});
        else
            sched_yield();
}

int mb_team_size(const struct mb_team *t)
{
    return t->n;
}

void mb_team_free(struct mb_team *t)
{
    if (!t)
        return;
    atomic_store(&t->quit, true);
    atomic_fetch_add(&t->round, 1);
    for (int i = 1; i < t->n; i++)
        pthread_join(t->w[i].thread, NULL);
    free(t->w);
    free(t);
}

struct mb_team *mb_team_new(struct rl_error *err)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof allowed, &allowed);
    int n = CPU_COUNT(&allowed), k = 0;
    struct mb_team *t = rl_alloc(1, sizeof *t, err);
    struct worker *w = t ? rl_alloc((size_t)(n > 0 ? n : 1), sizeof *w, err) : NULL;
    if (!w) {
        free(t);
        return NULL;
    }
    t->w = w;
    for (int cpu = 0; cpu < CPU_SETSIZE && k < n; cpu++)
        if (CPU_ISSET(cpu, &allowed)) {
            w[k] = (struct worker){.team = t, .tid = k, .cpu = cpu};
            k++;
        }
    for (t->n = 1; t->n < n; t->n++)
        if (pthread_create(&w[t->n].thread, NULL, worker_main, &w[t->n])) {
            rl_fail(err, RL_EIO, NULL, 0, "cannot start thread %d of %d", t->n + 1, n);
            mb_team_free(t);
            return NULL;
        }
    pin(w[0].cpu);
    return t;
}
