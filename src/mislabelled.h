/* Rows of public tables that ran something else than they say: hwdb/mislabelled.csv. */
#ifndef RL_MISLABELLED_H
#define RL_MISLABELLED_H

#include "err.h"

/* A row as it is labelled. */
struct rl_row_label {
    const char *schema; /* "ops" or "runs" */
    const char *device, *runtime;
    const char *of;     /* operator or model */
    const char *metric; /* of a run; "" of an operator */
    const char *text;   /* parameters or notes */
};

struct rl_mislabelled; /* the rows of the file */

/* Empty where the data hold no such file; NULL with an error where it is broken. */
struct rl_mislabelled *rl_mislabelled_read(const char *data, struct rl_error *err);
void rl_mislabelled_free(struct rl_mislabelled *m);
/* Why the row is known to be wrong; NULL: it is not. */
const char *rl_mislabelled(const struct rl_mislabelled *m, const struct rl_row_label *row);

#endif
