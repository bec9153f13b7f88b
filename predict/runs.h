/* Measured end-to-end numbers (runs schema of the CONTRACT) against the
 * prediction of the same query. */
#ifndef RL_RUNS_H
#define RL_RUNS_H

#include "rooflint.h"

/* One row; strings are borrowed. */
struct rl_run {
    const char *device, *model, *weights_dtype, *kv_dtype, *runtime, *version;
    const char *metric, *unit, *notes;
    double device_count, batch, prompt, depth, output, value;
};

struct rl_runs; /* devices, models and plans met so far */
struct rl_runs *rl_runs_new(const char *data, struct rl_error *err);
/* Where the device `host` lies (rl_device_load_for); NULL: nowhere. */
void rl_runs_user(struct rl_runs *r, const char *dir);
void rl_runs_free(struct rl_runs *r);

/* Sets a number of every runtime from now on, as if its file said so (for
 * fitting); plans met so far are made anew. */
int rl_runs_set(struct rl_runs *r, const char *key, double value, struct rl_error *err);

/* 0 with the prediction, or -1 with the reason to skip the row in `why`
 * (short, without figures of the row, so that rows can be counted by it). */
int rl_run_predict(struct rl_runs *r, const struct rl_run *row, struct rl_interval *out,
                   char why[160]);

#endif
