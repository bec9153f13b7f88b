/* The operators by name, and where each parameter lies in the array p[] that
 * work(), check() and time() take.  Order: the CONTRACT's ops schema first,
 * then extras that have a fallback.
 *
 * Counts are those of one rank: heads, n of a GEMM … are already divided under
 * tensor parallelism (moe divides by its own tp and ep).
 */
#ifndef RL_OPS_H
#define RL_OPS_H

#include "op.h"

/* Y[m,n] = X[m,k]·W[k,n].  X is in the format the unit takes (fp8 …): turning
 * 16-bit activations into it is the operator `quantize`. */
enum { RL_GEMM_M, RL_GEMM_N, RL_GEMM_K, RL_GEMM_DTYPE };
extern const struct rl_op_type rl_op_gemm;

/* Scaled dot-product attention.  q_len new tokens are the last of kv_len. */
enum {
    RL_ATT_BATCH,
    RL_ATT_Q_LEN,
    RL_ATT_KV_LEN,
    RL_ATT_HEADS,
    RL_ATT_KV_HEADS,
    RL_ATT_HEAD_DIM,
    RL_ATT_WINDOW, /* keys seen at most, own one included; 0: all */
    RL_ATT_DTYPE,
    RL_ATT_KV_DTYPE,
    RL_ATT_CAUSAL, /* 1; 0: every key (encoder, cross attention) */
    RL_ATT_V_DIM,  /* 0: as head_dim */
    RL_ATT_CHUNK,  /* keys of the query's own chunk only (Llama 4); 0: no chunks */
    RL_ATT_SINK,   /* first keys seen on top of the window (meta tokens) */
};
extern const struct rl_op_type rl_op_attention_prefill, rl_op_attention_decode;

/* The same call with the score matrix (or a dense mask) in memory: stacks
 * without a flash kernel.  Parameters of attention, and these two. */
enum { RL_ATT_SCORE_BYTES = RL_ATT_SINK + 1 };
extern const struct rl_op_type rl_op_attention_scores;

/* The same call through PyTorch's memory-efficient kernel: what SDPA takes once
 * there is a dense mask, or without one where flash does not take the call.
 * Parameters of attention. */
extern const struct rl_op_type rl_op_attention_masked, rl_op_attention_efficient;

/* (query, key) pairs of one head and sequence that the mask leaves. */
double rl_attention_pairs(double q_len, double kv_len, double window, double chunk,
                          int causal);
/* Elements of one head's V: `v_dim` of a call, 0 standing for its head_dim. */
double rl_attention_v_dim(const double *p);

/* Multi-head latent attention, the core: neither the up-projection kv_b nor
 * the two absorption products are inside (families emit them as gemm). */
enum {
    RL_MLA_BATCH,
    RL_MLA_Q_LEN,
    RL_MLA_KV_LEN,
    RL_MLA_HEADS,
    RL_MLA_KV_LORA_RANK,
    RL_MLA_ROPE_DIM,
    RL_MLA_NOPE_DIM,
    RL_MLA_V_DIM,
    RL_MLA_DTYPE,
    RL_MLA_KV_DTYPE,
    RL_MLA_TOPK,     /* keys the indexer lets through (DSA); 0: all */
    RL_MLA_ABSORBED, /* 1: on the latent (decode), 0: on decompressed heads */
};
extern const struct rl_op_type rl_op_mla_prefill, rl_op_mla_decode;

/* DSA's lightning indexer: scores every cached token, picks topk. */
enum {
    RL_DSA_BATCH,
    RL_DSA_Q_LEN,
    RL_DSA_KV_LEN,
    RL_DSA_HEADS,
    RL_DSA_HEAD_DIM,
    RL_DSA_DTYPE, /* of the index keys and the product */
};
extern const struct rl_op_type rl_op_dsa_indexer;

/* Mamba-1.  dt_rank is the width of the projection before it (a gemm). */
enum {
    RL_SS_BATCH,
    RL_SS_SEQ_LEN,
    RL_SS_CHANNELS,
    RL_SS_STATE,
    RL_SS_DT_RANK,
    RL_SS_DTYPE,
    RL_SS_STATE_DTYPE,
};
extern const struct rl_op_type rl_op_selective_scan, rl_op_selective_state_update;

/* Mamba-2 (state-space duality). */
enum {
    RL_SSD_BATCH,
    RL_SSD_SEQ_LEN,
    RL_SSD_HEADS,
    RL_SSD_HEAD_DIM,
    RL_SSD_STATE,
    RL_SSD_GROUPS,
    RL_SSD_CHUNK,
    RL_SSD_DTYPE,
    RL_SSD_STATE_DTYPE,
};
extern const struct rl_op_type rl_op_ssd_scan, rl_op_ssd_update;

/* Gated delta rule and Kimi delta attention. */
enum {
    RL_GDN_BATCH,
    RL_GDN_SEQ_LEN,
    RL_GDN_K_HEADS,
    RL_GDN_K_DIM,
    RL_GDN_V_HEADS,
    RL_GDN_V_DIM,
    RL_GDN_DTYPE,
    RL_GDN_STATE_DTYPE,     /* none: neither initial nor final state */
    RL_GDN_STATE_OUT_DTYPE, /* fallback: state_dtype */
};
extern const struct rl_op_type rl_op_gdn_scan, rl_op_gdn_update;
extern const struct rl_op_type rl_op_kda_scan, rl_op_kda_update;

/* Lightning attention, RWKV-6, RWKV-7, mLSTM: a k_dim × v_dim state per head. */
enum {
    RL_LIN_BATCH,
    RL_LIN_SEQ_LEN,
    RL_LIN_HEADS,
    RL_LIN_K_DIM,
    RL_LIN_V_DIM,
    RL_LIN_DTYPE,
    RL_LIN_STATE_DTYPE,
    RL_LIN_CHUNK, /* tokens of one chunk of the scan; fallback by kind */
};
extern const struct rl_op_type rl_op_lightning_scan, rl_op_lightning_update;
extern const struct rl_op_type rl_op_rwkv6_scan, rl_op_rwkv6_update;
extern const struct rl_op_type rl_op_rwkv7_scan, rl_op_rwkv7_update;
extern const struct rl_op_type rl_op_mlstm_scan, rl_op_mlstm_update;

/* RG-LRU (Griffin): one state per channel; its gates' products are gemm. */
enum {
    RL_LRU_BATCH,
    RL_LRU_SEQ_LEN,
    RL_LRU_CHANNELS,
    RL_LRU_DTYPE,
    RL_LRU_STATE_DTYPE,
};
extern const struct rl_op_type rl_op_rglru_scan, rl_op_rglru_update;

/* Causal depthwise convolution. */
enum {
    RL_CONV_BATCH,
    RL_CONV_SEQ_LEN,
    RL_CONV_CHANNELS,
    RL_CONV_WIDTH,
    RL_CONV_DTYPE,
};
extern const struct rl_op_type rl_op_conv1d, rl_op_conv1d_update;

/* Routed experts: grouped GEMMs and their glue, of one rank. */
enum {
    RL_MOE_TOKENS,
    RL_MOE_HIDDEN,
    RL_MOE_INTER,
    RL_MOE_TOPK,
    RL_MOE_EXPERTS,
    RL_MOE_MATRICES, /* 3: gated, 2: not */
    RL_MOE_TP,
    RL_MOE_EP,
    RL_MOE_ROUTING, /* 0: balanced (even); -1: uniform (random, what models
                       use); A: power_law_A */
    RL_MOE_DTYPE,
};
extern const struct rl_op_type rl_op_moe;

/* Different experts that `tokens` tokens with `topk` choices each touch among
 * `experts`; routing as RL_MOE_ROUTING. */
double rl_moe_distinct(double tokens, double topk, double experts, double routing);
#define RL_ROUTING_UNIFORM (-1.0)

enum { RL_COMM_GPUS, RL_COMM_BYTES };
extern const struct rl_op_type rl_op_all_reduce, rl_op_all_gather;
extern const struct rl_op_type rl_op_reduce_scatter, rl_op_alltoall;

/* Glue: rows × width elements. */
enum { RL_GLUE_ROWS, RL_GLUE_WIDTH, RL_GLUE_DTYPE };
enum {
    RL_NORM_GATED = RL_GLUE_DTYPE + 1, /* 1: · silu(z), z read too */
    RL_NORM_RESIDUAL, /* 1: x += residual first, written back (4 passes) */
};
enum {
    RL_EW_READS = RL_GLUE_DTYPE + 1, /* per element of the output */
    RL_EW_WRITES,
    RL_EW_FLOPS,
    RL_EW_SFU,
};
enum { RL_EMB_OUT_DTYPE = RL_GLUE_DTYPE + 1 };     /* dtype: of the table */
enum { RL_KVA_KV_DTYPE = RL_GLUE_DTYPE + 1 };      /* width: elements of one token */
enum { RL_SAMPLING_PASSES = RL_GLUE_DTYPE + 1 };   /* over the logits; 1: greedy */
enum { RL_QUANTIZE_IN_DTYPE = RL_GLUE_DTYPE + 1 }; /* dtype: the format made */
extern const struct rl_op_type rl_op_norm, rl_op_elementwise, rl_op_embedding;
extern const struct rl_op_type rl_op_rope, rl_op_softmax, rl_op_kv_append;
extern const struct rl_op_type rl_op_sampling, rl_op_quantize;

#endif
