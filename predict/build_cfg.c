/* Reading a config while building: errors stick in the builder, so that a
 * family reads its fields one below the other without a check after each.
 */
#include "build.h"

#include "err.h"

#include <stdio.h>
#include <string.h>

double rl_b_num(struct rl_build *b, const char *key)
{
    double x = 1;

    if (b->rc == 0)
        b->rc = rl_cfg_num(b->c, key, &x, b->err);
    return b->rc ? 1 : x;
}

double rl_b_num_or(struct rl_build *b, const char *key, double fallback)
{
    double x = fallback;

    if (b->rc == 0)
        b->rc = rl_cfg_num_or(b->c, key, fallback, &x, b->err);
    return b->rc ? fallback : x;
}

double rl_b_real_or(struct rl_build *b, const char *key, double fallback)
{
    double x = fallback;

    if (b->rc == 0)
        b->rc = rl_cfg_real_or(b->c, key, fallback, &x, b->err);
    return b->rc ? fallback : x;
}

bool rl_b_bool_or(struct rl_build *b, const char *key, bool fallback)
{
    bool x = fallback;

    if (b->rc == 0)
        b->rc = rl_cfg_bool_or(b->c, key, fallback, &x, b->err);
    return b->rc ? fallback : x;
}

const char *rl_b_str_or(struct rl_build *b, const char *key, const char *fallback)
{
    const char *s = fallback;

    if (b->rc == 0)
        b->rc = rl_cfg_str_or(b->c, key, fallback, &s, b->err);
    return b->rc ? fallback : s;
}

bool rl_b_has(const struct rl_build *b, const char *key)
{
    return rl_cfg_has(b->c, key);
}

double rl_b_num2(struct rl_build *b, const char *key, const char *other)
{
    return rl_b_num(b, rl_b_has(b, key) || !rl_b_has(b, other) ? key : other);
}

void rl_b_bad(struct rl_build *b, const char *key, const char *expected)
{
    if (b->rc == 0)
        b->rc = rl_cfg_bad(b->c, b->err, key, expected);
}

double rl_b_num2_or(struct rl_build *b, const char *key, const char *other,
                    double fallback)
{
    return rl_b_num_or(b, rl_b_has(b, key) ? key : other, fallback);
}

double rl_b_auto(struct rl_build *b, const char *key, double fallback)
{
    const json_t *v = json_object_get(b->c->root, key);

    if (json_is_string(v) && strcmp(json_string_value(v), "auto") == 0)
        return fallback;
    if (json_is_number(v) && json_number_value(v) == -1)
        return fallback;
    return rl_b_num_or(b, key, fallback);
}

double rl_b_list(struct rl_build *b, const char *key)
{
    size_t n = 0;

    if (b->rc || !rl_b_has(b, key))
        return -1;
    b->rc = rl_cfg_list(b->c, key, &n, b->err);
    return b->rc ? -1 : (double)n;
}

/* The list's length, checked against the number of layers; -1: absent, or empty
 * as transformers writes a default. */
static double per_layer(struct rl_build *b, const char *key, double layers)
{
    double n = rl_b_list(b, key);
    char expected[64];

    if (n > 0 && n != layers) {
        snprintf(expected, sizeof expected, "a list of %.0f entries, one per layer",
                 layers);
        rl_b_bad(b, key, expected);
        return -1;
    }
    return n > 0 ? n : -1;
}

double rl_b_count_str(struct rl_build *b, const char *key, const char *value,
                      double layers)
{
    double n = per_layer(b, key, layers), hits = 0;
    const char *s = "";

    if (n < 0)
        return -1;
    for (size_t i = 0; i < (size_t)n && b->rc == 0; i++) {
        b->rc = rl_cfg_str_at(b->c, key, i, &s, b->err);
        hits += b->rc == 0 && strcmp(s, value) == 0;
    }
    return hits;
}

double rl_b_count_num(struct rl_build *b, const char *key, double value, double layers)
{
    double n = per_layer(b, key, layers), hits = 0, x = 0;

    if (n < 0)
        return -1;
    for (size_t i = 0; i < (size_t)n && b->rc == 0; i++) {
        b->rc = rl_cfg_num_at(b->c, key, i, &x, b->err);
        hits += b->rc == 0 && x == value;
    }
    return hits;
}

void rl_b_open(struct rl_build *b, const struct rl_cfg *c, struct rl_graph *g,
               struct rl_error *err)
{
    *b = (struct rl_build){
        .g = g, .c = c, .err = err, .count = 1, .phase = RL_BOTH, .t = RL_T, .l = RL_L};
    snprintf(g->model_type, sizeof g->model_type, "%s", c->model_type);
    b->hidden = rl_b_has(b, "hidden_size") ? rl_b_num(b, "hidden_size") : 0;
    g->hidden = b->hidden;
    g->layers = rl_b_has(b, "num_hidden_layers") ? rl_b_num(b, "num_hidden_layers") : 0;
    g->max_positions = rl_b_num_or(b, "max_position_embeddings", 0);
}

void rl_b_shape(struct rl_build *b, double hidden, double layers, double positions)
{
    b->hidden = hidden;
    b->g->hidden = hidden;
    b->g->layers = layers;
    b->g->max_positions = positions;
}
