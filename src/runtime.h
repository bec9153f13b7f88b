/* A software stack as data: hwdb/runtimes/<id>.csv, rows key,value,unit,source.
 * The keys are listed, with meaning and unit, in hwdb/runtimes/README.md. */
#ifndef RL_RUNTIME_H
#define RL_RUNTIME_H

#include "device.h"
#include "rooflint.h"

struct rl_runtime {
    char *id;   /* vllm */
    char *name; /* as asked: vllm-0.24.0 */
    char *file, *base_file; /* base_file: of the rows from `nown` on; NULL: none */
    bool is_default; /* nobody asked for it */
    int nrows, nown;
    char **key, **value, **source;
    int *line; /* of the file; 0: set by hand */
};

/* A number by key, or fallback when the runtime does not say. */
double rl_runtime_num(const struct rl_runtime *r, const char *key, double fallback);
const char *rl_runtime_str(const struct rl_runtime *r, const char *key,
                           const char *fallback);
/* The file that row i stands in. */
const char *rl_runtime_file(const struct rl_runtime *r, int i);
/* Changes a number, or adds it: for fitting what the file does not say. */
int rl_runtime_set(struct rl_runtime *r, const char *key, double value,
                   struct rl_error *err);
/* predict/plan_keys.c: an error for a key that nobody reads. */
int rl_runtime_check(const struct rl_runtime *r, struct rl_error *err);
/* src/hwdb_check.c: an error for a key @DEVICE or @sm87 of no device there is. */
struct rl_places;
struct rl_places *rl_places_load(const char *data, struct rl_error *err);
int rl_places_check(const struct rl_places *p, const struct rl_runtime *r,
                    struct rl_error *err);
void rl_places_free(struct rl_places *p);
int rl_runtime_list(const char *data, char ***ids, int *n, struct rl_error *err);

#endif
