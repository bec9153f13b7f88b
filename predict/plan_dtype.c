/* Number formats of a plan: weights, activations, caches and states, as the query, the
 * checkpoint and the stack have them. */
#include "plan_bind.h"

#include "err.h"

#include <stdio.h>
#include <string.h>

static bool is_llamacpp(const struct rl_runtime *r)
{
    return !strncmp(r->id, "llamacpp", 8);
}

static bool is_block_format(enum rl_dtype dt)
{
    return dt >= RL_DT_Q8_0;
}

static int unknown_dtype(const char *option, const char *name, struct rl_error *err)
{
    char list[640] = "";
    size_t n = 0;

    for (int i = RL_DT_FP32; i < RL_NDTYPES && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, " %s",
                              rl_dtype((enum rl_dtype)i)->name);
    return rl_fail(err, RL_ENAME, option, 0, "unknown dtype '%s'; known are:%s", name,
                   list);
}

static int parse_dtype(const char *option, const char *name, enum rl_dtype fallback,
                       enum rl_dtype *out, struct rl_error *err)
{
    int dt = name ? rl_dtype_parse(name) : (int)fallback;
    if (dt < 0)
        return unknown_dtype(option, name, err);
    *out = (enum rl_dtype)dt;
    return 0;
}

static int check_block_format(const struct rl_plan *pl, const char *option,
                              enum rl_dtype dt, struct rl_error *err)
{
    if (!is_block_format(dt) || is_llamacpp(pl->runtime) ||
        !strcmp(pl->runtime->id, "ideal"))
        return 0;
    return rl_fail(err, RL_ECONFLICT, option, 0,
                   "'%s' is a llama.cpp format, runtime '%s' does not read it",
                   rl_dtype(dt)->name, pl->runtime->name);
}

/* Formats of weights beside other activations store no cache and no state. */
static int check_kept_dtype(const struct rl_plan *pl, const char *option,
                            enum rl_dtype dt, struct rl_error *err)
{
    const struct rl_dtype_info *d = rl_dtype(dt);

    if (d->weight_only || dt == RL_DT_W4A8_MXFP4_MXFP8 || dt == RL_DT_NONE ||
        rl_dtype_base(dt) != dt)
        return rl_fail(err, RL_ECONFLICT, option, 0,
                       "'%s' is a format of weights, nothing else is kept in it",
                       d->name);
    return check_block_format(pl, option, dt, err);
}

/* What the activations are kept in beside weights of this format. */
static enum rl_dtype activation_dtype(const struct rl_plan *pl, enum rl_dtype w)
{
    if (w == RL_DT_FP32 || w == RL_DT_TF32)
        return RL_DT_FP32;
    if (w == RL_DT_FP16 || is_llamacpp(pl->runtime))
        return RL_DT_FP16;
    return RL_DT_BF16;
}

/* llama.cpp's file mixes: the output matrix one step finer than the rest. */
static enum rl_dtype head_dtype(enum rl_dtype w, enum rl_dtype act)
{
    if (!is_block_format(w))
        return act;
    return w == RL_DT_Q8_0 ? RL_DT_Q8_0 : RL_DT_Q6_K;
}

/* llama.cpp's files of experts in mxfp4 have every other matrix in q8_0
 * (llama-quant.cpp, LLAMA_FTYPE_MOSTLY_MXFP4_MOE), whatever multiplies them elsewhere.
 * A file that was read has its own. */
static void mxfp4_file(struct rl_plan *pl)
{
    enum rl_dtype dt = pl->wdtype[RL_W_EXPERT];
    bool read = pl->model->gguf_dtype != RL_DT_NONE && !pl->setup.dtype;

    if (read || !is_llamacpp(pl->runtime) ||
        (dt != RL_DT_MXFP4 && dt != RL_DT_W4A16_MXFP4 && dt != RL_DT_W4A8_MXFP4_MXFP8))
        return;
    pl->dtype = pl->wdtype[RL_W_EXPERT] = RL_DT_MXFP4;
    pl->wdtype[RL_W_LINEAR] = pl->wdtype[RL_W_HEAD] = pl->wdtype[RL_W_EMBED] = RL_DT_Q8_0;
    rl_plan_note(pl, "llama.cpp's mxfp4 files keep all matrices but experts' in q8_0");
}

static enum rl_dtype default_dtype(const struct rl_plan *pl)
{
    const struct rl_graph *g = &pl->model->graph;
    if (pl->model->gguf_dtype != RL_DT_NONE)
        return pl->model->gguf_dtype;
    if (g->quant[RL_W_LINEAR] != RL_DT_NONE)
        return g->quant[RL_W_LINEAR];
    if (g->quant[RL_W_EXPERT] != RL_DT_NONE)
        return g->quant[RL_W_EXPERT];
    return is_llamacpp(pl->runtime) || g->stored_dtype == RL_DT_FP16 ? RL_DT_FP16
                                                                     : RL_DT_BF16;
}

int rl_bind_dtypes(struct rl_plan *pl, struct rl_error *err)
{
    const struct rl_graph *g = &pl->model->graph;
    const struct rl_setup *s = &pl->setup;
    bool state32 = !strcmp(rl_runtime_str(pl->runtime, "state_dtype", "act"), "fp32");
    enum rl_dtype state = state32 ? RL_DT_FP32 : g->state_dtype;

    if (parse_dtype("--dtype", s->dtype, default_dtype(pl), &pl->dtype, err))
        return -1;
    if (check_block_format(pl, "--dtype", pl->dtype, err))
        return -1;
    pl->act = activation_dtype(pl, pl->dtype);
    if (parse_dtype("--kv-dtype", s->kv_dtype, pl->act, &pl->kv, err) ||
        check_kept_dtype(pl, "--kv-dtype", pl->kv, err) ||
        parse_dtype("--state-dtype", s->state_dtype,
                    state != RL_DT_NONE ? state : pl->act, &pl->state, err) ||
        check_kept_dtype(pl, "--state-dtype", pl->state, err))
        return -1;
    if (!s->state_dtype && g->state_dtype != RL_DT_NONE)
        pl->state = g->state_dtype;

    bool own = s->dtype == NULL; /* the checkpoint's own mix */
    for (int c = 0; c < RL_NWCLASSES; c++)
        pl->wdtype[c] = pl->act;
    pl->wdtype[RL_W_LINEAR] = pl->wdtype[RL_W_EXPERT] = pl->dtype;
    pl->wdtype[RL_W_HEAD] = head_dtype(pl->dtype, pl->act);
    pl->wdtype[RL_W_EMBED] =
        is_block_format(pl->dtype) ? rl_dtype_base(pl->dtype) : pl->act;
    if (g->tied && is_block_format(pl->dtype)) /* the table is the output matrix */
        pl->wdtype[RL_W_EMBED] = pl->wdtype[RL_W_HEAD];
    for (int c = 0; own && c < RL_NWCLASSES; c++)
        if (g->quant[RL_W_LINEAR] != RL_DT_NONE || g->quant[RL_W_EXPERT] != RL_DT_NONE)
            pl->wdtype[c] = g->quant[c] != RL_DT_NONE ? g->quant[c] : pl->act;
    snprintf(pl->dtype_name, sizeof pl->dtype_name, "%s", rl_dtype(pl->dtype)->name);
    mxfp4_file(pl);
    return 0;
}

void rl_note_rates(struct rl_plan *pl)
{
    enum rl_unit want = rl_dtype(pl->dtype)->unit;
    enum rl_unit got = rl_device_unit(pl->device, want);
    if (got != want)
        rl_plan_note(pl, "%s has no %s rate: %s runs at its %s rate", pl->device->id,
                     rl_unit_name(want), rl_dtype(pl->dtype)->name, rl_unit_name(got));
    if (pl->machine.is_cpu && !pl->ideal &&
        pl->machine.peak[RL_BF16] > 4 * pl->machine.peak[RL_FP32])
        rl_plan_note(pl,
                     "%s: its matrix unit (AMX) is not modelled, its vector units are",
                     pl->device->id);
    const struct rl_device *d = pl->device;
    double rate = pl->machine.rate[want], peak = pl->machine.light[want];
    if (rate > peak)
        rl_plan_note(
            pl,
            "%s measured at %.4g TFLOP/s, above the sheet's %.4g: its clock goes "
            "beyond the rated boost; speed of light is the sheet's",
            d->id, rate / 1e12, peak / 1e12);
    else if (d->held_hz > d->boost_hz && !pl->ideal)
        rl_plan_note(pl,
                     "%s holds %.0f MHz, above the sheet's %.0f; speed of light is "
                     "the sheet's",
                     d->id, d->held_hz / 1e6, d->boost_hz / 1e6);
}
