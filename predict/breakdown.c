/* A prediction taken apart: the plan is run once per operator, alone, so that
 * the rows are the very figures the prediction adds up. */
#include "breakdown.h"
#include "ops.h"
#include "schedule.h"

#include <stdio.h>
#include <string.h>

static const char *const trust_words[] = {
    [RL_TRUST_ENTRY] = "fitted on this device",
    [RL_TRUST_SISTER] = "fitted on this device, other dtype or version",
    [RL_TRUST_ARCH] = "fitted on another device, rescaled",
    [RL_TRUST_PRIOR] = "prior",
};

/* Is the entry one of the kernel that the stack takes?  Kernels with an operator of
 * their own have no other's entries. */
static bool is_of(const struct rl_kernel *k, const struct rl_attn_kernel *attn)
{
    return attn->op || strstr(k->impl, attn->name);
}

/* The kernel in words where it is not the operator's usual one, then its coefficients. */
static void describe_source(const struct rl_bound_node *b, double cached, char *buf,
                            size_t size)
{
    bool alt = b->alt && cached >= b->alt_from;
    const struct rl_choice *c = alt ? &b->alt_choice : &b->choice;
    const struct rl_kernel *k = c->kernel;
    const char *words = b->attn && b->attn != rl_attn_kernels ? b->attn->words : NULL;
    int n = 0;

    if (alt && b->alt == &rl_op_attention_masked)
        words = "PyTorch's memory-efficient kernel under a dense mask";
    if (words)
        n = snprintf(buf, size, "%s; %s", words,
                     k && !alt && !is_of(k, b->attn) ? "by another kernel's entry, "
                                                     : "");
    if (k)
        snprintf(buf + n, size - (size_t)n, "%s: %s %s on %s, n=%.0f",
                 trust_words[c->trust], k->runtime, k->impl, k->device, k->n);
    else
        snprintf(buf + n, size - (size_t)n, "%s", trust_words[c->trust]);
}

/* The first pass of a phase, for the parameters shown. */
static struct rl_pass shown_pass(const struct rl_plan *pl, const struct rl_query *q,
                                 int decode)
{
    const struct rl_graph *g = &pl->model->graph;
    double prompt = rl_prompt_tokens(pl, q);
    double cached = rl_cached_tokens(pl, q);
    struct rl_pass p = {q->batch, prompt, cached, q->batch * rl_logit_rows(pl, q, prompt),
                        q->ctx};

    if (decode && !g->diffusion) {
        p.tokens = 1;
        p.rows = q->batch;
        p.cached = cached + 1;
    }
    return p;
}

/* The sum of a whole phase, of all nodes or of one. */
static void phase_sum(const struct rl_plan *pl, const struct rl_query *q, int decode,
                      struct rl_sum *s)
{
    if (decode)
        rl_decode(pl, q, q->output_tokens > 1 ? q->output_tokens - 1 : 1, s);
    else
        rl_prefill(pl, q, s);
}

/* slowed: by a lower clock, of all nodes together */
static int add_row(const struct rl_plan *alone, const struct rl_bound_node *b,
                   const struct rl_query *q, int decode, double slowed,
                   int (*fn)(const struct rl_op_row *row, void *arg), void *arg)
{
    struct rl_op_row row = {.op = b->op->name,
                            .label = b->node->label,
                            .phase = decode ? "decode" : "prefill",
                            .cls = b->node->cls,
                            .calls = b->node->count};
    struct rl_pass pass = shown_pass(alone, q, decode);
    struct rl_work w = {0};
    double p[RL_MAXPARAMS];
    struct rl_sum s;

    phase_sum(alone, q, decode, &s);
    if (s.gpu <= 0)
        return 0;
    rl_node_params(alone, b, &pass, p);
    rl_op_format(b->op, p, row.params, sizeof row.params);
    b->op->work(p, &w);
    row.time_s = s.gpu / s.slowed * slowed;
    row.flop = w.flop * b->node->count;
    row.vector_flop = w.vector_flop * b->node->count;
    row.bytes = rl_work_bytes(&w) * b->node->count;
    for (int i = 1; i < RL_NBOUNDS; i++)
        if (s.by_bound[i] > s.by_bound[row.bound])
            row.bound = (enum rl_bound)i;
    describe_source(b, pass.cached, row.source, sizeof row.source);
    return fn(&row, arg);
}

int rl_breakdown(const struct rl_plan *pl, const struct rl_query *q,
                 int (*fn)(const struct rl_op_row *row, void *arg), void *arg)
{
    bool diffusion = pl->model->graph.diffusion;

    for (int decode = 0; decode < 2; decode++) {
        struct rl_sum whole;
        if (decode && !pl->model->graph.has_decode)
            break;
        phase_sum(pl, q, decode, &whole);
        for (int i = 0; i < pl->nnodes; i++) {
            unsigned want = decode && !diffusion ? RL_DECODE : RL_PREFILL;
            struct rl_plan alone = *pl;
            alone.node = &pl->node[i];
            alone.nnodes = 1;
            alone.memo = NULL;
            int rc = pl->node[i].phase & want
                         ? add_row(&alone, &pl->node[i], q, decode, whole.slowed, fn, arg)
                         : 0;
            if (rc)
                return rc;
        }
    }
    return 0;
}
