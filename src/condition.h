/* Conditions of `sweep --where`: comparisons joined by &&. */
#ifndef RL_CONDITION_H
#define RL_CONDITION_H

#include "columns.h"

enum { RL_MAXTERMS = 16 };

struct rl_condition {
    struct {
        int column;
        enum { RL_LT, RL_LE, RL_GT, RL_GE, RL_EQ, RL_NE } op;
        double num;
        char text[64]; /* not empty: compared as text */
    } term[RL_MAXTERMS];
    int n;
};

/* "ttft_s<2 && fits && bound.decode==memory"; a bare name means == true, with
 * ! before it == false. */
int rl_condition_parse(const char *s, struct rl_condition *c, struct rl_error *err);
/* A null cell satisfies nothing. */
bool rl_condition_holds(const struct rl_condition *c, const struct rl_cell *row);

#endif
