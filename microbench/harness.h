/* The measuring harness that the host and the CUDA programs share.
 *
 * An item (mb_item) is a table row: name, how to enumerate its cases, set one
 * up, check it against a reference, run it, tear it down.  A case (mb_case) is
 * one number to measure: item, dtype, size, mode.  The harness plans the
 * cases, warms the machine, samples each until the 95 % bootstrap interval of
 * the median is within ±1 % or its time is up, in several interleaved passes
 * so that a slow drift of the machine shows in the interval, and keeps a CSV
 * row per case.  It uses layer 0 of rooflint only and predicts nothing.
 */
#ifndef MB_HARNESS_H
#define MB_HARNESS_H

#ifdef __cplusplus
extern "C" {
#endif

#include "rooflint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { MB_MAXPASSES = 8, MB_NPARAMS = 12 };

enum mb_what {                /* what a case's rate counts */
               MB_BYTES_RATE, /* declared bytes / time */
               MB_FLOP_RATE,  /* declared FLOP / time */
               MB_EVENT_RATE, /* events / time (exp evaluations, …) */
               MB_TIME,       /* time / events: latencies and overheads, no rate */
};

struct mb_case {
    const char *item; /* the item's name */
    const char *dtype;
    char size[200];   /* canonical: "bytes=…", "m=… n=… k=…" */
    const char *mode; /* warm, cold, burst, sustained, … */
    int threads;      /* CPU threads; GPUs: 1 */
    /* the ops schema's columns where the case is an operator; else NULL */
    const char *op, *impl, *runtime;
    enum mb_what what;
    double bytes, flop;   /* declared, one run: any reader can recompute */
    double events;        /* in one run; 1 unless MB_EVENT_RATE or MB_TIME */
    double limit;         /* physical limit of the rate (or of 1 / time); 0: none */
    long par[MB_NPARAMS]; /* the item's own */
    void *state;          /* the item's own, between setup and teardown */
};

struct mb_env; /* the backend's own: buffers, threads, device */

struct mb_item {
    const char *name, *summary;
    bool quick; /* part of --quick */
    /* The i-th case into *c (zeroed before); 0 when there is no i-th, -1 to
     * leave this one out.  *quick may be cleared to keep it out of --quick. */
    int (*make)(struct mb_env *e, int i, struct mb_case *c, bool *quick);
    int (*setup)(struct mb_env *e, struct mb_case *c, struct rl_error *err);
    /* Against a reference; NULL: the run itself checks. */
    int (*check)(struct mb_env *e, struct mb_case *c, struct rl_error *err);
    /* Seconds that `reps` runs took; negative: failed, *err is set. */
    double (*run)(struct mb_env *e, struct mb_case *c, long reps, struct rl_error *err);
    void (*teardown)(struct mb_env *e, struct mb_case *c);
};

/* statistics (stats.c) */

struct mb_stats {
    int n;
    double median, lo, hi; /* 95 % interval of the median */
    double best, p10, p90; /* smallest; deciles */
};
/* Bootstrap of the median, reproducible: x may be reordered. */
void mb_stats_of(double *x, int n, struct mb_stats *out);
/* As above over interleaved passes: the interval is widened to hold the median
 * of every pass, because passes differ by more than samples do. */
void mb_stats_passes(double *x, const int *pass_end, int npasses, struct mb_stats *out);

/* rows (rows.c) */

struct mb_row { /* strings owned */
    char *item, *dtype, *size, *mode, *op, *impl, *runtime, *unit, *note;
    int threads, n;
    double median_s, lo_s, hi_s, best_s; /* one run */
    double bytes, flop, events;
    double rate, limit;
    double foreign_cpu; /* CPUs that other processes used meanwhile */
    double clock_hz, power_w;
};

struct mb_rows {
    struct mb_row *row;
    size_t n, cap;
    char **context; /* "key=value" lines of the machine's record */
    size_t ncontext, context_cap;
};

extern const char mb_row_header[];
void mb_rows_clear(struct mb_rows *r);
int mb_rows_load(struct mb_rows *r, const char *path, struct rl_error *err);
int mb_rows_save(const struct mb_rows *r, const char *path, struct rl_error *err);
int mb_rows_add(struct mb_rows *r, const struct mb_row *row, struct rl_error *err);
#if defined(__GNUC__)
#define MB_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define MB_PRINTF(a, b)
#endif
int mb_context_add(struct mb_rows *r, struct rl_error *err, const char *fmt, ...)
    MB_PRINTF(3, 4);
const struct mb_row *mb_rows_find(const struct mb_rows *r, const struct mb_case *c);

/* sampling (sample.c) */

struct mb_budget {
    double warm_s;   /* the machine is kept busy so long before the first case */
    double sample_s; /* a sample is batched to last at least so long */
    double pass_s;   /* time of one case in one pass at most */
    int passes;
    double total_s; /* no further pass begins after so long */
    int min_n, max_n; /* samples in one pass */
    double rel;       /* stop at this half width of the interval, relative */
};

struct mb_samples {
    double *t; /* seconds of one run each */
    int n, cap;
    int pass_end[MB_MAXPASSES], npasses;
    double foreign_cpu; /* largest seen in a pass */
    double clock_hz, power_w;
    bool failed; /* the check or a run failed: do not try again */
    bool checked;
};
struct mb_backend;
/* One pass over one case: set up, check (first pass), sample, tear down. */
int mb_sample_pass(const struct mb_backend *be, struct mb_env *e,
                   const struct mb_item *it, struct mb_case *c, const struct mb_budget *b,
                   struct mb_samples *s, struct rl_error *err);
void mb_samples_free(struct mb_samples *s);
void mb_stop(void);    /* from a signal handler: end at the next sample */
bool mb_stopped(void); /* somebody did */
void mb_row_of(const struct mb_case *c, struct mb_samples *s, struct mb_row *row);
/* -1 with a message when the row's rate is above the case's physical limit. */
int mb_limit_check(const struct mb_case *c, const struct mb_row *row,
                   struct rl_error *err);

/* the machine as any process sees it (sysinfo.c) */

double mb_now(void); /* seconds, monotonic */
struct mb_cpu_time {
    double wall_s, busy_s, own_s; /* all CPUs' busy and stolen time; this process */
};
void mb_cpu_time(struct mb_cpu_time *t);
double mb_foreign_cpu(const struct mb_cpu_time *from, const struct mb_cpu_time *to);
double mb_mem_bytes(void);
double mb_llc_bytes(void); /* all last-level caches of the CPUs allowed */
int mb_host_context(struct mb_rows *r, struct rl_error *err);
/* What a device entry says of a CPU besides measurements. */
int mb_host_facts(struct mb_rows *r, int cores, double clock_hz, struct rl_error *err);

/* the program (program.c) */

struct mb_backend {
    const char *program, *device;      /* "rooflint-bench-host", "host" */
    const struct mb_item *const *item; /* ends with NULL */
    /* NULL with a message when the machine cannot be measured; `arg` is the
     * device's number.  dry: enumerate only, touch as little as possible. */
    struct mb_env *(*open)(int arg, bool dry, struct rl_error *err);
    void (*close)(struct mb_env *e);
    int (*context)(struct mb_env *e, struct mb_rows *r, struct rl_error *err);
    void (*warm)(struct mb_env *e, double seconds);
    /* current clock, power, note of throttling; values 0 where unknown */
    void (*telemetry)(struct mb_env *e, double *clock_hz, double *power_w);
    struct mb_budget quick, normal, full;
    double limit_slack; /* a rate may exceed its limit by this factor */
};

int mb_program(const struct mb_backend *be, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
