/* Plot `ceilings`: what a device's sheet promises and what was measured, with
 * intervals; and the curves behind it, from the rows of `rooflint bench`. */
#include "device_rows.h"
#include "err.h"
#include "path.h"
#include "plot.h"
#include "table.h"
#include "values.h"

#include <math.h>
#include <string.h>

/* What was put last: values of one ceiling share its place on the axis. */
struct last {
    char panel[16];
    const char *what;
    int place; /* 1, 2, … in each panel */
};

static void ceiling(struct rl_plot_job *j, struct last *last, const char *panel,
                    const char *device, const char *what, const struct rl_value *v)
{
    bool first = strcmp(panel, last->panel) || !last->what || strcmp(what, last->what);

    if (!(v->v > 0) || v->kind == RL_KIND_NONE)
        return;
    if (strcmp(panel, last->panel))
        last->place = 0;
    last->place += first;
    last->what = what;
    snprintf(last->panel, sizeof last->panel, "%s", panel);
    rl_plot_text(j, panel);
    rl_plot_text(j, "");
    rl_plot_text(j, device);
    rl_plot_text(j, what);
    rl_plot_text(j, rl_kind_name(v->kind));
    rl_plot_num(j, v->v);
    rl_plot_num(j, v->lo > 0 ? v->lo : v->v);
    rl_plot_num(j, v->hi > 0 ? v->hi : v->v);
    rl_plot_num(j, last->place);
    rl_plot_num(j, first);
    rl_plot_num(j, NAN);
    rl_plot_end(j);
}

static void bandwidths(struct rl_plot_job *j, struct last *l, const struct rl_device *d)
{
    ceiling(j, l, "bandwidth", d->id, "DRAM", &d->dram_peak);
    ceiling(j, l, "bandwidth", d->id, "DRAM", &d->dram);
    if (d->is_cpu)
        ceiling(j, l, "bandwidth", d->id, "core", &d->dram_core);
    ceiling(j, l, "bandwidth", d->id, d->is_cpu ? "LLC" : "L2", &d->l2);
    ceiling(j, l, "bandwidth", d->id, "link", &d->link);
    ceiling(j, l, "bandwidth", d->id, "PCIe", &d->pcie_bw);
    l->what = NULL; /* the next device has a DRAM of its own */
}

static void rates(struct rl_plot_job *j, struct last *l, const struct rl_device *d)
{
    for (int u = 0; u < RL_NUNITS; u++)
        if (d->peak[u].kind != RL_KIND_NONE) {
            const char *name = rl_unit_name((enum rl_unit)u);
            ceiling(j, l, "compute", d->id, name, &d->peak[u]);
            ceiling(j, l, "compute", d->id, name, &d->rate[u]);
        }
    l->what = NULL;
}

static int device_names(struct rl_plot_job *j, const char *hw, char ***name, int *n,
                        struct rl_error *err)
{
    char **known = NULL;
    int nknown = 0;

    if (rl_device_list(j->args->data, &known, &nknown, err))
        return -1;
    int rc = rl_names_parse("hw", hw, known, nknown, name, n, err);
    rl_free_names(known, nknown);
    return rc;
}

static int of_devices(struct rl_plot_job *j, const char *hw, struct rl_error *err)
{
    char **name = NULL;
    int n = 0, rc = device_names(j, hw, &name, &n, err);
    struct last last = {.what = NULL};

    for (int k = 0; k < 2; k++)
        for (int i = 0; !rc && i < n; i++) {
            struct rl_device *d = rl_command_device(j->args->data, name[i], err);
            if (d)
                (k ? rates : bandwidths)(j, &last, d);
            rc = d ? 0 : -1;
            rl_device_free(d);
        }
    rl_free_names(name, n);
    return rc;
}

/* Curves: the rows that `rooflint bench` kept, of the items that ceilings come from;
 * x: bytes of the working set, or FLOP of a run. */

static const char *const curve_items[] = {"read",    "write", "copy",  "triad",
                                          "l2_read", "fma",   "sgemm", "gemm_long",
                                          "gemm",    "mma"};

enum { ITEM, DTYPE, THREADS, UNIT, NTEXT };
enum { MEDIAN, LO, HI, BYTES, FLOP, RATE, NNUMBERS };
static const char *const text_column[NTEXT] = {"item", "dtype", "threads", "unit"};
static const char *const number_column[NNUMBERS] = {"median_s", "lo_s", "hi_s",
                                                    "bytes",    "flop", "rate"};

struct bench_row {
    const char *text[NTEXT];
    double v[NNUMBERS];
};

static int read_bench_row(const struct rl_table *t, int row, struct bench_row *r,
                          struct rl_error *err)
{
    int col;

    for (int i = 0; i < NTEXT; i++) {
        if (rl_table_need(t, text_column[i], &col, err))
            return -1;
        r->text[i] = rl_table_get(t, row, col);
    }
    for (int i = 0; i < NNUMBERS; i++)
        if (rl_table_need(t, number_column[i], &col, err) ||
            rl_table_num(t, row, col, 0, &r->v[i], err))
            return -1;
    return 0;
}

static void curve_point(struct rl_plot_job *j, const struct bench_row *r)
{
    bool rate = !strcmp(r->text[UNIT], "FLOP/s");
    double size = rate ? r->v[FLOP] : r->v[BYTES], work = r->v[RATE] * r->v[MEDIAN];
    bool fp32 = !strcmp(r->text[DTYPE], "fp32"), one = !strcmp(r->text[THREADS], "1");
    char series[128];
    size_t i = 0;

    while (i < sizeof curve_items / sizeof *curve_items &&
           strcmp(curve_items[i], r->text[ITEM]))
        i++;
    if (i == sizeof curve_items / sizeof *curve_items || !(size > 0) || !(work > 0) ||
        (!rate && strcmp(r->text[UNIT], "B/s")))
        return;
    snprintf(series, sizeof series, "%s%s%s:%s-thread%s", r->text[ITEM], fp32 ? "" : "-",
             fp32 ? "" : r->text[DTYPE], r->text[THREADS], one ? "" : "s");
    rl_plot_text(j, rate ? "compute_curve" : "bandwidth_curve");
    rl_plot_text(j, series);
    rl_plot_text(j, "");
    rl_plot_text(j, r->text[ITEM]);
    rl_plot_text(j, "curve");
    rl_plot_num(j, r->v[RATE]);
    rl_plot_num(j, r->v[HI] > 0 ? work / r->v[HI] : r->v[RATE]);
    rl_plot_num(j, r->v[LO] > 0 ? work / r->v[LO] : r->v[RATE]);
    rl_plot_num(j, NAN);
    rl_plot_num(j, NAN);
    rl_plot_num(j, size);
    rl_plot_end(j);
}

static int curves(struct rl_plot_job *j, const char *path, struct rl_error *err)
{
    struct rl_table *t = rl_table_read(path, err);
    int rc = t ? 0 : -1;

    for (int row = 0; !rc && row < t->nrows; row++) {
        struct bench_row r;
        rc = read_bench_row(t, row, &r, err);
        if (!rc)
            curve_point(j, &r);
    }
    rl_table_free(t);
    return rc;
}

int rl_plot_ceilings(struct rl_plot_job *j, struct rl_error *err)
{
    const char *hw = rl_plot_arg(j, "hw"), *rows = rl_plot_arg(j, "measured");

    if (!hw && !rows)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "ceilings: needs --hw, or --measured with the rows that "
                       "'rooflint bench --rows FILE' kept");
    fputs("panel,series,device,ceiling,type,value,lo,hi,place,first,size\n", j->csv);
    return (hw && of_devices(j, hw, err)) || (rows && curves(j, rows, err)) ? -1 : 0;
}
