/* Fuzz target: a config.json to a checked graph (src/json.c, src/modelcfg.c,
 * predict/family*.c, predict/build*.c). */
#include "fuzz.h"

#include "family.h"
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rl_error err = {0};
    json_t *top = rl_json_parse("fuzz.json", (const char *)data, size, &err);
    struct rl_graph g;
    struct rl_cfg c;

    if (!top) {
        fuzz_check(err.code != RL_OK);
        return 0;
    }
    if (rl_cfg_init(&c, "fuzz.json", top, &err) == 0) { /* takes top */
        rl_graph_init(&g);
        if (rl_family_build(&c, &g, &err) == 0) {
            struct rl_params p;

            rl_graph_params(&g, &p);
            fuzz_check(p.resident >= 0 && p.stored - p.stored == 0);
        } else {
            fuzz_check(err.code != RL_OK && err.text[0]);
        }
        rl_graph_clear(&g);
    }
    rl_cfg_clear(&c);
    return 0;
}
