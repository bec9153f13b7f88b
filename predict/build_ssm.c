/* State-space and convolutional mixers.
 *
 * Mamba (arXiv 2312.00752): state-spaces/mamba mamba_simple.py; Mamba-2
 * (arXiv 2405.21060): mamba2.py; RG-LRU (arXiv 2402.19427): recurrentgemma
 * torch/layers.py; LFM2's gated short convolution: Hugging Face lfm2.
 * A scan is one operator call of several kernels; convolutions and their state
 * are separate, as every runtime keeps them.
 */
#include "build.h"

static double or_else(double x, double fallback)
{
    return x > 0 ? x : fallback;
}

struct rl_node *rl_b_scan(struct rl_build *b, const char *op, const char *label,
                          unsigned phase)
{
    struct rl_node *n = rl_b_node_in(b, op, label, phase);

    if (n) {
        rl_b_arg(b, n, "batch", RL_B, 1);
        rl_b_arg(b, n, "seq_len", b->l, 1);
        n->wclass = RL_W_SMALL;
    }
    return n;
}

static void conv_args(struct rl_build *b, struct rl_node *n, double channels,
                      double width, double weights)
{
    if (!n)
        return;
    rl_b_arg(b, n, "channels", RL_ONE, channels);
    rl_b_arg(b, n, "width", RL_ONE, width);
    rl_b_split(b, n, "channels");
    n->weights = weights;
}

void rl_b_conv(struct rl_build *b, double channels, double width, double kept, bool bias)
{
    double weights = channels * width + (bias ? channels : 0);

    conv_args(b, rl_b_scan(b, "conv1d", "conv", RL_PREFILL), channels, width, weights);
    conv_args(b, rl_b_scan(b, "conv1d_update", "conv", RL_DECODE), channels, width,
              weights);
    rl_b_params(b, RL_W_SMALL, weights, true);
    rl_b_cache(b, RL_CACHE_CONV, "conv", channels * kept, channels, 0, 0);
}

/* Mamba-1 */

static void scan1(struct rl_build *b, struct rl_node *n, const struct rl_mamba1 *m)
{
    if (!n)
        return;
    rl_b_arg(b, n, "channels", RL_ONE, m->inner);
    rl_b_arg(b, n, "state", RL_ONE, m->state);
    rl_b_arg(b, n, "dt_rank", RL_ONE, m->dt_rank);
    rl_b_split(b, n, "channels");
    n->weights = m->inner * m->state + m->inner; /* A, D */
}

void rl_b_mamba1(struct rl_build *b, const struct rl_mamba1 *m)
{
    double in = or_else(m->in, b->hidden), bc = m->dt_rank + 2 * m->state;
    unsigned bias = m->bias ? RL_BIAS : 0;

    if (b->count <= 0)
        return;
    if (!m->no_proj)
        rl_b_linear(b, "in_proj", in, 2 * m->inner, RL_COL | bias);
    rl_b_conv(b, m->inner, m->conv, m->conv, m->conv_bias);
    rl_b_linear(b, "x_proj", m->inner, bc, RL_ROW);
    if (m->dt_bc_norm || m->bare_norm)
        rl_b_norm(b, "dt_bc_norm", bc, m->dt_bc_norm ? RL_RMS : RL_BARE);
    rl_b_linear(b, "dt_proj", m->dt_rank, m->inner, RL_COL | RL_BIAS);
    scan1(b, rl_b_scan(b, "selective_scan", "scan", RL_PREFILL), m);
    scan1(b, rl_b_scan(b, "selective_state_update", "scan", RL_DECODE), m);
    rl_b_params(b, RL_W_SMALL, m->inner * m->state + m->inner, true);
    rl_b_cache(b, RL_CACHE_STATE, "ssm", m->inner * m->state, m->inner, 0, 0);
    if (!m->no_proj)
        rl_b_linear(b, "out_proj", m->inner, or_else(m->out, b->hidden), RL_ROW | bias);
    struct rl_block *k = rl_b_block(b, RL_BLK_MAMBA1);
    k->inner = m->inner;
    k->state = m->state;
    k->dt_rank = m->dt_rank;
    k->conv = m->conv;
}

/* Mamba-2 */

static void scan2(struct rl_build *b, struct rl_node *n, const struct rl_mamba2 *m)
{
    if (!n)
        return;
    rl_b_arg(b, n, "heads", RL_ONE, m->heads);
    rl_b_arg(b, n, "head_dim", RL_ONE, m->head_dim);
    rl_b_arg(b, n, "state", RL_ONE, m->state);
    rl_b_arg(b, n, "groups", RL_ONE, m->groups);
    rl_b_arg(b, n, "chunk", RL_ONE, m->chunk);
    rl_b_split(b, n, "heads");
    rl_b_split(b, n, "groups");
    n->weights = 3 * m->heads; /* A, D, dt_bias */
}

static void describe2(struct rl_build *b, const struct rl_mamba2 *m)
{
    struct rl_block *k = rl_b_block(b, RL_BLK_MAMBA2);

    k->inner = m->heads * m->head_dim;
    k->state = m->state;
    k->groups = m->groups;
    k->ssm_heads = m->heads;
    k->ssm_head_dim = m->head_dim;
    k->chunk = m->chunk;
    k->conv = m->conv;
}

void rl_b_mamba2(struct rl_build *b, const struct rl_mamba2 *m)
{
    double inner = m->heads * m->head_dim, conv = inner + 2 * m->groups * m->state;
    unsigned bias = m->bias ? RL_BIAS : 0;

    if (b->count <= 0)
        return;
    /* z | x B C | dt */
    rl_b_linear(b, "in_proj", or_else(m->in, b->hidden), inner + conv + m->heads,
                RL_COL | bias);
    rl_b_conv(b, conv, m->conv, m->conv, m->conv_bias);
    scan2(b, rl_b_scan(b, "ssd_scan", "ssd", RL_PREFILL), m);
    scan2(b, rl_b_scan(b, "ssd_update", "ssd", RL_DECODE), m);
    rl_b_params(b, RL_W_SMALL, 3 * m->heads, true);
    rl_b_cache(b, RL_CACHE_STATE, "ssm", inner * m->state, m->heads, 0, 0);
    if (m->no_norm)
        rl_b_elementwise(b, "gate", "gate_mul", inner, 2, 1, true);
    else
        rl_b_norm_gated(b, 1, inner, inner);
    rl_b_linear(b, "out_proj", inner, or_else(m->out, b->hidden), RL_ROW | bias);
    describe2(b, m);
}

/* LFM2 */

void rl_b_shortconv(struct rl_build *b, double inner, double width, bool bias)
{
    unsigned flag = bias ? RL_BIAS : 0;

    if (b->count <= 0)
        return;
    rl_b_linear(b, "in_proj", b->hidden, 3 * inner, RL_COL | flag);
    rl_b_elementwise(b, "gate_in", "conv_gate", inner, 2, 1, true);
    rl_b_conv(b, inner, width, width, bias);
    rl_b_elementwise(b, "gate_out", "conv_gate", inner, 2, 1, true);
    rl_b_linear(b, "out_proj", inner, b->hidden, RL_ROW | flag);
    struct rl_block *k = rl_b_block(b, RL_BLK_SHORTCONV);
    k->inner = inner;
    k->conv = width;
}

/* Griffin: W channels; input and recurrence gates are block-diagonal, one
 * W/heads square per head, with biases. */
static void lru(struct rl_build *b, struct rl_node *n, double width)
{
    if (!n)
        return;
    rl_b_arg(b, n, "channels", RL_ONE, width);
    rl_b_split(b, n, "channels");
    n->weights = width; /* Λ */
}

void rl_b_rglru(struct rl_build *b, double width, double heads, double conv)
{
    if (b->count <= 0)
        return;
    rl_b_linear(b, "linear_x", b->hidden, width, RL_COL | RL_BIAS);
    rl_b_linear(b, "linear_y", b->hidden, width, RL_COL | RL_BIAS | RL_JOIN);
    rl_b_elementwise(b, "act_y", "act", width, 1, 1, true);
    rl_b_conv(b, width, conv, conv - 1, true);
    rl_b_linear(b, "input_gate", width / heads, width, RL_COL | RL_BIAS);
    rl_b_linear(b, "recurrent_gate", width / heads, width, RL_COL | RL_BIAS | RL_JOIN);
    lru(b, rl_b_scan(b, "rglru_scan", "rglru", RL_PREFILL), width);
    lru(b, rl_b_scan(b, "rglru_update", "rglru", RL_DECODE), width);
    rl_b_params(b, RL_W_SMALL, width, true);
    rl_b_cache(b, RL_CACHE_STATE, "rglru", width, width, 0, 0);
    rl_b_elementwise(b, "gate_y", "gate_mul", width, 2, 1, true);
    rl_b_linear(b, "linear_out", width, b->hidden, RL_ROW | RL_BIAS);
    struct rl_block *k = rl_b_block(b, RL_BLK_RGLRU);
    k->inner = width;
    k->conv = conv;
    k->heads = heads;
}
