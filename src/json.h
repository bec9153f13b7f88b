/* Reading JSON with jansson: duplicate keys, NaN, depth > 64 and files above
 * 16 MiB are errors with file, line and column. */
#ifndef RL_JSON_H
#define RL_JSON_H

#include "rooflint.h"

#include <jansson.h>

json_t *rl_json_load(const char *path, struct rl_error *err);
json_t *rl_json_parse(const char *source, const char *text, size_t len,
                      struct rl_error *err);

#endif
