/* rooflint hw list | show H | check [FILE...]: what the hardware files say. */
#include "command.h"
#include "device_rows.h"
#include "kernel.h"
#include "path.h"
#include "runtime.h"
#include "show.h"
#include "units.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct rl_option options[] = {
    {"format", 'f', "F", "text", "output of list and show", "text|json|csv"},
    {0},
};

static int run(const struct rl_args *a);

const struct rl_command rl_cmd_hw = {
    .name = "hw",
    .summary = "list, show and check hardware descriptions",
    .operands = "list | show H | check [FILE...]",
    .details =
        "show prints every ceiling with its interval, where the value comes from, and "
        "whether it was measured, stands on a data sheet or is a prior. check reads "
        "device files (without FILE all shipped ones and the tables beside them) and "
        "names the first finding of "
        "each: wrong units, sparse or half-rate figures, GB taken for GiB, bandwidths "
        "that bus and pin rate do not give, measurements above physics, missing "
        "sources, duplicates.",
    .values = "list|show|check",
    .then = "device",
    .option = options,
    .run = run,
};

/* Ceilings ---------------------------------------------------------------- */

struct line {
    char name[24];
    struct rl_value v;
    const char *unit; /* printed with */
    double factor;    /* SI -> unit */
};

enum { MOST_LINES = 15 + 2 * RL_NUNITS };

static void add(struct line *l, int *n, const char *name, struct rl_value v,
                const char *unit)
{
    if (v.kind == RL_KIND_NONE)
        return;
    snprintf(l[*n].name, sizeof l->name, "%s", name);
    l[*n].v = v;
    l[*n].unit = unit;
    l[*n].factor = rl_unit_factor(unit);
    (*n)++;
}

static int ceilings(const struct rl_device *d, struct line *l)
{
    char name[24];
    int n = 0;

    add(l, &n, "dram_peak", d->dram_peak, "GB/s");
    add(l, &n, "dram", d->dram, "GB/s");
    if (d->is_cpu) {
        add(l, &n, "dram_core", d->dram_core, "GB/s");
        add(l, &n, "dram_overlap", d->dram_overlap, "1");
    }
    add(l, &n, "l2", d->l2, "GB/s");
    for (int u = 0; u < RL_NUNITS; u++) {
        snprintf(name, sizeof name, "%s_peak", rl_unit_name((enum rl_unit)u));
        add(l, &n, name, d->peak[u], "TFLOP/s");
        add(l, &n, rl_unit_name((enum rl_unit)u), d->rate[u], "TFLOP/s");
    }
    add(l, &n, "sfu", d->sfu, "Gexp/s");
    add(l, &n, "launch_stream", d->launch_stream_s, "us");
    add(l, &n, "launch_graph", d->launch_graph_s, "us");
    add(l, &n, "host_launch", d->host_launch_s, "us");
    add(l, &n, "link", d->link, "GB/s");
    add(l, &n, "pcie", d->pcie_bw, "GB/s");
    add(l, &n, "idle_power", d->idle_w, "W");
    add(l, &n, "busy_power", d->busy_w, "W");
    add(l, &n, "full_power", d->full_w, "W");
    return n;
}

/* show -------------------------------------------------------------------- */

static void show_head(const struct rl_device *d)
{
    char mem[32], l2[32];

    printf("%s  %s (%s %s, %s, %d)\n", d->id, d->name, d->vendor, d->arch,
           d->compute_capability, d->year);
    printf("  %.0f %s at %.0f MHz", d->sm_count,
           d->is_cpu                      ? "cores"
           : !strcmp(d->vendor, "NVIDIA") ? "SMs"
                                          : "compute units",
           d->boost_hz / 1e6);
    if (d->held_hz > d->boost_hz)
        printf(" (%.0f held at work)", d->held_hz / 1e6);
    if (d->max_hz > d->boost_hz)
        printf(" (%.0f at most)", d->max_hz / 1e6);
    printf(", %s %s usable, %s %s\n", d->mem_type, rl_human_bytes(d->mem_bytes, mem),
           d->is_cpu ? "last-level cache" : "L2", rl_human_bytes(d->l2_bytes, l2));
    printf("  link %s, PCIe %s", d->link_type, d->pcie);
    if (d->tdp_w > 0)
        printf(", %.0f W", d->tdp_w);
    if (d->price_usd > 0)
        printf(", %.0f USD", d->price_usd);
    printf("%s", d->unified_memory ? ", one memory with the CPU" : "");
    if (d->fp16_vector_bits > 0)
        printf(", %.0f-bit FP16 arithmetic", d->fp16_vector_bits);
    printf("\n\n");
}

static void show_text(const struct rl_device *d, const struct line *l, int n)
{
    show_head(d);
    printf("%-14s %10s %-8s %-19s %-10s %s\n", "ceiling", "value", "unit",
           "90 % interval", "kind", "source");
    for (int i = 0; i < n; i++) {
        char range[32] = "";
        if (l[i].v.lo < l[i].v.v || l[i].v.hi > l[i].v.v)
            snprintf(range, sizeof range, "%.4g - %.4g", l[i].v.lo / l[i].factor,
                     l[i].v.hi / l[i].factor);
        printf("%-14s %10.4g %-8s %-19s %-10s %.60s\n", l[i].name, l[i].v.v / l[i].factor,
               l[i].unit, range, rl_kind_name(l[i].v.kind), l[i].v.source);
    }
}

static void show_csv(const struct line *l, int n)
{
    printf("ceiling,value,unit,lo,hi,kind,source\n");
    for (int i = 0; i < n; i++) {
        printf("%s,%.9g,%s,%.9g,%.9g,%s,", l[i].name, l[i].v.v / l[i].factor, l[i].unit,
               l[i].v.lo / l[i].factor, l[i].v.hi / l[i].factor,
               rl_kind_name(l[i].v.kind));
        rl_csv_field(stdout, l[i].v.source);
        putchar('\n');
    }
}

static void print_json(json_t *o)
{
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static json_t *facts_json(const struct rl_device *d)
{
    return json_pack(
        "{s:s s:s s:s s:s s:s s:i s:f s:f s:f s:f s:s s:f s:f s:f s:b s:s s:s}", "id",
        d->id, "name", d->name, "vendor", d->vendor, "arch", d->arch,
        "compute_capability", d->compute_capability, "year", d->year, "sm_count",
        d->sm_count, "boost_hz", d->boost_hz, "held_hz", d->held_hz, "max_hz", d->max_hz,
        "mem_type", d->mem_type, "mem_bytes", d->mem_bytes, "l2_bytes", d->l2_bytes,
        "tdp_w", d->tdp_w, "unified_memory", d->unified_memory, "link_type", d->link_type,
        "pcie", d->pcie);
}

/* SI numbers, as everywhere in JSON */
static void show_json(const struct rl_device *d, const struct line *l, int n)
{
    json_t *o = facts_json(d), *list = json_object();

    for (int i = 0; i < n; i++)
        json_object_set_new(list, l[i].name,
                            json_pack("{s:f s:f s:f s:s s:s}", "value", l[i].v.v, "lo",
                                      l[i].v.lo, "hi", l[i].v.hi, "kind",
                                      rl_kind_name(l[i].v.kind), "source",
                                      l[i].v.source));
    json_object_set_new(o, "ceilings", list);
    print_json(o);
}

static int show(const struct rl_args *a, const char *format)
{
    struct rl_error err = {0};
    struct line l[MOST_LINES];
    struct rl_device *d;
    int n;

    if (a->noperands != 2)
        return rl_usage_error(&rl_cmd_hw, "show needs one device");
    d = rl_command_device(a->data, a->operand[1], &err);
    if (!d)
        return rl_die(&err);
    n = ceilings(d, l);
    if (!strcmp(format, "json"))
        show_json(d, l, n);
    else if (!strcmp(format, "csv"))
        show_csv(l, n);
    else
        show_text(d, l, n);
    rl_device_free(d);
    return RL_EXIT_OK;
}

/* list -------------------------------------------------------------------- */

/* The 16-bit matrix rate of the sheet, or what stands in for it. */
static double matrix_peak(const struct rl_device *d)
{
    enum rl_unit u = d->peak[RL_BF16].kind == RL_KIND_NONE ? RL_FP16 : RL_BF16;

    return d->peak[rl_device_unit(d, u)].v;
}

static void list_row(const struct rl_device *d, const char *format)
{
    char mem[32];

    if (!strcmp(format, "csv")) {
        printf("%s,", d->id);
        rl_csv_field(stdout, d->name);
        printf(",");
        rl_csv_field(stdout, d->arch);
        printf(",%s,%d,%.0f,%.9g,%.9g,%.9g,%.9g\n", d->compute_capability, d->year,
               d->sm_count, d->mem_bytes, d->dram_peak.v, d->dram.v, matrix_peak(d));
        return;
    }
    printf("%-28s %-20s %4d %10s %7.0f %7.0f %8.4g\n", d->id, d->arch, d->year,
           rl_human_bytes(d->mem_bytes, mem), d->dram_peak.v / 1e9, d->dram.v / 1e9,
           matrix_peak(d) / 1e12);
}

static json_t *list_json(const struct rl_device *d)
{
    json_t *o = facts_json(d);

    json_object_set_new(o, "dram_peak_bytes_per_s", json_real(d->dram_peak.v));
    json_object_set_new(o, "dram_bytes_per_s", json_real(d->dram.v));
    json_object_set_new(o, "matrix16_flop_per_s", json_real(matrix_peak(d)));
    return o;
}

static void list_header(const char *format)
{
    if (!strcmp(format, "csv"))
        printf("id,name,arch,compute_capability,year,sm_count,mem_bytes,"
               "dram_peak_bytes_per_s,dram_bytes_per_s,matrix16_flop_per_s\n");
    else if (!strcmp(format, "text"))
        printf("%-28s %-20s %4s %10s %7s %7s %8s\n%-28s %-20s %4s %10s %7s %7s %8s\n",
               "device", "architecture", "year", "memory", "GB/s", "GB/s", "TFLOP/s", "",
               "", "", "usable", "sheet", "real", "16 bit");
}

static int list(const struct rl_args *a, const char *format)
{
    json_t *all = !strcmp(format, "json") ? json_array() : NULL;
    struct rl_error err = {0};
    char **ids;
    int n, rc = RL_EXIT_OK;

    if (rl_device_list(a->data, &ids, &n, &err))
        return rl_die(&err);
    list_header(format);
    for (int i = 0; i < n && rc == RL_EXIT_OK; i++) {
        struct rl_device *d = rl_device_load(a->data, ids[i], &err);
        if (!d)
            rc = rl_die(&err);
        else if (all)
            json_array_append_new(all, list_json(d));
        else
            list_row(d, format);
        rl_device_free(d);
    }
    rl_free_names(ids, n);
    if (all)
        print_json(all);
    return rc;
}

/* check ------------------------------------------------------------------- */

static int report(const struct rl_error *err)
{
    char buf[2048];

    fprintf(stderr, "%s\n", rl_error_format(err, buf, sizeof buf));
    return 1;
}

static int check_file(const char *data, const char *path)
{
    struct rl_error err = {0};

    return rl_device_check(data, path, &err) ? report(&err) : 0;
}

/* A row of a file that `base` names is that file's mistake, told when its turn comes. */
static bool is_inherited(const struct rl_error *err, char *const *ids, int n, int self)
{
    const char *name = strrchr(err->source, '/');

    for (int i = 0; name && i < n; i++)
        if (i != self && !strncmp(name + 1, ids[i], strlen(ids[i])) &&
            !strcmp(name + 1 + strlen(ids[i]), ".csv"))
            return true;
    return false;
}

static int check_runtimes(const char *data)
{
    struct rl_error err = {0};
    char **ids;
    int n, bad = 0;

    struct rl_places *places = rl_places_load(data, &err);
    if (!places || rl_runtime_list(data, &ids, &n, &err)) {
        rl_places_free(places);
        return report(&err);
    }
    for (int i = 0; i < n; i++) {
        struct rl_error one = {0};
        struct rl_runtime *r = rl_runtime_load(data, ids[i], NULL, &one);

        if ((!r || rl_runtime_check(r, &one) || rl_places_check(places, r, &one)) &&
            !is_inherited(&one, ids, n, i))
            bad += report(&one);
        rl_runtime_free(r);
    }
    rl_free_names(ids, n);
    rl_places_free(places);
    return bad;
}

/* Every row of hwdb/kernels, where a prediction reads those of its operators. */
static int check_kernels(const char *data)
{
    struct rl_error err = {0};
    struct rl_kernel_db *db = rl_kernel_db_load(data, &err);
    int n = db ? rl_kernel_db_count(db) : -report(&err);

    rl_kernel_db_free(db);
    return n;
}

static int check_all(const char *data)
{
    char *dir = rl_path_join(data, "hwdb", "devices", (char *)NULL);
    struct rl_error err = {0};
    char **ids;
    int n, bad = 0, entries;

    if (!dir || rl_list_dir(dir, ".csv", &ids, &n, &err)) {
        free(dir);
        return report(&err);
    }
    for (int i = 0; i < n; i++) {
        char file[256], *path;
        snprintf(file, sizeof file, "%s.csv", ids[i]);
        path = rl_path_join(dir, file, (char *)NULL);
        bad += path ? check_file(data, path) : 1;
        free(path);
    }
    if (rl_hwdb_check(data, &err))
        bad += report(&err);
    bad += check_runtimes(data);
    if ((entries = check_kernels(data)) < 0)
        bad++;
    if (!bad)
        printf("%d devices and %d kernel entries are in order\n", n, entries);
    rl_free_names(ids, n);
    free(dir);
    return bad;
}

static int check(const struct rl_args *a)
{
    int bad = 0;

    if (a->noperands == 1)
        bad = check_all(a->data);
    for (int i = 1; i < a->noperands; i++)
        bad += check_file(a->data, a->operand[i]);
    return bad ? RL_EXIT_FAIL : RL_EXIT_OK;
}

static int run(const struct rl_args *a)
{
    const char *format = rl_arg(&rl_cmd_hw, a, "format");
    const char *verb = a->noperands ? a->operand[0] : "";

    format = format ? format : "text";
    if (strcmp(format, "text") && strcmp(format, "json") && strcmp(format, "csv"))
        return rl_usage_error(&rl_cmd_hw,
                              "--format: expected text, json or csv, got '%s'", format);
    if (!strcmp(verb, "list") && a->noperands == 1)
        return list(a, format);
    if (!strcmp(verb, "show"))
        return show(a, format);
    if (!strcmp(verb, "check"))
        return check(a);
    return rl_usage_error(&rl_cmd_hw, "expected list, show or check%s%s",
                          *verb ? ", got " : "", verb);
}
