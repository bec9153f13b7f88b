/* Kernel entries: a part read for one prediction equals that of the whole, and a
 * mistake is named by file and line where its operator is read. */
#include "test.h"

#include "kernel.h"
#include "ops.h"
#include "path.h"
#include "time.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_op(const struct rl_op_type *op, const void *arg)
{
    return op == arg;
}

static void expect_same(const struct rl_kernel *a, const struct rl_kernel *b)
{
    cr_expect_str_eq(a->runtime, b->runtime);
    cr_expect_str_eq(a->impl, b->impl);
    cr_expect_str_eq(a->device, b->device);
    cr_expect_eq(a->cc, b->cc);
    cr_expect_str_eq(a->source ? a->source : "", b->source ? b->source : "");
    cr_expect_eq(a->dtype, b->dtype);
    cr_expect_eq(a->kv_dtype, b->kv_dtype);
    cr_expect_arr_eq(a->coef, b->coef, sizeof a->coef);
    cr_expect(a->n == b->n && a->lo == b->lo && a->hi == b->hi);
    cr_expect_eq(a->sustained, b->sustained);
    cr_expect_eq(a->given, b->given);
}

Test(kernel, a_part_is_as_in_the_whole)
{
    struct rl_error e = {0};
    struct rl_kernel_db *all = rl_kernel_db_load(source_dir(), &e);
    int seen = 0;

    cr_assert_not_null(all, "%s", e.text);
    for (int o = 0; rl_op_types[o]; o++) {
        struct rl_kernel_db *part =
            rl_kernel_db_load_for(source_dir(), is_op, rl_op_types[o], &e);
        int n = 0;
        cr_assert_not_null(part, "%s", e.text);
        for (int i = 0; i < rl_kernel_db_count(all); i++)
            if (rl_kernel_db_at(all, i)->op == rl_op_types[o])
                expect_same(rl_kernel_db_at(all, i), rl_kernel_db_at(part, n++));
        cr_expect_eq(n, rl_kernel_db_count(part));
        seen += n;
        rl_kernel_db_free(part);
    }
    cr_expect_eq(seen, rl_kernel_db_count(all));
    cr_expect_gt(seen, 100);
    rl_kernel_db_free(all);
}

/* An entry holds the coefficients of its own variant, never more than 24. */
Test(kernel, entries_hold_few_coefficients)
{
    struct rl_error e = {0};
    struct rl_kernel_db *all = rl_kernel_db_load(source_dir(), &e);

    cr_assert_not_null(all, "%s", e.text);
    for (int i = 0; i < rl_kernel_db_count(all); i++) {
        const struct rl_kernel *k = rl_kernel_db_at(all, i);
        int n = 0;
        for (int c = 0; c < RL_MAXCOEFS; c++)
            n += (int)(k->given >> c & 1);
        cr_expect(n > 0 && n <= 24, "%s %s %s: %d", k->device, k->op->name, k->impl, n);
    }
    rl_kernel_db_free(all);
}

/* A data folder of one device, whose kernel file holds `rows`. */
struct folder {
    char dir[64], devices[96], kernels[96];
};

static void write_file(const char *dir, const char *name, const char *text)
{
    char *path = rl_path_join(dir, name, NULL);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static struct folder folder(const char *rows)
{
    struct folder f = {.dir = "/tmp/rl-kernel-XXXXXX"};
    char hwdb[80];
    cr_assert_not_null(mkdtemp(f.dir));
    snprintf(hwdb, sizeof hwdb, "%s/hwdb", f.dir);
    snprintf(f.devices, sizeof f.devices, "%s/devices", hwdb);
    snprintf(f.kernels, sizeof f.kernels, "%s/kernels", hwdb);
    mkdir(hwdb, 0700);
    mkdir(f.devices, 0700);
    mkdir(f.kernels, 0700);
    write_file(f.devices, "x.csv",
               "key,value,unit,kind,source\ncompute_capability,8.0,,text,s\n"
               "flops.bf16,100,TFLOP/s,datasheet,s\nflops.bf16,80,TFLOP/s,sustained,s\n");
    write_file(f.kernels, "x.csv", rows);
    return f;
}

static void clear(struct folder *f)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", f->dir);
    cr_expect_eq(system(command), 0);
}

static void expect_file_error(struct folder *f, const struct rl_op_type *op,
                              const char *want)
{
    struct rl_error e = {0};
    char full[256];
    struct rl_kernel_db *db =
        op ? rl_kernel_db_load_for(f->dir, is_op, op, &e) : rl_kernel_db_load(f->dir, &e);
    snprintf(full, sizeof full, "%s/x.csv:%s", f->kernels, want);
    cr_expect_null(db);
    expect_error(e, full);
    rl_kernel_db_free(db);
}

#define SPREAD "'gemm' of i: expected spread from -1 to 1 with 0 < from <= to"
#define HEAD   "runtime,op,impl,dtype,kv_dtype,coef,value,unit,n,source\n"

/* Keys that come again later, in quotes, or behind other columns. */
Test(kernel, rows_in_any_order)
{
    struct folder f[] = {folder(HEAD "r,gemm,i,bf16,,eff,0.5,1,7,s\n"
                                     "r,ssd_scan,i,bf16,,bias,0,1,7,s\n"
                                     "\"r\",gemm,i,bf16,,dram,0.7,1,9,s\n"),
                         folder("source,n,coef,value,op,impl,dtype,kv_dtype,runtime\n"
                                "s,7,eff,0.5,gemm,i,bf16,,r\n"
                                "s,9,dram,0.7,gemm,i,bf16,,r\n")};
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        struct rl_error e = {0};
        struct rl_kernel_db *db = rl_kernel_db_load_for(f[i].dir, is_op, &rl_op_gemm, &e);
        cr_assert_not_null(db, "%s", e.text);
        cr_assert_eq(rl_kernel_db_count(db), 1);
        const struct rl_kernel *k = rl_kernel_db_at(db, 0);
        cr_expect_eq(k->n, 9);
        cr_expect_eq(k->cc, 80);
        expect_near(k->sustained, 0.8, 1e-12);
        for (int c = 0; k->op->coef[c].name; c++)
            if (k->given >> c & 1)
                cr_expect_eq(k->coef[c], strcmp(k->op->coef[c].name, "eff") ? 0.7 : 0.5);
        rl_kernel_db_free(db);
        clear(&f[i]);
    }
}

Test(kernel, a_mistake_counts_where_its_operator_is_read)
{
    static const struct {
        const char *row, *error;
    } bad[] = {
        {"r,gemm,i,bf16,,eff,x,1,7,s\n",
         "3: expected a number in column 'value', found 'x'"},
        {"r,gemm,i,bf16,,eff,,1,7,s\n", "3: expected a number in column 'value'"},
        {"r,gemm,i,bf16,,eff,9,1,7,s\n", "3: 'eff' is 9, expected 0.2 to 1.2"},
        {"r,gemm,i,bf16,,effort,1,1,7,s\n",
         "3: operator 'gemm' has no coefficient 'effort'"},
        {"r,gemm,i,bf17,,eff,1,1,7,s\n", "3: unknown dtype 'bf17'"},
        {"r,gemm,i,bf16,,eff,1,1,7,s\nr,gemm,i,bf16,,eff,1,1,7,s\n",
         "4: 'eff' is given twice"},
        {"r,gemm,i,bf16,,eff,1,1,7\n", "3: expected 10 fields as in the header, found 9"},
        {"r,gemm,i,bf16,,lo,1,1,7,s\n", "3: 'gemm' of i: expected lo <= 0 <= hi"},
        {"r,gemm,i,bf16,,spread,-0.1,1,7,s\n", "3: " SPREAD},
        {"r,gemm,i,bf16,,spread,-2,1,7,s\nr,gemm,i,bf16,,from,1,us,7,s\n"
         "r,gemm,i,bf16,,to,9,us,7,s\n",
         "5: " SPREAD},
        {"r,gemm,i,bf16,,spread,-0.1,1,7,s\nr,gemm,i,bf16,,from,10,us,7,s\n"
         "r,gemm,i,bf16,,to,9,us,7,s\n",
         "5: " SPREAD},
    };
    char text[400];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, HEAD "r,ssd_scan,i,bf16,,bias,0,1,7,s\n%s",
                 bad[i].row);
        struct folder f = folder(text);
        expect_file_error(&f, NULL, bad[i].error);
        expect_file_error(&f, &rl_op_gemm, bad[i].error);
        clear(&f);
    }
}

/* An entry whose spread goes with the time of the call: read, used on its own device,
 * not carried to others. */
Test(kernel, spread_by_time)
{
    struct folder f =
        folder(HEAD "r,gemm,i,bf16,,lo,-0.1,1,7,s\nr,gemm,i,bf16,,hi,0.2,1,7,s\n"
                    "r,gemm,i,bf16,,spread,-0.5,1,7,s\nr,gemm,i,bf16,,from,10,us,7,s\n"
                    "r,gemm,i,bf16,,to,1000,us,7,s\n");
    struct rl_error e = {0};
    struct rl_kernel_db *db = rl_kernel_db_load(f.dir, &e);
    struct rl_device d = {.id = (char *)"x", .cc = 80},
                     other = {.id = (char *)"y", .cc = 80};
    struct rl_ask a = {db, &d, "r", "i", &rl_op_gemm, RL_DT_BF16, RL_DT_NONE, false};
    struct rl_choice c;
    double lo, hi;

    cr_assert_not_null(db, "%s", e.text);
    rl_choose_by(&a, &c);
    rl_choice_bounds(&c, 1e-4, &lo, &hi); /* √(10·1000) µs */
    expect_near(lo, 1e-4 * exp(-0.1), 1e-9);
    expect_near(hi, 1e-4 * exp(0.2), 1e-9);
    rl_choice_bounds(&c, 4e-4, &lo, &hi);
    expect_near(hi, 4e-4 * exp(0.1), 1e-9);
    rl_choice_bounds(&c, 1, &lo, &hi); /* as at 1000 µs */
    expect_near(lo, exp(-0.1 * pow(10, -0.5)), 1e-9);
    a.d = &other;
    rl_choose_by(&a, &c);
    rl_choice_bounds(&c, 1, &lo, &hi);
    expect_near(hi, exp(c.log_hi), 1e-9);
    cr_expect_gt(c.log_hi, 0.2);
    rl_kernel_db_free(db);
    clear(&f);
}

Test(kernel, mistakes_of_other_operators)
{
    struct folder f = folder(HEAD "r,gemm,i,bf16,,eff,0.5,1,7,s\n"
                                  "r,ssd_scan,i,bf16,,bias,many,1,7,s\n"
                                  "r,gemm,i,bf16,,dram,0.5,1,7,s\n");
    struct rl_error e = {0};
    struct rl_kernel_db *db = rl_kernel_db_load_for(f.dir, is_op, &rl_op_gemm, &e);

    cr_assert_not_null(db, "%s", e.text);
    cr_expect_eq(rl_kernel_db_count(db), 1);
    rl_kernel_db_free(db);
    write_file(f.kernels, "x.csv", HEAD "r,gem,i,bf16,,eff,0.5,1,7,s\n");
    expect_file_error(&f, &rl_op_gemm, "2: unknown operator 'gem'");
    write_file(f.kernels, "x.csv", "runtime,op,impl,dtype,coef,value,n,source\n");
    expect_file_error(&f, &rl_op_gemm, "1: expected a column 'kv_dtype'");
    clear(&f);
}
