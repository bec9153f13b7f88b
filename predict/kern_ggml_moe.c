/* Routed experts as ggml runs them (mul_mat_id), by the back end's own model of a
 * product: the experts that some token chose stand side by side as one matrix, whose
 * rows are what each of them got.  A matrix kernel works in tiles of rows, chosen by the
 * tokens of the call, of which an expert fills one at least and leaves half of the last
 * empty in the mean.  A vector kernel goes through the top-k one after the other: of each
 * it reads the experts that some token has there, and unpacks them for every token anew.
 * Read in ggml-org/ggml d99724f, src/ggml-cuda/mmq.cu and src/ggml-metal
 * (kernel_mul_mm_id), 7180759, src/ggml-cuda/mmvq.cu (mul_mat_vec_q_moe), and
 * src/llama-graph.cpp of llama.cpp (build_moe_ffn). Ignored: skewed routing within a
 * call; an expert that L2 keeps from one of the top-k to the next; experts kept on the
 * CPU.
 */
#include "kern_impl.h"
#include "op_util.h"

#include <string.h>

struct experts {
    double rows, distinct, dtype; /* rows of each of the distinct ones */
    rl_kernel_seconds *gemm;
};

static double product(const struct experts *e, double n, double k,
                      const struct rl_machine *m, const double *c, double *part)
{
    double q[RL_MAXPARAMS] = {0}, one[RL_NBOUNDS] = {0};

    q[RL_GEMM_M] = e->rows;
    q[RL_GEMM_N] = e->distinct * n;
    q[RL_GEMM_K] = k;
    q[RL_GEMM_DTYPE] = e->dtype;
    double s = e->gemm(q, m, c, part ? one : NULL);
    for (int i = 0; part && i < RL_NBOUNDS; i++)
        part[i] += one[i];
    return s;
}

static double products(struct experts e, const double *p, const struct rl_machine *m,
                       const double *c, double *part)
{
    double h = p[RL_MOE_HIDDEN], f = ceil(p[RL_MOE_INTER] / p[RL_MOE_TP]), s = 0;

    e.distinct /= p[RL_MOE_EP];
    if (part)
        memset(part, 0, RL_NBOUNDS * sizeof *part);
    for (int i = 0; i + 1 < (int)p[RL_MOE_MATRICES]; i++)
        s += product(&e, f, h, m, c, part);
    return s + product(&e, h, f, m, c, part);
}

double rl_ggml_experts(const double *p, double tile, rl_kernel_seconds *gemm,
                       const struct rl_machine *m, const double *c, double *part)
{
    struct experts e = {.dtype = p[RL_MOE_DTYPE], .gemm = gemm};

    e.distinct = rl_moe_distinct(p[RL_MOE_TOKENS], p[RL_MOE_TOPK], p[RL_MOE_EXPERTS],
                                 p[RL_MOE_ROUTING]);
    e.rows = p[RL_MOE_TOKENS] * p[RL_MOE_TOPK] / e.distinct;
    tile = fmin(tile, p[RL_MOE_TOKENS]);
    if (tile > 0)
        e.rows = fmax(tile, e.rows + tile / 2);
    return products(e, p, m, c, part);
}

double rl_ggml_experts_few(const double *p, rl_kernel_seconds *vector,
                           const struct rl_machine *m, const double *c, double *part)
{
    struct experts e = {.dtype = p[RL_MOE_DTYPE], .gemm = vector};
    double each =
        rl_moe_distinct(p[RL_MOE_TOKENS], 1, p[RL_MOE_EXPERTS], p[RL_MOE_ROUTING]);

    e.rows = p[RL_MOE_TOKENS] / each;
    e.distinct = each * p[RL_MOE_TOPK];
    return products(e, p, m, c, part);
}

/* Elements that the nodes behind the products pass: activation, weighting, sum. */
double rl_ggml_expert_glue(const double *p)
{
    double rows = p[RL_MOE_TOKENS] * p[RL_MOE_TOPK] / p[RL_MOE_EP];

    return rows * (p[RL_MOE_MATRICES] * ceil(p[RL_MOE_INTER] / p[RL_MOE_TP]) +
                   3 * p[RL_MOE_HIDDEN]);
}
