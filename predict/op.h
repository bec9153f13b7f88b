/* Operators: what one call costs (work), and how long a kernel takes for it.
 *
 * An operator call is a type and an array of doubles, one per parameter of
 * the CONTRACT's ops schema (`m=1 n=4096 k=4096 dtype=bf16`); dtype parameters
 * hold an enum rl_dtype.  So parsing, printing, calibrating and validating are
 * the same code for every operator, and evaluating one allocates nothing.
 *
 * work() counts and knows no device.  time() is the kernel model: physics of
 * the device (struct rl_machine) and a few coefficients of the kernel entry.
 * To add an operator: one op_x.c with one rl_op_type, one row in op_list.
 */
#ifndef RL_OP_H
#define RL_OP_H

#include "dtype.h"
#include "rooflint.h"

enum { RL_MAXPARAMS = 14, RL_MAXCOEFS = 26 };

enum rl_param_kind {
    RL_P_NUM,     /* a whole number; ≥ 1 unless min says 0 */
    RL_P_DTYPE,   /* an enum rl_dtype; min RL_DT_NONE: "none" is allowed */
    RL_P_ROUTING, /* "uniform" = -1, "balanced" = 0, "power_law_A" = A */
    RL_P_REAL,    /* a number ≥ min, fractions allowed */
};

/* A fallback: what the parameter before this one holds. */
#define RL_AS_BEFORE (-2.0)

struct rl_param {
    const char *name;
    enum rl_param_kind kind;
    double min;      /* smallest value allowed */
    double fallback; /* used when the parameter is not given; NaN: required */
};

/* What one call does, on any device. */
struct rl_work {
    enum rl_unit unit;  /* of flop */
    double flop;        /* matrix FLOP (FMA = 2), algorithmic */
    double vector_flop; /* element-wise FLOP on FP32 vector units */
    double sfu;         /* exp, rsqrt, log … evaluations */
    /* compulsory DRAM bytes by kind; `rl_work_bytes` adds them */
    double weight_bytes, act_bytes, cache_bytes;
    double l2_bytes;   /* re-reads and intermediates that L2 may serve */
    double parallel;   /* independent thread blocks available; 0: not counted */
    double serial;     /* dependent steps one after another, each a chunk, a token
                          after the first or a hop of a ring; 0: none */
    double launches;   /* kernels of a fused implementation */
    double link_bytes; /* sent by each rank */
};
double rl_work_bytes(const struct rl_work *w);

/* A device as kernel formulas see it; made by rl_machine_init (time.c). */
struct rl_machine {
    double sm;               /* SMs (cores of a CPU) */
    double clock_hz;         /* held at work: the sheet's, on GeForce parts more */
    double light[RL_NUNITS]; /* FLOP/s of the sheet, after fall-back; > 0 */
    double peak[RL_NUNITS];  /* the same at the clock held */
    double rate[RL_NUNITS];  /* sustained FLOP/s */
    double most[RL_NUNITS];  /* no kernel goes beyond: measured at most, else the peak; 0:
                                not told */
    double tdp_w;            /* 0: unknown */
    double dram_peak, dram;  /* bytes/s: sheet, sustained */
    double dram_net;         /* bytes/s: the sheet's less inline ECC */
    /* CPU: bytes/s that the cores at work draw, each for itself, and those of the
     * channels they share (dram joins the two); rl_device.dram_overlap of one core */
    double dram_cores, dram_channels, overlap;
    double fp16_bits;            /* rl_device.fp16_vector_bits */
    double l2_bw, l2_bytes;      /* bytes/s, bytes */
    double sfu;                  /* exp/s */
    double gap_s;                /* kernel-to-kernel gap of this runtime */
    double link, link_latency_s; /* bytes/s one direction; s */
    double gpus;                 /* ranks in the tensor-parallel group */
    /* Tensor FLOP a clock and SM of the device whose coefficients these are over this
     * one's, above 1: 2 from an L40S to a GeForce of Ada.  0: they are as fast here. */
    double slow;
    int cc; /* rl_device.cc */
    int is_cpu;
    /* 1: operands of the previous identical call may still lie in L2, as in the
     * replayed benchmarks behind the ops files; 0: weights and caches come from
     * DRAM, as in a model's forward pass.  rl_machine_init sets 1. */
    double warm;
};

/* Tensor units that sum in fp32, which GeForce parts do at half rate: products of
 * integers and fp4 have their full rate on every part. */
static inline bool rl_is_summed(enum rl_unit u)
{
    return u == RL_BF16 || u == RL_FP16 || u == RL_TF32 || u == RL_FP8;
}

/* `slow` of a unit, at least 1. */
static inline double rl_slow(const struct rl_machine *m, enum rl_unit u)
{
    return rl_is_summed(u) && m->slow > 1 ? m->slow : 1;
}

/* What such a unit sustains of its peak is what bf16 does, if nothing better is known. */
static inline double rl_pipe(const struct rl_machine *m, enum rl_unit u)
{
    double as_bf16 = m->peak[u] * m->rate[RL_BF16] / m->peak[RL_BF16];
    return as_bf16 > m->rate[u] ? as_bf16 : m->rate[u];
}

/* Fifth-generation tensor cores, for which TensorRT-LLM has kernels of their own. */
static inline int rl_has_tcgen05(const struct rl_machine *m)
{
    return m->cc >= 100 && m->cc < 120;
}

enum rl_coef_kind {
    RL_C_LOG,  /* positive, fitted as its logarithm */
    RL_C_PEAK, /* the same, a share of the sheet's tensor peak */
    RL_C_DRAM, /* the same, a share of the sheet's DRAM peak */
    RL_C_LINEAR,
    RL_C_CHOICE, /* 0, 1, …, max: a variant of the kernel; calibrate tries all */
};

/* One coefficient of a kernel model: dimensionless, or in µs, so that it can
 * carry over to another device. */
struct rl_coef {
    const char *name, *unit;
    enum rl_coef_kind kind;
    double prior, min, max;
    double prior_sd; /* spread between devices, of the logarithm (or value) */
    const char *meaning;
};

static inline bool rl_coef_is_log(const struct rl_coef *c)
{
    return c->kind != RL_C_LINEAR && c->kind != RL_C_CHOICE;
}

struct rl_op_type {
    const char *name; /* as in the ops schema */
    const char *ref;  /* where the counting comes from */
    enum rl_class cls;
    struct rl_param param[RL_MAXPARAMS + 1]; /* ends with name NULL */
    /* 0, or -1 when the parameters contradict each other */
    int (*check)(const double *p, struct rl_error *err); /* may be NULL */
    void (*work)(const double *p, struct rl_work *w);    /* *w is zeroed */
    /* kernel model; NULL coef: the generic roofline of time.c is used */
    const struct rl_coef *coef; /* ends with name NULL */
    /* Seconds of one call.  part: NULL, or the seconds each bound would take
     * alone (the largest names what binds). */
    double (*time)(const double *p, const struct rl_machine *m, const double *c,
                   double part[RL_NBOUNDS]);
    /* The largest value that choice i may take in a stack's kernels: the rules of one
     * library are none of another's.  NULL: that of its coefficient. */
    double (*most)(const char *runtime, const char *impl, int i);
    /* The value of choice i that an implementation is known to have on every device, by
     * its source or its benchmark's; NaN: not known, that of the entry.  May be NULL. */
    double (*known)(const char *runtime, const char *impl, enum rl_dtype dtype, int i);
    /* the group left out together in cross-validation: bit set of parameter
     * indices (GEMM: n and k; attention: the head shape …) */
    unsigned shape_params;
    double log_sd; /* spread of the prior: standard deviation of log error */
};

extern const struct rl_op_type *const rl_op_types[]; /* ends with NULL */
const struct rl_op_type *rl_op_find(const char *name);
int rl_op_param(const struct rl_op_type *op, const char *name); /* -1: none */
int rl_op_ncoefs(const struct rl_op_type *op);
/* op->known, NaN where there is none. */
double rl_op_known(const struct rl_op_type *op, const char *runtime, const char *impl,
                   enum rl_dtype dtype, int i);
const char *rl_library_of(const char *impl); /* NULL: none known */

/* p[RL_MAXPARAMS] with every fallback in place, NaN where one is required;
 * rl_op_finish resolves RL_AS_BEFORE after the rest is filled in. */
void rl_op_defaults(const struct rl_op_type *op, double *p);
void rl_op_finish(const struct rl_op_type *op, double *p);
/* Ranges of every parameter, then op->check. */
int rl_op_check(const struct rl_op_type *op, const double *p, struct rl_error *err);

/* "m=1 n=2 …" into p[RL_MAXPARAMS], checked; errors name the parameter. */
int rl_op_parse(const struct rl_op_type *op, const char *params, double *p,
                struct rl_error *err);
/* The inverse, canonical order. */
const char *rl_op_format(const struct rl_op_type *op, const double *p, char *buf,
                         size_t size);

#endif
