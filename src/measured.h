/* Measured operator files (ops schema of the CONTRACT) with the devices they
 * were measured on: what `calibrate` and `validate` work on. */
#ifndef RL_MEASURED_H
#define RL_MEASURED_H

#include "calibrate.h"

/* Rows to take: each NULL, or the start of the column's text. */
struct rl_ops_filter {
    const char *device, *runtime, *op, *impl, *dtype;
    const char *user; /* the folder of the device `host`, or NULL; no filter */
};

struct rl_mislabelled;

struct rl_measured {
    struct rl_samples samples; /* merged */
    size_t rows;               /* read, before merging */
    struct rl_group *group;
    size_t ngroups;
    const struct rl_device **device; /* [ngroups]; NULL: not in hwdb */
    struct rl_machine *machine;      /* [ngroups] */
    struct rl_device **loaded;       /* what device[] points to */
    size_t nloaded, loaded_cap;
    struct rl_mislabelled *mislabelled;
    struct rl_tally skipped; /* rows that name no known operator */
};

/* Is it a file of the ops schema? 1, 0, or -1 with an error. */
int rl_is_ops_file(const char *path, struct rl_error *err);
int rl_measured_read(struct rl_measured *m, const char *const *path, int npaths,
                     const struct rl_ops_filter *filter, const char *data,
                     struct rl_error *err);
void rl_measured_clear(struct rl_measured *m);

#endif
