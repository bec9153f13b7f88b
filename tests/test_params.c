/* Parameter counts: every model of the zoo against verified figures, and the
 * four counts of `model show` against what the operator calls stream. */
#include "model.h"
#include "table.h"

#include "test.h"

#include <stdio.h>

static struct rl_table *read_table(const char *name)
{
    char path[1024];
    struct rl_error err = {0};

    snprintf(path, sizeof path, "%s/tests/data/%s", source_dir(), name);
    struct rl_table *t = rl_table_read(path, &err);
    cr_assert(t, "%s", err.text);
    return t;
}

static struct rl_table *table(void)
{
    return read_table("params.csv");
}

static double number(const struct rl_table *t, int row, const char *column)
{
    double x = NAN;
    struct rl_error err = {0};

    cr_assert(rl_table_num(t, row, rl_table_col(t, column), 0, &x, &err) == 0, "%s",
              err.text);
    return x;
}

static struct rl_model *load(const char *id)
{
    struct rl_error err = {0};
    struct rl_model *m = rl_model_load(source_dir(), id, &err);

    cr_assert(m, "%s: %s", id, err.text);
    return m;
}

/* A shared block's weights are read at each of its calls. */
static bool repeats(const struct rl_model *m)
{
    return strcmp(m->model_type, "zamba2") == 0;
}

static void check_model(const char *id, double computed, double published, double off,
                        double active)
{
    struct rl_model *m = load(id);
    struct rl_params p;

    rl_graph_params(&m->graph, &p);
    cr_expect(p.resident == computed, "%s: resident %.0f, expected %.0f", id, p.resident,
              computed);
    if (published > 0)
        cr_expect(p.stored + off == published, "%s: stored %.0f, published %.0f (%s)", id,
                  p.stored, published, m->graph.stored_why);
    cr_expect((p.stored == p.resident) == (m->graph.stored_why[0] == '\0'),
              "%s: what only the file holds has a reason", id);
    if (active > 0)
        cr_expect(p.active == active, "%s: active %.0f, expected %.0f", id, p.active,
                  active);
    cr_expect(p.read_per_token <= p.active && p.active <= p.resident, "%s: order", id);
    double streamed = rl_graph_streamed(&m->graph);
    cr_expect(repeats(m) ? streamed > p.read_per_token
                         : fabs(streamed - p.read_per_token) < 0.5,
              "%s: counted %.0f, streamed by operator calls %.0f", id, p.read_per_token,
              streamed);
    rl_model_free(m);
}

Test(params, every_model_of_the_table)
{
    struct rl_table *t = table();

    for (int i = 0; i < t->nrows; i++)
        check_model(rl_table_get(t, i, rl_table_col(t, "id")), number(t, i, "computed"),
                    number(t, i, "published"), number(t, i, "off"),
                    number(t, i, "active"));
    rl_table_free(t);
}

Test(params, table_covers_the_zoo)
{
    struct rl_table *t = table();
    struct rl_error err = {0};
    char **ids = NULL;
    int n = 0;

    cr_assert(rl_model_list(source_dir(), &ids, &n, &err) == 0, "%s", err.text);
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (int r = 0; r < t->nrows; r++)
            found = found || strcmp(rl_table_get(t, r, 0), ids[i]) == 0;
        cr_expect(found, "%s has no row in tests/data/params.csv", ids[i]);
        free(ids[i]);
    }
    free(ids);
    rl_table_free(t);
}

/* Field names, nesting and defaults as on the hub, families beyond the zoo's. */
Test(params, configs_as_on_the_hub)
{
    struct rl_table *t = read_table("configs.csv");

    cr_expect(t->nrows >= 24);
    for (int i = 0; i < t->nrows; i++) {
        char path[1200];
        snprintf(path, sizeof path, "%s/tests/data/configs/%s.json", source_dir(),
                 rl_table_get(t, i, 0));
        struct rl_model *m = load(path);
        struct rl_params p;
        rl_graph_params(&m->graph, &p);
        cr_expect(p.stored == number(t, i, "stored"), "%s: stored %.0f, expected %.0f",
                  rl_table_get(t, i, 0), p.stored, number(t, i, "stored"));
        cr_expect(fabs(rl_graph_streamed(&m->graph) - p.read_per_token) < 0.5, "%s",
                  rl_table_get(t, i, 0));
        rl_model_free(m);
    }
    rl_table_free(t);
}

static struct rl_params params_of(const char *id)
{
    struct rl_model *m = load(id);
    struct rl_params p;

    rl_graph_params(&m->graph, &p);
    rl_model_free(m);
    return p;
}

/* Counted by hand from the configs. */
Test(params, read_per_token)
{
    /* untied: all but the table of 128256 x 4096 */
    cr_expect(params_of("llama-3-8b").read_per_token == 8030261248.0 - 128256.0 * 4096);
    /* tied: the table is the head and is read */
    cr_expect(params_of("llama-3.2-1b").read_per_token == 1235814400.0);
    /* two of eight experts: 32 layers x 6 x 3 x 4096 x 14336 not touched */
    cr_expect(params_of("mixtral-8x7b").active ==
              46702792704.0 - 32.0 * 6 * 3 * 4096 * 14336);
    /* Qwen2.5-VL-3B less its tower (tied) is Qwen2.5-3B */
    cr_expect(params_of("qwen2.5-vl-3b").read_per_token ==
              params_of("qwen2.5-3b").resident);
    /* T5-base decoder: 12 layers of 2 x 4 x 768^2 + 2 x 768 x 3072 + 3 x 768 with the
     * final norm and the tied head; cross k and v (2 x 768^2) are made once */
    cr_expect(params_of("t5-base").read_per_token ==
              12.0 * (6 * 768.0 * 768 + 2 * 768.0 * 3072 + 3 * 768) + 768 +
                  32128.0 * 768);
}
