/* Fuzz target: the CSV reader (src/table.c, libcsv), every cell read. */
#include "fuzz.h"

#include "table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rl_error err = {0};
    struct rl_table *t = rl_table_parse("fuzz.csv", (const char *)data, size, &err);

    if (!t) {
        fuzz_check(err.code != RL_OK && err.text[0]);
        return 0;
    }
    fuzz_check(t->ncols > 0);
    for (int i = 0; i < t->nrows; i++)
        for (int j = 0; j < t->ncols; j++) {
            struct rl_error bad = {0};
            double v = 0;

            fuzz_check(rl_table_get(t, i, j) != NULL);
            if (rl_table_num(t, i, j, 0, &v, &bad) == 0)
                fuzz_check(v - v == 0); /* finite */
        }
    rl_table_free(t);
    return 0;
}
