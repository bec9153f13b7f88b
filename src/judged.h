/* Measured rows with the outcome of their prediction, whatever their schema. */
#ifndef RL_JUDGED_H
#define RL_JUDGED_H

#include "validate.h"

enum key { K_DEVICE, K_RUNTIME, K_OP, K_IMPL, K_DTYPE, K_MODEL, K_METRIC, NKEYS };
extern const char *const rl_key_name[NKEYS];

/* Rows ready to be counted: outcome[i] belongs to key[i]. */
struct rl_judged {
    struct rl_outcome *outcome;
    const char *(*key)[NKEYS]; /* "" where a schema has no such column */
    size_t n;
    struct rl_tally skipped;
    size_t carried; /* --holdout shapes: rows of kernels that cannot be refitted without
                       them, judged by other devices' entries */
    void *keep;     /* what the strings lie in, or NULL */
    void (*drop)(void *keep);
};

int rl_judged_alloc(struct rl_judged *j, size_t n, struct rl_error *err);
void rl_judged_clear(struct rl_judged *j);

struct rl_measured;
struct rl_ops_filter;
/* holdout: NULL, "shapes" or "device".  The rows' text lies in *m, which outlives *j. */
int rl_judge_ops(const char *const *path, int npaths, const struct rl_ops_filter *filter,
                 const char *data, const char *holdout, struct rl_measured *m,
                 struct rl_judged *j, struct rl_error *err);

/* Rows to take of a runs file: each NULL, or the start of the column's text. */
struct rl_runs_filter {
    const char *device, *runtime, *model, *metric;
};
bool rl_is_runs_file(const char *path);
struct rl_run;
/* Rows of runs files; their text lies in *keep, both to be released (also after
 * a failure) with free() and rl_runs_drop(). */
int rl_runs_read(const char *const *path, int npaths, const struct rl_runs_filter *filter,
                 struct rl_run **row, size_t *n, void **keep, struct rl_error *err);
void rl_runs_drop(void *keep);
/* rows: print each row's figures as CSV on stdout. */
int rl_judge_runs(const char *const *path, int npaths,
                  const struct rl_runs_filter *filter, const char *data, bool rows,
                  struct rl_judged *j, struct rl_error *err);

#endif
