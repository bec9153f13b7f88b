/* quantization_config of a Hugging Face config -> a dtype per weight class.
 *
 * Methods read: fp8 (with or without 128x128 blocks), fbgemm_fp8, gptq, awq,
 * auto-round, compressed-tensors, modelopt, mxfp4, bitsandbytes, eetq.  Embedding,
 * norms and routers stay in 16 bits everywhere; the head only changes where the
 * config says so.  A list of modules left in 16 bits counts for a class when it
 * names the class in at least half of the layers (a model-wide pattern names all).
 */
#include "quantcfg.h"

#include "err.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

int rl_cfg_stored_dtype(const struct rl_cfg *c, enum rl_dtype *out, struct rl_error *err)
{
    static const char *const names[] = {"dtype", "torch_dtype"};
    static const struct {
        const char *name;
        enum rl_dtype dt;
    } known[] = {{"float32", RL_DT_FP32},      {"bfloat16", RL_DT_BF16},
                 {"float16", RL_DT_FP16},      {"half", RL_DT_FP16},
                 {"float8_e4m3fn", RL_DT_FP8}, {"auto", RL_DT_NONE}};

    *out = RL_DT_NONE;
    for (size_t i = 0; i < 2; i++) {
        const char *s;

        if (rl_cfg_str_or(c, names[i], NULL, &s, err) < 0)
            return -1;
        if (!s)
            s = json_string_value(json_object_get(c->top, names[i]));
        if (!s)
            continue;
        if (strncmp(s, "torch.", 6) == 0)
            s += 6;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strcmp(s, known[k].name) == 0) {
                *out = known[k].dt;
                return 0;
            }
        return rl_cfg_bad(c, err, names[i], "float32, bfloat16 or float16");
    }
    return 0;
}

/* modules left out */

static bool is_attention(const char *module)
{
    static const char *const words[] = {"self_attn", "attention", "linear_attn",
                                        "mixer.",    "attn",      "mamba"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(module, words[i]))
            return true;
    return false;
}

static bool is_expert(const char *module)
{
    return strstr(module, "expert") && !strstr(module, "shared_expert");
}

static bool is_head(const char *module)
{
    return strstr(module, "lm_head") || strcmp(module, "output") == 0;
}

/* "model.layers.12.self_attn" -> 12; a pattern without a number -> -1. */
static int layer_of(const char *module)
{
    for (; *module; module++)
        if (isdigit((unsigned char)*module) && (module[-1] == '.'))
            return atoi(module);
    return -1;
}

/* Does the list leave out the modules that `is` names, in most layers? */
static bool left_out(const json_t *list, double layers, bool (*is)(const char *))
{
    int last = -1;
    double named = 0;
    size_t i;
    json_t *v;

    json_array_foreach(list, i, v)
    {
        const char *module = json_string_value(v);
        int layer;

        if (!module || !*module || !is(module))
            continue;
        layer = layer_of(module);
        if (layer < 0)
            return true;
        named += layer != last; /* lists go layer by layer */
        last = layer;
    }
    return named > 0 && named * 2 >= layers;
}

static const json_t *ignored(const struct rl_cfg *q)
{
    static const char *const names[] = {"modules_to_not_convert",  "ignore",
                                        "ignored_layers",          "exclude_modules",
                                        "llm_int8_skip_modules",   "skip_modules",
                                        "modules_to_not_quantize", "dynamic_exclude"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *v = json_object_get(q->root, names[i]);

        if (json_is_array(v))
            return v;
    }
    return NULL;
}

/* one dtype per method */

static int bits_of(const struct rl_cfg *q, const char *key, enum rl_dtype *dt,
                   struct rl_error *err)
{
    double bits;

    if (rl_cfg_num(q, key, &bits, err) < 0)
        return -1;
    if (bits != 4 && bits != 8)
        return rl_cfg_bad(q, err, key, "4 or 8 bits");
    *dt = bits == 4 ? RL_DT_W4A16 : RL_DT_W8A16;
    return 0;
}

static int method_fp8(const struct rl_cfg *q, enum rl_dtype *dt, struct rl_error *err)
{
    size_t n;

    if (rl_cfg_list(q, "weight_block_size", &n, err) < 0)
        return -1;
    *dt = n ? RL_DT_FP8_BLOCK : RL_DT_FP8;
    return 0;
}

static int method_gptq(const struct rl_cfg *q, enum rl_dtype *dt, struct rl_error *err)
{
    return bits_of(q, "bits", dt, err);
}

static int method_awq(const struct rl_cfg *q, enum rl_dtype *dt, struct rl_error *err)
{
    return bits_of(q, rl_cfg_has(q, "w_bit") ? "w_bit" : "bits", dt, err);
}

static int method_mxfp4(const struct rl_cfg *q, enum rl_dtype *dt, struct rl_error *err)
{
    (void)q, (void)err;
    *dt = RL_DT_W4A16_MXFP4;
    return 0;
}

static int method_eetq(const struct rl_cfg *q, enum rl_dtype *dt, struct rl_error *err)
{
    (void)q, (void)err;
    *dt = RL_DT_W8A16;
    return 0;
}

static int method_bnb(const struct rl_cfg *q, enum rl_dtype *dt, struct rl_error *err)
{
    bool four, eight;

    if (rl_cfg_bool_or(q, "load_in_4bit", false, &four, err) < 0 ||
        rl_cfg_bool_or(q, "load_in_8bit", false, &eight, err) < 0)
        return -1;
    if (four == eight)
        return rl_cfg_bad(q, err, "load_in_4bit",
                          "exactly one of load_in_4bit and load_in_8bit to be true");
    *dt = four ? RL_DT_W4A16 : RL_DT_INT8;
    return 0;
}

/* One group of compressed-tensors: weights and, unless weight-only, inputs. */
static int scheme(const struct rl_cfg *group, enum rl_dtype *dt, struct rl_error *err)
{
    struct rl_cfg w;
    const char *type, *strategy;
    double bits, size;
    bool acts = rl_cfg_has(group, "input_activations"), is_float;

    if (rl_cfg_sub(group, "weights", &w, err) < 0 ||
        rl_cfg_num(&w, "num_bits", &bits, err) < 0 ||
        rl_cfg_str_or(&w, "type", "int", &type, err) < 0 ||
        rl_cfg_str_or(&w, "strategy", "channel", &strategy, err) < 0)
        return -1;
    /* -1 stands for "no groups" here, so the checked reader does not do */
    size = json_number_value(json_object_get(w.root, "group_size"));
    is_float = strcmp(type, "float") == 0;
    if (bits != 4 && bits != 8)
        return rl_cfg_bad(&w, err, "num_bits", "4 or 8 bits");
    if (bits == 8 && is_float)
        *dt = !acts                            ? RL_DT_W8A16
              : strcmp(strategy, "block") == 0 ? RL_DT_FP8_BLOCK
                                               : RL_DT_FP8;
    else if (bits == 8)
        *dt = acts ? RL_DT_INT8 : RL_DT_W8A16;
    else if (is_float && size == 32)
        *dt = acts ? RL_DT_MXFP4 : RL_DT_W4A16_MXFP4;
    else if (is_float && acts)
        *dt = RL_DT_NVFP4;
    else
        *dt = RL_DT_W4A16;
    return 0;
}

/* The first group; files with several differ by module, the largest is first. */
static int method_compressed(const struct rl_cfg *q, enum rl_dtype *dt,
                             struct rl_error *err)
{
    struct rl_cfg groups, first;
    const char *name;

    if (rl_cfg_sub(q, "config_groups", &groups, err) < 0)
        return -1;
    name = json_object_iter_key(json_object_iter(groups.root));
    if (!name)
        return rl_cfg_bad(q, err, "config_groups", "at least one group");
    return rl_cfg_sub(&groups, name, &first, err) < 0 ? -1 : scheme(&first, dt, err);
}

static int method_modelopt(const struct rl_cfg *q, enum rl_dtype *dt,
                           struct rl_error *err)
{
    static const struct {
        const char *algo;
        enum rl_dtype dt;
    } known[] = {{"FP8", RL_DT_FP8},         {"NVFP4", RL_DT_NVFP4},
                 {"W4A16_AWQ", RL_DT_W4A16}, {"INT4_AWQ", RL_DT_W4A16},
                 {"INT8_SQ", RL_DT_W8A8_SQ}, {"MXFP4", RL_DT_MXFP4},
                 {"MXFP8", RL_DT_MXFP8},     {"FP8_PB_WO", RL_DT_FP8_BLOCK}};
    const char *algo;

    if (rl_cfg_str_or(q, "quant_algo", NULL, &algo, err) < 0)
        return -1;
    if (!algo && rl_cfg_has(q, "config_groups"))
        return method_compressed(q, dt, err);
    for (size_t i = 0; algo && i < sizeof known / sizeof *known; i++)
        if (strcmp(algo, known[i].algo) == 0) {
            *dt = known[i].dt;
            return 0;
        }
    return rl_cfg_bad(q, err, "quant_algo",
                      "FP8, NVFP4, MXFP4, MXFP8, W4A16_AWQ or INT8_SQ");
}

static const struct {
    const char *name;
    int (*dtype)(const struct rl_cfg *q, enum rl_dtype *dt, struct rl_error *err);
    bool experts_only; /* the method leaves the other linears alone */
} methods[] = {
    {"fp8", method_fp8, false},
    {"fbgemm_fp8", method_fp8, false},
    {"gptq", method_gptq, false},
    {"awq", method_awq, false},
    {"auto-round", method_gptq, false},
    {"intel/auto-round", method_gptq, false},
    {"compressed-tensors", method_compressed, false},
    {"modelopt", method_modelopt, false},
    {"modelopt_fp4", method_modelopt, false},
    {"mxfp4", method_mxfp4, true},
    {"bitsandbytes", method_bnb, false},
    {"eetq", method_eetq, false},
};

static int find_method(const struct rl_cfg *q, struct rl_error *err)
{
    const char *name;

    if (rl_cfg_str_or(q, "quant_method", NULL, &name, err) < 0)
        return -1;
    if (!name) /* older files of two methods do without */
        name = rl_cfg_has(q, "load_in_4bit") || rl_cfg_has(q, "load_in_8bit")
                   ? "bitsandbytes"
               : rl_cfg_has(q, "quant_algo") ? "modelopt"
                                             : "";
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcasecmp(name, methods[i].name) == 0)
            return (int)i;
    return rl_cfg_bad(q, err, "quant_method",
                      "fp8, fbgemm_fp8, gptq, awq, auto-round, compressed-tensors, "
                      "modelopt, mxfp4, bitsandbytes or eetq");
}

/* The object itself, from wherever the file keeps it; NULL: not quantised. */
static const char *where(const struct rl_cfg *c)
{
    static const char *const names[] = {"quantization_config", "compression_config"};

    for (size_t i = 0; i < 2; i++)
        if (rl_cfg_has(c, names[i]) &&
            json_object_size(json_object_get(c->root, names[i])) > 0)
            return names[i];
    return NULL;
}

int rl_cfg_quant(const struct rl_cfg *c, double layers, enum rl_dtype quant[RL_NWCLASSES],
                 struct rl_error *err)
{
    const char *key = where(c);
    const json_t *out;
    struct rl_cfg q;
    enum rl_dtype dt;
    bool head;
    int m;

    for (int i = 0; i < RL_NWCLASSES; i++)
        quant[i] = RL_DT_NONE;
    if (!key)
        return 0;
    if (rl_cfg_sub(c, key, &q, err) < 0 || (m = find_method(&q, err)) < 0 ||
        methods[m].dtype(&q, &dt, err) < 0 ||
        rl_cfg_bool_or(&q, "lm_head", false, &head, err) < 0)
        return -1;
    out = ignored(&q);
    quant[RL_W_EXPERT] = left_out(out, layers, is_expert) ? RL_DT_NONE : dt;
    if (!methods[m].experts_only && !left_out(out, layers, is_attention))
        quant[RL_W_LINEAR] = dt;
    if (head && !left_out(out, layers, is_head))
        quant[RL_W_HEAD] = dt;
    return 0;
}
