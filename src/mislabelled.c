/* Rows of public tables that ran something else than they say.  Each line of
 * hwdb/mislabelled.csv names rows by their columns and a part of their parameters or
 * notes, and what shows that the label is wrong. */
#include "mislabelled.h"

#include "path.h"
#include "table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { M_SCHEMA, M_DEVICE, M_RUNTIME, M_OF, M_METRIC, M_MATCH, M_REASON, NCOLS };
static const char *const column[NCOLS] = {"schema", "device", "runtime", "of",
                                          "metric", "match",  "reason"};

struct rl_mislabelled {
    struct rl_table *table;
    int col[NCOLS];
};

static struct rl_table *read_table(const char *data, struct rl_error *err)
{
    char *path =
        data ? rl_path_join(data, "hwdb", "mislabelled.csv", (char *)NULL) : NULL;
    struct rl_table *t;

    if (!path || (access(path, F_OK) && errno == ENOENT)) { /* what else fails is told */
        static const char header[] = "schema,device,runtime,of,metric,match,reason\n";
        t = rl_table_parse("mislabelled.csv", header, sizeof header - 1, err);
    } else {
        t = rl_table_read(path, err);
    }
    free(path);
    return t;
}

struct rl_mislabelled *rl_mislabelled_read(const char *data, struct rl_error *err)
{
    struct rl_mislabelled *m = rl_alloc(1, sizeof *m, err);
    bool bad = !m || !(m->table = read_table(data, err));

    for (int i = 0; !bad && i < NCOLS; i++)
        bad = rl_table_need(m->table, column[i], &m->col[i], err) != 0;
    if (!bad)
        return m;
    rl_mislabelled_free(m);
    return NULL;
}

void rl_mislabelled_free(struct rl_mislabelled *m)
{
    if (m)
        rl_table_free(m->table);
    free(m);
}

static const char *cell(const struct rl_mislabelled *m, int row, int c)
{
    return rl_table_get(m->table, row, m->col[c]);
}

static bool same(const struct rl_mislabelled *m, int row, int c, const char *with)
{
    return !strcmp(cell(m, row, c), with);
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* Is `part` in `text` as whole words?  matrices=2 is not in matrices=20. */
static bool holds(const char *text, const char *part)
{
    size_t n = strlen(part);

    for (const char *s = text; n && (s = strstr(s, part)); s++)
        if ((s == text || !in_word(s[-1])) && !in_word(s[n]))
            return true;
    return false;
}

const char *rl_mislabelled(const struct rl_mislabelled *m, const struct rl_row_label *row)
{
    for (int i = 0; i < m->table->nrows; i++)
        if (same(m, i, M_SCHEMA, row->schema) && same(m, i, M_DEVICE, row->device) &&
            same(m, i, M_RUNTIME, row->runtime) && same(m, i, M_OF, row->of) &&
            same(m, i, M_METRIC, row->metric) && holds(row->text, cell(m, i, M_MATCH)))
            return cell(m, i, M_REASON);
    return NULL;
}
