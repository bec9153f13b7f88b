/* Device, model and runtime by name, bound into a plan. */
#include "session.h"
#include "err.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>

static int whole_option(const struct rl_command *c, const struct rl_args *a,
                        const char *name, double fallback, double least, double *out,
                        struct rl_error *err)
{
    const char *s = rl_arg(c, a, name);
    struct rl_error inner = {0};

    *out = fallback;
    if (!s)
        return 0;
    if (least < 1 && !strcmp(s, "0")) {
        *out = 0;
        return 0;
    }
    if (rl_parse_tokens(s, out, &inner) || *out < least)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--%s: expected a whole number of at least %g (k = 1024, M = "
                       "1024^2), got '%s'",
                       name, least, s);
    return 0;
}

int rl_session_setup(const struct rl_command *c, const struct rl_args *a,
                     struct rl_setup *s, struct rl_error *err)
{
    double tp, devices, threads;

    memset(s, 0, sizeof *s);
    s->dtype = rl_arg(c, a, "dtype");
    s->kv_dtype = rl_arg(c, a, "kv-dtype");
    s->state_dtype = rl_arg(c, a, "state-dtype");
    s->flash = -1;
    if (whole_option(c, a, "tp", 1, 1, &tp, err) ||
        whole_option(c, a, "devices", 1, 1, &devices, err) ||
        whole_option(c, a, "threads", 0, 1, &threads, err) ||
        whole_option(c, a, "ubatch", 0, 1, &s->ubatch, err))
        return -1;
    s->tp = (int)tp;
    s->devices = (int)devices;
    s->threads = (int)threads;
    return 0;
}

int rl_session_fixed(const struct rl_command *c, const struct rl_args *a,
                     struct rl_query *q, struct rl_error *err)
{
    const char *logits = rl_arg(c, a, "logits");

    memset(q, 0, sizeof *q);
    if (logits && strcmp(logits, "all") && strcmp(logits, "last"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--logits: expected all or last, got '%s'", logits);
    if (logits)
        q->logits = strcmp(logits, "all") ? RL_LOGITS_LAST : RL_LOGITS_ALL;
    return whole_option(c, a, "context-depth", 0, 0, &q->context_depth, err);
}

int rl_session_counts(const struct rl_command *c, const struct rl_args *a,
                      struct rl_query *q, struct rl_error *err)
{
    if (whole_option(c, a, "batch", 1, 1, &q->batch, err) ||
        whole_option(c, a, "output-tokens", 128, 1, &q->output_tokens, err))
        return -1;
    return 0;
}

int rl_session_query(const struct rl_command *c, const struct rl_args *a,
                     struct rl_query *q, struct rl_error *err)
{
    if (rl_session_fixed(c, a, q, err) || rl_session_counts(c, a, q, err) ||
        whole_option(c, a, "ctx", 1024, 1, &q->ctx, err))
        return -1;
    return 0;
}

int rl_session_open(struct rl_session *s, const char *data, const char *hw,
                    const char *model, const char *runtime, const struct rl_setup *setup,
                    struct rl_error *err)
{
    memset(s, 0, sizeof *s);
    s->device = rl_command_device(data, hw, err);
    if (s->device)
        s->model = rl_model_load(data, model, err);
    if (s->model)
        s->runtime = rl_runtime_load(data, runtime, s->device, err);
    if (s->runtime)
        s->plan = rl_plan_new(data, s->device, s->model, s->runtime, setup, err);
    if (!s->plan) {
        rl_session_close(s);
        return -1;
    }
    return 0;
}

void rl_session_close(struct rl_session *s)
{
    rl_plan_free(s->plan);
    rl_runtime_free(s->runtime);
    rl_model_free(s->model);
    rl_device_free(s->device);
    memset(s, 0, sizeof *s);
}
