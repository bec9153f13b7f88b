/* Runs gnuplot on a plot's numbers.
 *
 * A folder of its own beside the output gets data.csv and plot.gp: the
 * variables below, the common style (plots/style.inc) and the plot's script.
 * What gnuplot made there is moved to its place when all went well.
 */
#include "err.h"
#include "path.h"
#include "plot.h"
#include "table.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* gnuplot's path in buf, or an error that says what to install. */
static int find_gnuplot(char *buf, size_t size, struct rl_error *err)
{
    const char *path = getenv("PATH");

    for (const char *p = path ? path : ""; *p; p += *p == ':') {
        size_t n = strcspn(p, ":");
        snprintf(buf, size, "%.*s%sgnuplot", (int)n, p, n ? "/" : "./");
        if (!access(buf, X_OK))
            return 0;
        p += n;
    }
    return rl_fail(err, RL_EIO, NULL, 0,
                   "no gnuplot in PATH: install the package gnuplot-nox (Debian, Ubuntu) "
                   "or gnuplot, or keep the numbers with --data FILE.csv");
}

/* What kind of picture the file's ending asks for. */
static const char *format_of(const char *out, struct rl_error *err)
{
    static const char *const known[] = {"svg", "pdf", "png", "tex", "tikz"};
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');

    if (dot && dot > out && (!slash || dot > slash + 1))
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (!strcmp(dot + 1, known[i]))
                return known[i];
    rl_fail(
        err, RL_EVALUE, NULL, 0,
        "--out: expected a name that ends in .svg, .pdf, .png, .tex or .tikz, got '%s'",
        out);
    return NULL;
}

/* the run */

struct work {
    char dir[PATH_MAX]; /* of the temporary files */
    char gnuplot[PATH_MAX];
};

/* The words after a directive of the script, a comment line such as "# needs:". */
typedef int word_fn(const char *word, const struct rl_table *t, struct rl_error *err);

static int each_word(const char *script, const char *directive, const struct rl_table *t,
                     word_fn *fn, struct rl_error *err)
{
    const char *at = strstr(script, directive);
    char word[64];
    int used;

    for (at = at ? at + strlen(directive) : "\n"; *at == ' '; at += used) {
        used = 0;
        if (sscanf(at, " %63[a-z_0-9]%n", word, &used) != 1 || !used)
            break;
        if (fn(word, t, err))
            return -1;
    }
    return 0;
}

static int is_column(const char *word, const struct rl_table *t, struct rl_error *err)
{
    int col;
    return rl_table_need(t, word, &col, err);
}

/* A column that axes are made of needs a number they can show. */
static int has_number(const char *word, const struct rl_table *t, struct rl_error *err)
{
    int col = rl_table_col(t, word);
    double v;

    for (int r = 0; col >= 0 && r < t->nrows; r++)
        if (!rl_table_num(t, r, col, NAN, &v, NULL) && isfinite(v) && v > 0)
            return 0;
    return rl_fail(err, RL_EVALUE, t->source, 0,
                   "nothing to draw: column '%s' has no finite number above 0", word);
}

/* "# most: 6 device": no more than six different values are legible. */
static int check_most(const char *script, const struct rl_table *t, struct rl_error *err)
{
    const char *at = strstr(script, "# most:");
    char column[64];
    int most;

    if (!at || sscanf(at, "# most: %d %63[a-z_]", &most, column) != 2)
        return 0;
    return rl_plot_count(t, column, most, err) < 0 ? -1 : 0;
}

static int check_table(const char *script, const struct rl_table *t, struct rl_error *err)
{
    return each_word(script, "# needs:", t, is_column, err) ||
                   each_word(script, "# draws:", t, has_number, err) ||
                   check_most(script, t, err)
               ? -1
               : 0;
}

static int copy_into(FILE *f, const char *data, const char *file,
                     const struct rl_table *t, struct rl_error *err)
{
    char *path = rl_path_join(data, "plots", file, NULL);
    size_t len;
    char *text = path ? rl_read_file(path, 1 << 20, &len, err) : NULL;

    int rc = text ? check_table(text, t, err) : -1;

    if (text)
        fwrite(text, 1, len, f);
    free(path);
    free(text);
    return rc;
}

static FILE *create(const struct work *w, const char *name, struct rl_error *err)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    FILE *f = fopen(path, "w");
    if (!f)
        rl_fail(err, RL_EIO, path, 0, "cannot create: %s", strerror(errno));
    return f;
}

/* The numbers, cell by cell: gnuplot takes an empty one for missing, but "inf"
 * and "nan" for the names of variables. */
static int put_data(const struct work *w, const char *csv, struct rl_error *err)
{
    FILE *f = create(w, "data.csv", err);
    if (!f)
        return -1;
    for (size_t n; *csv; csv += n) {
        const char *word = csv + (*csv == '-' || *csv == '+');
        n = strcspn(csv, ",\r\n");
        size_t len = n - (size_t)(word - csv) * (n > 0);
        if (!(len == 3 && (!strncasecmp(word, "inf", 3) || !strncasecmp(word, "nan", 3))))
            fwrite(csv, 1, n, f);
        if (csv[n])
            putc(csv[n++], f);
    }
    return fclose(f) ? rl_fail(err, RL_EIO, w->dir, 0, "cannot write") : 0;
}

static int put_script(const struct work *w, const struct rl_plot_look *look,
                      const char *word, const struct rl_table *t, const char *base,
                      const char *data, struct rl_error *err)
{
    char file[80];
    FILE *f = create(w, "plot.gp", err);
    if (!f)
        return -1;
    snprintf(file, sizeof file, "%.70s.gp", look->name);
    int rc = rl_plot_put_look(f, look, word, t, base, err) ||
                     copy_into(f, data, "style.inc", t, err) ||
                     copy_into(f, data, file, t, err)
                 ? -1
                 : 0;
    fputs("\nunset multiplot\nunset output\n", f);
    if (fclose(f) && !rc)
        rc = rl_fail(err, RL_EIO, w->dir, 0, "cannot write");
    return rc;
}

/* In the child: gnuplot in the folder, what it says into a file there. */
static void become_gnuplot(const struct work *w)
{
    if (chdir(w->dir) || !freopen("messages", "w", stderr))
        _exit(126);
    setenv("LC_ALL", "C.UTF-8", 1);
    execl(w->gnuplot, "gnuplot", "plot.gp", (char *)NULL);
    _exit(127);
}

static int run_gnuplot(const struct work *w, const char *name, struct rl_error *err)
{
    int status = 0;
    size_t len;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become_gnuplot(w);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return rl_fail(err, RL_EIO, NULL, 0, "cannot run %s: %s", w->gnuplot,
                       strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/messages", w->dir);
    char *text = rl_read_file(path, 1 << 20, &len, NULL);
    rl_fail(err, RL_EIO, name, 0, "gnuplot failed: %.900s", text ? text : "");
    free(text);
    return -1;
}

/* Moves DIR/base to its place. */
static int move(const struct work *w, const char *base, const char *to,
                struct rl_error *err)
{
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", w->dir, base);
    if (rename(path, to))
        return rl_fail(err, RL_EIO, to, 0, "cannot write: %s", strerror(errno));
    return 0;
}

static int deliver(const struct work *w, const char *out, const char *base, bool tex,
                   struct rl_error *err)
{
    char pdf[PATH_MAX], pdf_base[PATH_MAX];

    if (tex) { /* the picture that the .tex includes goes first */
        snprintf(pdf, sizeof pdf, "%.*s.pdf", (int)strlen(out) - 4, out);
        snprintf(pdf_base, sizeof pdf_base, "%.*s.pdf", (int)strlen(base) - 4, base);
        if (move(w, pdf_base, pdf, err))
            return -1;
    }
    return move(w, base, out, err);
}

static void clean(const struct work *w, const char *base)
{
    const char *name[] = {"data.csv", "plot.gp", "messages", base};
    char path[PATH_MAX + 300];

    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        snprintf(path, sizeof path, "%s/%s", w->dir, name[i]);
        unlink(path);
    }
    if (strlen(base) > 4) {
        snprintf(path, sizeof path, "%s/%.*s.pdf", w->dir, (int)strlen(base) - 4, base);
        unlink(path);
    }
    rmdir(w->dir);
}

static int open_work(struct work *w, const char *out, struct rl_error *err)
{
    const char *slash = out ? strrchr(out, '/') : NULL, *tmp = getenv("TMPDIR");

    if (find_gnuplot(w->gnuplot, sizeof w->gnuplot, err))
        return -1;
    if (!out)
        snprintf(w->dir, sizeof w->dir, "%s/rooflint-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    else
        snprintf(w->dir, sizeof w->dir, "%.*s.rooflint-XXXXXX",
                 slash ? (int)(slash - out) + 1 : 0, out);
    if (!mkdtemp(w->dir))
        return rl_fail(err, RL_EIO, out, 0, "cannot write there: %s", strerror(errno));
    return 0;
}

int rl_plot_draw(const struct rl_plot_look *look, const char *data, const char *csv,
                 struct rl_error *err)
{
    struct work w;
    const char *word =
        look->out ? format_of(look->out, err) : rl_plot_screen(look->show, err);
    const char *base = look->out, *source = look->from ? look->from : "data.csv";
    struct rl_table *t = word ? rl_table_parse(source, csv, strlen(csv), err) : NULL;

    if (!t || open_work(&w, look->out, err)) {
        rl_table_free(t);
        return -1;
    }
    if (base && strrchr(base, '/'))
        base = strrchr(base, '/') + 1;
    base = base ? base : "";
    int rc =
        t->nrows ? 0 : rl_fail(err, RL_EFORMAT, source, 0, "no rows: nothing to draw");
    if (!rc)
        rc = put_data(&w, csv, err) || put_script(&w, look, word, t, base, data, err) ||
                     run_gnuplot(&w, look->name, err)
                 ? -1
                 : 0;
    if (!rc && look->out)
        rc = deliver(&w, look->out, base, !strcmp(word, "tex"), err);
    clean(&w, base);
    rl_table_free(t);
    return rc;
}
