/* Scaled dot-product attention: prefill and decode.
 *
 * FLOP 2·B·H·pairs·(d + dv), pairs = (query, key) pairs that the mask leaves:
 * causal with prefix, sliding window, chunked-local, or all of them.  This is
 * the rule of the FlashAttention papers (arXiv 2307.08691 §4.1, "FLOPs"), made
 * exact for the diagonal.  Each pair costs one exp and four vector operations
 * (scale, maximum, subtraction, sum).  DRAM: Q and O once, K and V once per KV
 * head (grouped-query, arXiv 2305.13245); L2: K and V once per tile of 128
 * queries and query head in prefill, where heads do not share them.
 * Ignores: tile overshoot, splits and their partial results, page rounding,
 * rescaling of O.
 */
#include "kernels.h"
#include "op_util.h"

static const double q_tile = 128.0; /* FA2, FA3: rows of Q per block */
/* FA2's num_splits_heuristic: keys per block, splits of a cache at most */
static const double k_tile = 128.0, most_splits = 128.0;

/* Keys seen in total by the queries at positions 1 … n. */
static double seen(double n, double most)
{
    if (n <= most)
        return n * (n + 1.0) / 2.0;
    return most * (most + 1.0) / 2.0 + (n - most) * most;
}

static double seen_in_chunks(double n, double chunk)
{
    double full = floor(n / chunk), rest = n - full * chunk;

    return full * chunk * (chunk + 1.0) / 2.0 + rest * (rest + 1.0) / 2.0;
}

double rl_attention_pairs(double q_len, double kv_len, double window, double chunk,
                          int causal)
{
    double prefix = kv_len - q_len;

    if (!causal)
        return q_len * (window > 0.0 && window < kv_len ? window : kv_len);
    if (chunk > 0.0)
        return seen_in_chunks(kv_len, chunk) - seen_in_chunks(prefix, chunk);
    if (window > 0.0)
        return seen(kv_len, window) - seen(prefix, window);
    return q_len * prefix + q_len * (q_len + 1.0) / 2.0;
}

/* Different keys that any of the queries sees. */
static double keys_read(double q_len, double kv_len, double window, double chunk,
                        int causal)
{
    double prefix = kv_len - q_len;

    if (causal && chunk > 0.0)
        return kv_len - floor(prefix / chunk) * chunk;
    if (causal && window > 0.0)
        return fmin(kv_len, q_len - 1.0 + window);
    return kv_len;
}

double rl_attention_v_dim(const double *p)
{
    return p[RL_ATT_V_DIM] > 0 ? p[RL_ATT_V_DIM] : p[RL_ATT_HEAD_DIM];
}

/* What prefill and decode share; returns the key elements of one KV head that
 * are read: their number times d + dv. */
static double attention_core(const double *p, struct rl_work *w, double *pairs)
{
    double b = p[RL_ATT_BATCH], q = p[RL_ATT_Q_LEN], kv = p[RL_ATT_KV_LEN];
    double heads = p[RL_ATT_HEADS], d = p[RL_ATT_HEAD_DIM], chunk = p[RL_ATT_CHUNK];
    double dv = rl_attention_v_dim(p);
    double window = p[RL_ATT_WINDOW] > 0.0 ? p[RL_ATT_WINDOW] + p[RL_ATT_SINK] : 0.0;
    int causal = p[RL_ATT_CAUSAL] != 0.0;
    double kvb = rl_cell_bytes(p[RL_ATT_KV_DTYPE]);
    double keys = keys_read(q, kv, window, chunk, causal);

    *pairs = rl_attention_pairs(q, kv, window, chunk, causal);
    w->unit = rl_unit_of(p[RL_ATT_DTYPE]);
    w->flop = 2.0 * b * heads * *pairs * (d + dv);
    w->sfu = b * heads * *pairs;
    w->vector_flop = 4.0 * w->sfu;
    w->act_bytes =
        b * q * heads *
        (d * rl_in_bytes(p[RL_ATT_DTYPE]) + dv * rl_out_bytes(p[RL_ATT_DTYPE]));
    w->cache_bytes = b * keys * p[RL_ATT_KV_HEADS] * (d + dv) * kvb;
    return (d + dv) * kvb;
}

static void prefill_work(const double *p, struct rl_work *w)
{
    double pairs, key_bytes = attention_core(p, w, &pairs);
    double q = p[RL_ATT_Q_LEN], tiles = ceil(q / q_tile);
    double blocks = p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * tiles;

    w->l2_bytes = blocks * pairs / q * key_bytes;
    w->parallel = blocks;
    w->launches = 1.0;
}

/* The queries of a group are packed into one tile, so that K and V pass once;
 * the cache is split among blocks and a second kernel joins them. */
static void decode_work(const double *p, struct rl_work *w)
{
    double pairs, keys;

    attention_core(p, w, &pairs);
    keys = pairs / p[RL_ATT_Q_LEN];
    w->l2_bytes = w->cache_bytes;
    w->parallel =
        p[RL_ATT_BATCH] * p[RL_ATT_KV_HEADS] * fmin(most_splits, ceil(keys / k_tile));
    w->launches = 2.0;
}

static int attention_check(const double *p, const char *op, struct rl_error *err)
{
    double window = p[RL_ATT_WINDOW];

    if (rl_check_multiple(op, "heads", p[RL_ATT_HEADS], "kv_heads", p[RL_ATT_KV_HEADS],
                          err) ||
        rl_check_flag(op, "causal", p[RL_ATT_CAUSAL], err) ||
        rl_check_act(op, "dtype", p[RL_ATT_DTYPE], err))
        return -1;
    if (p[RL_ATT_CAUSAL] != 0.0 && p[RL_ATT_Q_LEN] > p[RL_ATT_KV_LEN])
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "%s: q_len=%.15g is above kv_len=%.15g, which counts the new "
                       "tokens too",
                       op, p[RL_ATT_Q_LEN], p[RL_ATT_KV_LEN]);
    if (p[RL_ATT_CHUNK] > 0.0 && (window > 0.0 || p[RL_ATT_CAUSAL] == 0.0))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "%s: chunk goes neither with window nor with causal=0", op);
    if (p[RL_ATT_SINK] > 0.0 && window == 0.0)
        return rl_fail(err, RL_EVALUE, NULL, 0, "%s: sink needs a window", op);
    return 0;
}

static int prefill_check(const double *p, struct rl_error *err)
{
    return attention_check(p, "attention_prefill", err);
}

static int decode_check(const double *p, struct rl_error *err)
{
    return attention_check(p, "attention_decode", err);
}

#define ATTENTION_PARAMS                                                                 \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"q_len", RL_P_NUM, 1, RL_REQUIRED},            \
        {"kv_len", RL_P_NUM, 1, RL_REQUIRED}, {"heads", RL_P_NUM, 1, RL_REQUIRED},       \
        {"kv_heads", RL_P_NUM, 1, RL_REQUIRED}, {"head_dim", RL_P_NUM, 1, RL_REQUIRED},  \
        {"window", RL_P_NUM, 0, 0}, {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},      \
        {"kv_dtype", RL_P_DTYPE, RL_DT_FP32, RL_AS_BEFORE}, {"causal", RL_P_NUM, 0, 1},  \
        {"v_dim", RL_P_NUM, 0, 0}, {"chunk", RL_P_NUM, 0, 0},                            \
    {                                                                                    \
        "sink", RL_P_NUM, 0, 0                                                           \
    }
#define ATTENTION_SHAPE                                                                  \
    (1U << RL_ATT_HEADS | 1U << RL_ATT_KV_HEADS | 1U << RL_ATT_HEAD_DIM)

const struct rl_op_type rl_op_attention_prefill = {
    .name = "attention_prefill",
    .ref = "2BH pairs (d + dv); FlashAttention-2, arXiv 2307.08691, section 4.1",
    .cls = RL_CLS_ATTENTION,
    .param = {ATTENTION_PARAMS},
    .check = prefill_check,
    .work = prefill_work,
    .coef = rl_kern_attention_prefill_coef,
    .time = rl_kern_attention_prefill_time,
    .shape_params = ATTENTION_SHAPE,
    .log_sd = 0.35,
};

const struct rl_op_type rl_op_attention_decode = {
    .name = "attention_decode",
    .ref = "2BH pairs (d + dv), K and V once per KV head; GQA, arXiv 2305.13245; "
           "FlashAttention-2, arXiv 2307.08691",
    .cls = RL_CLS_ATTENTION,
    .param = {ATTENTION_PARAMS},
    .check = decode_check,
    .work = decode_work,
    .coef = rl_kern_attention_decode_coef,
    .time = rl_kern_attention_decode_time,
    .most = rl_kern_attention_decode_most,
    .shape_params = ATTENTION_SHAPE,
    .log_sd = 0.35,
};

/* Every query meets every cached key: nothing is saved by the causal mask or a
 * window.  score_bytes: traffic per score, from the stack's kernel sequence. */
static void scores_work(const double *p, struct rl_work *w)
{
    double pairs,
        scores = p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * p[RL_ATT_Q_LEN] * p[RL_ATT_KV_LEN];
    double dv = rl_attention_v_dim(p);

    attention_core(p, w, &pairs);
    w->flop = 2 * scores * (p[RL_ATT_HEAD_DIM] + dv);
    w->sfu = scores;
    w->act_bytes += scores * p[RL_ATT_SCORE_BYTES];
    w->parallel = p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * ceil(p[RL_ATT_Q_LEN] / 64);
    w->launches = 5;
}

static int scores_check(const double *p, struct rl_error *err)
{
    return attention_check(p, "attention_scores", err);
}

const struct rl_op_type rl_op_attention_scores = {
    .name = "attention_scores",
    .ref =
        "4 B H L S d, scores written and read by softmax; transformers eager attention, "
        "llama.cpp without -fa",
    .cls = RL_CLS_ATTENTION,
    .param = {ATTENTION_PARAMS, {"score_bytes", RL_P_NUM, 0, 24}},
    .check = scores_check,
    .work = scores_work,
    .shape_params = ATTENTION_SHAPE,
    .log_sd = 1.1, /* as attention_decode */
};

/* A dense mask: every query meets every key, K and V are first copied to every
 * query head (repeat_kv), the mask is read once per head. */
static void masked_work(const double *p, struct rl_work *w)
{
    double pairs,
        scores = p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * p[RL_ATT_Q_LEN] * p[RL_ATT_KV_LEN];
    double dv = rl_attention_v_dim(p);
    double group = p[RL_ATT_HEADS] / p[RL_ATT_KV_HEADS];

    attention_core(p, w, &pairs);
    w->flop = 2 * scores * (p[RL_ATT_HEAD_DIM] + dv);
    w->sfu = scores;
    w->act_bytes += w->cache_bytes * (group > 1 ? 2 * group : 0) + 2 * scores;
    w->parallel = p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * ceil(p[RL_ATT_Q_LEN] / 64);
    w->serial = ceil(p[RL_ATT_KV_LEN] / 64);
    w->launches = group > 1 ? 3 : 1;
}

static int masked_check(const double *p, struct rl_error *err)
{
    return attention_check(p, "attention_masked", err);
}

const struct rl_op_type rl_op_attention_masked = {
    .name = "attention_masked",
    .ref = "4 B H L S d, mask read per head; PyTorch scaled_dot_product_attention with "
           "attn_mask (memory-efficient kernel), transformers repeat_kv",
    .cls = RL_CLS_ATTENTION,
    .param = {ATTENTION_PARAMS},
    .check = masked_check,
    .work = masked_work,
    .coef = rl_kern_masked_coef,
    .time = rl_kern_masked_time,
    .shape_params = ATTENTION_SHAPE,
    .log_sd = 0.2,
};

/* No mask: blocks of keys that no query of a tile sees are left out.  Blocks, walks and
 * traffic else as above, but that copies for the heads of a group are the stack's. */
static void efficient_work(const double *p, struct rl_work *w)
{
    double pairs;

    attention_core(p, w, &pairs);
    w->parallel = p[RL_ATT_BATCH] * p[RL_ATT_HEADS] * ceil(p[RL_ATT_Q_LEN] / 64);
    w->serial = ceil(pairs / p[RL_ATT_Q_LEN] / 64);
    w->launches = 1;
}

static int efficient_check(const double *p, struct rl_error *err)
{
    return attention_check(p, "attention_efficient", err);
}

const struct rl_op_type rl_op_attention_efficient = {
    .name = "attention_efficient",
    .ref = "2BH pairs (d + dv); PyTorch scaled_dot_product_attention, memory-efficient "
           "kernel (sdp_utils.cpp)",
    .cls = RL_CLS_ATTENTION,
    .param = {ATTENTION_PARAMS},
    .check = efficient_check,
    .work = efficient_work,
    .coef = rl_kern_efficient_coef,
    .time = rl_kern_efficient_time,
    .shape_params = ATTENTION_SHAPE,
    .log_sd = 0.35, /* as attention: no rows of it */
};
