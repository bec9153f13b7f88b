/* Kernel entries: hwdb/kernels/<device>.csv, one row per coefficient.
 *
 * runtime,op,impl,dtype,kv_dtype,coef,value,unit,n,source
 * Besides the op type's own coefficients an entry holds, under the same key,
 * `bias` (median log residual left over), `lo`, `hi` (5 and 95 % quantiles of
 * the held-out log residual), `lgo` (leave-group-out median APE) and, where the
 * residual's spread goes with the time of the call, `spread`, `from` and `to`.
 */
#ifndef RL_KERNEL_H
#define RL_KERNEL_H

#include "op.h"

/* How the spread of an entry's errors goes with the time t of a call: times
 * (t / √(from·to))^power, t no less than `from` and no more than `to`.  Short calls
 * scatter more as a rule: power < 0. */
struct rl_spread {
    double power;    /* 0: all alike */
    double from, to; /* seconds */
};

enum { RL_ARCH_TEXT = 32 };

struct rl_kernel {
    char *runtime, *impl, *device; /* device: that it was fitted on */
    const struct rl_op_type *op;
    int cc;        /* of its device: 89 for 8.9 */
    double sms;    /* of its device; 0: unknown */
    double tensor; /* of its device: bf16 FLOP a clock and SM; 0: unknown */
    double peak;   /* of its device: bf16 FLOP/s of the sheet; 0: unknown */
    double
        sustained; /* of its device: bf16 rate over that at the clock held; 0: unknown */
    char arch[RL_ARCH_TEXT];       /* of its device; "": unknown */
    enum rl_dtype dtype, kv_dtype; /* kv_dtype: state dtype of updates */
    double coef[RL_MAXCOEFS];
    unsigned long given; /* bits of coefficients and figures read so far */
    double n;            /* rows behind it */
    double lo, hi;       /* log residual quantiles 5 %, 95 % (lo < 0 < hi) */
    struct rl_spread spread;
    double lgo; /* leave-group-out median APE */
    char *source;
    int line; /* of its last row in the file */
};

struct rl_kernel_db; /* every entry of hwdb/kernels, loaded once */
struct rl_kernel_db *rl_kernel_db_load(const char *data, struct rl_error *err);
/* Of the operators that `want` is true of alone: for one prediction, which reads
 * a tenth of the rows, and notices no mistakes in the others. */
typedef bool rl_kernel_want(const struct rl_op_type *op, const void *arg);
struct rl_kernel_db *rl_kernel_db_load_for(const char *data, rl_kernel_want *want,
                                           const void *arg, struct rl_error *err);
void rl_kernel_db_free(struct rl_kernel_db *db);
int rl_kernel_db_count(const struct rl_kernel_db *db);
const struct rl_kernel *rl_kernel_db_at(const struct rl_kernel_db *db, int i);

#endif
