/* For tests of whole predictions: a model on a device under a runtime, bound. */
#ifndef RL_SUBJECT_H
#define RL_SUBJECT_H

#include "test.h"

#include "device.h"
#include "model.h"
#include "plan.h"

struct subject {
    struct rl_device *d;
    struct rl_model *m;
    struct rl_runtime *r;
    struct rl_plan *p;
};

/* On a device already loaded, which the subject then owns; setup NULL: the defaults. */
static inline struct subject open_subject_on(struct rl_device *d, const char *model,
                                             const char *runtime,
                                             const struct rl_setup *setup)
{
    struct rl_error err = {0};
    struct subject s = {.d = d};

    s.m = rl_model_load(source_dir(), model, &err);
    cr_assert(s.m != NULL, "%s", err.text);
    s.r = rl_runtime_load(source_dir(), runtime, s.d, &err);
    cr_assert(s.r != NULL, "%s", err.text);
    s.p = rl_plan_new(source_dir(), s.d, s.m, s.r, setup, &err);
    cr_assert(s.p != NULL, "%s", err.text);
    return s;
}

static inline struct rl_device *load_device(const char *hw)
{
    struct rl_error err = {0};
    struct rl_device *d = rl_device_load(source_dir(), hw, &err);

    cr_assert(d != NULL, "%s", err.text);
    return d;
}

static inline void close_subject(struct subject *s)
{
    rl_plan_free(s->p);
    rl_runtime_free(s->r);
    rl_model_free(s->m);
    rl_device_free(s->d);
}

#endif
