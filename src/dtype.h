/* Number formats: what a weight, a cache entry or an activation is stored in,
 * and what the arithmetic units compute it in. */
#ifndef RL_DTYPE_H
#define RL_DTYPE_H

/* Arithmetic units of a device, one FLOP rate each.  All rates are dense with
 * FP32 (INT32) accumulation. */
enum rl_unit {
    RL_FP32, /* vector units */
    RL_TF32,
    RL_FP16,
    RL_BF16,
    RL_FP8,
    RL_INT8,
    RL_FP4,
    RL_INT4,
    RL_NUNITS
};

enum rl_dtype {
    RL_DT_NONE, /* "none": e.g. a scan without initial or final state */
    RL_DT_FP32,
    RL_DT_TF32,
    RL_DT_BF16,
    RL_DT_FP16,
    RL_DT_FP8,
    RL_DT_FP8_BLOCK,
    RL_DT_INT8,
    RL_DT_W8A8_SQ,
    RL_DT_NVFP4,
    RL_DT_MXFP4,
    RL_DT_MXFP8,
    RL_DT_W8A16,
    RL_DT_W4A16,
    RL_DT_W4A16_MXFP4,
    RL_DT_W4A8_MXFP4_MXFP8,
    /* llama.cpp: block formats and the file mixes built of them */
    RL_DT_Q8_0,
    RL_DT_Q6_K,
    RL_DT_Q5_K,
    RL_DT_Q5_K_M,
    RL_DT_Q5_K_S,
    RL_DT_Q5_0,
    RL_DT_Q5_1,
    RL_DT_Q4_K,
    RL_DT_Q4_K_M,
    RL_DT_Q4_K_S,
    RL_DT_Q4_0,
    RL_DT_Q4_1,
    RL_DT_Q3_K,
    RL_DT_Q3_K_L,
    RL_DT_Q3_K_M,
    RL_DT_Q3_K_S,
    RL_DT_Q2_K,
    RL_DT_Q2_K_S,
    RL_DT_IQ4_NL,
    RL_DT_IQ4_XS,
    RL_NDTYPES
};

struct rl_dtype_info {
    const char *name;
    double bits;       /* stored bits per weight, scales included */
    enum rl_unit unit; /* what multiplies it at best */
    double act_bytes;  /* bytes of an activation element it is fed with */
    int weight_only;   /* dequantised to 16 bits before the multiply */
    const char *ref;   /* where the bits come from */
};

const struct rl_dtype_info *rl_dtype(enum rl_dtype dt);
double rl_dtype_bytes(enum rl_dtype dt); /* bits / 8 */
int rl_dtype_parse(const char *name);    /* -1: unknown */
/* The block format that most matrices of a llama.cpp recipe have (q4_k of q4_k_m);
 * others are their own. */
enum rl_dtype rl_dtype_base(enum rl_dtype dt);
const char *rl_unit_name(enum rl_unit u);

#endif
