/* Small arithmetic that several operators share.  Internal to predict/op_*.c. */
#ifndef RL_OP_UTIL_H
#define RL_OP_UTIL_H

#include "dtype.h"
#include "err.h"
#include "ops.h"

#include <math.h>

/* log_sd of a type without a kernel model: how far the generic roofline was
 * from 137,000 measured calls of five GPUs, the 90 % quantile of |log error|
 * over 1.645; a type without rows takes that of its nearest kin. */

/* A required parameter has no fallback. */
#define RL_REQUIRED NAN

static inline const struct rl_dtype_info *rl_info(double dt)
{
    return rl_dtype((enum rl_dtype)dt);
}

/* Bytes of an operand element as the unit of this dtype is fed. */
static inline double rl_in_bytes(double dt)
{
    return rl_info(dt)->act_bytes;
}

/* Bytes of a result element: narrow formats are accumulated in FP32 and
 * written in 16 bits; fp32 and tf32 stay at four bytes. */
static inline double rl_out_bytes(double dt)
{
    return rl_info(dt)->act_bytes >= 4.0 ? 4.0 : 2.0;
}

/* Bytes of a stored element (cache, state): 0 for "none". */
static inline double rl_cell_bytes(double dt)
{
    return dt == (double)RL_DT_NONE ? 0.0 : rl_dtype_bytes((enum rl_dtype)dt);
}

static inline enum rl_unit rl_unit_of(double dt)
{
    return rl_info(dt)->unit;
}

/* Sum of the squared chunk lengths when `len` tokens are cut into chunks of
 * `chunk`: what work inside chunks grows with.  The last chunk counts with its
 * own length (padding is the kernel's affair). */
static inline double rl_chunk_squares(double len, double chunk)
{
    double full = floor(len / chunk), rest = len - full * chunk;

    return full * chunk * chunk + rest * rest;
}

/* A flag parameter holds 0 or 1. */
static inline int rl_check_flag(const char *op, const char *name, double v,
                                struct rl_error *err)
{
    if (v != 0.0 && v != 1.0)
        return rl_fail(err, RL_EVALUE, NULL, 0, "%s: parameter '%s': expected 0 or 1", op,
                       name);
    return 0;
}

/* Activations and states lie in plain formats, not in weight-only or
 * llama.cpp block ones. */
static inline int rl_check_act(const char *op, const char *name, double dt,
                               struct rl_error *err)
{
    const struct rl_dtype_info *d = rl_info(dt);

    if (d->weight_only || dt >= RL_DT_Q6_K)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "%s: parameter '%s': %s is a weight format; expected fp32, tf32, "
                       "bf16, fp16, fp8 or int8",
                       op, name, d->name);
    return 0;
}

/* `a` must be a whole multiple of `b` (query heads of KV heads …). */
static inline int rl_check_multiple(const char *op, const char *a, double va,
                                    const char *b, double vb, struct rl_error *err)
{
    if (fmod(va, vb) != 0.0)
        return rl_fail(err, RL_EVALUE, NULL, 0, "%s: %s=%.15g is no multiple of %s=%.15g",
                       op, a, va, b, vb);
    return 0;
}

#endif
