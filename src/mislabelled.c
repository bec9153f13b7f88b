/* Rows of public tables that ran something else than they say.  Each line of
 * hwdb/mislabelled.csv names rows by their columns and a part of their parameters or
 * notes, and what shows that the label is wrong. */
#include "mislabelled.h"

#include "path.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { M_SCHEMA, M_DEVICE, M_RUNTIME, M_OF, M_METRIC, M_MATCH, M_REASON, NCOLS };
static const char *const column[NCOLS] = {"schema", "device", "runtime", "of",
                                          "metric", "match",  "reason"};

struct rl_table *rl_mislabelled_read(const char *data, struct rl_error *err)
{
    char *path =
        data ? rl_path_join(data, "hwdb", "mislabelled.csv", (char *)NULL) : NULL;
    struct rl_table *t;
    int col;

    if (!path || (access(path, F_OK) && errno == ENOENT)) { /* what else fails is told */
        static const char header[] = "schema,device,runtime,of,metric,match,reason\n";
        t = rl_table_parse("mislabelled.csv", header, sizeof header - 1, err);
    } else {
        t = rl_table_read(path, err);
    }
    for (int i = 0; t && i < NCOLS; i++)
        if (rl_table_need(t, column[i], &col, err)) {
            rl_table_free(t);
            t = NULL;
        }
    free(path);
    return t;
}

static bool same(const struct rl_table *t, int row, int c, const char *with)
{
    return !strcmp(rl_table_get(t, row, rl_table_col(t, column[c])), with);
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

const char *rl_mislabelled(const struct rl_table *t, const struct rl_row_label *row)
{
    for (int i = 0; i < t->nrows; i++)
        if (same(t, i, M_SCHEMA, row->schema) && same(t, i, M_DEVICE, row->device) &&
            same(t, i, M_RUNTIME, row->runtime) && same(t, i, M_OF, row->of) &&
            same(t, i, M_METRIC, row->metric) &&
            holds(row->text, rl_table_get(t, i, rl_table_col(t, column[M_MATCH]))))
            return rl_table_get(t, i, rl_table_col(t, column[M_REASON]));
    return NULL;
}
