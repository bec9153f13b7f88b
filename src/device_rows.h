/* The rows of a device file, hwdb/devices/<id>.csv:
 *
 *     key,value,unit,kind,lo,hi,n,source
 *
 * The key table says what a key means and in which units it may be written;
 * reading turns every number into SI and refuses what the table does not know.
 * docs/hwdb.md is the same for people.
 */
#ifndef RL_DEVICE_ROWS_H
#define RL_DEVICE_ROWS_H

#include "device.h"
#include "table.h"

enum rl_dim { /* dimension of a key; each unit belongs to one */
              RL_DIM_TEXT,
              RL_DIM_NUMBER,    /* 1 */
              RL_DIM_CLOCK,     /* Hz */
              RL_DIM_BYTES,     /* binary units only */
              RL_DIM_BANDWIDTH, /* bytes/s */
              RL_DIM_BITS,
              RL_DIM_PIN,   /* bit/s of one pin */
              RL_DIM_FLOPS, /* FLOP/s */
              RL_DIM_FLOP_PER_CLOCK,
              RL_DIM_EXP_PER_CLOCK,
              RL_DIM_TIME, /* s */
              RL_DIM_POWER,
              RL_DIM_MONEY
};

enum rl_key {
    RL_KEY_NAME,
    RL_KEY_VENDOR,
    RL_KEY_ARCH,
    RL_KEY_COMPUTE_CAPABILITY,
    RL_KEY_YEAR,
    RL_KEY_SM_COUNT,
    RL_KEY_BOOST_CLOCK,
    RL_KEY_TENSOR_CLOCK,
    RL_KEY_MAX_CLOCK,
    RL_KEY_HELD_CLOCK,
    RL_KEY_MIN_CLOCK,
    RL_KEY_LOAD_TARGET,
    RL_KEY_MEM_TYPE,
    RL_KEY_MEM_SIZE,
    RL_KEY_MEM_USABLE,
    RL_KEY_MEM_BUS,
    RL_KEY_MEM_PIN_RATE,
    RL_KEY_DRAM_BW,
    RL_KEY_DRAM_COPY_BW,
    RL_KEY_DRAM_BW_CORE,
    RL_KEY_DRAM_OVERLAP,
    RL_KEY_L2_SIZE,
    RL_KEY_LLC_SIZE,
    RL_KEY_SMEM_PER_SM,
    RL_KEY_FLOP_PER_CLK_SM, /* .unit */
    RL_KEY_FLOPS,           /* .unit */
    RL_KEY_FP16_VECTOR,
    RL_KEY_L2_BW,
    RL_KEY_SFU_PER_CLK_SM,
    RL_KEY_LAUNCH_STREAM,
    RL_KEY_LAUNCH_GRAPH,
    RL_KEY_HOST_LAUNCH,
    RL_KEY_LINK_TYPE,
    RL_KEY_LINK_BW,
    RL_KEY_C2C_BW,
    RL_KEY_PCIE,
    RL_KEY_PCIE_BW,
    RL_KEY_TDP,
    RL_KEY_IDLE_POWER,
    RL_KEY_BUSY_POWER,
    RL_KEY_FULL_POWER,
    RL_KEY_PRICE,
    RL_KEY_UNIFIED_MEMORY,
    RL_NKEYS
};

struct rl_key_info {
    const char *name;
    enum rl_dim dim;
    int required;
    int per_unit; /* the key carries ".fp16" and so on */
    const char *meaning;
};
extern const struct rl_key_info rl_key_info[RL_NKEYS];

struct rl_devrow {
    enum rl_key key;
    int unit;          /* enum rl_unit of a per_unit key, else -1 */
    enum rl_kind kind; /* NONE: a text */
    double v, lo, hi;  /* SI; lo = hi = NaN where the file has none */
    double n;          /* measurements behind it; 0: none told */
    const char *text, *unit_text, *source;
    int line;
};

struct rl_devrows {
    struct rl_table *table; /* owns the texts */
    struct rl_devrow *row;
    int n;
};

/* Reads and checks form: keys, units, kinds, numbers, sources, duplicates,
 * required keys.  What the numbers mean is rl_device_check's. */
struct rl_devrows *rl_devrows_read(const char *path, struct rl_error *err);
/* The same from a table, which is taken over, NULL included. */
struct rl_devrows *rl_devrows_take(struct rl_table *t, struct rl_error *err);
void rl_devrows_free(struct rl_devrows *r);

/* First row of that key, unit (-1: none) and kind, or NULL. */
const struct rl_devrow *rl_devrows_find(const struct rl_devrows *r, enum rl_key key,
                                        int unit, enum rl_kind kind);
/* The sheet's row (datasheet, else derived) or the measured one (sustained,
 * else burst); NULL when there is none. */
const struct rl_devrow *rl_devrows_sheet(const struct rl_devrows *r, enum rl_key key,
                                         int unit);
const struct rl_devrow *rl_devrows_measured(const struct rl_devrows *r, enum rl_key key,
                                            int unit);

const char *rl_kind_name(enum rl_kind k);

/* Full name of a row's key, "flops.fp16"; buf ≥ 40 bytes. */
const char *rl_devrow_name(const struct rl_devrow *r, char *buf, size_t size);

/* What a prior is looked up by: priors.csv rows arch,key,value,lo,hi,n,source;
 * arch is the device's id, else the longest prefix of its arch, else its vendor,
 * else `cpu` or `gpu`. */
struct rl_prior {
    double v, lo, hi;
    const char *source;
    bool known; /* of this device, not of its kind, and not a mere guess (n > 0) */
};
int rl_prior_find(const struct rl_table *priors, const struct rl_device *d,
                  const char *key, struct rl_prior *out, struct rl_error *err);

/* device_fill.c: rows and priors -> every ceiling of the device. */
int rl_device_fill(struct rl_device *d, struct rl_error *err);

/* device_check.c: what the numbers mean; rates: hwdb/rates.csv. */
int rl_devrows_check(const struct rl_devrows *rows, const struct rl_table *rates,
                     struct rl_error *err);

#endif
