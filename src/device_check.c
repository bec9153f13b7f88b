/* `hw check`: does a device file agree with itself and with physics?
 *
 * Most errors of published hardware tables are of a few kinds: figures for 2:4
 * sparsity among dense ones, the FP16-accumulate rate where FP32 accumulates,
 * GB taken for GiB, both directions of a link added up, a die's SM count, a
 * cache's bandwidth sold as DRAM's.  Each rule below catches one of them by
 * comparing rows that should agree.  Form (units, numbers, sources,
 * duplicates) is checked by rl_devrows_read.
 */
#include "device_rows.h"

#include "err.h"
#include "path.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const struct rl_devrows *rows;
    const struct rl_table *rates; /* hwdb/rates.csv */
    const char *file;
    struct rl_error *err;
};

static const struct rl_devrow *sheet(const struct check *c, enum rl_key key, int unit)
{
    return rl_devrows_sheet(c->rows, key, unit);
}

static double value(const struct check *c, enum rl_key key, double fallback)
{
    const struct rl_devrow *r = sheet(c, key, -1);

    return r ? r->v : fallback;
}

static int near(double a, double b, double tolerance)
{
    return fabs(a / b - 1) <= tolerance;
}

/* GiB / GB and MiB / MB */
static int binary_slip(double ratio)
{
    return near(ratio, 1.073741824, 0.008) || near(ratio, 1.048576, 0.008);
}

/* Rates ------------------------------------------------------------------- */

/* SMs x FLOP per clock per SM x clock; 0 when the file has no such row. */
static double derived(const struct check *c, int u, double hz)
{
    const struct rl_devrow *f = sheet(c, RL_KEY_FLOP_PER_CLK_SM, u);

    return f ? f->v * value(c, RL_KEY_SM_COUNT, 0) * hz : 0;
}

static double clock_of(const struct check *c, int u)
{
    double boost = value(c, RL_KEY_BOOST_CLOCK, 0);

    return u == RL_FP32 ? boost : value(c, RL_KEY_TENSOR_CLOCK, boost);
}

static int check_peak(const struct check *c, int u)
{
    const struct rl_devrow *r = sheet(c, RL_KEY_FLOPS, u);
    double want = derived(c, u, clock_of(c, u));
    const char *name = rl_unit_name((enum rl_unit)u);

    if (!r || !(want > 0) || near(r->v, want, 0.035))
        return 0;
    if (near(r->v, 2 * want, 0.05))
        return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                       "flops.%s is twice the %.4g TFLOP/s that SMs x FLOP/clk x clock "
                       "give: a sparse figure, or one of FP16 accumulate",
                       name, want / 1e12);
    if (near(r->v, want / 2, 0.05))
        return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                       "flops.%s is half the %.4g TFLOP/s that SMs x FLOP/clk x clock "
                       "give: a half-rate figure",
                       name, want / 1e12);
    return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                   "flops.%s is %.4g TFLOP/s, but SMs x FLOP/clk x clock give %.4g", name,
                   r->v / 1e12, want / 1e12);
}

/* The FLOP per clock must be one that the architecture has: else a sparse
 * figure passes when the rate is derived from it. */
static int check_architecture(const struct check *c, int u)
{
    const struct rl_devrow *r = sheet(c, RL_KEY_FLOP_PER_CLK_SM, u);
    const struct rl_devrow *cc = sheet(c, RL_KEY_COMPUTE_CAPABILITY, -1);
    const char *name = rl_unit_name((enum rl_unit)u);
    double most = 0, least = INFINITY;
    int known = 0;

    for (int i = 0; r && i < c->rates->nrows; i++) {
        double v = atof(rl_table_get(c->rates, i, 2));
        if (strcmp(rl_table_get(c->rates, i, 0), cc->text))
            continue;
        known = 1;
        if (strcmp(rl_table_get(c->rates, i, 1), name))
            continue;
        if (near(v, r->v, 0.001))
            return 0;
        most = fmax(most, v);
        least = fmin(least, v);
    }
    if (!r || !known)
        return 0;
    if (!(most > 0))
        return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                       "compute capability %s has no %s rate in hwdb/rates.csv", cc->text,
                       name);
    return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                   "flop_per_clk_sm.%s is %g, but compute capability %s does %g%s", name,
                   r->v, cc->text, r->v > most ? most : least,
                   near(r->v, 2 * most, 0.01)    ? ": a sparse figure"
                   : near(r->v, least / 2, 0.01) ? ": a half-rate figure"
                                                 : "");
}

static int check_measured_rate(const struct check *c, int u, enum rl_kind kind)
{
    const struct rl_devrow *r = rl_devrows_find(c->rows, RL_KEY_FLOPS, u, kind);
    const struct rl_devrow *s = sheet(c, RL_KEY_FLOPS, u);
    double hz = clock_of(c, u);
    double fast = fmax(value(c, RL_KEY_MAX_CLOCK, hz), hz);
    double most = derived(c, u, fast);

    if (!(most > 0) && s)
        most = s->v * fast / hz;
    if (!r || !(most > 0) || r->v <= 1.02 * most)
        return 0;
    return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                   "measured flops.%s of %.4g TFLOP/s is above the %.4g that the highest "
                   "clock (%.0f MHz) allows",
                   rl_unit_name((enum rl_unit)u), r->v / 1e12, most / 1e12, fast / 1e6);
}

static int check_rates(const struct check *c)
{
    for (int u = 0; u < RL_NUNITS; u++)
        if (check_architecture(c, u) || check_peak(c, u) ||
            check_measured_rate(c, u, RL_KIND_BURST) ||
            check_measured_rate(c, u, RL_KIND_SUSTAINED))
            return -1;
    return 0;
}

/* Memory ------------------------------------------------------------------ */

static int check_bus(const struct check *c)
{
    const struct rl_devrow *bw = sheet(c, RL_KEY_DRAM_BW, -1);
    double want =
        value(c, RL_KEY_MEM_BUS, 0) / 8 * value(c, RL_KEY_MEM_PIN_RATE, 0); /* bytes/s */

    if (!bw || !(want > 0) || near(bw->v, want, 0.03))
        return 0;
    return rl_fail(c->err, RL_EVALUE, c->file, bw->line,
                   "dram_bw is %.5g GB/s, but bus width x pin rate give %.5g%s",
                   bw->v / 1e9, want / 1e9,
                   binary_slip(want / bw->v) || binary_slip(bw->v / want)
                       ? ": GB/s or GiB/s?"
                   : near(bw->v, 2 * want, 0.03) || near(bw->v, want / 2, 0.03)
                       ? ": clock or double data rate?"
                       : "");
}

/* No transfer is faster than the sheet of what it passes through. */
static int check_measured_bw(const struct check *c, enum rl_key key, enum rl_key limit,
                             double factor)
{
    const struct rl_devrow *s = sheet(c, limit, -1), *r;

    for (int k = RL_KIND_BURST; s && k <= RL_KIND_SUSTAINED; k++) {
        r = rl_devrows_find(c->rows, key, -1, (enum rl_kind)k);
        if (r && r->v > factor * s->v)
            return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                           "measured %s of %.5g GB/s is above the %.5g of %s: a cache's, "
                           "or both directions?",
                           rl_key_info[key].name, r->v / 1e9, factor * s->v / 1e9,
                           rl_key_info[limit].name);
    }
    return 0;
}

/* A size that is round in decimal units only was never binary. */
static int check_round(const struct check *c, enum rl_key key, double unit,
                       double decimal)
{
    const struct rl_devrow *r = sheet(c, key, -1);
    double binary, dec;

    if (!r || r->v < 8 * unit)
        return 0;
    binary = r->v / unit;
    dec = r->v / decimal;
    if (fabs(binary - round(binary)) < 0.02 || fabs(dec - round(dec)) > 2e-4 * dec)
        return 0;
    return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                   "%s is %.6g %s, which is %.0f %s exactly: decimal taken for binary?",
                   rl_key_info[key].name, binary, unit > 2e6 ? "GiB" : "MiB", dec,
                   unit > 2e6 ? "GB" : "MB");
}

static int check_capacity(const struct check *c)
{
    const struct rl_devrow *r = rl_devrows_measured(c->rows, RL_KEY_MEM_USABLE, -1);
    double size = value(c, RL_KEY_MEM_SIZE, 0);

    if (check_round(c, RL_KEY_MEM_SIZE, 1073741824.0, 1e9) ||
        check_round(c, RL_KEY_L2_SIZE, 1048576.0, 1e6))
        return -1;
    if (!r)
        r = sheet(c, RL_KEY_MEM_USABLE, -1);
    if (!r || r->v <= size)
        return 0;
    return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                   "mem_usable of %.5g GiB is above mem_size of %.5g GiB: GB or GiB?",
                   r->v / 1073741824.0, size / 1073741824.0);
}

static int check_l2(const struct check *c)
{
    const struct rl_devrow *r = rl_devrows_measured(c->rows, RL_KEY_L2_BW, -1);
    double boost = value(c, RL_KEY_BOOST_CLOCK, 0);
    /* one SM takes 64 bytes a clock from the L2 at most, an AMD CU as well */
    double most = 64 * value(c, RL_KEY_SM_COUNT, 0) * value(c, RL_KEY_MAX_CLOCK, boost);

    if (!r || r->v <= most)
        return 0;
    return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                   "measured l2_bw of %.5g GB/s is above the %.5g of 64 bytes per clock "
                   "per SM",
                   r->v / 1e9, most / 1e9);
}

/* Links ------------------------------------------------------------------- */

static int check_link(const struct check *c)
{
    /* GB/s, one direction, all links of one GPU */
    static const struct {
        const char *type;
        double most;
    } link[] = {{"NVLink1", 80},  {"NVLink2", 150}, {"NVLink3", 300},
                {"NVLink4", 450}, {"NVLink5", 900}, {"NVLink-C2C", 450}};
    const struct rl_devrow *t = sheet(c, RL_KEY_LINK_TYPE, -1);
    const struct rl_devrow *r = sheet(c, RL_KEY_LINK_BW, -1);

    for (size_t i = 0; t && r && i < sizeof link / sizeof *link; i++)
        if (!strcmp(t->text, link[i].type) && r->v > 1.001e9 * link[i].most)
            return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                           "link_bw of %.4g GB/s is above the %.4g of %s in one "
                           "direction: both directions?",
                           r->v / 1e9, link[i].most, t->text);
    return 0;
}

static int check_pcie(const struct check *c)
{
    const struct rl_devrow *t = sheet(c, RL_KEY_PCIE, -1);
    const struct rl_devrow *r = sheet(c, RL_KEY_PCIE_BW, -1);
    double gen, lanes, most;
    char x;

    if (!t || !r)
        return 0;
    if (sscanf(t->text, "%lf%c%lf", &gen, &x, &lanes) != 3 || x != 'x' || gen < 1 ||
        gen > 7 || lanes < 1 || lanes > 32)
        return rl_fail(c->err, RL_EVALUE, c->file, t->line,
                       "pcie '%s': expected generation and lanes such as 5.0x16",
                       t->text);
    most = 0.985e9 * pow(2, gen - 3) * lanes; /* 8 GT/s in generation 3, 128b/130b */
    if (r->v <= 1.01 * most)
        return 0;
    return rl_fail(c->err, RL_EVALUE, c->file, r->line,
                   "pcie_bw of %.4g GB/s is above the %.4g of PCIe %s in one direction",
                   r->v / 1e9, most / 1e9, t->text);
}

/* The rest ---------------------------------------------------------------- */

static int in_range(const struct check *c, enum rl_key key, double lo, double hi,
                    const char *what)
{
    for (int i = 0; i < c->rows->n; i++) {
        const struct rl_devrow *r = &c->rows->row[i];
        if (r->key == key && !(r->v >= lo && r->v <= hi))
            return rl_fail(c->err, RL_EVALUE, c->file, r->line, "%s '%s': expected %s",
                           rl_key_info[key].name, r->text, what);
    }
    return 0;
}

static int check_clocks(const struct check *c)
{
    double boost = value(c, RL_KEY_BOOST_CLOCK, 0);
    const struct rl_devrow *max = sheet(c, RL_KEY_MAX_CLOCK, -1);
    const struct rl_devrow *held = sheet(c, RL_KEY_HELD_CLOCK, -1);
    double sms = value(c, RL_KEY_SM_COUNT, 1);

    if (in_range(c, RL_KEY_YEAR, 2005, 2040, "a year") ||
        in_range(c, RL_KEY_BOOST_CLOCK, 1e8, 8e9, "0.1 to 8 GHz") ||
        in_range(c, RL_KEY_TENSOR_CLOCK, 1e8, 8e9, "0.1 to 8 GHz") ||
        in_range(c, RL_KEY_MAX_CLOCK, 1e8, 8e9, "0.1 to 8 GHz") ||
        in_range(c, RL_KEY_MIN_CLOCK, 5e7, 8e9, "0.05 to 8 GHz") ||
        in_range(c, RL_KEY_LOAD_TARGET, 0.1, 1, "0.1 to 1") ||
        in_range(c, RL_KEY_DRAM_OVERLAP, 1, 20, "1 to 20") ||
        in_range(c, RL_KEY_FP16_VECTOR, 512, 512, "512: AVX512-FP16") ||
        in_range(c, RL_KEY_UNIFIED_MEMORY, 0, 1, "0 or 1"))
        return -1;
    if (!near(sms, round(sms), 1e-9))
        return rl_fail(c->err, RL_EVALUE, c->file, sheet(c, RL_KEY_SM_COUNT, -1)->line,
                       "sm_count: expected a whole number");
    if (held && !(boost <= held->v && held->v <= value(c, RL_KEY_MAX_CLOCK, held->v)))
        return rl_fail(c->err, RL_EVALUE, c->file, held->line,
                       "held_clock: expected one between boost_clock and max_clock");
    if (max && max->v < fmax(boost, clock_of(c, RL_FP16)))
        return rl_fail(c->err, RL_EVALUE, c->file, max->line,
                       "max_clock is below the boost or tensor clock");
    return 0;
}

int rl_devrows_check(const struct rl_devrows *rows, const struct rl_table *rates,
                     struct rl_error *err)
{
    struct check c = {rows, rates, rows->table->source, err};

    return check_clocks(&c) || check_rates(&c) || check_bus(&c) ||
                   check_measured_bw(&c, RL_KEY_DRAM_BW, RL_KEY_DRAM_BW, 1.005) ||
                   check_measured_bw(&c, RL_KEY_DRAM_COPY_BW, RL_KEY_DRAM_BW, 1.005) ||
                   check_measured_bw(&c, RL_KEY_LINK_BW, RL_KEY_LINK_BW, 1.0) ||
                   check_measured_bw(&c, RL_KEY_PCIE_BW, RL_KEY_PCIE_BW, 1.0) ||
                   check_capacity(&c) || check_l2(&c) || check_link(&c) || check_pcie(&c)
               ? -1
               : 0;
}

int rl_device_check(const char *data, const char *path, struct rl_error *err)
{
    char *rates = rl_path_join(data, "hwdb", "rates.csv", (char *)NULL);
    struct rl_devrows *rows = rates ? rl_devrows_read(path, err) : NULL;
    struct rl_table *t = rows ? rl_table_read(rates, err) : NULL;
    int bad = t ? rl_devrows_check(rows, t, err) : -1;

    rl_table_free(t);
    rl_devrows_free(rows);
    free(rates);
    return bad;
}
