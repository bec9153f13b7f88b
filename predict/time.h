/* Work x hardware -> seconds, with an interval. */
#ifndef RL_TIME_H
#define RL_TIME_H

#include "device.h"
#include "kernel.h"
#include "op.h"
#include "runtime.h"

/* Flattens a device for kernel formulas. */
void rl_machine_init(struct rl_machine *m, const struct rl_device *d, int tp);

/* The coefficients to use for an operator, and how far they were fetched. */
enum rl_trust {
    RL_TRUST_ENTRY,  /* this device, runtime, implementation and dtype */
    RL_TRUST_SISTER, /* this device, another dtype or runtime version */
    RL_TRUST_ARCH,   /* same implementation on the nearest architecture */
    RL_TRUST_PRIOR,  /* the operator's prior */
};
struct rl_impl;
struct rl_choice {
    const struct rl_impl *impl;     /* the stack's own kernel model; NULL: the op's */
    const struct rl_kernel *kernel; /* NULL: the prior */
    enum rl_trust trust;
    double coef[RL_MAXCOEFS];
    double log_lo, log_hi;   /* 5 % and 95 % of the log error expected, */
    struct rl_spread spread; /* times this for a call of some seconds */
    double slow;             /* rl_machine.slow, of an entry carried over */
    double share;            /* of it that every call on a device has in common, the
                                rest being each shape's own: 0 to 1 */
};
#define RL_Z90 1.645 /* half width of a 90 % interval in standard deviations */

/* The dtype pair that an operator's entries are kept under: its `dtype`, and
 * its `kv_dtype` or `state_dtype` (RL_DT_NONE when it has no such parameter). */
void rl_op_dtypes(const struct rl_op_type *op, const double *p, enum rl_dtype *dtype,
                  enum rl_dtype *kv_dtype);

/* impl NULL: the runtime's default on this device.  r NULL: any runtime. */
void rl_choose(const struct rl_kernel_db *db, const struct rl_device *d,
               const struct rl_runtime *r, const struct rl_op_type *op, const char *impl,
               enum rl_dtype dtype, enum rl_dtype kv_dtype, struct rl_choice *out);

/* Those of a stack's own implementation, for weights or caches of format dt:
 * pooled over devices, the runtime's own where its file has some (speed.all.COEF,
 * speed.OP.COEF[.DTYPE], speed.GLUE.COEF[.DTYPE], the last one wins, each with @sm87
 * on a part of that capability before the one without; glue may be NULL). */
void rl_choose_impl(const struct rl_impl *impl, const struct rl_runtime *r, int cc,
                    const char *glue, enum rl_dtype dt, struct rl_choice *out);

/* The same by names, as the ops files hold them. */
struct rl_ask {
    const struct rl_kernel_db *db;
    const struct rl_device *d;
    const char *runtime, *impl; /* NULL: any */
    const struct rl_op_type *op;
    enum rl_dtype dtype, kv_dtype;
    bool without; /* entries of d itself do not count: what a device without
                     data of its own gets */
};
void rl_choose_by(const struct rl_ask *a, struct rl_choice *out);
/* The nearest entries and, last, the prior: at most `most` (2 to RL_MAXNEAR) of
 * them into out[]; returns how many. */
enum { RL_MAXNEAR = 16 };
int rl_choose_near(const struct rl_ask *a, int most, struct rl_choice *out);

/* What the log errors of a call of so many seconds are times those of the middle. */
double rl_spread_at(const struct rl_spread *s, double seconds);
/* The 90 % interval of a call predicted to take so many seconds: from the bounds of the
 * log error of a call of the middle; of a choice. */
void rl_spread_bounds(const struct rl_spread *s, double log_lo, double log_hi,
                      double seconds, double *lo, double *hi);
void rl_choice_bounds(const struct rl_choice *c, double seconds, double *lo, double *hi);

/* Seconds of one call; part as in rl_op_type.time.  Operators without a kernel
 * model get the generic roofline: the maximum over units and memory levels. */
double rl_op_seconds(const struct rl_op_type *op, const double *p,
                     const struct rl_machine *m, const struct rl_choice *c,
                     double part[RL_NBOUNDS]);
/* Which of the parts binds: the largest. */
enum rl_bound rl_part_bound(const double part[RL_NBOUNDS]);
/* The generic roofline of a piece of work, launches included. */
double rl_work_seconds(const struct rl_work *w, const struct rl_machine *m,
                       double part[RL_NBOUNDS]);
/* The same at the sheet's peaks: max(flop / peak, bytes / DRAM peak). */
double rl_work_speed_of_light(const struct rl_work *w, const struct rl_machine *m,
                              double part[RL_NBOUNDS]);

#endif
