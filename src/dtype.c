/* Number formats: one row each.
 *
 * Bits are those of the stored weights, scales and zero points included, in a
 * large matrix (a scale per tensor or per channel vanishes).  llama.cpp names
 * either a block format, whose bits are exact, or a recipe that mixes formats
 * over the tensors of a file (q4_k_m); a recipe's bits depend on the model, and
 * the row holds the average over the matrices in Llama-3.1-8B's layers: the
 * output matrix is q6_k in all of them, the embedding table the recipe's base.
 * A GGUF file gives exact bytes.
 */
#include "dtype.h"

#include <stddef.h>
#include <strings.h>

#define IEEE "IEEE 754"
#define GGML "ggml-common.h: bytes per block"
/* (bits/weight x 8,030,261,248 - 525,336,576 x (6.5625 + base) - norms) over the
 * 6,979,321,856 weights of the layers; q4_k_m and q5_k_s by the recipe in
 * src/llama-quant.cpp, which the table agrees with to the fourth digit */
#define MIX "llama.cpp tools/quantize/README.md: Llama-3.1-8B, less table and output"
#define OCP "OCP Microscaling Formats v1.0: 32 elements, 8-bit scale"

/* Activations meet llama.cpp's quantised weights as q8_1: 36 bytes per 32. */
#define Q8_1 (36.0 / 32)

static const struct rl_dtype_info table[RL_NDTYPES] = {
    [RL_DT_NONE] = {"none", 0, RL_FP32, 0, 0, "absent"},
    [RL_DT_FP32] = {"fp32", 32, RL_FP32, 4, 0, IEEE},
    [RL_DT_TF32] = {"tf32", 32, RL_TF32, 4, 0, "stored as fp32"},
    [RL_DT_BF16] = {"bf16", 16, RL_BF16, 2, 0, "fp32 without 16 mantissa bits"},
    [RL_DT_FP16] = {"fp16", 16, RL_FP16, 2, 0, IEEE},
    [RL_DT_FP8] = {"fp8", 8, RL_FP8, 1, 0, "e4m3, scale per tensor or channel"},
    [RL_DT_FP8_BLOCK] = {"fp8_block", 8 + 32.0 / (128 * 128), RL_FP8, 1 + 4.0 / 128, 0,
                         "DeepSeek-V3: fp32 scale per 128x128, activations per 128"},
    [RL_DT_INT8] = {"int8", 8, RL_INT8, 1, 0, "scale per channel"},
    [RL_DT_W8A8_SQ] = {"w8a8_sq", 8, RL_INT8, 1, 0, "SmoothQuant, scale per channel"},
    [RL_DT_NVFP4] = {"nvfp4", 4 + 8.0 / 16, RL_FP4, (4 + 8.0 / 16) / 8, 0,
                     "NVIDIA: fp8 scale per 16 elements"},
    [RL_DT_MXFP4] = {"mxfp4", 4.25, RL_FP4, 4.25 / 8, 0, OCP},
    [RL_DT_MXFP8] = {"mxfp8", 8.25, RL_FP8, 8.25 / 8, 0, OCP},
    [RL_DT_W8A16] = {"w8a16", 8, RL_BF16, 2, 1, "int8 weights, scale per channel"},
    [RL_DT_W4A16] = {"w4a16", 4 + (16 + 4.0) / 128, RL_BF16, 2, 1,
                     "AWQ, GPTQ at group 128: fp16 scale and 4-bit zero point"},
    [RL_DT_W4A16_MXFP4] = {"w4a16_mxfp4", 4.25, RL_BF16, 2, 1, OCP},
    [RL_DT_W4A8_MXFP4_MXFP8] = {"w4a8_mxfp4_mxfp8", 4.25, RL_FP8, 8.25 / 8, 0, OCP},
    [RL_DT_Q8_0] = {"q8_0", 34.0 * 8 / 32, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q6_K] = {"q6_k", 210.0 * 8 / 256, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q5_K] = {"q5_k", 176.0 * 8 / 256, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q5_K_M] = {"q5_k_m", 5.6533, RL_INT8, Q8_1, 0, MIX},
    [RL_DT_Q5_K_S] = {"q5_k_s", 5.5, RL_INT8, Q8_1, 0, MIX},
    [RL_DT_Q5_0] = {"q5_0", 22.0 * 8 / 32, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q5_1] = {"q5_1", 24.0 * 8 / 32, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q4_K] = {"q4_k", 144.0 * 8 / 256, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q4_K_M] = {"q4_k_m", 4.7975, RL_INT8, Q8_1, 0, MIX},
    [RL_DT_Q4_K_S] = {"q4_k_s", 4.5361, RL_INT8, Q8_1, 0, MIX},
    [RL_DT_Q4_0] = {"q4_0", 18.0 * 8 / 32, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q4_1] = {"q4_1", 20.0 * 8 / 32, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q3_K] = {"q3_k", 110.0 * 8 / 256, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q3_K_L] = {"q3_k_l", 4.1911, RL_INT8, Q8_1, 0, MIX},
    /* not in that table; summed over Llama-3.1-8B's layers: down, o and v q4_k (two
     * layers q5_k), everything else q3_k */
    [RL_DT_Q3_K_M] = {"q3_k_m", 3.84375, RL_INT8, Q8_1, 0,
                      "summed over Llama-3.1-8B by llama.cpp's recipe"},
    [RL_DT_Q3_K_S] = {"q3_k_s", 110.0 * 8 / 256, RL_INT8, Q8_1, 0, MIX},
    [RL_DT_Q2_K] = {"q2_k", 84.0 * 8 / 256, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_Q2_K_S] = {"q2_k_s", 2.7241, RL_INT8, Q8_1, 0, MIX},
    [RL_DT_IQ4_NL] = {"iq4_nl", 18.0 * 8 / 32, RL_INT8, Q8_1, 0, GGML},
    [RL_DT_IQ4_XS] = {"iq4_xs", 136.0 * 8 / 256, RL_INT8, Q8_1, 0, GGML},
};

const struct rl_dtype_info *rl_dtype(enum rl_dtype dt)
{
    return &table[(unsigned)dt < RL_NDTYPES ? dt : RL_DT_NONE];
}

double rl_dtype_bytes(enum rl_dtype dt)
{
    return rl_dtype(dt)->bits / 8;
}

enum rl_dtype rl_dtype_base(enum rl_dtype dt)
{
    switch (dt) {
    case RL_DT_Q5_K_M:
    case RL_DT_Q5_K_S:
        return RL_DT_Q5_K;
    case RL_DT_Q4_K_M:
    case RL_DT_Q4_K_S:
        return RL_DT_Q4_K;
    case RL_DT_Q3_K_L:
    case RL_DT_Q3_K_M:
    case RL_DT_Q3_K_S:
        return RL_DT_Q3_K;
    case RL_DT_Q2_K_S:
        return RL_DT_Q2_K;
    default:
        return dt;
    }
}

/* Names as the CONTRACT has them, in any case (Q4_K_M), and as checkpoints
 * and GGUF files spell the plain ones. */
int rl_dtype_parse(const char *name)
{
    static const struct {
        const char *name;
        enum rl_dtype dt;
    } alias[] = {
        {"float32", RL_DT_FP32}, {"f32", RL_DT_FP32},     {"float16", RL_DT_FP16},
        {"half", RL_DT_FP16},    {"f16", RL_DT_FP16},     {"bfloat16", RL_DT_BF16},
        {"fp8_e4m3", RL_DT_FP8}, {"fp8_e5m2", RL_DT_FP8},
    };

    for (int i = 0; i < RL_NDTYPES; i++)
        if (strcasecmp(name, table[i].name) == 0)
            return i;
    for (size_t i = 0; i < sizeof alias / sizeof *alias; i++)
        if (strcasecmp(name, alias[i].name) == 0)
            return (int)alias[i].dt;
    return -1;
}

const char *rl_unit_name(enum rl_unit u)
{
    static const char *const name[RL_NUNITS] = {
        [RL_FP32] = "fp32", [RL_TF32] = "tf32", [RL_FP16] = "fp16", [RL_BF16] = "bf16",
        [RL_FP8] = "fp8",   [RL_INT8] = "int8", [RL_FP4] = "fp4",   [RL_INT4] = "int4",
    };
    return (unsigned)u < RL_NUNITS ? name[u] : "unknown";
}
