/* Measured operator calls in memory: what calibrate fits and validate scores.
 * Reading them from files is opsfile.c's; this knows rows only. */
#ifndef RL_SAMPLE_H
#define RL_SAMPLE_H

#include "op.h"

struct rl_sample {
    const struct rl_op_type *op;
    const char *device, *runtime, *impl; /* owned by the rl_samples */
    enum rl_dtype dtype, kv_dtype;       /* as rl_op_dtypes */
    double p[RL_MAXPARAMS];
    double seconds; /* median, when measured several times */
    int line;       /* of the file, for messages */
};

struct rl_samples {
    struct rl_sample *at;
    size_t n, cap;
    char **name; /* interned strings, sorted */
    size_t nnames, names_cap;
};

/* Rows of one kernel: same op, device, runtime, impl and dtypes. */
struct rl_group {
    size_t first, n;
};

void rl_samples_clear(struct rl_samples *s);
/* A zeroed row at the end; NULL when memory is short. */
struct rl_sample *rl_samples_add(struct rl_samples *s, struct rl_error *err);
/* A copy of text that lives as long as s. */
const char *rl_samples_name(struct rl_samples *s, const char *text, struct rl_error *err);

/* Sorts by kernel, then by shape (the op's shape_params), then by the rest;
 * equal points become one, at their median. */
int rl_samples_merge(struct rl_samples *s, struct rl_error *err);
/* Are both rows of one kernel; of one kernel and one shape? */
bool rl_same_kernel(const struct rl_sample *a, const struct rl_sample *b);
bool rl_same_shape(const struct rl_sample *a, const struct rl_sample *b);
/* Groups of merged samples, into a fresh array. */
struct rl_group *rl_samples_groups(const struct rl_samples *s, size_t *n,
                                   struct rl_error *err);
/* A number that depends on the row's shape alone (or on the whole row): what
 * deals rows into folds, the same on every machine. */
unsigned long long rl_sample_hash(const struct rl_sample *a, bool shape_only);

#endif
