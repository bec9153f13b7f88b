/* A prediction as one row of named cells: what CSV, sweep's conditions and
 * plots read. */
#ifndef RL_COLUMNS_H
#define RL_COLUMNS_H

#include "plan.h"

#include <stdio.h>

enum { RL_NCOLUMNS = 44 + 2 * RL_NCLASSES };

struct rl_cell {
    const char *text; /* NULL: a number */
    double num;       /* NaN: null, an empty field */
};

/* Names in order; "fits" is the text true or false. */
const char *rl_column_name(int i);
bool rl_column_is_text(int i);
int rl_column_find(const char *name); /* -1: none */

void rl_row_fill(struct rl_cell row[RL_NCOLUMNS], const struct rl_plan *pl,
                 const struct rl_query *q, const struct rl_prediction *p);
void rl_row_csv_header(FILE *f);
void rl_row_csv(FILE *f, const struct rl_cell row[RL_NCOLUMNS]);
void rl_row_json(FILE *f, const struct rl_cell row[RL_NCOLUMNS]); /* one line */

#endif
