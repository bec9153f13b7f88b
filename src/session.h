/* What predict, sweep, compare and plot share: device, model and runtime by
 * name, bound into a plan. */
#ifndef RL_SESSION_H
#define RL_SESSION_H

#include "command.h"
#include "plan.h"

struct rl_session {
    struct rl_device *device;
    struct rl_model *model;
    struct rl_runtime *runtime;
    struct rl_plan *plan;
};

/* Option rows every command with a query has, for use in its table. */
#define RL_QUERY_OPTIONS                                                                 \
    {"ctx", 'c', "N", NULL, "prompt tokens per sequence; k = 1024, M = 1024^2", NULL},   \
        {"batch", 'b', "B", "1", "sequences at once", NULL},                             \
        {"output-tokens", 'o', "T", "128", "tokens to generate", NULL},                  \
        {"context-depth", 0, "D", "0", "tokens cached before the prompt", NULL},         \
        {"runtime", 'r', "R", "the device's usual one", "software stack", "runtime"},    \
        {"dtype", 0, "D", "the config's", "weights", "dtype"},                           \
        {"kv-dtype", 0, "D", "as activations", "KV cache", "dtype"},                     \
        {"state-dtype", 0, "D", "the runtime's", "recurrent state", "dtype"},            \
        {"logits", 0, "W", "the runtime's", "logit rows of the prefill", "all|last"},    \
        {"tp", 0, "N", "1", "tensor-parallel ranks", NULL},                              \
        {"devices", 0, "N", "1", "layer split over N devices (llama.cpp)", NULL},        \
        {"threads", 0, "N", "all cores", "CPU threads", NULL},                           \
    {                                                                                    \
        "ubatch", 0, "N", "the runtime's", "tokens of one prefill chunk", NULL           \
    }

/* Reads setup and query from the options; names may be absent. */
int rl_session_setup(const struct rl_command *c, const struct rl_args *a,
                     struct rl_setup *s, struct rl_error *err);
int rl_session_query(const struct rl_command *c, const struct rl_args *a,
                     struct rl_query *q, struct rl_error *err);
/* Of the query, what sweeps do not vary: logits and context depth. */
int rl_session_fixed(const struct rl_command *c, const struct rl_args *a,
                     struct rl_query *q, struct rl_error *err);
/* batch and output tokens, one value each */
int rl_session_counts(const struct rl_command *c, const struct rl_args *a,
                      struct rl_query *q, struct rl_error *err);
/* runtime NULL: the device's default. */
int rl_session_open(struct rl_session *s, const char *data, const char *hw,
                    const char *model, const char *runtime, const struct rl_setup *setup,
                    struct rl_error *err);
void rl_session_close(struct rl_session *s);

#endif
