/* Layers dealt out to several devices, one stage each, as llama.cpp splits them.  A step
 * goes through all stages.  The passes of a prefill follow each other as in a pipeline,
 * at the pace of what comes last:
 *
 * - the longest stage: layers and output count alike and are dealt out in equal shares,
 *   in order: of 32 layers on 4 devices the first has 9, the last 7 and the output;
 * - the host: one thread fills the devices' launch queues in order and waits where a
 *   queue is full.  With room for q = queue / kernels of the last stage, S stages and m =
 *   floor(q) a new pass can start every (S - (q - m)) / (m + 1) stages: it cannot before
 *   the last stage of the pass before has room for its own kernels.  (A simulation of
 *   such a host agrees but for q near a whole number from below.)
 * - the copies of a pass's inputs: `copies` passes wait at a device beside the one that
 *   runs.
 *
 * Read in ggml-org/llama.cpp of May 2024: llama.cpp (llm_load_tensors), ggml-backend.c
 * (GGML_SCHED_MAX_COPIES).  Ignored: devices of different sizes, --tensor-split.
 */
#include "pipeline.h"

#include <math.h>

static const double FP32 = 4; /* bytes of an activation that is handed over */

/* The first layer of stage i. */
static double first_layer(double layers, double stages, double i)
{
    return fmin(layers, ceil((layers + 1) * i / stages));
}

/* Of a pass: how often the host can start one. */
static double host_pace(double stages, double kernels, double queue, double copies)
{
    double q = queue > 0 ? fmin(queue / kernels, copies) : copies;
    double m = floor(q);

    return (stages - (q - m)) / ((m + 1) * stages);
}

/* The last pass over the mean one: attention grows with the cache. */
static double last_over_mean(const struct rl_sum *s)
{
    double share = s->gpu > 0 ? s->by_class[RL_CLS_ATTENTION] / s->gpu : 0;

    return 1 + share * (s->deepest - 1);
}

void rl_pipeline(const struct rl_plan *pl, struct rl_sum *s, int ph, double tokens)
{
    const struct rl_graph *g = &pl->model->graph;
    double stages = pl->setup.devices, n = s->passes;

    if (stages < 2 || !(pl->split.copies > 0))
        return;
    double hop = pl->split.hop_s + tokens / n * g->hidden * FP32 / pl->device->pcie_bw.v;
    double hops = stages - 1;
    if (ph == 0) {
        double last = s->wall / n * last_over_mean(s);
        double longest = first_layer(g->layers, stages, 1) / g->layers;
        double rest = 1 - first_layer(g->layers, stages, hops) / g->layers;
        double kernels = fmax(1, s->launches / n * rest);
        double pace =
            fmax(longest, host_pace(stages, kernels, pl->split.queue, pl->split.copies));
        s->wall = pace * s->wall + (1 - pace) * last;
        s->speed_of_light *=
            1 / stages + (1 - 1 / stages) / n; /* equal stages and passes */
        hops += n - 1;
    }
    s->wall += hops * hop;
}
