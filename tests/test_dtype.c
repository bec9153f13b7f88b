#include "test.h"

#include "dtype.h"

/* The CONTRACT's list: every name is known. */
Test(dtype, every_name_of_the_contract)
{
    static const char *const names[] = {
        "fp32",      "tf32",   "bf16",    "fp16",        "fp8",
        "fp8_block", "int8",   "w8a8_sq", "nvfp4",       "mxfp4",
        "mxfp8",     "w8a16",  "w4a16",   "w4a16_mxfp4", "w4a8_mxfp4_mxfp8",
        "q8_0",      "q6_k",   "q5_k_m",  "q4_k_m",      "q4_0",
        "q3_k_l",    "q3_k_s", "q2_k_s",  "none"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int dt = rl_dtype_parse(names[i]);

        cr_assert_geq(dt, 0, "%s", names[i]);
        cr_expect_str_eq(rl_dtype((enum rl_dtype)dt)->name, names[i]);
    }
    cr_expect_eq(rl_dtype_parse("fp7"), -1);
    cr_expect_eq(rl_dtype_parse(""), -1);
    cr_expect_eq(rl_dtype_parse("Q4_K_M"), (int)RL_DT_Q4_K_M);
    cr_expect_eq(rl_dtype_parse("bfloat16"), (int)RL_DT_BF16);
}

Test(dtype, rows_are_whole)
{
    for (int i = 0; i < RL_NDTYPES; i++) {
        const struct rl_dtype_info *d = rl_dtype((enum rl_dtype)i);

        cr_assert_not_null(d->name, "row %d", i);
        cr_expect_eq(rl_dtype_parse(d->name), i, "%s", d->name);
        cr_expect(d->ref && *d->ref, "%s", d->name);
        cr_expect(i == RL_DT_NONE || (d->bits >= 2 && d->bits <= 32), "%s", d->name);
        cr_expect(i == RL_DT_NONE || d->act_bytes > 0, "%s", d->name);
    }
    cr_expect_eq(rl_dtype((enum rl_dtype)999), rl_dtype(RL_DT_NONE));
}

/* Counted by hand from the block structures. */
Test(dtype, exact_bits)
{
    cr_expect_eq(rl_dtype(RL_DT_Q8_0)->bits, 8.5);
    cr_expect_eq(rl_dtype(RL_DT_Q6_K)->bits, 6.5625);
    cr_expect_eq(rl_dtype(RL_DT_Q5_K)->bits, 5.5);
    cr_expect_eq(rl_dtype(RL_DT_Q4_K)->bits, 4.5);
    cr_expect_eq(rl_dtype(RL_DT_Q4_0)->bits, 4.5);
    cr_expect_eq(rl_dtype(RL_DT_Q3_K)->bits, 3.4375);
    cr_expect_eq(rl_dtype(RL_DT_Q2_K)->bits, 2.625);
    cr_expect_eq(rl_dtype(RL_DT_IQ4_NL)->bits, 4.5);
    cr_expect_eq(rl_dtype(RL_DT_IQ4_XS)->bits, 4.25);
    cr_expect_eq(rl_dtype(RL_DT_NVFP4)->bits, 4.5);
    cr_expect_eq(rl_dtype(RL_DT_MXFP4)->bits, 4.25);
    cr_expect_eq(rl_dtype(RL_DT_MXFP8)->bits, 8.25);
    cr_expect_eq(rl_dtype(RL_DT_FP8_BLOCK)->bits, 8.001953125);
    cr_expect_eq(rl_dtype(RL_DT_W4A16)->bits, 4.15625);
    cr_expect_eq(rl_dtype_bytes(RL_DT_BF16), 2);
    cr_expect_eq(rl_dtype_bytes(RL_DT_NONE), 0);
}

/* Llama-3.1-8B by llama.cpp's recipes: q3_k_m's down, o and v; q4_k_m's v and down
 * in q6_k in half of the layers. */
Test(dtype, recipes)
{
    double q = 4096.0 * 4096, kv = 1024.0 * 4096, mlp = 14336.0 * 4096;
    double layer = 2 * q + 2 * kv + 3 * mlp;
    double q3 =
        (q + kv + 2 * mlp) * 3.4375 + (kv + q + mlp) * 4.5 + 2.0 / 32 * (kv + mlp) * 1.0;
    double q4 = layer * 4.5 + 0.5 * (kv + mlp) * (6.5625 - 4.5);

    expect_near(rl_dtype(RL_DT_Q3_K_M)->bits, q3 / layer, 1e-3);
    expect_near(rl_dtype(RL_DT_Q4_K_M)->bits, q4 / layer, 1e-4);
    cr_expect_eq(rl_dtype_base(RL_DT_Q4_K_M), RL_DT_Q4_K);
    cr_expect_eq(rl_dtype_base(RL_DT_IQ4_NL), RL_DT_IQ4_NL);
}

Test(dtype, units_have_names)
{
    cr_expect_str_eq(rl_unit_name(RL_BF16), "bf16");
    cr_expect_str_eq(rl_unit_name(RL_INT4), "int4");
    for (int u = 0; u < RL_NUNITS; u++)
        cr_expect_not_null(rl_unit_name((enum rl_unit)u));
}
