/* Emitting a model graph, one statement per module: parameters, operator
 * calls, cache and the memory model's block come from the same call, so that
 * the parameter count and the work cannot disagree.
 *
 *     struct rl_build b;
 *     rl_b_open(&b, c, g, err);
 *     double h = rl_b_num(&b, "hidden_size"), n = rl_b_num(&b, "num_hidden_layers");
 *     rl_b_embed(&b, vocab, h);
 *     rl_b_layers(&b, n);
 *     rl_b_norm(&b, "norm", h, RL_RMS);
 *     rl_b_attention(&b, &(struct rl_attn){.heads = …});
 *     …
 *     return rl_b_close(&b);
 *
 * Errors stick: after the first one every call does nothing (readers return
 * their fallback or 1), and rl_b_close() returns -1.
 *
 * TP is written down, not applied: RL_COL and RL_ROW set which arguments a
 * plan divides, and a row-parallel product is followed by its all-reduce
 * (which a plan drops when there is one rank).
 */
#ifndef RL_BUILD_H
#define RL_BUILD_H

#include "family.h"
#include "graph.h"

struct rl_build {
    struct rl_graph *g;
    const struct rl_cfg *c;
    struct rl_error *err;
    int rc;         /* -1 after the first error */
    double hidden;  /* of the stream modules read and write; set by rl_b_open */
    double count;   /* layers alike being emitted */
    unsigned phase; /* of the nodes emitted */
    enum rl_sym t;  /* rows: RL_T, RL_TX in an encoder */
    enum rl_sym l;  /* per sequence: RL_L, RL_X */
    bool encoder;   /* bidirectional, no cache, prefill only, not read in decode */
    bool no_params; /* calls of weights counted elsewhere (shared blocks) */
    bool no_nodes;  /* resident weights that a text token never runs (vision) */
    struct rl_block scratch; /* written where no block is to be recorded */
};

/* fields (build_cfg.c) ---------------------------------------------------- */

/* Starts the graph: name, hidden size (0 when the family's field has another
 * name: rl_b_shape), layers, position limit. */
void rl_b_open(struct rl_build *b, const struct rl_cfg *c, struct rl_graph *g,
               struct rl_error *err);
void rl_b_shape(struct rl_build *b, double hidden, double layers, double positions);
int rl_b_close(struct rl_build *b); /* checks every argument is bound */
/* The usual ends of a decoder.  start: opens, reads hidden_size and vocab_size and
 * embeds; returns num_hidden_layers.  finish: the last norm and the output matrix,
 * which is the table where tie_word_embeddings says so (`tied` when absent). */
double rl_b_start(struct rl_build *b, const struct rl_cfg *c, struct rl_graph *g,
                  struct rl_error *err);
void rl_b_finish(struct rl_build *b, const char *norm, bool tied);

double rl_b_num(struct rl_build *b, const char *key);
double rl_b_num_or(struct rl_build *b, const char *key, double fallback);
double rl_b_real_or(struct rl_build *b, const char *key, double fallback);
bool rl_b_bool_or(struct rl_build *b, const char *key, bool fallback);
const char *rl_b_str_or(struct rl_build *b, const char *key, const char *fallback);
bool rl_b_has(const struct rl_build *b, const char *key);
/* The first of two names that is present ("n_embd" | "hidden_size"). */
double rl_b_num2(struct rl_build *b, const char *key, const char *other);
double rl_b_num2_or(struct rl_build *b, const char *key, const char *other,
                    double fallback);
/* A number, or the fallback where the field is absent, "auto" or -1. */
double rl_b_auto(struct rl_build *b, const char *key, double fallback);
void rl_b_bad(struct rl_build *b, const char *key, const char *expected);
/* How many elements of a list of strings equal `value`; the list must have
 * `layers` elements.  -1: the field is absent. */
double rl_b_count_str(struct rl_build *b, const char *key, const char *value,
                      double layers);
/* How many elements of a list of numbers equal `value`; likewise. */
double rl_b_count_num(struct rl_build *b, const char *key, double value, double layers);
/* Length of a list; -1: absent. */
double rl_b_list(struct rl_build *b, const char *key);

/* core (build.c) ---------------------------------------------------------- */

void rl_b_layers(struct rl_build *b, double count); /* what follows runs so often */
void rl_b_phase(struct rl_build *b, unsigned phase);
void rl_b_encoder(struct rl_build *b, bool on); /* switch to encoder rows */

/* One operator call.  Arguments are set by name; an argument that is not set
 * keeps the operator's fallback, and a required one left out is an error at
 * close.  dtype starts as RL_DT_ACT, kv_dtype as RL_DT_KV, state_dtype as
 * RL_DT_STATE.  NULL after an error: all setters accept it. */
struct rl_node *rl_b_node(struct rl_build *b, const char *op, const char *label);
struct rl_node *rl_b_node_in(struct rl_build *b, const char *op, const char *label,
                             unsigned phase); /* NULL outside the phase */
void rl_b_arg(struct rl_build *b, struct rl_node *n, const char *name, enum rl_sym sym,
              double k);
void rl_b_split(struct rl_build *b, struct rl_node *n, const char *name);

/* Parameters of one layer of the current group. */
void rl_b_params(struct rl_build *b, enum rl_wclass w, double n, bool split);
/* The same, and they are what node n streams (n may be NULL). */
void rl_b_own(struct rl_build *b, struct rl_node *n, enum rl_wclass w, double params,
              bool split);
void rl_b_cache(struct rl_build *b, enum rl_cache_kind kind, const char *label,
                double elems, double kv_heads, double window, double fixed);
struct rl_block *rl_b_block(struct rl_build *b, enum rl_block_kind kind);

/* parts (build_parts.c) -------------------------------------------------- */

enum {
    RL_BIAS = 1,  /* + out parameters */
    RL_COL = 2,   /* tensor parallel divides the outputs */
    RL_ROW = 4,   /* … the inputs; an all-reduce follows */
    RL_JOIN = 8,  /* reads what the node before read: may merge with it */
    RL_SMALL = 16 /* small matrix kept in 16 bits (routers, gates) */
};
void rl_b_linear(struct rl_build *b, const char *label, double in, double out,
                 unsigned flags);
/* The same on rows = rows_k · sym instead of the new tokens. */
void rl_b_linear_on(struct rl_build *b, const char *label, enum rl_sym sym, double rows_k,
                    double in, double out, unsigned flags);
void rl_b_all_reduce(struct rl_build *b, double width);

enum rl_norm_kind {
    RL_RMS,             /* weight */
    RL_LN,              /* weight and bias */
    RL_BARE,            /* no parameters */
    RL_NORM_SHARDED = 8 /* flag: the width is divided by tp */
};
void rl_b_norm(struct rl_build *b, const char *label, double width, unsigned kind);
/* rows_k·T rows (per head) with `params` parameters in all. */
void rl_b_norm_rows(struct rl_build *b, const char *label, const char *glue,
                    double rows_k, double width, double params);
/* Norm of y gated with silu(z); rows_k as above, width sharded by tp. */
void rl_b_norm_gated(struct rl_build *b, double rows_k, double width, double params);

/* reads and writes: passes over rows × width. */
void rl_b_elementwise(struct rl_build *b, const char *label, const char *glue,
                      double width, double reads, double writes, bool sharded);
/* Element-wise work of a prefill that only the model's own PyTorch code does, for
 * sequences beyond so many new tokens. */
void rl_b_torch_only(struct rl_build *b, const char *glue, enum rl_sym rows,
                     enum rl_sym sym, double width, double beyond);
void rl_b_residual(struct rl_build *b);
void rl_b_rope(struct rl_build *b, double heads, double dim);

void rl_b_embed(struct rl_build *b, double vocab, double width);
/* Learned positions: rows × width parameters, one row added per token. */
void rl_b_positions(struct rl_build *b, double rows, double width);
/* Head and sampling.  tied: the matrix is the embedding table (counted there). */
void rl_b_head(struct rl_build *b, double width, double vocab, bool tied, bool bias);

/* what is stored, and not run (build.c) ---------------------------------- */

/* Elements the checkpoint holds and a runtime drops, with the reason. */
void rl_b_store_only(struct rl_build *b, const char *why, double n);
/* Resident, never streamed by a decode step, no work for text (vision tower). */
void rl_b_resident_only(struct rl_build *b, enum rl_wclass w, double n);

/* What is emitted between mark and file_only counts as in the file only, with
 * the reason (multi-token-prediction layers); no calls, no cache. */
struct rl_mark {
    double resident[RL_NWCLASSES], split[RL_NWCLASSES], inactive, not_read;
    bool no_nodes;
};
void rl_b_mark(struct rl_build *b, struct rl_mark *m);
void rl_b_file_only(struct rl_build *b, const struct rl_mark *m, const char *why);
/* Instead of file_only: resident weights that other nodes stream, blocks used at
 * several depths; their calls are emitted with b.no_params. */
void rl_b_shared(struct rl_build *b, const struct rl_mark *m);

/* attention (build_attn.c) ------------------------------------------------ */

enum rl_qk_norm {
    RL_QK_NONE,
    RL_QK_HEAD, /* per head, one weight of head_dim each for q and k */
    RL_QK_FULL, /* over all heads (OLMo-2): (heads + kv_heads)·head_dim */
    RL_QK_BARE, /* per head without weights (Llama 4) */
    RL_QK_LN,   /* per head LayerNorm with its own weights (Cohere, StableLM 2) */
};
struct rl_attn {
    double in, out; /* widths read and written; 0: b.hidden */
    double heads, kv_heads, head_dim;
    double v_dim;    /* 0: head_dim */
    double window;   /* tokens seen; 0: all */
    double chunk;    /* Llama 4's local chunks; 0: none */
    double rope_dim; /* 0: head_dim; negative: no RoPE */
    double sinks;    /* tokens always kept on top of the window (meta tokens) */
    enum rl_qk_norm qk_norm;
    bool qkv_bias, o_bias;
    bool no_k_bias;     /* Whisper: q and v have one, k has none */
    bool sink_logits;   /* gpt-oss: one learned logit per head */
    bool gate;          /* q_proj also emits a sigmoid gate of the output */
    bool bidirectional; /* no mask */
    bool shared_kv;     /* reads another layer's cache: no k, v, no cache of its own */
    bool no_o;          /* the caller emits the output projection */
    bool no_proj;       /* the caller emits every projection (Hymba) */
};
void rl_b_attention(struct rl_build *b, const struct rl_attn *a);
/* Decoder's attention over the encoder's output: k and v once in the prefill. */
void rl_b_cross_attention(struct rl_build *b, const struct rl_attn *a);

struct rl_mla {
    double heads, q_rank /* 0: none */, kv_rank, nope, rope, v_dim;
    bool no_rope;                              /* Kimi Linear: positions unused */
    double index_heads, index_dim, index_topk; /* DSA; 0: none */
};
void rl_b_mla(struct rl_build *b, const struct rl_mla *a);

/* Attention on `layers` layers, `windowed` of which see a->window tokens. */
void rl_b_attention_mixed(struct rl_build *b, struct rl_attn a, double layers,
                          double windowed);

/* feed-forward (build_mlp.c) ---------------------------------------------- */

/* XIELU: an activation with two parameters */
enum { RL_MLP_GATED = 1, RL_MLP_BIAS = 2, RL_MLP_NO_BLOCK = 4, RL_MLP_XIELU = 8 };
void rl_b_mlp(struct rl_build *b, double inter, unsigned flags);
/* in, out: widths when they are not b.hidden. */
void rl_b_mlp_io(struct rl_build *b, double in, double inter, double out, unsigned flags);

struct rl_moe {
    double experts, topk, inter; /* inter: of one expert */
    double matrices;             /* 3 gated, 2 not; 0 means 3 */
    double latent;               /* width experts work in; 0: b.hidden */
    double router_bias;          /* parameters beside the router matrix */
    double expert_bias;          /* of one expert (gpt-oss) */
    double shared_inter;         /* of all shared experts together; 0: none */
    bool shared_gate;            /* sigmoid gate, hidden → 1 */
};
void rl_b_moe(struct rl_build *b, const struct rl_moe *m);

/* state-space mixers (build_ssm.c) ----------------------------------------
 * in, out 0: b.hidden. */

struct rl_mamba1 {
    double in, out, inner, state, dt_rank, conv;
    bool conv_bias, bias; /* bias: of in_proj and out_proj */
    bool dt_bc_norm;      /* weights of the dt, B and C norms (Jamba) */
    bool bare_norm;       /* B, C, dt norms without weights (Falcon-Mamba) */
    bool no_proj;         /* the caller emits in_proj and out_proj (Hymba) */
};
void rl_b_mamba1(struct rl_build *b, const struct rl_mamba1 *m);

struct rl_mamba2 {
    double in, out, heads, head_dim, state, groups, conv, chunk;
    bool conv_bias, bias;
    bool no_norm; /* Falcon-H1 without mamba_rms_norm: y · silu(z) only */
};
void rl_b_mamba2(struct rl_build *b, const struct rl_mamba2 *m);

/* in_proj to B, C, x; gates; depthwise convolution; out_proj (LFM2). */
void rl_b_shortconv(struct rl_build *b, double inner, double width, bool bias);

/* Griffin's recurrent block: x and gate branches, conv, RG-LRU, out. */
void rl_b_rglru(struct rl_build *b, double width, double heads, double conv);

/* The pieces, for blocks that the above do not cover. */

/* Causal convolution over `channels`; `kept` columns of state (width in Hugging
 * Face code, width - 1 in vLLM). */
void rl_b_conv(struct rl_build *b, double channels, double width, double kept, bool bias);
/* A scan (phase RL_PREFILL) or its one-token update (RL_DECODE) with batch and
 * seq_len set; NULL outside the phase. */
struct rl_node *rl_b_scan(struct rl_build *b, const char *op, const char *label,
                          unsigned phase);

/* linear attention (build_linear.c) --------------------------------------- */

struct rl_gdn {
    double k_heads, k_dim, v_heads, v_dim, conv;
};
void rl_b_gdn(struct rl_build *b, const struct rl_gdn *m);

struct rl_kda {
    double heads, head_dim, conv;
};
void rl_b_kda(struct rl_build *b, const struct rl_kda *m);

void rl_b_lightning(struct rl_build *b, double heads, double head_dim);

/* RWKV: inner = heads · head_dim is the hidden size. */
struct rl_rwkv {
    double head_dim, inter;
    double lora_w, lora_a, lora_v, lora_g; /* v7: all; v6: w and mix */
    double lora_mix;                       /* v6: of the five token-shift mixes */
    bool first;                            /* v7: layer 0 has no value LoRA */
};
void rl_b_rwkv7(struct rl_build *b, const struct rl_rwkv *m); /* time and channel mix */
void rl_b_rwkv6(struct rl_build *b, const struct rl_rwkv *m);

void rl_b_mlstm(struct rl_build *b, double heads, double qk, double v);

/* whole decoders of the GPT kind (build_decoder.c) ------------------------ */

struct rl_decoder {
    double vocab, layers, inter;
    double embed_width; /* 0: hidden; else projected in and out (OPT-350m) */
    double positions;   /* learned rows; 0: none */
    double windowed;    /* layers that see attn.window only */
    struct rl_attn attn;
    unsigned norm; /* enum rl_norm_kind */
    unsigned mlp;  /* RL_MLP_* */
    bool parallel; /* attention and MLP read the same stream */
    bool one_norm; /* … and share one norm */
    bool embed_norm, no_final_norm, tied, head_bias;
};
void rl_b_decoder(struct rl_build *b, const struct rl_decoder *d);

#endif
