/* What the files of `rooflint calibrate` share. */
#ifndef RL_CMD_CALIBRATE_H
#define RL_CMD_CALIBRATE_H

#include "measured.h"
#include "ops.h"

enum { RL_MAXFEW = 12, RL_FEW_MOST = 1000, RL_FEW_ALL = -1 };

struct rl_few_list {
    int count[RL_MAXFEW], n; /* samples; RL_FEW_ALL: every row */
};
/* "10" or "0,1,3,all". */
int rl_few_parse(const char *text, struct rl_few_list *out, struct rl_error *err);
/* Prints the error against the number of samples; o->prior: entries to start from. */
int rl_few_curve(const struct rl_measured *m, const struct rl_calibrate_options *o,
                 const struct rl_few_list *few, struct rl_error *err);

#endif
