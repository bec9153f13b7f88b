/* rooflint op: one operator call, or a file of them. */
#include "cmd_op.h"

#include "command.h"
#include "err.h"
#include "kern_impl.h"
#include "ops.h"
#include "path.h"
#include "show.h"
#include "units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct rl_option options[] = {
    {"hw", 'H', "H", NULL, "device: id or alias (see 'rooflint hw list')", "device"},
    {"runtime", 'r', "R", "the device's usual one", "software stack", "runtime"},
    {"impl", 'i', "I", "the runtime's usual one",
     "implementation: the kernel or library inside the runtime", NULL},
    {"in", 0, "FILE", NULL, "predict every row of an ops file", "file"},
    {"out", 0, "FILE", "standard output", "where the file's rows and predictions go",
     "file"},
    {"list", 0, NULL, NULL, "list operators and their parameters", NULL},
    {"format", 'f', "F", "text", "output", "text|json"},
    {0},
};

static int run(const struct rl_args *a);

const struct rl_command rl_cmd_op = {
    .name = "op",
    .summary = "predict one operator call, or a file of them",
    .operands = "OP key=value...",
    .details =
        "Shapes are those of one rank. A file has the columns device, runtime, op, impl "
        "and params; the output adds predicted_us, lo_us, hi_us and bound, and --hw, "
        "--runtime or --impl stand in for its columns. Intervals hold 90 % of real "
        "calls. --list shows the operators.",
    .values = "op",
    .option = options,
    .run = run,
};

/* Is there an entry of this implementation for the operator, on any device? */
static bool impl_has_entry(const struct rl_kernel_db *db, const struct rl_op_type *op,
                           const char *impl)
{
    for (int i = 0; i < rl_kernel_db_count(db); i++) {
        const struct rl_kernel *k = rl_kernel_db_at(db, i);
        if (k->op == op && !strcmp(k->impl, impl))
            return true;
    }
    return false;
}

static const char *usual_impl(const struct rl_runtime *r, const struct rl_op_type *op)
{
    char key[64];

    snprintf(key, sizeof key, "impl.%s", op->name);
    return r ? rl_runtime_str(r, key, NULL) : NULL;
}

/* The stack's own kernels (ggml), where it brings some. */
static const char *own_impl(const struct rl_runtime *r)
{
    return r ? rl_runtime_str(r, "impl.all", NULL) : NULL;
}

void rl_op_setup(struct rl_op_setup *s, const struct rl_kernel_db *db,
                 const struct rl_op_type *op, const struct rl_device *device,
                 const struct rl_runtime *runtime, const char *runtime_name,
                 const char *impl, const double *p)
{
    struct rl_ask ask = {.db = db, .d = device, .runtime = runtime_name, .op = op};
    const struct rl_impl *own;

    s->op = op;
    s->device = device;
    s->runtime = runtime;
    if (impl && !*impl)
        impl = NULL;
    own = rl_impl_find(own_impl(runtime), op, device->is_cpu);
    s->impl_known =
        !impl || (own && !strcmp(impl, own->name)) || impl_has_entry(db, op, impl);
    ask.impl = impl && s->impl_known ? impl : usual_impl(runtime, op);
    rl_op_dtypes(op, p, &ask.dtype, &ask.kv_dtype);
    if (own && (!impl || !s->impl_known || !strcmp(impl, own->name)))
        rl_choose_impl(own, runtime, device->cc, NULL, ask.dtype, &s->choice);
    else
        rl_choose_by(&ask, &s->choice);
    rl_machine_init(&s->machine, device, 1);
}

void rl_op_ask(struct rl_op_setup *s, const double *p, struct rl_op_answer *a)
{
    double part[RL_NBOUNDS];
    struct rl_work w = {0};

    if (s->op->cls == RL_CLS_COMM)
        s->machine.gpus = p[RL_COMM_GPUS];
    double seconds = rl_op_seconds(s->op, p, &s->machine, &s->choice, part);
    s->op->work(p, &w);
    a->sol_us = 1e6 * rl_work_speed_of_light(&w, &s->machine, NULL);
    a->bound = rl_part_bound(part);
    a->us = 1e6 * seconds;
    rl_choice_bounds(&s->choice, a->us * 1e-6, &a->lo_us, &a->hi_us);
    a->lo_us *= 1e6;
    a->hi_us *= 1e6;
    if (s->runtime && !strcmp(s->runtime->id, "ideal"))
        a->us = a->lo_us = a->hi_us = a->sol_us;
}

static const char *source_text(const struct rl_choice *c, char *buf, size_t size)
{
    static const char *const how[] = {
        "", "nearest entry of this device: ", "nearest device: "};
    const struct rl_kernel *k = c->kernel;

    if (c->impl)
        snprintf(buf, size, "%s's own kernels, pooled over devices", c->impl->name);
    else if (!k)
        snprintf(buf, size, "no measured entry: the operator's prior");
    else
        snprintf(buf, size, "%s%s %s on %s, %s, n=%.0f", how[c->trust], k->runtime,
                 k->impl, k->device, rl_dtype(k->dtype)->name, k->n);
    return buf;
}

/* One call, all that is shown of it. */
struct call {
    struct rl_op_setup s;
    double p[RL_MAXPARAMS];
    struct rl_op_answer a;
    struct rl_work w;
    const char *runtime;
    bool default_runtime;
    enum rl_unit unit; /* that really runs it */
    char params[400], source[300];
};

/* FLOP of the matrix units, or those of the vector units where there are none. */
static double main_flop(const struct rl_work *w)
{
    return w->flop > 0 ? w->flop : w->vector_flop;
}

static void print_json(const struct call *c)
{
    const struct rl_op_answer *a = &c->a;
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:{s:o,s:o,s:o},s:o,s:o,s:s,s:s}", "op",
                          c->s.op->name, "params", c->params, "hw", c->s.device->id,
                          "runtime", c->runtime, "latency_us", "value",
                          rl_json_num(a->us), "lo", rl_json_num(a->lo_us), "hi",
                          rl_json_num(a->hi_us), "flop", rl_json_count(main_flop(&c->w)),
                          "bytes", rl_json_count(rl_work_bytes(&c->w)), "bound",
                          rl_bound_name(a->bound), "ref", c->s.op->ref);
    json_t *more = json_pack(
        "{s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "speed_of_light_us",
        rl_json_num(a->sol_us), "unit", rl_unit_name(c->unit), "vector_flop",
        rl_json_count(c->w.vector_flop), "special_functions", rl_json_count(c->w.sfu),
        "weight_bytes", rl_json_count(c->w.weight_bytes), "activation_bytes",
        rl_json_count(c->w.act_bytes), "cache_bytes", rl_json_count(c->w.cache_bytes),
        "l2_bytes", rl_json_count(c->w.l2_bytes), "link_bytes",
        rl_json_count(c->w.link_bytes), "source", c->source);

    json_object_update(o, more);
    json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(more);
    json_decref(o);
}

static void print_text(const struct call *c)
{
    const struct rl_op_answer *a = &c->a;
    char t[4][32];

    printf("%s %s\non %s, %s%s\n", c->s.op->name, c->params, c->s.device->id, c->runtime,
           c->default_runtime ? " (the device's default)" : "");
    printf("  %-12s %s   90 %% %s … %s   speed of light %s\n", "latency",
           rl_human_time(a->us * 1e-6, t[0]), rl_human_time(a->lo_us * 1e-6, t[1]),
           rl_human_time(a->hi_us * 1e-6, t[2]), rl_human_time(a->sol_us * 1e-6, t[3]));
    printf("  %-12s %.6g FLOP on %s, %.6g vector FLOP, %.6g special functions\n", "work",
           c->w.flop, rl_unit_name(c->unit), c->w.vector_flop, c->w.sfu);
    if (c->w.flop > 0 && c->unit != c->w.unit)
        printf("  %-12s the device has no %s unit\n", "", rl_unit_name(c->w.unit));
    printf("  %-12s %s from DRAM: weights %s, activations %s", "memory",
           rl_human_bytes(rl_work_bytes(&c->w), t[0]),
           rl_human_bytes(c->w.weight_bytes, t[1]), rl_human_bytes(c->w.act_bytes, t[2]));
    printf(", cache or state %s\n", rl_human_bytes(c->w.cache_bytes, t[0]));
    printf("  %-12s %s\n  %-12s %s\n  %-12s %s\n", "bound", rl_bound_name(a->bound),
           "coefficients", c->source, "counted by", c->s.op->ref);
}

static int list_operators(void)
{
    for (int i = 0; rl_op_types[i]; i++) {
        const struct rl_op_type *op = rl_op_types[i];
        printf("%-22s", op->name);
        for (int k = 0; op->param[k].name; k++)
            printf(isnan(op->param[k].fallback) ? " %s" : " [%s]", op->param[k].name);
        putchar('\n');
    }
    return RL_EXIT_OK;
}

static int unknown_operator(const char *name, struct rl_error *err)
{
    char near[160], *names[64];
    int n = 0;

    for (; rl_op_types[n]; n++)
        names[n] = rl_strdup(rl_op_types[n]->name, err);
    if (!err->code)
        rl_fail(err, RL_ENAME, NULL, 0,
                "unknown operator '%s'; the nearest are %s (see 'rooflint op --list')",
                name, rl_nearest(name, names, n, 3, near, sizeof near));
    while (n > 0)
        free(names[--n]);
    return -1;
}

/* "OP", then "key=value" words: joined by blanks for the one parser there is. */
static int read_call(const struct rl_args *a, struct call *c, struct rl_error *err)
{
    size_t size = 1;
    int rc;

    c->s.op = rl_op_find(a->operand[0]);
    if (!c->s.op)
        return unknown_operator(a->operand[0], err);
    for (int i = 1; i < a->noperands; i++)
        size += strlen(a->operand[i]) + 1;
    char *text = rl_alloc(size, 1, err);
    if (!text)
        return -1;
    for (int i = 1; i < a->noperands; i++)
        strcat(strcat(text, a->operand[i]), " ");
    rc = rl_op_parse(c->s.op, text, c->p, err);
    free(text);
    return rc;
}

/* Notes go to stderr, results to stdout. */
static void note_impl(const struct rl_op_setup *s, const char *impl)
{
    if (!s->impl_known)
        fprintf(stderr,
                "rooflint: note: no entry of implementation '%s' for %s; using %s\n",
                impl, s->op->name,
                s->choice.impl     ? s->choice.impl->name
                : s->choice.kernel ? s->choice.kernel->impl
                                   : "the operator's prior");
}

static int one_call(const struct rl_args *a, struct call *c, struct rl_error *err)
{
    const struct rl_command *me = &rl_cmd_op;
    const char *name = rl_arg(me, a, "runtime"), *impl = rl_arg(me, a, "impl");
    const char *format = rl_arg(me, a, "format");
    struct rl_device *d = rl_command_device(a->data, rl_arg(me, a, "hw"), err);
    bool library = name && !strncmp(name, "nccl", 4);
    struct rl_runtime *r = d && !library ? rl_runtime_load(a->data, name, d, err) : NULL;
    struct rl_kernel_db *db =
        (r && !rl_runtime_check(r, err) && !rl_check_device(r, d, err)) || (d && library)
            ? rl_kernel_db_load(a->data, err)
            : NULL;

    if (db) {
        c->runtime = r ? r->name : name;
        c->default_runtime = r && r->is_default;
        rl_op_setup(&c->s, db, c->s.op, d, r, c->runtime, impl, c->p);
        rl_op_ask(&c->s, c->p, &c->a);
        c->s.op->work(c->p, &c->w);
        c->unit = rl_device_unit(d, c->w.unit);
        rl_op_format(c->s.op, c->p, c->params, sizeof c->params);
        source_text(&c->s.choice, c->source, sizeof c->source);
        note_impl(&c->s, impl);
        (format && !strcmp(format, "json") ? print_json : print_text)(c);
    }
    rl_kernel_db_free(db);
    rl_runtime_free(r);
    rl_device_free(d);
    return db ? 0 : -1;
}

static int run(const struct rl_args *a)
{
    const struct rl_command *c = &rl_cmd_op;
    const char *in = rl_arg(c, a, "in"), *hw = rl_arg(c, a, "hw");
    const char *format = rl_arg(c, a, "format");
    struct rl_error err = {0};
    struct call call = {0};

    if (rl_arg(c, a, "list"))
        return list_operators();
    if (format && strcmp(format, "text") && strcmp(format, "json"))
        return rl_usage_error(c, "--format: expected text or json, got '%s'", format);
    if (in && a->noperands)
        return rl_usage_error(c, "--in goes without an operator, got '%s'",
                              a->operand[0]);
    if (in)
        return rl_op_file(a->data, in, rl_arg(c, a, "out"), hw, rl_arg(c, a, "runtime"),
                          rl_arg(c, a, "impl"), &err)
                   ? rl_die(&err)
                   : RL_EXIT_OK;
    if (!a->noperands)
        return rl_usage_error(c, "expected an operator (see --list) or --in FILE");
    if (!hw)
        return rl_usage_error(c, "--hw is missing");
    if (read_call(a, &call, &err) || one_call(a, &call, &err))
        return rl_die(&err);
    return RL_EXIT_OK;
}
