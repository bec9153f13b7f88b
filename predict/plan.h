/* A plan: a model's graph bound to a device, a runtime and number formats.
 * Every operator has its kernel coefficients and its constant parameters; what
 * is left open is the size of a pass (struct rl_pass). */
#ifndef RL_PLAN_H
#define RL_PLAN_H

#include "graph.h"
#include "model.h"
#include "time.h"

enum { RL_MAXVARS = 6, RL_MAXNOTES = 8, RL_MAXGROUPS = 24 };

/* The size of one forward pass. */
struct rl_pass {
    double batch;  /* sequences */
    double tokens; /* new tokens per sequence */
    double cached; /* tokens in the cache, the new ones included */
    double rows;   /* rows of logits computed */
    double enc;    /* encoder tokens per sequence */
};

/* What of a pass a node looks at, and the nodes parted by it: those of RL_STILL do
 * not change with the length of the prompt (the head, sampling). */
enum { RL_LOOKS_BATCH = 1, RL_LOOKS_TOKENS = 2, RL_LOOKS_ROWS = 4, RL_LOOKS_ENC = 8 };
enum rl_part { RL_MOVING, RL_STILL, RL_NPARTS };

/* Attention kernels that a runtime may name (plan_attn.c), ended by NULL. */
struct rl_attn_kernel {
    const char *name, *words;
    const struct rl_op_type *op; /* what takes attention's place; NULL: itself */
    const char *impl;            /* its implementation; NULL: the runtime's */
    bool needs_unit;             /* written for tensor units of the call's format */
};
extern const struct rl_attn_kernel rl_attn_kernels[];

struct rl_bound_node {
    const struct rl_node *node;
    const struct rl_op_type *op;
    struct rl_choice choice;
    double p[RL_MAXPARAMS]; /* constants filled in */
    struct {
        unsigned char index, sym;
        bool split; /* divided by tp */
        double k;
    } var[RL_MAXVARS];
    int nvars;
    unsigned phase;
    bool on_cache;      /* changes with `cached` */
    double window;      /* where it stops growing; 0: never */
    double launches[2]; /* kernels per call: prefill, decode */
    double beside[2];   /* of them small ones beside the kernel model's own */
    double host[2];     /* host time per call, in plain launches: a Triton or
                           Python-heavy call costs several */
    bool chain;         /* glue that the stack runs as kernels of its own */
    double traffic;     /* DRAM bytes relative to the fused kernel, ≥ 1 */
    bool grown;         /* an append that copies the whole cache */
    bool plain;         /* no kernel model: the roofline of its work */
    int group;          /* errors of one group move together */
    int twin;           /* an earlier node whose calls take the same; -1: none */
    int part;           /* enum rl_part */
    double repeat;      /* K and V are copied to every query head first: heads of a group;
                           0: the kernel shares them */
    const struct rl_attn_kernel *attn; /* of attention: the kernel taken */
    /* The kernel's operator once the cache is this long: where it is no flash kernel
     * (0), or where the stack builds a dense mask; NULL: never. */
    const struct rl_op_type *alt;
    double alt_from;
    struct rl_choice alt_choice;
};

struct rl_plan {
    const struct rl_device *device;
    const struct rl_model *model;
    const struct rl_runtime *runtime;
    struct rl_kernel_db *own_db; /* NULL when shared */
    struct rl_machine machine;
    struct rl_setup setup;
    enum rl_dtype wdtype[RL_NWCLASSES], dtype, act, kv, state;
    double wbytes[RL_NWCLASSES]; /* bytes a weight, mean over the class */
    char dtype_name[32];

    struct rl_graph merged; /* nodes with joined projections, if the stack
                               joins them; else empty */
    struct rl_bound_node *node;
    int nnodes, ngroups;
    unsigned looks[RL_NPARTS]; /* what the part's nodes look at, together */

    bool ideal; /* the roofline itself: no kernels, no host, no interval */

    /* the software stack */
    bool graph_prefill, graph_decode; /* CUDA graphs replay the pass */
    double host_launch_s;             /* host time of one eager launch */
    double front_s;                   /* between two kernels of a stream, beyond what
                                         the kernel itself takes to start and end */
    double expert_launches;    /* of an MoE layer, for every expert hit; 0: grouped */
    double step_launches[2];   /* per pass, beyond the operators' */
    double step_host_s[2];     /* host time per pass that nothing hides */
    double sequence_host_s[2]; /* the same for every sequence of the pass */
    double chunk;              /* prefill chunk in tokens; 0: none */
    double overlap;            /* exponent joining host and device time */
    double spread[2];          /* log-sd of end-to-end residuals */
    double host_log_lo, host_log_hi; /* 90 % of log errors of the host's time */
    double pause_j;                  /* of the clean-up between two metered passes */
    bool logits_all;
    struct {
        double kv_block;     /* tokens a cache grows by */
        bool masks;          /* a dense mask once the keys reach `sliding_window` */
        double page_align;   /* pages shared with states: tokens are a multiple; 0: no */
        double load;         /* what loading leaves reserved, over the weights */
        bool warmup;         /* it is one block, shared parameters counted at each use */
        double slack, round; /* allocator: fraction on top, bytes rounded up to */
        double workspace, context;                /* bytes */
        double spread_allocated, spread_reserved; /* 90 % of real peaks: ± share */
        double utilisation; /* part of the device a server lets itself use */
        bool plain;         /* scans are chains of PyTorch's operators */
        bool eager;         /* every intermediate is a tensor of its own */
        double score_live;  /* bytes that a score in memory holds */
        double act_bytes;   /* of an activation element in memory */
        double repack;      /* bytes of a second, rearranged copy of weights */
        bool upcast;        /* logits get an fp32 copy where the model does so */
        double weights;     /* bytes on one device */
        double state;       /* bytes of one sequence's recurrent state */
        double *live;       /* [blocks] intermediates, bytes a new token */
        double *tensor;     /* [blocks] the largest of them, likewise */
        double *scores;     /* [blocks] of a new token with one cached */
        double *kv_token;   /* [caches] bytes a token on one rank */
        double block;       /* tokens that the cache grows by */
    } mem;
    struct {           /* layers over several devices: pipeline.c */
        double copies; /* passes whose inputs wait at a device; 0: not modelled */
        double hop_s;  /* from one device to the next */
        double queue;  /* kernels a device's launch queue takes; 0: any */
    } split;
    double score_bytes; /* traffic per score without flash kernels */

    struct rl_memo *memo;       /* see memo.c; NULL: none */
    struct rl_longest *longest; /* see memory.c */
    char note[RL_MAXNOTES][200];
    int nnotes;
};

/* As rl_plan_new with a kernel data base the caller keeps; NULL: priors only. */
struct rl_plan *rl_plan_bind(const struct rl_kernel_db *db, const struct rl_device *d,
                             const struct rl_model *m, const struct rl_runtime *r,
                             const struct rl_setup *s, struct rl_error *err);

/* Room for the sums of passes met last; released by free(). */
struct rl_memo *rl_memo_new(int nnodes, struct rl_error *err);
/* Fills in what queries need of the bound nodes: twins, parts, groups. */
void rl_plan_prepare(struct rl_plan *pl);

/* Fills a node's parameters for a pass: p[RL_MAXPARAMS]. */
void rl_node_params(const struct rl_plan *pl, const struct rl_bound_node *b,
                    const struct rl_pass *pass, double *p);

/* Does the prefill compute logits for every position of the prompt? */
bool rl_all_logits(const struct rl_plan *pl, const struct rl_query *q);

/* The format of a matrix with rows of `row` weights in a file of format dt. */
enum rl_dtype rl_row_dtype(enum rl_dtype dt, double row);
/* Fills wbytes and mem.repack of a plan whose nodes are bound. */
void rl_plan_weights(struct rl_plan *pl);
/* Is word one of the blank-separated words of list (NULL: of none)? */
bool rl_word_in(const char *list, const char *word);

/* One attention call, and why a kernel did not take it. */
struct rl_attn_call {
    double head_dim, v_dim; /* v_dim 0: as head_dim */
    enum rl_dtype dtype, kv;
};
struct rl_attn_refusal {
    const struct rl_attn_kernel *kernel; /* the first of the order; NULL: it did */
    char text[120];
};
/* The kernel that takes the call, or NULL. */
const struct rl_attn_kernel *rl_attn_kernel(const struct rl_plan *pl,
                                            const struct rl_attn_call *call,
                                            struct rl_attn_refusal *why);
/* The kernel of that name, or NULL. */
const struct rl_attn_kernel *rl_attn_kernel_named(const char *name, size_t len);

/* One word of a list "64 80 128:256:8": a number, FROM:TO or FROM:TO:STEP. */
struct rl_sizes {
    double from, to, step;
};
/* Reads the word at s; returns the next one, NULL where s holds no such word. */
const char *rl_sizes_next(const char *s, struct rl_sizes *z);
/* Is size one of the list? */
bool rl_size_in(const char *list, double size);

/* Does the runtime run on the device? */
int rl_check_device(const struct rl_runtime *r, const struct rl_device *d,
                    struct rl_error *err);

void rl_plan_note(struct rl_plan *pl, const char *fmt, ...);

#endif
