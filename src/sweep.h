/* A sweep: its axes, and what its parts share. */
#ifndef RL_SWEEP_H
#define RL_SWEEP_H

#include "columns.h"
#include "command.h"
#include "condition.h"

/* The axes in row order; the last varies fastest. */
enum {
    A_HW,
    A_MODEL,
    A_RUNTIME,
    A_DTYPE,
    A_KV,
    A_TP,
    NPLAN,
    A_BATCH = NPLAN,
    A_OUT,
    A_CTX,
    NAXES
};

struct rl_axis {
    char **name; /* text axes; a NULL name is the default */
    double *num;
    int n;
};

struct rl_sweep {
    const struct rl_args *args;
    struct rl_axis axis[NAXES];
    long plans, inner; /* combinations of plan axes, and of the rest */
    long from, to;     /* rows of this shard, counted over all */
    bool header, json, conditional;
    struct rl_condition where;
    int best, per; /* columns; -1: none */
    enum rl_logits logits;
    double depth;
    struct rl_device **device; /* [axis A_HW] */
    struct rl_model **model;   /* [axis A_MODEL] */
    struct rl_kernel_db *db;
};

/* Predicts the rows and writes those to keep to f, or the best of them. */
int rl_sweep_rows(const struct rl_sweep *s, FILE *f, struct rl_error *err);

/* --best: rows kept as text, one for each value of --per. */
struct rl_winner {
    char *key, *text;
    double value;
    long row, first; /* of all rows: this one, and the first of the key */
};
struct rl_winners {
    struct rl_winner *at;
    size_t n, cap;
};
/* Rows may be offered in any order: of equal ones the first counts. */
int rl_sweep_offer(const struct rl_sweep *s, struct rl_winners *w, long row,
                   const struct rl_cell *cells, struct rl_error *err);
/* Moves the rows of `from` into w. */
int rl_sweep_merge(const struct rl_sweep *s, struct rl_winners *w,
                   struct rl_winners *from, struct rl_error *err);
/* Prints them in the order of their keys' first rows, and frees them. */
void rl_sweep_winners(struct rl_winners *w, FILE *f);

#endif
