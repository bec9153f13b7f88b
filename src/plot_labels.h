/* Names beside points: no name on another, on a point, or across a line that
 * leads to one. */
#ifndef RL_PLOT_LABELS_H
#define RL_PLOT_LABELS_H

#include <stdbool.h>

/* Lengths are cm of the plot's area, from its lower left corner. */
struct rl_label {
    double x, y;   /* the point */
    double width;  /* of the name */
    bool below;    /* rather left and below; it has a name, even across a line */
    double lx, ly; /* found: where the name begins, at half its height */
    double ex, ey; /* where the line from the point meets it */
    bool shown;    /* false: there was no room */
    bool far;      /* a line leads to it */
};

struct rl_segment {
    double x0, y0, x1, y1;
};

/* In order: the first ones have the choice.  Lines (a frontier) are crossed only by
 * names that must be there, where nothing else is left. */
void rl_labels_place(struct rl_label *l, int n, const struct rl_segment *line, int nlines,
                     double area_width, double area_height);

#endif
