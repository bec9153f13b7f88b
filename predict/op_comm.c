/* Collectives, as NCCL's tests count them: `bytes` is the message size column
 * of nccl-tests (doc/PERFORMANCE.md), whose bus-bandwidth factors are the bytes
 * that every rank must send:
 *   all_reduce 2(n − 1)/n, all_gather, reduce_scatter and alltoall (n − 1)/n.
 * Steps of a ring: 2(n − 1) or n − 1.  Local DRAM: the message read and written;
 * the reduction is one addition per 16-bit element and step's share.
 * Ignores: trees, protocols (LL, LL128, Simple), in-switch reduction: the kernel
 * model's affair.
 */
#include "kernels.h"
#include "op_util.h"

/* passes: how often the message goes round the ring. */
static void ring(const double *p, struct rl_work *w, double passes, bool reduces)
{
    double n = p[RL_COMM_GPUS], share = (n - 1.0) / n * p[RL_COMM_BYTES];

    w->unit = RL_FP32;
    w->link_bytes = passes * share;
    w->vector_flop = reduces ? share / 2.0 : 0.0;
    w->act_bytes = n > 1 ? 2.0 * p[RL_COMM_BYTES] : 0.0; /* alone: nothing to do */
    w->l2_bytes = w->act_bytes;
    w->serial = passes * (n - 1.0);
    w->launches = 1.0;
}

static void all_reduce_work(const double *p, struct rl_work *w)
{
    ring(p, w, 2.0, true);
}

static void reduce_scatter_work(const double *p, struct rl_work *w)
{
    ring(p, w, 1.0, true);
}

static void pass_work(const double *p, struct rl_work *w)
{
    ring(p, w, 1.0, false);
}

#define COMM_PARAMS                                                                      \
    {"gpus", RL_P_NUM, 1, RL_REQUIRED},                                                  \
    {                                                                                    \
        "bytes", RL_P_NUM, 1, RL_REQUIRED                                                \
    }
#define COMM_REF "nccl-tests doc/PERFORMANCE.md, bus bandwidth factors"

const struct rl_op_type rl_op_all_reduce = {
    .name = "all_reduce",
    .ref = "2(n - 1)/n of the message; " COMM_REF,
    .cls = RL_CLS_COMM,
    .param = {COMM_PARAMS},
    .work = all_reduce_work,
    .coef = rl_kern_all_reduce_coef,
    .time = rl_kern_all_reduce_time,
    .shape_params = 1U << RL_COMM_BYTES,
    .log_sd = 0.35,
};

const struct rl_op_type rl_op_all_gather = {
    .name = "all_gather",
    .ref = "(n - 1)/n of the message; " COMM_REF,
    .cls = RL_CLS_COMM,
    .param = {COMM_PARAMS},
    .work = pass_work,
    .coef = rl_kern_all_gather_coef,
    .time = rl_kern_all_gather_time,
    .shape_params = 1U << RL_COMM_BYTES,
    .log_sd = 0.35,
};

const struct rl_op_type rl_op_reduce_scatter = {
    .name = "reduce_scatter",
    .ref = "(n - 1)/n of the message; " COMM_REF,
    .cls = RL_CLS_COMM,
    .param = {COMM_PARAMS},
    .work = reduce_scatter_work,
    .coef = rl_kern_reduce_scatter_coef,
    .time = rl_kern_reduce_scatter_time,
    .shape_params = 1U << RL_COMM_BYTES,
    .log_sd = 0.4,
};

const struct rl_op_type rl_op_alltoall = {
    .name = "alltoall",
    .ref = "(n - 1)/n of the message; " COMM_REF,
    .cls = RL_CLS_COMM,
    .param = {COMM_PARAMS},
    .work = pass_work,
    .coef = rl_kern_alltoall_coef,
    .time = rl_kern_alltoall_time,
    .shape_params = 1U << RL_COMM_BYTES,
    .log_sd = 0.4,
};
