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

enum { MAXSERIES = 24, MAXPANELS = 12 };

int rl_plot_find_gnuplot(char *buf, size_t size, struct rl_error *err)
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

/* terminals */

static const struct {
    const char *ending, *word;
} format[] = {
    {".svg", "svg"}, {".pdf", "pdf"}, {".png", "png"}, {".tex", "tex"}, {NULL, NULL}};

static const char *format_of(const char *out, struct rl_error *err)
{
    size_t n = out ? strlen(out) : 0;

    if (!out)
        return "dumb";
    for (int i = 0; format[i].ending; i++)
        if (n > 4 && !strcmp(out + n - 4, format[i].ending))
            return format[i].word;
    rl_fail(err, RL_EVALUE, NULL, 0,
            "--out: expected a name in .svg, .pdf, .png or .tex, "
            "got '%s'",
            out);
    return NULL;
}

/* series: their names, families, colours */

/* Okabe and Ito's colours, which the colour-blind tell apart: the first two of
 * a family differ in lightness too, dashes tell the families apart in grey. */
static const struct {
    const char *kind, *colour[4];
    int dash, point;
} family[] = {
    {"transformer", {"#0072B2", "#56B4E9", "#00476F", "#9BCFEF"}, 1, 7},
    {"ssm", {"#D55E00", "#E69F00", "#8A3D00", "#F2C36B"}, 2, 9},
    {"hybrid", {"#009E73", "#66C5AB", "#005F45", "#A3DCCB"}, 4, 5},
    {"linear", {"#CC79A7", "#E2B1CC", "#8C3F6A", "#F0D6E4"}, 3, 13},
    {"encoder", {"#000000", "#777777", "#444444", "#AAAAAA"}, 5, 11},
};
enum { NFAMILIES = sizeof family / sizeof *family };

/* Series without a family: one colour after the other. */
static const char *const wheel[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                    "#E69F00", "#56B4E9", "#000000", "#777777"};
static const int wheel_point[] = {7, 9, 5, 13, 11, 6, 8, 4};

struct list {
    const char *at[MAXSERIES + 1];
    const char *kind[MAXSERIES + 1];
    int n;
};

static int distinct(const struct rl_table *t, const char *column, int most,
                    struct list *out, struct rl_error *err)
{
    int col = rl_table_col(t, column), kind = rl_table_col(t, "kind"),
        type = rl_table_col(t, "type");

    out->n = 0;
    for (int r = 0; col >= 0 && r < t->nrows; r++) {
        const char *name = rl_table_get(t, r, col);
        int i = 0;
        if (type >= 0 && (!strcmp(rl_table_get(t, r, type), "cross") ||
                          !strcmp(rl_table_get(t, r, type), "all")))
            continue; /* of two series, of all of them */
        while (i < out->n && strcmp(out->at[i], name))
            i++;
        if (i < out->n)
            continue;
        if (out->n == most)
            return rl_fail(err, RL_EVALUE, NULL, 0,
                           "more than %d different '%s' are more than a picture shows: "
                           "choose some",
                           most, column);
        out->at[out->n] = name;
        out->kind[out->n++] = kind >= 0 ? rl_table_get(t, r, kind) : "";
    }
    return 0;
}

static int family_of(const char *kind)
{
    int i = 0;
    while (i < NFAMILIES && strcmp(family[i].kind, kind))
        i++;
    return i;
}

static unsigned grey_of(const char *colour)
{
    unsigned rgb = (unsigned)strtoul(colour + 1, NULL, 16);
    double y = 0.299 * (rgb >> 16) + 0.587 * (rgb >> 8 & 255) + 0.114 * (rgb & 255);
    unsigned g = (unsigned)(y + 0.5);
    return g << 16 | g << 8 | g;
}

static void put_colour(FILE *f, const char *colour, bool grey)
{
    if (grey)
        fprintf(f, "#%06X", grey_of(colour));
    else
        fputs(colour, f);
}

/* A gnuplot string; in LaTeX some characters must be escaped. */
static void put_string(FILE *f, const char *s, bool tex)
{
    putc('"', f);
    for (; *s; s++) {
        if (tex && strchr("_%&#$", *s))
            fputs("\\\\", f);
        else if (strchr("\"\\`", *s)) {
            putc('_', f);
            continue;
        }
        putc((unsigned char)*s < 32 ? ' ' : *s, f);
    }
    putc('"', f);
}

static void put_list(FILE *f, const char *name, const struct list *l, bool tex)
{
    fprintf(f, "array %s[%d]\n", name, l->n ? l->n : 1);
    for (int i = 0; i < l->n; i++) {
        fprintf(f, "%s[%d] = ", name, i + 1);
        put_string(f, l->at[i], tex);
        putc('\n', f);
    }
}

static void put_styles(FILE *f, const struct list *l, bool grey)
{
    int seen[NFAMILIES + 1] = {0};

    fprintf(f, "NS = %d\narray COLOR[%d]\narray DASH[%d]\narray POINT[%d]\n", l->n,
            l->n + 1, l->n + 1, l->n + 1);
    for (int i = 0; i < l->n; i++) {
        int k = family_of(l->kind[i]), nth = seen[k]++;
        const char *c = k < NFAMILIES ? family[k].colour[nth % 4] : wheel[i % 8];
        fprintf(f, "COLOR[%d] = \"", i + 1);
        put_colour(f, c, grey);
        /* the second of a family: the next dash, the open point */
        fprintf(f, "\"; DASH[%d] = %d; POINT[%d] = %d\n", i + 1,
                k < NFAMILIES ? (family[k].dash + 4 * (nth % 4)) : i + 1, i + 1,
                k < NFAMILIES ? family[k].point - nth % 2 : wheel_point[i % 8]);
    }
}

/* axes in tokens */

static void token_label(FILE *f, double v)
{
    if (v >= 1048576)
        fprintf(f, "\"%gM\" %.0f", v / 1048576, v);
    else if (v >= 1024)
        fprintf(f, "\"%gk\" %.0f", v / 1024, v);
    else
        fprintf(f, "\"%g\" %.0f", v, v);
}

/* Every 1st, 2nd or 5th power of two counted from 1k, so that 1k, 32k and 1M
 * stay; for a panel of so many labels at most. */
static void put_ticks(FILE *f, const char *name, double lo, double hi, int most)
{
    static const int steps[] = {1, 2, 5, 10};
    int a = (int)ceil(log2(lo) - 1e-6), b = (int)floor(log2(hi) + 1e-6), step = 10;

    for (int i = 3; i >= 0; i--)
        if ((b - a) / steps[i] + 1 <= most)
            step = steps[i];
    fprintf(f, "%s = 'set %%s (", name);
    const char *sep = "";
    for (int e = a; e <= b; e++) {
        bool labelled = (e - 10) % step == 0;
        fputs(sep, f);
        sep = ", ";
        if (labelled)
            token_label(f, exp2(e));
        else
            fprintf(f, "\"\" %.0f 1", exp2(e));
    }
    if (a > b) /* a range within one octave: its ends */
        token_label(f, lo);
    fputs(")'\n", f);
}

static void put_range(FILE *f, const struct rl_table *t, const char *column,
                      const char *prefix)
{
    int col = rl_table_col(t, column);
    double lo = INFINITY, hi = -INFINITY, v;

    for (int r = 0; col >= 0 && r < t->nrows; r++)
        if (!rl_table_num(t, r, col, NAN, &v, NULL) && v > 0) {
            lo = fmin(lo, v);
            hi = fmax(hi, v);
        }
    if (!(lo <= hi))
        lo = hi = 1;
    fprintf(f, "%s_MIN = %.10g\n%s_MAX = %.10g\n", prefix, lo, prefix, hi);
    char name[32];
    snprintf(name, sizeof name, "%s_TICKS", prefix);
    put_ticks(f, name, lo, hi, 7);
    snprintf(name, sizeof name, "%s_TICKS_FEW", prefix);
    put_ticks(f, name, lo, hi, 4);
}

static int has_type(const struct rl_table *t, const char *type)
{
    int col = rl_table_col(t, "type");
    for (int r = 0; col >= 0 && r < t->nrows; r++)
        if (!strcmp(rl_table_get(t, r, col), type))
            return 1;
    return 0;
}

static int put_variables(FILE *f, const struct rl_plot_look *look, const char *word,
                         const struct rl_table *t, const char *base, struct rl_error *err)
{
    bool tex = !strcmp(word, "tex");
    struct list series, panels;
    const char *columns = getenv("COLUMNS"), *lines = getenv("LINES");
    int w = columns ? atoi(columns) : 0, h = lines ? atoi(lines) : 0;

    if (distinct(t, "series", MAXSERIES, &series, err) ||
        distinct(t, "panel", MAXPANELS, &panels, err))
        return -1;
    fprintf(f, "FORMAT = \"%s\"\nPAGE = %d\nTEX = %d\nDUMB = %d\nGREY = %d\nROWS = %d\n",
            word, look->page, tex, !strcmp(word, "dumb"), look->grey, t->nrows);
    fprintf(f, "TERM_W = %d\nTERM_H = %d\n", w >= 40 && w <= 1000 ? w : 79,
            h >= 20 && h <= 1000 ? h - 1 : 24);
    fputs("OUT = ", f);
    put_string(f, base, false);
    fputs("\nDATA = \"data.csv\"\nTITLE = ", f);
    put_string(f, look->title ? look->title : "", tex);
    fprintf(f, "\nMEASURED = %d\n", has_type(t, "measured"));
    put_list(f, "SERIES", &series, false);
    put_list(f, "NAMES", &series, tex);
    put_styles(f, &series, look->grey);
    fprintf(f, "NP = %d\n", panels.n);
    put_list(f, "PANELS", &panels, false);
    put_list(f, "PANEL_NAMES", &panels, tex);
    put_range(f, t, "ctx", "CTX");
    put_range(f, t, "batch", "BATCH");
    return 0;
}

/* the run */

struct work {
    char dir[PATH_MAX]; /* of the temporary files */
    char gnuplot[PATH_MAX];
};

/* Every column that the script's line "# needs:" names. */
static int check_columns(const char *script, const struct rl_table *t,
                         struct rl_error *err)
{
    const char *at = strstr(script, "# needs:");
    char name[64];
    int used, col;

    for (at = at ? at + 8 : "\n"; *at == ' '; at += used) {
        used = 0;
        if (sscanf(at, " %63[a-z_0-9]%n", name, &used) != 1 || !used)
            break;
        if (rl_table_need(t, name, &col, err))
            return -1;
    }
    return 0;
}

static int copy_into(FILE *f, const char *data, const char *file,
                     const struct rl_table *t, struct rl_error *err)
{
    char *path = rl_path_join(data, "plots", file, NULL);
    size_t len;
    char *text = path ? rl_read_file(path, 1 << 20, &len, err) : NULL;

    int rc = text ? check_columns(text, t, err) : -1;

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

static int put_file(const struct work *w, const char *name, const char *text,
                    struct rl_error *err)
{
    FILE *f = create(w, name, err);
    if (!f)
        return -1;
    fputs(text, f);
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
    int rc = put_variables(f, look, word, t, base, err) ||
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

    if (rl_plot_find_gnuplot(w->gnuplot, sizeof w->gnuplot, err))
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
    const char *word = format_of(look->out, err), *base = look->out;
    struct rl_table *t = word ? rl_table_parse("data.csv", csv, strlen(csv), err) : NULL;

    if (!t || open_work(&w, look->out, err)) {
        rl_table_free(t);
        return -1;
    }
    if (base && strrchr(base, '/'))
        base = strrchr(base, '/') + 1;
    base = base ? base : "";
    int rc = t->nrows
                 ? 0
                 : rl_fail(err, RL_EFORMAT, "data.csv", 0, "no rows: nothing to draw");
    if (!rc)
        rc = put_file(&w, "data.csv", csv, err) ||
                     put_script(&w, look, word, t, base, data, err) ||
                     run_gnuplot(&w, look->name, err)
                 ? -1
                 : 0;
    if (!rc && look->out)
        rc = deliver(&w, look->out, base, !strcmp(word, "tex"), err);
    clean(&w, base);
    rl_table_free(t);
    return rc;
}
