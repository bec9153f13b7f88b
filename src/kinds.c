/* Names of a kind, for completion: devices, models, runtimes, plots, operators, …,
 * as the data folder in force has them. */
#include "cli.h"

#include "device.h"
#include "dtype.h"
#include "model.h"
#include "op.h"
#include "path.h"
#include "runtime.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

static int list_plots(const char *data, char ***names, int *n, struct rl_error *err)
{
    char *dir = rl_path_join(data, "plots", NULL);
    int rc = dir ? rl_list_dir(dir, ".gp", names, n, err) : -1;

    free(dir);
    return rc;
}

static int list_aliases(const char *data, struct rl_error *err)
{
    char *path = rl_path_join(data, "hwdb", "aliases.csv", NULL);
    struct rl_table *t = path ? rl_table_read(path, err) : NULL;
    int col = t ? rl_table_col(t, "alias") : -1;

    for (int r = 0; col >= 0 && r < t->nrows; r++)
        puts(rl_table_get(t, r, col));
    free(path);
    rl_table_free(t);
    return t ? 0 : -1;
}

/* Kinds that are no list of files: printed here. */
static int print_fixed(const char *kind, const char *data, struct rl_error *err)
{
    if (!strcmp(kind, "dtype"))
        for (int i = RL_DT_NONE + 1; i < RL_NDTYPES; i++)
            puts(rl_dtype((enum rl_dtype)i)->name);
    else if (!strcmp(kind, "op"))
        for (int i = 0; rl_op_types[i]; i++)
            puts(rl_op_types[i]->name);
    else if (!strcmp(kind, "command"))
        for (int i = 0; rl_commands[i]; i++)
            puts(rl_commands[i]->name);
    else if (!strcmp(kind, "device"))
        return list_aliases(data, err);
    return 0;
}

/* One name a line; a kind that is no list prints nothing. */
int rl_print_values(const char *kind, const char *data)
{
    struct rl_error err = {0};
    char **names = NULL;
    int n = 0, rc = print_fixed(kind, data, &err);

    if (!rc && strcmp(kind, "device") == 0)
        rc = rl_device_list(data, &names, &n, &err);
    else if (strcmp(kind, "model") == 0)
        rc = rl_model_list(data, &names, &n, &err);
    else if (strcmp(kind, "runtime") == 0)
        rc = rl_runtime_list(data, &names, &n, &err);
    else if (strcmp(kind, "plot") == 0)
        rc = list_plots(data, &names, &n, &err);
    if (rc < 0)
        return rl_die(&err);
    for (int i = 0; i < n; i++)
        puts(names[i]);
    rl_free_names(names, n);
    return RL_EXIT_OK;
}
