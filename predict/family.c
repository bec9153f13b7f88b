/* The list of families, and building a graph from a config. */
#include "family.h"

#include "build.h"
#include "err.h"
#include "path.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern const struct rl_family rl_family_llama, rl_family_gpt, rl_family_gemma;
extern const struct rl_family rl_family_deepseek, rl_family_gpt_oss, rl_family_llama4;
extern const struct rl_family rl_family_bert, rl_family_vit;
extern const struct rl_family rl_family_whisper, rl_family_moonshine, rl_family_t5;
extern const struct rl_family rl_family_mamba, rl_family_bamba, rl_family_nemotron_h,
    rl_family_zamba2, rl_family_jamba, rl_family_hymba, rl_family_griffin, rl_family_lfm2,
    rl_family_gdn, rl_family_linear, rl_family_rwkv, rl_family_plamo2;

const struct rl_family *const rl_families[] = {
    &rl_family_llama,   &rl_family_gpt,        &rl_family_gemma,  &rl_family_deepseek,
    &rl_family_gpt_oss, &rl_family_llama4,     &rl_family_bert,   &rl_family_vit,
    &rl_family_whisper, &rl_family_moonshine,  &rl_family_t5,     &rl_family_mamba,
    &rl_family_bamba,   &rl_family_nemotron_h, &rl_family_zamba2, &rl_family_jamba,
    &rl_family_hymba,   &rl_family_griffin,    &rl_family_lfm2,   &rl_family_gdn,
    &rl_family_linear,  &rl_family_rwkv,       &rl_family_plamo2, NULL,
};

enum { MOST_TYPES = 256 }; /* names that messages look through */

const struct rl_family *rl_family_find(const char *model_type)
{
    for (int i = 0; model_type && rl_families[i]; i++)
        for (int j = 0; rl_families[i]->model_types[j]; j++)
            if (strcmp(rl_families[i]->model_types[j], model_type) == 0)
                return rl_families[i];
    return NULL;
}

/* Is a class called "Qwen3MoeForCausalLM" of model_type "qwen3_moe"? */
static bool class_of(const char *architecture, const char *model_type)
{
    static const char *const ends[] = {"For", "LMHead", "Model"};
    const char *a = architecture, *t = model_type;

    for (; *t; t++) {
        if (*t == '_' || *t == '-')
            continue;
        if (tolower((unsigned char)*a++) != tolower((unsigned char)*t))
            return false;
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strncmp(a, ends[i], strlen(ends[i])) == 0)
            return true;
    return false;
}

const char *rl_family_type_of(const char *architecture)
{
    for (int i = 0; architecture && rl_families[i]; i++)
        for (int j = 0; rl_families[i]->model_types[j]; j++)
            if (class_of(architecture, rl_families[i]->model_types[j]))
                return rl_families[i]->model_types[j];
    return NULL;
}

static int unknown(const struct rl_cfg *c, struct rl_error *err)
{
    const char *known[MOST_TYPES];
    char near[160], list[1400] = "";
    size_t used = 0;
    int n = 0;

    for (int i = 0; rl_families[i]; i++)
        for (int j = 0; rl_families[i]->model_types[j] && n < MOST_TYPES; j++)
            known[n++] = rl_families[i]->model_types[j];
    for (int i = 0; i < n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 known[i]);
    rl_nearest(c->model_type, (char *const *)(uintptr_t)known, n, 3, near, sizeof near);
    return rl_fail(err, RL_ENAME, c->source, 0,
                   "unknown model_type '%.64s'; nearest: %s; known: %s", c->model_type,
                   near, list);
}

/* What this one checkpoint holds beside its weights (a zoo file's `file_only`:
 * reason -> elements): copies and buffers that no config field tells of. */
static int file_only(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    json_t *extra = json_object_get(c->root, "file_only"), *v;
    struct rl_build b = {.g = g, .c = c, .err = err};
    const char *why;

    if (!extra)
        return 0;
    if (!json_is_object(extra))
        return rl_cfg_bad(c, err, "file_only", "an object of reasons and element counts");
    json_object_foreach(extra, why, v)
    {
        double n = json_number_value(v);
        if (!json_is_number(v) || !(n >= 0 && n < 1e15))
            return rl_cfg_bad(c, err, "file_only", "element counts >= 0");
        rl_b_store_only(&b, why, n);
    }
    return 0;
}

int rl_family_build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    const struct rl_family *f = rl_family_find(c->model_type);

    rl_graph_init(g);
    if (!f)
        f = rl_family_find(c->text_type);
    if (!f)
        return unknown(c, err);
    if (f->build(c, g, err) < 0 || file_only(c, g, err) < 0) {
        rl_graph_clear(g);
        return -1;
    }
    return 0;
}
