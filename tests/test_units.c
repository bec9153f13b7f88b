#include "test.h"

#include "units.h"

#include <stdio.h>

Test(units, tokens)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"1", 1},         {"4096", 4096},
                {"128k", 131072}, {"128K", 131072},
                {"1M", 1048576},  {"9007199254740992", 9007199254740992.0}};
    static const char *const bad[] = {"",
                                      "0",
                                      "k",
                                      "-1",
                                      "1.5k",
                                      "1m",
                                      "12 ",
                                      " 12",
                                      "0x10",
                                      "1e3",
                                      "inf",
                                      "nan",
                                      "1kk",
                                      "9007199254740994",
                                      "99999999999999999999M"};
    double v;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect_eq(rl_parse_tokens(good[i].text, &v, NULL), 0, "%s", good[i].text);
        cr_expect_eq(v, good[i].value, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rl_error e = {0};

        cr_expect_eq(rl_parse_tokens(bad[i], &v, &e), -1, "%s", bad[i]);
        cr_expect_eq(e.code, RL_EVALUE, "%s", bad[i]);
    }
}

Test(units, numbers)
{
    static const char *const bad[] = {"",  "x",   "1x",  " 1",    "1 ", "inf", "nan",
                                      "-", "0x1", "1,5", "1e999", "1e", "--1"};
    double v;

    cr_expect_eq(rl_parse_number("-1.5e3", &v), 0);
    cr_expect_eq(v, -1500);
    cr_expect_eq(rl_parse_number(".5", &v), 0);
    cr_expect_eq(v, 0.5);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(rl_parse_number(bad[i], &v), -1, "%s", bad[i]);
}

/* The short way to a number rounds as the long one. */
Test(units, numbers_as_strtod_reads_them)
{
    static const char *const texts[] = {"0",
                                        "-0",
                                        "0.1",
                                        "-2.675",
                                        "123456789.012345",
                                        "00.30",
                                        "1.",
                                        ".000001",
                                        "999999999999999",
                                        "0.999999999999999",
                                        "3.4e-5",
                                        "1E3",
                                        "1234567890.1234567",
                                        "+7"};
    char text[32];
    double v;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cr_expect_eq(rl_parse_number(texts[i], &v), 0, "%s", texts[i]);
        cr_expect_eq(v, strtod(texts[i], NULL), "%s", texts[i]);
    }
    srand(1);
    for (int i = 0; i < 20000; i++) {
        int decimals = rand() % 12;
        snprintf(text, sizeof text, "%.*f", decimals,
                 rand() / 65536.0 / (1 + rand() % 999));
        cr_expect_eq(rl_parse_number(text, &v), 0, "%s", text);
        cr_expect_eq(v, strtod(text, NULL), "%s", text);
    }
}

Test(units, seven_digits_as_printf_writes_them)
{
    static const double odd[] = {
        0,        1,          10,   0.1,  1e-4,      9.9999994e-5,  1e-5,
        1e22,     1e-300,     -2.5, 1e7,  9999999.5, 0.00012345675, 0.5,
        1234567,  12345678.5, 1e14, 1e13, 1.5e-14,   999999.95,     0.06150125,
        3.0000005};
    char got[32], want[32];

    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        snprintf(want, sizeof want, "%.7g", odd[i]);
        cr_expect_eq(rl_format_number(odd[i], got), strlen(want));
        cr_expect_str_eq(got, want);
    }
    srand(2);
    for (int i = 0; i < 300000; i++) {
        double v = (1 + rand() % 100000000) * pow(10, rand() % 40 - 25);
        v = i % 3 ? v * rand() / 65536.0 : v;
        snprintf(want, sizeof want, "%.7g", v);
        rl_format_number(v, got);
        cr_assert_str_eq(got, want);
    }
}

Test(units, factors)
{
    cr_expect_eq(rl_unit_factor("GB/s"), 1e9);
    cr_expect_eq(rl_unit_factor("GiB"), 1073741824.0);
    cr_expect_eq(rl_unit_factor("TFLOP/s"), 1e12);
    cr_expect_eq(rl_unit_factor("us"), 1e-6);
    cr_expect_eq(rl_unit_factor("1"), 1);
    cr_expect_eq(rl_unit_factor("GBs"), 0);
    cr_expect_eq(rl_unit_factor(""), 0);
    cr_expect_eq(rl_unit_factor("gb/s"), 0);
}

Test(units, human)
{
    char b[32];

    cr_expect_str_eq(rl_human_time(1.234e-3, b), "1.23 ms");
    cr_expect_str_eq(rl_human_time(0.9999, b), "1.00 s");
    cr_expect_str_eq(rl_human_time(5e-8, b), "50.0 ns");
    cr_expect_str_eq(rl_human_time(123.4, b), "123 s");
    cr_expect_str_eq(rl_human_time(0, b), "0.00 ns");
    cr_expect_str_eq(rl_human_time(NAN, b), "-");
    cr_expect_str_eq(rl_human_bytes(4.56 * 1073741824, b), "4.56 GiB");
    cr_expect_str_eq(rl_human_bytes(1023.9, b), "1.00 KiB");
    cr_expect_str_eq(rl_human_bytes(512, b), "512 B");
    cr_expect_str_eq(rl_human_energy(0.547, b), "547 mJ");
    cr_expect_str_eq(rl_human_energy(1203, b), "1.20 kJ");
    cr_expect_str_eq(rl_human_tokens(131072, b), "128k");
    cr_expect_str_eq(rl_human_tokens(1048576, b), "1M");
    cr_expect_str_eq(rl_human_tokens(1000, b), "1000");
    cr_expect_str_eq(rl_human_tokens(NAN, b), "-");
    cr_expect_str_eq(rl_human_rate(3.35e12, "B/s", b), "3.35 TB/s");
    cr_expect_str_eq(rl_human_rate(989e12, "FLOP/s", b), "989 TFLOP/s");
    cr_expect_str_eq(rl_human_rate(42, "tok/s", b), "42.0 tok/s");
}
