/* A model's config as families read it: Hugging Face field names, nested
 * text_config already merged, errors that name file and field. */
#ifndef RL_MODELCFG_H
#define RL_MODELCFG_H

#include "rooflint.h"

#include <jansson.h>

struct rl_cfg {
    const char *source; /* path, for messages */
    const char *model_type;
    json_t *root; /* the merged object families read */
    json_t *top;  /* the file as it is (vision_config, …) */
};

bool rl_cfg_has(const struct rl_cfg *c, const char *key); /* present, not null */

/* Required numbers ≥ 1; cfg_num_or takes the fallback when absent or null.
 * A present value of the wrong type or range is always an error. */
int rl_cfg_num(const struct rl_cfg *c, const char *key, double *out,
               struct rl_error *err);
int rl_cfg_num_or(const struct rl_cfg *c, const char *key, double fallback, double *out,
                  struct rl_error *err);
int rl_cfg_bool_or(const struct rl_cfg *c, const char *key, bool fallback, bool *out,
                   struct rl_error *err);
/* NULL when absent. */
int rl_cfg_str_or(const struct rl_cfg *c, const char *key, const char *fallback,
                  const char **out, struct rl_error *err);
/* A view of a nested object with the same source; -1 when it is no object. */
int rl_cfg_sub(const struct rl_cfg *c, const char *key, struct rl_cfg *out,
               struct rl_error *err);
int rl_cfg_bad(const struct rl_cfg *c, struct rl_error *err, const char *key,
               const char *expected); /* "config.json: 'key': expected …" */

#endif
