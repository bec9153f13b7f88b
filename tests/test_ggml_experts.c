/* llama.cpp's experts: which kernel takes how many tokens, and what it counts. */
#include "op_test.h"

#include "kern_impl.h"
#include "op_util.h"

#include <stdio.h>

#define MIXTRAL "hidden=4096 inter=14336 topk=2 experts=8 dtype=q4_0 "
#define MANY    "hidden=2048 inter=768 topk=8 experts=128 dtype=q4_0 "
#define N_MANY  (3.0 * 2048 * 768) /* weights of an expert */

/* 100 SMs of 1 GHz, 1 TB/s and 1e15 FLOP/s. */
static struct rl_machine machine(void)
{
    struct rl_machine m = {.sm = 100,
                           .clock_hz = 1e9,
                           .dram_peak = 1e12,
                           .dram = 1e12,
                           .dram_net = 1e12,
                           .gpus = 1,
                           .cc = 80};
    for (int u = 0; u < RL_NUNITS; u++)
        m.rate[u] = m.peak[u] = 1e15;
    return m;
}

/* Seconds of `tokens` by mmq, with `few` in the place of that coefficient. */
static double seconds(const char *model, int tokens, double few, double part[RL_NBOUNDS])
{
    const struct rl_impl *impl = rl_impl_find("ggml", &rl_op_moe, 0);
    struct rl_machine m = machine();
    struct rl_error err = {0};
    double p[RL_MAXPARAMS], c[RL_MAXCOEFS] = {0};
    char params[160];

    snprintf(params, sizeof params, "%stokens=%d", model, tokens);
    cr_assert_eq(rl_op_parse(&rl_op_moe, params, p, &err), 0, "%s", err.text);
    for (int i = 0; impl->coef[i].name; i++) {
        const char *name = impl->coef[i].name;
        c[i] = !strcmp(name, "mode")     ? 1
               : !strcmp(name, "tokens") ? few
                                         : impl->coef[i].prior;
    }
    return impl->time(p, &m, c, part);
}

/* Up to `tokens` of a call a warp walks an expert for each token anew; DRAM is read once
 * for each of the top-k and the experts that some token has there. */
Test(ggml_experts, vector_kernel)
{
    double one[RL_NBOUNDS], four[RL_NBOUNDS], read = 8 * (1 - pow(7.0 / 8, 4));

    seconds(MIXTRAL, 1, 8, one);
    seconds(MIXTRAL, 4, 8, four);
    expect_near(four[RL_B_COMPUTE] / one[RL_B_COMPUTE], 4, 1e-9);
    expect_near(four[RL_B_MEMORY] / one[RL_B_MEMORY], read, 0.01);
}

/* Beyond them every expert hit is a tile of as many rows as the call has tokens, be they
 * one or two of its own (ggml_cuda_mul_mat_id asks for ne2, not for an expert's rows). */
Test(ggml_experts, matrix_kernel_by_the_tokens_of_the_call)
{
    double part[RL_NBOUNDS], rate = 640 * 100 * 1e9; /* block_rate, SMs, clock */

    for (int tokens = 9; tokens <= 128; tokens += 17) {
        double hit = rl_moe_distinct(tokens, 8, 128, RL_ROUTING_UNIFORM);
        double rows = fmax(tokens, tokens * 8 / hit + tokens / 2.0);
        seconds(MANY, tokens, 8, part);
        expect_near(part[RL_B_COMPUTE], 2 * rows * hit * N_MANY / rate, 1e-9);
    }
}

/* 0: each expert is a product of its own, here of 1.5 rows, by the vector kernel. */
Test(ggml_experts, products_of_their_own)
{
    double part[RL_NBOUNDS], hit = rl_moe_distinct(16, 8, 128, RL_ROUTING_UNIFORM),
                             rows = 16 * 8 / hit;
    double lanes = 7.2 * 100 * 1e9, bytes = hit * N_MANY * rl_dtype_bytes(RL_DT_Q4_0);

    seconds(MANY, 16, 0, part);
    expect_near(part[RL_B_COMPUTE], bytes / lanes * (1 + 0.15 * (rows - 1)), 1e-9);
}

Test(ggml_experts, more_tokens_never_take_less)
{
    static const char *const model[] = {MIXTRAL, MANY};
    static const double few[] = {8, 31};

    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            double before = 0;
            for (int tokens = 1; tokens <= 256; tokens++) {
                double s = seconds(model[i], tokens, few[k], NULL);
                cr_expect_geq(s, before, "%s%d tokens, up to %g", model[i], tokens,
                              few[k]);
                before = s;
            }
        }
}
