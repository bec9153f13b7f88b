/* `model check`: every rule that a zoo index, a config and a GGUF must keep.
 *
 * Of an index row: the config is there and says the same model_type, ids are
 * unique, sources are named, and the parameter count of the family is the
 * published one to the last parameter, with what separates them named (`off`).
 */
#include "model.h"

#include "err.h"
#include "path.h"
#include "table.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

enum {
    C_ID,
    C_HF,
    C_TYPE,
    C_TOTAL,
    C_ACTIVE,
    C_OFF,
    C_OFF_WHY,
    C_SOURCE,
    C_CONFIG,
    C_VERIFIED,
    C_NOTES,
    NCOLS
};

static const char *const column[NCOLS] = {
    "id",      "hf_id",         "model_type",    "params_total", "params_active", "off",
    "off_why", "params_source", "config_source", "verified",     "notes"};

struct check {
    const struct rl_table *t;
    int col[NCOLS];
    const char *folder; /* of the configs */
    struct rl_error *err;
};

static const char *cell(const struct check *k, int row, int c)
{
    return rl_table_get(k->t, row, k->col[c]);
}

static int bad(const struct check *k, int row, const char *text)
{
    return rl_fail(k->err, RL_EVALUE, k->t->source, k->t->line[row], "%s: %s",
                   cell(k, row, C_ID), text);
}

static int columns(struct check *k)
{
    for (int c = 0; c < NCOLS; c++)
        if (rl_table_need(k->t, column[c], &k->col[c], k->err) < 0)
            return -1;
    return 0;
}

/* A count of parameters: whole, or empty (0). */
static int count(const struct check *k, int row, int c, double *out)
{
    char text[96];

    if (rl_table_num(k->t, row, k->col[c], 0, out, k->err) < 0)
        return -1;
    if (floor(*out) == *out && (*out >= 0 || c == C_OFF))
        return 0;
    snprintf(text, sizeof text, "'%s': expected a whole number of parameters", column[c]);
    return bad(k, row, text);
}

static int row_words(const struct check *k, int row)
{
    const char *id = cell(k, row, C_ID), *verified = cell(k, row, C_VERIFIED);

    if (!*id || strlen(id) > 128)
        return bad(k, row, "'id': expected 1 to 128 characters");
    for (const char *s = id; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-' &&
            *s != '.')
            return bad(k, row, "'id': expected lower-case letters, digits, '-' and '.'");
    if (!strchr(cell(k, row, C_HF), '/'))
        return bad(k, row, "'hf_id': expected OWNER/NAME");
    if (!*cell(k, row, C_SOURCE))
        return bad(k, row, "'params_source': expected the source of the count");
    if (!*cell(k, row, C_CONFIG))
        return bad(k, row, "'config_source': expected the source of the config");
    if (strcmp(verified, "yes") && strcmp(verified, "partial") && strcmp(verified, "no"))
        return bad(k, row, "'verified': expected yes, partial or no");
    if (!*cell(k, row, C_OFF) != !*cell(k, row, C_OFF_WHY))
        return bad(k, row, "expected 'off' and 'off_why' together");
    return 0;
}

static int unique(const struct check *k, int row)
{
    for (int i = 0; i < row; i++) {
        if (strcmp(cell(k, i, C_ID), cell(k, row, C_ID)) == 0)
            return bad(k, row, "'id': is given twice");
        if (strcasecmp(cell(k, i, C_HF), cell(k, row, C_HF)) == 0)
            return bad(k, row, "'hf_id': is given twice");
    }
    return 0;
}

/* Published = stored + off; where nobody published, total = resident. */
static int total(const struct check *k, int row, const struct rl_model *m)
{
    const char *computed = "computed";
    struct rl_params p;
    double published, off, want;
    bool ours = strncmp(cell(k, row, C_SOURCE), computed, strlen(computed)) == 0;

    if (count(k, row, C_TOTAL, &published) < 0 || count(k, row, C_OFF, &off) < 0)
        return -1;
    rl_graph_params(&m->graph, &p);
    want = ours ? p.resident : p.stored + off;
    if (published == want)
        return 0;
    return rl_fail(k->err, RL_EVALUE, k->t->source, k->t->line[row],
                   "%s: 'params_total': expected %.0f (%.0f resident%s%s), got %.0f",
                   m->id, want, p.resident, m->graph.stored_why[0] && !ours ? "; " : "",
                   ours ? "" : m->graph.stored_why, published);
}

static int active(const struct check *k, int row, const struct rl_model *m)
{
    struct rl_params p;
    double given;

    if (count(k, row, C_ACTIVE, &given) < 0)
        return -1;
    rl_graph_params(&m->graph, &p);
    if (given == 0 || given == p.active)
        return 0;
    return rl_fail(k->err, RL_EVALUE, k->t->source, k->t->line[row],
                   "%s: 'params_active': expected %.0f, got %.0f", m->id, p.active,
                   given);
}

static int sane(const struct rl_model *m, struct rl_error *err);

static int row_config(const struct check *k, int row)
{
    char file[160], *path;
    struct rl_model *m;
    int rc = -1;

    snprintf(file, sizeof file, "%.128s.json", cell(k, row, C_ID));
    path = rl_path_join(k->folder, file, NULL);
    m = path ? rl_model_load_file(path, k->err) : NULL;
    free(path);
    if (!m)
        return -1;
    free(m->id);
    m->id = rl_strdup(cell(k, row, C_ID), k->err);
    if (!m->id)
        rc = -1;
    else if (strcmp(json_string_value(json_object_get(m->cfg.top, "model_type")),
                    cell(k, row, C_TYPE)) != 0)
        rc = bad(k, row, "'model_type': expected the one in the config");
    else
        rc =
            sane(m, k->err) < 0 || total(k, row, m) < 0 || active(k, row, m) < 0 ? -1 : 0;
    rl_model_free(m);
    return rc;
}

/* Every config in the folder has its row. */
static int orphans(const struct check *k)
{
    char **names = NULL;
    int n = 0, rc = rl_list_dir(k->folder, ".json", &names, &n, k->err);

    for (int i = 0; i < n && rc == 0; i++) {
        int row = 0;

        while (row < k->t->nrows && strcmp(cell(k, row, C_ID), names[i]) != 0)
            row++;
        if (row == k->t->nrows)
            rc = rl_fail(k->err, RL_EVALUE, k->t->source, 0,
                         "'%s.json' beside it has no row", names[i]);
    }
    rl_free_names(names, n);
    return rc;
}

static int check_index(const char *path, struct rl_error *err)
{
    struct rl_table *t = rl_table_read(path, err);
    char *folder = rl_strdup(path, err), *slash = folder ? strrchr(folder, '/') : NULL;
    struct check k = {.t = t, .folder = slash ? folder : ".", .err = err};
    int rc = t && folder ? columns(&k) : -1;

    if (slash)
        *slash = '\0';
    for (int i = 0; rc == 0 && i < t->nrows; i++)
        rc = row_words(&k, i) < 0 || unique(&k, i) < 0 || row_config(&k, i) < 0 ? -1 : 0;
    if (rc == 0)
        rc = orphans(&k);
    if (rc == 0)
        rc = t->nrows;
    rl_table_free(t);
    free(folder);
    return rc;
}

/* What must hold of any model, whoever wrote its family. */
static int sane(const struct rl_model *m, struct rl_error *err)
{
    struct rl_params p;

    rl_graph_params(&m->graph, &p);
    if (!(p.resident > 0) || !(p.active <= p.resident) || !(p.stored > 0) ||
        !(p.read_per_token <= p.resident))
        return rl_fail(err, RL_EVALUE, m->source, 0,
                       "expected 0 < active <= resident parameters, got %.0f and %.0f",
                       p.active, p.resident);
    return 0;
}

static bool is_index(const char *path)
{
    size_t n = strlen(path);

    return n > 4 && strcasecmp(path + n - 4, ".csv") == 0;
}

int rl_model_check(const char *path, struct rl_error *err)
{
    struct rl_model *m;
    int rc;

    if (is_index(path))
        return check_index(path, err);
    if (!(m = rl_model_load_file(path, err)))
        return -1;
    rc = sane(m, err) ? -1 : 1;
    rl_model_free(m);
    return rc;
}
