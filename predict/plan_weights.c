/* What the weights take in memory and which format a matrix really has: the
 * rules by which llama.cpp's quantiser and CPU back end depart from the format a
 * file is named after.
 */
#include "ops.h"
#include "plan.h"

#include <math.h>
#include <string.h>

bool rl_word_in(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = list; s && *s;) {
        size_t len = strcspn(s, " ");
        if (len == n && !strncmp(s, word, n))
            return true;
        s += len + strspn(s + len, " ");
    }
    return false;
}

/* Blocks of 256 need rows of a multiple of 256: llama.cpp quantises other tensors
 * to a format with blocks of 32 (llama-quant.cpp, tensor_type_fallback). */
enum rl_dtype rl_row_dtype(enum rl_dtype dt, double row)
{
    if (dt < RL_DT_Q8_0 || fmod(row, 256) == 0)
        return dt;
    switch (rl_dtype_base(dt)) {
    case RL_DT_Q2_K:
    case RL_DT_Q3_K:
    case RL_DT_IQ4_XS:
        return RL_DT_IQ4_NL;
    case RL_DT_Q4_K:
        return RL_DT_Q5_0;
    case RL_DT_Q5_K:
        return RL_DT_Q5_1;
    case RL_DT_Q6_K:
        return RL_DT_Q8_0;
    default:
        return dt;
    }
}

/* Bytes per weight of a class: the mean over its matrices. */
static void bind_weight_bytes(struct rl_plan *pl)
{
    double bytes[RL_NWCLASSES] = {0}, weights[RL_NWCLASSES] = {0};

    for (int i = 0; i < pl->nnodes; i++) {
        const struct rl_bound_node *b = &pl->node[i];
        double w = b->node->weights * b->node->count;
        if (b->op != &rl_op_gemm || !(b->phase & RL_DECODE))
            continue;
        bytes[b->node->wclass] += w * rl_dtype_bytes((enum rl_dtype)b->p[RL_GEMM_DTYPE]);
        weights[b->node->wclass] += w;
    }
    for (int c = 0; c < RL_NWCLASSES; c++)
        pl->wbytes[c] =
            weights[c] > 0 ? bytes[c] / weights[c] : rl_dtype_bytes(pl->wdtype[c]);
    pl->wbytes[RL_W_SMALL] = rl_dtype_bytes(pl->wdtype[RL_W_SMALL]);
    pl->wbytes[RL_W_EMBED] =
        rl_dtype_bytes(rl_row_dtype(pl->wdtype[RL_W_EMBED], pl->model->graph.hidden));
}

/* ggml's CPU kernels for some block formats want rows interleaved by eight: a
 * second copy of the matrices beside the mapped file.  In the mixes a part of
 * the tensors is kept in a finer format that is not rearranged. */
static double repacked_bytes(const struct rl_plan *pl)
{
    const char *formats = rl_runtime_str(pl->runtime, "repack", NULL);
    double mix = rl_runtime_num(pl->runtime, "repack.mix", 1), bytes = 0;

    for (int i = 0; i < pl->nnodes; i++) {
        const struct rl_bound_node *b = &pl->node[i];
        int at = rl_op_param(b->op, "dtype");
        bool linear = b->node->wclass == RL_W_LINEAR || b->node->wclass == RL_W_EXPERT;
        if (!(b->phase & RL_DECODE) || !linear || at < 0)
            continue;
        enum rl_dtype dt = (enum rl_dtype)b->p[at];
        if (rl_word_in(formats, rl_dtype(dt)->name))
            bytes += b->node->weights * b->node->count * rl_dtype_bytes(dt) *
                     (dt == RL_DT_Q4_K_M ? mix : 1);
    }
    return bytes;
}

void rl_plan_weights(struct rl_plan *pl)
{
    bind_weight_bytes(pl);
    pl->mem.repack = repacked_bytes(pl);
}
