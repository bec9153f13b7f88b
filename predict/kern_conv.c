/* Kernel models of the causal depthwise convolution and its one-token update
 * (vLLM's and SGLang's Triton kernels; Dao-AILab/causal-conv1d, which
 * TensorRT-LLM calls).
 *
 * Prefill, form 0 (Triton, a block of tokens × channels per CTA):
 *   t = fixed + (head^join + memory^join)^(1/join)
 *   head   = token·min(L, 8) + halo·[L > 8]   a CTA walks its tokens one by one
 * form 1 (one CTA per sequence and channel, 1024 tokens at a time):
 *   head   = cta·(channels·batch)/SMs·(scalar below 8 tokens, 1 above): it loads single
 *   elements where 16 bytes do not divide a row, so that 1 token is measured a third
 *   dearer than 16 (H100, 6,144 channels, 64 sequences: 941 and 629 µs)
 * Update:
 *   t = (fixed^join + body^join)^(1/join), body² = memory² + issue²
 *   bytes: state read and written once, two activations for each token
 *   issue: `token` clocks of an SM for each channel and token
 *
 * memory of the prefill: `issue` bytes an SM moves in a clock, 8 to 10 on every part
 * although their L2 differs by two and a half, joined with what DRAM serves;
 * of the update: at L2's rate as far as a repeated call finds its set there, else at
 * DRAM's.  Calls that are three convolutions differ in `fixed` and in how
 * much of their set is distinct (`keep` above 1).
 * Ignores: taps (their FMA hide behind the loads), channel padding, longer rows that 16
 * bytes do not divide (all measured lengths are powers of two).
 */
#include "kern_memory.h"
#include "kernels.h"
#include "ops.h"

enum {
    C_FIXED,
    C_DRAM,
    C_ISSUE,
    C_KEEP,
    C_EDGE,
    C_JOIN,
    C_STATE,
    C_TOKEN,
    C_HALO,
    C_CTA,
    C_SCALAR,
    C_FORM
};

const struct rl_coef rl_kern_conv1d_coef[] = {
    {"fixed", "us", RL_C_LOG, 1.5, 0.2, 30, 0.5, "launches, prologue, epilogue"},
    {"dram", "1", RL_C_DRAM, 0.8, 0.2, 1.05, 0.15, "DRAM peak reached"},
    {"issue", "1", RL_C_LOG, 9.5, 1, 100, 0.2, "bytes that an SM moves in a clock"},
    {"keep", "1", RL_C_LOG, 0.9, 0.2, 6, 0.5, "L2 that repeats find, of the set"},
    {"edge", "1", RL_C_LOG, 6, 1.5, 20, 0.5, "sharpness of that boundary"},
    {"join", "1", RL_C_LOG, 2, 1, 8, 0.5, "1: head and memory add; 8: they overlap"},
    {"state", "1", RL_C_LOG, 1, 0.1, 6, 0.7, "passes over the last width - 1 tokens"},
    {"token", "us", RL_C_LOG, 0.15, 0.005, 3, 0.7, "one token of a CTA's eight"},
    {"halo", "us", RL_C_LOG, 0.4, 0.01, 5, 0.8, "tokens of the CTA before"},
    {"cta", "us", RL_C_LOG, 0.11, 0.005, 2, 0.5, "one channel and SM (form 1)"},
    {"scalar", "1", RL_C_LOG, 1.3, 1, 3, 0.3, "the same below 8 tokens, relative"},
    {"form", "1", RL_C_CHOICE, 0, 0, 1, 0, "0 CTA per tile, 1 CTA per channel"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

enum { U_FIXED, U_DRAM, U_L2, U_KEEP, U_EDGE, U_JOIN, U_CREEP, U_TOKEN };

const struct rl_coef rl_kern_conv1d_update_coef[] = {
    {"fixed", "us", RL_C_LOG, 2, 0.2, 30, 0.5, "launch, prologue, epilogue"},
    {"dram", "1", RL_C_DRAM, 0.7, 0.2, 1.05, 0.2, "DRAM peak reached"},
    {"l2", "1", RL_C_LOG, 0.4, 0.05, 2, 0.5, "L2 rate reached, or the issue limit"},
    {"keep", "1", RL_C_LOG, 0.9, 0.2, 6, 0.5, "L2 that repeats find, of the set"},
    {"edge", "1", RL_C_LOG, 6, 1.5, 20, 0.5, "sharpness of that boundary"},
    {"join", "1", RL_C_LOG, 1.3, 1, 8, 0.4, "1: fixed and memory add; 8: they overlap"},
    {"creep", "us", RL_C_LOG, 0.03, 0.002, 1, 1, "each doubling of the blocks"},
    {"token", "1", RL_C_LOG, 1, 0.02, 20, 0.7, "clocks of an SM, a channel and token"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

static const double us = 1e-6;
static const double tile = 8; /* tokens of a CTA, and of one vector load */

static double element(const double *p)
{
    return rl_dtype((enum rl_dtype)p[RL_CONV_DTYPE])->act_bytes >= 4 ? 4 : 2;
}

static void report(double part[RL_NBOUNDS], double fixed, double serial, double memory)
{
    if (!part)
        return;
    part[RL_B_LAUNCH] = fixed;
    part[RL_B_SERIAL] = serial;
    part[RL_B_MEMORY] = memory;
}

double rl_kern_conv1d_time(const double *p, const struct rl_machine *m, const double *c,
                           double part[RL_NBOUNDS])
{
    double rows = p[RL_CONV_BATCH] * p[RL_CONV_CHANNELS], len = p[RL_CONV_SEQ_LEN];
    double a = element(p), fixed = c[C_FIXED] * us, head;
    double bytes = a * rows * (2 * len + c[C_STATE] * (p[RL_CONV_WIDTH] - 1));
    /* warm or not: the projection before has just written the input to L2 */
    double set = 2 * a * rows * len;
    double miss = rl_kern_miss_all(m, set, c[C_KEEP], c[C_EDGE]);
    double issue = bytes / (c[C_ISSUE] * m->sm * m->clock_hz);
    double dram = miss * bytes / (c[C_DRAM] * m->dram_peak);
    double memory = rl_kern_join(issue, dram, 3);

    if (c[C_FORM] > 0.5)
        head = c[C_CTA] * us * rows / m->sm * (len < tile ? c[C_SCALAR] : 1);
    else
        head = (c[C_TOKEN] * fmin(len, tile) + (len > tile ? c[C_HALO] : 0)) * us;
    report(part, fixed, head, memory);
    return fixed + rl_kern_join(head, memory, c[C_JOIN]);
}

double rl_kern_conv1d_update_time(const double *p, const struct rl_machine *m,
                                  const double *c, double part[RL_NBOUNDS])
{
    double rows = p[RL_CONV_BATCH] * p[RL_CONV_CHANNELS], len = p[RL_CONV_SEQ_LEN];
    double state = p[RL_CONV_WIDTH] - 1, fixed = c[U_FIXED] * us;
    double bytes = element(p) * rows * (2 * state + 2 * len);
    double set = element(p) * rows * (state + 2 * len);
    double miss = m->warm > 0 ? rl_kern_miss_all(m, set, c[U_KEEP], c[U_EDGE]) : 1;
    double memory = rl_kern_memory(m, bytes, miss, c[U_L2], c[U_DRAM]);
    double issue = c[U_TOKEN] * rows * len / (m->sm * m->clock_hz);

    fixed += c[U_CREEP] * us * log2(1 + rows / 512);
    report(part, fixed, issue, memory);
    return rl_kern_join(fixed, hypot(memory, issue), c[U_JOIN]);
}
