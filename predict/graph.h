/* The model graph: what one forward pass runs, as operator calls whose sizes
 * are still symbols (new tokens, batch, cache length), with the parameters
 * they own and the cache and state they keep.  Knows no device.
 *
 * Families emit it through build.h, one statement per module, so that the
 * parameter count and the work come from the same line and cannot disagree.
 */
#ifndef RL_GRAPH_H
#define RL_GRAPH_H

#include "op.h"

/* What an argument is multiplied with when a pass is bound. */
enum rl_sym {
    RL_ONE, /* a constant */
    RL_T,   /* new tokens of all sequences, B·L */
    RL_B,   /* sequences */
    RL_L,   /* new tokens per sequence (1 in decode) */
    RL_S,   /* tokens in the cache, new ones included */
    RL_R,   /* rows of logits: B (last) or T (all) */
    RL_X,   /* encoder tokens per sequence */
    RL_TX,  /* encoder tokens of all sequences, B·X */
    RL_TS,  /* cached tokens of all sequences, B·S */
    RL_TP,  /* ranks of the tensor-parallel group */
    /* dtypes */
    RL_DT_W,   /* weights of the node's wclass */
    RL_DT_ACT, /* activations */
    RL_DT_KV,
    RL_DT_STATE,
    RL_NSYMS
};

struct rl_arg {
    enum rl_sym sym;
    double k; /* value = k · symbol */
};

enum rl_phase { RL_PREFILL = 1, RL_DECODE = 2, RL_BOTH = 3 };

/* Whose precision a weight follows. */
enum rl_wclass {
    RL_W_NONE,
    RL_W_LINEAR, /* projections: quantised with the model */
    RL_W_EXPERT, /* routed experts */
    RL_W_EMBED,  /* embedding table (kept in 16 bits by HF-style quantisation) */
    RL_W_HEAD,
    RL_W_SMALL, /* norms, biases, convolutions, routers, A, D: 16 bits */
    RL_NWCLASSES
};

/* How tensor parallelism divides a node. */
enum rl_shard {
    RL_REPLICATED,
    RL_SPLIT, /* the arguments in `split` are divided by tp (rounded up) */
};

struct rl_node {
    const struct rl_op_type *op;
    char label[24]; /* q_proj, attn, ssd, … */
    enum rl_class cls;
    unsigned phase;                  /* enum rl_phase bits */
    double count;                    /* calls per forward pass */
    struct rl_arg arg[RL_MAXPARAMS]; /* in the op's parameter order */
    enum rl_wclass wclass;
    double weights;   /* parameters one call streams (its own matrix) */
    unsigned split;   /* bit set of arguments divided by tp */
    const char *glue; /* of rl_glue_names: key of the runtime's launch table;
                         NULL: op name */
    bool join;        /* reads the input of the node before: stacks that merge such
                         projections (q, k, v; gate, up) run one GEMM of the
                         summed n, see rl_graph_merge */
    bool fusable;     /* a fused runtime does it inside a neighbour (act·mul,
                         residual, rope into append …): see the runtime */
    bool torch_only;  /* of the model's own PyTorch code: other stacks run none of it */
    double beyond;    /* runs for more new tokens than this only */
};

enum rl_cache_kind {
    RL_CACHE_KV,    /* grows with the tokens, in the KV dtype */
    RL_CACHE_STATE, /* constant per sequence, in the state dtype */
    RL_CACHE_CONV,  /* constant per sequence, in the activation dtype */
    RL_CACHE_CROSS, /* grows with the encoder length */
};

struct rl_cache {
    enum rl_cache_kind kind;
    char label[24];
    double layers;   /* how many of these */
    double elems;    /* per token (KV, CROSS) or per sequence, one layer, all heads */
    double window;   /* KV: tokens kept at most; 0: all */
    double fixed;    /* KV: tokens kept always on top (meta tokens) */
    double kv_heads; /* heads (of a state: its heads or channels) divided by tp, down
                        to one; 0: not divided (MLA) */
};

/* A kind of block as the memory model sees it: unused fields are 0. */
enum rl_block_kind {
    RL_BLK_ATTN,
    RL_BLK_MLA,
    RL_BLK_MLP,
    RL_BLK_MOE,
    RL_BLK_MAMBA1,
    RL_BLK_MAMBA2,
    RL_BLK_GDN,
    RL_BLK_KDA,
    RL_BLK_LINEAR, /* lightning, RWKV, mLSTM */
    RL_BLK_RGLRU,
    RL_BLK_SHORTCONV,
    RL_BLK_CROSS,
    RL_BLK_ENCODER,
    RL_NBLOCKS
};
const char *rl_block_name(enum rl_block_kind k);

struct rl_block {
    enum rl_block_kind kind;
    double count;
    double inter; /* F: width of the MLP or of one expert */
    double topk, experts;
    double heads, kv_heads, head_dim, v_dim, window; /* attention */
    double inner, state, groups, ssm_heads, ssm_head_dim, chunk, dt_rank, conv;
    bool gated, fused_in; /* MLP matrices 3 or 2; … */
};

struct rl_graph {
    char model_type[48];
    double hidden, vocab, layers, max_positions;
    struct rl_node *node;
    size_t nnodes, nodes_cap;
    struct rl_cache *cache;
    size_t ncaches, caches_cap;
    struct rl_block *block;
    size_t nblocks, blocks_cap;

    /* Parameter counts (elements).  resident by class, everything in memory: */
    double resident[RL_NWCLASSES];
    double resident_split[RL_NWCLASSES]; /* of these, divided by tp */
    double stored_extra; /* in the file only: tied copies, MTP, buffers … */
    char stored_why[200];
    double inactive;     /* experts one token does not touch */
    double shared_again; /* of weights used at several depths and of a tied head,
                            what counting them at each use adds */
    double not_read;     /* resident but not streamed by a decode step:
                            embedding rows, vision tower, encoder … */
    bool tied;
    bool has_decode; /* false: BERT, ViT */
    bool encoder_decoder, diffusion;
    bool residual_fp32;
    double mask_from;      /* transformers builds a dense mask from this prompt
                              length on (config sliding_window, unused); 0: never */
    bool cache_on_request; /* a plain forward() of transformers keeps no cache
                              (Falcon-H1: it must be handed one) */
    bool dense_mask;       /* transformers builds a [L, S] mask for any prompt */
    double logit_copies;   /* full logit tensors alive at once, normally 1 */
    bool logits_upcast;    /* .float() on the logits in the HF code */
    double prefix;         /* learned tokens that a prefill computes before each prompt */
    double decoder_start;  /* decoder tokens in the prefill (enc–dec): 1 */
    enum rl_dtype quant[RL_NWCLASSES]; /* from quantization_config; RL_DT_NONE: none */
    enum rl_dtype state_dtype;         /* what the config asks for, or every known runtime
                                          keeps, the recurrent state in; RL_DT_NONE: the
                                          runtime's choice */
    enum rl_dtype stored_dtype;        /* `dtype` / `torch_dtype` of the config */
};

/* Small steps that runtime files give launches and traffic for, by these names. */
extern const char *const rl_glue_names[];
extern const int rl_nglue_names;

void rl_graph_init(struct rl_graph *g);
void rl_graph_clear(struct rl_graph *g);

/* The four counts of `model show`. */
struct rl_params {
    double stored, resident, active, read_per_token;
};
void rl_graph_params(const struct rl_graph *g, struct rl_params *out);

/* A copy for stacks that merge projections of one input: every run of joined
 * GEMMs becomes one node.  0, or -1 when memory is short. */
int rl_graph_merge(const struct rl_graph *g, struct rl_graph *out, struct rl_error *err);

/* Parameters that one decode step of one token streams, counted over the
 * operator calls: equals read_per_token unless a block is called repeatedly
 * (Zamba2's shared blocks). */
double rl_graph_streamed(const struct rl_graph *g);

double rl_graph_kv_elems(const struct rl_graph *g);    /* per token, long context
                                                          limit of unwindowed layers
                                                          plus windowed ones */

#endif
