/* Plot `pareto`: devices (and models) by two figures of which less is better;
 * the frontier holds what nobody beats in both.  Names are placed so that they
 * neither cover each other nor a point, as far as there is room. */
#include "columns.h"
#include "err.h"
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct spot {
    const struct rl_plot_side *s;
    double x, y;     /* the figures */
    double u, v;     /* 0 … 1 on the plot's logarithmic axes */
    bool frontier;   /* nobody is better in both */
    double lu, lv;   /* where the name begins, at half its height; same units */
    double eu;       /* where the line from the point meets it */
    bool shown, far; /* has a name; a line leads to it */
};

struct box {
    double u0, v0, u1, v1;
};

/* Of the plot's area: a letter's width and a line's height, measured on the
 * pictures; the names are short of 24 letters. */
struct scale {
    double letter, line;
};

static bool overlap(const struct box *a, const struct box *b)
{
    return a->u0 < b->u1 && b->u0 < a->u1 && a->v0 < b->v1 && b->v0 < a->v1;
}

static struct box name_box(const struct spot *s, double u, double v,
                           const struct scale *k)
{
    double w = k->letter * (double)strlen(s->s->label);
    return (struct box){u, v - k->line / 2, u + w, v + k->line / 2};
}

/* Does a box leave the plot, cover a point, or a name set before? */
static bool blocked(const struct spot *all, int n, int placed, const struct box *b,
                    const struct scale *k)
{
    double r = k->line / 4;

    if (b->u0 < 0 || b->u1 > 1 || b->v0 < 0 || b->v1 > 1)
        return true;
    for (int i = 0; i < n; i++) {
        /* a name beside another's point would be taken for its name */
        double rx = i == placed ? r / 2 : 1.4 * k->letter;
        struct box point = {all[i].u - rx, all[i].v - r, all[i].u + rx, all[i].v + r};
        if (overlap(b, &point))
            return true;
    }
    for (int i = 0; i < placed; i++) {
        struct box other = name_box(&all[i], all[i].lu, all[i].lv, k);
        if (all[i].shown && overlap(b, &other))
            return true;
    }
    return false;
}

/* Right, left, above, below and the corners, then farther out. */
static void place(struct spot *all, int n, int i, const struct scale *k)
{
    double w = k->letter * (double)strlen(all[i].s->label);
    const double du[] = {
        k->letter,          -w - k->letter,     k->letter / 2, k->letter / 2,
        -w - k->letter / 2, -w - k->letter / 2, -w / 2,        -w / 2};
    const double dv[] = {0, 0, 0.7, -0.7, 0.7, -0.7, 0.9, -0.9};

    /* below the frontier nothing stands */
    static const int first[] = {5, 1, 3, 0, 2, 4, 6, 7};

    for (int ring = 0; ring < 4; ring++)
        for (size_t k8 = 0; k8 < 8; k8++) {
            int c = all[i].frontier ? first[k8] : (int)k8;
            double u = all[i].u + du[c];
            double v = all[i].v + dv[c] * k->line * (1 + 0.8 * ring);
            struct box b = name_box(&all[i], u, v, k);
            if (blocked(all, n, i, &b, k))
                continue;
            all[i].lu = u;
            all[i].lv = v;
            all[i].eu = u + w / 2 < all[i].u ? u + w : u;
            all[i].shown = true;
            all[i].far = ring > 0;
            return;
        }
    all[i].shown = false; /* no room: the point stands without a name */
}

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

static void lay_out(struct spot *s, int n, bool page, struct range *rx, struct range *ry)
{
    /* of a panel 7 x 4.9 cm or 16 x 7.4 cm, 6.5 pt names */
    struct scale k = page ? (struct scale){0.0084, 0.038} : (struct scale){0.0178, 0.057};

    *rx = range_of(s, n, false);
    *ry = range_of(s, n, true);
    mark_frontier(s, n);
    qsort(s, (size_t)n, sizeof *s, by_x);
    for (int i = 0; i < n; i++) {
        s[i].u = (log(s[i].x) - rx->lo) / (rx->hi - rx->lo);
        s[i].v = (log(s[i].y) - ry->lo) / (ry->hi - ry->lo);
    }
    for (int i = 0; i < n; i++)
        place(s, n, i, &k);
}

static int axis(struct rl_plot_job *j, const char *option, const char *fallback, int *out,
                struct rl_error *err)
{
    const char *name = rl_plot_arg(j, option);
    *out = rl_column_find(name ? name : fallback);
    if (*out < 0)
        return rl_fail(err, RL_ENAME, NULL, 0, "--%s: no column '%s'", option, name);
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

static void write_spots(struct rl_plot_job *j, const struct spot *s, int n, int x, int y,
                        double ctx, const struct range *rx, const struct range *ry)
{
    fputs("name,kind,ctx,x_column,y_column,x,y,frontier,label_x,label_y,label,far,lead_x,"
          "x_lo,"
          "x_hi,y_lo,y_hi\n",
          j->csv);
    for (int i = 0; i < n; i++) {
        rl_plot_text(j, s[i].s->label);
        rl_plot_text(j, s[i].s->kind);
        rl_plot_num(j, ctx);
        rl_plot_text(j, rl_column_name(x));
        rl_plot_text(j, rl_column_name(y));
        rl_plot_num(j, s[i].x);
        rl_plot_num(j, s[i].y);
        rl_plot_num(j, s[i].frontier);
        rl_plot_num(j, exp(rx->lo + s[i].lu * (rx->hi - rx->lo)));
        rl_plot_num(j, exp(ry->lo + s[i].lv * (ry->hi - ry->lo)));
        rl_plot_text(j, s[i].shown ? s[i].s->label : "");
        rl_plot_num(j, s[i].far);
        rl_plot_num(j, exp(rx->lo + s[i].eu * (rx->hi - rx->lo)));
        rl_plot_num(j, exp(rx->lo));
        rl_plot_num(j, exp(rx->hi));
        rl_plot_num(j, exp(ry->lo));
        rl_plot_num(j, exp(ry->hi));
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
        struct range rx, ry;
        int k = spots(&s, ctx[0], x, y, at);
        lay_out(at, k, width && !strcmp(width, "page"), &rx, &ry);
        write_spots(j, at, k, x, y, ctx[0], &rx, &ry);
        rc = 0;
    }
    free(at);
    rl_plot_sides_close(&s);
    free(ctx);
    return rc;
}
