/* Conditions of `sweep --where`: comparisons joined by &&. */
#ifndef RL_CONDITION_H
#define RL_CONDITION_H

#include "columns.h"

enum { RL_MAXTERMS = 16, RL_MAXWORD = 192 };

struct rl_condition {
    struct {
        int column;
        enum { RL_LT, RL_LE, RL_GT, RL_GE, RL_EQ, RL_NE } op;
        double num;
        char text[RL_MAXWORD]; /* of a text column; == and != alone */
    } term[RL_MAXTERMS];
    int n;
};

/* "ttft_s<2 && fits && bound.decode==memory"; a bare name means == true, with
 * ! before it == false.  Names of devices and models are looked up in `data`, so
 * that aliases hold. */
int rl_condition_parse(const char *s, const char *data, struct rl_condition *c,
                       struct rl_error *err);
/* A null cell satisfies nothing. */
bool rl_condition_holds(const struct rl_condition *c, const struct rl_cell *row);

#endif
