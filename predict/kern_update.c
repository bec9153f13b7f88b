/* Kernel models of the one-token updates of recurrent states: gated delta rule,
 * Kimi delta attention, Mamba-2 and Mamba-1 (Triton's fused_recurrent kernels,
 * selective_state_update and their CUDA kin).
 *
 *   t = fixed + step·(tokens - 1) + (memory^join + vector^join)^(1/join)
 *   memory = (state read + `again` states written per token + activations), from
 *            L2 as far as a repeated call finds its set there (`l2_clk` bytes an
 *            SM takes in a clock), else from DRAM
 *   vector = FLOP on the state's entries at a share of the FP32 peak
 *
 * A state that is written where it was read counts once in the set; one that
 * leaves in another dtype counts twice.
 * Ignores: the ramp of the last wave (blocks are small and many).
 */
#include "kern_memory.h"
#include "kernels.h"
#include "ops.h"

enum { FIXED, DRAM, CLK, KEEP, EDGE, VECTOR, JOIN, AGAIN, STEP };

#define UPDATE_COEFS(FIX)                                                                \
    {"fixed", "us", RL_C_LOG, FIX, 0.5, 30, 0.35, "launch, prologue, epilogue"},         \
        {"dram", "1", RL_C_DRAM, 0.85, 0.1, 1.02, 0.15, "DRAM peak reached"},            \
        {"l2_clk", "1", RL_C_LOG, 20, 2, 100, 0.4, "bytes of L2 per SM and clock"},      \
        {"keep", "1", RL_C_LOG, 0.8, 0.2, 2, 0.3, "L2 that repeats find"},               \
        {"edge", "1", RL_C_LOG, 6, 1.5, 20, 0.5, "sharpness of that boundary"},          \
        {"vector", "1", RL_C_LOG, 0.25, 0.005, 1, 0.8, "FP32 peak reached"},             \
        {"join", "1", RL_C_LOG, 2.5, 1, 8, 0.4, "1: they add; 8: they overlap"},         \
        {"again", "1", RL_C_LOG, 1, 0.02, 2, 0.3, "states written per further token"},   \
        {"step", "us", RL_C_LOG, 1, 0.05, 10, 0.8, "each further token"},                \
    {                                                                                    \
        NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL                                           \
    }

const struct rl_coef rl_kern_gdn_update_coef[] = {UPDATE_COEFS(4.2)};
const struct rl_coef rl_kern_kda_update_coef[] = {UPDATE_COEFS(5)};
const struct rl_coef rl_kern_ssd_update_coef[] = {UPDATE_COEFS(4.2)};
const struct rl_coef rl_kern_selective_state_update_coef[] = {UPDATE_COEFS(4.2)};

static const double us = 1e-6;

struct update {
    struct rl_work w;
    double entries, in, out; /* of the state; bytes of one entry */
    double tokens;
};

static double cell(double dt)
{
    return dt == (double)RL_DT_NONE ? 0 : rl_dtype_bytes((enum rl_dtype)dt);
}

static double update_seconds(const struct update *u, const struct rl_machine *m,
                             const double *c, double part[RL_NBOUNDS])
{
    double more = u->tokens - 1, rest = u->w.act_bytes + u->w.weight_bytes;
    double written = u->out * (1 + c[AGAIN] * more);
    double bytes = u->entries * (u->in + written) + rest;
    double set = u->entries * (u->in == u->out ? written : u->in + written) + rest;
    double miss = m->warm > 0 ? rl_kern_miss_all(m, set, c[KEEP], c[EDGE]) : 1;
    double l2 = c[CLK] * m->sm * m->clock_hz / m->l2_bw;
    double memory = rl_kern_memory(m, bytes, miss, l2, c[DRAM]);
    double vector = u->w.vector_flop / (c[VECTOR] * m->peak[RL_FP32]);
    double fixed = c[FIXED] * us, serial = c[STEP] * us * more;

    if (part) {
        part[RL_B_LAUNCH] = fixed;
        part[RL_B_SERIAL] = serial;
        part[RL_B_COMPUTE] = vector;
        part[RL_B_MEMORY] = memory;
    }
    return fixed + serial + rl_kern_join(memory, vector, c[JOIN]);
}

static double delta_seconds(const struct rl_op_type *op, const double *p,
                            const struct rl_machine *m, const double *c,
                            double part[RL_NBOUNDS])
{
    struct update u = {.tokens = p[RL_GDN_SEQ_LEN]};
    op->work(p, &u.w);
    u.entries = p[RL_GDN_BATCH] * p[RL_GDN_V_HEADS] * p[RL_GDN_K_DIM] * p[RL_GDN_V_DIM];
    u.in = cell(p[RL_GDN_STATE_DTYPE]);
    u.out = cell(p[RL_GDN_STATE_OUT_DTYPE]);
    return update_seconds(&u, m, c, part);
}

double rl_kern_gdn_update_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    return delta_seconds(&rl_op_gdn_update, p, m, c, part);
}

double rl_kern_kda_update_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    return delta_seconds(&rl_op_kda_update, p, m, c, part);
}

double rl_kern_ssd_update_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    struct update u = {.tokens = p[RL_SSD_SEQ_LEN]};
    rl_op_ssd_update.work(p, &u.w);
    u.entries = p[RL_SSD_BATCH] * p[RL_SSD_HEADS] * p[RL_SSD_HEAD_DIM] * p[RL_SSD_STATE];
    u.in = u.out = cell(p[RL_SSD_STATE_DTYPE]);
    return update_seconds(&u, m, c, part);
}

double rl_kern_selective_state_update_time(const double *p, const struct rl_machine *m,
                                           const double *c, double part[RL_NBOUNDS])
{
    struct update u = {.tokens = p[RL_SS_SEQ_LEN]};
    rl_op_selective_state_update.work(p, &u.w);
    u.entries = p[RL_SS_BATCH] * p[RL_SS_CHANNELS] * p[RL_SS_STATE];
    u.in = u.out = cell(p[RL_SS_STATE_DTYPE]);
    return update_seconds(&u, m, c, part);
}
