/* Fuzz target: a device file to ceilings (src/device_rows.c, device_check.c,
 * device_fill.c), with one rate and no priors. */
#include "fuzz.h"

#include "device_rows.h"

#include <stdlib.h>

static const char rates[] = "compute_capability,unit,flop_per_clk_sm,source\n"
                            "8.9,fp16,512,s\n8.9,fp16,1024,s\n8.9,fp32,256,s\n";
static const char priors[] = "arch,key,value,lo,hi,n,source\ngpu,dram,0.9,0.8,1,1,s\n";

/* Priors are missing, so this ends in an error; what comes first must not crash. */
static void fill(struct rl_devrows *rows, struct rl_table *table)
{
    struct rl_device d = {.rows = rows, .priors = table};
    struct rl_error err = {0};
    char id[] = "fuzz";

    d.id = id;
    fuzz_check(rl_device_fill(&d, &err) == 0 || err.text[0]);
    fuzz_check(rl_device_unit(&d, RL_FP4) < RL_NUNITS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rl_error err = {0}, other = {0};
    struct rl_table *t = rl_table_parse("fuzz.csv", (const char *)data, size, &err);
    struct rl_table *r = rl_table_parse("rates", rates, sizeof rates - 1, &other);
    struct rl_table *p = rl_table_parse("priors", priors, sizeof priors - 1, &other);
    struct rl_devrows *rows = rl_devrows_take(t, &err);

    if (!rows) {
        fuzz_check(err.code != RL_OK && err.text[0]);
    } else {
        fuzz_check(rl_devrows_check(rows, r, &err) == 0 || err.text[0]);
        fill(rows, p);
    }
    rl_devrows_free(rows);
    rl_table_free(r);
    rl_table_free(p);
    return 0;
}
