/* A model's config.json as families read it.
 *
 * Multimodal checkpoints nest the language model's fields in `text_config` (or
 * `language_config`, `llm_config`, `thinker_config.text_config`); those are
 * merged over the top level, so that a family asks for `hidden_size` and needs
 * not know where it stood.  Defaults of absent fields are the family's matter:
 * they differ from one Hugging Face class to the next.
 */
#include "modelcfg.h"

#include "err.h"

#include <math.h>
#include <string.h>

/* No dimension of a model is near it; it keeps products exact in a double and
 * loops over layers short. */
#define LARGEST     1e9
#define MOST_LAYERS 8192.0

static bool names_layers(const char *key)
{
    static const char *const layers[] = {
        "num_hidden_layers",  "n_layer",        "n_layers",       "num_layers",
        "num_decoder_layers", "encoder_layers", "decoder_layers", "num_blocks"};

    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strcmp(key, layers[i]) == 0)
            return true;
    return false;
}

/* The nested object that holds the language model's fields, or NULL. */
static json_t *text_part(json_t *top)
{
    static const char *const names[] = {"text_config", "language_config", "llm_config"};
    json_t *thinker = json_object_get(top, "thinker_config");

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *sub = json_object_get(top, names[i]);

        if (json_is_object(sub) && json_object_size(sub) > 0)
            return sub;
    }
    return json_is_object(thinker) ? text_part(thinker) : NULL;
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s && *s ? s : NULL;
}

/* Copies fields under another name, unless that name is taken. */
static int rename_fields(json_t *to, const json_t *from, const char *const name[][2])
{
    for (int i = 0; name[i][0]; i++) {
        json_t *v = json_object_get(from, name[i][0]);

        if (v && !json_object_get(to, name[i][1]) &&
            json_object_set(to, name[i][1], v) < 0)
            return -1;
    }
    return 0;
}

/* The checkpoints of state-spaces/mamba write the arguments of their own class
 * (mamba_ssm/models/config_mamba.py): as Hugging Face's fields.  The hybrid among
 * them (attn_layer_idx) has convolutions in its attention: no family here. */
static int translate_mamba_ssm(struct rl_cfg *c, struct rl_error *err)
{
    static const char *const outer[][2] = {{"d_model", "hidden_size"},
                                           {"n_layer", "num_hidden_layers"},
                                           {"tie_embeddings", "tie_word_embeddings"},
                                           {NULL, NULL}};
    static const char *const inner[][2] = {
        {"d_state", "state_size"},    {"d_conv", "conv_kernel"},
        {"expand", "expand"},         {"headdim", "head_dim"},
        {"ngroups", "n_groups"},      {"dt_rank", "time_step_rank"},
        {"chunk_size", "chunk_size"}, {NULL, NULL}};
    const json_t *ssm = json_object_get(c->root, "ssm_cfg");
    const char *layer = string_of(ssm, "layer");
    bool two = layer && strcmp(layer, "Mamba2") == 0;
    double vocab = json_number_value(json_object_get(c->root, "vocab_size"));
    double pad = json_number_value(json_object_get(c->root, "pad_vocab_size_multiple"));

    if (json_array_size(json_object_get(c->root, "attn_layer_idx")) > 0)
        return rl_cfg_bad(c, err, "attn_layer_idx", "no attention layers");
    if (rename_fields(c->root, c->root, outer) < 0 ||
        rename_fields(c->root, ssm, inner) < 0)
        return rl_fail(err, RL_ENOMEM, c->source, 0, "out of memory");
    json_object_set_new(c->root, "model_type", json_string(two ? "mamba2" : "mamba"));
    if (two && !json_object_get(c->root, "n_groups")) /* Hugging Face's default is 8 */
        json_object_set_new(c->root, "n_groups", json_integer(1));
    if (vocab > 0 && pad > 1 && vocab < 0x1p53 && pad < 0x1p53 - vocab)
        json_object_set_new(c->root, "vocab_size",
                            json_integer((json_int_t)(ceil(vocab / pad) * pad)));
    return 0;
}

int rl_cfg_init(struct rl_cfg *c, const char *source, json_t *top, struct rl_error *err)
{
    json_t *text;

    *c = (struct rl_cfg){.source = source, .top = top};
    if (!json_is_object(top)) {
        rl_fail(err, RL_EFORMAT, source, 0, "expected a JSON object at the top");
        goto bad;
    }
    c->root = json_copy(top);
    text = text_part(top);
    if (!c->root || (text && json_object_update(c->root, text) < 0)) {
        rl_fail(err, RL_ENOMEM, source, 0, "out of memory");
        goto bad;
    }
    if (!text && !string_of(top, "model_type") && json_object_get(top, "ssm_cfg") &&
        translate_mamba_ssm(c, err) < 0)
        goto bad;
    c->model_type = string_of(text ? top : c->root, "model_type");
    c->text_type = text ? string_of(text, "model_type") : NULL;
    if (!c->model_type)
        c->model_type = c->text_type;
    if (!c->model_type)
        c->model_type = json_string_value(
            json_array_get(json_object_get(c->root, "architectures"), 0));
    if (!c->model_type) {
        rl_cfg_bad(c, err, "model_type", "the name of a model family");
        goto bad;
    }
    return 0;
bad:
    rl_cfg_clear(c);
    return -1;
}

void rl_cfg_clear(struct rl_cfg *c)
{
    json_decref(c->root);
    json_decref(c->top);
    *c = (struct rl_cfg){0};
}

/* NULL when absent or null. */
static json_t *field(const struct rl_cfg *c, const char *key)
{
    json_t *v = json_object_get(c->root, key);

    return json_is_null(v) ? NULL : v;
}

bool rl_cfg_has(const struct rl_cfg *c, const char *key)
{
    return field(c, key) != NULL;
}

/* A value as the message shows it: on one line, cut to 40 characters. */
static void show(const json_t *v, char *buf, size_t size)
{
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII |
                                   JSON_REAL_PRECISION(15));

    snprintf(buf, size, "%.40s%s", text ? text : "?",
             text && strlen(text) > 40 ? "..." : "");
    free(text);
}

static int bad_value(const struct rl_cfg *c, struct rl_error *err, const char *key,
                     const json_t *v, const char *expected)
{
    const char *in = c->within ? c->within : "", *dot = c->within ? "." : "";
    char got[48];

    if (!v)
        return rl_fail(err, RL_EVALUE, c->source, 0,
                       "'%s%s%s': expected %s, but the field is missing", in, dot, key,
                       expected);
    show(v, got, sizeof got);
    return rl_fail(err, RL_EVALUE, c->source, 0, "'%s%s%s': expected %s, got %s", in, dot,
                   key, expected, got);
}

int rl_cfg_bad(const struct rl_cfg *c, struct rl_error *err, const char *key,
               const char *expected)
{
    return bad_value(c, err, key, field(c, key), expected);
}

static int whole(const struct rl_cfg *c, const char *key, const json_t *v, double least,
                 double *out, struct rl_error *err)
{
    double x = json_number_value(v);

    if (!json_is_number(v) || !isfinite(x) || floor(x) != x || x < least)
        return bad_value(c, err, key, v,
                         least < 1 ? "a whole number >= 0" : "a whole number >= 1");
    if (x > LARGEST)
        return bad_value(c, err, key, v, "at most 1000000000");
    if (x > MOST_LAYERS && names_layers(key))
        return bad_value(c, err, key, v, "at most 8192 layers");
    *out = x;
    return 0;
}

int rl_cfg_num(const struct rl_cfg *c, const char *key, double *out, struct rl_error *err)
{
    return whole(c, key, field(c, key), 1, out, err);
}

int rl_cfg_num_or(const struct rl_cfg *c, const char *key, double fallback, double *out,
                  struct rl_error *err)
{
    const json_t *v = field(c, key);

    if (v)
        return whole(c, key, v, fallback < 1 ? 0 : 1, out, err);
    *out = fallback;
    return 0;
}

int rl_cfg_real_or(const struct rl_cfg *c, const char *key, double fallback, double *out,
                   struct rl_error *err)
{
    const json_t *v = field(c, key);
    double x = v ? json_number_value(v) : fallback;

    if (v && (!json_is_number(v) || !isfinite(x) || x <= 0))
        return bad_value(c, err, key, v, "a number above 0");
    *out = x;
    return 0;
}

int rl_cfg_bool_or(const struct rl_cfg *c, const char *key, bool fallback, bool *out,
                   struct rl_error *err)
{
    const json_t *v = field(c, key);

    if (v && !json_is_boolean(v))
        return bad_value(c, err, key, v, "true or false");
    *out = v ? json_is_true(v) : fallback;
    return 0;
}

int rl_cfg_str_or(const struct rl_cfg *c, const char *key, const char *fallback,
                  const char **out, struct rl_error *err)
{
    const json_t *v = field(c, key);

    if (v && !json_is_string(v))
        return bad_value(c, err, key, v, "a string");
    *out = v ? json_string_value(v) : fallback;
    return 0;
}

int rl_cfg_list(const struct rl_cfg *c, const char *key, size_t *n, struct rl_error *err)
{
    const json_t *v = field(c, key);

    if (v && !json_is_array(v))
        return bad_value(c, err, key, v, "a list");
    *n = v ? json_array_size(v) : 0;
    return 0;
}

/* Element i with the name it has in messages: "layer_types[3]". */
static json_t *element(const struct rl_cfg *c, const char *key, size_t i, char name[64])
{
    snprintf(name, 64, "%s[%zu]", key, i);
    return json_array_get(field(c, key), i);
}

int rl_cfg_str_at(const struct rl_cfg *c, const char *key, size_t i, const char **out,
                  struct rl_error *err)
{
    char name[64];
    const json_t *v = element(c, key, i, name);

    if (!json_is_string(v))
        return bad_value(c, err, name, v, "a string");
    *out = json_string_value(v);
    return 0;
}

int rl_cfg_num_at(const struct rl_cfg *c, const char *key, size_t i, double *out,
                  struct rl_error *err)
{
    char name[64];

    return whole(c, name, element(c, key, i, name), 0, out, err);
}

int rl_cfg_sub(const struct rl_cfg *c, const char *key, struct rl_cfg *out,
               struct rl_error *err)
{
    json_t *v = field(c, key);

    if (!json_is_object(v))
        return bad_value(c, err, key, v, "an object");
    *out = *c;
    out->root = v;
    out->within = key;
    return 0;
}
