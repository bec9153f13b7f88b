/* The host backend's own: threads pinned one to a CPU, buffers touched first by
 * the thread that uses them, and the clock that physical limits rest on. */
#ifndef MB_HOST_H
#define MB_HOST_H

#include "../harness.h"

#include <stdint.h>

/* threads (team.c) */

struct mb_team;
typedef void (*mb_work)(int tid, int n, void *arg);
struct mb_team *mb_team_new(struct rl_error *err); /* one thread per allowed CPU */
void mb_team_free(struct mb_team *t);
int mb_team_size(const struct mb_team *t);
/* Runs fn on threads 0 … n - 1 (the caller is thread 0) and waits for all. */
void mb_team_run(struct mb_team *t, int n, mb_work fn, void *arg);
/* All n threads of the current mb_team_run meet. */
void mb_team_barrier(struct mb_team *t, int n);

struct mb_env {
    struct mb_team *team;
    int cpus, cores;     /* allowed; physical among them */
    double clock_hz;     /* of one busy core */
    double llc_bytes;    /* all last-level caches */
    double mem_bytes;    /* what buffers may take: less than half of the memory */
    double *start, *end; /* [cpus], for mb_timed */
    void *blas, *ggml;
};

/* the thread counts measured: 1, and all when that is more */
int mb_thread_count(const struct mb_env *e, int i); /* 0: no i-th */
/* cores that n threads keep busy */
int mb_busy_cores(const struct mb_env *e, int n);

/* Memory for n threads, `each` bytes a thread, touched first by its thread and
 * filled with small random numbers; huge pages asked for. */
struct mb_buffer {
    char *base;
    size_t bytes, each;
};
enum mb_fill { MB_FILL_FP32, MB_FILL_BF16, MB_FILL_FP16, MB_FILL_BYTES };
int mb_buffer_new(struct mb_env *e, struct mb_buffer *b, int n, size_t each,
                  enum mb_fill fill, struct rl_error *err);
void mb_buffer_free(struct mb_buffer *b);

/* Reproducible random numbers for references: uniform in ±1. */
float mb_random(uint64_t *seed);
uint16_t mb_bf16(float x);
float mb_from_bf16(uint16_t x);
uint16_t mb_fp16(float x); /* normal range only, rounded towards zero */
float mb_from_fp16(uint16_t x);

/* -1 with a message when got is off want by more than tol · scale. */
int mb_expect(const char *what, double got, double want, double scale, double tol,
              struct rl_error *err);

/* Seconds of a clock for work of n threads: of one, the CPU time it used, so that
 * what others took from it does not count; of several, the wall clock. */
double mb_own_now(int n);
double mb_measure_clock(void); /* Hz, dependent one-cycle instructions; 0: unknown */

/* Seconds that `reps` calls of fn on n threads took. */
double mb_timed(struct mb_env *e, int n, mb_work fn, void *arg, long reps);

/* the items */
extern const struct mb_item mb_item_clock, mb_item_read, mb_item_write, mb_item_copy,
    mb_item_triad, mb_item_fma, mb_item_exp, mb_item_latency, mb_item_barrier,
    mb_item_dispatch, mb_item_sgemm, mb_item_gemv, mb_item_qdot, mb_item_selective_scan,
    mb_item_ssd_scan, mb_item_gdn_scan, mb_item_conv1d, mb_item_ggml;

#endif
