/* A prediction taken apart: one row per operator of the graph and phase. */
#ifndef RL_BREAKDOWN_H
#define RL_BREAKDOWN_H

#include "plan.h"

struct rl_op_row {
    const char *op, *label, *phase; /* "prefill" or "decode" */
    enum rl_class cls;
    double calls;       /* per pass */
    char params[256];   /* of the first pass of the phase */
    double time_s;      /* all calls: whole prefill, or the mean decode step */
    double flop, bytes; /* the same, DRAM bytes */
    double vector_flop; /* the same, off the matrix units */
    enum rl_bound bound;
    char source[200]; /* where the coefficients come from */
};

/* Calls fn for every operator that takes time; stops when it returns nonzero. */
int rl_breakdown(const struct rl_plan *pl, const struct rl_query *q,
                 int (*fn)(const struct rl_op_row *row, void *arg), void *arg);

#endif
