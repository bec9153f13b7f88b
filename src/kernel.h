/* Kernel entries: hwdb/kernels/<device>.csv, one row per coefficient.
 *
 * runtime,op,impl,dtype,kv_dtype,coef,value,unit,n,source
 * Besides the op type's own coefficients an entry holds, under the same key,
 * `bias` (median log residual left over), `lo`, `hi` (5 and 95 % quantiles of
 * the held-out log residual) and `lgo` (leave-group-out median APE).
 */
#ifndef RL_KERNEL_H
#define RL_KERNEL_H

#include "op.h"

struct rl_kernel {
    char *runtime, *impl, *device; /* device: that it was fitted on */
    const struct rl_op_type *op;
    int cc;           /* of its device: 89 for 8.9 */
    double sm;        /* of its device */
    double sustained; /* of its device: bf16 rate over the sheet's peak; 0: unknown */
    enum rl_dtype dtype, kv_dtype; /* kv_dtype: state dtype of updates */
    double coef[RL_MAXCOEFS];
    unsigned long given; /* bits of coefficients and figures read so far */
    double n;            /* rows behind it */
    double lo, hi;       /* log residual quantiles 5 %, 95 % (lo < 0 < hi) */
    double lgo;          /* leave-group-out median APE */
    char *source;
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
