/* rooflint predict: the main job. */
#include "columns.h"
#include "command.h"
#include "err.h"
#include "session.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>

static const struct rl_option options[] = {
    {"hw", 'H', "H", NULL, "device: id or alias (see 'rooflint hw list')", "device"},
    {"model", 'm', "M", NULL, "zoo id, Hugging Face id, config.json or .gguf", "model"},
    RL_QUERY_OPTIONS,
    {"breakdown", 0, NULL, NULL, "every operator, with the source of its coefficients",
     NULL},
    {"format", 'f', "F", "text", "output", "text|json|csv"},
    {"require-fit", 0, NULL, NULL, "exit 3 when the query does not fit into memory",
     NULL},
    {0},
};

static int run(const struct rl_args *a);

const struct rl_command rl_cmd_predict = {
    .name = "predict",
    .summary = "predict latency, memory and energy of one query",
    .details =
        "The prefill yields the first token, so T output tokens are T - 1 decode steps; "
        "the time per token is their mean. Intervals hold 90 % of real runs. Energy is "
        "that of all devices, memory that of one tensor-parallel rank. A query that does "
        "not fit is still answered; --require-fit makes that exit status 3.",
    .option = options,
    .run = run,
};

static void print_json(const struct rl_session *s, const struct rl_query *q,
                       const struct rl_prediction *p, bool breakdown)
{
    json_t *o = rl_prediction_json(s->plan, q, p);
    if (breakdown)
        json_object_set_new(o, "ops", rl_breakdown_json(s->plan, q));
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static int answer(const struct rl_session *s, const struct rl_query *q,
                  const char *format, bool breakdown, bool require_fit)
{
    struct rl_prediction p;
    struct rl_error err = {0};

    if (rl_predict(s->plan, q, &p, &err))
        return rl_die(&err);
    if (!strcmp(format, "json")) {
        print_json(s, q, &p, breakdown);
    } else if (!strcmp(format, "csv")) {
        struct rl_cell row[RL_NCOLUMNS];
        rl_row_fill(row, s->plan, q, &p);
        rl_row_csv_header(stdout);
        rl_row_csv(stdout, row);
    } else {
        rl_prediction_text(stdout, s->plan, q, &p);
        if (breakdown)
            rl_breakdown_text(stdout, s->plan, q);
    }
    return require_fit && !p.fits ? RL_EXIT_NOFIT : RL_EXIT_OK;
}

static int run(const struct rl_args *a)
{
    const struct rl_command *c = &rl_cmd_predict;
    const char *hw = rl_arg(c, a, "hw"), *model = rl_arg(c, a, "model");
    const char *format = rl_arg(c, a, "format");
    struct rl_error err = {0};
    struct rl_session s;
    struct rl_setup setup;
    struct rl_query q;

    if (!hw || !model || !rl_arg(c, a, "ctx"))
        return rl_usage_error(c, "--%s is missing",
                              !hw      ? "hw"
                              : !model ? "model"
                                       : "ctx");
    format = format ? format : "text";
    if (strcmp(format, "text") && strcmp(format, "json") && strcmp(format, "csv"))
        return rl_usage_error(c, "--format: expected text, json or csv, got '%s'",
                              format);
    if (rl_session_setup(c, a, &setup, &err) || rl_session_query(c, a, &q, &err) ||
        rl_session_open(&s, a->data, hw, model, rl_arg(c, a, "runtime"), &setup, &err))
        return rl_die(&err);
    int rc = answer(&s, &q, format, rl_arg(c, a, "breakdown") != NULL,
                    rl_arg(c, a, "require-fit") != NULL);
    rl_session_close(&s);
    return rc;
}
