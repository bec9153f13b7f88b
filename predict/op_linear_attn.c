/* Linear-attention kinds with a dk × dv state per head, as one table, and the
 * RG-LRU with one state per channel.
 *
 *   lightning  lightning attention (arXiv 2401.04658, Algorithm 1): constant decay
 *              per head; chunks of 256
 *   rwkv6      decay per channel of the key and a bonus for the current token
 *              (Finch, arXiv 2404.05892; FLA ops/rwkv6); chunks of 64
 *   rwkv7      generalised delta rule, diagonal plus low rank (arXiv 2503.14456;
 *              FLA ops/rwkv7); chunks of 16
 *   mlstm      xLSTM's matrix memory (arXiv 2405.04517 §2.3; NX-AI/mlstm_kernels):
 *              with a normaliser of dk and a maximum per head; chunks of 128
 *   rglru      Griffin (arXiv 2402.19427 §2.4)
 *
 * A scan in chunks of Q costs `state`·dk·dv per token and head against the
 * state, and inside the chunk (`k_in`·dk + `v_in`·dv)·Q: a causal half of k·q
 * and of A·v is 1·Q each.  An update costs `update`·dk·dv.  rwkv6 also pays
 * element by element inside 16-token blocks (three vector FLOP and one exp per
 * pair and channel).  States between chunks are L2 bytes.
 * Ignores: projections, gates made by small gemm, group norms, token shift.
 */
#include "op_util.h"

struct kind {
    double state, k_in, v_in, update;
    double gates;    /* extra fp32 vectors of dk per token and head between kernels */
    double inputs;   /* vectors of dk read per token and head (q, k, decay, …) */
    double diagonal; /* tokens of a block done element by element; 0: none */
    double sfu;      /* exp per token and head, beside those per channel */
    double sfu_k;    /* exp per channel of the key */
    double extra;    /* state elements besides dk·dv, in units of dk (normaliser) */
    double launches;
};

static const struct kind lightning = {
    .state = 4, .k_in = 1, .v_in = 1, .update = 5, .inputs = 2, .sfu = 2, .launches = 2};
static const struct kind rwkv6 = {.state = 4,
                                  .k_in = 1,
                                  .v_in = 1,
                                  .update = 5,
                                  .gates = 3,
                                  .inputs = 3,
                                  .diagonal = 16,
                                  .sfu_k = 3,
                                  .launches = 5};
static const struct kind rwkv7 = {.state = 8,
                                  .k_in = 8,
                                  .v_in = 8,
                                  .update = 9,
                                  .gates = 4,
                                  .inputs = 5,
                                  .sfu_k = 3,
                                  .launches = 6};
static const struct kind mlstm = {.state = 4,
                                  .k_in = 1,
                                  .v_in = 1,
                                  .update = 6,
                                  .inputs = 2,
                                  .sfu = 4,
                                  .extra = 1,
                                  .launches = 2};

static void scan_work(const double *p, const struct kind *k, struct rl_work *w)
{
    double b = p[RL_LIN_BATCH], len = p[RL_LIN_SEQ_LEN], heads = b * p[RL_LIN_HEADS];
    double dk = p[RL_LIN_K_DIM], dv = p[RL_LIN_V_DIM], chunk = p[RL_LIN_CHUNK];
    double a = rl_out_bytes(p[RL_LIN_DTYPE]), chunks = ceil(len / chunk);
    double squares = rl_chunk_squares(len, chunk);
    double diagonal = len * fmin(k->diagonal, len) / 2.0 * dk;
    double cell = rl_cell_bytes(p[RL_LIN_STATE_DTYPE]);

    w->unit = rl_unit_of(p[RL_LIN_DTYPE]);
    w->flop =
        heads * (k->state * dk * dv * len + (k->k_in * dk + k->v_in * dv) * squares);
    w->vector_flop = heads * (squares + len * (4.0 * dk + 2.0 * dv) + chunks * dk * dv +
                              3.0 * diagonal);
    w->sfu = heads * (len * (k->sfu + k->sfu_k * dk) + diagonal);
    w->act_bytes = heads * len * (k->inputs * dk + 2.0 * dv) * a;
    w->cache_bytes = heads * dk * (dv + k->extra) * cell;
    w->l2_bytes = heads * (2.0 * chunks * dk * dv * a + len * k->gates * 2.0 * dk * 4.0 +
                           2.0 * a * squares);
    w->parallel = heads * ceil(dk / 64.0) * ceil(dv / 64.0);
    w->serial = chunks;
    w->launches = k->launches;
}

static void update_work(const double *p, const struct kind *k, struct rl_work *w)
{
    double b = p[RL_LIN_BATCH], len = p[RL_LIN_SEQ_LEN], heads = b * p[RL_LIN_HEADS];
    double dk = p[RL_LIN_K_DIM], dv = p[RL_LIN_V_DIM], a = rl_out_bytes(p[RL_LIN_DTYPE]);

    w->unit = RL_FP32;
    w->vector_flop = k->update * heads * dk * dv * len;
    w->sfu = heads * len * (k->sfu + k->sfu_k * dk);
    w->act_bytes = heads * len * (k->inputs * dk + 2.0 * dv) * a;
    w->cache_bytes =
        (1.0 + len) * heads * dk * (dv + k->extra) * rl_cell_bytes(p[RL_LIN_STATE_DTYPE]);
    w->l2_bytes = w->cache_bytes;
    w->parallel = heads * ceil(dv / 8.0);
    w->serial = len - 1.0;
    w->launches = 1.0;
}

static int linear_check(const double *p, struct rl_error *err)
{
    return rl_check_act("linear attention", "dtype", p[RL_LIN_DTYPE], err);
}

#define LINEAR_PARAMS(chunk)                                                             \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"seq_len", RL_P_NUM, 1, RL_REQUIRED},          \
        {"heads", RL_P_NUM, 1, RL_REQUIRED}, {"k_dim", RL_P_NUM, 1, RL_REQUIRED},        \
        {"v_dim", RL_P_NUM, 1, RL_REQUIRED},                                             \
        {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},                                  \
        {"state_dtype", RL_P_DTYPE, RL_DT_NONE, RL_DT_FP32},                             \
    {                                                                                    \
        "chunk", RL_P_NUM, 1, chunk                                                      \
    }

/* One scan and one update type per kind. */
#define LINEAR_OPS(kind, chunk, scan_ref, update_ref)                                    \
    static void kind##_scan_work(const double *p, struct rl_work *w)                     \
    {                                                                                    \
        scan_work(p, &kind, w);                                                          \
    }                                                                                    \
    static void kind##_update_work(const double *p, struct rl_work *w)                   \
    {                                                                                    \
        update_work(p, &kind, w);                                                        \
    }                                                                                    \
    const struct rl_op_type rl_op_##kind##_scan = {                                      \
        .name = #kind "_scan",                                                           \
        .ref = scan_ref,                                                                 \
        .cls = RL_CLS_SCAN,                                                              \
        .param = {LINEAR_PARAMS(chunk)},                                                 \
        .check = linear_check,                                                           \
        .work = kind##_scan_work,                                                        \
        .shape_params = 1U << RL_LIN_HEADS | 1U << RL_LIN_K_DIM | 1U << RL_LIN_V_DIM,    \
        .log_sd = 0.8, /* as gdn_scan */                                                 \
    };                                                                                   \
    const struct rl_op_type rl_op_##kind##_update = {                                    \
        .name = #kind "_update",                                                         \
        .ref = update_ref,                                                               \
        .cls = RL_CLS_SCAN,                                                              \
        .param = {LINEAR_PARAMS(chunk)},                                                 \
        .check = linear_check,                                                           \
        .work = kind##_update_work,                                                      \
        .shape_params = 1U << RL_LIN_HEADS | 1U << RL_LIN_K_DIM | 1U << RL_LIN_V_DIM,    \
        .log_sd = 0.7, /* as gdn_update */                                               \
    }

LINEAR_OPS(lightning, 256,
           "4 dk dv + Q(dk + dv) per token and head; Lightning Attention-2, arXiv "
           "2401.04658, algorithm 1",
           "5 dk dv per token and head; Lightning Attention-2, arXiv 2401.04658");
LINEAR_OPS(rwkv6, 64,
           "4 dk dv + Q(dk + dv) per token and head; Eagle and Finch, arXiv 2404.05892; "
           "fla-org/flash-linear-attention fla/ops/rwkv6/chunk.py",
           "5 dk dv per token and head; Eagle and Finch, arXiv 2404.05892");
LINEAR_OPS(rwkv7, 16,
           "8 dk dv + 8Q(dk + dv) per token and head; RWKV-7, arXiv 2503.14456; "
           "fla-org/flash-linear-attention fla/ops/rwkv7/chunk.py",
           "9 dk dv per token and head; RWKV-7, arXiv 2503.14456");
LINEAR_OPS(mlstm, 128,
           "4 dk dv + Q(dk + dv) per token and head; xLSTM, arXiv 2405.04517, section "
           "2.3; NX-AI/mlstm_kernels",
           "6 dk dv per token and head; xLSTM, arXiv 2405.04517, section 2.3");

/* Per token and channel: 12 vector FLOP of which 2 are the recurrence, and 7
 * special functions (two sigmoids at two each, two exp, one square root).
 * Reads x and the two gates' pre-activations, writes y. */
static void rglru_common(const double *p, struct rl_work *w)
{
    double elems = p[RL_LRU_BATCH] * p[RL_LRU_SEQ_LEN] * p[RL_LRU_CHANNELS];

    w->unit = RL_FP32;
    w->vector_flop = 12.0 * elems;
    w->sfu = 7.0 * elems;
    w->act_bytes = 4.0 * elems * rl_out_bytes(p[RL_LRU_DTYPE]);
    w->weight_bytes = 4.0 * p[RL_LRU_CHANNELS]; /* Λ in fp32 */
    w->parallel = p[RL_LRU_BATCH] * ceil(p[RL_LRU_CHANNELS] / 128.0);
    w->launches = 1.0;
}

static void rglru_scan_work(const double *p, struct rl_work *w)
{
    rglru_common(p, w);
    w->cache_bytes =
        p[RL_LRU_BATCH] * p[RL_LRU_CHANNELS] * rl_cell_bytes(p[RL_LRU_STATE_DTYPE]);
    w->l2_bytes = w->act_bytes;
    w->serial = ceil(p[RL_LRU_SEQ_LEN] / 64.0); /* chunks, as FLA ops/hgrn does it */
}

static void rglru_update_work(const double *p, struct rl_work *w)
{
    rglru_common(p, w);
    w->cache_bytes = (1.0 + p[RL_LRU_SEQ_LEN]) * p[RL_LRU_BATCH] * p[RL_LRU_CHANNELS] *
                     rl_cell_bytes(p[RL_LRU_STATE_DTYPE]);
    w->l2_bytes = w->act_bytes + w->cache_bytes;
    w->serial = p[RL_LRU_SEQ_LEN] - 1.0;
}

static int rglru_check(const double *p, struct rl_error *err)
{
    return rl_check_act("rglru", "dtype", p[RL_LRU_DTYPE], err);
}

#define RGLRU_PARAMS                                                                     \
    {"batch", RL_P_NUM, 1, RL_REQUIRED}, {"seq_len", RL_P_NUM, 1, RL_REQUIRED},          \
        {"channels", RL_P_NUM, 1, RL_REQUIRED},                                          \
        {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},                                  \
    {                                                                                    \
        "state_dtype", RL_P_DTYPE, RL_DT_NONE, RL_DT_FP32                                \
    }
#define RGLRU_REF                                                                        \
    "12 per token and channel; Griffin, arXiv 2402.19427, section 2.4; "                 \
    "google-deepmind/recurrentgemma torch/layers.py"

const struct rl_op_type rl_op_rglru_scan = {
    .name = "rglru_scan",
    .ref = RGLRU_REF,
    .cls = RL_CLS_SCAN,
    .param = {RGLRU_PARAMS},
    .check = rglru_check,
    .work = rglru_scan_work,
    .shape_params = 1U << RL_LRU_CHANNELS,
    .log_sd = 0.8, /* as gdn_scan */
};

const struct rl_op_type rl_op_rglru_update = {
    .name = "rglru_update",
    .ref = RGLRU_REF,
    .cls = RL_CLS_SCAN,
    .param = {RGLRU_PARAMS},
    .check = rglru_check,
    .work = rglru_update_work,
    .shape_params = 1U << RL_LRU_CHANNELS,
    .log_sd = 0.7, /* as gdn_update */
};
