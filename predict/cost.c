/* The cost of one node in one pass: its kernel's time, or what the stack runs in
 * its place, its launches and its error.
 */
#include "cost.h"
#include "kern_impl.h"
#include "ops.h"

#include <math.h>
#include <string.h>

/* A call that an unfused stack runs as a chain of small kernels: each moves its
 * share of the traffic, through L2 where its tensors fit. */
static double chain_seconds(const struct rl_plan *pl, const struct rl_bound_node *b,
                            struct rl_work w, double kernels, double part[RL_NBOUNDS])
{
    w.act_bytes *= b->traffic / kernels;
    w.l2_bytes *= b->traffic / kernels;
    w.weight_bytes /= kernels;
    w.vector_flop /= kernels;
    w.sfu /= kernels;
    w.launches = 1;
    return kernels * rl_work_seconds(&w, &pl->machine, part);
}

/* Copies of K and V for every query head of a group: read once, written `repeat` times,
 * and read so by the kernel, which alone would read them once. */
static double repeat_seconds(const struct rl_plan *pl, const struct rl_bound_node *b,
                             const struct rl_work *w)
{
    struct rl_work copy = {.unit = RL_FP32, .launches = 2};

    copy.act_bytes = 2 * b->repeat * w->cache_bytes;
    return rl_work_seconds(&copy, &pl->machine, NULL);
}

/* A loop over the experts that tokens chose, each a few kernels. */
static double expert_launches(const struct rl_plan *pl, const double *p)
{
    return pl->expert_launches * rl_moe_distinct(p[RL_MOE_TOKENS], p[RL_MOE_TOPK],
                                                 p[RL_MOE_EXPERTS], RL_ROUTING_UNIFORM);
}

/* w: the work of one call at p; alt: by the node's other operator. */
static double seconds_of(const struct rl_plan *pl, const struct rl_bound_node *b,
                         const double *p, struct rl_work w, bool alt,
                         const struct rl_cost *c, double part[RL_NBOUNDS])
{
    double s;

    if (pl->ideal)
        return c->speed_of_light;
    if (b->chain)
        s = chain_seconds(pl, b, w, c->kernels, part);
    else if (b->plain && !alt)
        s = rl_work_seconds(&w, &pl->machine, part);
    else
        s = rl_op_seconds(alt ? b->alt : b->op, p, &pl->machine, c->choice, part);
    bool counted = alt && b->alt == &rl_op_attention_masked; /* copies and all */
    return b->repeat > 0 && !counted ? s + repeat_seconds(pl, b, &w) : s;
}

/* PyTorch's plain path beside one kernel: two scalings, mask, softmax, two products, and
 * three conversions (_scaled_dot_product_attention_math). */
static const double MORE_FOR_SCORES = 8;

void rl_cost_of(const struct rl_plan *pl, const struct rl_bound_node *b,
                const struct rl_pass *pass, int ph, struct rl_cost *c)
{
    double p[RL_MAXPARAMS], part[RL_NBOUNDS] = {0};
    bool alt = b->alt && pass->cached >= b->alt_from;
    const struct rl_choice *choice = alt ? &b->alt_choice : &b->choice;
    bool runs = b->launches[ph] > 0 && !(pl->ideal && b->node->fusable) &&
                pass->tokens > b->node->beyond;
    struct rl_work w = {0};

    memset(c, 0, sizeof *c);
    if (!runs && b->node->fusable)
        return; /* fused into a neighbour */
    rl_node_params(pl, b, pass, p);
    b->op->work(p, &w);
    if (!b->node->fusable)
        c->speed_of_light =
            rl_work_speed_of_light(&w, &pl->machine, pl->ideal ? part : NULL);
    if (b->grown) /* light would append the new tokens alone */
        c->speed_of_light *= pass->tokens / pass->cached;
    if (!runs)
        return;
    c->choice = choice;
    c->kernels = b->launches[ph];
    c->host = b->host[ph];
    if (choice->impl && choice->impl->launches)
        c->kernels = c->host = choice->impl->launches(p);
    if (alt && b->alt == &rl_op_attention_scores && !choice->impl) {
        c->kernels += MORE_FOR_SCORES;
        c->host += MORE_FOR_SCORES;
    }
    if (b->op == &rl_op_moe && pl->expert_launches > 0)
        c->kernels = c->host = b->launches[ph] + expert_launches(pl, p);
    c->seconds = seconds_of(pl, b, p, w, alt, c, part);
    if (!pl->ideal && !choice->impl && !alt)
        c->beside = b->beside[ph] * pl->machine.gap_s;
    c->seconds += c->beside;
    c->bound = rl_part_bound(part);
}

static void add_error(const struct rl_cost *cost, int group, double calls,
                      struct rl_sum *s, struct rl_own_error *own)
{
    const struct rl_choice *c = cost->choice;
    double alone = sqrt(fmax(0, 1 - c->share * c->share));
    double t = calls * cost->seconds * rl_spread_at(&c->spread, cost->seconds);

    s->lo[group] += t * c->share * c->log_lo;
    s->hi[group] += t * c->share * c->log_hi;
    own->lo += t * alone * c->log_lo;
    own->hi += t * alone * c->log_hi;
}

void rl_cost_add(const struct rl_plan *pl, const struct rl_bound_node *b,
                 const struct rl_cost *c, double calls, struct rl_sum *s,
                 struct rl_own_error *own)
{
    double t = calls * c->seconds;

    s->speed_of_light += calls * c->speed_of_light;
    if (!c->choice)
        return;
    s->gpu += t;
    s->by_class[b->node->cls] += t - calls * c->beside;
    s->by_class[RL_CLS_ELEMENTWISE] += calls * c->beside;
    s->by_bound[c->bound] += t;
    if (!pl->ideal)
        add_error(c, b->group, calls, s, own);
    s->launches += calls * c->kernels;
    s->host += calls * c->host * pl->host_launch_s;
}

void rl_cost_close(const struct rl_own_error *own, struct rl_sum *s)
{
    s->lo2 += own->lo * own->lo;
    s->hi2 += own->hi * own->hi;
}

unsigned rl_cost_phase(const struct rl_plan *pl, int ph)
{
    return ph && !pl->model->graph.diffusion ? RL_DECODE : RL_PREFILL;
}
