/* Routed experts of one rank: grouped GEMMs and their glue.
 *
 * rows = tokens·topk/ep expert rows of width h meet `matrices` weights of
 * h × F, F = inter/tp:  FLOP 2·rows·matrices·h·F.  Only the experts that some
 * token chose are streamed; how many those are depends on the routing:
 *   balanced     even by construction: min(E, N·k)
 *   uniform      random and independent, what a trained router comes near to:
 *                E·(1 − (1 − k/E)^N)
 *   power_law_A  loads drawn from a density x^−A, see power_law_distinct
 * DRAM: those weights, the tokens in and out.  L2: the permuted rows and the
 * intermediates between the grouped GEMMs.
 * Ignores: padding of each expert to row tiles and the heaviest rank (kernel
 * model), the router (a gemm), shared experts (gemm), dispatch (alltoall).
 */
#include "kernels.h"
#include "op_util.h"

static const double tile = 128.0;

/* ∫ x^(q−1) dx from a to b. */
static double power_integral(double a, double b, double q)
{
    if (fabs(q) < 1e-9)
        return log(b / a);
    return (pow(b, q) - pow(a, q)) / q;
}

/* The recipe by which the public tables skew the load (ai-dynamo/aiconfigurator,
 * collector, power_law_logits_v3): one load per expert from the density x^−A on
 * [1, 0.8 N] (on [0.01, 2] while N·k ≤ E), scaled to the sum N·k and rounded.
 * An expert is touched when its share rounds to one or more, i.e. its load is
 * above t; what rounding loses goes to the largest, one each.  With whole
 * integrals in place of the draws this is closed: no loop, no random number.
 * Against simulated draws at 144 settings: 1 % off in the median, 24 % at most. */
static double power_law_distinct(double tokens, double topk, double experts, double a)
{
    double rows = tokens * topk, q = 1.0 - a;
    bool many = rows > experts;
    double lo = many ? 1.0 : 0.01, hi = many ? fmax(0.8 * tokens, 1.001) : 2.0;
    double mass = power_integral(lo, hi, q), sum = power_integral(lo, hi, q + 1.0);
    double t = fmin(fmax(0.5 * experts * sum / mass / rows, lo), hi);
    double touched = experts * power_integral(t, hi, q) / mass;
    double lost = rows * power_integral(lo, t, q + 1.0) / sum;

    return fmax(1.0, fmin(fmin(experts, rows), fmax(touched, lost)));
}

double rl_moe_distinct(double tokens, double topk, double experts, double routing)
{
    if (routing > 0.0)
        return power_law_distinct(tokens, topk, experts, routing);
    if (routing == 0.0)
        return fmin(experts, tokens * topk);
    /* −expm1 keeps digits when k/E is small */
    return topk >= experts ? experts : -experts * expm1(tokens * log1p(-topk / experts));
}

static void moe_work(const double *p, struct rl_work *w)
{
    const struct rl_dtype_info *d = rl_info(p[RL_MOE_DTYPE]);
    double n = p[RL_MOE_TOKENS], h = p[RL_MOE_HIDDEN], ep = p[RL_MOE_EP];
    double f = ceil(p[RL_MOE_INTER] / p[RL_MOE_TP]), matrices = p[RL_MOE_MATRICES];
    double rows = n * p[RL_MOE_TOPK] / ep, out = rl_out_bytes(p[RL_MOE_DTYPE]);
    double active =
        rl_moe_distinct(n, p[RL_MOE_TOPK], p[RL_MOE_EXPERTS], p[RL_MOE_ROUTING]) / ep;
    double weights = active * matrices * h * f;
    double row_tiles = fmax(active, rows / tile);

    w->unit = d->unit;
    w->flop = 2.0 * rows * matrices * h * f;
    w->sfu = 2.0 * rows * f;                     /* silu: exp and reciprocal */
    w->vector_flop = rows * (2.0 * f + 2.0 * h); /* gate; weighted sum of experts */
    if (d->weight_only)
        w->vector_flop += 2.0 * row_tiles * matrices * h * f;
    w->weight_bytes = weights * d->bits / 8.0;
    w->act_bytes = 2.0 * n * h * out;
    w->l2_bytes = w->weight_bytes + rows * (2.0 * h + matrices * f) * out;
    w->parallel = row_tiles * ceil((matrices - 1.0) * f / tile);
    w->launches = 5.0; /* top-k, sort, two grouped GEMMs, combination */
}

static int moe_check(const double *p, struct rl_error *err)
{
    double m = p[RL_MOE_MATRICES];

    if (m != 2.0 && m != 3.0)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "moe: parameter 'matrices': expected 3 (gated) or 2");
    if (p[RL_MOE_TOPK] > p[RL_MOE_EXPERTS])
        return rl_fail(err, RL_EVALUE, NULL, 0, "moe: topk=%.15g is above experts=%.15g",
                       p[RL_MOE_TOPK], p[RL_MOE_EXPERTS]);
    if (p[RL_MOE_EP] > p[RL_MOE_EXPERTS])
        return rl_fail(err, RL_EVALUE, NULL, 0, "moe: ep=%.15g is above experts=%.15g",
                       p[RL_MOE_EP], p[RL_MOE_EXPERTS]);
    if (p[RL_MOE_TP] > p[RL_MOE_INTER])
        return rl_fail(err, RL_EVALUE, NULL, 0, "moe: tp=%.15g is above inter=%.15g",
                       p[RL_MOE_TP], p[RL_MOE_INTER]);
    return 0;
}

const struct rl_op_type rl_op_moe = {
    .name = "moe",
    .ref = "2Nk matrices h F, weights of the distinct experts only; Mixtral, arXiv "
           "2401.04088, section 2.1; megablocks, arXiv 2211.15841",
    .cls = RL_CLS_MOE,
    .param =
        {
            {"tokens", RL_P_NUM, 1, RL_REQUIRED},
            {"hidden", RL_P_NUM, 1, RL_REQUIRED},
            {"inter", RL_P_NUM, 1, RL_REQUIRED},
            {"topk", RL_P_NUM, 1, RL_REQUIRED},
            {"experts", RL_P_NUM, 1, RL_REQUIRED},
            {"matrices", RL_P_NUM, 1, 3},
            {"tp", RL_P_NUM, 1, 1},
            {"ep", RL_P_NUM, 1, 1},
            {"routing", RL_P_ROUTING, RL_ROUTING_UNIFORM, RL_ROUTING_UNIFORM},
            {"dtype", RL_P_DTYPE, RL_DT_FP32, RL_REQUIRED},
        },
    .check = moe_check,
    .work = moe_work,
    .coef = rl_kern_moe_coef,
    .most = rl_kern_moe_most,
    .time = rl_kern_moe_time,
    .shape_params = 1U << RL_MOE_HIDDEN | 1U << RL_MOE_INTER | 1U << RL_MOE_TOPK |
                    1U << RL_MOE_EXPERTS,
    .log_sd = 0.45,
};
