/* Glue between the large operators: rows × width elements passed once through a
 * fused kernel.  All are bound by memory; the counts are bytes in and out, and a
 * few vector FLOP per element.
 *
 *   norm        RMSNorm (arXiv 1910.07467): square, sum, scale, weight
 *   elementwise reads and writes per element as given (act·mul, residual …)
 *   embedding   a gather: one row of the table per token, not a product
 *   rope        rotation of pairs (arXiv 2104.09864): 3 FLOP per element; width
 *               = (query + key heads) · rotated width
 *   softmax     maximum, subtraction, exp, sum, scale
 *   kv_append   new keys and values into the cache, in its format; width = their
 *               elements per token
 *   sampling    passes over the logits (greedy 1, top-p several)
 *   quantize    16-bit activations into the format a narrow GEMM takes, with
 *               its scales
 * Ignores: unfused eager variants (the runtime's factor), cos and sin tables.
 */
#include "op_util.h"

static const double block = 1024.0;     /* elements of one block of a map */
static const double row_block = 4096.0; /* … of a reduction along a row */

static double elems(const double *p)
{
    return p[RL_GLUE_ROWS] * p[RL_GLUE_WIDTH];
}

/* What all share: bytes in or out of memory, and work per element. */
static void stream(const double *p, struct rl_work *w, double bytes, double flop,
                   double sfu)
{
    w->unit = RL_FP32;
    w->vector_flop = flop;
    w->sfu = sfu;
    w->act_bytes = bytes;
    w->l2_bytes = bytes;
    w->parallel = ceil(elems(p) / block);
    w->launches = 1.0;
}

/* A reduction along each row: its blocks are fewer. */
static void stream_rows(const double *p, struct rl_work *w, double bytes, double flop,
                        double sfu)
{
    stream(p, w, bytes, flop, sfu);
    w->parallel = p[RL_GLUE_ROWS] * ceil(p[RL_GLUE_WIDTH] / row_block);
}

static void norm_work(const double *p, struct rl_work *w)
{
    double n = elems(p), gated = p[RL_NORM_GATED], residual = p[RL_NORM_RESIDUAL];
    double a = rl_out_bytes(p[RL_GLUE_DTYPE]);

    stream_rows(p, w, n * a * (2.0 + gated + 2.0 * residual),
                n * (4.0 + 2.0 * gated + residual), p[RL_GLUE_ROWS] + 2.0 * gated * n);
    w->weight_bytes = p[RL_GLUE_WIDTH] * a;
}

static void elementwise_work(const double *p, struct rl_work *w)
{
    double n = elems(p), a = rl_out_bytes(p[RL_GLUE_DTYPE]);

    stream(p, w, n * a * (p[RL_EW_READS] + p[RL_EW_WRITES]), n * p[RL_EW_FLOPS],
           n * p[RL_EW_SFU]);
}

static void embedding_work(const double *p, struct rl_work *w)
{
    double n = elems(p), table = rl_cell_bytes(p[RL_GLUE_DTYPE]);

    stream(p, w, n * rl_out_bytes(p[RL_EMB_OUT_DTYPE]), 0.0, 0.0);
    w->weight_bytes = n * table;
    w->l2_bytes += n * table;
}

static void rope_work(const double *p, struct rl_work *w)
{
    double n = elems(p);

    stream(p, w, 2.0 * n * rl_out_bytes(p[RL_GLUE_DTYPE]), 3.0 * n, 0.0);
}

static void softmax_work(const double *p, struct rl_work *w)
{
    double n = elems(p);

    stream_rows(p, w, 2.0 * n * rl_out_bytes(p[RL_GLUE_DTYPE]), 4.0 * n, n);
}

static void kv_append_work(const double *p, struct rl_work *w)
{
    double n = elems(p), cache = n * rl_cell_bytes(p[RL_KVA_KV_DTYPE]);

    stream(p, w, n * rl_out_bytes(p[RL_GLUE_DTYPE]), 0.0, 0.0);
    w->cache_bytes = cache;
    w->l2_bytes += cache;
}

static void sampling_work(const double *p, struct rl_work *w)
{
    double n = elems(p) * p[RL_SAMPLING_PASSES];

    stream_rows(p, w, n * rl_out_bytes(p[RL_GLUE_DTYPE]), n, 0.0);
    w->launches = p[RL_SAMPLING_PASSES];
}

/* Block formats hold their scales in act_bytes; the others have one a row. */
static void quantize_work(const double *p, struct rl_work *w)
{
    double n = elems(p), in = rl_out_bytes(p[RL_QUANTIZE_IN_DTYPE]);

    stream_rows(p, w, n * (in + rl_in_bytes(p[RL_GLUE_DTYPE])) + 4.0 * p[RL_GLUE_ROWS],
                3.0 * n, 0.0);
}

static int norm_check(const double *p, struct rl_error *err)
{
    if (rl_check_flag("norm", "gated", p[RL_NORM_GATED], err) ||
        rl_check_flag("norm", "residual", p[RL_NORM_RESIDUAL], err))
        return -1;
    return rl_check_act("norm", "dtype", p[RL_GLUE_DTYPE], err);
}

static int elementwise_check(const double *p, struct rl_error *err)
{
    if (p[RL_EW_READS] + p[RL_EW_WRITES] <= 0.0)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "elementwise: reads and writes are both zero");
    return rl_check_act("elementwise", "dtype", p[RL_GLUE_DTYPE], err);
}

static int glue_check(const double *p, struct rl_error *err)
{
    return rl_check_act("glue", "dtype", p[RL_GLUE_DTYPE], err);
}

#define GLUE_PARAMS                                                                      \
    {"rows", RL_P_NUM, 1, RL_REQUIRED}, {"width", RL_P_NUM, 1, RL_REQUIRED},             \
    {                                                                                    \
        "dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED                                     \
    }
#define GLUE_SHAPE (1U << RL_GLUE_WIDTH)

const struct rl_op_type rl_op_norm = {
    .name = "norm",
    .ref = "4 per element, each read and written once; RMSNorm, arXiv 1910.07467",
    .cls = RL_CLS_NORM,
    .param = {GLUE_PARAMS, {"gated", RL_P_NUM, 0, 0}, {"residual", RL_P_NUM, 0, 0}},
    .check = norm_check,
    .work = norm_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};

const struct rl_op_type rl_op_elementwise = {
    .name = "elementwise",
    .ref = "bytes and FLOP per element as given",
    .cls = RL_CLS_ELEMENTWISE,
    .param = {GLUE_PARAMS,
              {"reads", RL_P_REAL, 0, 1},
              {"writes", RL_P_REAL, 0, 1},
              {"flops", RL_P_REAL, 0, 1},
              {"sfu", RL_P_REAL, 0, 0}},
    .check = elementwise_check,
    .work = elementwise_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};

const struct rl_op_type rl_op_embedding = {
    .name = "embedding",
    .ref =
        "a gather of one table row per token; PyTorch aten/src/ATen/native/Embedding.cpp",
    .cls = RL_CLS_EMBEDDING,
    .param = {GLUE_PARAMS, {"out_dtype", RL_P_DTYPE, RL_DT_FP32, RL_DT_BF16}},
    .work = embedding_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};

const struct rl_op_type rl_op_rope = {
    .name = "rope",
    .ref = "3 per element, each read and written once; RoFormer, arXiv 2104.09864, "
           "section 3.4.2",
    .cls = RL_CLS_ELEMENTWISE,
    .param = {GLUE_PARAMS},
    .check = glue_check,
    .work = rope_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};

const struct rl_op_type rl_op_softmax = {
    .name = "softmax",
    .ref = "4 and one exp per element; online softmax, arXiv 1805.02867",
    .cls = RL_CLS_ELEMENTWISE,
    .param = {GLUE_PARAMS},
    .check = glue_check,
    .work = softmax_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};

const struct rl_op_type rl_op_kv_append = {
    .name = "kv_append",
    .ref = "new keys and values read once, written once in the cache's format; "
           "PagedAttention, arXiv 2309.06180 (reshape_and_cache)",
    .cls = RL_CLS_ELEMENTWISE,
    .param = {GLUE_PARAMS, {"kv_dtype", RL_P_DTYPE, RL_DT_FP32, RL_AS_BEFORE}},
    .check = glue_check,
    .work = kv_append_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};

const struct rl_op_type rl_op_sampling = {
    .name = "sampling",
    .ref = "passes over rows × vocabulary logits; greedy: one argmax",
    .cls = RL_CLS_HEAD,
    .param = {GLUE_PARAMS, {"passes", RL_P_NUM, 1, 1}},
    .check = glue_check,
    .work = sampling_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};

const struct rl_op_type rl_op_quantize = {
    .name = "quantize",
    .ref = "16 bits read, the narrow format and its scales written; DeepSeek-V3, arXiv "
           "2412.19437, section 3.3.2 (1 × 128 tiles)",
    .cls = RL_CLS_ELEMENTWISE,
    .param = {GLUE_PARAMS, {"in_dtype", RL_P_DTYPE, RL_DT_FP32, RL_DT_BF16}},
    .work = quantize_work,
    .shape_params = GLUE_SHAPE,
    .log_sd = 0.7, /* as conv1d_update */
};
