/* What a block's intermediates take at its worst moment, per kind and per new token,
 * for stacks that keep every intermediate (PyTorch eager) and for fused ones.
 * Sources: modelling code of transformers and mamba_ssm.
 */
#include "memory_block.h"

#include <math.h>

double rl_block_live(const struct rl_block *b, double h, double a, bool eager, double tp)
{
    double q = b->heads * b->head_dim / tp, kv = b->kv_heads * b->head_dim / tp;
    double v = b->heads * (b->v_dim > 0 ? b->v_dim : b->head_dim) / tp;
    double d = b->inner / tp, f = b->inter / tp;

    switch (b->kind) {
    case RL_BLK_ATTN:
    case RL_BLK_CROSS:
    case RL_BLK_ENCODER:
        /* normed input, q, k, v, rotated q and k or the output */
        return a * (h + q + 2 * kv + (eager ? q + kv : 0) + v);
    case RL_BLK_MLA:
        return a * (h + b->heads / tp * (3 * b->head_dim + 2 * b->v_dim));
    case RL_BLK_MLP:
        /* act(gate), up and their product; fused: gate_up and product */
        return a * (h + (b->gated ? 3 : 2) * f);
    case RL_BLK_MOE:
        return a * (2 * h + b->topk * (2 * h + (b->gated ? 3 : 2) * f));
    case RL_BLK_MAMBA1:
        /* xz, conv out, delta, out, out_z; eager: contiguous copies of three */
        return a * (h + (eager ? 9 : 6) * d + b->dt_rank + 2 * b->state);
    case RL_BLK_MAMBA2: {
        double hs = b->ssm_heads / tp, c = d + 2 * b->groups * b->state;
        double q_len = b->chunk > 0 ? b->chunk : 256;
        double ssd = 6 * hs * b->ssm_head_dim * b->state / q_len + 4 * b->groups * q_len +
                     8 * hs; /* bytes: states, CB, dt */
        return a * (h + d + c + hs + c + d) + ssd +
               (eager ? 16 * d : 0) /* unfused norm */;
    }
    case RL_BLK_GDN:
    case RL_BLK_KDA:
    case RL_BLK_LINEAR: {
        double qk = 2 * b->heads * b->head_dim / tp;
        return a * (h + 3 * (qk + 2 * v)) + a * 2 * v * b->head_dim / 64;
    }
    case RL_BLK_RGLRU:
        return a * (h + 4 * d) + 8 * d;
    case RL_BLK_SHORTCONV:
        return a * (h + 5 * h);
    default:
        return a * h;
    }
}

double rl_block_plain(const struct rl_block *b, double longest, double tp)
{
    const double fp32 = 4;
    double hs = b->ssm_heads / tp, n = b->state, d = b->ssm_head_dim;
    double q = b->chunk > 0 ? b->chunk : 256, more = ceil(longest / q) + 1;

    switch (b->kind) {
    case RL_BLK_MAMBA1: /* discrete_A, discrete_B, deltaB_u and A·dt */
        return 4 * fp32 * b->inner / tp * n;
    case RL_BLK_MAMBA2: /* C·B and M·x, or the recurrence over chunks */
        return fp32 * hs * fmax(q * (n + d), more * more * d * n / longest);
    case RL_BLK_GDN:
    case RL_BLK_KDA: /* q, k, v and their products, masks of the chunk's width */
        return fp32 * b->heads / tp * (5 * (b->head_dim + b->v_dim) + 6 * 64);
    default:
        return 0;
    }
}

double rl_block_largest(const struct rl_block *b, double h, double a, double tp)
{
    double d = b->inner / tp, f = b->inter / tp;

    switch (b->kind) {
    case RL_BLK_MLP:
        return a * f * (b->fused_in ? 2 : 1);
    case RL_BLK_MOE:
        return a * b->topk * fmax(h, f);
    case RL_BLK_MAMBA1:
        return a * 2 * d;
    case RL_BLK_MAMBA2: /* the joint projection, or the norm's float copy */
        return fmax(a * (2 * d + 2 * b->groups * b->state + b->ssm_heads / tp), 4 * d);
    default:
        return a * fmax(h, b->heads * b->head_dim / tp);
    }
}
