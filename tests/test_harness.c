/* The measuring harness: intervals, rows and resuming, physical limits. */
#include "test.h"

#include "../microbench/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(harness);

/* Normal-ish numbers of mean 1 and deviation 0.1, by the sum of twelve. */
static double sample(unsigned *seed)
{
    double s = 0;
    for (int i = 0; i < 12; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        s += *seed / 4294967296.0;
    }
    return 1 + 0.1 * (s - 6);
}

Test(harness, median_of_few)
{
    struct mb_stats st;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    mb_stats_of(odd, 3, &st);
    cr_assert(st.median == 2);
    cr_assert(st.best == 1);
    mb_stats_of(even, 4, &st);
    cr_assert(st.median == 2.5);
    mb_stats_of(one, 1, &st);
    cr_assert(st.lo == 7);
    cr_assert(st.hi == 7);
    mb_stats_of(one, 0, &st);
    cr_assert(st.n == 0);
}

/* The interval covers the true median about as often as it says: 95 % of 400
 * trials; 90 to 98.5 % leaves room for chance and for n = 31. */
Test(harness, bootstrap_covers)
{
    unsigned seed = 1;
    int covered = 0;
    for (int trial = 0; trial < 400; trial++) {
        double x[31];
        for (int i = 0; i < 31; i++)
            x[i] = sample(&seed);
        struct mb_stats st;
        mb_stats_of(x, 31, &st);
        cr_assert(st.lo <= st.median);
        cr_assert(st.median <= st.hi);
        covered += st.lo <= 1 && 1 <= st.hi;
    }
    cr_assert(covered >= 360);
    cr_assert(covered <= 394);
}

/* Twice the samples make a narrower interval; the same samples the same one. */
Test(harness, bootstrap_narrows)
{
    double few[20], many[320], again[320];
    unsigned seed = 5;
    for (int i = 0; i < 320; i++)
        again[i] = many[i] = sample(&seed);
    memcpy(few, many, sizeof few);
    struct mb_stats a, b, c;
    mb_stats_of(few, 20, &a);
    mb_stats_of(many, 320, &b);
    mb_stats_of(again, 320, &c);
    cr_assert(b.hi - b.lo < a.hi - a.lo);
    cr_assert(b.lo == c.lo);
    cr_assert(b.hi == c.hi);
}

/* A drift between passes shows in the interval, however quiet each pass is. */
Test(harness, passes_widen)
{
    double x[60];
    int end[] = {20, 40, 60};
    for (int i = 0; i < 60; i++)
        x[i] = 1 + 0.1 * (i / 20) + 1e-6 * (i % 20);
    struct mb_stats st;
    mb_stats_passes(x, end, 3, &st);
    cr_assert(st.lo <= 1.0001);
    cr_assert(st.hi >= 1.2);
}

static struct mb_case a_case(void)
{
    struct mb_case c = {.item = "read",
                        .dtype = "fp32",
                        .mode = "cold",
                        .threads = 2,
                        .what = MB_BYTES_RATE,
                        .bytes = 1e9,
                        .events = 1};
    snprintf(c.size, sizeof c.size, "bytes=1000000000");
    return c;
}

static struct mb_samples some_samples(double t)
{
    struct mb_samples s = {.n = 5, .cap = 5, .npasses = 1, .pass_end = {5}};
    s.t = malloc(5 * sizeof *s.t);
    for (int i = 0; i < 5; i++)
        s.t[i] = t * (1 + 0.01 * i);
    return s;
}

Test(harness, rate_and_limit)
{
    struct mb_case c = a_case();
    struct mb_samples s = some_samples(0.1); /* 1 GB in 0.102 s */
    struct mb_row row;
    struct rl_error err = {0};
    mb_row_of(&c, &s, &row);
    expect_near(row.rate, 1e9 / 0.102, 1e-12);
    cr_assert_str_eq(row.unit, "B/s");
    cr_assert(mb_limit_check(&c, &row, &err) == 0);
    c.limit = 9.9e9; /* the median is below it, the best sample is not */
    cr_assert(mb_limit_check(&c, &row, &err) == -1);
    cr_assert(strstr(err.text, "above the physical limit"));
    c.limit = 1.1e10;
    err = (struct rl_error){0};
    cr_assert(mb_limit_check(&c, &row, &err) == 0);
    mb_samples_free(&s);
}

static void temp_name(char *buf, size_t size)
{
    snprintf(buf, size, "/tmp/rl-harness-%ld.csv", (long)getpid());
}

Test(harness, rows_come_back)
{
    char path[64];
    temp_name(path, sizeof path);
    struct mb_rows r = {0}, back = {0};
    struct rl_error err = {0};
    struct mb_case c = a_case();
    struct mb_samples s = some_samples(0.1);
    struct mb_row row;
    mb_row_of(&c, &s, &row);
    cr_assert((mb_context_add(&r, &err, "cpu=%s", "a, \"b\"\nc")) == 0);
    cr_assert((mb_rows_add(&r, &row, &err)) == 0);
    cr_assert(mb_rows_save(&r, path, &err) == 0, "%s", err.text);
    cr_assert(mb_rows_load(&back, path, &err) == 0, "%s", err.text);
    cr_assert(back.n == 1);
    cr_assert(back.ncontext == 1);
    cr_assert_str_eq(back.context[0], "cpu=a, \"b\" c");
    expect_near(back.row[0].rate, row.rate, 1e-5);
    cr_assert_not_null(mb_rows_find(&back, &c));
    c.threads = 1;
    cr_assert_null(mb_rows_find(&back, &c));
    remove(path);
    mb_rows_clear(&r);
    mb_rows_clear(&back);
    mb_samples_free(&s);
}

static int load_text(const char *text, struct rl_error *err)
{
    char path[64];
    temp_name(path, sizeof path);
    FILE *f = fopen(path, "w");
    fprintf(f, "%s\n%s", mb_row_header, text);
    fclose(f);
    struct mb_rows r = {0};
    int rc = mb_rows_load(&r, path, err);
    mb_rows_clear(&r);
    remove(path);
    return rc;
}

/* A file to resume that is not one of ours is refused, with its line. */
Test(harness, bad_rows)
{
    struct rl_error err = {0};
    cr_assert(load_text("read,fp32,bytes=1,cold,1,,,,3,1,1,1,1,1,0,1,1,B/s,0,0,0,0,\n",
                        &err) == 0,
              "%s", err.text);
    cr_assert(load_text("read,fp32,bytes=1,cold,1,,,,3,0,1,1,1,1,0,1,1,B/s,0,0,0,0,\n",
                        &err) == -1);
    cr_assert(err.line == 2);
    err = (struct rl_error){0};
    cr_assert(load_text("read,fp32,bytes=1,cold,1,,,,x,1,1,1,1,1,0,1,1,B/s,0,0,0,0,\n",
                        &err) == -1);
    err = (struct rl_error){0};
    cr_assert(load_text("read,fp32\n", &err) == -1);
}

Test(harness, foreign_cpu_is_what_others_used)
{
    struct mb_cpu_time a = {.wall_s = 10, .busy_s = 100, .own_s = 1},
                       b = {.wall_s = 12, .busy_s = 103, .own_s = 3};
    expect_near(mb_foreign_cpu(&a, &b), 0.5, 1e-12);
    b.busy_s = 101; /* accounting lag never shows as negative */
    cr_assert(mb_foreign_cpu(&a, &b) == 0);
}

/* An item of the test's own goes through a whole pass: set up, check, pilot,
 * samples, tear-down. */
static int sleeps(struct mb_env *e, int i, struct mb_case *c, bool *quick)
{
    (void)e;
    (void)quick;
    c->what = MB_TIME;
    return i == 0;
}

static int runs;

static double pretend(struct mb_env *e, struct mb_case *c, long reps,
                      struct rl_error *err)
{
    (void)e;
    (void)c;
    (void)err;
    runs++;
    return 1e-4 * (double)reps;
}

Test(harness, pass_batches_runs)
{
    struct mb_item it = {.name = "pretend", .make = sleeps, .run = pretend};
    struct mb_backend be = {.program = "test"};
    struct mb_budget b = {.sample_s = 1e-3,
                          .pass_s = 5,
                          .passes = 1,
                          .min_n = 10,
                          .max_n = 50,
                          .rel = 0.01};
    struct mb_case c = {.item = "pretend", .dtype = "none", .mode = "warm", .events = 1};
    struct mb_samples s = {0};
    struct rl_error err = {0};
    runs = 0;
    cr_assert((mb_sample_pass(&be, NULL, &it, &c, &b, &s, &err)) == 0);
    /* constant time: it stops at the first look after min_n */
    cr_assert(s.n == 10);
    cr_assert(s.npasses == 1);
    expect_near(s.t[0], 1e-4, 1e-12);
    mb_samples_free(&s);
}
