/* Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 §2.1), and the
 * lightning indexer of its sparse form (DeepSeek-V3.2-Exp report, equation 1).
 *
 * The core only.  Two forms of the same mathematics, r = kv_lora_rank:
 *   decompressed: heads of dn + dr keys and dv values, made from the latent by
 *     the up-projection kv_b before:  FLOP per pair 2·H·(dn + dr + dv)
 *   absorbed: every head reads the latent itself (one key of r + dr, whose
 *     first r are the value too):     FLOP per pair 2·H·(2r + dr)
 * kv_b (2·keys·r·H·(dn + dv)), and in the absorbed form the products of q and o
 * with it, are gemm calls of the family.  With topk each query sees at most
 * topk keys of the causal prefix.
 * Ignores: page rounding, split partials, the scales of an fp8 latent.
 */
#include "kernels.h"
#include "op_util.h"

static const double row_tile = 64.0; /* FlashMLA: rows (query × head) per block */
static const double k_tile = 64.0, most_splits = 32.0; /* … and splits of the cache */

static double mla_pairs(const double *p)
{
    return rl_attention_pairs(p[RL_MLA_Q_LEN], p[RL_MLA_KV_LEN], p[RL_MLA_TOPK], 0.0, 1);
}

/* Different cached tokens the call reads; gathered ones may repeat. */
static double mla_keys(const double *p)
{
    double kv = p[RL_MLA_KV_LEN], topk = p[RL_MLA_TOPK];

    return topk > 0.0 ? fmin(kv, p[RL_MLA_Q_LEN] * topk) : kv;
}

/* The latent is shared by all heads, so query × head rows fill the tiles. */
static void absorbed_work(const double *p, struct rl_work *w)
{
    double b = p[RL_MLA_BATCH], q = p[RL_MLA_Q_LEN], heads = p[RL_MLA_HEADS];
    double r = p[RL_MLA_KV_LORA_RANK], key = r + p[RL_MLA_ROPE_DIM];
    double pairs = mla_pairs(p), kvb = rl_cell_bytes(p[RL_MLA_KV_DTYPE]);
    double blocks = b * ceil(q * heads / row_tile);

    w->flop = 2.0 * b * heads * pairs * (key + r);
    w->sfu = b * heads * pairs;
    w->act_bytes =
        b * q * heads *
        (key * rl_in_bytes(p[RL_MLA_DTYPE]) + r * rl_out_bytes(p[RL_MLA_DTYPE]));
    w->cache_bytes = b * mla_keys(p) * key * kvb;
    w->l2_bytes = blocks * pairs / q * key * kvb;
    w->parallel = blocks;
}

/* K and V of every head come from the up-projection, in 16 bits; dr of the key
 * is shared by the heads and comes from the cache. */
static void decompressed_work(const double *p, struct rl_work *w)
{
    double b = p[RL_MLA_BATCH], q = p[RL_MLA_Q_LEN], heads = p[RL_MLA_HEADS];
    double dr = p[RL_MLA_ROPE_DIM], dn = p[RL_MLA_NOPE_DIM], dv = p[RL_MLA_V_DIM];
    double in = rl_in_bytes(p[RL_MLA_DTYPE]), out = rl_out_bytes(p[RL_MLA_DTYPE]);
    double pairs = mla_pairs(p), keys = mla_keys(p);
    double blocks = b * heads * ceil(q / 128.0);

    w->flop = 2.0 * b * heads * pairs * (dn + dr + dv);
    w->sfu = b * heads * pairs;
    w->act_bytes =
        b * q * heads * ((dn + dr) * in + dv * out) + b * keys * heads * (dn + dv) * in;
    w->cache_bytes = b * keys * dr * rl_cell_bytes(p[RL_MLA_KV_DTYPE]);
    w->l2_bytes = blocks * pairs / q * (dn + dr + dv) * in;
    w->parallel = blocks;
}

static void mla_work(const double *p, struct rl_work *w)
{
    w->unit = rl_unit_of(p[RL_MLA_DTYPE]);
    if (p[RL_MLA_ABSORBED] != 0.0)
        absorbed_work(p, w);
    else
        decompressed_work(p, w);
    w->vector_flop = 4.0 * w->sfu;
    w->launches = 1.0;
}

static void mla_decode_work(const double *p, struct rl_work *w)
{
    mla_work(p, w);
    w->parallel *= fmin(most_splits, ceil(mla_keys(p) / k_tile));
    w->launches = 2.0; /* splits of the cache and their combination */
}

static int mla_check(const double *p, const char *op, struct rl_error *err)
{
    if (rl_check_flag(op, "absorbed", p[RL_MLA_ABSORBED], err) ||
        rl_check_act(op, "dtype", p[RL_MLA_DTYPE], err))
        return -1;
    if (p[RL_MLA_Q_LEN] > p[RL_MLA_KV_LEN])
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "%s: q_len=%.15g is above kv_len=%.15g, which counts the new "
                       "tokens too",
                       op, p[RL_MLA_Q_LEN], p[RL_MLA_KV_LEN]);
    return 0;
}

static int prefill_check(const double *p, struct rl_error *err)
{
    return mla_check(p, "mla_prefill", err);
}

static int decode_check(const double *p, struct rl_error *err)
{
    return mla_check(p, "mla_decode", err);
}

#define MLA_PARAMS(absorbed)                                                             \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"q_len", RL_P_NUM, 1, RL_REQUIRED},            \
        {"kv_len", RL_P_NUM, 1, RL_REQUIRED}, {"heads", RL_P_NUM, 1, RL_REQUIRED},       \
        {"kv_lora_rank", RL_P_NUM, 1, RL_REQUIRED},                                      \
        {"rope_dim", RL_P_NUM, 0, RL_REQUIRED}, {"nope_dim", RL_P_NUM, 1, RL_REQUIRED},  \
        {"v_dim", RL_P_NUM, 1, RL_REQUIRED},                                             \
        {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},                                  \
        {"kv_dtype", RL_P_DTYPE, RL_DT_FP32, RL_AS_BEFORE}, {"topk", RL_P_NUM, 0, 0},    \
    {                                                                                    \
        "absorbed", RL_P_NUM, 0, absorbed                                                \
    }
#define MLA_SHAPE                                                                        \
    (1U << RL_MLA_HEADS | 1U << RL_MLA_KV_LORA_RANK | 1U << RL_MLA_ROPE_DIM |            \
     1U << RL_MLA_NOPE_DIM | 1U << RL_MLA_V_DIM)

const struct rl_op_type rl_op_mla_prefill = {
    .name = "mla_prefill",
    .ref = "2BH pairs (dn + dr + dv); DeepSeek-V2, arXiv 2405.04434, section 2.1",
    .cls = RL_CLS_ATTENTION,
    .param = {MLA_PARAMS(0)},
    .check = prefill_check,
    .work = mla_work,
    .coef = rl_kern_mla_prefill_coef,
    .time = rl_kern_mla_prefill_time,
    .shape_params = MLA_SHAPE,
    .log_sd = 0.8,
};

const struct rl_op_type rl_op_mla_decode = {
    .name = "mla_decode",
    .ref = "2BH pairs (2r + dr), latent read once; DeepSeek-V2, arXiv 2405.04434, "
           "section 2.1; FlashMLA",
    .cls = RL_CLS_ATTENTION,
    .param = {MLA_PARAMS(1)},
    .check = decode_check,
    .work = mla_decode_work,
    .coef = rl_kern_mla_decode_coef,
    .time = rl_kern_mla_decode_time,
    .shape_params = MLA_SHAPE,
    .log_sd = 0.8,
};

/* Index keys carry one fp32 scale each when narrow; the score of a pair is
 * Σ_heads w·relu(q·k): a product, then three vector operations per head.  The
 * scores are written in fp32 and read again by the top-k kernel. */
static void indexer_work(const double *p, struct rl_work *w)
{
    double b = p[RL_DSA_BATCH], q = p[RL_DSA_Q_LEN], kv = p[RL_DSA_KV_LEN];
    double heads = p[RL_DSA_HEADS], d = p[RL_DSA_HEAD_DIM];
    double pairs = rl_attention_pairs(q, kv, 0.0, 0.0, 1),
           in = rl_in_bytes(p[RL_DSA_DTYPE]);
    double scale = in < 2.0 ? 4.0 : 0.0; /* bytes per index key */

    w->unit = rl_unit_of(p[RL_DSA_DTYPE]);
    w->flop = 2.0 * b * heads * pairs * d;
    w->vector_flop = 3.0 * b * heads * pairs;
    w->act_bytes = b * q * heads * (d * in + 4.0) + 2.0 * 4.0 * b * pairs;
    w->cache_bytes = b * kv * (d * in + scale);
    w->l2_bytes = b * ceil(q * heads / row_tile) * pairs / q * (d * in + scale);
    w->parallel = b * q;
    w->launches = 2.0;
}

static int indexer_check(const double *p, struct rl_error *err)
{
    if (p[RL_DSA_Q_LEN] > p[RL_DSA_KV_LEN])
        return rl_fail(err, RL_EVALUE, NULL, 0, "dsa_indexer: q_len is above kv_len");
    return rl_check_act("dsa_indexer", "dtype", p[RL_DSA_DTYPE], err);
}

const struct rl_op_type rl_op_dsa_indexer = {
    .name = "dsa_indexer",
    .ref = "2BH pairs d; DeepSeek-V3.2-Exp report, equation 1 (lightning indexer)",
    .cls = RL_CLS_ATTENTION,
    .param =
        {
            {"batch", RL_P_NUM, 1, RL_REQUIRED},
            {"q_len", RL_P_NUM, 1, RL_REQUIRED},
            {"kv_len", RL_P_NUM, 1, RL_REQUIRED},
            {"heads", RL_P_NUM, 1, RL_REQUIRED},
            {"head_dim", RL_P_NUM, 1, RL_REQUIRED},
            {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},
        },
    .check = indexer_check,
    .work = indexer_work,
    .shape_params = 1U << RL_DSA_HEADS | 1U << RL_DSA_HEAD_DIM,
    .log_sd = 0.8, /* as mla_prefill */
};
