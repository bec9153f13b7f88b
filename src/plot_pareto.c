/* Plot `pareto`: devices (and models) by two figures of which less is better;
 * the frontier holds what nobody beats in both. */
#include "columns.h"
#include "err.h"
#include "path.h"
#include "plot.h"
#include "plot_labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct spot {
    const struct rl_plot_side *s;
    double x, y;   /* the figures */
    bool frontier; /* nobody is better in both */
    struct rl_label name;
};

static int by_x(const void *a, const void *b)
{
    const struct spot *p = a, *q = b;
    if (p->frontier != q->frontier) /* the frontier's names are set first */
        return p->frontier ? -1 : 1;
    return p->x < q->x ? -1 : p->x > q->x ? 1 : p->y < q->y ? -1 : p->y > q->y;
}

static void mark_frontier(struct spot *s, int n)
{
    for (int i = 0; i < n; i++) {
        s[i].frontier = true;
        for (int k = 0; k < n; k++)
            if (k != i && s[k].x <= s[i].x && s[k].y <= s[i].y &&
                (s[k].x < s[i].x || s[k].y < s[i].y))
                s[i].frontier = false;
    }
}

struct range {
    double lo, hi; /* logarithms, with a margin */
};

static struct range range_of(const struct spot *s, int n, bool of_y)
{
    struct range r = {INFINITY, -INFINITY};
    for (int i = 0; i < n; i++) {
        double v = log(of_y ? s[i].y : s[i].x);
        r.lo = fmin(r.lo, v);
        r.hi = fmax(r.hi, v);
    }
    double margin = r.hi > r.lo ? fmax(0.08 * (r.hi - r.lo), 0.1) : 1.2;
    r.lo -= margin;
    r.hi += margin;
    return r;
}

/* The plot's area, cm, as plots/pareto.gp draws it. */
struct area {
    double width, height;
    struct range x, y;
};

/* cm of a name in 6 pt DejaVu Sans, the widest of the usual fonts: letters of
 * three widths, rounded up. */
static double name_width(const char *name)
{
    double w = 0;

    for (; *name; name++)
        w += strchr("mwMW@", *name) ? 0.21 : strchr("ijl.-:rtf", *name) ? 0.09 : 0.136;
    return w;
}

static double along(double v, const struct range *r, double length)
{
    return (log(v) - r->lo) / (r->hi - r->lo) * length;
}

/* The steps between neighbours on the frontier, which comes first in s. */
static int steps(const struct spot *s, int n, struct rl_segment *out)
{
    int k = 0;

    for (int i = 1; i < n && s[i].frontier; i++) {
        const struct rl_label *a = &s[i - 1].name, *b = &s[i].name;
        out[k++] = (struct rl_segment){a->x, a->y, b->x, a->y};
        out[k++] = (struct rl_segment){b->x, a->y, b->x, b->y};
    }
    return k;
}

static int lay_out(struct spot *s, int n, struct area *a, struct rl_error *err)
{
    struct rl_segment *line = rl_alloc(2 * (size_t)n + 1, sizeof *line, err);
    struct rl_label *name = rl_alloc((size_t)n + 1, sizeof *name, err);

    if (line && name) {
        a->x = range_of(s, n, false);
        a->y = range_of(s, n, true);
        mark_frontier(s, n);
        qsort(s, (size_t)n, sizeof *s, by_x);
        for (int i = 0; i < n; i++)
            name[i] = s[i].name = (struct rl_label){.x = along(s[i].x, &a->x, a->width),
                                                    .y = along(s[i].y, &a->y, a->height),
                                                    .width = name_width(s[i].s->label),
                                                    .below = s[i].frontier};
        rl_labels_place(name, n, line, steps(s, n, line), a->width, a->height);
        for (int i = 0; i < n; i++)
            s[i].name = name[i];
    }
    int rc = line && name ? 0 : -1;
    free(line);
    free(name);
    return rc;
}

static int axis(struct rl_plot_job *j, const char *option, const char *fallback, int *out,
                struct rl_error *err)
{
    const char *name = rl_plot_arg(j, option);
    *out = rl_column_find(name ? name : fallback);
    if (*out < 0) {
        const char *known[RL_NCOLUMNS];
        char near[200];
        for (int i = 0; i < RL_NCOLUMNS; i++)
            known[i] = rl_column_name(i);
        return rl_fail(
            err, RL_ENAME, NULL, 0, "--%s: no column '%s': did you mean %s?", option,
            name,
            rl_nearest(name, (char *const *)known, RL_NCOLUMNS, 3, near, sizeof near));
    }
    return 0;
}

/* Devices where the model fits and both figures are known. */
static int spots(const struct rl_plot_sides *s, double ctx, int x, int y,
                 struct spot *out)
{
    struct rl_cell row[RL_NCOLUMNS];
    struct rl_prediction p;
    int n = 0;

    for (int i = 0; i < s->n; i++) {
        struct rl_query q = s->at[i].q;
        q.ctx = ctx;
        if (rl_predict(s->at[i].s.plan, &q, &p, NULL) || !p.fits)
            continue;
        rl_row_fill(row, s->at[i].s.plan, &q, &p);
        if (row[x].num > 0 && row[y].num > 0 && isfinite(row[x].num) &&
            isfinite(row[y].num))
            out[n++] = (struct spot){.s = &s->at[i], .x = row[x].num, .y = row[y].num};
    }
    return n;
}

/* A length of the area as the figure it stands for. */
static void put_at(struct rl_plot_job *j, double cm, double length, const struct range *r)
{
    rl_plot_num(j, exp(r->lo + cm / length * (r->hi - r->lo)));
}

static void write_spots(struct rl_plot_job *j, const struct spot *s, int n, int x, int y,
                        double ctx, const struct area *a)
{
    fputs("name,kind,ctx,x_column,y_column,x,y,frontier,label_x,label_y,label,far,lead_x,"
          "lead_y,x_lo,x_hi,y_lo,y_hi\n",
          j->csv);
    for (int i = 0; i < n; i++) {
        const struct rl_label *l = &s[i].name;
        rl_plot_text(j, s[i].s->label);
        rl_plot_text(j, s[i].s->kind);
        rl_plot_num(j, ctx);
        rl_plot_text(j, rl_column_name(x));
        rl_plot_text(j, rl_column_name(y));
        rl_plot_num(j, s[i].x);
        rl_plot_num(j, s[i].y);
        rl_plot_num(j, s[i].frontier);
        put_at(j, l->lx, a->width, &a->x);
        put_at(j, l->ly, a->height, &a->y);
        rl_plot_text(j, l->shown ? s[i].s->label : "");
        rl_plot_num(j, l->shown && l->far);
        put_at(j, l->ex, a->width, &a->x);
        put_at(j, l->ey, a->height, &a->y);
        rl_plot_num(j, exp(a->x.lo));
        rl_plot_num(j, exp(a->x.hi));
        rl_plot_num(j, exp(a->y.lo));
        rl_plot_num(j, exp(a->y.hi));
        rl_plot_end(j);
    }
}

int rl_plot_pareto(struct rl_plot_job *j, struct rl_error *err)
{
    const char *width = rl_plot_arg(j, "width");
    struct rl_plot_sides s = {0};
    struct spot *at = NULL;
    double *ctx = NULL;
    int x, y, n = 0, rc = -1;

    if (!axis(j, "x", "tpot_s", &x, err) && !axis(j, "y", "price_usd", &y, err) &&
        !rl_plot_values(j, "ctx", "8k", &ctx, &n, err) &&
        !rl_plot_sides_open(j, &s, err) &&
        (at = rl_alloc((size_t)s.n, sizeof *at, err)) != NULL) {
        bool page = width && !strcmp(width, "page");
        struct area a = {.width = page ? 16.07 : 6.77, .height = page ? 8.0 : 6.4};
        int k = spots(&s, ctx[0], x, y, at);
        rc = lay_out(at, k, &a, err);
        if (!rc)
            write_spots(j, at, k, x, y, ctx[0], &a);
    }
    free(at);
    rl_plot_sides_close(&s);
    free(ctx);
    return rc;
}
