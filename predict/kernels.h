/* Kernel models: the coefficients of an operator's kernels and the seconds that
 * follow from them, one kern_*.c each.  The rl_op_type of op_*.c names them. */
#ifndef RL_KERNELS_H
#define RL_KERNELS_H

#include "op.h"

#include <string.h>

extern const struct rl_coef rl_kern_gemm_coef[];
double rl_kern_gemm_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_attention_decode_coef[];
double rl_kern_attention_decode_time(const double *p, const struct rl_machine *m,
                                     const double *c, double part[RL_NBOUNDS]);

double rl_kern_attention_decode_most(const char *runtime, const char *impl, int i);
double rl_kern_moe_most(const char *runtime, const char *impl, int i);
double rl_kern_gemm_known(const char *runtime, const char *impl, enum rl_dtype dtype,
                          int i);
double rl_kern_gemm_most(const char *runtime, const char *impl, int i);

extern const struct rl_coef rl_kern_attention_prefill_coef[];
double rl_kern_attention_prefill_time(const double *p, const struct rl_machine *m,
                                      const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_mla_prefill_coef[], rl_kern_mla_decode_coef[];
double rl_kern_mla_prefill_time(const double *p, const struct rl_machine *m,
                                const double *c, double part[RL_NBOUNDS]);
double rl_kern_mla_decode_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_all_reduce_coef[];
double rl_kern_all_reduce_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_all_gather_coef[];
double rl_kern_all_gather_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_reduce_scatter_coef[];
double rl_kern_reduce_scatter_time(const double *p, const struct rl_machine *m,
                                   const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_alltoall_coef[];
double rl_kern_alltoall_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_conv1d_coef[];
double rl_kern_conv1d_time(const double *p, const struct rl_machine *m, const double *c,
                           double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_conv1d_update_coef[];
double rl_kern_conv1d_update_time(const double *p, const struct rl_machine *m,
                                  const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_gdn_scan_coef[];
double rl_kern_gdn_scan_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_gdn_update_coef[];
double rl_kern_gdn_update_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_kda_scan_coef[];
double rl_kern_kda_scan_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_kda_update_coef[];
double rl_kern_kda_update_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_ssd_scan_coef[];
double rl_kern_ssd_scan_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS]);

double rl_kern_ssd_scan_known(const char *runtime, const char *impl, enum rl_dtype dtype,
                              int i);
/* Is the scan of Mamba-2 one kernel there (for heads that it takes)? */
bool rl_kern_ssd_one_kernel(const char *runtime, int cc);

extern const struct rl_coef rl_kern_ssd_update_coef[];
double rl_kern_ssd_update_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_selective_scan_coef[];
double rl_kern_selective_scan_time(const double *p, const struct rl_machine *m,
                                   const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_selective_state_update_coef[];
double rl_kern_selective_state_update_time(const double *p, const struct rl_machine *m,
                                           const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_masked_coef[];
double rl_kern_masked_time(const double *p, const struct rl_machine *m, const double *c,
                           double part[RL_NBOUNDS]);
extern const struct rl_coef rl_kern_efficient_coef[];
double rl_kern_efficient_time(const double *p, const struct rl_machine *m,
                              const double *c, double part[RL_NBOUNDS]);

extern const struct rl_coef rl_kern_moe_coef[];
double rl_kern_moe_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS]);

/* Latencies of attention kernels are kept as they would be at 2 GHz: what one clock step
 * takes carries over between devices, a microsecond of A100 (1.41 GHz) to L40S (2.52)
 * does not. */
static inline double rl_kern_us(const struct rl_machine *m)
{
    return 1e-6 * 2e9 / m->clock_hz;
}

/* "trtllm-1.3.0" begins with "trtllm": of that stack, whatever its version. */
static inline bool rl_begins(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

#endif
