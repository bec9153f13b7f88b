/* What `rooflint op` for one call and for a file share. */
#ifndef RL_CMD_OP_H
#define RL_CMD_OP_H

#include "time.h"

/* Everything that is the same for all calls of one kernel. */
struct rl_op_setup {
    const struct rl_op_type *op;
    const struct rl_device *device;
    const struct rl_runtime *runtime; /* NULL: a library, such as nccl-2.27 */
    struct rl_machine machine;
    struct rl_choice choice;
    bool impl_known; /* the implementation asked for has an entry, or none was */
};

/* impl NULL or "": the runtime's usual one; also when nothing is known of it. */
void rl_op_setup(struct rl_op_setup *s, const struct rl_kernel_db *db,
                 const struct rl_op_type *op, const struct rl_device *device,
                 const struct rl_runtime *runtime, const char *runtime_name,
                 const char *impl, const double *p);

struct rl_op_answer {
    double us, lo_us, hi_us, sol_us;
    enum rl_bound bound;
};
void rl_op_ask(struct rl_op_setup *s, const double *p, struct rl_op_answer *a);

/* `--in`: in_path to out_path (NULL: stdout); hw, runtime and impl, unless
 * NULL, stand in for the file's columns. */
int rl_op_file(const char *data, const char *in_path, const char *out_path,
               const char *hw, const char *runtime, const char *impl,
               struct rl_error *err);

#endif
