/* Fuzz target: a GGUF header to a config (src/gguf.c, src/ggufconfig.c). */
#include "fuzz.h"

#include "gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rl_error err = {0};
    struct rl_gguf g;

    /* the header says how large the file is; the data behind it is not there */
    if (rl_gguf_parse("fuzz.gguf", data, size, (uint64_t)1 << 40, &g, &err) == 0) {
        json_t *config = rl_gguf_config(&g, &err);

        fuzz_check(config || err.code != RL_OK);
        json_decref(config);
        rl_gguf_dtype(&g);
        rl_gguf_clear(&g);
    } else {
        fuzz_check(err.code != RL_OK && err.text[0]);
    }
    return 0;
}
