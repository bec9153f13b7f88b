/* `rooflint plot`: a plot is a gnuplot script plots/NAME.gp and a maker of its
 * numbers.  A maker writes a CSV with a header; columns that the command knows
 * whatever the plot:
 *
 *   series  one line, colour and legend entry each (no blanks)
 *   kind    transformer, ssm, hybrid, linear, encoder: the series' colour
 *   panel   one small plot each
 *   ctx     prompt tokens: the axis gets its ticks from the smallest and largest
 */
#ifndef RL_PLOT_H
#define RL_PLOT_H

#include "session.h"

#include <stdio.h>

struct rl_plot_job {
    const struct rl_command *command;
    const struct rl_args *args; /* its `data` is the folder in force */
    FILE *csv;
    long rows;  /* written so far */
    bool begun; /* a row, its line not ended yet */
};

struct rl_plot_maker {
    const char *name;
    int (*make)(struct rl_plot_job *j, struct rl_error *err);
};
extern const struct rl_plot_maker rl_plot_makers[]; /* ends with name NULL */

int rl_plot_latency(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_memory(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_breakdown(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_roofline(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_crossover(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_validation(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_pareto(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_concurrency(struct rl_plot_job *j, struct rl_error *err);
int rl_plot_ceilings(struct rl_plot_job *j, struct rl_error *err);

const char *rl_plot_arg(const struct rl_plot_job *j, const char *option);

/* What a model is, by what its layers run: the colour of its family. */
const char *rl_plot_kind(const struct rl_model *m);

/* One model on one device. */
struct rl_plot_side {
    struct rl_session s;
    struct rl_query q;
    char label[160]; /* the series: what tells it from the others */
    const char *kind;
};
struct rl_plot_sides {
    struct rl_plot_side *at;
    int n;
};
/* --hw x --model, device slowest; --runtime: one name, or one for each model. */
int rl_plot_sides_open(struct rl_plot_job *j, struct rl_plot_sides *s,
                       struct rl_error *err);
void rl_plot_sides_close(struct rl_plot_sides *s);
/* --ctx (or --batch …) as a list; fallback in the same notation. */
int rl_plot_values(struct rl_plot_job *j, const char *option, const char *fallback,
                   double **out, int *n, struct rl_error *err);

/* One cell, and the comma before it unless it is the first; not finite: empty. */
void rl_plot_num(struct rl_plot_job *j, double v);
void rl_plot_text(struct rl_plot_job *j, const char *s);
void rl_plot_end(struct rl_plot_job *j);

/* Measured points of --measured: rows of the metric that belong to the side. */
struct rl_run;
struct rl_plot_points {
    struct rl_run *row;
    size_t n;
    void *keep;
};
int rl_plot_points_read(struct rl_plot_job *j, struct rl_plot_points *p,
                        struct rl_error *err);
void rl_plot_points_clear(struct rl_plot_points *p);
bool rl_plot_point_of(const struct rl_run *r, const struct rl_plot_side *s,
                      const char *metric);

struct rl_plot_look {
    const char *name, *out, *title;
    const char *from; /* the CSV's file, for messages; NULL: just made */
    const char *show; /* without out: window, sixel, dumb, or NULL: what there is */
    bool page, grey;
};

/* plot_gnuplot.c: draws data (a CSV, whole) with plots/NAME.gp into `out`. */
int rl_plot_draw(const struct rl_plot_look *look, const char *data, const char *csv,
                 struct rl_error *err);

/* plot_look.c: the variables of the script; word: the format, base: the file. */
struct rl_table;
int rl_plot_put_look(FILE *f, const struct rl_plot_look *look, const char *word,
                     const struct rl_table *t, const char *base, struct rl_error *err);
/* How many different values a column has; above `most` an error, -1. */
int rl_plot_count(const struct rl_table *t, const char *column, int most,
                  struct rl_error *err);

/* plot_screen.c: window, sixel or dumb. */
const char *rl_plot_screen(const char *show, struct rl_error *err);

#endif
