/* Devices by name: ids, aliases, short names, files, and the measured host. */
#include "device.h"

#include "device_rows.h"
#include "err.h"
#include "path.h"
#include "table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Names ------------------------------------------------------------------- */

int rl_device_list(const char *data, char ***ids, int *n, struct rl_error *err)
{
    char *dir = rl_path_join(data, "hwdb", "devices", (char *)NULL);
    int bad;

    if (!dir)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    bad = rl_list_dir(dir, ".csv", ids, n, err);
    free(dir);
    return bad;
}

/* Whether the words of `name` stand in this order, one after another, among
 * the words of `id`: "a6000" in "rtx-a6000", "orin-nano" in "jetson-orin-nano". */
static int has_words(const char *id, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = strstr(id, name); p; p = strstr(p + 1, name))
        if ((p == id || p[-1] == '-') && (p[n] == '\0' || p[n] == '-'))
            return 1;
    return 0;
}

static char *alias_of(const char *data, const char *name, struct rl_error *err)
{
    char *path = rl_path_join(data, "hwdb", "aliases.csv", (char *)NULL);
    struct rl_table *t = path ? rl_table_read(path, err) : NULL;
    char *id = NULL;

    for (int i = 0; t && i < t->nrows && !id; i++)
        if (t->ncols == 2 && !strcmp(rl_table_get(t, i, 0), name))
            id = rl_strdup(rl_table_get(t, i, 1), err);
    rl_table_free(t);
    free(path);
    return id;
}

static int ambiguous(const char *name, char *const *ids, int n, struct rl_error *err)
{
    char list[600];
    size_t len = 0;

    list[0] = '\0';
    for (int i = 0; i < n && len < sizeof list; i++)
        if (has_words(ids[i], name))
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s",
                                    len ? ", " : "", ids[i]);
    return rl_fail(err, RL_ENAME, NULL, 0, "device '%s' is ambiguous: %s", name, list);
}

/* Aliases count as names: who types oirn meant orin. */
static void unknown(const char *data, const char *name, char *const *ids, int n,
                    struct rl_error *err)
{
    struct rl_error ignored = {0};
    char *path = rl_path_join(data, "hwdb", "aliases.csv", (char *)NULL), near[300];
    struct rl_table *t = path ? rl_table_read(path, &ignored) : NULL;
    int aliases = t ? t->nrows : 0;
    const char **all = rl_alloc((size_t)(n + aliases), sizeof *all, err);

    for (int i = 0; all && i < n + aliases; i++)
        all[i] = i < n ? ids[i] : rl_table_get(t, i - n, 0);
    if (all)
        rl_fail(err, RL_ENAME, NULL, 0, "unknown device '%s': nearest are %s", name,
                rl_nearest(name, (char *const *)all, n + aliases, 4, near, sizeof near));
    free(all);
    rl_table_free(t);
    free(path);
}

static char *find_id(const char *data, char *const *ids, int n, const char *name,
                     struct rl_error *err)
{
    int hits = 0, hit = 0;

    for (int i = 0; i < n; i++) {
        if (!strcmp(ids[i], name))
            return rl_strdup(name, err);
        if (has_words(ids[i], name)) {
            hits++;
            hit = i;
        }
    }
    if (hits == 1)
        return rl_strdup(ids[hit], err);
    if (hits > 1)
        ambiguous(name, ids, n, err);
    else
        unknown(data, name, ids, n, err);
    return NULL;
}

/* "RTX 4090" and "rtx_4090" are rtx-4090. */
static char *canonical(const char *name, struct rl_error *err)
{
    char *s = rl_strdup(name, err);

    for (char *p = s; p && *p; p++)
        *p = *p == ' ' || *p == '_' ? '-' : (char)tolower((unsigned char)*p);
    return s;
}

char *rl_device_resolve(const char *data, const char *name, struct rl_error *err)
{
    struct rl_error local = {0};
    char **ids, *id, *plain;
    int n;

    if (strchr(name, '/') ||
        (strlen(name) > 4 && !strcmp(name + strlen(name) - 4, ".csv")))
        return rl_strdup(name, err);
    plain = canonical(*name ? name : "?", err);
    if (!plain)
        return NULL;
    id = alias_of(data, plain, &local);
    if (!id && !rl_device_list(data, &ids, &n, err)) {
        id = find_id(data, ids, n, plain, err);
        rl_free_names(ids, n);
    }
    free(plain);
    return id;
}

/* Loading ----------------------------------------------------------------- */

/* "x/rtx-4090.csv" -> "rtx-4090" */
static char *id_of(const char *path, struct rl_error *err)
{
    const char *base = strrchr(path, '/');
    char *id = rl_strdup(base ? base + 1 : path, err), *dot;

    if (id && (dot = strrchr(id, '.')))
        *dot = '\0';
    return id;
}

struct rl_device *rl_device_load_file(const char *data, const char *path,
                                      struct rl_error *err)
{
    struct rl_device *d = rl_alloc(1, sizeof *d, err);
    char *priors = rl_path_join(data, "hwdb", "priors.csv", (char *)NULL);

    if (!d || !priors)
        goto fail;
    d->file = rl_strdup(path, err);
    d->id = id_of(path, err);
    d->rows = rl_devrows_read(path, err);
    d->priors = rl_table_read(priors, err);
    if (!d->file || !d->id || !d->rows || !d->priors || rl_device_fill(d, err))
        goto fail;
    free(priors);
    return d;
fail:
    free(priors);
    rl_device_free(d);
    return NULL;
}

static struct rl_device *load_host(const char *data, const char *user,
                                   struct rl_error *err)
{
    char *path = user ? rl_path_join(user, "host.csv", (char *)NULL) : NULL;
    struct rl_device *d = NULL;
    FILE *f = path ? fopen(path, "r") : NULL;

    if (!f) {
        rl_fail(err, RL_ENAME, path, 0,
                "this machine is not measured yet: run 'rooflint bench' first");
    } else {
        fclose(f);
        d = rl_device_load_file(data, path, err);
    }
    free(path);
    return d;
}

struct rl_device *rl_device_load_for(const char *data, const char *user, const char *name,
                                     struct rl_error *err)
{
    char *id, *path, file[256];
    struct rl_device *d = NULL;

    if (!strcmp(name, "host"))
        return load_host(data, user, err);
    id = rl_device_resolve(data, name, err);
    if (!id)
        return NULL;
    if (strchr(id, '/') || strstr(id, ".csv")) {
        d = rl_device_load_file(data, id, err);
        free(id);
        return d;
    }
    snprintf(file, sizeof file, "%s.csv", id);
    path = rl_path_join(data, "hwdb", "devices", file, (char *)NULL);
    if (path)
        d = rl_device_load_file(data, path, err);
    free(path);
    free(id);
    return d;
}

struct rl_device *rl_device_load(const char *data, const char *name, struct rl_error *err)
{
    return rl_device_load_for(data, NULL, name, err);
}

void rl_device_free(struct rl_device *d)
{
    if (!d)
        return;
    rl_devrows_free(d->rows);
    rl_table_free(d->priors);
    free(d->id);
    free(d->file);
    free(d);
}

/* Units ------------------------------------------------------------------- */

/* The wider unit whose numbers hold those of a missing one.  bf16 goes to
 * fp32, not to fp16, whose range is too small for it. */
static enum rl_unit wider(const struct rl_device *d, enum rl_unit u)
{
    switch (u) {
    case RL_FP4:
        return RL_FP8;
    case RL_INT4:
        return RL_INT8;
    case RL_FP8:
    case RL_INT8:
        return d->peak[RL_BF16].kind == RL_KIND_NONE ? RL_FP16 : RL_BF16;
    default:
        return RL_FP32;
    }
}

enum rl_unit rl_device_unit(const struct rl_device *d, enum rl_unit wanted)
{
    while (wanted != RL_FP32 && d->peak[wanted].kind == RL_KIND_NONE)
        wanted = wider(d, wanted);
    return wanted;
}
