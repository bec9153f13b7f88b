/* Fuzz target: a GGUF header to a config and its graph (src/gguf*.c,
 * predict/family*.c). */
#include "fuzz.h"

#include "family.h"
#include "gguf.h"

static void build(json_t *config)
{
    struct rl_error err = {0};
    struct rl_graph g;
    struct rl_cfg c;

    if (rl_cfg_init(&c, "fuzz.gguf", config, &err) == 0) { /* takes config */
        rl_graph_init(&g);
        fuzz_check(rl_family_build(&c, &g, &err) == 0 || err.text[0]);
        rl_graph_clear(&g);
    }
    rl_cfg_clear(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rl_error err = {0};
    struct rl_gguf g;

    /* the header says how large the file is; the data behind it is not there */
    if (rl_gguf_parse("fuzz.gguf", data, size, (uint64_t)1 << 40, &g, &err) == 0) {
        json_t *config = rl_gguf_config(&g, &err);

        fuzz_check(config || err.code != RL_OK);
        if (config)
            build(config);
        rl_gguf_dtype(&g);
        rl_gguf_clear(&g);
    } else {
        fuzz_check(err.code != RL_OK && err.text[0]);
    }
    return 0;
}
