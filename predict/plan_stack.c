/* What the runtime's file says of a plan as a whole: whether it goes with device and
 * model, host time, graphs, spreads, memory. */
#include "plan_bind.h"

#include "err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Heads are what tensor parallelism deals out: no rank goes without one, and where
 * they do not come out even, the fullest rank is counted. */
static int check_ranks(struct rl_plan *pl, struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;
    double most = 0, uneven = 0;

    for (size_t i = 0; i < g->nblocks; i++) {
        const double heads[] = {g->block[i].heads, g->block[i].ssm_heads};
        for (int k = 0; k < 2; k++) {
            most = fmax(most, heads[k]);
            if (fmod(heads[k], pl->setup.tp) > 0)
                uneven = heads[k];
        }
    }
    if (most > 0 && pl->setup.tp > most)
        return rl_fail(err, RL_ECONFLICT, "--tp", 0, "'%s' has %g heads to deal out",
                       pl->model->id, most);
    if (uneven > 0)
        rl_plan_note(pl,
                     "%g heads do not divide by %d ranks, which most stacks refuse: the "
                     "fullest rank is counted",
                     uneven, pl->setup.tp);
    return 0;
}

int rl_check_device(const struct rl_runtime *r, const struct rl_device *d,
                    struct rl_error *err)
{
    const char *vendors = rl_runtime_str(r, "vendor", NULL);
    double cpu = rl_runtime_num(r, "cpu", -1);
    double cc = d->cc / 10.0;

    if (cpu >= 0 && (cpu > 0) != (d->is_cpu != 0))
        return rl_fail(err, RL_ECONFLICT, NULL, 0, "runtime '%s' runs on %s, '%s' is %s",
                       r->name, cpu > 0 ? "CPUs" : "GPUs", d->id,
                       d->is_cpu ? "a CPU" : "a GPU");
    if (vendors && !rl_word_in(vendors, d->vendor))
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "runtime '%s' runs on %s devices, '%s' is by %s", r->name, vendors,
                       d->id, d->vendor);
    if (!strcmp(d->vendor, "NVIDIA") && !d->is_cpu && cc < rl_runtime_num(r, "cc_min", 0))
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "runtime '%s' needs compute capability %s, '%s' has %s", r->name,
                       rl_runtime_str(r, "cc_min", "?"), d->id, d->compute_capability);
    return 0;
}

int rl_check_match(struct rl_plan *pl, struct rl_error *err)
{
    const struct rl_runtime *r = pl->runtime;
    const char *types = rl_runtime_str(r, "model", NULL);

    if (rl_check_device(r, pl->device, err))
        return -1;
    if (types && !rl_word_in(types, pl->model->graph.model_type))
        return rl_fail(err, RL_ECONFLICT, NULL, 0,
                       "runtime '%s' runs models of type %s, '%s' is '%s'", r->name,
                       types, pl->model->id, pl->model->graph.model_type);
    return check_ranks(pl, err);
}

/* KEY@DEVICE of the runtime, else KEY@sm<cc>: what whole runs on that device, or on
 * its kin, told; else KEY. */
static double here_num(const struct rl_plan *pl, const char *key, double fallback)
{
    char here[128], part[16];

    fallback = rl_runtime_num(pl->runtime, key, fallback);
    rl_capability_name(pl->machine.cc, part, sizeof part);
    snprintf(here, sizeof here, "%.50s@%s", key, part);
    fallback = rl_runtime_num(pl->runtime, here, fallback);
    snprintf(here, sizeof here, "%.50s@%.70s", key, pl->device->id);
    return rl_runtime_num(pl->runtime, here, fallback);
}

/* What not knowing a core's dram_overlap adds where arithmetic and DRAM take the same
 * time: 2^(1/p) between its bounds, as a standard deviation of the logarithm. */
static double overlap_sd(const struct rl_device *d)
{
    const struct rl_value *p = &d->dram_overlap;
    return d->is_cpu ? 0.5 * log(2) * (1 / p->lo - 1 / p->hi) / RL_Z90 : 0;
}

/* 90 % of hosts: between the fastest and slowest seen with such a device, unless
 * runs on this one told its spread. */
static void bind_spread(struct rl_plan *pl)
{
    const struct rl_value *h = &pl->device->host_launch_s;
    double sd = here_num(pl, "spread.host", -1);
    bool known = sd < 0 && h->v > 0 && h->lo > 0 && h->hi > 0;

    pl->pause_j = here_num(pl, "energy.pause_j", 0);
    pl->spread[0] = here_num(pl, "spread.prefill", 0.2);
    pl->spread[1] = hypot(here_num(pl, "spread.decode", 0.2), overlap_sd(pl->device));
    pl->host_log_lo = known ? log(h->lo / h->v) : -RL_Z90 * fmax(sd, 0);
    pl->host_log_hi = known ? log(h->hi / h->v) : RL_Z90 * fmax(sd, 0);
}

/* Host time of a launch on the x86 machines that step.* was timed or guessed on
 * (hwdb/priors.csv, gpu host_launch_us): slower cores take longer in proportion. */
static const double X86_LAUNCH_S = 5.5e-6;

/* Host time of a step that nothing hides: scheduler, sampler, detokeniser. */
static void bind_step(struct rl_plan *pl)
{
    static const char *const phase[] = {"prefill", "decode"};
    double slower = pl->device->is_cpu ? 1 : pl->device->host_launch_s.v / X86_LAUNCH_S;
    char key[40];

    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "step.launches.%s", phase[i]);
        pl->step_launches[i] = rl_runtime_num(pl->runtime, key, 0);
        snprintf(key, sizeof key, "step.host_us.%s", phase[i]);
        pl->step_host_s[i] = 1e-6 * slower * rl_runtime_num(pl->runtime, key, 0);
        snprintf(key, sizeof key, "step.sequence_us.%s", phase[i]);
        pl->sequence_host_s[i] = 1e-6 * slower * rl_runtime_num(pl->runtime, key, 0);
    }
}

void rl_bind_runtime(struct rl_plan *pl)
{
    const struct rl_runtime *r = pl->runtime;
    const char *graph = rl_runtime_str(r, "graph", "none");
    double host_factor = rl_runtime_num(r, "host.launch_factor", 1);

    pl->ideal = !strcmp(r->id, "ideal");
    pl->graph_prefill = !strcmp(graph, "all");
    pl->graph_decode = pl->graph_prefill || !strcmp(graph, "decode");
    pl->host_launch_s = pl->device->host_launch_s.v * host_factor;
    if (!strcmp(graph, "none") && !pl->device->is_cpu)
        pl->front_s = fmax(0, pl->device->launch_stream_s.v - pl->machine.gap_s);
    pl->expert_launches = rl_runtime_num(r, "moe.expert_launches", 0);
    bind_step(pl);
    pl->chunk = pl->setup.ubatch > 0 ? pl->setup.ubatch : here_num(pl, "chunk", 0);
    pl->overlap = rl_runtime_num(r, "overlap", 6);
    bind_spread(pl);
    pl->logits_all = !strcmp(rl_runtime_str(r, "logits", "last"), "all");
    pl->split.copies = rl_runtime_num(r, "split.copies", 0);
    pl->split.hop_s = 1e-6 * rl_runtime_num(r, "split.hop_us", 0);
    pl->split.queue = rl_runtime_num(r, "split.queue", 0);
    if (pl->setup.devices > 1) /* graphs cover one device */
        pl->graph_prefill = pl->graph_decode = false;
    pl->score_bytes = rl_runtime_num(r, "attn.score_bytes", 24);
}

void rl_bind_memory(struct rl_plan *pl)
{
    const struct rl_runtime *r = pl->runtime;
    const double mib = 1048576;

    pl->mem.spread_allocated = rl_runtime_num(r, "spread.allocated", 0.1);
    pl->mem.spread_reserved = rl_runtime_num(r, "spread.reserved", 0.2);
    pl->mem.kv_block = rl_runtime_num(r, "kv.block", 1);
    pl->mem.masks = rl_runtime_num(r, "mask.sliding_window", 0) > 0;
    pl->mem.page_align = rl_runtime_num(r, "page.align", 0);
    pl->mem.load = rl_runtime_num(r, "alloc.load", 1);
    pl->mem.warmup = rl_runtime_num(r, "alloc.warmup", 0) > 0;
    pl->mem.slack = rl_runtime_num(r, "alloc.slack", 0);
    pl->mem.round = mib * rl_runtime_num(r, "alloc.round_mib", 0);
    pl->mem.workspace = mib * rl_runtime_num(r, "mem.workspace_mib", 0);
    pl->mem.context = mib * rl_runtime_num(r, "mem.context_mib", 0);
    pl->mem.utilisation = rl_runtime_num(r, "mem.utilisation", 1);
    pl->mem.plain = !strcmp(rl_runtime_str(r, "impl.all", ""), "torch");
    pl->mem.eager = rl_runtime_num(r, "mem.eager", 0) > 0;
    pl->mem.act_bytes = rl_runtime_num(r, "act.bytes", rl_dtype_bytes(pl->act));
    pl->mem.score_live = rl_runtime_num(r, "attn.score_live", 8);
    pl->mem.upcast = rl_runtime_num(r, "logits.upcast", 0) > 0;
}
