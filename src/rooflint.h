/* rooflint: analytical roofline and latency prediction for language models.
 *
 * Load a device, a model and a runtime once, bind them into a plan, then ask
 * the plan as often as you like: a prediction takes microseconds, allocates
 * nothing and touches no global state, so a plan may be shared by threads.
 *
 * Units are SI doubles: seconds, bytes, FLOP, joules; token counts are doubles
 * too (exact to 2^53).  Functions that can fail return NULL or -1 and fill the
 * rl_error; nothing here prints, exits or aborts.  What X_load or X_new returns
 * is released by X_free; X_free(NULL) is a no-op.
 */
#ifndef ROOFLINT_H
#define ROOFLINT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RL_VERSION "0.1.0"
const char *rl_version(void);

/* errors */

enum rl_code {
    RL_OK,
    RL_EIO,       /* cannot open, read or write */
    RL_EFORMAT,   /* not the file format it should be */
    RL_EVALUE,    /* a value out of range, of the wrong type or unit */
    RL_ENAME,     /* no such device, model, runtime, operator, dtype … */
    RL_ECONFLICT, /* device, model and runtime do not go together */
    RL_ENOMEM,
};

struct rl_error {
    enum rl_code code;
    int line, column; /* 0: none */
    char source[256]; /* file or option; "": none */
    char text[1600];
};

const char *rl_error_format(const struct rl_error *err, char *buf, size_t size);

/* loaded objects */

struct rl_device;
struct rl_model;
struct rl_runtime;
struct rl_plan;

/* `data` is the folder that holds hwdb/ and models/; rl_data_dir() finds it:
 * the argument if not NULL, else the installed one. */
const char *rl_data_dir(const char *override);

struct rl_device *rl_device_load(const char *data, const char *name,
                                 struct rl_error *err);
void rl_device_free(struct rl_device *d);

/* name: zoo id, Hugging Face id, path of a config.json or of a .gguf */
struct rl_model *rl_model_load(const char *data, const char *name, struct rl_error *err);
void rl_model_free(struct rl_model *m);

/* name: of the CONTRACT's list, or with a version ("vllm-0.24.0"); NULL picks
 * the device's default. */
struct rl_runtime *rl_runtime_load(const char *data, const char *name,
                                   const struct rl_device *d, struct rl_error *err);
void rl_runtime_free(struct rl_runtime *r);

/* prediction */

enum rl_class { /* operator classes of `share` */
                RL_CLS_GEMM,
                RL_CLS_ATTENTION,
                RL_CLS_SCAN,
                RL_CLS_CONV,
                RL_CLS_NORM,
                RL_CLS_ELEMENTWISE,
                RL_CLS_EMBEDDING,
                RL_CLS_HEAD,
                RL_CLS_MOE,
                RL_CLS_COMM,
                RL_CLS_LAUNCH,
                RL_NCLASSES
};
const char *rl_class_name(enum rl_class c);

enum rl_bound { /* what binds: a kernel, or a whole pass */
                RL_B_COMPUTE,
                RL_B_MEMORY,
                RL_B_LAUNCH,
                RL_B_SERIAL,
                RL_B_LINK,
                RL_NBOUNDS
};
const char *rl_bound_name(enum rl_bound b);

enum rl_logits { RL_LOGITS_RUNTIME, RL_LOGITS_ALL, RL_LOGITS_LAST };

/* What is fixed when a plan is made. Names may be NULL: the default. */
struct rl_setup {
    const char *dtype, *kv_dtype, *state_dtype; /* see the CONTRACT */
    int tp;                                     /* ≥ 1; 0 means 1 */
    int devices;   /* layer split over so many devices (llama.cpp); 0 means 1 */
    int threads;   /* CPU threads; 0: all cores */
    int flash;     /* llama.cpp flash attention: 1 on, 0 off, -1 default */
    double ubatch; /* tokens of one prefill chunk; 0: the runtime's */
};

struct rl_plan *rl_plan_new(const char *data, const struct rl_device *d,
                            const struct rl_model *m, const struct rl_runtime *r,
                            const struct rl_setup *s, struct rl_error *err);
void rl_plan_free(struct rl_plan *p);

struct rl_query {
    double ctx;           /* prompt tokens per sequence, ≥ 1 */
    double batch;         /* sequences at once, ≥ 1 */
    double output_tokens; /* T: one from the prefill and T - 1 decode steps */
    double context_depth; /* tokens cached before the prompt */
    enum rl_logits logits;
};

struct rl_interval {
    double value, lo, hi; /* 90 % interval; NaN value: null */
};

struct rl_memory { /* bytes; total = sum of the six before it */
    double weights, kv_cache, state, activations, logits, workspace;
    double total, reserved, runtime, capacity;
    double reserved_lo, reserved_hi; /* 90 % of real ones */
};

struct rl_prediction {
    struct rl_interval ttft_s, tpot_s, e2e_s;
    double prefill_tokens_per_s, decode_tokens_per_s; /* decode: whole batch */
    struct rl_memory memory;
    bool fits;
    double max_ctx, max_ctx_allocated;            /* NaN: nothing grows with context */
    struct rl_interval prefill_j, output_token_j; /* NaN: no power figure */
    enum rl_bound bound_prefill, bound_decode;
    double sol_ttft_s, sol_tpot_s; /* speed of light */
    double share_prefill[RL_NCLASSES], share_decode[RL_NCLASSES];
    /* of the above, in seconds, for people and for `validate` */
    double gpu_prefill_s, gpu_decode_s;   /* sum of kernel times, one pass */
    double host_prefill_s, host_decode_s; /* host's launch time, one pass */
    double launches_prefill, launches_decode;
    double part_prefill_s[RL_NBOUNDS]; /* kernel time by what binds each kernel */
    double part_decode_s[RL_NBOUNDS];
};

/* 0, or -1 when the query itself is out of range. */
int rl_predict(const struct rl_plan *p, const struct rl_query *q,
               struct rl_prediction *out, struct rl_error *err);

#ifdef __cplusplus
}
#endif
#endif
