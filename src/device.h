/* A device as hwdb/devices/<id>.csv describes it: ceilings, each with its
 * unit, kind, interval and source.  SI throughout. */
#ifndef RL_DEVICE_H
#define RL_DEVICE_H

#include "dtype.h"
#include "rooflint.h"

enum rl_kind {
    RL_KIND_NONE,  /* absent */
    RL_KIND_PRIOR, /* a ratio learnt on other devices × this one's sheet */
    RL_KIND_DATASHEET,
    RL_KIND_DERIVED,   /* computed from other figures of this device */
    RL_KIND_BURST,     /* measured, short */
    RL_KIND_SUSTAINED, /* measured, steady state */
};

/* A ceiling: value with its 90 % interval (lo = hi = v where exact). */
struct rl_value {
    double v, lo, hi;
    enum rl_kind kind;
    const char *source; /* owned by the device */
};

struct rl_device {
    /* texts point into `rows`, but for id and file */
    char *id, *file;
    const char *name, *vendor, *arch;
    const char *compute_capability; /* "8.9", "gfx942", "cpu", "metal" */
    const char *mem_type, *link_type, *pcie;
    int year;
    int cc; /* 89 for "8.9"; 7 to 10: Apple's GPU family; 0: another vendor's */
    int is_cpu, unified_memory;
    double sm_count;    /* SMs, CUs, Xe cores, GPU cores, CPU cores */
    double boost_hz;    /* vector clock of the sheet */
    double tensor_hz;   /* clock that the tensor figures assume */
    double max_hz;      /* highest clock the part reaches */
    double held_hz;     /* held at work: above the sheet's on GeForce parts, else that */
    double min_hz;      /* where a governor takes a part that waits; 0: none does */
    double load_target; /* share of the time busy that it aims at */
    double mem_bytes;   /* what a program can allocate */
    double ecc_share;   /* of memory and its traffic that inline ECC takes; 0: none */
    double l2_bytes, smem_bytes_per_sm;
    double fp16_vector_bits; /* of an x86 CPU that computes in FP16; 0: it converts */
    double llc_bytes;        /* Infinity Cache behind the L2; 0: none */
    double tdp_w, price_usd; /* 0: unknown */

    /* The sheet's peaks ("speed of light") … */
    struct rl_value dram_peak;       /* bytes/s */
    struct rl_value peak[RL_NUNITS]; /* FLOP/s; kind NONE: no such unit */
    /* … and what a good kernel sustains: measured where known, else the
     * architecture's median fraction with a wide interval. */
    struct rl_value dram;
    struct rl_value rate[RL_NUNITS];
    struct rl_value dram_core; /* bytes/s that one CPU core draws; a GPU's: dram */
    /* A CPU core's arithmetic and its DRAM reads: time = (a^p + b^p)^(1/p).  1: they
     * add up, large: the longer one counts. */
    struct rl_value dram_overlap;
    struct rl_value l2;              /* bytes/s, all SMs */
    struct rl_value sfu;             /* exp/s */
    struct rl_value launch_stream_s; /* back-to-back kernel gap, stream */
    struct rl_value launch_graph_s;  /* the same inside a graph */
    struct rl_value host_launch_s;   /* host time of one eager launch */
    struct rl_value link;            /* bytes/s to peers, one direction */
    struct rl_value pcie_bw;         /* bytes/s to the host, one direction */
    struct rl_value idle_w, busy_w;  /* power: idle; full memory load */
    struct rl_value full_w;          /* power: matrix units at full load */

    struct rl_devrows *rows; /* the file, see device_rows.h */
    struct rl_table *priors; /* hwdb/priors.csv */
};

/* rl_device_load (rooflint.h) takes an id, an alias of hwdb/aliases.csv, the
 * words of exactly one id ("a6000", "l40s"), or the path of a file.  This one
 * also knows `host`: <user>/host.csv as `rooflint bench` wrote it; user may be
 * NULL. */
struct rl_device *rl_device_load_for(const char *data, const char *user, const char *name,
                                     struct rl_error *err);
/* The id (or path) a name stands for, malloc'd; NULL with the nearest names. */
char *rl_device_resolve(const char *data, const char *name, struct rl_error *err);
/* A device file anywhere; data holds the priors. */
struct rl_device *rl_device_load_file(const char *data, const char *path,
                                      struct rl_error *err);
int rl_device_list(const char *data, char ***ids, int *n, struct rl_error *err);

/* A compute capability: "8.9" is 89; 0 for "gfx942", "cpu", "metal". */
int rl_capability(const char *text);
/* "sm87", "apple9" of a cc; "" of 0. */
void rl_capability_name(int cc, char *out, size_t size);

/* The unit that really runs a dtype's arithmetic on this device: fp8 on an
 * A100 runs as bf16, bf16 on a V100 as fp32.  Never fails: RL_FP32 is
 * always there. */
enum rl_unit rl_device_unit(const struct rl_device *d, enum rl_unit wanted);

/* Every rule of `hw check` on one file: 0, or -1 with the first finding.
 * rl_hwdb_check does the tables beside devices/: aliases, priors, rates and
 * measured names. */
int rl_device_check(const char *data, const char *path, struct rl_error *err);
int rl_hwdb_check(const char *data, struct rl_error *err);

#endif
