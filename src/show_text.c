/* Predictions for people: one screen, units, interval, what binds, and what
 * would help. */
#include "breakdown.h"
#include "memory.h"
#include "show.h"
#include "units.h"

#include <math.h>
#include <string.h>

static void line_time(FILE *f, const char *label, const struct rl_interval *i, double sol)
{
    char a[32], b[32], c[32], d[32];
    if (!isfinite(i->value))
        return;
    fprintf(f, "  %-22s %-10s 90 %% %s … %s", label, rl_human_time(i->value, a),
            rl_human_time(i->lo, b), rl_human_time(i->hi, c));
    if (sol > 0)
        fprintf(f, "   speed of light %s", rl_human_time(sol, d));
    fputc('\n', f);
}

/* Four digits, never with an exponent. */
static const char *plain(double v, char *buf)
{
    snprintf(buf, 32, v >= 1000 ? "%.0f" : "%.4g", v);
    return buf;
}

/* The operator classes by share, largest first, down to 1 %. */
static void line_shares(FILE *f, const char *label, const double *share)
{
    bool done[RL_NCLASSES] = {false};

    fprintf(f, "  %-22s", label);
    for (int k = 0; k < RL_NCLASSES; k++) {
        int best = -1;
        for (int i = 0; i < RL_NCLASSES; i++)
            if (!done[i] && (best < 0 || share[i] > share[best]))
                best = i;
        done[best] = true;
        if (share[best] < 0.01)
            break;
        fprintf(f, " %s %.0f %%", rl_class_name((enum rl_class)best), 100 * share[best]);
    }
    fputc('\n', f);
}

static const char *bound_words(enum rl_bound b, bool host)
{
    switch (b) {
    case RL_B_COMPUTE:
        return "arithmetic: a faster unit or a narrower compute dtype helps";
    case RL_B_MEMORY:
        return "memory traffic: fewer bytes per weight or cache entry, or a larger batch "
               "helps";
    case RL_B_LAUNCH:
        return host
                   ? "the host's kernel launches: CUDA graphs, fused kernels or a faster "
                     "host helps"
                   : "kernels' start and end, and the host's time a step: fewer and "
                     "larger kernels help";
    case RL_B_SERIAL:
        return "fixed and serial kernel time: larger batches or longer prompts use the "
               "device better";
    default:
        return "the link between devices: fewer ranks or a faster link helps";
    }
}

/* What one phase spent its time on; of the prediction, by phase. */
struct phase {
    const char *name;
    const struct rl_interval *time;
    double gpu, host, launches;
    const double *share, *part;
    enum rl_bound bound;
};

/* Which part is host, kernel, memory, in words; parts below 1 % are left out. */
static void line_words(FILE *f, const struct phase *p)
{
    static const char *const word[RL_NBOUNDS] = {
        [RL_B_COMPUTE] = "kernels compute for %s",
        [RL_B_MEMORY] = "kernels move data for %s",
        [RL_B_LAUNCH] = "kernels start and end for %s",
        [RL_B_SERIAL] = "steps wait for each other for %s",
        [RL_B_LINK] = "devices exchange data for %s",
    };
    double idle = fmax(0, p->time->value - p->gpu), least = 0.01 * p->time->value;
    const char *sep = "";
    char a[32];

    fprintf(f, "  %-22s ", "in words");
    for (int i = 0; i < RL_NBOUNDS; i++) {
        if (p->part[i] < least)
            continue;
        fputs(sep, f);
        fprintf(f, word[i], rl_human_time(p->part[i], a));
        sep = ", ";
    }
    if (idle >= least)
        fprintf(f, "%sthe device waits for its host or between kernels for %s", sep,
                rl_human_time(idle, a));
    fputc('\n', f);
}

/* Kernels against the host that enqueues them. */
static void line_host(FILE *f, const char *label, double gpu, double host, double wall,
                      double launches)
{
    char a[32], b[32];
    fprintf(f, "  %-22s kernels %s", label, rl_human_time(gpu, a));
    if (host > 0)
        fprintf(f, ", host enqueues %.0f launches in %s", launches,
                rl_human_time(host, b));
    else
        fprintf(f, ", %.0f kernels replayed from a graph", launches);
    fprintf(f, "; device idle %.0f %%\n", 100 * fmax(0, 1 - gpu / wall));
}

/* What the allocator holds, against the device. */
static void line_reserved(FILE *f, const struct rl_memory *m, bool fits, bool ranks)
{
    char a[32], b[32], c[32], lo[32], hi[32];
    const char *verdict = !fits ? "DOES NOT FIT"
                          : m->reserved_hi + m->runtime > m->capacity
                              ? "fits, but not at the upper end"
                              : "fits";

    fprintf(f, "  %-22s reserved %s (90 %% %s … %s) + runtime %s of %s: %s\n",
            ranks ? "on each device" : "on the device", rl_human_bytes(m->reserved, a),
            rl_human_bytes(m->reserved_lo, lo), rl_human_bytes(m->reserved_hi, hi),
            rl_human_bytes(m->runtime, b), rl_human_bytes(m->capacity, c), verdict);
}

/* What a server sets aside for its caches, and how many such requests fill it. */
static void line_pool(FILE *f, const struct rl_plan *pl, const struct rl_query *q,
                      const struct rl_memory *m)
{
    double pool = rl_pool_bytes(pl, m), each = (m->kv_cache + m->state) / q->batch;
    char a[32], b[32];

    if (!(pool > 0 && each > 0))
        return;
    fprintf(f,
            "  %-22s %s (what is left of %.0f %% of the device): %.0f such sequences, "
            "%s each\n",
            "pool for caches", rl_human_bytes(pool, a), 100 * pl->mem.utilisation,
            floor(pool / each), rl_human_bytes(each, b));
}

static void text_memory(FILE *f, const struct rl_plan *pl, const struct rl_query *q,
                        const struct rl_prediction *p)
{
    const struct rl_memory *m = &p->memory;
    const struct {
        const char *name;
        double v;
    } part[] = {{"weights", m->weights}, {"KV cache", m->kv_cache},
                {"state", m->state},     {"activations", m->activations},
                {"logits", m->logits},   {"workspace", m->workspace}};
    char a[32], b[32];

    fprintf(f, "\nmemory\n");
    fprintf(f, "  %-22s %s =", "peak allocated", rl_human_bytes(m->total, a));
    bool first = true;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (part[i].v < 0.5)
            continue;
        fprintf(f, "%s %s %s", first ? "" : " +", part[i].name,
                rl_human_bytes(part[i].v, b));
        first = false;
    }
    fputc('\n', f);
    line_reserved(f, m, p->fits, pl->setup.tp > 1);
    line_pool(f, pl, q, m);
    if (isfinite(p->max_ctx))
        fprintf(f, "  %-22s %s tokens (by allocated bytes alone %s)\n", "longest prompt",
                rl_human_tokens(p->max_ctx, a), rl_human_tokens(p->max_ctx_allocated, b));
    else
        fprintf(f, "  %-22s no limit: nothing grows with the context\n",
                "longest prompt");
}

bool rl_beyond_positions(const struct rl_plan *pl, const struct rl_query *q,
                         char text[RL_NOTE_TEXT])
{
    const struct rl_graph *g = &pl->model->graph;
    bool apart =
        !g->has_decode || g->encoder_decoder; /* of an encoder: the prompt alone */
    double last = q->context_depth + q->ctx + (apart ? 0 : q->output_tokens - 1);
    char a[32], b[32];

    if (!(g->max_positions > 0 && last > g->max_positions))
        return false;
    snprintf(text, RL_NOTE_TEXT,
             "%s positions where the config names %s: the model may not go so far",
             rl_human_tokens(last, a), rl_human_tokens(g->max_positions, b));
    return true;
}

static void text_head(FILE *f, const struct rl_plan *pl, const struct rl_query *q)
{
    char a[32], b[32];

    fprintf(f, "%s on %s, %s\n", pl->model->id, pl->device->name, pl->runtime->name);
    fprintf(f, "  prompt %s × batch %.0f, %s output tokens", rl_human_tokens(q->ctx, a),
            q->batch, rl_human_tokens(q->output_tokens, b));
    if (q->context_depth > 0)
        fprintf(f, ", %s cached before", rl_human_tokens(q->context_depth, a));
    fprintf(f, "; weights %s, KV %s, state %s, logits %s", pl->dtype_name,
            rl_dtype(pl->kv)->name, rl_dtype(pl->state)->name, rl_logits_word(pl, q));
    if (pl->setup.tp > 1)
        fprintf(f, ", tensor parallel %d", pl->setup.tp);
    fputc('\n', f);
    char text[RL_NOTE_TEXT];
    for (int i = 0; i < pl->nnotes; i++)
        fprintf(f, "  note: %s\n", pl->note[i]);
    if (rl_beyond_positions(pl, q, text))
        fprintf(f, "  note: %s\n", text);
}

static void text_phase(FILE *f, const struct phase *p)
{
    fprintf(f, "\n%s\n", p->name);
    line_host(f, "time goes to", p->gpu, p->host, p->time->value, p->launches);
    line_words(f, p);
    line_shares(f, "by operator", p->share);
    fprintf(f, "  %-22s %s (%s)\n", "bound by", rl_bound_name(p->bound),
            bound_words(p->bound, p->host > 0));
}

/* Of the whole batch, and of all devices. */
static void lines_total(FILE *f, const struct rl_prediction *p, bool decode)
{
    char a[32];

    fprintf(f, "  %-22s prefill %s tokens/s", "throughput",
            plain(p->prefill_tokens_per_s, a));
    if (decode)
        fprintf(f, ", decode %s tokens/s", plain(p->decode_tokens_per_s, a));
    fputc('\n', f);
    if (!isfinite(p->prefill_j.value))
        return;
    fprintf(f, "  %-22s prefill %s", "energy", rl_human_energy(p->prefill_j.value, a));
    if (decode)
        fprintf(f, ", %s per output token", rl_human_energy(p->output_token_j.value, a));
    fputc('\n', f);
}

void rl_prediction_text(FILE *f, const struct rl_plan *pl, const struct rl_query *q,
                        const struct rl_prediction *p)
{
    bool decode = pl->model->graph.has_decode;

    text_head(f, pl, q);
    fprintf(f, "\nlatency\n");
    line_time(f, "time to first token", &p->ttft_s, p->sol_ttft_s);
    if (decode) {
        line_time(f, "time per token", &p->tpot_s, p->sol_tpot_s);
        line_time(f, "end to end", &p->e2e_s, 0);
    }
    lines_total(f, p, decode);
    text_phase(f, &(struct phase){"prefill", &p->ttft_s, p->gpu_prefill_s,
                                  p->host_prefill_s, p->launches_prefill,
                                  p->share_prefill, p->part_prefill_s, p->bound_prefill});
    if (decode)
        text_phase(f,
                   &(struct phase){"decode, one step", &p->tpot_s, p->gpu_decode_s,
                                   p->host_decode_s, p->launches_decode, p->share_decode,
                                   p->part_decode_s, p->bound_decode});
    text_memory(f, pl, q, p);
}

static int text_row(const struct rl_op_row *r, void *arg)
{
    char t[32], b[32];
    fprintf(arg,
            "  %-8s %-14s %-20s ×%-5.0f %-10s %9.3g FLOP %10s %-8s %s\n           %s\n",
            r->phase, r->label, r->op, r->calls, rl_human_time(r->time_s, t), r->flop,
            rl_human_bytes(r->bytes, b), rl_bound_name(r->bound), r->params, r->source);
    return 0;
}

void rl_breakdown_text(FILE *f, const struct rl_plan *pl, const struct rl_query *q)
{
    fprintf(f, "\noperators (prefill: whole prefill; decode: mean step)\n");
    rl_breakdown(pl, q, text_row, f);
}
