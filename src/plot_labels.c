/* Places names beside points, greedily: each takes the cheapest of the places
 * around its point, on rings of growing distance.  A place that leaves the area
 * or covers a point, a name or a leading line is none; one that crosses a line
 * of the picture, or lies far off, costs.  Seven hundred places a name: no
 * search for the best of all arrangements. */
#include "plot_labels.h"

#include <math.h>

struct box {
    double x0, y0, x1, y1;
};

/* cm: a line of 6 pt text, the radius of a point, the gap between the two */
static const double HEIGHT = 0.25, RADIUS = 0.07, GAP = 0.1;

static bool overlap(const struct box *a, const struct box *b)
{
    return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

/* Does the segment pass through the box?  Clips it side by side. */
static bool passes(const struct rl_segment *s, const struct box *b)
{
    double dx = s->x1 - s->x0, dy = s->y1 - s->y0, from = 0, to = 1;
    const double p[] = {-dx, dx, -dy, dy};
    const double q[] = {s->x0 - b->x0, b->x1 - s->x0, s->y0 - b->y0, b->y1 - s->y0};

    for (int i = 0; i < 4; i++) {
        if (p[i] == 0) {
            if (q[i] < 0)
                return false;
        } else if (p[i] < 0) {
            from = fmax(from, q[i] / p[i]);
        } else {
            to = fmin(to, q[i] / p[i]);
        }
    }
    return from < to;
}

/* On which side of a line a point lies. */
static double side(const struct rl_segment *s, double x, double y)
{
    return (s->x1 - s->x0) * (y - s->y0) - (s->y1 - s->y0) * (x - s->x0);
}

static bool cross(const struct rl_segment *a, const struct rl_segment *b)
{
    return side(a, b->x0, b->y0) * side(a, b->x1, b->y1) < 0 &&
           side(b, a->x0, a->y0) * side(b, a->x1, a->y1) < 0;
}

static struct box box_of(const struct rl_label *l)
{
    return (struct box){l->lx, l->ly - HEIGHT / 2, l->lx + l->width, l->ly + HEIGHT / 2};
}

static struct box point_of(const struct rl_label *l, double r)
{
    return (struct box){l->x - r, l->y - r, l->x + r, l->y + r};
}

static struct rl_segment leader(const struct rl_label *l)
{
    return (struct rl_segment){l->x, l->y, l->ex, l->ey};
}

/* Beside label i's proposed place: points, names, leading lines of the others. */
static bool blocked(const struct rl_label *l, int n, int i)
{
    struct box mine = box_of(&l[i]);
    struct rl_segment lead = leader(&l[i]);

    for (int k = 0; k < n; k++) {
        /* a name close to another's point would be taken for its name */
        struct box point = point_of(&l[k], k == i ? RADIUS : RADIUS + GAP / 2);
        struct box dot = point_of(&l[k], RADIUS);
        if (overlap(&mine, &point) || (k != i && l[i].far && passes(&lead, &dot)))
            return true;
        if (k >= i || !l[k].shown)
            continue;
        struct box other = box_of(&l[k]);
        struct rl_segment its = leader(&l[k]);
        if (overlap(&mine, &other) || (l[i].far && passes(&lead, &other)) ||
            (l[k].far && passes(&its, &mine)) ||
            (l[i].far && l[k].far && cross(&lead, &its)))
            return true;
    }
    return false;
}

/* Where the name lies when its nearest edge is `away` from the point. */
static void propose(struct rl_label *l, double angle, double away)
{
    double c = cos(angle), s = sin(angle);
    /* sideways the name's end, above and below rather its middle, is next to it */
    double slide = fabs(c) > 0.3 ? (c > 0 ? 0 : -l->width) : -l->width * (0.5 - c / 0.6);

    l->lx = l->x + away * c + slide;
    l->ly = l->y + (away + HEIGHT / 2 * fabs(s)) * s;
    l->ex = fmin(fmax(l->x, l->lx), l->lx + l->width);
    l->ey = s > 0.3 ? l->ly - HEIGHT / 2 : s < -0.3 ? l->ly + HEIGHT / 2 : l->ly;
    l->far = away > 0.35;
}

/* A name on a line of the picture is for those that must have one (`below`). */
static const double ON_LINE = 10;

static double cost(const struct rl_label *l, double angle, double away,
                   const struct rl_segment *line, int nlines)
{
    struct box mine = box_of(l);
    struct rl_segment lead = leader(l);
    double c = away + 0.02 * fabs(sin(2 * angle)); /* straight beside is calmest */

    for (int i = 0; i < nlines; i++)
        c += passes(&line[i], &mine)            ? ON_LINE
             : l->far && cross(&lead, &line[i]) ? 0.4
                                                : 0;
    if (l->below && (cos(angle) > 0.1 || sin(angle) > 0.1))
        c += 0.2;
    return c;
}

enum { DIRECTIONS = 32, RINGS = 22 };

static void place(struct rl_label *l, int n, int i, const struct rl_segment *line,
                  int nlines, double width, double height)
{
    struct rl_label best = l[i];
    double least = INFINITY;

    for (int ring = 0; ring < RINGS; ring++)
        for (int d = 0; d < DIRECTIONS; d++) {
            double angle = 2 * acos(-1.0) * d / DIRECTIONS;
            double away = RADIUS + GAP + 0.07 * ring;
            propose(&l[i], angle, away);
            struct box b = box_of(&l[i]);
            double c = cost(&l[i], angle, away, line, nlines);
            if (c >= least || (c >= ON_LINE && !l[i].below) || b.x0 < 0 || b.x1 > width ||
                b.y0 < 0 || b.y1 > height || blocked(l, n, i))
                continue;
            least = c;
            best = l[i];
            best.shown = true;
        }
    l[i] = best;
}

void rl_labels_place(struct rl_label *l, int n, const struct rl_segment *line, int nlines,
                     double area_width, double area_height)
{
    for (int i = 0; i < n; i++)
        l[i].shown = l[i].far = false;
    for (int i = 0; i < n; i++)
        place(l, n, i, line, nlines, area_width, area_height);
}
