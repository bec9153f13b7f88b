/* Fuzz targets are libFuzzer's entry point; without libFuzzer replay.c calls
 * it for every file of the corpus. */
#ifndef RL_FUZZ_H
#define RL_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the reader that no input may break. */
#define fuzz_check(x)                                                                    \
    do {                                                                                 \
        if (!(x))                                                                        \
            abort();                                                                     \
    } while (0)

#endif
