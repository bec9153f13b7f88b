/* Which attention kernel a stack takes: data of the runtime, read here.
 *
 * `attn.order` names the kernels the stack tries, first to last; each says by
 * `attn.KERNEL.…` which heads, formats and devices it takes.  The first that takes the
 * call runs it; that it is not the first of the list goes into the notes.
 */
#include "plan_bind.h"

#include "err.h"
#include "ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct rl_attn_kernel rl_attn_kernels[] = {
    {"flash", "a flash kernel", NULL, NULL, true},
    {"efficient", "PyTorch's memory-efficient kernel", &rl_op_attention_efficient, NULL,
     true},
    {"flashinfer", "FlashInfer", NULL, NULL, true},
    {"triton", "a Triton kernel", NULL, "triton", false},
    {"scores", "plain products with the scores in memory", &rl_op_attention_scores, NULL,
     false},
    {NULL, NULL, NULL, NULL, false},
};

static const char *kernel_str(const struct rl_plan *pl, const char *kernel,
                              const char *what)
{
    char key[64];

    snprintf(key, sizeof key, "attn.%s.%s", kernel, what);
    return rl_runtime_str(pl->runtime, key, NULL);
}

const char *rl_sizes_next(const char *s, struct rl_sizes *z)
{
    char *end;

    z->from = z->to = strtod(s, &end);
    z->step = 1;
    if (end == s)
        return NULL;
    if (*end == ':')
        z->to = strtod(end + 1, &end);
    if (*end == ':')
        z->step = strtod(end + 1, &end);
    return *end && *end != ' ' ? NULL : end + strspn(end, " ");
}

bool rl_size_in(const char *list, double size)
{
    struct rl_sizes z;

    while (list && *list) {
        list = rl_sizes_next(list, &z);
        if (list && size >= z.from && size <= z.to && fmod(size - z.from, z.step) == 0)
            return true;
    }
    return false;
}

/* Does the kernel read the call's cache?  One of fp8 needs a part of the generation that
 * `fp8_cache_cc` names (9: compute capability 9.x); without the key any will do. */
static bool reads_cache(const struct rl_plan *pl, const char *kernel,
                        const struct rl_attn_call *call)
{
    const char *generation = kernel_str(pl, kernel, "fp8_cache_cc");

    return !generation || call->kv != RL_DT_FP8 || pl->machine.cc == 0 ||
           pl->machine.cc / 10 == atoi(generation);
}

/* Written for tensor units, it has no code for a format that the part's have not: bf16
 * before Ampere.  Triton compiles for the lanes there are, products are the BLAS's, and
 * ggml converts. */
static bool lacks_unit(const struct rl_plan *pl, const struct rl_attn_kernel *k,
                       enum rl_dtype dt)
{
    enum rl_unit unit = rl_dtype(dt)->unit;
    bool own = rl_runtime_str(pl->runtime, "impl.all", NULL) != NULL;

    return k->needs_unit && !own && pl->machine.cc > 0 && unit != RL_FP32 &&
           rl_device_unit(pl->device, unit) == RL_FP32;
}

/* Head sizes the kernel takes: of one format its own list, else the common one. */
static const char *head_dims(const struct rl_plan *pl, const char *kernel,
                             enum rl_dtype dt)
{
    char what[48];

    snprintf(what, sizeof what, "head_dims.%s", rl_dtype(dt)->name);
    const char *own = kernel_str(pl, kernel, what);
    return own ? own : kernel_str(pl, kernel, "head_dims");
}

/* Why the kernel does not take a call, in words; NULL: it does. */
static const char *refuses(const struct rl_plan *pl, const struct rl_attn_kernel *k,
                           const struct rl_attn_call *call, char *buf, size_t size)
{
    const char *kernel = k->name;
    const char *dims = head_dims(pl, kernel, call->dtype);
    const char *dtypes = kernel_str(pl, kernel, "dtypes");
    const char *cc = kernel_str(pl, kernel, "cc_min");
    double dv = call->v_dim > 0 ? call->v_dim : call->head_dim;

    if (cc && pl->machine.cc > 0 && pl->machine.cc < lround(10 * atof(cc)))
        snprintf(buf, size, "needs compute capability %s", cc);
    else if (dtypes && !rl_word_in(dtypes, rl_dtype(call->dtype)->name))
        snprintf(buf, size, "does not take %s", rl_dtype(call->dtype)->name);
    else if (lacks_unit(pl, k, call->dtype))
        snprintf(buf, size, "does not take %s without its tensor units",
                 rl_dtype(call->dtype)->name);
    else if (!reads_cache(pl, kernel, call))
        snprintf(buf, size, "does not read a cache of %s", rl_dtype(call->kv)->name);
    else if (dims && (!rl_size_in(dims, call->head_dim) || !rl_size_in(dims, dv)))
        snprintf(buf, size, "takes heads of %s, not %g", dims,
                 rl_size_in(dims, call->head_dim) ? dv : call->head_dim);
    else
        return NULL;
    return buf;
}

const struct rl_attn_kernel *rl_attn_kernel_named(const char *name, size_t len)
{
    for (const struct rl_attn_kernel *k = rl_attn_kernels; k->name; k++)
        if (strlen(k->name) == len && !strncmp(k->name, name, len))
            return k;
    return NULL;
}

/* What was asked for (--flash in the notes of a run) comes before the file's order. */
static const char *order_of(const struct rl_plan *pl)
{
    const char *order = rl_runtime_str(pl->runtime, "attn.order", "flash");

    if (pl->setup.flash < 0)
        return order;
    return pl->setup.flash == 0 ? "scores" : strstr(order, "flash") ? order : "flash";
}

const struct rl_attn_kernel *rl_attn_kernel(const struct rl_plan *pl,
                                            const struct rl_attn_call *call,
                                            struct rl_attn_refusal *why)
{
    char buf[sizeof why->text];

    why->text[0] = '\0';
    why->kernel = NULL;
    for (const char *s = order_of(pl); *s;) {
        size_t len = strcspn(s, " ");
        const struct rl_attn_kernel *k = rl_attn_kernel_named(s, len);
        if (k && !refuses(pl, k, call, buf, sizeof buf))
            return k;
        if (k && !why->kernel) {
            why->kernel = k;
            memcpy(why->text, buf, sizeof buf);
        }
        s += len + strspn(s + len, " ");
    }
    return NULL;
}

static bool is_attention(const struct rl_bound_node *b)
{
    return b->op == &rl_op_attention_prefill || b->op == &rl_op_attention_decode;
}

/* The kernel taken, a note where it is not the stack's first, an error where none is. */
int rl_bind_attention(struct rl_plan *pl, struct rl_bound_node *b, enum rl_dtype dtype,
                      struct rl_error *err)
{
    struct rl_attn_call call = {b->p[RL_ATT_HEAD_DIM], b->p[RL_ATT_V_DIM], dtype, pl->kv};
    struct rl_attn_refusal why;

    if (!is_attention(b) || pl->ideal)
        return 0;
    b->attn = rl_attn_kernel(pl, &call, &why);
    if (!b->attn)
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "runtime '%s' has no attention kernel for '%s': %s %s",
                       pl->runtime->name, pl->model->id,
                       why.kernel ? why.kernel->words : "attn.order",
                       why.kernel ? why.text : "names none");
    if (why.kernel)
        rl_plan_note(pl, "attention falls back to %s: %s %s", b->attn->words,
                     why.kernel->words, why.text);
    return 0;
}

/* The kernel's own operator in the node's place; flash's from the length on at which
 * the stack builds a dense mask, which it does not take. */
void rl_bind_alternative(struct rl_plan *pl, struct rl_bound_node *b)
{
    if (!b->attn)
        return;
    b->alt = b->attn->op;
    if (b->alt == &rl_op_attention_scores)
        b->p[RL_ATT_SCORE_BYTES] = pl->score_bytes;
    const struct rl_graph *g = &pl->model->graph;
    if (!b->alt && pl->mem.masks && (g->dense_mask || g->mask_from > 0)) {
        b->alt = &rl_op_attention_masked;
        b->alt_from = g->dense_mask ? 0 : g->mask_from;
    }
}

/* repeat_kv: a stack whose attention call knows no groups copies K and V. */
void rl_bind_repeat(const struct rl_plan *pl, struct rl_bound_node *b)
{
    if (is_attention(b) && rl_runtime_num(pl->runtime, "kv.repeat", 0) > 0 &&
        b->p[RL_ATT_HEADS] > b->p[RL_ATT_KV_HEADS])
        b->repeat = b->p[RL_ATT_HEADS] / b->p[RL_ATT_KV_HEADS];
}
