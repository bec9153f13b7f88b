/* rooflint model: what the zoo holds, what one model is made of, and whether
 * data files keep the rules. */
#include "command.h"
#include "err.h"
#include "model.h"
#include "path.h"
#include "table.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>

static const struct rl_option options[] = {
    {"format", 'f', "F", "text", "output", "text|json|csv"},
    {0},
};

static int run(const struct rl_args *a);

const struct rl_command rl_cmd_model = {
    .name = "model",
    .summary = "list models, show one, or check model files",
    .operands = "list | show M | check [FILE...]",
    .details =
        "M is a zoo id, a Hugging Face id, a config.json (or a folder with one) or a "
        ".gguf. Four parameter counts are shown: stored, what a checkpoint holds; "
        "resident, what a runtime keeps (tied matrices once, no multi-token-prediction "
        "layer); active, what one token touches; read_per_token, what one decode step "
        "streams (no embedding table). kv_bytes_per_token is in 16 bits; windowed layers "
        "count until their window is full. state_bytes_per_sequence is the recurrent "
        "state in the dtype its config or reference code keeps (16 bits where neither "
        "says) and the convolution columns in 16 bits. "
        "check validates an index.csv with the configs beside it, a config or a .gguf; "
        "without FILE, the whole zoo.",
    .values = "list|show|check",
    .then = "model",
    .option = options,
    .run = run,
};

static double state_bytes(const struct rl_graph *g)
{
    double bytes = 0, state = g->state_dtype == RL_DT_FP32 ? 4 : 2;

    for (size_t i = 0; i < g->ncaches; i++) {
        const struct rl_cache *c = &g->cache[i];

        if (c->kind == RL_CACHE_STATE || c->kind == RL_CACHE_CONV)
            bytes += c->layers * c->elems * (c->kind == RL_CACHE_STATE ? state : 2);
    }
    return bytes;
}

/* Counts by kind of block, in the order of the enumeration. */
static void count_blocks(const struct rl_graph *g, double count[RL_NBLOCKS])
{
    for (int k = 0; k < RL_NBLOCKS; k++)
        count[k] = 0;
    for (size_t i = 0; i < g->nblocks; i++)
        count[g->block[i].kind] += g->block[i].count;
}

static json_t *whole(double v)
{
    return json_integer((json_int_t)v);
}

static json_t *model_json(const struct rl_model *m)
{
    double count[RL_NBLOCKS];
    struct rl_params p;
    json_t *layers = json_object();

    rl_graph_params(&m->graph, &p);
    count_blocks(&m->graph, count);
    for (int k = 0; k < RL_NBLOCKS; k++)
        if (count[k] > 0)
            json_object_set_new(layers, rl_block_name((enum rl_block_kind)k),
                                whole(count[k]));
    return json_pack("{s:s,s:s?,s:s,s:{s:o,s:o,s:o,s:o},s:o,s:o,s:o}", "id", m->id,
                     "hf_id", m->hf_id, "model_type", m->model_type, "params", "stored",
                     whole(p.stored), "resident", whole(p.resident), "active",
                     whole(p.active), "read_per_token", whole(p.read_per_token), "layers",
                     layers, "kv_bytes_per_token",
                     whole(2 * rl_graph_kv_elems(&m->graph)), "state_bytes_per_sequence",
                     whole(state_bytes(&m->graph)));
}

static void text_params(const struct rl_model *m)
{
    struct rl_params p;
    const char *why = m->graph.stored_why;

    rl_graph_params(&m->graph, &p);
    printf("\nparameters\n");
    printf("  stored          %16.0f%s%s\n", p.stored, *why ? "  with " : "", why);
    printf("  resident        %16.0f%s\n", p.resident,
           m->graph.tied ? "  head tied to the embedding" : "");
    printf("  active          %16.0f\n", p.active);
    printf("  read per token  %16.0f\n", p.read_per_token);
    if (m->published > 0)
        printf("  published       %16.0f\n", m->published);
}

static void text_precision(const struct rl_model *m)
{
    static const char *const name[RL_NWCLASSES] = {
        "", "linear", "experts", "embedding", "head", "norms and small"};
    enum rl_dtype stored = m->graph.stored_dtype;
    char buf[32];

    if (stored != RL_DT_NONE)
        printf("\nstored in %s\n", rl_dtype(stored)->name);
    for (int c = 1; c < RL_NWCLASSES; c++)
        if (m->graph.quant[c] != RL_DT_NONE)
            printf("  %s: %s\n", name[c], rl_dtype(m->graph.quant[c])->name);
    if (m->gguf_file_bytes <= 0)
        return;
    printf("\ntensors as %s: %s\n", rl_dtype(m->gguf_dtype)->name,
           rl_human_bytes(m->gguf_file_bytes, buf));
    for (int c = 1; c < RL_NWCLASSES; c++)
        if (m->gguf_bytes[c] > 0)
            printf("  %-16s %16.0f bytes\n", name[c], m->gguf_bytes[c]);
}

static void model_text(const struct rl_model *m)
{
    double count[RL_NBLOCKS];
    char buf[32];

    printf("%s%s%s\n", m->id, m->hf_id ? "  " : "", m->hf_id ? m->hf_id : "");
    printf("%s, hidden %.0f, vocabulary %.0f", m->model_type, m->graph.hidden,
           m->graph.vocab);
    if (m->graph.max_positions > 0)
        printf(", positions %s", rl_human_tokens(m->graph.max_positions, buf));
    printf("\n");
    text_params(m);
    printf("\nlayers\n");
    count_blocks(&m->graph, count);
    for (int k = 0; k < RL_NBLOCKS; k++)
        if (count[k] > 0)
            printf("  %-15s %16.0f\n", rl_block_name((enum rl_block_kind)k), count[k]);
    printf("\ncache\n");
    printf("  per token       %16.0f bytes\n", 2 * rl_graph_kv_elems(&m->graph));
    printf("  per sequence    %16.0f bytes\n", state_bytes(&m->graph));
    text_precision(m);
}

static void csv_header(void)
{
    puts("id,hf_id,model_type,stored,resident,active,read_per_token,kv_bytes_per_token,"
         "state_bytes_per_sequence");
}

static void model_csv(const struct rl_model *m)
{
    struct rl_params p;

    rl_graph_params(&m->graph, &p);
    rl_csv_field(stdout, m->id);
    putchar(',');
    rl_csv_field(stdout, m->hf_id ? m->hf_id : "");
    putchar(',');
    rl_csv_field(stdout, m->model_type);
    printf(",%.0f,%.0f,%.0f,%.0f,%.0f,%.0f\n", p.stored, p.resident, p.active,
           p.read_per_token, 2 * rl_graph_kv_elems(&m->graph), state_bytes(&m->graph));
}

static void print_json(json_t *o)
{
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(o);
}

static int show(const struct rl_args *a, const char *name, const char *format)
{
    struct rl_error err = {0};
    struct rl_model *m = rl_model_load(a->data, name, &err);

    if (!m)
        return rl_die(&err);
    if (strcmp(format, "json") == 0) {
        print_json(model_json(m));
    } else if (strcmp(format, "csv") == 0) {
        csv_header();
        model_csv(m);
    } else {
        model_text(m);
    }
    rl_model_free(m);
    return RL_EXIT_OK;
}

static void list_row(const struct rl_model *m)
{
    char count[32];
    struct rl_params p;

    rl_graph_params(&m->graph, &p);
    snprintf(count, sizeof count, "%.3f B", p.resident / 1e9);
    printf("%-28s %-18s %12s  %s\n", m->id, m->model_type, count, m->hf_id);
}

static int list(const struct rl_args *a, const char *format)
{
    struct rl_error err = {0};
    char **ids;
    int n, rc = RL_EXIT_OK;
    json_t *all = json_array();

    if (rl_model_list(a->data, &ids, &n, &err) < 0) {
        json_decref(all);
        return rl_die(&err);
    }
    if (strcmp(format, "csv") == 0)
        csv_header();
    for (int i = 0; i < n && rc == RL_EXIT_OK; i++) {
        struct rl_model *m = rl_model_load(a->data, ids[i], &err);

        if (!m)
            rc = rl_die(&err);
        else if (strcmp(format, "json") == 0)
            json_array_append_new(all, model_json(m));
        else if (strcmp(format, "csv") == 0)
            model_csv(m);
        else
            list_row(m);
        rl_model_free(m);
    }
    if (strcmp(format, "json") == 0 && rc == RL_EXIT_OK)
        print_json(json_incref(all));
    json_decref(all);
    rl_free_names(ids, n);
    return rc;
}

static int check(const struct rl_args *a)
{
    struct rl_error err = {0};
    char *index;
    int rc = 0, n = 0;

    for (int i = 1; i < a->noperands && rc >= 0; i++, n += rc)
        rc = rl_model_check(a->operand[i], &err);
    if (a->noperands == 1) {
        index = rl_path_join(a->data, "models", "index.csv", NULL);
        rc = index ? rl_model_check(index, &err)
                   : rl_fail(&err, RL_ENOMEM, NULL, 0, "out of memory");
        free(index);
        n = rc;
    }
    if (rc < 0)
        return rl_die(&err);
    printf("%d model%s in order\n", n, n == 1 ? " is" : "s are");
    return RL_EXIT_OK;
}

static int run(const struct rl_args *a)
{
    const struct rl_command *c = &rl_cmd_model;
    const char *format = rl_arg(c, a, "format");
    const char *verb = a->noperands > 0 ? a->operand[0] : "";

    format = format ? format : "text";
    if (strcmp(format, "text") && strcmp(format, "json") && strcmp(format, "csv"))
        return rl_usage_error(c, "--format: expected text, json or csv, got '%s'",
                              format);
    if (strcmp(verb, "list") == 0 && a->noperands == 1)
        return list(a, format);
    if (strcmp(verb, "show") == 0 && a->noperands == 2)
        return show(a, a->operand[1], format);
    if (strcmp(verb, "check") == 0)
        return check(a);
    return rl_usage_error(c, "expected list, show M or check [FILE...]");
}
