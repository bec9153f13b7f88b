/* Block sizes of ggml's tensor types, from ggml/src/ggml-common.h (block structs)
 * and ggml.h (ids); a removed type (Q4_2, Q4_0_4_4 …) is unknown. */
#include "gguf.h"

#include <math.h>
#include <string.h>

static const struct rl_ggml_type types[RL_GGUF_NTYPES] = {
    [0] = {"F32", 1, 4, RL_DT_FP32},         [1] = {"F16", 1, 2, RL_DT_FP16},
    [2] = {"Q4_0", 32, 18, RL_DT_Q4_0},      [3] = {"Q4_1", 32, 20, RL_DT_Q4_1},
    [6] = {"Q5_0", 32, 22, RL_DT_Q5_0},      [7] = {"Q5_1", 32, 24, RL_DT_Q5_1},
    [8] = {"Q8_0", 32, 34, RL_DT_Q8_0},      [9] = {"Q8_1", 32, 36, RL_DT_Q8_0},
    [10] = {"Q2_K", 256, 84, RL_DT_Q2_K},    [11] = {"Q3_K", 256, 110, RL_DT_Q3_K},
    [12] = {"Q4_K", 256, 144, RL_DT_Q4_K},   [13] = {"Q5_K", 256, 176, RL_DT_Q5_K},
    [14] = {"Q6_K", 256, 210, RL_DT_Q6_K},   [15] = {"Q8_K", 256, 292, RL_DT_Q8_0},
    [16] = {"IQ2_XXS", 256, 66, RL_DT_NONE}, [17] = {"IQ2_XS", 256, 74, RL_DT_NONE},
    [18] = {"IQ3_XXS", 256, 98, RL_DT_NONE}, [19] = {"IQ1_S", 256, 50, RL_DT_NONE},
    [20] = {"IQ4_NL", 32, 18, RL_DT_IQ4_NL}, [21] = {"IQ3_S", 256, 110, RL_DT_NONE},
    [22] = {"IQ2_S", 256, 82, RL_DT_NONE},   [23] = {"IQ4_XS", 256, 136, RL_DT_IQ4_XS},
    [24] = {"I8", 1, 1, RL_DT_NONE},         [25] = {"I16", 1, 2, RL_DT_NONE},
    [26] = {"I32", 1, 4, RL_DT_NONE},        [27] = {"I64", 1, 8, RL_DT_NONE},
    [28] = {"F64", 1, 8, RL_DT_NONE},        [29] = {"IQ1_M", 256, 56, RL_DT_NONE},
    [30] = {"BF16", 1, 2, RL_DT_BF16},       [34] = {"TQ1_0", 256, 54, RL_DT_NONE},
    [35] = {"TQ2_0", 256, 66, RL_DT_NONE},   [39] = {"MXFP4", 32, 17, RL_DT_MXFP4},
    [40] = {"NVFP4", 64, 36, RL_DT_NVFP4},
};

const struct rl_ggml_type *rl_ggml_type(uint32_t type)
{
    return type < RL_GGUF_NTYPES && types[type].name ? &types[type] : NULL;
}

/* llama.cpp's LLAMA_FTYPE_* (include/llama.h); 0 is all F32. */
static enum rl_dtype file_type(json_int_t ftype)
{
    static const enum rl_dtype known[] = {
        [0] = RL_DT_FP32,    [1] = RL_DT_FP16,    [2] = RL_DT_Q4_0,
        [3] = RL_DT_Q4_1,    [7] = RL_DT_Q8_0,    [8] = RL_DT_Q5_0,
        [9] = RL_DT_Q5_1,    [10] = RL_DT_Q2_K,   [11] = RL_DT_Q3_K_S,
        [12] = RL_DT_Q3_K_M, [13] = RL_DT_Q3_K_L, [14] = RL_DT_Q4_K_S,
        [15] = RL_DT_Q4_K_M, [16] = RL_DT_Q5_K_S, [17] = RL_DT_Q5_K_M,
        [18] = RL_DT_Q6_K,   [25] = RL_DT_IQ4_NL, [30] = RL_DT_IQ4_XS,
        [21] = RL_DT_Q2_K_S, [32] = RL_DT_BF16,   [38] = RL_DT_MXFP4,
    };

    return ftype >= 0 && ftype < (json_int_t)(sizeof known / sizeof *known) ? known[ftype]
                                                                            : RL_DT_NONE;
}

/* The format with the nearest number of bits: decides which kernel model is asked
 * and what a decode step streams, never how large the weights are. */
static enum rl_dtype nearest(double bits)
{
    static const enum rl_dtype known[] = {
        RL_DT_Q2_K,   RL_DT_Q3_K,   RL_DT_Q3_K_M, RL_DT_IQ4_XS, RL_DT_Q4_K,
        RL_DT_Q4_K_S, RL_DT_Q4_K_M, RL_DT_Q5_K,   RL_DT_Q5_K_M, RL_DT_Q6_K,
        RL_DT_Q8_0,   RL_DT_FP16,   RL_DT_FP32};
    enum rl_dtype best = known[0];

    for (size_t i = 1; i < sizeof known / sizeof *known; i++)
        if (fabs(rl_dtype(known[i])->bits - bits) < fabs(rl_dtype(best)->bits - bits))
            best = known[i];
    return best;
}

/* The file's own mix where it is near enough, so that all classes ask one kernel. */
enum rl_dtype rl_gguf_class_dtype(const struct rl_gguf *g, enum rl_wclass c)
{
    enum rl_dtype file = rl_gguf_dtype(g), best;
    double bits;

    if (g->elems[c] <= 0)
        return RL_DT_NONE;
    bits = 8 * g->bytes[c] / g->elems[c];
    if (fabs(rl_dtype(file)->bits - bits) <= 0.03 * bits)
        return file;
    best = nearest(bits);
    return best == RL_DT_FP16 && g->type_bytes[30] > g->type_bytes[1] ? RL_DT_BF16 : best;
}

enum rl_dtype rl_gguf_dtype(const struct rl_gguf *g)
{
    const json_t *v = json_object_get(g->keys, "general.file_type");
    enum rl_dtype dt = v ? file_type(json_integer_value(v)) : RL_DT_NONE;
    uint32_t most = 0;

    if (dt != RL_DT_NONE)
        return dt;
    for (uint32_t i = 1; i < RL_GGUF_NTYPES; i++)
        if (g->type_bytes[i] > g->type_bytes[most])
            most = i;
    if (types[most].dtype != RL_DT_NONE)
        return types[most].dtype;
    return nearest(8.0 * types[most].bytes / types[most].block);
}

/* weight classes by tensor name (llama.cpp src/llama-arch.cpp) */

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* A block of the next-token-prediction head, which decoding does not run: those
 * come after the model's own blocks. */
static bool is_nextn(const struct rl_gguf *g, const char *name)
{
    const char *arch =
        json_string_value(json_object_get(g->keys, "general.architecture"));
    char key[128];
    json_int_t blocks, nextn;

    if (!starts(name, "blk.") || !arch)
        return false;
    snprintf(key, sizeof key, "%s.nextn_predict_layers", arch);
    nextn = json_integer_value(json_object_get(g->keys, key));
    snprintf(key, sizeof key, "%s.block_count", arch);
    blocks = json_integer_value(json_object_get(g->keys, key));
    return nextn > 0 && atoll(name + 4) >= blocks - nextn;
}

enum rl_wclass rl_gguf_wclass(const struct rl_gguf *g, const struct rl_gguf_tensor *t)
{
    const char *name = t->name;

    if (is_nextn(g, name))
        return RL_W_NONE;
    if (starts(name, "token_embd.") || starts(name, "per_layer_token_embd.") ||
        starts(name, "position_embd.") || starts(name, "token_types."))
        return RL_W_EMBED;
    if (strcmp(name, "output.weight") == 0)
        return RL_W_HEAD;
    if (strstr(name, "_exps.weight"))
        return RL_W_EXPERT;
    if (t->ndims == 1 || strstr(name, "norm") || strstr(name, "ffn_gate_inp") ||
        strstr(name, "conv") || strstr(name, "ssm_a") || strstr(name, "ssm_d.") ||
        strstr(name, "_lerp") || strstr(name, "rope_") || t->dim[0] == 1)
        return RL_W_SMALL;
    return RL_W_LINEAR;
}
