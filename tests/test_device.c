#include "test.h"

#include "device.h"
#include "device_rows.h"
#include "path.h"
#include "time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rl_device *load(const char *name)
{
    struct rl_error e = {0};
    struct rl_device *d = rl_device_load(rl_data_dir(NULL), name, &e);

    cr_assert_not_null(d, "%s: %s", name, e.text);
    return d;
}

static void sound(const struct rl_device *d, const char *what, const struct rl_value *v)
{
    cr_expect(isfinite(v->v) && v->v > 0 && v->lo > 0 && v->lo <= v->v && v->v <= v->hi &&
                  isfinite(v->hi),
              "%s: %s %g [%g, %g]", d->id, what, v->v, v->lo, v->hi);
    cr_expect(v->kind != RL_KIND_NONE && v->source && *v->source, "%s: %s", d->id, what);
}

static void check_device(const struct rl_device *d)
{
    sound(d, "dram_peak", &d->dram_peak);
    sound(d, "dram", &d->dram);
    sound(d, "dram_core", &d->dram_core);
    if (d->is_cpu)
        sound(d, "dram_overlap", &d->dram_overlap);
    sound(d, "l2", &d->l2);
    sound(d, "sfu", &d->sfu);
    sound(d, "launch_stream", &d->launch_stream_s);
    sound(d, "launch_graph", &d->launch_graph_s);
    sound(d, "host_launch", &d->host_launch_s);
    sound(d, "link", &d->link);
    sound(d, "pcie", &d->pcie_bw);
    sound(d, "idle", &d->idle_w);
    sound(d, "busy", &d->busy_w);
    for (int u = 0; u < RL_NUNITS; u++) {
        enum rl_unit r = rl_device_unit(d, (enum rl_unit)u);
        sound(d, "peak", &d->peak[r]);
        sound(d, "rate", &d->rate[r]);
        cr_expect_eq(r == (enum rl_unit)u, d->peak[u].kind != RL_KIND_NONE);
    }
    cr_expect_leq(d->dram.v, 1.005 * d->dram_peak.v, "%s", d->id);
    cr_expect_gt(d->mem_bytes, 2e9, "%s", d->id);
    cr_expect_gt(d->l2_bytes, 0, "%s", d->id);
    cr_expect_gt(d->tdp_w, d->busy_w.v, "%s", d->id);
    cr_expect_gt(d->busy_w.v, d->idle_w.v, "%s", d->id);
    cr_expect_geq(d->max_hz, d->boost_hz, "%s", d->id);
}

Test(device, all_ceilings_sound)
{
    struct rl_error e = {0};
    char **ids;
    int n;

    cr_assert_eq(rl_device_list(rl_data_dir(NULL), &ids, &n, &e), 0, "%s", e.text);
    cr_assert_geq(n, 96);
    for (int i = 0; i < n; i++) {
        struct rl_device *d = load(ids[i]);
        cr_expect_str_eq(d->id, ids[i]);
        check_device(d);
        rl_device_free(d);
    }
    rl_free_names(ids, n);
}

Test(device, shipped_files_pass_their_check)
{
    const char *data = rl_data_dir(NULL);
    struct rl_error e = {0};
    char *dir = rl_path_join(data, "hwdb", "devices", (char *)NULL), **names;
    int n;

    cr_assert_eq(rl_list_dir(dir, ".csv", &names, &n, &e), 0);
    for (int i = 0; i < n; i++) {
        char path[512];
        struct rl_error bad = {0};
        snprintf(path, sizeof path, "%s/%s.csv", dir, names[i]);
        cr_expect_eq(rl_device_check(data, path, &bad), 0, "%s:%d: %s", path, bad.line,
                     bad.text);
    }
    cr_expect_eq(rl_hwdb_check(data, &e), 0, "%s:%d: %s", e.source, e.line, e.text);
    rl_free_names(names, n);
    free(dir);
}

Test(device, names)
{
    static const struct {
        const char *name, *id;
    } good[] = {{"orin", "jetson-agx-orin-64gb"},
                {"orin-nano", "jetson-orin-nano-8gb-super"},
                {"4090", "rtx-4090"},
                {"3090", "rtx-3090"},
                {"a100", "a100-sxm-80gb"},
                {"h100", "h100-sxm-80gb"},
                {"h200", "h200-sxm-141gb"},
                {"b200", "b200-sxm-180gb"},
                {"l40s", "l40s"},
                {"a6000", "rtx-a6000"},
                {"mi300x", "mi300x-192gb"},
                {"m4-max", "apple-m4-max"},
                {"rtx-4090", "rtx-4090"},
                {"RTX 4090", "rtx-4090"},
                {"H100", "h100-sxm-80gb"},
                {"jetson_agx_orin", "jetson-agx-orin-64gb"},
                {"./x/card.csv", "./x/card.csv"}};
    static const struct {
        const char *name, *text;
    } bad[] = {{"pro-6000", "ambiguous"}, {"apple", "ambiguous"},
               {"rtx-4091", "rtx-4090"},  {"h100x", "h100-"},
               {"", "unknown device"},    {"090", "unknown device"}};
    const char *data = rl_data_dir(NULL);

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct rl_error e = {0};
        char *id = rl_device_resolve(data, good[i].name, &e);
        cr_assert_not_null(id, "%s: %s", good[i].name, e.text);
        cr_expect_str_eq(id, good[i].id);
        free(id);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rl_error e = {0};
        cr_expect_null(rl_device_resolve(data, bad[i].name, &e), "%s", bad[i].name);
        cr_expect_eq(e.code, RL_ENAME, "%s", bad[i].name);
        cr_expect(strstr(e.text, bad[i].text) != NULL, "%s: %s", bad[i].name, e.text);
    }
}

Test(device, missing_units_fall_back)
{
    static const struct {
        const char *device;
        enum rl_unit wanted, runs;
    } row[] = {{"a100", RL_FP8, RL_BF16},
               {"a100", RL_FP4, RL_BF16},
               {"v100-sxm2-32gb", RL_BF16, RL_FP32},
               {"v100-sxm2-32gb", RL_FP8, RL_FP16},
               {"h100", RL_FP4, RL_FP8},
               {"h100", RL_FP8, RL_FP8},
               {"h100", RL_INT4, RL_INT8},
               {"apple-m3-max", RL_INT8, RL_BF16},
               {"raspberry-pi-5", RL_FP16, RL_FP32},
               {"t4", RL_TF32, RL_FP32}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct rl_device *d = load(row[i].device);
        cr_expect_eq(rl_device_unit(d, row[i].wanted), row[i].runs, "%s %d",
                     row[i].device, (int)row[i].wanted);
        rl_device_free(d);
    }
}

/* Figures counted by hand from the sheets. */
Test(device, values)
{
    struct rl_device *d = load("orin");

    cr_expect_eq(d->dram_peak.v, 204.8e9); /* 256 bit x 6.4 Gbit/s / 8 */
    cr_expect_eq(d->dram_peak.kind, RL_KIND_DATASHEET);
    cr_expect_eq(d->dram.v, 152.8e9);
    cr_expect_eq(d->dram.kind, RL_KIND_SUSTAINED);
    cr_expect_float_eq(d->peak[RL_FP16].v, 16 * 2048 * 1.3e9, 0.01 * 42.6e12);
    cr_expect_eq(d->unified_memory, 1);
    cr_expect_lt(d->mem_bytes, 64 * 1073741824.0);
    cr_expect_gt(d->mem_bytes, 58 * 1073741824.0);
    rl_device_free(d);

    d = load("h100");
    cr_expect_eq(d->link.kind,
                 RL_KIND_DATASHEET); /* kernels carry their own efficiency */
    cr_expect_leq(d->link.v, 450e9); /* one direction of 900 */
    cr_expect_eq(d->tensor_hz, 1830e6);
    cr_expect_eq(d->max_hz, 1980e6);
    cr_expect_eq(d->sm_count, 132);
    rl_device_free(d);

    d = load("rtx-4080"); /* nobody published its bandwidth: a prior, wide */
    cr_expect_eq(d->dram.kind, RL_KIND_PRIOR);
    cr_expect_gt(d->dram.hi / d->dram.lo, 1.05);
    rl_device_free(d);
}

/* What is known of a very device bounds kernels carried over to it; a guess about it
 * (no measurement behind the row of priors.csv) is a prior like any other. */
Test(device, a_guess_about_a_device_bounds_nothing)
{
    static const char *const id[] = {"a10", "a10g"};

    for (int i = 0; i < 2; i++) {
        struct rl_device *d = load(id[i]);
        struct rl_machine m;
        rl_machine_init(&m, d, 1);
        cr_expect_eq(d->rate[RL_BF16].kind, i ? RL_KIND_PRIOR : RL_KIND_DERIVED);
        expect_near(m.most[RL_BF16], i ? m.peak[RL_BF16] : d->rate[RL_BF16].hi, 1e-9);
        rl_device_free(d);
    }
}

/* A matmul above the sheet's rate needs a clock above the sheet's: every unit runs at it,
 * not the measured one alone. */
Test(device, what_beats_its_sheet_holds_a_higher_clock)
{
    struct rl_error e = {0};
    char **ids;
    int n, above = 0;

    cr_assert_eq(rl_device_list(rl_data_dir(NULL), &ids, &n, &e), 0, "%s", e.text);
    for (int i = 0; i < n; i++) {
        struct rl_device *d = load(ids[i]);
        for (int u = RL_FP16; !d->is_cpu && u <= RL_BF16; u++) {
            double peak = d->peak[u].v * d->held_hz / d->boost_hz;
            above += d->rate[u].v > 1.05 * d->peak[u].v;
            cr_expect(d->peak[u].kind == RL_KIND_NONE || d->rate[u].v <= 1.005 * peak,
                      "%s: %g of %g FLOP/s", d->id, d->rate[u].v, peak);
        }
        rl_device_free(d);
    }
    cr_expect_gt(above, 10);
    rl_free_names(ids, n);
}

Test(device, host_comes_from_the_users_folder)
{
    char dir[] = "/tmp/rooflint-XXXXXX", path[64];
    const char *data = rl_data_dir(NULL);
    struct rl_error e = {0};
    struct rl_device *d;
    FILE *f;

    cr_assert_not_null(mkdtemp(dir));
    cr_expect_null(rl_device_load_for(data, dir, "host", &e));
    cr_expect(strstr(e.text, "rooflint bench") != NULL, "%s", e.text);
    e.code = RL_OK;
    cr_expect_null(rl_device_load(data, "host", &e));
    cr_expect_eq(e.code, RL_ENAME);

    snprintf(path, sizeof path, "%s/host.csv", dir);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs("key,value,unit,kind,lo,hi,n,source\n"
          "name,this machine,,text,,,,t\nvendor,AMD,,text,,,,t\narch,Zen4,,text,,,,t\n"
          "compute_capability,cpu,,text,,,,t\nyear,2024,1,datasheet,,,,t\n"
          "sm_count,2,1,datasheet,,,,t\nboost_clock,3.6,GHz,derived,,,,t\n"
          "mem_type,DDR5,,text,,,,t\nmem_size,24,GiB,datasheet,,,,t\n"
          "dram_bw,40,GB/s,sustained,30,50,9,t\ndram_bw,56,GB/s,burst,,,,t\n"
          "flops.fp32,200,GFLOP/s,sustained,190,210,9,t\ntdp,20,W,prior,,,,t\n",
          f);
    fclose(f);
    d = rl_device_load_for(data, dir, "host", &e);
    unlink(path);
    rmdir(dir);
    cr_assert_not_null(d, "%s:%d: %s", e.source, e.line, e.text);
    check_device(d);
    cr_expect_eq(d->dram_peak.v, 56e9);
    cr_expect_eq(d->dram.v, 40e9);
    cr_expect_eq(d->rate[RL_FP32].v, 200e9);
    cr_expect_str_eq(d->id, "host");
    rl_device_free(d);
}
