/* rooflint compare: where one model overtakes another.
 *
 * The difference of two predicted figures changes its sign at a crossover.
 * A grid over log(ctx) brackets the changes, GSL's Brent solver closes in on
 * each.  The interval of a crossover is where the two models' own 90 %
 * intervals, halved for what they share (the same device and stack), still
 * part: outside it one of them is ahead whatever the errors.
 */
#include "err.h"
#include "path.h"
#include "session.h"
#include "show.h"
#include "units.h"
#include "values.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_roots.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct rl_option options[] = {
    {"hw", 'H', "H", NULL, "device", "device"},
    {"models", 'm', "A,B,…", NULL, "two models or more", "model"},
    {"ctx", 'c', "LO:HI", "256:1M", "range of prompt tokens", NULL},
    {"batch", 'b', "B", "1", "sequences at once", NULL},
    {"output-tokens", 'o', "T", "128", "tokens to generate", NULL},
    {"runtime", 'r', "R[,R…]", "the device's usual one",
     "software stack; one for all, or one for each model", "runtime"},
    {"dtype", 0, "D", "the configs'", "weights", "dtype"},
    {"logits", 0, "W", "the runtime's", "logit rows of the prefill", "all|last"},
    {"tp", 0, "N", "1", "tensor-parallel ranks", NULL},
    {"context-depth", 0, "D", "0", "tokens cached before the prompt", NULL},
    {"format", 'f', "F", "text", "output", "text|csv|json"},
    {0},
};

static int run(const struct rl_args *a);
extern const struct rl_command rl_cmd_compare;
const struct rl_command rl_cmd_compare = {
    .name = "compare",
    .summary = "where one model overtakes another, over the context",
    .details =
        "For TTFT, TPOT, end-to-end time, memory and energy: which model is ahead at "
        "both "
        "ends of the range, and every context at which that changes, with the range in "
        "which the predictions' errors leave it open. A ratio above 1 means that the "
        "second model needs less.",
    .option = options,
    .run = run,
};

enum { M_TTFT, M_TPOT, M_E2E, M_MEMORY, M_ENERGY, NMETRICS, GRID = 96, MAXCROSS = 8 };
static const char *const metric_name[NMETRICS] = {"ttft_s", "tpot_s", "e2e_s",
                                                  "memory_bytes", "energy_j"};

struct side {
    struct rl_session s;
    struct rl_query q;
};

struct pair {
    const struct side *a, *b;
    int metric;
};

/* One figure with its interval; NaN where the model has none. */
static struct rl_interval figure(const struct side *s, int metric, double ctx)
{
    struct rl_prediction p;
    struct rl_query q = s->q;
    struct rl_interval v = {NAN, NAN, NAN};

    q.ctx = fmax(1, rint(ctx));
    if (rl_predict(s->s.plan, &q, &p, NULL))
        return v;
    switch (metric) {
    case M_TTFT:
        return p.ttft_s;
    case M_TPOT:
        return p.tpot_s;
    case M_E2E:
        return p.e2e_s;
    case M_ENERGY:
        return p.prefill_j;
    default:
        v.value = p.memory.total;
        v.lo = v.value * (1 - s->s.plan->mem.spread_allocated);
        v.hi = v.value * (1 + s->s.plan->mem.spread_allocated);
        return v;
    }
}

/* log(A / B), and with it the half-widths of its error. */
static double log_ratio(const struct pair *p, double ctx, double *lo, double *hi)
{
    struct rl_interval a = figure(p->a, p->metric, ctx);
    struct rl_interval b = figure(p->b, p->metric, ctx);
    /* both predictions share the device and the stack: half of each error */
    *lo = 0.5 * hypot(log(a.value / a.lo), log(b.hi / b.value));
    *hi = 0.5 * hypot(log(a.hi / a.value), log(b.value / b.lo));
    return log(a.value / b.value);
}

static double difference(double log_ctx, void *arg)
{
    const struct pair *p = arg;
    double lo, hi;
    return log_ratio(p, exp(log_ctx), &lo, &hi);
}

/* The root between two contexts where the difference changes sign. */
static double root(struct pair *p, double x0, double x1)
{
    gsl_function f = {difference, p};
    gsl_root_fsolver *s = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    double x = 0.5 * (x0 + x1);

    if (s && gsl_root_fsolver_set(s, &f, x0, x1) == GSL_SUCCESS)
        for (int i = 0; i < 60; i++) {
            if (gsl_root_fsolver_iterate(s) != GSL_SUCCESS)
                break;
            x = gsl_root_fsolver_root(s);
            if (gsl_root_fsolver_x_upper(s) - gsl_root_fsolver_x_lower(s) < 1e-4)
                break;
        }
    gsl_root_fsolver_free(s);
    return exp(x);
}

struct cross {
    double ctx, lo, hi; /* tokens */
    bool b_ahead_after;
};

/* Walks from the crossing in one direction until the errors no longer reach. */
static double open_until(struct pair *p, double from, double end, double sign)
{
    double step = (end - from) / 64;
    for (int i = 1; i <= 64; i++) {
        double x = from + i * step, lo, hi, r = log_ratio(p, exp(x), &lo, &hi);
        if (sign > 0 ? r - lo > 0 : r + hi < 0)
            return exp(x);
    }
    return exp(end);
}

static int find(struct pair *p, double x0, double x1, struct cross *out)
{
    double before = difference(x0, p);
    int n = 0;

    for (int i = 1; i < GRID && n < MAXCROSS; i++) {
        double x = x0 + (x1 - x0) * i / (GRID - 1), now = difference(x, p);
        double back = x0 + (x1 - x0) * (i - 1) / (GRID - 1);
        if (isfinite(before) && isfinite(now) && (before < 0) != (now < 0)) {
            out[n].ctx = root(p, back, x);
            out[n].b_ahead_after = now > 0;
            double at = log(out[n].ctx), sign = now > 0 ? 1 : -1;
            out[n].hi = open_until(p, at, x1, sign);
            out[n].lo = open_until(p, at, x0, -sign);
            n++;
        }
        before = now;
    }
    return n;
}

/* output */

static void text_pair(struct pair *p, double lo, double hi)
{
    struct cross c[MAXCROSS];
    char t[32], u[32], v[32];
    double l, h, r0, r1;
    const char *a = p->a->s.plan->model->id, *b = p->b->s.plan->model->id;

    r0 = exp(log_ratio(p, lo, &l, &h));
    r1 = exp(log_ratio(p, hi, &l, &h));
    if (!isfinite(r0) || !isfinite(r1)) {
        printf("  %-13s not predicted for both\n", metric_name[p->metric]);
        return;
    }
    int n = find(p, log(lo), log(hi), c);
    printf("  %-13s %s / %s = %.3g at %s, %.3g at %s", metric_name[p->metric], a, b, r0,
           rl_human_tokens(lo, t), r1, rl_human_tokens(hi, u));
    if (!n)
        if (r0 == 1 && r1 == 1)
            printf(": equal\n");
        else
            printf(": %s ahead throughout\n", r0 < 1 ? a : b);
    else
        printf("\n");
    for (int i = 0; i < n; i++)
        printf("  %13s %s ahead from %s tokens on (open between %s and %s)\n", "",
               c[i].b_ahead_after ? b : a, rl_human_tokens(rint(c[i].ctx), t),
               rl_human_tokens(rint(c[i].lo), u), rl_human_tokens(rint(c[i].hi), v));
}

static void csv_pair(struct pair *p, double lo, double hi)
{
    struct cross c[MAXCROSS];
    double l, h, r0 = exp(log_ratio(p, lo, &l, &h)), r1 = exp(log_ratio(p, hi, &l, &h));
    const char *a = p->a->s.plan->model->id, *b = p->b->s.plan->model->id;
    int n = isfinite(r0) && isfinite(r1) ? find(p, log(lo), log(hi), c) : 0;

    if (!n && isfinite(r0))
        printf("%s,%s,%s,%s,,,,%.6g,%.6g\n", metric_name[p->metric], a, b, r0 < 1 ? a : b,
               r0, r1);
    for (int i = 0; i < n; i++)
        printf("%s,%s,%s,%s,%.0f,%.0f,%.0f,%.6g,%.6g\n", metric_name[p->metric], a, b,
               c[i].b_ahead_after ? b : a, c[i].ctx, c[i].lo, c[i].hi, r0, r1);
}

static void json_pair(struct pair *p, double lo, double hi, json_t *all)
{
    struct cross c[MAXCROSS];
    double l, h, r0 = exp(log_ratio(p, lo, &l, &h)), r1 = exp(log_ratio(p, hi, &l, &h));
    const char *a = p->a->s.plan->model->id, *b = p->b->s.plan->model->id;
    int n = isfinite(r0) && isfinite(r1) ? find(p, log(lo), log(hi), c) : 0;
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o,s:o,s:o,s:s}", "ctx",
                                              rl_json_count(rint(c[i].ctx)), "lo",
                                              rl_json_count(rint(c[i].lo)), "hi",
                                              rl_json_count(rint(c[i].hi)), "ahead_after",
                                              c[i].b_ahead_after ? b : a));
    json_array_append_new(all, json_pack("{s:s,s:s,s:s,s:o,s:o,s:o}", "metric",
                                         metric_name[p->metric], "a", a, "b", b,
                                         "ratio_lo", rl_json_num(r0), "ratio_hi",
                                         rl_json_num(r1), "crossovers", list));
}

static void print_all(const struct side *side, int n, const char *format, double lo,
                      double hi)
{
    json_t *all = json_array();
    bool text = !strcmp(format, "text"), csv = !strcmp(format, "csv");

    if (csv)
        printf("metric,a,b,ahead_after,ctx,ctx_lo,ctx_hi,ratio_at_lo,ratio_at_hi\n");
    for (int i = 0; i < n; i++)
        for (int k = i + 1; k < n; k++) {
            if (text)
                printf("%s against %s on %s (%s, %s), batch %.0f\n",
                       side[i].s.plan->model->id, side[k].s.plan->model->id,
                       side[i].s.plan->device->id, side[i].s.plan->runtime->name,
                       side[k].s.plan->runtime->name, side[i].q.batch);
            for (int m = 0; m < NMETRICS; m++) {
                struct pair p = {&side[i], &side[k], m};
                if (text)
                    text_pair(&p, lo, hi);
                else if (csv)
                    csv_pair(&p, lo, hi);
                else
                    json_pair(&p, lo, hi, all);
            }
        }
    if (!text && !csv) {
        json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(7));
        putchar('\n');
    }
    json_decref(all);
}

static int parse_range(const char *s, double *lo, double *hi, struct rl_error *err)
{
    char buf[64];
    struct rl_error inner = {0};
    const char *colon = s ? strchr(s, ':') : NULL;

    *lo = 256;
    *hi = 1048576;
    if (!s)
        return 0;
    if (colon && (size_t)(colon - s) < sizeof buf) {
        memcpy(buf, s, (size_t)(colon - s));
        buf[colon - s] = 0;
        if (!rl_parse_tokens(buf, lo, &inner) &&
            !rl_parse_tokens(colon + 1, hi, &inner) && *lo < *hi)
            return 0;
    }
    return rl_fail(err, RL_EVALUE, NULL, 0,
                   "--ctx: expected LO:HI with LO < HI, got '%s'", s);
}

static int open_sides(const struct rl_args *a, struct side *side, char **models, int n,
                      char **runtimes, int nr, struct rl_error *err)
{
    const struct rl_command *c = &rl_cmd_compare;
    struct rl_setup setup;
    struct rl_query q;

    if (rl_session_setup(c, a, &setup, err) || rl_session_fixed(c, a, &q, err) ||
        rl_session_counts(c, a, &q, err))
        return -1;
    for (int i = 0; i < n; i++) {
        const char *r = nr ? runtimes[nr == 1 ? 0 : i] : NULL;
        side[i].q = q;
        if (rl_session_open(&side[i].s, a->data, rl_arg(c, a, "hw"), models[i], r, &setup,
                            err))
            return -1;
    }
    return 0;
}

static int compare(const struct rl_args *a, struct rl_error *err)
{
    const struct rl_command *c = &rl_cmd_compare;
    const char *format = rl_arg(c, a, "format"), *rt = rl_arg(c, a, "runtime");
    char **models = NULL, **runtimes = NULL;
    int n = 0, nr = 0, rc = -1;
    double lo, hi;

    format = format ? format : "text";
    if (strcmp(format, "text") && strcmp(format, "csv") && strcmp(format, "json"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--format: expected text, csv or json, got '%s'", format);
    if (parse_range(rl_arg(c, a, "ctx"), &lo, &hi, err) ||
        rl_names_parse("models", rl_arg(c, a, "models"), NULL, 0, &models, &n, err))
        return -1;
    struct side *side = rl_alloc((size_t)n, sizeof *side, err);
    if (n < 2)
        rl_fail(err, RL_EVALUE, NULL, 0, "--models: expected two or more, got %d", n);
    else if (rt && rl_names_parse("runtime", rt, NULL, 0, &runtimes, &nr, err))
        ;
    else if (nr > 1 && nr != n)
        rl_fail(err, RL_EVALUE, NULL, 0, "--runtime: expected one name or %d, got %d", n,
                nr);
    else if (side && !open_sides(a, side, models, n, runtimes, nr, err))
        rc = 0;
    if (!rc)
        print_all(side, n, format, lo, hi);
    for (int i = 0; side && i < n; i++)
        rl_session_close(&side[i].s);
    free(side);
    rl_free_names(models, n);
    rl_free_names(runtimes, nr);
    return rc;
}

static int run(const struct rl_args *a)
{
    struct rl_error err = {0};

    if (!rl_arg(&rl_cmd_compare, a, "hw") || !rl_arg(&rl_cmd_compare, a, "models"))
        return rl_usage_error(&rl_cmd_compare, "--hw and --models are needed");
    return compare(a, &err) ? rl_die(&err) : RL_EXIT_OK;
}
