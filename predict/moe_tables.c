/* Tuned tables of Triton's fused experts in 16-bit formats: for each (experts of a rank,
 * inter of a rank) with a file of its own in vLLM's package the tile was searched for;
 * every other shape takes one rule of thumb (kern_moe.c, `rule`).
 *
 * Source: the names in vllm/model_executor/layers/fused_moe/configs at v0.27.1, those
 * without a dtype; of Hopper those of H100 and H200 together.  SGLang's package
 * (fused_moe_triton/configs) began as a copy of these; its own of Hopper, E 16 to 24 of
 * Llama 4 with none to eight shared experts, stand among them.
 * Ignores: what the tables say; tables of fp8 and int8; boards of one architecture that
 * have tables and boards that have none.
 */
#include "moe_tables.h"

#include <stddef.h>

struct shape {
    short cc, experts;
    int inter;
};

static const struct shape tuned[] = {
    /* A100-SXM4-80GB */
    {80, 1, 1792},
    {80, 1, 3584},
    {80, 1, 7168},
    {80, 1, 14336},
    {80, 8, 1792},
    {80, 8, 2048},
    {80, 8, 3584},
    {80, 8, 4096},
    {80, 8, 7168},
    {80, 16, 1344},
    {80, 16, 1792},
    {80, 16, 2688},
    {80, 16, 3584},
    {80, 16, 7168},
    {80, 16, 14336},
    {80, 64, 640},
    {80, 64, 1280},
    {80, 128, 192},
    {80, 512, 64},
    {80, 512, 128},
    /* L40S */
    {89, 8, 3584},
    {89, 128, 928},
    {89, 128, 1856},
    /* H100_80GB_HBM3, H200 */
    {90, 1, 3072},
    {90, 8, 1792},
    {90, 8, 2048},
    {90, 8, 3584},
    {90, 8, 4096},
    {90, 8, 7168},
    {90, 8, 14336},
    {90, 16, 1024},
    {90, 16, 1344},
    {90, 16, 1792},
    {90, 16, 2048},
    {90, 16, 2688},
    {90, 17, 1024},
    {90, 18, 1024},
    {90, 20, 1024},
    {90, 20, 2048},
    {90, 24, 1024},
    {90, 32, 1792},
    {90, 62, 256},
    {90, 62, 512},
    {90, 64, 320},
    {90, 64, 640},
    {90, 64, 1280},
    {90, 64, 1536},
    {90, 64, 2560},
    {90, 72, 384},
    {90, 72, 768},
    {90, 128, 96},
    {90, 128, 192},
    {90, 128, 384},
    {90, 128, 512},
    {90, 128, 768},
    {90, 128, 928},
    {90, 128, 1024},
    {90, 128, 1856},
    {90, 128, 2880},
    {90, 256, 512},
    {90, 512, 64},
    {90, 512, 128},
    {90, 512, 256},
    {90, 512, 512},
    /* B200 */
    {100, 16, 1024},
    {100, 32, 1408},
    {100, 64, 1408},
    {100, 128, 512},
    {100, 128, 768},
    {100, 128, 1856},
    {100, 512, 64},
    {100, 512, 128},
    {100, 512, 256},
    {100, 512, 512},
    {100, 512, 672},
    {100, 512, 1344},
};

bool rl_moe_is_tuned(int cc, double experts, double inter)
{
    for (size_t i = 0; i < sizeof tuned / sizeof *tuned; i++)
        if (tuned[i].cc == cc && tuned[i].experts == experts && tuned[i].inter == inter)
            return true;
    return false;
}
