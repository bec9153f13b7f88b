/* A model's config as families read it: Hugging Face field names, nested
 * text_config already merged, errors that name file and field. */
#ifndef RL_MODELCFG_H
#define RL_MODELCFG_H

#include "rooflint.h"

#include <jansson.h>

struct rl_cfg {
    const char *source;     /* path, for messages */
    const char *model_type; /* of the file, or the first of its `architectures` where
                               it has none; model.c turns to text_type when no family
                               knows it */
    const char *text_type;  /* model_type of the nested text config, or NULL */
    json_t *root;           /* the merged object families read */
    json_t *top;            /* the file as it is (vision_config, …) */
    const char *within;     /* a view's name in messages, or NULL */
};

bool rl_cfg_has(const struct rl_cfg *c, const char *key); /* present, not null */

/* From a parsed file: merges text_config (and its other names) over the top
 * level.  Takes the reference to `top`, also when it fails; source is borrowed. */
int rl_cfg_init(struct rl_cfg *c, const char *source, json_t *top, struct rl_error *err);
void rl_cfg_clear(struct rl_cfg *c);

/* Required whole numbers ≥ 1; cfg_num_or takes the fallback when absent or null,
 * and 0 is a value too where the fallback is below 1.  A present value of the
 * wrong type or range is always an error. */
int rl_cfg_num(const struct rl_cfg *c, const char *key, double *out,
               struct rl_error *err);
int rl_cfg_num_or(const struct rl_cfg *c, const char *key, double fallback, double *out,
                  struct rl_error *err);
int rl_cfg_bool_or(const struct rl_cfg *c, const char *key, bool fallback, bool *out,
                   struct rl_error *err);
/* A factor: a finite number above 0, not necessarily whole. */
int rl_cfg_real_or(const struct rl_cfg *c, const char *key, double fallback, double *out,
                   struct rl_error *err);
/* NULL when absent. */
int rl_cfg_str_or(const struct rl_cfg *c, const char *key, const char *fallback,
                  const char **out, struct rl_error *err);

/* Lists: the length (0 when absent; *n untouched on error), and their elements.
 * num_at takes whole numbers ≥ 0. */
int rl_cfg_list(const struct rl_cfg *c, const char *key, size_t *n, struct rl_error *err);
int rl_cfg_str_at(const struct rl_cfg *c, const char *key, size_t i, const char **out,
                  struct rl_error *err);
int rl_cfg_num_at(const struct rl_cfg *c, const char *key, size_t i, double *out,
                  struct rl_error *err);

/* A view of a nested object with the same source; -1 when it is no object. */
int rl_cfg_sub(const struct rl_cfg *c, const char *key, struct rl_cfg *out,
               struct rl_error *err);
int rl_cfg_bad(const struct rl_cfg *c, struct rl_error *err, const char *key,
               const char *expected); /* "config.json: 'key': expected …" */

#endif
