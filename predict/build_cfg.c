/* Reading a config while building: errors stick in the builder, so that a
 * family reads its fields one below the other without a check after each.
 *
 * Also what every family shares: the stored number format and what
 * quantization_config says about the weights.
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

double rl_b_list(struct rl_build *b, const char *key)
{
    size_t n = 0;

    if (b->rc || !rl_b_has(b, key))
        return -1;
    b->rc = rl_cfg_list(b->c, key, &n, b->err);
    return b->rc ? -1 : (double)n;
}

/* The list's length, checked against the number of layers; -1: absent. */
static double per_layer(struct rl_build *b, const char *key, double layers)
{
    double n = rl_b_list(b, key);
    char expected[64];

    if (n >= 0 && n != layers) {
        snprintf(expected, sizeof expected, "a list of %.0f entries, one per layer",
                 layers);
        rl_b_bad(b, key, expected);
        return -1;
    }
    return n;
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

/* number formats */

static enum rl_dtype float_type(const char *s)
{
    static const struct {
        const char *name;
        enum rl_dtype dt;
    } type[] = {{"bfloat16", RL_DT_BF16},
                {"float16", RL_DT_FP16},
                {"half", RL_DT_FP16},
                {"float32", RL_DT_FP32},
                {"float", RL_DT_FP32},
                {"float8_e4m3fn", RL_DT_FP8}};

    if (s && strncmp(s, "torch.", 6) == 0)
        s += 6;
    for (size_t i = 0; s && i < sizeof type / sizeof *type; i++)
        if (strcmp(s, type[i].name) == 0)
            return type[i].dt;
    return RL_DT_NONE;
}

/* compressed-tensors: config_groups.group_0.weights.{num_bits,type}, and
 * whether the activations are quantised as well. */
static enum rl_dtype compressed(const json_t *q)
{
    const json_t *groups = json_object_get(q, "config_groups");
    void *first = json_object_iter((json_t *)(size_t)groups);
    const json_t *group = first ? json_object_iter_value(first) : NULL;
    const json_t *w = json_object_get(group, "weights");
    const char *type = json_string_value(json_object_get(w, "type"));
    double bits = json_number_value(json_object_get(w, "num_bits"));
    bool acts = json_is_object(json_object_get(group, "input_activations"));
    bool fp = type && strcmp(type, "float") == 0;

    if (bits == 8)
        return !acts ? RL_DT_W8A16 : fp ? RL_DT_FP8 : RL_DT_W8A8_SQ;
    if (bits == 4)
        return acts && fp ? RL_DT_NVFP4 : RL_DT_W4A16;
    return RL_DT_NONE;
}

/* NVIDIA ModelOpt: quant_algo; the method's name is "modelopt". */
static enum rl_dtype modelopt(const json_t *q)
{
    const char *algo = json_string_value(json_object_get(q, "quant_algo"));

    if (!algo)
        return RL_DT_NONE;
    if (strncmp(algo, "NVFP4", 5) == 0)
        return RL_DT_NVFP4;
    if (strncmp(algo, "FP8", 3) == 0)
        return RL_DT_FP8;
    return strncmp(algo, "W4A16", 5) == 0 ? RL_DT_W4A16 : RL_DT_NONE;
}

static enum rl_dtype quant_type(const json_t *q)
{
    const char *m = json_string_value(json_object_get(q, "quant_method"));
    double bits = json_number_value(json_object_get(q, "bits"));

    if (!m)
        return json_object_get(q, "quant_algo") ? modelopt(q) : RL_DT_NONE;
    if (strcmp(m, "fp8") == 0)
        return json_object_get(q, "weight_block_size") ? RL_DT_FP8_BLOCK : RL_DT_FP8;
    if (strcmp(m, "fbgemm_fp8") == 0)
        return RL_DT_FP8;
    if (strcmp(m, "mxfp4") == 0)
        return RL_DT_W4A16_MXFP4;
    if (strcmp(m, "modelopt") == 0 || strcmp(m, "modelopt_fp4") == 0)
        return modelopt(q);
    if (strcmp(m, "compressed-tensors") == 0)
        return compressed(q);
    if (strcmp(m, "awq") == 0 || strcmp(m, "gptq") == 0 || strcmp(m, "auto-round") == 0)
        return bits == 8 ? RL_DT_W8A16 : RL_DT_W4A16;
    if (strcmp(m, "bitsandbytes") == 0)
        return json_is_true(json_object_get(q, "load_in_8bit")) ? RL_DT_INT8
                                                                : RL_DT_W4A16;
    return RL_DT_NONE;
}

void rl_b_formats(struct rl_build *b)
{
    struct rl_graph *g = b->g;
    const json_t *q = json_object_get(b->c->root, "quantization_config");
    const char *s = rl_b_str_or(b, "dtype", NULL);

    g->stored_dtype = float_type(s ? s : rl_b_str_or(b, "torch_dtype", NULL));
    if (!json_is_object(q))
        return;
    enum rl_dtype dt = quant_type(q);
    g->quant[RL_W_EXPERT] = dt;
    /* gpt-oss quantises its experts alone */
    if (dt != RL_DT_W4A16_MXFP4)
        g->quant[RL_W_LINEAR] = dt;
}

void rl_b_open(struct rl_build *b, const struct rl_cfg *c, struct rl_graph *g,
               struct rl_error *err)
{
    *b = (struct rl_build){.g = g,
                           .c = c,
                           .err = err,
                           .count = 1,
                           .phase = RL_BOTH,
                           .t = RL_T,
                           .l = RL_L};
    snprintf(g->model_type, sizeof g->model_type, "%s", c->model_type);
    b->hidden = rl_b_num_or(b, "hidden_size", 0);
    g->hidden = b->hidden;
    g->layers = rl_b_num_or(b, "num_hidden_layers", 0);
    g->max_positions = rl_b_num_or(b, "max_position_embeddings", 0);
    rl_b_formats(b);
}
