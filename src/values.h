/* Lists and ranges as options take them: "1,8,64", "1k:1M:x2", "1k:8k:1k",
 * and for names "all" or shell patterns. */
#ifndef RL_VALUES_H
#define RL_VALUES_H

#include "rooflint.h"

enum { RL_MAXVALUES = 1000000 };

/* Token counts.  FROM:TO:xF multiplies, FROM:TO:STEP adds; both ends are in.
 * *out is released by free(). */
int rl_values_parse(const char *option, const char *text, double **out, int *n,
                    struct rl_error *err);

/* Names: each comma-separated part is "all", a pattern with * ? [ ], or taken
 * as it is; patterns match `known`, in its order, and must match something.
 * Released by rl_free_names(). */
int rl_names_parse(const char *option, const char *text, char *const *known, int nknown,
                   char ***out, int *n, struct rl_error *err);

#endif
