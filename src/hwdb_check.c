/* `hw check` of the tables beside hwdb/devices: aliases, priors, rates by
 * architecture, the names that measurements were published under; and of the places
 * that runtime files name. */
#include "device.h"

#include "err.h"
#include "path.h"
#include "runtime.h"
#include "table.h"
#include "units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ids {
    char **name;
    int n;
};

static int known(const struct ids *ids, const char *id)
{
    for (int i = 0; i < ids->n; i++)
        if (!strcmp(ids->name[i], id))
            return 1;
    return 0;
}

/* The first `keys` columns together name a row once. */
static int check_unique(const struct rl_table *t, int keys, struct rl_error *err)
{
    for (int i = 0; i < t->nrows; i++)
        for (int j = 0; j < i; j++) {
            int same = 0;
            while (same < keys &&
                   !strcmp(rl_table_get(t, i, same), rl_table_get(t, j, same)))
                same++;
            if (same == keys)
                return rl_fail(err, RL_EVALUE, t->source, t->line[i],
                               "duplicate '%s', first on line %d", rl_table_get(t, i, 0),
                               t->line[j]);
        }
    return 0;
}

static int check_header(const struct rl_table *t, const char *const *want, int n,
                        struct rl_error *err)
{
    for (int c = 0; c < n; c++)
        if (t->ncols != n || strcmp(t->header[c], want[c]))
            return rl_fail(err, RL_EFORMAT, t->source, 1,
                           "expected %d columns, '%s' the %s", n, want[c],
                           c ? "next" : "first");
    return 0;
}

/* Every cell of a column holds something; numbers are positive. */
static int check_column(const struct rl_table *t, int col, int numeric,
                        struct rl_error *err)
{
    double v;

    for (int i = 0; i < t->nrows; i++) {
        const char *s = rl_table_get(t, i, col);
        if (!*s)
            return rl_fail(err, RL_EVALUE, t->source, t->line[i], "'%s' is empty",
                           t->header[col]);
        if (numeric && (rl_parse_number(s, &v) || !(v > 0)))
            return rl_fail(err, RL_EVALUE, t->source, t->line[i],
                           "%s '%s': expected a positive number", t->header[col], s);
    }
    return 0;
}

static int check_aliases(const struct rl_table *t, const struct ids *ids,
                         struct rl_error *err)
{
    static const char *const header[] = {"alias", "id"};

    if (check_header(t, header, 2, err) || check_unique(t, 1, err))
        return -1;
    for (int i = 0; i < t->nrows; i++) {
        const char *alias = rl_table_get(t, i, 0), *id = rl_table_get(t, i, 1);
        if (!known(ids, id))
            return rl_fail(err, RL_ENAME, t->source, t->line[i],
                           "alias '%s' of no device: '%s'", alias, id);
        if (known(ids, alias))
            return rl_fail(err, RL_ENAME, t->source, t->line[i],
                           "alias '%s' is a device itself", alias);
    }
    return 0;
}

static int check_priors(const struct rl_table *t, const struct ids *ids,
                        struct rl_error *err)
{
    static const char *const header[] = {"arch", "key", "value", "lo",
                                         "hi",   "n",   "source"};
    double v, lo, hi;

    (void)ids;
    if (check_header(t, header, 7, err) || check_unique(t, 2, err) ||
        check_column(t, 0, 0, err) || check_column(t, 2, 1, err) ||
        check_column(t, 3, 1, err) || check_column(t, 4, 1, err) ||
        check_column(t, 6, 0, err))
        return -1;
    for (int i = 0; i < t->nrows; i++)
        if (rl_table_num(t, i, 2, 0, &v, err) || rl_table_num(t, i, 3, 0, &lo, err) ||
            rl_table_num(t, i, 4, 0, &hi, err) || lo > v || v > hi)
            return rl_fail(err, RL_EVALUE, t->source, t->line[i],
                           "expected lo <= value <= hi");
    return 0;
}

static int check_rates(const struct rl_table *t, const struct ids *ids,
                       struct rl_error *err)
{
    static const char *const header[] = {"compute_capability", "unit", "flop_per_clk_sm",
                                         "source"};

    (void)ids;
    return check_header(t, header, 4, err) || check_unique(t, 3, err) ||
                   check_column(t, 2, 1, err) || check_column(t, 3, 0, err)
               ? -1
               : 0;
}

static int check_names(const struct rl_table *t, const struct ids *ids,
                       struct rl_error *err)
{
    static const char *const header[] = {"name", "device", "reason"};

    if (check_header(t, header, 3, err) || check_unique(t, 1, err))
        return -1;
    for (int i = 0; i < t->nrows; i++) {
        const char *id = rl_table_get(t, i, 1);
        if (*id && !known(ids, id))
            return rl_fail(err, RL_ENAME, t->source, t->line[i],
                           "'%s' is mapped to no device: '%s'", rl_table_get(t, i, 0),
                           id);
        if (!*id && !*rl_table_get(t, i, 2))
            return rl_fail(err, RL_EVALUE, t->source, t->line[i],
                           "'%s' has neither a device nor a reason",
                           rl_table_get(t, i, 0));
    }
    return 0;
}

static const struct {
    const char *file;
    int (*check)(const struct rl_table *t, const struct ids *ids, struct rl_error *err);
} tables[] = {
    {"aliases.csv", check_aliases},
    {"priors.csv", check_priors},
    {"rates.csv", check_rates},
    {"measured_names.csv", check_names},
};

int rl_hwdb_check(const char *data, struct rl_error *err)
{
    struct ids ids = {0};
    int bad = rl_device_list(data, &ids.name, &ids.n, err);

    for (size_t i = 0; !bad && i < sizeof tables / sizeof *tables; i++) {
        char *path = rl_path_join(data, "hwdb", tables[i].file, (char *)NULL);
        struct rl_table *t = path ? rl_table_read(path, err) : NULL;
        bad = !t || tables[i].check(t, &ids, err) ? -1 : 0;
        rl_table_free(t);
        free(path);
    }
    rl_free_names(ids.name, ids.n);
    return bad;
}

/* Is there a device of this capability, "sm87" or "apple9"? */
static int capability_known(const char *data, const struct ids *ids, const char *cc)
{
    int found = 0;

    for (int i = 0; i < ids->n && !found; i++) {
        struct rl_error ignored = {0};
        struct rl_device *d = rl_device_load(data, ids->name[i], &ignored);
        char has[16] = "";

        if (d)
            rl_capability_name(d->cc, has, sizeof has);
        found = *has && !strcmp(has, cc);
        rl_device_free(d);
    }
    return found;
}

int rl_hwdb_check_places(const char *data, const struct rl_runtime *r,
                         struct rl_error *err)
{
    struct ids ids = {0};
    int bad = rl_device_list(data, &ids.name, &ids.n, err);

    for (int i = 0; !bad && i < r->nrows; i++) {
        const char *at = strchr(r->key[i], '@');
        bool place = !at || known(&ids, at + 1) || capability_known(data, &ids, at + 1);
        if (!place)
            bad = rl_fail(err, RL_ENAME, rl_runtime_file(r, i), r->line[i],
                          "'%s': no device and no compute capability of one", r->key[i]);
    }
    rl_free_names(ids.name, ids.n);
    return bad;
}
