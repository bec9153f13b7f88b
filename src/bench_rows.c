/* Rows of the measuring programs to rows of a device file, and of an ops table.
 *
 * The rules say which row a ceiling is taken from.  A burst figure is the best
 * sample ever seen, a sustained one the median with its interval.  Facts (name,
 * cores, memory) come as `# entry key=value|unit|kind|source` lines from the
 * measuring program, which alone knows the device. */
#include "bench_entry.h"

#include "err.h"
#include "path.h"
#include "units.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum pick { PICK_MAX, PICK_MIN, PICK_LARGEST, PICK_HALF_CACHE };
enum threads { ANY, ONE, MOST };

static const double DISTURBED = 0.15; /* CPUs that other processes used */

/* Later rules for the same key and kind are tried when earlier ones find
 * nothing. */
static const struct rule {
    const char *key, *unit, *kind;
    const char *item, *dtype, *mode; /* NULL: any */
    enum threads threads;
    enum pick pick;
} rules[] = {
    {"dram_bw", "GB/s", "burst", "read", NULL, "cold", MOST, PICK_MAX},
    {"dram_bw", "GB/s", "sustained", "read", NULL, "cold", MOST, PICK_LARGEST},
    {"dram_copy_bw", "GB/s", "sustained", "copy", NULL, "cold", MOST, PICK_LARGEST},
    {"dram_bw_core", "GB/s", "sustained", "read", NULL, "cold", ONE, PICK_LARGEST},
    {"l2_bw", "GB/s", "sustained", "read", NULL, "warm", MOST, PICK_HALF_CACHE},
    {"l2_bw", "GB/s", "sustained", "l2_read", NULL, "warm", ANY, PICK_MAX},
    {"flops.fp32", "TFLOP/s", "burst", "fma", "fp32", NULL, MOST, PICK_MAX},
    {"flops.fp32", "TFLOP/s", "sustained", "sgemm", "fp32", NULL, MOST, PICK_MAX},
    {"flops.fp32", "TFLOP/s", "sustained", "gemm", "fp32", NULL, MOST, PICK_MAX},
    {"flops.tf32", "TFLOP/s", "burst", "gemm", "tf32", NULL, ANY, PICK_MAX},
    {"flops.tf32", "TFLOP/s", "burst", "mma", "tf32", NULL, ANY, PICK_MAX},
    {"flops.tf32", "TFLOP/s", "sustained", "gemm", "tf32", NULL, ANY, PICK_MAX},
    {"flops.fp16", "TFLOP/s", "burst", "gemm", "fp16", NULL, ANY, PICK_MAX},
    {"flops.fp16", "TFLOP/s", "burst", "mma", "fp16", NULL, ANY, PICK_MAX},
    {"flops.fp16", "TFLOP/s", "sustained", "gemm", "fp16", NULL, ANY, PICK_MAX},
    {"flops.bf16", "TFLOP/s", "burst", "gemm", "bf16", NULL, ANY, PICK_MAX},
    {"flops.bf16", "TFLOP/s", "burst", "mma", "bf16", NULL, ANY, PICK_MAX},
    {"flops.bf16", "TFLOP/s", "burst", "fma", "bf16", NULL, MOST, PICK_MAX},
    {"flops.bf16", "TFLOP/s", "sustained", "gemm_long", "bf16", NULL, ANY, PICK_MAX},
    {"flops.bf16", "TFLOP/s", "sustained", "gemm", "bf16", NULL, ANY, PICK_MAX},
    {"flops.fp8", "TFLOP/s", "burst", "gemm", "fp8", NULL, ANY, PICK_MAX},
    {"flops.fp8", "TFLOP/s", "burst", "mma", "fp8", NULL, ANY, PICK_MAX},
    {"flops.fp8", "TFLOP/s", "sustained", "gemm", "fp8", NULL, ANY, PICK_MAX},
    {"flops.int8", "TFLOP/s", "burst", "gemm", "int8", NULL, ANY, PICK_MAX},
    {"flops.int8", "TFLOP/s", "burst", "mma", "int8", NULL, ANY, PICK_MAX},
    {"flops.int8", "TFLOP/s", "burst", "fma", "int8", NULL, MOST, PICK_MAX},
    {"flops.int8", "TFLOP/s", "sustained", "gemm", "int8", NULL, ANY, PICK_MAX},
    {"sfu_per_clk_sm", "exp/clk/SM", "sustained", "sfu", NULL, NULL, ANY, PICK_MAX},
    {"sfu_per_clk_sm", "exp/clk/SM", "sustained", "exp", NULL, NULL, MOST, PICK_MAX},
    {"launch_stream", "us", "sustained", "launch_stream", NULL, NULL, ANY, PICK_MIN},
    {"launch_stream", "us", "sustained", "dispatch", NULL, NULL, MOST, PICK_MIN},
    {"launch_graph", "us", "sustained", "launch_graph", NULL, NULL, ANY, PICK_MIN},
    {"launch_graph", "us", "sustained", "barrier", NULL, NULL, MOST, PICK_MIN},
    {"pcie_bw", "GB/s", "sustained", "h2d", NULL, NULL, ANY, PICK_LARGEST},
    {"link_bw", "GB/s", "sustained", "peer", NULL, NULL, ANY, PICK_LARGEST},
    {"idle_power", "W", "sustained", "idle_power", NULL, NULL, ANY, PICK_MIN},
    {"busy_power", "W", "sustained", "busy_power", NULL, NULL, ANY, PICK_MAX},
};

struct measured { /* a row of the rows file */
    const char *item, *dtype, *size, *mode, *unit;
    double threads, n, median, lo, hi, best, bytes, rate, foreign, power;
};

static int column(const struct rl_table *t, int row, const char *name, const char **out,
                  struct rl_error *err)
{
    int col;
    if (rl_table_need(t, name, &col, err))
        return -1;
    *out = rl_table_get(t, row, col);
    return 0;
}

static int number(const struct rl_table *t, int row, const char *name, double *out,
                  struct rl_error *err)
{
    int col;
    return rl_table_need(t, name, &col, err) || rl_table_num(t, row, col, 0, out, err)
               ? -1
               : 0;
}

static int read_measured(const struct rl_table *t, int i, struct measured *m,
                         struct rl_error *err)
{
    struct {
        const char *name, **out;
    } text[] = {{"item", &m->item},
                {"dtype", &m->dtype},
                {"size", &m->size},
                {"mode", &m->mode},
                {"unit", &m->unit}};
    struct {
        const char *name;
        double *out;
    } num[] = {{"threads", &m->threads}, {"n", &m->n},
               {"median_s", &m->median}, {"lo_s", &m->lo},
               {"hi_s", &m->hi},         {"best_s", &m->best},
               {"bytes", &m->bytes},     {"rate", &m->rate},
               {"power_w", &m->power},   {"foreign_cpu", &m->foreign}};
    for (size_t k = 0; k < sizeof text / sizeof *text; k++)
        if (column(t, i, text[k].name, text[k].out, err))
            return -1;
    for (size_t k = 0; k < sizeof num / sizeof *num; k++)
        if (number(t, i, num[k].name, num[k].out, err))
            return -1;
    if (m->median > 0 && m->lo > 0 && m->hi >= m->lo && m->best > 0)
        return 0;
    return rl_fail(err, RL_EVALUE, t->source, t->line[i],
                   "expected times above 0 with lo_s <= hi_s");
}

static double fact(const struct bench_entry *e, const char *key)
{
    const struct bench_row *r = bench_entry_find(e, key, NULL);
    double v;
    return r && !rl_parse_number(r->value, &v) ? v * fmax(rl_unit_factor(r->unit), 0) : 0;
}

/* facts: "# entry key=value|unit|kind|source" */
static int read_fact(struct bench_entry *e, char *line, struct rl_error *err)
{
    char *eq = strchr(line, '=');
    char *part[4] = {eq ? eq + 1 : NULL, NULL, NULL, NULL};
    if (!eq)
        return 0;
    *eq = 0;
    for (int i = 1; i < 4 && part[i - 1]; i++)
        if ((part[i] = strchr(part[i - 1], '|')))
            *part[i]++ = 0;
    if (!part[3])
        return 0;
    struct bench_row *r = bench_entry_append(e, err);
    if (!r)
        return -1;
    snprintf(r->key, sizeof r->key, "%.39s", line);
    snprintf(r->value, sizeof r->value, "%s", part[0]);
    snprintf(r->unit, sizeof r->unit, "%s", part[1]);
    snprintf(r->kind, sizeof r->kind, "%s", part[2]);
    snprintf(r->source, sizeof r->source, "%s", part[3]);
    return 0;
}

static int read_facts(struct bench_entry *e, const char *path, struct rl_error *err)
{
    static const char mark[] = "# entry ";
    FILE *f = fopen(path, "r");
    char line[600];
    int rc = 0;
    if (!f)
        return rl_fail(err, RL_EIO, path, 0, "cannot open: %s", strerror(errno));
    while (!rc && fgets(line, sizeof line, f) && line[0] == '#') {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, mark, sizeof mark - 1))
            rc = read_fact(e, line + sizeof mark - 1, err);
    }
    fclose(f);
    return rc;
}

/* the rules */

static int fits(const struct rule *r, const struct measured *m, double most)
{
    return !strcmp(r->item, m->item) && (!r->dtype || !strcmp(r->dtype, m->dtype)) &&
           (!r->mode || !strcmp(r->mode, m->mode)) &&
           (r->threads != ONE || (m->threads <= 1 && most > 1)) &&
           (r->threads != MOST || m->threads >= most);
}

static int better(const struct rule *r, const struct measured *a,
                  const struct measured *b, double cache)
{
    switch (r->pick) {
    case PICK_MAX:
        return a->rate > b->rate;
    case PICK_MIN:
        return a->rate < b->rate;
    case PICK_LARGEST:
        return a->bytes > b->bytes;
    case PICK_HALF_CACHE:
        break;
    }
    return fabs(a->bytes - cache / 2) < fabs(b->bytes - cache / 2);
}

/* rate of a row's unit to the rule's, by which every figure is scaled */
static double scale_of(const struct bench_entry *e, const struct rule *r)
{
    if (!strcmp(r->unit, "exp/clk/SM"))
        return 1 / (fact(e, "sm_count") * fact(e, "boost_clock"));
    return 1 / rl_unit_factor(r->unit);
}

static int write_figure(struct bench_entry *e, const struct rule *r,
                        const struct measured *m, struct rl_error *err)
{
    double scale = scale_of(e, r), v = m->rate * scale, lo = v * m->median / m->hi,
           hi = v * m->median / m->lo;
    if (!strcmp(m->unit, "s")) {
        lo = v * m->lo / m->median;
        hi = v * m->hi / m->median;
    }
    if (!strcmp(r->unit, "W"))
        v = lo = hi = m->power;
    if (!strcmp(r->kind, "burst")) {
        v *= m->median / m->best;
        hi = v;
    }
    if (!isfinite(v) || v <= 0)
        return 0;
    struct bench_row *out = bench_entry_append(e, err);
    if (!out)
        return -1;
    snprintf(out->key, sizeof out->key, "%s", r->key);
    snprintf(out->unit, sizeof out->unit, "%s", r->unit);
    snprintf(out->kind, sizeof out->kind, "%s", r->kind);
    snprintf(out->value, sizeof out->value, "%.5g", v);
    snprintf(out->lo, sizeof out->lo, "%.5g", lo);
    snprintf(out->hi, sizeof out->hi, "%.5g", hi);
    snprintf(out->n, sizeof out->n, "%.0f", m->n);
    snprintf(out->source, sizeof out->source,
             "rooflint bench: %s %s %s %s, %.0f thread%s; others used %.2f CPU", m->item,
             m->dtype, m->size, m->mode, m->threads, m->threads > 1 ? "s" : "",
             m->foreign);
    out->disturbed = m->foreign > DISTURBED;
    return 0;
}

static int apply(struct bench_entry *e, const struct rule *r, const struct measured *m,
                 int n, double most, struct rl_error *err)
{
    const struct measured *best = NULL;
    double cache = fact(e, "l2_size");
    if (bench_entry_find(e, r->key, r->kind))
        return 0;
    for (int i = 0; i < n; i++)
        if (fits(r, &m[i], most) && (!best || better(r, &m[i], best, cache)))
            best = &m[i];
    return best ? write_figure(e, r, best, err) : 0;
}

/* One thread's kernel in cache and from DRAM, with the CPU to itself as far as asked. */
static bool is_pair(const struct measured *w, const struct measured *c, double foreign)
{
    return !strcmp(w->mode, "warm") && !strcmp(c->mode, "cold") && w->threads == 1 &&
           c->threads == 1 && !strcmp(w->item, c->item) && !strcmp(w->size, c->size) &&
           (!strcmp(w->item, "qdot") || !strcmp(w->item, "gemv")) && w->rate > 0 &&
           c->rate > 0 && fmax(w->foreign, c->foreign) <= foreign;
}

static size_t find_pairs(const struct measured *m, int rows, double foreign,
                         struct bench_pair *pair)
{
    size_t n = 0;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < rows; k++)
            if (is_pair(&m[i], &m[k], foreign)) {
                pair[n++] = (struct bench_pair){m[i].rate, m[k].rate};
                break;
            }
    return n;
}

static int overlap_row(struct bench_entry *e, const struct bench_pair *pair, size_t n,
                       double read, bool disturbed, struct rl_error *err)
{
    struct bench_spread s;
    double *p = rl_alloc(n, sizeof *p, err);
    struct bench_row *out = p ? bench_entry_append(e, err) : NULL;
    if (out) {
        bench_overlap(pair, n, read, p, &s);
        *out = (struct bench_row){"dram_overlap", .unit = "1", .kind = "sustained"};
        snprintf(out->value, sizeof out->value, "%.3g", s.v);
        snprintf(out->lo, sizeof out->lo, "%.3g", s.lo);
        snprintf(out->hi, sizeof out->hi, "%.3g", s.hi);
        snprintf(out->n, sizeof out->n, "%d", (int)n);
        snprintf(out->source, sizeof out->source,
                 "rooflint bench: qdot and gemv, warm against cold, 1 thread");
        out->disturbed = disturbed;
    }
    free(p);
    return out ? 0 : -1;
}

/* Pairs that nobody disturbed, else all there are. */
static int add_overlap(struct bench_entry *e, const struct measured *m, int rows,
                       struct rl_error *err)
{
    double core = fact(e, "dram_bw_core"), read = core > 0 ? core : fact(e, "dram_bw");
    struct bench_pair *pair = rl_alloc((size_t)rows + 1, sizeof *pair, err);
    if (!pair)
        return -1;
    size_t n = find_pairs(m, rows, DISTURBED, pair);
    bool disturbed = !n;
    if (disturbed)
        n = find_pairs(m, rows, INFINITY, pair);
    int rc = n && read > 0 ? overlap_row(e, pair, n, read, disturbed, err) : 0;
    free(pair);
    return rc;
}

int bench_entry_make(struct bench_entry *e, const char *path, const struct rl_table *rows,
                     struct rl_error *err)
{
    struct measured *m = rl_alloc((size_t)rows->nrows + 1, sizeof *m, err);
    double most = 1;
    int rc = m ? read_facts(e, path, err) : -1;
    for (int i = 0; i < rows->nrows && !rc; i++) {
        rc = read_measured(rows, i, &m[i], err);
        most = rc ? most : fmax(most, m[i].threads);
    }
    for (size_t k = 0; k < sizeof rules / sizeof *rules && !rc; k++)
        rc = apply(e, &rules[k], m, rows->nrows, most, err);
    rc = rc ? rc : add_overlap(e, m, rows->nrows, err);
    free(m);
    return rc;
}

/* operators */

static bool same_cells(const struct rl_table *t, int i, int k, const char *const *names)
{
    for (; *names; names++) {
        int col = rl_table_col(t, *names);
        if (col >= 0 && strcmp(rl_table_get(t, i, col), rl_table_get(t, k, col)))
            return false;
    }
    return true;
}

/* A warm figure of what was measured cold as well: the ops schema has no place for
 * both, and a model's operands come from memory. */
static bool only_warmer(const struct rl_table *t, int i)
{
    static const char *const names[] = {"runtime", "op", "impl", "size", "threads", NULL};
    int mode = rl_table_col(t, "mode");
    if (mode < 0 || strcmp(rl_table_get(t, i, mode), "warm"))
        return false;
    for (int k = 0; k < t->nrows; k++)
        if (!strcmp(rl_table_get(t, k, mode), "cold") && same_cells(t, i, k, names))
            return true;
    return false;
}

int bench_ops_save(const struct rl_table *t, const char *device, const char *path, int *n,
                   struct rl_error *err)
{
    struct rl_out_file o;
    double most = 1, v;
    int rc = 0;
    *n = 0;
    for (int i = 0; i < t->nrows && !rc; i++)
        if (!(rc = number(t, i, "threads", &v, err)))
            most = fmax(most, v);
    if (rc || rl_out_open(&o, path, err))
        return -1;
    fprintf(o.f, "device,runtime,op,impl,params,latency_us\n");
    for (int i = 0; i < t->nrows && !rc; i++) {
        const char *cell[5] = {device, "", "", "", ""};
        double s = 0, threads = 0;
        rc = column(t, i, "runtime", &cell[1], err) ||
             column(t, i, "op", &cell[2], err) || column(t, i, "impl", &cell[3], err) ||
             column(t, i, "size", &cell[4], err) || number(t, i, "median_s", &s, err) ||
             number(t, i, "threads", &threads, err);
        if (rc || !*cell[2] || threads < most || only_warmer(t, i))
            continue;
        for (int k = 0; k < 5; k++) {
            rl_csv_field(o.f, cell[k]);
            fputc(',', o.f);
        }
        fprintf(o.f, "%.6g\n", 1e6 * s);
        ++*n;
    }
    if (!rc)
        return rl_out_commit(&o, err);
    rl_out_abandon(&o);
    return -1;
}
