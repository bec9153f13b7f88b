/* From the rows of a device file to every ceiling of struct rl_device.
 *
 * The sheet's peaks are taken as they stand, or derived: SMs x FLOP per clock
 * per SM x clock.  What a good kernel sustains is measured where the file has
 * a measurement, else peak x the architecture's median fraction of
 * hwdb/priors.csv, with that prior's interval.  A measured rate may lie above
 * the peak: clocks pass the rated boost on GeForce boards.
 */
#include "device_rows.h"

#include "err.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Priors ------------------------------------------------------------------ */

enum { OF_DEVICE = 1000 }; /* better than any prefix */

/* How well a priors row fits: 0 not at all, the longer the prefix the better. */
static size_t fit(const char *arch, const struct rl_device *d)
{
    size_t n = strlen(arch);

    if (!strcmp(arch, d->id))
        return OF_DEVICE;
    if (!strcmp(arch, d->is_cpu ? "cpu" : "gpu"))
        return 1;
    if (!d->is_cpu && !strcmp(arch, d->vendor))
        return 2;
    return n > 2 && !strncmp(arch, d->arch, n) ? n : 0;
}

int rl_prior_find(const struct rl_table *t, const struct rl_device *d, const char *key,
                  struct rl_prior *out, struct rl_error *err)
{
    enum { ARCH, KEY, VALUE, LO, HI, N, SOURCE };
    size_t best = 0;
    int row = -1;
    double n;

    for (int i = 0; i < t->nrows; i++) {
        size_t f = fit(rl_table_get(t, i, ARCH), d);
        if (f > best && !strcmp(rl_table_get(t, i, KEY), key)) {
            best = f;
            row = i;
        }
    }
    if (row < 0)
        return rl_fail(err, RL_ENAME, t->source, 0, "no prior '%s' for arch '%s'", key,
                       d->arch);
    out->source = rl_table_get(t, row, SOURCE);
    if (rl_table_num(t, row, N, 0, &n, err) ||
        rl_table_num(t, row, VALUE, 0, &out->v, err) ||
        rl_table_num(t, row, LO, out->v, &out->lo, err) ||
        rl_table_num(t, row, HI, out->v, &out->hi, err))
        return -1;
    out->known = best == OF_DEVICE && n > 0;
    if (!(out->lo > 0 && out->lo <= out->v && out->v <= out->hi))
        return rl_fail(err, RL_EVALUE, t->source, t->line[row],
                       "prior '%s': expected 0 < lo <= value <= hi", key);
    return 0;
}

/* base x prior, as a ceiling of kind PRIOR */
static int from_prior(struct rl_device *d, const char *key, double base,
                      struct rl_value *out, struct rl_error *err)
{
    struct rl_prior p;

    if (rl_prior_find(d->priors, d, key, &p, err))
        return -1;
    *out =
        (struct rl_value){base * p.v, base * p.lo, base * p.hi, RL_KIND_PRIOR, p.source};
    return 0;
}

/* Rows -------------------------------------------------------------------- */

static struct rl_value exact(const struct rl_devrow *r)
{
    return (struct rl_value){r->v, isnan(r->lo) ? r->v : r->lo,
                             isnan(r->hi) ? r->v : r->hi, r->kind, r->source};
}

/* A measured row; one figure without an interval of its own gets the spread
 * that published figures of one device have between authors. */
static int measured(struct rl_device *d, const struct rl_devrow *r, struct rl_value *out,
                    struct rl_error *err)
{
    struct rl_prior p;

    *out = exact(r);
    if (r->kind < RL_KIND_BURST)
        return 0;
    if (rl_prior_find(d->priors, d,
                      r->kind == RL_KIND_BURST ? "burst_spread" : "measured_spread", &p,
                      err))
        return -1;
    out->lo = fmin(out->lo, r->v * p.lo);
    out->hi = fmax(out->hi, r->v * p.hi);
    return 0;
}

static const struct rl_devrow *either(const struct rl_device *d, enum rl_key key,
                                      int unit)
{
    const struct rl_devrow *r = rl_devrows_measured(d->rows, key, unit);

    return r ? r : rl_devrows_sheet(d->rows, key, unit);
}

/* Sheet (or measured) number, or fallback. */
static double number(const struct rl_device *d, enum rl_key key, double fallback)
{
    const struct rl_devrow *r = rl_devrows_sheet(d->rows, key, -1);

    if (!r)
        r = rl_devrows_measured(d->rows, key, -1);
    return r ? r->v : fallback;
}

static const char *text(const struct rl_device *d, enum rl_key key, const char *fallback)
{
    const struct rl_devrow *r = rl_devrows_sheet(d->rows, key, -1);

    return r ? r->text : fallback;
}

/* Measured row, else base x prior. */
static int measured_or_prior(struct rl_device *d, enum rl_key key, const char *prior,
                             double base, struct rl_value *out, struct rl_error *err)
{
    const struct rl_devrow *r = either(d, key, -1);

    return r ? measured(d, r, out, err) : from_prior(d, prior, base, out, err);
}

/* Facts ------------------------------------------------------------------- */

int rl_capability(const char *text)
{
    return strchr(text, '.') ? (int)lround(fmax(strtod(text, NULL), 0) * 10) : 0;
}

void rl_capability_name(int cc, char *out, size_t size)
{
    const int least_nvidia = 20;

    *out = '\0';
    if (cc > 0)
        snprintf(out, size, "%s%d", cc < least_nvidia ? "apple" : "sm", cc);
}

/* "Apple9 GPU": the family names what its cores can do. */
static int capability(const struct rl_device *d)
{
    return !strncmp(d->arch, "Apple", 5) ? atoi(d->arch + 5)
                                         : rl_capability(d->compute_capability);
}

static void fill_facts(struct rl_device *d)
{
    d->name = text(d, RL_KEY_NAME, d->id);
    d->vendor = text(d, RL_KEY_VENDOR, "");
    d->arch = text(d, RL_KEY_ARCH, "");
    d->compute_capability = text(d, RL_KEY_COMPUTE_CAPABILITY, "");
    d->cc = capability(d);
    d->mem_type = text(d, RL_KEY_MEM_TYPE, "");
    d->link_type = text(d, RL_KEY_LINK_TYPE, "none");
    d->pcie = text(d, RL_KEY_PCIE, "none");
    d->is_cpu = !strcmp(d->compute_capability, "cpu");
    d->year = (int)fmin(number(d, RL_KEY_YEAR, 0), 9999); /* the check is stricter */
    d->unified_memory = number(d, RL_KEY_UNIFIED_MEMORY, d->is_cpu) > 0;
    d->sm_count = number(d, RL_KEY_SM_COUNT, 0);
    d->boost_hz = number(d, RL_KEY_BOOST_CLOCK, 0);
    d->tensor_hz = number(d, RL_KEY_TENSOR_CLOCK, d->boost_hz);
    d->held_hz = number(d, RL_KEY_HELD_CLOCK, d->boost_hz);
    d->min_hz = number(d, RL_KEY_MIN_CLOCK, 0);
    d->load_target = number(d, RL_KEY_LOAD_TARGET, 0);
    d->max_hz = number(d, RL_KEY_MAX_CLOCK, fmax(d->boost_hz, d->tensor_hz));
    d->l2_bytes = number(d, RL_KEY_L2_SIZE, 1048576.0);
    d->fp16_vector_bits = number(d, RL_KEY_FP16_VECTOR, 0);
    d->llc_bytes = number(d, RL_KEY_LLC_SIZE, 0);
    d->smem_bytes_per_sm = number(d, RL_KEY_SMEM_PER_SM, 0);
    d->tdp_w = number(d, RL_KEY_TDP, 0);
    d->price_usd = number(d, RL_KEY_PRICE, 0);
}

/* GDDR has no room for check bits: where ECC is on, a sixteenth of the memory is
 * set aside for them (46068 of 49152 MiB), and as much of the traffic. */
static double ecc_share(const struct rl_device *d)
{
    bool gddr = d->mem_type && !strncmp(d->mem_type, "GDDR", 4);

    return gddr && d->mem_bytes < 0.945 * number(d, RL_KEY_MEM_SIZE, 0) ? 1.0 / 16 : 0;
}

/* What a program can allocate. */
static int fill_capacity(struct rl_device *d, struct rl_error *err)
{
    const struct rl_devrow *r = either(d, RL_KEY_MEM_USABLE, -1);
    struct rl_value v;

    if (r) {
        d->mem_bytes = r->v;
        d->ecc_share = ecc_share(d);
        return 0;
    }
    if (from_prior(d, "usable", number(d, RL_KEY_MEM_SIZE, 0), &v, err))
        return -1;
    d->mem_bytes = v.v;
    return 0;
}

/* Arithmetic -------------------------------------------------------------- */

static void fill_peak(struct rl_device *d, int u)
{
    const struct rl_devrow *r = rl_devrows_sheet(d->rows, RL_KEY_FLOPS, u);
    double hz = u == RL_FP32 ? d->boost_hz : d->tensor_hz;

    if (!r && (r = rl_devrows_sheet(d->rows, RL_KEY_FLOP_PER_CLK_SM, u))) {
        double v = r->v * d->sm_count * hz;
        d->peak[u] = (struct rl_value){v, v, v, RL_KIND_DERIVED, r->source};
    } else if (r || (r = rl_devrows_find(d->rows, RL_KEY_FLOPS, u, RL_KIND_BURST)) ||
               (r = rl_devrows_measured(d->rows, RL_KEY_FLOPS, u))) {
        d->peak[u] = exact(r); /* a measured host has no sheet */
    }
}

/* fp16 and bf16 share their unit: one's measurement tells the other's fraction. */
static int sibling(int u)
{
    return u == RL_FP16 ? RL_BF16 : u == RL_BF16 ? RL_FP16 : -1;
}

/* A row about this very device says what is known of it (its power, its twin), where a
 * measurement stands behind it. */
static int known_or_prior(struct rl_device *d, int u, struct rl_error *err)
{
    const char *key = rl_unit_name((enum rl_unit)u);
    struct rl_prior p;

    if (rl_prior_find(d->priors, d, key, &p, err) ||
        from_prior(d, key, d->peak[u].v, &d->rate[u], err))
        return -1;
    if (p.known)
        d->rate[u].kind = RL_KIND_DERIVED;
    return 0;
}

static int fill_rate(struct rl_device *d, int u, struct rl_error *err)
{
    const struct rl_devrow *r = rl_devrows_measured(d->rows, RL_KEY_FLOPS, u);
    int twin = sibling(u);

    if (d->peak[u].kind == RL_KIND_NONE)
        return 0;
    if (r)
        return measured(d, r, &d->rate[u], err);
    r = twin < 0 ? NULL : rl_devrows_measured(d->rows, RL_KEY_FLOPS, twin);
    if (r && d->peak[twin].kind != RL_KIND_NONE) {
        double scale = d->peak[u].v / d->peak[twin].v;
        if (measured(d, r, &d->rate[u], err))
            return -1;
        d->rate[u].v *= scale;
        d->rate[u].lo *= scale;
        d->rate[u].hi *= scale;
        d->rate[u].kind = RL_KIND_PRIOR;
        return 0;
    }
    return known_or_prior(d, u, err);
}

/* Memory ------------------------------------------------------------------ */

static int fill_dram(struct rl_device *d, struct rl_error *err)
{
    const struct rl_devrow *sheet = rl_devrows_sheet(d->rows, RL_KEY_DRAM_BW, -1);
    const struct rl_devrow *read = rl_devrows_measured(d->rows, RL_KEY_DRAM_BW, -1);
    const struct rl_devrow *copy = rl_devrows_measured(d->rows, RL_KEY_DRAM_COPY_BW, -1);

    if (!sheet) /* a measured host has none: the best it ever showed */
        sheet = rl_devrows_find(d->rows, RL_KEY_DRAM_BW, -1, RL_KIND_BURST);
    d->dram_peak = exact(sheet ? sheet : read);
    if (read)
        return measured(d, read, &d->dram, err);
    if (!copy)
        return from_prior(d, "dram", d->dram_peak.v, &d->dram, err);
    /* Only a copy was timed: reads are a little faster, never above the sheet. */
    if (from_prior(d, "read_over_copy", copy->v, &d->dram, err))
        return -1;
    d->dram.hi = fmin(d->dram.hi, 0.98 * d->dram_peak.v);
    d->dram.v = fmin(d->dram.v, 0.95 * d->dram_peak.v);
    d->dram.lo = fmin(d->dram.lo, d->dram.v);
    d->dram.source = copy->source;
    return 0;
}

/* One core of a CPU cannot draw the bandwidth of all. */
static int fill_core(struct rl_device *d, struct rl_error *err)
{
    if (!d->is_cpu) {
        d->dram_core = d->dram;
        return 0;
    }
    if (measured_or_prior(d, RL_KEY_DRAM_BW_CORE, "dram_core_gbps", 1e9, &d->dram_core,
                          err) ||
        measured_or_prior(d, RL_KEY_DRAM_OVERLAP, "dram_overlap", 1, &d->dram_overlap,
                          err))
        return -1;
    d->dram_overlap.lo = fmax(d->dram_overlap.lo, 1);
    d->dram_core.v = fmin(d->dram_core.v, d->dram.v);
    d->dram_core.lo = fmin(d->dram_core.lo, d->dram_core.v);
    d->dram_core.hi = fmax(fmin(d->dram_core.hi, d->dram.hi), d->dram_core.v);
    return 0;
}

static int fill_links(struct rl_device *d, struct rl_error *err)
{
    /* the sheet's: kernel entries hold the share of it that NCCL reaches */
    const struct rl_devrow *sheet = rl_devrows_sheet(d->rows, RL_KEY_LINK_BW, -1);
    const struct rl_devrow *link = sheet ? sheet : either(d, RL_KEY_LINK_BW, -1);
    const struct rl_devrow *pcie = rl_devrows_measured(d->rows, RL_KEY_PCIE_BW, -1);
    const struct rl_devrow *line = rl_devrows_sheet(d->rows, RL_KEY_PCIE_BW, -1);
    int bad;

    if (pcie)
        bad = measured(d, pcie, &d->pcie_bw, err);
    else if (d->unified_memory || !line)
        bad = from_prior(d, "unified_copy_over_dram", d->dram.v, &d->pcie_bw, err);
    else
        bad = from_prior(d, "pcie_over_line", line->v, &d->pcie_bw, err);
    if (bad)
        return -1;
    if (link)
        return measured(d, link, &d->link, err);
    d->link = d->pcie_bw; /* peers talk through the host */
    d->link.kind = RL_KIND_PRIOR;
    return 0;
}

int rl_device_fill(struct rl_device *d, struct rl_error *err)
{
    double lanes;

    fill_facts(d);
    for (int u = 0; u < RL_NUNITS; u++)
        fill_peak(d, u);
    for (int u = 0; u < RL_NUNITS; u++)
        if (fill_rate(d, u, err))
            return -1;
    lanes = d->sm_count * d->held_hz;
    if (fill_capacity(d, err) || fill_dram(d, err) || fill_core(d, err) ||
        fill_links(d, err) ||
        measured_or_prior(d, RL_KEY_L2_BW, "l2_bytes_per_clk_sm", lanes, &d->l2, err) ||
        measured_or_prior(d, RL_KEY_LAUNCH_STREAM, "launch_stream_us", 1e-6,
                          &d->launch_stream_s, err) ||
        measured_or_prior(d, RL_KEY_LAUNCH_GRAPH, "launch_graph_us", 1e-6,
                          &d->launch_graph_s, err) ||
        measured_or_prior(d, RL_KEY_HOST_LAUNCH, "host_launch_us", 1e-6,
                          &d->host_launch_s, err) ||
        measured_or_prior(d, RL_KEY_IDLE_POWER, "idle_over_tdp", d->tdp_w, &d->idle_w,
                          err) ||
        measured_or_prior(d, RL_KEY_BUSY_POWER, "busy_over_tdp", d->tdp_w, &d->busy_w,
                          err) ||
        measured_or_prior(d, RL_KEY_FULL_POWER, "full_over_tdp", d->tdp_w, &d->full_w,
                          err) ||
        measured_or_prior(d, RL_KEY_SFU_PER_CLK_SM, "sfu_per_clk_sm", 1, &d->sfu, err))
        return -1;
    /* Every byte of DRAM passes the L2: where the prior says less, it is wrong. */
    d->l2.v = fmax(d->l2.v, d->dram.v);
    d->l2.lo = fmin(d->l2.lo, d->l2.v);
    d->l2.hi = fmax(d->l2.hi, d->l2.v);
    d->sfu.v *= lanes;
    d->sfu.lo *= lanes;
    d->sfu.hi *= lanes;
    return 0;
}
