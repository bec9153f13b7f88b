/* Reading a device file: the table of keys and units, and the form every row
 * must have.  Ignores what the numbers mean: device_check.c compares them. */
#include "device_rows.h"

#include "err.h"
#include "units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct rl_key_info rl_key_info[RL_NKEYS] = {
    [RL_KEY_NAME] = {"name", RL_DIM_TEXT, 1, 0, "product name"},
    [RL_KEY_VENDOR] = {"vendor", RL_DIM_TEXT, 1, 0, "maker"},
    [RL_KEY_ARCH] = {"arch", RL_DIM_TEXT, 1, 0, "architecture and die"},
    [RL_KEY_COMPUTE_CAPABILITY] = {"compute_capability", RL_DIM_TEXT, 1, 0,
                                   "8.9, gfx942, metal, cpu"},
    [RL_KEY_YEAR] = {"year", RL_DIM_NUMBER, 1, 0, "year of release"},
    [RL_KEY_SM_COUNT] = {"sm_count", RL_DIM_NUMBER, 1, 0,
                         "SMs, CUs, Xe cores, GPU cores or CPU cores"},
    [RL_KEY_BOOST_CLOCK] = {"boost_clock", RL_DIM_CLOCK, 1, 0,
                            "clock of the vector figures"},
    [RL_KEY_TENSOR_CLOCK] = {"tensor_clock", RL_DIM_CLOCK, 0, 0,
                             "clock of the tensor figures, if another"},
    [RL_KEY_MAX_CLOCK] = {"max_clock", RL_DIM_CLOCK, 0, 0, "highest clock reached"},
    [RL_KEY_HELD_CLOCK] = {"held_clock", RL_DIM_CLOCK, 0, 0,
                           "clock that the part holds at work, if above the sheet's"},
    [RL_KEY_MIN_CLOCK] = {"min_clock", RL_DIM_CLOCK, 0, 0,
                          "where the governor takes a GPU that waits"},
    [RL_KEY_LOAD_TARGET] = {"load_target", RL_DIM_NUMBER, 0, 0,
                            "share of time busy that the governor aims at"},
    [RL_KEY_MEM_TYPE] = {"mem_type", RL_DIM_TEXT, 1, 0, "memory type"},
    [RL_KEY_MEM_SIZE] = {"mem_size", RL_DIM_BYTES, 1, 0, "memory of the sheet"},
    [RL_KEY_MEM_USABLE] = {"mem_usable", RL_DIM_BYTES, 0, 0,
                           "what a program can allocate"},
    [RL_KEY_MEM_BUS] = {"mem_bus", RL_DIM_BITS, 0, 0, "bus width"},
    [RL_KEY_MEM_PIN_RATE] = {"mem_pin_rate", RL_DIM_PIN, 0, 0, "data rate of one pin"},
    [RL_KEY_DRAM_BW] = {"dram_bw", RL_DIM_BANDWIDTH, 1, 0, "DRAM bandwidth, read"},
    [RL_KEY_DRAM_COPY_BW] = {"dram_copy_bw", RL_DIM_BANDWIDTH, 0, 0,
                             "DRAM bandwidth of a copy, both ways added"},
    [RL_KEY_DRAM_BW_CORE] = {"dram_bw_core", RL_DIM_BANDWIDTH, 0, 0,
                             "DRAM bandwidth that one CPU core draws"},
    [RL_KEY_DRAM_OVERLAP] = {"dram_overlap", RL_DIM_NUMBER, 0, 0,
                             "exponent that joins a core's arithmetic and its misses"},
    [RL_KEY_L2_SIZE] = {"l2_size", RL_DIM_BYTES, 0, 0,
                        "L2 (L3 of a CPU, system cache of Apple)"},
    [RL_KEY_LLC_SIZE] = {"llc_size", RL_DIM_BYTES, 0, 0, "Infinity Cache behind the L2"},
    [RL_KEY_SMEM_PER_SM] = {"smem_per_sm", RL_DIM_BYTES, 0, 0, "shared memory per SM"},
    [RL_KEY_FLOP_PER_CLK_SM] = {"flop_per_clk_sm", RL_DIM_FLOP_PER_CLOCK, 0, 1,
                                "dense FLOP per clock per SM, FP32 accumulate"},
    [RL_KEY_FLOPS] = {"flops", RL_DIM_FLOPS, 0, 1, "dense rate, FP32 accumulate"},
    [RL_KEY_FP16_VECTOR] = {"fp16_vector", RL_DIM_BITS, 0, 0,
                            "width of an x86 CPU's FP16 arithmetic"},
    [RL_KEY_L2_BW] = {"l2_bw", RL_DIM_BANDWIDTH, 0, 0, "L2 read bandwidth, all SMs"},
    [RL_KEY_SFU_PER_CLK_SM] = {"sfu_per_clk_sm", RL_DIM_EXP_PER_CLOCK, 0, 0,
                               "exp2 per clock per SM"},
    [RL_KEY_LAUNCH_STREAM] = {"launch_stream", RL_DIM_TIME, 0, 0,
                              "one kernel to the next in a stream"},
    [RL_KEY_LAUNCH_GRAPH] = {"launch_graph", RL_DIM_TIME, 0, 0, "the same in a graph"},
    [RL_KEY_HOST_LAUNCH] = {"host_launch", RL_DIM_TIME, 0, 0,
                            "host time of one eager framework launch"},
    [RL_KEY_LINK_TYPE] = {"link_type", RL_DIM_TEXT, 0, 0, "link between devices or none"},
    [RL_KEY_LINK_BW] = {"link_bw", RL_DIM_BANDWIDTH, 0, 0,
                        "link to the peers, one direction"},
    [RL_KEY_C2C_BW] = {"c2c_bw", RL_DIM_BANDWIDTH, 0, 0,
                       "coherent link to the CPU, one direction"},
    [RL_KEY_PCIE] = {"pcie", RL_DIM_TEXT, 0, 0, "generation and lanes, 5.0x16"},
    [RL_KEY_PCIE_BW] = {"pcie_bw", RL_DIM_BANDWIDTH, 0, 0, "host link, one direction"},
    [RL_KEY_TDP] = {"tdp", RL_DIM_POWER, 1, 0, "power limit of the sheet or mode"},
    [RL_KEY_IDLE_POWER] = {"idle_power", RL_DIM_POWER, 0, 0, "power when idle"},
    [RL_KEY_BUSY_POWER] = {"busy_power", RL_DIM_POWER, 0, 0,
                           "power when memory is busy, SMs are not"},
    [RL_KEY_FULL_POWER] = {"full_power", RL_DIM_POWER, 0, 0,
                           "power when the matrix units are busy"},
    [RL_KEY_PRICE] = {"price", RL_DIM_MONEY, 0, 0, "list price"},
    [RL_KEY_UNIFIED_MEMORY] = {"unified_memory", RL_DIM_NUMBER, 0, 0,
                               "1: CPU and GPU share the memory"},
};

/* How a dimension is written here; units.c knows the factors. */
static const struct {
    const char *name;
    enum rl_dim dim;
} units[] = {
    {"", RL_DIM_TEXT},
    {"1", RL_DIM_NUMBER},
    {"MHz", RL_DIM_CLOCK},
    {"GHz", RL_DIM_CLOCK},
    {"KiB", RL_DIM_BYTES},
    {"MiB", RL_DIM_BYTES},
    {"GiB", RL_DIM_BYTES},
    {"GB/s", RL_DIM_BANDWIDTH},
    {"TB/s", RL_DIM_BANDWIDTH},
    {"bit", RL_DIM_BITS},
    {"Gbit/s", RL_DIM_PIN},
    {"GFLOP/s", RL_DIM_FLOPS},
    {"TFLOP/s", RL_DIM_FLOPS},
    {"FLOP/clk/SM", RL_DIM_FLOP_PER_CLOCK},
    {"exp/clk/SM", RL_DIM_EXP_PER_CLOCK},
    {"ns", RL_DIM_TIME},
    {"us", RL_DIM_TIME},
    {"ms", RL_DIM_TIME},
    {"W", RL_DIM_POWER},
    {"USD", RL_DIM_MONEY},
};
enum { NUNITS = sizeof units / sizeof *units };

static const char *const kinds[] = {
    [RL_KIND_NONE] = "text",           [RL_KIND_PRIOR] = "prior",
    [RL_KIND_DATASHEET] = "datasheet", [RL_KIND_DERIVED] = "derived",
    [RL_KIND_BURST] = "burst",         [RL_KIND_SUSTAINED] = "sustained",
};

enum { C_KEY, C_VALUE, C_UNIT, C_KIND, C_LO, C_HI, C_N, C_SOURCE, NCOLS };
static const char *const columns[NCOLS] = {"key", "value", "unit", "kind",
                                           "lo",  "hi",    "n",    "source"};

const char *rl_kind_name(enum rl_kind k)
{
    return kinds[k];
}

const char *rl_devrow_name(const struct rl_devrow *r, char *buf, size_t size)
{
    const struct rl_key_info *k = &rl_key_info[r->key];

    snprintf(buf, size, "%s%s%s", k->name, r->unit < 0 ? "" : ".",
             r->unit < 0 ? "" : rl_unit_name((enum rl_unit)r->unit));
    return buf;
}

static int parse_key(const char *s, struct rl_devrow *r)
{
    const char *dot = strchr(s, '.');
    size_t len = dot ? (size_t)(dot - s) : strlen(s);

    for (int k = 0; k < RL_NKEYS; k++) {
        if (strlen(rl_key_info[k].name) != len || strncmp(rl_key_info[k].name, s, len))
            continue;
        if (rl_key_info[k].per_unit != (dot != NULL))
            return -1;
        r->key = (enum rl_key)k;
        r->unit = -1;
        for (int u = 0; dot && u < RL_NUNITS; u++)
            if (!strcmp(dot + 1, rl_unit_name((enum rl_unit)u)))
                r->unit = u;
        return dot && r->unit < 0 ? -1 : 0;
    }
    return -1;
}

static int parse_kind(const char *s, enum rl_kind *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i], s)) {
            *out = (enum rl_kind)i;
            return 0;
        }
    return -1;
}

/* The units a dimension may be written in, for messages. */
static const char *units_of(enum rl_dim dim, char *buf, size_t size)
{
    size_t len = 0;

    buf[0] = '\0';
    for (int i = 0; i < NUNITS; i++)
        if (units[i].dim == dim && len < size)
            len += (size_t)snprintf(buf + len, size - len, "%s'%s'", len ? " or " : "",
                                    units[i].name);
    return buf;
}

static int parse_unit(const struct rl_table *t, struct rl_devrow *r, double *factor,
                      struct rl_error *err)
{
    enum rl_dim dim = rl_key_info[r->key].dim;
    char want[80];

    for (int i = 0; i < NUNITS; i++)
        if (!strcmp(units[i].name, r->unit_text) && units[i].dim == dim) {
            *factor = *r->unit_text ? rl_unit_factor(r->unit_text) : 1;
            return 0;
        }
    units_of(dim, want, sizeof want);
    if (dim == RL_DIM_BYTES && strstr("GB MB KB kB", r->unit_text))
        return rl_fail(err, RL_EVALUE, t->source, r->line,
                       "sizes are binary: expected unit %s, not '%s'", want,
                       r->unit_text);
    return rl_fail(err, RL_EVALUE, t->source, r->line,
                   "unknown unit '%s' of '%s': expected %s", r->unit_text,
                   rl_key_info[r->key].name, want);
}

/* A positive finite number, NaN for an empty optional cell. */
static int parse_cell(const struct rl_table *t, int row, int col, double factor,
                      int optional, double *out, struct rl_error *err)
{
    const char *s = rl_table_get(t, row, col);

    *out = NAN;
    if (!*s && optional)
        return 0;
    if (rl_parse_number(s, out))
        return rl_fail(err, RL_EVALUE, t->source, t->line[row],
                       "%s '%s': expected a finite number", columns[col], s);
    if (*out < 0)
        return rl_fail(err, RL_EVALUE, t->source, t->line[row], "%s '%s' is negative",
                       columns[col], s);
    *out *= factor;
    return 0;
}

static int zero_allowed(enum rl_key key)
{
    return key == RL_KEY_UNIFIED_MEMORY;
}

static int parse_numbers(const struct rl_table *t, int i, double factor,
                         struct rl_devrow *r, struct rl_error *err)
{
    if (parse_cell(t, i, C_VALUE, factor, 0, &r->v, err) ||
        parse_cell(t, i, C_LO, factor, 1, &r->lo, err) ||
        parse_cell(t, i, C_HI, factor, 1, &r->hi, err) ||
        parse_cell(t, i, C_N, 1, 1, &r->n, err))
        return -1;
    if (isnan(r->n))
        r->n = 0;
    if (!(r->v > 0) && !zero_allowed(r->key))
        return rl_fail(err, RL_EVALUE, t->source, r->line,
                       "value of '%s' is zero: expected a positive number",
                       rl_key_info[r->key].name);
    if (isnan(r->lo) != isnan(r->hi) || r->lo > r->v || r->hi < r->v)
        return rl_fail(err, RL_EVALUE, t->source, r->line,
                       "interval of '%s': expected lo <= value <= hi, or neither",
                       rl_key_info[r->key].name);
    return 0;
}

static int parse_row(const struct rl_table *t, int i, struct rl_devrow *r,
                     struct rl_error *err)
{
    const char *key = rl_table_get(t, i, C_KEY);
    double factor;

    r->line = t->line[i];
    r->text = rl_table_get(t, i, C_VALUE);
    r->unit_text = rl_table_get(t, i, C_UNIT);
    r->source = rl_table_get(t, i, C_SOURCE);
    r->v = r->lo = r->hi = NAN;
    if (parse_key(key, r))
        return rl_fail(err, RL_EVALUE, t->source, r->line, "unknown key '%s'", key);
    if (parse_kind(rl_table_get(t, i, C_KIND), &r->kind))
        return rl_fail(err, RL_EVALUE, t->source, r->line,
                       "unknown kind '%s': expected text, datasheet, derived, burst, "
                       "sustained or prior",
                       rl_table_get(t, i, C_KIND));
    if ((r->kind == RL_KIND_NONE) != (rl_key_info[r->key].dim == RL_DIM_TEXT))
        return rl_fail(err, RL_EVALUE, t->source, r->line, "kind '%s' does not fit '%s'",
                       rl_kind_name(r->kind), key);
    if (!*r->source)
        return rl_fail(err, RL_EVALUE, t->source, r->line, "'%s' has no source", key);
    if (parse_unit(t, r, &factor, err))
        return -1;
    if (r->kind != RL_KIND_NONE)
        return parse_numbers(t, i, factor, r, err);
    if (!*r->text)
        return rl_fail(err, RL_EVALUE, t->source, r->line, "'%s' is empty", key);
    return 0;
}

static int check_header(const struct rl_table *t, struct rl_error *err)
{
    for (int c = 0; c < NCOLS; c++)
        if (t->ncols != NCOLS || strcmp(t->header[c], columns[c]))
            return rl_fail(err, RL_EFORMAT, t->source, 1,
                           "expected the header 'key,value,unit,kind,lo,hi,n,source'");
    return 0;
}

static int check_duplicates(const struct rl_devrows *r, struct rl_error *err)
{
    char name[40];

    for (int i = 0; i < r->n; i++)
        for (int j = 0; j < i; j++)
            if (r->row[i].key == r->row[j].key && r->row[i].unit == r->row[j].unit &&
                r->row[i].kind == r->row[j].kind)
                return rl_fail(err, RL_EVALUE, r->table->source, r->row[i].line,
                               "duplicate '%s' of kind %s, first on line %d",
                               rl_devrow_name(&r->row[i], name, sizeof name),
                               rl_kind_name(r->row[i].kind), r->row[j].line);
    return 0;
}

static int check_required(const struct rl_devrows *r, struct rl_error *err)
{
    for (int k = 0; k < RL_NKEYS; k++) {
        const struct rl_key_info *info = &rl_key_info[k];
        enum rl_key key = (enum rl_key)k;
        if (info->required && !rl_devrows_sheet(r, key, -1) &&
            !rl_devrows_measured(r, key, -1))
            return rl_fail(err, RL_EVALUE, r->table->source, 1,
                           "required key '%s' is missing", info->name);
    }
    if (!rl_devrows_sheet(r, RL_KEY_FLOPS, RL_FP32) &&
        !rl_devrows_sheet(r, RL_KEY_FLOP_PER_CLK_SM, RL_FP32) &&
        !rl_devrows_measured(r, RL_KEY_FLOPS, RL_FP32))
        return rl_fail(err, RL_EVALUE, r->table->source, 1,
                       "required key 'flops.fp32' is missing");
    return 0;
}

struct rl_devrows *rl_devrows_take(struct rl_table *t, struct rl_error *err)
{
    struct rl_devrows *r = t ? rl_alloc(1, sizeof *r, err) : NULL;

    if (!r) {
        rl_table_free(t);
        return NULL;
    }
    r->table = t;
    if (check_header(t, err))
        goto fail;
    r->row = rl_alloc((size_t)t->nrows + 1, sizeof *r->row, err);
    if (!r->row)
        goto fail;
    for (; r->n < t->nrows; r->n++)
        if (parse_row(t, r->n, &r->row[r->n], err))
            goto fail;
    if (check_duplicates(r, err) || check_required(r, err))
        goto fail;
    return r;
fail:
    rl_devrows_free(r);
    return NULL;
}

struct rl_devrows *rl_devrows_read(const char *path, struct rl_error *err)
{
    return rl_devrows_take(rl_table_read(path, err), err);
}

void rl_devrows_free(struct rl_devrows *r)
{
    if (!r)
        return;
    rl_table_free(r->table);
    free(r->row);
    free(r);
}

const struct rl_devrow *rl_devrows_find(const struct rl_devrows *r, enum rl_key key,
                                        int unit, enum rl_kind kind)
{
    for (int i = 0; i < r->n; i++)
        if (r->row[i].key == key && r->row[i].unit == unit && r->row[i].kind == kind)
            return &r->row[i];
    return NULL;
}

const struct rl_devrow *rl_devrows_sheet(const struct rl_devrows *r, enum rl_key key,
                                         int unit)
{
    static const enum rl_kind order[] = {RL_KIND_NONE, RL_KIND_DATASHEET, RL_KIND_DERIVED,
                                         RL_KIND_PRIOR};
    const struct rl_devrow *row = NULL;

    for (size_t i = 0; i < sizeof order / sizeof *order && !row; i++)
        row = rl_devrows_find(r, key, unit, order[i]);
    return row;
}

const struct rl_devrow *rl_devrows_measured(const struct rl_devrows *r, enum rl_key key,
                                            int unit)
{
    const struct rl_devrow *row = rl_devrows_find(r, key, unit, RL_KIND_SUSTAINED);

    return row ? row : rl_devrows_find(r, key, unit, RL_KIND_BURST);
}
