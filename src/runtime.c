/* Reads hwdb/runtimes/<id>.csv.  Here only the shape is checked: one row a key, a
 * source each.  Which keys there are is predict/plan_keys.c's affair. */
#include "runtime.h"
#include "err.h"
#include "path.h"
#include "table.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>

static int add_row(struct rl_runtime *r, const struct rl_table *t, int i, const int *col,
                   struct rl_error *err)
{
    const char *key = rl_table_get(t, i, col[0]);
    if (!*rl_table_get(t, i, col[3]))
        return rl_fail(err, RL_EVALUE, t->source, t->line[i], "'%s' has no source", key);
    for (int k = 0; k < r->nrows; k++)
        if (!strcmp(r->key[k], key))
            return rl_fail(err, RL_EVALUE, t->source, t->line[i], "'%s' is given twice",
                           key);
    int n = r->nrows;
    r->key[n] = rl_strdup(key, err);
    r->value[n] = rl_strdup(rl_table_get(t, i, col[1]), err);
    r->source[n] = rl_strdup(rl_table_get(t, i, col[3]), err);
    r->line[n] = t->line[i];
    r->nown = ++r->nrows;
    return r->key[n] && r->value[n] && r->source[n] ? 0 : -1;
}

static int read_rows(struct rl_runtime *r, const struct rl_table *t, struct rl_error *err)
{
    int col[4];
    if (rl_table_need(t, "key", &col[0], err) ||
        rl_table_need(t, "value", &col[1], err) ||
        rl_table_need(t, "unit", &col[2], err) ||
        rl_table_need(t, "source", &col[3], err))
        return -1;
    size_t n = (size_t)t->nrows + 1;
    r->key = rl_alloc(n, sizeof *r->key, err);
    r->value = rl_alloc(n, sizeof *r->value, err);
    r->source = rl_alloc(n, sizeof *r->source, err);
    r->line = rl_alloc(n, sizeof *r->line, err);
    if (!r->key || !r->value || !r->source || !r->line)
        return -1;
    for (int i = 0; i < t->nrows; i++)
        if (add_row(r, t, i, col, err))
            return -1;
    return 0;
}

static struct rl_runtime *load_file(const char *path, const char *id, const char *name,
                                    struct rl_error *err)
{
    struct rl_table *t = rl_table_read(path, err);
    if (!t)
        return NULL;
    struct rl_runtime *r = rl_alloc(1, sizeof *r, err);
    if (r) {
        r->id = rl_strdup(id, err);
        r->name = rl_strdup(name, err);
        r->file = rl_strdup(path, err);
        if (!r->id || !r->name || !r->file || read_rows(r, t, err)) {
            rl_runtime_free(r);
            r = NULL;
        }
    }
    rl_table_free(t);
    return r;
}

/* The runtime people use on a device when they do not say. */
static const char *default_name(const struct rl_device *d)
{
    if (d->is_cpu)
        return "llamacpp-cpu";
    if (!strcmp(d->vendor, "NVIDIA")) /* vLLM begins with Volta */
        return d->cc < 70 ? "llamacpp-cuda" : "vllm";
    if (!strcmp(d->vendor, "Apple"))
        return "llamacpp-metal";
    if (!strcmp(d->vendor, "AMD"))
        return "llamacpp-hip";
    if (d->arch && strstr(d->arch, "Habana")) /* no stack is modelled there */
        return "ideal";
    return "llamacpp-vulkan";
}

int rl_runtime_list(const char *data, char ***ids, int *n, struct rl_error *err)
{
    char *dir = rl_path_join(data, "hwdb", "runtimes", NULL);
    int rc = dir ? rl_list_dir(dir, ".csv", ids, n, err) : -1;
    free(dir);
    return rc;
}

/* The longest listed id that is the name, or the name up to "-VERSION". */
static const char *match_id(char *const *ids, int n, const char *name)
{
    const char *best = NULL;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(ids[i]);
        if (!strncmp(name, ids[i], len) && (!name[len] || name[len] == '-') &&
            (!best || len > strlen(best)))
            best = ids[i];
    }
    return best;
}

/* One row more, of line `line` of its file; NULL source: a value being tried. */
static int append(struct rl_runtime *r, const char *key, const char *value,
                  const char *source, int line, struct rl_error *err)
{
    size_t n = (size_t)r->nrows, cap = n;
    void *k = rl_grow(r->key, &cap, n + 1, sizeof *r->key, err);
    r->key = k ? k : r->key;
    cap = n;
    void *v = rl_grow(r->value, &cap, n + 1, sizeof *r->value, err);
    r->value = v ? v : r->value;
    cap = n;
    void *s = rl_grow(r->source, &cap, n + 1, sizeof *r->source, err);
    r->source = s ? s : r->source;
    cap = n;
    void *l = rl_grow(r->line, &cap, n + 1, sizeof *r->line, err);
    r->line = l ? l : r->line;
    if (!k || !v || !s || !l)
        return -1;
    r->key[n] = rl_strdup(key, err);
    r->value[n] = rl_strdup(value, err);
    r->source[n] = source ? rl_strdup(source, err) : NULL;
    r->line[n] = line;
    r->nrows++;
    return r->key[n] && r->value[n] && (!source || r->source[n]) ? 0 : -1;
}

/* `base` names a runtime whose rows hold where this file says nothing; one step. */
static int inherit(struct rl_runtime *r, const char *data, struct rl_error *err)
{
    const char *id = rl_runtime_str(r, "base", NULL);
    char file[128];
    int rc = 0;

    if (!id)
        return 0;
    snprintf(file, sizeof file, "%.120s.csv", id);
    char *path = rl_path_join(data, "hwdb", "runtimes", file, NULL);
    struct rl_runtime *base = path ? load_file(path, id, id, err) : NULL;
    for (int i = 0; base && !rc && i < base->nrows; i++)
        if (!rl_runtime_str(r, base->key[i], NULL))
            rc = append(r, base->key[i], base->value[i], base->source[i], base->line[i],
                        err);
    rc = base ? rc : -1;
    r->base_file = path;
    rl_runtime_free(base);
    return rc;
}

struct rl_runtime *rl_runtime_load(const char *data, const char *name,
                                   const struct rl_device *d, struct rl_error *err)
{
    char **ids, near[200];
    int n;
    struct rl_runtime *r = NULL;
    bool asked = name != NULL;

    if (!name)
        name = default_name(d);
    if (rl_runtime_list(data, &ids, &n, err))
        return NULL;
    const char *id = match_id(ids, n, name);
    if (!id) {
        rl_fail(err, RL_ENAME, NULL, 0, "unknown runtime '%s': did you mean %s?", name,
                rl_nearest(name, ids, n, 3, near, sizeof near));
    } else {
        char file[128];
        snprintf(file, sizeof file, "%s.csv", id);
        char *path = rl_path_join(data, "hwdb", "runtimes", file, NULL);
        if (path)
            r = load_file(path, id, name, err);
        if (r)
            r->is_default = !asked;
        if (r && inherit(r, data, err)) {
            rl_runtime_free(r);
            r = NULL;
        }
        free(path);
    }
    rl_free_names(ids, n);
    return r;
}

void rl_runtime_free(struct rl_runtime *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->nrows; i++) {
        free(r->key[i]);
        free(r->value[i]);
        free(r->source[i]);
    }
    free(r->key);
    free(r->value);
    free(r->source);
    free(r->line);
    free(r->id);
    free(r->name);
    free(r->file);
    free(r->base_file);
    free(r);
}

const char *rl_runtime_str(const struct rl_runtime *r, const char *key,
                           const char *fallback)
{
    for (int i = 0; r && i < r->nrows; i++)
        if (!strcmp(r->key[i], key))
            return r->value[i];
    return fallback;
}

const char *rl_runtime_file(const struct rl_runtime *r, int i)
{
    return i < r->nown || !r->base_file ? r->file : r->base_file;
}

int rl_runtime_set(struct rl_runtime *r, const char *key, double value,
                   struct rl_error *err)
{
    char text[40];
    int i = 0;

    snprintf(text, sizeof text, "%.9g", value);
    while (i < r->nrows && strcmp(r->key[i], key))
        i++;
    if (i == r->nrows)
        return append(r, key, text, NULL, 0, err);
    char *copy = rl_strdup(text, err);
    if (!copy)
        return -1;
    free(r->value[i]);
    r->value[i] = copy;
    return 0;
}

double rl_runtime_num(const struct rl_runtime *r, const char *key, double fallback)
{
    double v;
    const char *s = rl_runtime_str(r, key, NULL);
    return s && !rl_parse_number(s, &v) ? v : fallback;
}
