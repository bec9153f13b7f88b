/* Caches and states of the families that keep one: sizes by hand, per family, and
 * what hybrids share between layers. */
#include "model.h"

#include "test.h"

#include <stdio.h>

static struct rl_model *load(const char *id)
{
    struct rl_error err = {0};
    struct rl_model *m = rl_model_load(source_dir(), id, &err);

    cr_assert(m, "%s: %s", id, err.text);
    return m;
}

static double cache_elems(const struct rl_model *m, enum rl_cache_kind kind)
{
    double sum = 0;

    for (size_t i = 0; i < m->graph.ncaches; i++)
        if (m->graph.cache[i].kind == kind)
            sum += m->graph.cache[i].layers * m->graph.cache[i].elems;
    return sum;
}

/* Elements: KV per token, recurrent state and convolution (or shift) columns per
 * sequence. */
static const struct {
    const char *id;
    double kv, state, conv;
} size[] = {
    /* 48 layers, inner 4096, N 16, K 4 */
    {"mamba-1.4b", 0, 48 * 4096 * 16., 48 * 4096 * 4.},
    /* 48 layers, 64 heads of 64, N 128; channels 4096 + 2·128 */
    {"mamba2-1.3b", 0, 48 * 64 * 64 * 128., 48 * (4096 + 256) * 4.},
    /* every layer attends too: 2 KV heads of 128 */
    {"falcon-h1-1.5b", 24 * 2 * 2 * 128, 24 * 48 * 64 * 256., 24 * (3072 + 512) * 4.},
    /* six uses of one shared block, each with a cache of 2·A = 4H */
    {"zamba2-1.2b", 6 * 4 * 2048, 38 * 64 * 64 * 128., 38 * (4096 + 256) * 4.},
    /* 24 M of 52, four attention layers with 8 KV heads of 128 */
    {"nemotron-h-8b", 4 * 2 * 8 * 128, 24 * 128 * 64 * 128., 24 * (8192 + 2048) * 4.},
    /* one attention layer in eight */
    {"jamba-v0.1", 4 * 2 * 8 * 128, 28 * 8192 * 16., 28 * 8192 * 4.},
    /* 36 Mamba-2, 4 attention */
    {"granite-4.0-h-small", 4 * 2 * 8 * 128, 36 * 128 * 64 * 128.,
     36 * (8192 + 256) * 4.},
    /* 17 of 32 layers have a cache of their own: 5 heads of 64 + 128 */
    {"hymba-1.5b", 17 * 5 * (64 + 128), 32 * 3200 * 16., 32 * 3200 * 4.},
    /* 18 recurrent layers of width 2560, 8 of MQA; three columns of the past */
    {"recurrentgemma-2b", 8 * 2 * 256, 18 * 2560., 18 * 2560 * 3.},
    /* 10 convolutions, K 3; 6 attention layers with 8 heads of 64 */
    {"lfm2-1.2b", 6 * 2 * 8 * 64, 0, 10 * 2048 * 3.},
    /* 36 delta nets: 32 heads of 128 x 128; q, k, v channels 2·2048 + 4096 */
    {"qwen3-next-80b-a3b", 12 * 2 * 2 * 256, 36 * 32 * 128 * 128., 36 * 8192 * 4.},
    /* 20 delta layers, 7 latent ones of 512 + 64 */
    {"kimi-linear-48b-a3b", 7 * 576, 20 * 32 * 128 * 128., 20 * 3 * 4096 * 4.},
    /* 70 lightning layers, 10 of softmax */
    {"minimax-text-01", 10 * 2 * 8 * 128, 70 * 64 * 128 * 128., 0},
    /* heads of 64 x 64; the last token of both mixes */
    {"rwkv7-0.4b", 0, 24 * 16 * 64 * 64., 24 * 2 * 1024},
    {"rwkv6-1.6b", 0, 24 * 32 * 64 * 64., 24 * 2 * 2048},
    /* C 8·256·512, n 8·256, m 8 */
    {"xlstm-7b", 0, 32 * (8 * 256 * 512 + 8 * 256 + 8.), 0},
    /* 8 Mamba layers of 32 heads of 128, N 64; 8 of MQA */
    {"plamo2-1b", 8 * 2 * 128, 8 * 4096 * 64., 8 * 4096 * 4.},
};

Test(state, sizes_by_hand)
{
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        struct rl_model *m = load(size[i].id);

        cr_expect(cache_elems(m, RL_CACHE_KV) == size[i].kv, "%s: KV %.0f, expected %.0f",
                  size[i].id, cache_elems(m, RL_CACHE_KV), size[i].kv);
        cr_expect(cache_elems(m, RL_CACHE_STATE) == size[i].state,
                  "%s: state %.0f, expected %.0f", size[i].id,
                  cache_elems(m, RL_CACHE_STATE), size[i].state);
        cr_expect(cache_elems(m, RL_CACHE_CONV) == size[i].conv,
                  "%s: convolution %.0f, expected %.0f", size[i].id,
                  cache_elems(m, RL_CACHE_CONV), size[i].conv);
        rl_model_free(m);
    }
}

/* Three global layers grow; 14 stop at the window; the meta tokens stay in all. */
Test(state, hymba_windows_and_meta_tokens)
{
    struct rl_model *m = load("hymba-1.5b");
    double global = 0, windowed = 0;

    for (size_t i = 0; i < m->graph.ncaches; i++) {
        const struct rl_cache *c = &m->graph.cache[i];

        if (c->kind != RL_CACHE_KV)
            continue;
        cr_expect(c->fixed == 128);
        *(c->window > 0 ? &windowed : &global) += c->layers;
        cr_expect(c->window == 0 || c->window == 1024);
    }
    cr_expect(global == 3 && windowed == 14);
    rl_model_free(m);
}

static double calls(const struct rl_model *m, const char *label)
{
    double n = 0;

    for (size_t i = 0; i < m->graph.nnodes; i++)
        if (strcmp(m->graph.node[i].label, label) == 0)
            n += m->graph.node[i].count;
    return n;
}

/* One set of weights, six uses: resident once, streamed six times. */
Test(state, zamba2_shares_weights_not_work)
{
    struct rl_model *m = load("zamba2-1.2b");
    struct rl_params p;
    /* q, k, v 3·4096², o 4096·2048, gate, up, down 3·2048·8192, norms 4096 + 2048 */
    double block = 3 * 4096. * 4096 + 4096. * 2048 + 3 * 2048. * 8192 + 6144;

    rl_graph_params(&m->graph, &p);
    cr_expect(calls(m, "shared_norm") == 6);
    cr_expect(calls(m, "attn") == 12); /* in the prefill and in decode */
    expect_near(rl_graph_streamed(&m->graph) - p.read_per_token, 5 * block, 0);
    rl_model_free(m);
}

/* Experts in the latent space; router and shared expert on the hidden state. */
Test(state, nemotron_3_super_routes_in_a_latent_space)
{
    struct rl_model *m = load("nemotron-3-super-120b-a12b");

    for (size_t i = 0; i < m->graph.nnodes; i++) {
        const struct rl_node *n = &m->graph.node[i];

        if (strcmp(n->op->name, "moe") == 0) {
            expect_near(n->arg[rl_op_param(n->op, "hidden")].k, 1024, 0);
            expect_near(n->arg[rl_op_param(n->op, "matrices")].k, 2, 0);
            expect_near(n->count, 40, 0);
            expect_near(n->weights, 512. * 2 * 1024 * 2688, 0);
        } else if (strcmp(n->label, "router") == 0) {
            expect_near(n->arg[rl_op_param(n->op, "k")].k, 4096, 0);
        }
    }
    rl_model_free(m);
}

/* Where a config or every known stack keeps the state in fp32. */
Test(state, dtypes)
{
    static const struct {
        const char *id;
        enum rl_dtype dt;
    } t[] = {{"mamba2-1.3b", RL_DT_NONE},         {"zamba2-1.2b", RL_DT_NONE},
             {"nemotron-h-8b", RL_DT_NONE},       {"nemotron-3-nano-30b-a3b", RL_DT_FP32},
             {"qwen3.5-27b", RL_DT_FP32},         {"qwen3-next-80b-a3b", RL_DT_NONE},
             {"kimi-linear-48b-a3b", RL_DT_FP32}, {"rwkv7-2.9b", RL_DT_FP32},
             {"recurrentgemma-9b", RL_DT_FP32}};

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct rl_model *m = load(t[i].id);

        cr_expect(m->graph.state_dtype == t[i].dt, "%s", t[i].id);
        rl_model_free(m);
    }
}
