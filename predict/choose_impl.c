/* Coefficients of an implementation (kern_impl.h): pooled over devices, with
 * the back end's own from its runtime file. */
#include "kern_impl.h"
#include "time.h"

#include <stdio.h>
#include <string.h>

/* Whose coefficients: a back end, on a part of compute capability cc. */
struct place {
    const struct rl_runtime *r;
    int cc; /* rl_device.cc */
};

/* KEY@sm87 or KEY@apple9 of the runtime on such a part, else KEY, else v. */
static double num_at(const struct place *at, const char *key, double v)
{
    char here[112], part[16];

    rl_capability_name(at->cc, part, sizeof part);
    snprintf(here, sizeof here, "%s@%s", key, part);
    return rl_runtime_num(at->r, here, rl_runtime_num(at->r, key, v));
}

/* speed.NAME.COEF.DTYPE, of a recipe's base or its own, else speed.NAME.COEF, else
 * the value given. */
static double coef_of(const struct place *at, const char *name, const char *coef,
                      enum rl_dtype dt, double v)
{
    char key[96];

    snprintf(key, sizeof key, "speed.%s.%s", name, coef);
    v = num_at(at, key, v);
    snprintf(key, sizeof key, "speed.%s.%s.%s", name, coef,
             rl_dtype(rl_dtype_base(dt))->name);
    v = num_at(at, key, v);
    snprintf(key, sizeof key, "speed.%s.%s.%s", name, coef, rl_dtype(dt)->name);
    return num_at(at, key, v);
}

void rl_choose_impl(const struct rl_impl *impl, const struct rl_runtime *r, int cc,
                    const char *glue, enum rl_dtype dt, struct rl_choice *out)
{
    const struct place at = {r, cc};

    memset(out, 0, sizeof *out);
    out->impl = impl;
    out->trust = RL_TRUST_PRIOR;
    for (int i = 0; impl->coef[i].name; i++) {
        const char *coef = impl->coef[i].name;
        double v = coef_of(&at, "all", coef, RL_DT_NONE, impl->coef[i].prior);
        v = coef_of(&at, impl->like ? impl->like : impl->op->name, coef, dt, v);
        out->coef[i] = glue ? coef_of(&at, glue, coef, dt, v) : v;
    }
    out->log_lo = -RL_Z90 * impl->log_sd;
    out->log_hi = RL_Z90 * impl->log_sd;
    out->share = 1; /* the spread between devices */
}
