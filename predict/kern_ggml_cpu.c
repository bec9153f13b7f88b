/* Kernel models of ggml's CPU back end.
 *
 * Rates are relative to the cores' FP32 FMA peak (SIMD width × clock × cores at
 * work, at most 256 bits) or in clocks per element and core, so that they carry over
 * to another CPU; how many threads run is in the machine (rl_plan_bind).
 * gemm: one row is a walk over the weights, bound by the dot product of their
 * block format (`hot`, seen when they lie in cache) and by DRAM; how far the two
 * overlap is the core's (machine.overlap).  More rows reach `rate` of the FMA peak,
 * half of it at `half` rows, less for a short K.
 * attention: every query head walks K and V itself (no saving by grouped
 * queries); the flash kernel skips masked tiles, the other one computes all.  With
 * one query its values are added up in FP16, four vectors at a time; what does not
 * fill four is done element by element, through a table.
 * Scans walk token by token, with the state in cache; a decode step streams it,
 * and copies it back: four passes.  Element-wise work costs clocks per element.
 * Every ggml node costs a barrier between the threads.
 * Fitted to single kernels of ggml 0.18.1 on a Zen 4 guest (8 KiB to 550 MB, 1
 * and 2 threads), held against those of ggml 0.25.3 on a Xeon guest;
 * docs/models-llamacpp.md.
 * Ignored: NUMA, hyper-threads, clocks that fall with vector width.
 */
#include "kern_impl.h"
#include "op_util.h"

static double core_clocks(const struct rl_machine *m)
{
    return m->sm * m->clock_hz;
}

/* The kernels do the same work a clock whether the FMA units have 256 or 512 bits
 * (32 or 64 FLOP/clk): conversions and integer dot products bound them. */
static double fma_peak(const struct rl_machine *m)
{
    return fmin(m->peak[RL_FP32], 32 * core_clocks(m));
}

/* Seconds of a walk over bytes of DRAM with arithmetic on the way: each core waits for
 * what it draws itself, all of them for the channels.  share: of both rates. */
static double walk_s(const struct rl_machine *m, double compute, double bytes,
                     double share)
{
    double own = rl_join(compute, bytes / (share * m->dram_cores), m->overlap);
    return rl_join(own, bytes / (share * m->dram_channels), RL_CHANNEL_JOIN);
}

static void set_part(double *part, double compute, double memory, double launch)
{
    if (!part)
        return;
    part[RL_B_COMPUTE] = compute;
    part[RL_B_MEMORY] = memory;
    part[RL_B_LAUNCH] = launch;
}

/* Barriers of n nodes: nothing for one thread. */
static double nodes_s(const struct rl_machine *m, double n, double one_us)
{
    return n * (m->sm > 1 ? m->gap_s : 1e-6 * one_us);
}

/* matrices */

enum { G_RATE, G_HALF, G_SHORT, G_HOT, G_DRAM, G_NODE };

static const struct rl_coef gemm_coef[] = {
    {"rate", "1", RL_C_LOG, 0.8, 0.05, 4, 0.3, "FP32 FMA peak reached by many rows"},
    {"half", "rows", RL_C_LOG, 3.5, 0.5, 64, 0.3, "rows that reach half of it"},
    {"short", "1", RL_C_LOG, 100, 1, 1000, 0.3, "K at which a dot product loses half"},
    {"hot", "B/FLOP", RL_C_LOG, 0.2, 0.02, 2, 0.3, "weights walked per peak FMA FLOP"},
    {"dram", "1", RL_C_LOG, 0.85, 0.3, 1.1, 0.1, "sustained DRAM rate reached"},
    {"node", "us", RL_C_LOG, 0.06, 0, 10, 0.3, "one node, one thread"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* BF16 has a vector instruction of its own where the CPU has one, of twice the FMA
 * rate on Zen 4.  ggml does not use matrix units (AMX, many times that): a part with
 * those was seen to run it at the FMA rate (Xeon guest: 28 of 30 FLOP/clk). */
static double matrix_peak(const struct rl_machine *m, enum rl_dtype t)
{
    double fma = fma_peak(m), own = m->peak[RL_BF16];
    return t != RL_DT_BF16 ? fma : own > 4 * fma ? fma : fmin(2 * fma, own);
}

static double gemm_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    double rows = p[RL_GEMM_M], n = p[RL_GEMM_N], k = p[RL_GEMM_K];
    double bytes = n * k * rl_dtype_bytes((enum rl_dtype)p[RL_GEMM_DTYPE]);
    double peak = matrix_peak(m, (enum rl_dtype)p[RL_GEMM_DTYPE]);
    double compute = bytes / (c[G_HOT] * fma_peak(m));
    double node = nodes_s(m, 1, c[G_NODE]);

    if (rows > 1)
        compute = 2 * rows * n * k / (c[G_RATE] * peak) * (1 + c[G_HALF] / rows) *
                  (1 + c[G_SHORT] / k);
    set_part(part, compute, bytes / (c[G_DRAM] * m->dram), node);
    return node + walk_s(m, compute, bytes, c[G_DRAM]);
}

/* Experts: a thread takes rows of weights, so no tile of tokens is left empty. */
static double moe_time(const double *p, const struct rl_machine *m, const double *c,
                       double part[RL_NBOUNDS])
{
    double s = rl_ggml_experts(p, 0, gemm_time, m, c, part);
    double node = nodes_s(m, 2 + p[RL_MOE_TOPK], c[G_NODE]);
    double passed = 4 * rl_ggml_expert_glue(p) / fmax(m->l2_bw, m->dram);

    if (part) {
        part[RL_B_LAUNCH] += node;
        part[RL_B_MEMORY] += passed;
    }
    return s + node + passed;
}

/* attention */

enum { A_NODE, A_NODES, A_RATE, A_ONE, A_LONG, A_NATIVE, A_ODD };

#define ATTENTION(one, nodes)                                                            \
    {"node", "us", RL_C_LOG, 0.06, 0, 10, 0.3, "one node, one thread"},                  \
        {"nodes", "1", RL_C_LINEAR, nodes, 1, 20, 0, "ggml nodes of one call"},          \
        {"rate", "1", RL_C_LOG, 0.31, 0.02, 1, 0.3, "FP32 FMA peak reached in prefill"}, \
    {                                                                                    \
        "one", "1", RL_C_LOG, one, 0.02, 1, 0.3, "the same with one query"               \
    }

static const struct rl_coef flash_coef[] = {
    ATTENTION(0.12, 2),
    {"long", "1", RL_C_LOG, 14000, 1000, 1e9, 0.5,
     "cache length from which its time is doubled"},
    {"native", "1", RL_C_LOG, 2.2, 1, 4, 0.3, "times faster with FP16 arithmetic"},
    {"odd", "clk", RL_C_LOG, 4.4, 0.1, 20, 0.3, "a value that fills no four vectors"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

static const struct rl_coef scores_coef[] = {
    ATTENTION(0.18, 5),
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* Query-key pairs of all heads and sequences. */
static double all_pairs(const double *p, double pairs)
{
    return p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * pairs;
}

/* Seconds of 2 FLOP for every pair and each of `elements` of K and V. */
static double flop_s(const double *p, const struct rl_machine *m, double pairs,
                     double elements, double rate)
{
    return 2 * all_pairs(p, pairs) * elements / (rate * fma_peak(m));
}

static double attention_s(const double *p, const struct rl_machine *m, const double *c,
                          double compute, double part[RL_NBOUNDS])
{
    double bytes = p[RL_ATT_BATCH] * p[RL_ATT_KV_HEADS] * p[RL_ATT_KV_LEN] *
                   (p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p)) *
                   rl_dtype_bytes((enum rl_dtype)p[RL_ATT_KV_DTYPE]);
    double node = nodes_s(m, c[A_NODES], c[A_NODE]);

    set_part(part, compute, bytes / m->dram, node);
    return node + walk_s(m, compute, bytes, 1);
}

/* One query over its cache.  A CPU that computes in FP16 takes steps of four of its
 * vectors (ggml's simd-mappings.h: 128 values at 512 bits, so heads of 64 fill none). */
static double flash_one_s(const double *p, const struct rl_machine *m, const double *c,
                          double pairs)
{
    double elements = p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p),
           step = 4 * m->fp16_bits / 16;
    if (!(step > 0))
        return flop_s(p, m, pairs, elements, c[A_ONE]);
    double odd = fmod(rl_attention_v_dim(p), step);
    return flop_s(p, m, pairs, elements - odd, c[A_ONE] * c[A_NATIVE]) +
           all_pairs(p, pairs) * odd * c[A_ODD] / core_clocks(m);
}

static double flash_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    double pairs = rl_attention_pairs(p[RL_ATT_Q_LEN], p[RL_ATT_KV_LEN], p[RL_ATT_WINDOW],
                                      p[RL_ATT_CHUNK], p[RL_ATT_CAUSAL] != 0);
    double compute =
        p[RL_ATT_Q_LEN] < 2
            ? flash_one_s(p, m, c, pairs)
            : flop_s(p, m, pairs, p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p),
                     c[A_RATE] / (1 + fmin(p[RL_ATT_KV_LEN] / c[A_LONG], 1)));
    return attention_s(p, m, c, compute, part);
}

static double scores_time(const double *p, const struct rl_machine *m, const double *c,
                          double part[RL_NBOUNDS])
{
    double compute = flop_s(p, m, p[RL_ATT_Q_LEN] * p[RL_ATT_KV_LEN],
                            p[RL_ATT_HEAD_DIM] + rl_attention_v_dim(p),
                            c[p[RL_ATT_Q_LEN] < 2 ? A_ONE : A_RATE]);
    return attention_s(p, m, c, compute, part);
}

/* element-wise */

enum { E_CLOCKS, E_BYTES, E_NODES, E_NODE };

#define GLUE(clocks, bytes, nodes)                                                       \
    {                                                                                    \
        {"clocks", "clk", RL_C_LOG, clocks, 0.1, 100, 0.3, "per element and core"},      \
            {"bytes", "B", RL_C_LINEAR, bytes, 0, 64, 0, "through cache or memory"},     \
            {"nodes", "1", RL_C_LINEAR, nodes, 0, 20, 0, "ggml nodes of one call"},      \
            {"node", "us", RL_C_LOG, 0.06, 0, 10, 0.3, "one node, one thread"},          \
        {                                                                                \
            NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL                                       \
        }                                                                                \
    }

/* rms_norm 1.0 and mul 0.12 ns; add 0.16; rope 0.6 of Q and K; to fp16 0.15 */
static const struct rl_coef norm_coef[] = GLUE(4.1, 16, 2);
static const struct rl_coef elementwise_coef[] = GLUE(0.6, 12, 1);
static const struct rl_coef rope_coef[] = GLUE(2.2, 8, 2);
static const struct rl_coef append_coef[] = GLUE(0.55, 6, 2);
/* concat with the cached tokens 1.0 ns, ssm_conv 5.2-7.9, silu 0.25, copy 0.15 */
static const struct rl_coef conv_coef[] = GLUE(31, 24, 4);

static double glue_s(const struct rl_machine *m, const double *c, double elements,
                     double part[RL_NBOUNDS])
{
    double compute = elements * c[E_CLOCKS] / core_clocks(m);
    double bytes = elements * c[E_BYTES];
    double node = nodes_s(m, c[E_NODES], c[E_NODE]),
           cached = bytes / fmax(m->l2_bw, m->dram);

    if (bytes < 0.5 * m->l2_bytes) {
        set_part(part, compute, cached, node);
        return node + rl_join(compute, cached, 3);
    }
    set_part(part, compute, bytes / m->dram, node);
    return node + walk_s(m, compute, bytes, 1);
}

static double glue_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    return glue_s(m, c, p[RL_GLUE_ROWS] * p[RL_GLUE_WIDTH], part);
}

static double conv_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    return glue_s(m, c, p[RL_CONV_BATCH] * p[RL_CONV_SEQ_LEN] * p[RL_CONV_CHANNELS],
                  part);
}

/* recurrent layers */

enum { S_CLOCKS, S_SKIP, S_DRAM, S_NODES, S_NODE };

#define SCAN(clocks, skip, nodes)                                                         \
    {                                                                                     \
        {"clocks", "clk", RL_C_LOG, clocks,                                               \
         0.05,     100,   0.3,      "per state element, token and core"},                 \
            {"skip", "clk", RL_C_LOG, skip, 0.1, 100, 0.3, "per channel and token: D·x"}, \
            {"dram", "1", RL_C_LOG, 0.8, 0.3, 1.1, 0.1, "sustained DRAM rate reached"},   \
            {"nodes", "1", RL_C_LINEAR, nodes, 0, 20, 0, "ggml nodes of one call"},       \
            {"node", "us", RL_C_LOG, 0.06, 0, 10, 0.3, "one node, one thread"},           \
        {                                                                                 \
            NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL                                        \
        }                                                                                 \
    }

/* Mamba-1: scalar expf, 5.3 ns; Mamba-2: 0.094 ns, D·x broadcasts one element a
 * head (3.5 ns); gated delta rule 0.23 ns */
static const struct rl_coef scan1_coef[] = SCAN(19.4, 2, 8);
static const struct rl_coef scan2_coef[] = SCAN(0.344, 12.8, 8);
static const struct rl_coef delta_coef[] = SCAN(0.85, 2, 12);

static double scan_s(const struct rl_machine *m, const double *c, double sequences,
                     double tokens, double channels, double state,
                     double part[RL_NBOUNDS])
{
    double elements = sequences * channels * state, clocks = core_clocks(m);
    double compute =
        (elements * c[S_CLOCKS] + sequences * channels * c[S_SKIP]) * tokens / clocks;
    double bytes = 4 * 4 * elements; /* fp32: read, scratch, back */
    double node = nodes_s(m, c[S_NODES], c[S_NODE]);

    set_part(part, compute, bytes / (c[S_DRAM] * m->dram), node);
    return node + walk_s(m, compute, bytes, c[S_DRAM]);
}

static double scan1_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    return scan_s(m, c, p[RL_SS_BATCH], p[RL_SS_SEQ_LEN], p[RL_SS_CHANNELS],
                  p[RL_SS_STATE], part);
}

static double scan2_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    return scan_s(m, c, p[RL_SSD_BATCH], p[RL_SSD_SEQ_LEN],
                  p[RL_SSD_HEADS] * p[RL_SSD_HEAD_DIM], p[RL_SSD_STATE], part);
}

static double delta_time(const double *p, const struct rl_machine *m, const double *c,
                         double part[RL_NBOUNDS])
{
    return scan_s(m, c, p[RL_GDN_BATCH], p[RL_GDN_SEQ_LEN],
                  p[RL_GDN_V_HEADS] * p[RL_GDN_V_DIM], p[RL_GDN_K_DIM], part);
}

const struct rl_impl rl_ggml_cpu[] = {
    {"ggml", &rl_op_gemm, 1, gemm_coef, gemm_time, 0.1, NULL},
    {"ggml", &rl_op_moe, 1, gemm_coef, moe_time, 0.3, NULL, "gemm"},
    {"ggml", &rl_op_attention_prefill, 1, flash_coef, flash_time, 0.15, NULL},
    {"ggml", &rl_op_attention_decode, 1, flash_coef, flash_time, 0.15, NULL},
    {"ggml", &rl_op_attention_scores, 1, scores_coef, scores_time, 0.15, NULL},
    {"ggml", &rl_op_norm, 1, norm_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_elementwise, 1, elementwise_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_rope, 1, rope_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_kv_append, 1, append_coef, glue_time, 0.25, NULL},
    {"ggml", &rl_op_selective_scan, 1, scan1_coef, scan1_time, 0.12, NULL},
    {"ggml", &rl_op_selective_state_update, 1, scan1_coef, scan1_time, 0.2, NULL},
    {"ggml", &rl_op_ssd_scan, 1, scan2_coef, scan2_time, 0.12, NULL},
    {"ggml", &rl_op_ssd_update, 1, scan2_coef, scan2_time, 0.2, NULL},
    {"ggml", &rl_op_gdn_scan, 1, delta_coef, delta_time, 0.2, NULL},
    {"ggml", &rl_op_gdn_update, 1, delta_coef, delta_time, 0.3, NULL},
    {"ggml", &rl_op_conv1d, 1, conv_coef, conv_time, 0.2, NULL},
    {"ggml", &rl_op_conv1d_update, 1, conv_coef, conv_time, 0.3, NULL},
    {NULL, NULL, 0, NULL, NULL, 0, NULL},
};
