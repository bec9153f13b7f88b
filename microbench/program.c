/* What every measuring program does: options, plan, passes over the plan,
 * progress, rows kept after every case, a clean end on ^C.
 *
 * Exit codes as rooflint's: 0 done, 1 a case failed or a figure was refused,
 * 2 usage; 130 stopped by ^C. */
#include "harness.h"

#include "err.h"

#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_GLOBS = 16, MAX_IN_A_ROW = 8 };

enum depth { DEPTH_QUICK, DEPTH_NORMAL, DEPTH_FULL };

struct options {
    int device;
    enum depth depth;
    const char *glob[MAX_GLOBS];
    int nglobs;
    const char *out, *resume;
    bool dry, list;
};

struct job { /* a case of the plan with its samples */
    const struct mb_item *item;
    struct mb_case c;
    struct mb_samples s;
    bool have; /* in the file that is resumed */
    bool bad;  /* a check or a run failed */
};

struct run {
    const struct mb_backend *be;
    struct mb_env *env;
    struct options o;
    struct mb_budget budget;
    struct job *job;
    size_t njobs, cap;
    struct mb_rows rows;
    const char *out;
    double start;
    int failed, left_out, failed_in_a_row;
    size_t steps_done, steps, written;
};

static void usage(FILE *f, const struct mb_backend *be)
{
    fprintf(f,
            "usage: %s [options]\n"
            "  -d, --device N     number of the device (GPUs)\n"
            "      --quick        about a minute: what a prediction needs most\n"
            "      --full         everything, long samples\n"
            "  -i, --item GLOB    only these items; may be given again\n"
            "  -o, --out FILE     write the rows here (default: standard output)\n"
            "  -r, --resume FILE  keep the rows of FILE and measure what it lacks\n"
            "  -n, --dry-run      print the plan with its time, measure nothing\n"
            "  -l, --list         print the items\n"
            "  -h, --help\n",
            be->program);
}

/* options: 0 go on, else the exit code + 1 */
static int parse(const struct mb_backend *be, int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"device", 1, 0, 'd'},  {"quick", 0, 0, 'q'},
                                          {"full", 0, 0, 'f'},    {"item", 1, 0, 'i'},
                                          {"out", 1, 0, 'o'},     {"resume", 1, 0, 'r'},
                                          {"dry-run", 0, 0, 'n'}, {"list", 0, 0, 'l'},
                                          {"help", 0, 0, 'h'},    {0, 0, 0, 0}};
    int ch;
    o->depth = DEPTH_NORMAL;
    while ((ch = getopt_long(argc, argv, "d:i:o:r:nlh", longs, NULL)) != -1)
        switch (ch) {
        case 'd': {
            char *end;
            long v = strtol(optarg, &end, 10);
            if (*end || end == optarg || v < 0 || v > 1023) {
                fprintf(stderr, "%s: --device: expected a number from 0, got '%s'\n",
                        be->program, optarg);
                return 3;
            }
            o->device = (int)v;
            break;
        }
        case 'q':
            o->depth = DEPTH_QUICK;
            break;
        case 'f':
            o->depth = DEPTH_FULL;
            break;
        case 'i':
            if (o->nglobs == MAX_GLOBS) {
                fprintf(stderr, "%s: more than %d --item\n", be->program, MAX_GLOBS);
                return 3;
            }
            o->glob[o->nglobs++] = optarg;
            break;
        case 'o':
            o->out = optarg;
            break;
        case 'r':
            o->resume = optarg;
            break;
        case 'n':
            o->dry = true;
            break;
        case 'l':
            o->list = true;
            break;
        case 'h':
            usage(stdout, be);
            return 1;
        default:
            usage(stderr, be);
            return 3;
        }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected operand '%s'\n", be->program, argv[optind]);
        return 3;
    }
    return 0;
}

static int complain(const struct run *r, const struct rl_error *err)
{
    char buf[1200];
    fprintf(stderr, "%s%s: %s\n", isatty(2) ? "\r\033[K" : "", r->be->program,
            rl_error_format(err, buf, sizeof buf));
    return 1;
}

/* the plan */

static bool wanted(const struct options *o, const char *name)
{
    for (int i = 0; i < o->nglobs; i++)
        if (fnmatch(o->glob[i], name, 0) == 0)
            return true;
    return o->nglobs == 0;
}

static int plan_item(struct run *r, const struct mb_item *it, struct rl_error *err)
{
    for (int i = 0;; i++) {
        struct mb_case c = {.item = it->name, .mode = "warm", .threads = 1, .events = 1};
        bool quick = it->quick;
        int made = it->make(r->env, i, &c, &quick);
        if (!made)
            return 0;
        if (made < 0)
            continue;
        if (r->o.depth == DEPTH_QUICK && !(quick && it->quick))
            continue;
        struct job *grown = rl_grow(r->job, &r->cap, r->njobs + 1, sizeof *r->job, err);
        if (!grown)
            return -1;
        r->job = grown;
        r->job[r->njobs++] =
            (struct job){.item = it, .c = c, .have = mb_rows_find(&r->rows, &c) != NULL};
    }
}

static int plan(struct run *r, struct rl_error *err)
{
    bool any = false;
    for (int i = 0; r->be->item[i]; i++)
        if (wanted(&r->o, r->be->item[i]->name)) {
            any = true;
            if (plan_item(r, r->be->item[i], err))
                return -1;
        }
    if (!any)
        return rl_fail(err, RL_ENAME, "--item", 0, "'%s' fits no item: --list names them",
                       r->o.glob[0]);
    return 0;
}

static void human_time(double s, char *buf, size_t size)
{
    if (s < 90)
        snprintf(buf, size, "%.0f s", s);
    else
        snprintf(buf, size, "%d min %02d s", (int)s / 60, (int)s % 60);
}

static int print_plan(const struct run *r)
{
    char left[32];
    size_t todo = 0;
    for (size_t i = 0; i < r->njobs; i++) {
        const struct mb_case *c = &r->job[i].c;
        todo += !r->job[i].have;
        printf("%s %s %s %s%s%s threads=%d%s\n", c->item, c->dtype, c->size, c->mode,
               c->impl ? " impl=" : "", c->impl ? c->impl : "", c->threads,
               r->job[i].have ? " (have it)" : "");
    }
    human_time((double)todo * r->budget.passes * r->budget.pass_s, left, sizeof left);
    printf("%zu cases, %zu to measure in %d passes: at most about %s\n", r->njobs, todo,
           r->budget.passes, left);
    return fflush(stdout) ? 1 : 0;
}

/* progress */

static void progress(const struct run *r, const struct mb_case *c)
{
    if (!isatty(2))
        return;
    double part = r->steps ? (double)r->steps_done / (double)r->steps : 1;
    double gone = mb_now() - r->start;
    char left[32] = "?", bar[25];
    if (part > 0.02)
        human_time(gone / part - gone, left, sizeof left);
    for (int i = 0; i < 24; i++)
        bar[i] = i < (int)(24 * part) ? '#' : '.';
    bar[24] = 0;
    fprintf(stderr, "\r\033[K[%s] %3.0f %%  %s left  %s %s %.60s", bar, 100 * part, left,
            c->item, c->dtype, c->size);
    fflush(stderr);
}

/* measuring */

/* A case that fails is reported and left out; the others go on. */
static void measure(struct run *r, struct job *j)
{
    struct rl_error err = {0}, told = {0};
    progress(r, &j->c);
    r->steps_done++;
    if (!mb_sample_pass(r->be, r->env, j->item, &j->c, &r->budget, &j->s, &err)) {
        r->failed_in_a_row = 0;
        return;
    }
    j->bad = true;
    if (err.code == RL_ECONFLICT) { /* not on this device or library version */
        r->left_out++;
        return;
    }
    r->failed++;
    rl_fail(&told, err.code, j->c.item, 0, "%s %s: %s", j->c.dtype, j->c.size, err.text);
    complain(r, &told);
    r->failed_in_a_row++;
}

/* A device that broke (an illegal access, a lost link) fails every further case. */
static bool hopeless(const struct run *r)
{
    return r->failed_in_a_row >= MAX_IN_A_ROW;
}

/* A row above its physical limit is a mistake of the measurement: it is said
 * (once, at the end) and never written. */
static bool plausible(struct run *r, struct job *j, const struct mb_row *row, bool last)
{
    struct rl_error err = {0};
    struct mb_case c = j->c;
    c.limit *= r->be->limit_slack;
    if (!mb_limit_check(&c, row, &err))
        return true;
    if (last) {
        complain(r, &err);
        r->failed++;
    }
    return false;
}

/* The rows of the resumed file and of every case with samples.  The view
 * borrows all its strings. */
static int save(struct run *r, bool last, struct rl_error *err)
{
    struct mb_rows view = r->rows;
    view.row = calloc(r->rows.n + r->njobs + 1, sizeof *view.row);
    if (!view.row)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    if (r->rows.n)
        memcpy(view.row, r->rows.row, r->rows.n * sizeof *view.row);
    for (size_t i = 0; i < r->njobs; i++) {
        struct job *j = &r->job[i];
        if (j->have || j->bad || !j->s.n)
            continue;
        mb_row_of(&j->c, &j->s, &view.row[view.n]);
        view.n += plausible(r, j, &view.row[view.n], last);
    }
    int rc = mb_rows_save(&view, r->out, err);
    r->written = view.n;
    free(view.row);
    return rc;
}

/* Passes are interleaved: every case once, then every case again. */
static int passes(struct run *r, struct rl_error *err)
{
    double saved = mb_now();
    bool file = strcmp(r->out, "-") != 0;
    for (int pass = 0; pass < r->budget.passes; pass++)
        for (size_t i = 0; i < r->njobs && !mb_stopped() && !hopeless(r); i++) {
            /* every case has one pass; the others end with the time */
            bool late = pass > 0 && mb_now() - r->start > r->budget.total_s;
            if (r->job[i].have || r->job[i].bad || late)
                continue;
            measure(r, &r->job[i]);
            if (!file || mb_now() - saved < 2)
                continue;
            if (save(r, false, err))
                return -1;
            saved = mb_now();
        }
    return 0;
}

static void on_signal(int sig)
{
    (void)sig;
    mb_stop();
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &a, NULL); /* a second ^C ends at once */
    sigaction(SIGTERM, &a, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error, not the end */
    signal(SIGPIPE, SIG_IGN);
}

/* What other processes took, so that nobody trusts a disturbed figure. */
static void report(const struct run *r)
{
    int noisy = 0;
    for (size_t i = 0; i < r->njobs; i++)
        noisy += r->job[i].s.foreign_cpu > 0.15;
    if (isatty(2))
        fprintf(stderr, "\r\033[K");
    fprintf(stderr, "%s: %zu rows in %.0f s%s\n", r->be->program, r->written,
            mb_now() - r->start, mb_stopped() ? ", stopped: --resume goes on" : "");
    if (hopeless(r))
        fprintf(stderr, "%s: %d cases in a row failed: giving up; --resume goes on\n",
                r->be->program, r->failed_in_a_row);
    if (r->left_out)
        fprintf(stderr, "%s: %d cases do not run on this device or library\n",
                r->be->program, r->left_out);
    if (noisy)
        fprintf(stderr,
                "%s: other processes used more than 0.15 CPU during %d of %zu cases "
                "(column foreign_cpu)\n",
                r->be->program, noisy, r->njobs);
}

static int measure_all(struct run *r, struct rl_error *err)
{
    r->start = mb_now();
    for (size_t i = 0; i < r->njobs; i++)
        r->steps += r->job[i].have ? 0 : (size_t)r->budget.passes;
    if (!r->rows.ncontext && (mb_context_add(&r->rows, err, "device=%s", r->be->device) ||
                              r->be->context(r->env, &r->rows, err)))
        return -1;
    catch_signals();
    /* the file is written before anything is measured: a full disk or a folder
     * without permission must not cost twenty minutes */
    if (strcmp(r->out, "-") != 0 && save(r, false, err))
        return -1;
    if (r->be->warm && r->steps)
        r->be->warm(r->env, r->budget.warm_s);
    if (passes(r, err) || save(r, true, err))
        return -1;
    report(r);
    return mb_stopped() ? 128 + SIGINT : r->failed ? 1 : 0;
}

static const struct mb_budget *budget_of(const struct run *r)
{
    const struct mb_backend *be = r->be;
    return r->o.depth == DEPTH_QUICK  ? &be->quick
           : r->o.depth == DEPTH_FULL ? &be->full
                                      : &be->normal;
}

static int work(struct run *r, struct rl_error *err)
{
    if (r->o.resume && access(r->o.resume, F_OK) == 0 &&
        mb_rows_load(&r->rows, r->o.resume, err))
        return -1;
    r->out = r->o.out ? r->o.out : r->o.resume ? r->o.resume : "-";
    if (!(r->env = r->be->open(r->o.device, r->o.dry, err)) || plan(r, err))
        return -1;
    return r->o.dry ? print_plan(r) : measure_all(r, err);
}

int mb_program(const struct mb_backend *be, int argc, char **argv)
{
    struct run r = {.be = be};
    struct rl_error err = {0};
    int rc = parse(be, argc, argv, &r.o);
    if (rc)
        return rc - 1;
    if (r.o.list) {
        for (int i = 0; be->item[i]; i++)
            printf("%-18s %s%s\n", be->item[i]->name, be->item[i]->summary,
                   be->item[i]->quick ? "" : " (not in --quick)");
        return fflush(stdout) ? 1 : 0;
    }
    r.budget = *budget_of(&r);
    rc = work(&r, &err);
    if (rc < 0)
        rc = complain(&r, &err);
    for (size_t i = 0; i < r.njobs; i++)
        mb_samples_free(&r.job[i].s);
    free(r.job);
    mb_rows_clear(&r.rows);
    if (r.env)
        be->close(r.env);
    return rc;
}
