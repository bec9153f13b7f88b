/* What the gated delta rule (op_gdn.c) and Kimi delta attention (op_kda.c)
 * share: the parameters and the products. */
#ifndef RL_OP_DELTA_H
#define RL_OP_DELTA_H

#include "op_util.h"

#define RL_DELTA_PARAMS                                                                  \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"seq_len", RL_P_NUM, 1, RL_REQUIRED},          \
        {"k_heads", RL_P_NUM, 1, RL_REQUIRED}, {"k_dim", RL_P_NUM, 1, RL_REQUIRED},      \
        {"v_heads", RL_P_NUM, 1, RL_REQUIRED}, {"v_dim", RL_P_NUM, 1, RL_REQUIRED},      \
        {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},                                  \
        {"state_dtype", RL_P_DTYPE, RL_DT_NONE, RL_DT_FP32},                             \
    {                                                                                    \
        "state_out_dtype", RL_P_DTYPE, RL_DT_NONE, RL_AS_BEFORE                          \
    }
#define RL_DELTA_SHAPE                                                                   \
    (1U << RL_GDN_K_HEADS | 1U << RL_GDN_K_DIM | 1U << RL_GDN_V_HEADS |                  \
     1U << RL_GDN_V_DIM)

void rl_delta_scan(const double *p, struct rl_work *w);
void rl_delta_update(const double *p, struct rl_work *w);
int rl_delta_check(const double *p, const char *op, struct rl_error *err);

#endif
