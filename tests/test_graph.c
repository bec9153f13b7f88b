/* The model graph: invariants over the whole zoo, and the cross-checks of
 * cache sizes and FLOP that can be done by hand. */
#include "family.h"
#include "model.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

static struct rl_model *load(const char *id)
{
    struct rl_error err = {0};
    struct rl_model *m = rl_model_load(source_dir(), id, &err);

    cr_assert(m, "%s: %s", id, err.text);
    return m;
}

/* A pass of b sequences of l new tokens on s cached ones, x encoder tokens. */
struct pass {
    double b, l, s, x;
};

static double symbol(enum rl_sym sym, const struct pass *p)
{
    switch (sym) {
    case RL_T:
        return p->b * p->l;
    case RL_B:
    case RL_R:
        return p->b;
    case RL_L:
        return p->l;
    case RL_S:
        return p->s;
    case RL_X:
        return p->x;
    case RL_TX:
        return p->b * p->x;
    case RL_TS:
        return p->b * p->s;
    case RL_DT_W:
    case RL_DT_ACT:
    case RL_DT_KV:
        return RL_DT_BF16;
    case RL_DT_STATE:
        return RL_DT_FP32;
    default:
        return 1; /* constants, one rank */
    }
}

static void bind(const struct rl_node *n, const struct pass *pass, double *p)
{
    for (int i = 0; n->op->param[i].name; i++)
        p[i] = n->arg[i].k * symbol(n->arg[i].sym, pass);
    rl_op_finish(n->op, p);
}

static bool glue_listed(const char *glue)
{
    for (int i = 0; i < rl_nglue_names; i++)
        if (strcmp(rl_glue_names[i], glue) == 0)
            return true;
    return false;
}

static void check_nodes(const struct rl_model *m, unsigned phase, const struct pass *pass)
{
    for (size_t i = 0; i < m->graph.nnodes; i++) {
        const struct rl_node *n = &m->graph.node[i];
        double p[RL_MAXPARAMS] = {0};
        struct rl_error err = {0};
        struct rl_work w = {0};

        if (!(n->phase & phase))
            continue;
        cr_expect(n->count > 0 && n->phase && n->label[0], "%s: node %zu", m->id, i);
        cr_expect(!n->glue || glue_listed(n->glue), "%s: glue '%s'", m->id, n->glue);
        bind(n, pass, p);
        cr_expect(rl_op_check(n->op, p, &err) == 0, "%s %s (%s): %s", m->id, n->label,
                  n->op->name, err.text);
        n->op->work(p, &w);
        cr_expect(rl_work_bytes(&w) > 0 || w.link_bytes > 0 || n->cls == RL_CLS_COMM,
                  "%s %s: moves nothing", m->id, n->label);
    }
}

static void check_parts(const struct rl_model *m)
{
    const struct rl_graph *g = &m->graph;
    double resident = 0;

    cr_expect(g->hidden >= 1 && g->layers >= 1, "%s", m->id);
    for (size_t i = 0; i < g->ncaches; i++)
        cr_expect(g->cache[i].layers > 0 && g->cache[i].elems > 0, "%s: cache", m->id);
    for (size_t i = 0; i < g->nblocks; i++)
        cr_expect(g->block[i].count > 0, "%s: block", m->id);
    for (int w = 0; w < RL_NWCLASSES; w++) {
        cr_expect(g->resident_split[w] >= 0 && g->resident_split[w] <= g->resident[w],
                  "%s: class %d", m->id, w);
        resident += g->resident[w];
    }
    cr_expect(resident > 0);
    cr_expect(g->nblocks > 0 && g->nnodes > 0);
}

Test(graph, every_zoo_model_binds_in_both_phases)
{
    struct rl_error err = {0};
    char **ids = NULL;
    int n = 0;

    cr_assert(rl_model_list(source_dir(), &ids, &n, &err) == 0, "%s", err.text);
    cr_expect(n >= 141);
    for (int i = 0; i < n; i++) {
        struct rl_model *m = load(ids[i]);
        double start = m->graph.encoder_decoder ? m->graph.decoder_start : 640;
        struct pass prefill = {3, start, start, 640}, decode = {3, 1, 5000, 640};
        check_parts(m);
        check_nodes(m, RL_PREFILL, &prefill);
        check_nodes(m, RL_DECODE, &decode);
        rl_model_free(m);
        free(ids[i]);
    }
    free(ids);
}

/* bytes of the cache per token in 16 bits, all layers */
Test(graph, kv_bytes_per_token)
{
    static const struct {
        const char *id;
        double bytes;
    } want[] = {
        {"llama-2-7b", 524288},    {"llama-2-70b", 327680},
        {"llama-3-8b", 131072},    {"mistral-7b-v0.1", 131072},
        {"qwen2.5-7b", 57344},     {"qwen2.5-0.5b", 12288},
        {"phi-3-mini-4k", 393216}, {"gemma-2-9b", 344064},
        {"deepseek-v3", 70272},    {"zamba2-2.7b", 184320},
        {"jamba-v0.1", 16384},     {"qwen3-next-80b-a3b", 24576},
    };

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct rl_model *m = load(want[i].id);
        cr_expect(2 * rl_graph_kv_elems(&m->graph) == want[i].bytes,
                  "%s: %g, expected %g", want[i].id, 2 * rl_graph_kv_elems(&m->graph),
                  want[i].bytes);
        rl_model_free(m);
    }
}

/* FLOP of one pass in the operators of one class (or of one operator). */
static double flop(const struct rl_graph *g, unsigned phase, const struct pass *pass,
                   const char *op)
{
    double sum = 0;

    for (size_t i = 0; i < g->nnodes; i++) {
        const struct rl_node *n = &g->node[i];
        double p[RL_MAXPARAMS] = {0};
        struct rl_work w = {0};

        if (!(n->phase & phase) || strcmp(n->op->name, op) != 0)
            continue;
        bind(n, pass, p);
        n->op->work(p, &w);
        sum += n->count * w.flop;
    }
    return sum;
}

Test(graph, llama_flop_per_token)
{
    struct rl_model *m = load("llama-2-7b");
    struct pass decode = {1, 1, 2048, 0}, prefill = {1, 2048, 2048, 0};
    double read = 6738415616.0 - 32000.0 * 4096 - 65 * 4096; /* but table and norms */

    expect_near(flop(&m->graph, RL_DECODE, &decode, "gemm"), 2 * read, 1e-12);
    expect_near(flop(&m->graph, RL_DECODE, &decode, "gemm"), 13.21e9, 1e-3);
    /* causal: half of 4 heads head_dim L per token and layer */
    expect_near(flop(&m->graph, RL_PREFILL, &prefill, "attention_prefill") / 2048, 0.54e9,
                0.01);
    expect_near(flop(&m->graph, RL_DECODE, &decode, "attention_decode"),
                32 * 4.0 * 32 * 128 * 2048, 1e-12);
    rl_model_free(m);
}

/* The SSD scan of costs.md: 3.21 MFLOP per token and layer, 5.7 % of linear. */
Test(graph, mamba2_flop_per_token)
{
    struct rl_model *m = load("mamba2-1.3b");
    struct pass prefill = {1, 4096, 4096, 0}, decode = {1, 1, 4096, 0};
    double ssd = flop(&m->graph, RL_PREFILL, &prefill, "ssd_scan") / 4096;
    double linear = flop(&m->graph, RL_DECODE, &decode, "gemm");

    expect_near(ssd / 48, 3.21e6, 0.01);
    expect_near(linear, 2.69e9, 0.01);
    rl_model_free(m);
}

/* An expert model does the work of the experts a token chooses. */
Test(graph, moe_flop_is_of_active_parameters)
{
    struct rl_model *m = load("mixtral-8x7b");
    struct pass decode = {1, 1, 100, 0};
    double all = flop(&m->graph, RL_DECODE, &decode, "gemm") +
                 flop(&m->graph, RL_DECODE, &decode, "moe");

    /* 12,879,925,248 active less the table of 32000 x 4096 and 65 norms */
    expect_near(all, 2 * (12879925248.0 - 32000.0 * 4096 - 65 * 4096), 1e-9);
    rl_model_free(m);
}

/* MLA: heads decompressed in the prefill, absorbed in decode. */
Test(graph, mla_changes_form_between_phases)
{
    struct rl_model *m = load("deepseek-v3");
    struct pass decode = {1, 1, 4096, 0}, prefill = {1, 4096, 4096, 0};

    expect_near(flop(&m->graph, RL_DECODE, &decode, "mla_decode"),
                61 * 2.0 * 128 * (512 + 64 + 512) * 4096, 1e-9);
    expect_near(flop(&m->graph, RL_PREFILL, &prefill, "mla_prefill"),
                61 * 2.0 * 128 * (128 + 64 + 128) * 4096.0 * 4097 / 2, 1e-9);
    cr_expect(flop(&m->graph, RL_PREFILL, &prefill, "mla_decode") == 0);
    rl_model_free(m);
}

static const struct rl_node *find(const struct rl_graph *g, const char *label)
{
    for (size_t i = 0; i < g->nnodes; i++)
        if (strcmp(g->node[i].label, label) == 0)
            return &g->node[i];
    return NULL;
}

Test(graph, merged_projections_do_the_same_work)
{
    struct rl_model *m = load("llama-3-8b");
    struct pass decode = {4, 1, 100, 0};
    struct rl_error err = {0};
    struct rl_graph g;

    cr_assert(rl_graph_merge(&m->graph, &g, &err) == 0);
    cr_expect(g.nnodes == m->graph.nnodes - 3); /* k, v and up */
    cr_expect(find(&g, "q_proj")->arg[1].k == (32 + 2 * 8) * 128);
    cr_expect(find(&g, "gate_proj")->arg[1].k == 2 * 14336);
    cr_expect(!find(&g, "k_proj") && !find(&g, "up_proj"));
    cr_expect(flop(&g, RL_DECODE, &decode, "gemm") ==
              flop(&m->graph, RL_DECODE, &decode, "gemm"));
    cr_expect(rl_graph_streamed(&g) == rl_graph_streamed(&m->graph));
    rl_graph_clear(&g);
    rl_model_free(m);
}

/* configs that are wrong, and what is said about them */

static void expect_bad(const char *text, const char *want)
{
    struct rl_error err = {0};
    struct rl_graph g;
    struct rl_cfg c;
    json_t *top = json_loads(text, 0, NULL);

    cr_assert(top, "%s", text);
    cr_assert(rl_cfg_init(&c, "c.json", top, &err) == 0);
    cr_expect(rl_family_build(&c, &g, &err) == -1, "accepted: %s", text);
    char buf[2048];
    const char *got = rl_error_format(&err, buf, sizeof buf);
    cr_expect(strncmp(got, want, strlen(want)) == 0, "said: %s\nnot: %s", got, want);
    rl_cfg_clear(&c);
}

Test(graph, an_unknown_type_lists_every_known_one)
{
    struct rl_error err = {0};
    struct rl_graph g;
    struct rl_cfg c;

    cr_assert(
        rl_cfg_init(&c, "c.json", json_pack("{s:s}", "model_type", "mamba3"), &err) == 0);
    cr_expect(rl_family_build(&c, &g, &err) == -1);
    cr_expect(strstr(err.text, "nearest: mamba"), "%s", err.text);
    for (int i = 0; rl_families[i]; i++)
        for (int j = 0; rl_families[i]->model_types[j]; j++)
            cr_expect(strstr(err.text, rl_families[i]->model_types[j]), "%s",
                      rl_families[i]->model_types[j]);
    rl_cfg_clear(&c);
}

#define LLAMA                                                                            \
    "\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,"              \
    "\"intermediate_size\":128,\"vocab_size\":100"

Test(graph, wrong_configs_are_named)
{
    expect_bad("{\"model_type\":\"lama\"}",
               "c.json: unknown model_type 'lama'; nearest: llama,");
    expect_bad(
        "{\"model_type\":\"llama\"}",
        "c.json: 'hidden_size': expected a whole number >= 1, but the field is missing");
    expect_bad("{\"model_type\":\"llama\",\"head_dim\":-1," LLAMA "}",
               "c.json: 'head_dim': expected a whole number >= 1, got -1");
    expect_bad("{\"model_type\":\"qwen2\",\"layer_types\":[\"full_attention\"]," LLAMA
               "}",
               "c.json: 'layer_types': expected a list of 2 entries, one per layer, got");
    expect_bad(
        "{\"model_type\":\"mixtral\",\"num_local_experts\":2,"
        "\"num_experts_per_tok\":3,\"num_key_value_heads\":2," LLAMA "}",
        "c.json: 'num_experts_per_tok': expected at most the number of experts, got 3");
    expect_bad("{\"model_type\":\"llama\",\"file_only\":[]," LLAMA "}",
               "c.json: 'file_only': expected an object of reasons");
    expect_bad("{\"model_type\":\"gpt2\",\"n_embd\":64,\"n_layer\":2,\"n_head\":\"4\","
               "\"vocab_size\":10}",
               "c.json: 'n_head': expected a whole number >= 1, got \"4\"");
    expect_bad("{\"model_type\":\"gpt_neo\",\"hidden_size\":64,\"num_layers\":2,"
               "\"num_heads\":4,\"vocab_size\":10,"
               "\"attention_types\":[[[\"local\"],9]]}",
               "c.json: 'attention_types': expected pairs of names and repetitions");
    expect_bad(
        "{\"model_type\":\"deepseek_v3\",\"num_hidden_layers\":2,\"hidden_size\":64,"
        "\"vocab_size\":10,\"intermediate_size\":64,\"num_attention_heads\":4,"
        "\"kv_lora_rank\":8,\"qk_nope_head_dim\":8,\"qk_rope_head_dim\":8,"
        "\"v_head_dim\":8,\"n_routed_experts\":4,\"num_experts_per_tok\":2,"
        "\"moe_intermediate_size\":8,\"first_k_dense_replace\":3}",
        "c.json: 'first_k_dense_replace': expected at most the number of layers, got 3");
}
