/* Finding and loading a model: zoo id, Hugging Face id, config.json, .gguf.
 *
 * The zoo is <data>/models/<id>.json with one row of index.csv each.  A name
 * that is in the zoo wins over a file of that name; everything else that ends
 * in .json or .gguf, or is a folder, is a path.
 */
#include "model.h"

#include "err.h"
#include "family.h"
#include "gguf.h"
#include "json.h"
#include "path.h"
#include "quantcfg.h"
#include "table.h"

#include <math.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static bool ends_in(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);

    return n >= k && strcasecmp(s + n - k, suffix) == 0;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* zoo index */

static struct rl_table *index_read(const char *data, struct rl_error *err)
{
    char *path = rl_path_join(data, "models", "index.csv", NULL);
    struct rl_table *t = path ? rl_table_read(path, err) : NULL;

    if (!path)
        rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    free(path);
    return t;
}

/* Row whose id or Hugging Face id is `name`, in any case; -1: none. */
static int index_find(const struct rl_table *t, int id, int hf, const char *name)
{
    for (int i = 0; i < t->nrows; i++)
        if (strcasecmp(rl_table_get(t, i, id), name) == 0 ||
            strcasecmp(rl_table_get(t, i, hf), name) == 0)
            return i;
    return -1;
}

static int unknown(const struct rl_table *t, int id, int hf, const char *name,
                   struct rl_error *err)
{
    char **all = rl_alloc((size_t)t->nrows * 2 + 1, sizeof *all, err);
    char near[256];
    int column = strchr(name, '/') ? hf : id;

    if (!all)
        return -1;
    for (int i = 0; i < t->nrows; i++)
        all[i] = t->cell[(size_t)i * (size_t)t->ncols + (size_t)column];
    rl_fail(err, RL_ENAME, NULL, 0,
            "unknown model '%s' (nearest: %s; or give a config.json or a .gguf)", name,
            rl_nearest(name, all, t->nrows, 3, near, sizeof near));
    free(all);
    return -1;
}

int rl_model_list(const char *data, char ***ids, int *n, struct rl_error *err)
{
    struct rl_table *t = index_read(data, err);
    int col, rc = -1;
    char **out = NULL;

    if (!t)
        return -1;
    if (rl_table_need(t, "id", &col, err) == 0 &&
        (out = rl_alloc((size_t)t->nrows + 1, sizeof *out, err))) {
        rc = 0;
        for (int i = 0; i < t->nrows && rc == 0; i++)
            if (!(out[i] = rl_strdup(rl_table_get(t, i, col), err)))
                rc = -1;
    }
    if (rc < 0 && out)
        rl_free_names(out, t->nrows);
    else if (rc == 0) {
        *ids = out;
        *n = t->nrows;
    }
    rl_table_free(t);
    return rc;
}

/* building */

/* The family knows "qwen3_5"; the text part calls itself "qwen3_5_text".  A file
 * without model_type has the name of its class. */
static void settle_type(struct rl_cfg *c)
{
    const char *type = c->text_type;

    if (rl_family_find(c->model_type))
        return;
    if (!json_object_get(c->root, "model_type"))
        type = rl_family_type_of(c->model_type);
    if (rl_family_find(type))
        c->model_type = type;
}

static int build(struct rl_model *m, json_t *top, struct rl_error *err)
{
    if (rl_cfg_init(&m->cfg, m->source, top, err) < 0)
        return -1;
    settle_type(&m->cfg);
    if (!(m->model_type = rl_strdup(m->cfg.model_type, err)))
        return -1;
    rl_graph_init(&m->graph);
    if (rl_family_build(&m->cfg, &m->graph, err) < 0)
        return -1;
    if (rl_cfg_stored_dtype(&m->cfg, &m->graph.stored_dtype, err) < 0)
        return -1;
    return rl_cfg_quant(&m->cfg, m->graph.layers, m->graph.quant, err);
}

/* Families name the field, jansson keeps no lines: finds where it stands. */
static void find_line(const char *path, struct rl_error *err)
{
    char *text, *close, key[80];
    const char *at, *dot;
    size_t len;

    if (!err || err->line != 0 || err->text[0] != '\'' || strcmp(err->source, path) != 0)
        return;
    close = strchr(err->text + 1, '\'');
    if (!close || close - err->text > 70)
        return;
    len = (size_t)(close - err->text) - 1;
    snprintf(key, sizeof key, "%.*s", (int)len, err->text + 1);
    key[strcspn(key, "[")] = '\0'; /* layer_types[3] */
    dot = strrchr(key, '.');
    memmove(key + 1, dot ? dot + 1 : key, strlen(dot ? dot + 1 : key) + 1);
    key[0] = '"';
    strcat(key, "\"");
    text = rl_read_file(path, (size_t)16 << 20, &len, NULL);
    at = text ? strstr(text, key) : NULL;
    if (at) {
        err->line = 1;
        for (const char *s = text; s < at; s++)
            err->line += *s == '\n';
    }
    free(text);
}

/* ModelOpt writes the quantisation into a file of its own beside the config. */
static int add_quant_file(json_t *top, const char *folder, struct rl_error *err)
{
    char *path = rl_path_join(folder, "hf_quant_config.json", NULL);
    json_t *file, *quant;
    int rc = 0;

    if (path && is_there(path) && !json_object_get(top, "quantization_config")) {
        file = rl_json_load(path, err);
        quant = json_object_get(file, "quantization");
        rc = !file ? -1
             : !json_is_object(quant)
                 ? rl_fail(err, RL_EFORMAT, path, 0, "expected an object 'quantization'")
                 : json_object_set_new(quant, "quant_method", json_string("modelopt"));
        if (rc == 0)
            rc = json_object_set(top, "quantization_config", quant);
        json_decref(file);
    }
    free(path);
    return rc;
}

/* folder: where a quantisation file may lie beside, or NULL. */
static int build_config(struct rl_model *m, const char *path, const char *folder,
                        struct rl_error *err)
{
    struct rl_error first = {0};
    json_t *top;

    if (!(m->source = rl_strdup(path, err)) || !(top = rl_json_load(m->source, err)))
        return -1;
    if (folder && add_quant_file(top, folder, err) < 0) {
        json_decref(top);
        return -1;
    }
    if (build(m, top, &first) == 0)
        return 0;
    find_line(path, &first);
    if (err && err->code == RL_OK)
        *err = first;
    return -1;
}

/* The family must count what the file holds: a header read wrongly, or of a
 * variant that the family does not know, shows here.  2 % leave room for buffers
 * such as rope_freqs and for fused or dropped biases. */
static int same_size(const struct rl_model *m, const struct rl_gguf *g,
                     struct rl_error *err)
{
    struct rl_params p;
    double held = 0;

    for (int c = 1; c < RL_NWCLASSES; c++)
        held += g->elems[c];
    rl_graph_params(&m->graph, &p);
    if (fabs(p.resident - held) <= 0.02 * held)
        return 0;
    return rl_fail(
        err, RL_EFORMAT, m->source, 0,
        "its tensors hold %.0f parameters, but its keys describe a '%s' of %.0f", held,
        m->model_type, p.resident);
}

static int build_gguf(struct rl_model *m, const char *path, struct rl_error *err)
{
    struct rl_gguf g;
    json_t *top;
    int rc = -1;

    if (!(m->source = rl_strdup(path, err)) || rl_gguf_load(m->source, &g, err) < 0)
        return -1;
    top = rl_gguf_config(&g, err);
    if (top && build(m, top, err) == 0 && same_size(m, &g, err) == 0) {
        for (int c = 0; c < RL_NWCLASSES; c++)
            m->gguf_bytes[c] = g.bytes[c];
        for (int c = RL_W_LINEAR; c < RL_W_SMALL; c++)
            m->graph.quant[c] = rl_gguf_class_dtype(&g, (enum rl_wclass)c);
        m->gguf_dtype = rl_gguf_dtype(&g);
        m->gguf_file_bytes = g.tensor_bytes;
        m->graph.state_dtype = RL_DT_FP32; /* llama.cpp keeps no other */
        rc = 0;
    }
    rl_gguf_clear(&g);
    return rc;
}

/* A published count is one that somebody else gave. */
static int take_row(struct rl_model *m, const struct rl_table *t, int row,
                    struct rl_error *err)
{
    int hf, total, source;

    if (rl_table_need(t, "hf_id", &hf, err) < 0 ||
        rl_table_need(t, "params_total", &total, err) < 0 ||
        rl_table_need(t, "params_source", &source, err) < 0)
        return -1;
    if (!(m->hf_id = rl_strdup(rl_table_get(t, row, hf), err)) ||
        rl_table_num(t, row, total, 0, &m->published, err) < 0)
        return -1;
    if (strncmp(rl_table_get(t, row, source), "computed", strlen("computed")) == 0)
        m->published = 0;
    return 0;
}

static int build_zoo(struct rl_model *m, const char *data, const struct rl_table *t,
                     int row, int id, struct rl_error *err)
{
    char file[160], *path;
    int rc;

    if (!(m->id = rl_strdup(rl_table_get(t, row, id), err)))
        return -1;
    if (strlen(m->id) > 128 || strchr(m->id, '/'))
        return rl_fail(err, RL_EVALUE, t->source, t->line[row],
                       "'id': expected a file name without '/'");
    snprintf(file, sizeof file, "%s.json", m->id);
    path = rl_path_join(data, "models", file, NULL);
    rc = path ? build_config(m, path, NULL, err)
              : rl_fail(err, RL_ENOMEM, NULL, 0, "no memory");
    free(path);
    return rc < 0 ? -1 : take_row(m, t, row, err);
}

static int build_path(struct rl_model *m, const char *name, struct rl_error *err)
{
    char *inside;
    int rc;

    if (!(m->id = rl_strdup(name, err)))
        return -1;
    if (ends_in(name, ".gguf"))
        return build_gguf(m, name, err);
    if (!is_folder(name))
        return build_config(m, name, NULL, err);
    inside = rl_path_join(name, "config.json", NULL);
    rc = inside ? build_config(m, inside, name, err)
                : rl_fail(err, RL_ENOMEM, NULL, 0, "no memory");
    free(inside);
    return rc;
}

static int find_and_build(struct rl_model *m, const char *data, const char *name,
                          struct rl_error *err)
{
    struct rl_table *t;
    int id, hf, row, rc = -1;

    if (ends_in(name, ".gguf") || ends_in(name, ".json") || *name == '.' || *name == '/')
        return build_path(m, name, err);
    if (!(t = index_read(data, err)))
        return -1;
    if (rl_table_need(t, "id", &id, err) == 0 &&
        rl_table_need(t, "hf_id", &hf, err) == 0) {
        row = index_find(t, id, hf, name);
        if (row >= 0)
            rc = build_zoo(m, data, t, row, id, err);
        else if (is_there(name))
            rc = build_path(m, name, err);
        else
            rc = unknown(t, id, hf, name, err);
    }
    rl_table_free(t);
    return rc;
}

struct rl_model *rl_model_load(const char *data, const char *name, struct rl_error *err)
{
    struct rl_model *m = rl_alloc(1, sizeof *m, err);

    if (m && find_and_build(m, data, name, err) < 0) {
        rl_model_free(m);
        return NULL;
    }
    return m;
}

struct rl_model *rl_model_load_file(const char *path, struct rl_error *err)
{
    struct rl_model *m = rl_alloc(1, sizeof *m, err);

    if (m && build_path(m, path, err) < 0) {
        rl_model_free(m);
        return NULL;
    }
    return m;
}

void rl_model_free(struct rl_model *m)
{
    if (!m)
        return;
    rl_graph_clear(&m->graph);
    rl_cfg_clear(&m->cfg);
    free(m->id);
    free(m->hf_id);
    free(m->source);
    free(m->model_type);
    free(m);
}
