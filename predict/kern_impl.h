/* Implementations: kernel models that a software stack brings along for the
 * common operators.  ggml's kernels are nobody else's, so their times follow
 * other formulas than cuBLAS's or Triton's, but they do the same work: an
 * implementation replaces time and coefficients of an operator type and leaves
 * parameters and counts alone.
 *
 * Coefficients are pooled over devices; a runtime file may set its own for its
 * back end, `speed.OP.COEF` or `speed.OP.COEF.DTYPE`.
 */
#ifndef RL_KERN_IMPL_H
#define RL_KERN_IMPL_H

#include "op.h"

typedef double rl_kernel_seconds(const double *p, const struct rl_machine *m,
                                 const double *c, double part[RL_NBOUNDS]);

struct rl_impl {
    const char *name; /* as the runtime's `impl.all` says: "ggml", "torch" */
    const struct rl_op_type *op;
    int is_cpu;
    const struct rl_coef *coef; /* ends with name NULL */
    rl_kernel_seconds *time;
    double log_sd; /* spread between devices: standard deviation of log error */
    /* kernels of one call that the host enqueues; NULL: as the runtime has them */
    double (*launches)(const double *p);
    const char *like; /* the operator whose `speed.` rows it takes; NULL: its own */
};

/* NULL: the stack has none of its own for this operator. */
const struct rl_impl *rl_impl_find(const char *name, const struct rl_op_type *op,
                                   int is_cpu);

/* The tables of implementations, each ends with op NULL. */
extern const struct rl_impl rl_ggml_gpu[], rl_ggml_cpu[], rl_torch[];

/* Routed experts: seconds of their products by a back end's model of one, in tiles of
 * so many rows (0: as many as an expert has); the same by a vector kernel, which takes
 * few tokens; and what passes through the nodes behind them. */
double rl_ggml_experts(const double *p, double tile, rl_kernel_seconds *gemm,
                       const struct rl_machine *m, const double *c, double *part);
double rl_ggml_experts_few(const double *p, rl_kernel_seconds *vector,
                           const struct rl_machine *m, const double *c, double *part);
double rl_ggml_expert_glue(const double *p);

/* How a CPU's cores and the channels they share bound a rate together. */
#define RL_CHANNEL_JOIN 4

/* Two ceilings at once, joined by a p-norm with exponent e. */
double rl_join(double a, double b, double e);

#endif
