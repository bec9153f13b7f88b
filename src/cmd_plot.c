/* rooflint plot: the numbers of a picture, and the picture by gnuplot.
 *
 * The makers (plot_*.c) write CSV into memory; --data keeps it, --from takes an
 * earlier one instead; plots/NAME.gp draws it. */
#include "err.h"
#include "path.h"
#include "plot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct rl_option options[] = {
    {"list", 0, NULL, NULL, "name the plots", NULL},
    {"hw", 'H', "LIST", NULL, "devices: names, patterns, or all", "device"},
    {"model", 'm', "LIST", NULL, "models: names, patterns, or all", "model"},
    {"ctx", 'c', "LIST", "the plot's range", "prompt tokens: 1k,8k or 1k:1M:x2", NULL},
    {"batch", 'b', "B", "1", "sequences at once", NULL},
    {"output-tokens", 'o', "T", "128", "tokens to generate", NULL},
    {"runtime", 'r', "R[,R…]", "the device's usual one",
     "software stack; one for all, or one for each model", "runtime"},
    {"dtype", 0, "D", "the config's", "weights", "dtype"},
    {"kv-dtype", 0, "D", "as activations", "KV cache", "dtype"},
    {"logits", 0, "W", "the runtime's", "logit rows of the prefill", "all|last"},
    {"tp", 0, "N", "1", "tensor-parallel ranks", NULL},
    {"context-depth", 0, "D", "0", "tokens cached before the prompt", NULL},
    {"measured", 0, "FILE", NULL,
     "measured runs, drawn as points; ceilings: rows of bench", "file"},
    {"phase", 0, "P", "both", "breakdown, roofline: which phase", "prefill|decode|both"},
    {"metric", 0, "M", "ttft",
     "crossover: of what; latency: a list, one panel each; validation: only this",
     "ttft|tpot|e2e|memory|energy"},
    {"batches", 0, "LIST", "1:128:x1.189207115", "crossover: the other axis", NULL},
    {"max-batch", 0, "N", "256", "concurrency: sequences at most", NULL},
    {"x", 0, "COLUMN", "tpot_s", "pareto: a column of sweep", NULL},
    {"y", 0, "COLUMN", "price_usd", "pareto: a column of sweep", NULL},
    {"by", 0, "KEY", "metric", "validation: colour", "device|model|runtime|metric"},
    {"out", 0, "FILE", "a window or the terminal",
     "picture: .svg .pdf .png .tex (with a .pdf) .tikz", "file"},
    {"show", 0, "WHERE", "what there is", "without --out", "window|sixel|dumb"},
    {"data", 0, "FILE.csv", NULL,
     "keep the numbers (a folder: data, as for all commands)", "file"},
    {"from", 0, "FILE.csv", NULL, "draw these numbers (as --data wrote them)", "file"},
    {"width", 0, "W", "column", "a column of 8.5 cm, or a page of 17.8 cm",
     "column|page"},
    {"title", 0, "TEXT", NULL, "a title; papers put it in the caption", NULL},
    {"grey", 0, NULL, NULL, "no colours: as a grey print shows it", NULL},
    {0},
};

static int run(const struct rl_args *a);
extern const struct rl_command rl_cmd_plot;
const struct rl_command rl_cmd_plot = {
    .name = "plot",
    .summary = "pictures of predictions, for papers",
    .operands = "NAME",
    .details =
        "--list names the plots. Most need --hw and --model, validation --measured, "
        "ceilings --hw or, as --measured, rows that 'rooflint bench --rows FILE' kept. "
        "Letters are 7 points at 8.5 cm (a column) or 17.8 cm (a page).\n\n"
        "gnuplot is looked for at run time; without it --data alone still writes the "
        "numbers, and --from draws them elsewhere. Without --out the picture goes to a "
        "window, to the terminal's pixels (sixel), or to letters. A .tex file comes with "
        "a .pdf of the same name, which it includes (packages graphicx and "
        "color); a .tikz needs gnuplot-lua-tikz.sty.",
    .option = options,
    .run = run,
    .values = "plot",
};

const struct rl_plot_maker rl_plot_makers[] = {
    {"breakdown", rl_plot_breakdown},     {"ceilings", rl_plot_ceilings},
    {"concurrency", rl_plot_concurrency}, {"crossover", rl_plot_crossover},
    {"latency", rl_plot_latency},         {"memory", rl_plot_memory},
    {"pareto", rl_plot_pareto},           {"roofline", rl_plot_roofline},
    {"validation", rl_plot_validation},   {NULL, NULL},
};

/* --list */

/* The first comment line of a script says what it shows. */
static void print_summary(const char *dir, const char *name)
{
    char file[80], line[256] = "";
    snprintf(file, sizeof file, "%.70s.gp", name);
    char *path = rl_path_join(dir, file, NULL);
    FILE *f = path ? fopen(path, "r") : NULL;

    if (f && fgets(line, sizeof line, f))
        line[strcspn(line, "\n")] = 0;
    printf("%-12s %s\n", name, line + strspn(line, "# "));
    if (f)
        fclose(f);
    free(path);
}

static int list_plots(const char *data, char ***names, int *n, char **dir,
                      struct rl_error *err)
{
    *dir = rl_path_join(data, "plots", NULL);
    if (!*dir)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    return rl_list_dir(*dir, ".gp", names, n, err);
}

static int list(const char *data, struct rl_error *err)
{
    char **name = NULL, *dir = NULL;
    int n = 0, rc = list_plots(data, &name, &n, &dir, err);

    for (int i = 0; !rc && i < n; i++)
        print_summary(dir, name[i]);
    rl_free_names(name, n);
    free(dir);
    return rc;
}

static int check_name(const char *data, const char *want, struct rl_error *err)
{
    char **name = NULL, *dir = NULL, near[128];
    int n = 0, rc = list_plots(data, &name, &n, &dir, err), found = 0;

    for (int i = 0; !rc && i < n; i++)
        found |= !strcmp(name[i], want);
    if (!rc && !found)
        rc = rl_fail(err, RL_ENAME, NULL, 0, "no plot '%s': did you mean %s?", want,
                     rl_nearest(want, name, n, 2, near, sizeof near));
    rl_free_names(name, n);
    free(dir);
    return rc;
}

/* the numbers */

static int make(struct rl_plot_job *j, const char *name, char **csv, size_t *size,
                struct rl_error *err)
{
    const struct rl_plot_maker *m = rl_plot_makers;

    while (m->name && strcmp(m->name, name))
        m++;
    if (!m->name)
        return rl_fail(err, RL_ENAME, NULL, 0,
                       "plot '%s' makes no numbers of its own: give --from FILE.csv",
                       name);
    j->csv = open_memstream(csv, size);
    if (!j->csv)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    int rc = m->make(j, err);
    fclose(j->csv);
    if (!rc && !j->rows)
        rc = rl_fail(err, RL_EVALUE, NULL, 0,
                     "%s: nothing to draw: no finite figure for these devices, models "
                     "and contexts",
                     name);
    return rc;
}

static int keep(const char *path, const char *csv, size_t size, struct rl_error *err)
{
    struct rl_out_file o;

    if (rl_out_open(&o, path, err))
        return -1;
    if (fwrite(csv, 1, size, o.f) != size) {
        rl_out_abandon(&o);
        return rl_fail(err, RL_EIO, path, 0, "cannot write");
    }
    return rl_out_commit(&o, err);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return path && !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int read_look(const struct rl_args *a, struct rl_plot_look *look,
                     struct rl_error *err)
{
    const struct rl_command *c = &rl_cmd_plot;
    const char *width = rl_arg(c, a, "width");

    if (width && strcmp(width, "column") && strcmp(width, "page"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--width: expected column or page, got '%s'", width);
    look->name = a->operand[0];
    look->out = rl_arg(c, a, "out");
    look->title = rl_arg(c, a, "title");
    look->page = width && !strcmp(width, "page");
    look->from = rl_arg(c, a, "from");
    look->show = rl_arg(c, a, "show");
    look->grey = rl_arg(c, a, "grey") != NULL;
    return 0;
}

static int plot(const struct rl_args *a, struct rl_error *err)
{
    const char *from = rl_arg(&rl_cmd_plot, a, "from");
    const char *data = rl_arg(&rl_cmd_plot, a, "data");
    struct rl_args args = *a;
    struct rl_plot_look look = {0};
    char *csv = NULL;
    size_t size = 0;

    if (is_folder(data)) { /* what --data means everywhere else */
        args.data = rl_data_dir(data);
        data = NULL;
    }
    struct rl_plot_job j = {.command = &rl_cmd_plot, .args = &args};
    if (check_name(args.data, a->operand[0], err) || read_look(a, &look, err))
        return -1;
    int rc = 0;
    if (from)
        rc = (csv = rl_read_file(from, 64 << 20, &size, err)) ? 0 : -1;
    else
        rc = make(&j, look.name, &csv, &size, err);
    if (!rc && data)
        rc = keep(data, csv, size, err);
    if (!rc && (look.out || !data)) /* --data alone is content with the numbers */
        rc = rl_plot_draw(&look, args.data, csv, err);
    free(csv);
    return rc;
}

static int run(const struct rl_args *a)
{
    struct rl_error err = {0};
    int rc;

    if (rl_arg(&rl_cmd_plot, a, "list"))
        rc = list(a->data, &err);
    else if (a->noperands != 1)
        return rl_usage_error(&rl_cmd_plot,
                              "expected the NAME of one plot (--list names them)");
    else
        rc = plot(a, &err);
    return rc ? rl_die(&err) : RL_EXIT_OK;
}
