/* What a plot's script is told about its numbers: the series with their colours,
 * dashes and points, the panels, the ticks of axes in tokens. */
#include "err.h"
#include "plot.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAXSERIES = 24, MAXPANELS = 12 };

/* series: their names, families, colours */

/* Okabe and Ito's colours, which the colour-blind tell apart: the first two of
 * a family differ in lightness too, dashes tell the families apart in grey. */
static const struct {
    const char *kind, *colour[4];
    int dash, point;
} family[] = {
    {"transformer", {"#0072B2", "#56B4E9", "#00304F", "#7F9FC6"}, 1, 7},
    {"ssm", {"#D55E00", "#E69F00", "#7A2E00", "#E08B5A"}, 2, 9},
    {"hybrid", {"#009E73", "#5FC9A8", "#004D38", "#86A94F"}, 4, 5},
    {"linear", {"#CC79A7", "#E2A6C8", "#7D2C5A", "#A58CC0"}, 3, 13},
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
        if (i < out->n || !*name) /* there, or of no series */
            continue;
        if (out->n == most)
            return rl_fail(err, RL_EVALUE, NULL, 0,
                           "a picture shows at most %d different values of '%s': choose "
                           "some, or keep the numbers with --data FILE.csv",
                           most, column);
        out->at[out->n] = name;
        out->kind[out->n++] = kind >= 0 ? rl_table_get(t, r, kind) : "";
    }
    return 0;
}

int rl_plot_count(const struct rl_table *t, const char *column, int most,
                  struct rl_error *err)
{
    struct list l;
    return distinct(t, column, most, &l, err) ? -1 : l.n;
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

/* shown: as the picture writes them, not as the numbers have them. */
static void put_list(FILE *f, const char *name, const struct list *l, bool tex,
                     bool shown)
{
    char text[400];

    fprintf(f, "array %s[%d]\n", name, l->n ? l->n : 1);
    for (int i = 0; i < l->n; i++) {
        snprintf(text, sizeof text, "%s", l->at[i]);
        for (char *p = text; shown && (p = strchr(p, '\'')); p++)
            *p = '_'; /* names stand in single quotes in the legend */
        fprintf(f, "%s[%d] = ", name, i + 1);
        put_string(f, text, tex);
        putc('\n', f);
    }
}

/* gnuplot has five dashes: the shade comes back after four series, then the dash
 * is another one; twenty of a family stay apart. */
static int dash_of(int first, int nth)
{
    return 1 + (first - 1 + nth + 2 * (nth / 4)) % 5;
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
                k < NFAMILIES ? dash_of(family[k].dash, nth) : i + 1, i + 1,
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

int rl_plot_put_look(FILE *f, const struct rl_plot_look *look, const char *word,
                     const struct rl_table *t, const char *base, struct rl_error *err)
{
    bool tex = !strcmp(word, "tex") || !strcmp(word, "tikz");
    struct list series, panels;
    const char *columns = getenv("COLUMNS"), *lines = getenv("LINES");
    int w = columns ? atoi(columns) : 0, h = lines ? atoi(lines) : 0;

    if (distinct(t, "series", MAXSERIES, &series, err) ||
        distinct(t, "panel", MAXPANELS, &panels, err))
        return -1;
    fprintf(f, "FORMAT = \"%s\"\nPAGE = %d\nTEX = %d\nGREY = %d\nROWS = %d\n", word,
            look->page, tex, look->grey, t->nrows);
    fprintf(f, "TERM_W = %d\nTERM_H = %d\n", w >= 40 && w <= 1000 ? w : 79,
            h >= 20 && h <= 1000 ? h - 1 : 24);
    fputs("OUT = ", f);
    put_string(f, base, false);
    fputs("\nDATA = \"data.csv\"\nTITLE = ", f);
    put_string(f, look->title ? look->title : "", tex);
    fprintf(f, "\nMEASURED = %d\n", has_type(t, "measured"));
    put_list(f, "SERIES", &series, false, false);
    put_list(f, "NAMES", &series, tex, true);
    put_styles(f, &series, look->grey);
    fprintf(f, "NP = %d\n", panels.n);
    put_list(f, "PANELS", &panels, false, false);
    put_list(f, "PANEL_NAMES", &panels, tex, true);
    put_range(f, t, "ctx", "CTX");
    put_range(f, t, "batch", "BATCH");
    return 0;
}
