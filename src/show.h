/* Predictions as text, JSON and CSV; the keys are those of the CONTRACT. */
#ifndef RL_SHOW_H
#define RL_SHOW_H

#include "plan.h"

#include <jansson.h>
#include <stdio.h>

/* A number, or null when it is not finite. */
json_t *rl_json_num(double v);
/* The same of bytes, FLOP or tokens: whole numbers to the last digit. */
json_t *rl_json_count(double v);

json_t *rl_prediction_json(const struct rl_plan *pl, const struct rl_query *q,
                           const struct rl_prediction *p);
void rl_prediction_text(FILE *f, const struct rl_plan *pl, const struct rl_query *q,
                        const struct rl_prediction *p);
/* The rows of --breakdown. */
json_t *rl_breakdown_json(const struct rl_plan *pl, const struct rl_query *q);
void rl_breakdown_text(FILE *f, const struct rl_plan *pl, const struct rl_query *q);

/* Does the query ask for positions that the model's config does not name?  text: so. */
enum { RL_NOTE_TEXT = 120 };
bool rl_beyond_positions(const struct rl_plan *pl, const struct rl_query *q,
                         char text[RL_NOTE_TEXT]);

const char *rl_logits_word(const struct rl_plan *pl, const struct rl_query *q);

#endif
