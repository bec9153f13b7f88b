/* The rows of a sweep.
 *
 * Device, model, runtime, number formats and tensor parallelism make a plan;
 * batch, output tokens and context vary within it.  The rows come in the order
 * of the options (context fastest), whatever the number of threads, so that
 * shards concatenate to the bytes of the whole: threads take pieces of a plan's
 * rows, and a block of pieces is written when all of it is done.
 */
#include "sweep.h"

#include "err.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* one plan */

struct bound {
    struct rl_runtime *runtime;
    struct rl_plan *plan;
    struct rl_error err;
};

static void split_index(const struct rl_sweep *s, long index, int first, int last,
                        int *at)
{
    for (int i = last; i >= first; i--) {
        at[i] = (int)(index % s->axis[i].n);
        index /= s->axis[i].n;
    }
}

static void bind_plan(const struct rl_sweep *s, long index, struct bound *b)
{
    int at[NAXES];
    struct rl_setup setup = {.flash = -1};

    split_index(s, index, 0, NPLAN - 1, at);
    setup.dtype = s->axis[A_DTYPE].name[at[A_DTYPE]];
    setup.kv_dtype = s->axis[A_KV].name[at[A_KV]];
    setup.tp = (int)s->axis[A_TP].num[at[A_TP]];
    memset(b, 0, sizeof *b);
    b->runtime = rl_runtime_load(s->args->data, s->axis[A_RUNTIME].name[at[A_RUNTIME]],
                                 s->device[at[A_HW]], &b->err);
    if (b->runtime)
        b->plan = rl_plan_bind(s->db, s->device[at[A_HW]], s->model[at[A_MODEL]],
                               b->runtime, &setup, &b->err);
}

static void unbind_plan(struct bound *b)
{
    rl_plan_free(b->plan);
    rl_runtime_free(b->runtime);
}

/* Reasons, with how many queries each cost; those past the first few together. */
enum { MAX_REASONS = 8 };
struct reasons {
    char text[MAX_REASONS][200];
    long count[MAX_REASONS], others;
    int n;
};

static void note_reason(struct reasons *r, const char *why, long queries)
{
    int i = 0;
    while (i < r->n && strcmp(r->text[i], why))
        i++;
    if (i == MAX_REASONS) {
        r->others += queries;
        return;
    }
    if (i == r->n)
        snprintf(r->text[r->n++], sizeof r->text[i], "%s", why);
    r->count[i] += queries;
}

static void note_error(struct reasons *r, const struct rl_error *err, long queries)
{
    char why[200];
    note_reason(r, rl_error_format(err, why, sizeof why), queries);
}

static void add_reasons(struct reasons *r, const struct reasons *from)
{
    for (int i = 0; i < from->n; i++)
        note_reason(r, from->text[i], from->count[i]);
    r->others += from->others;
}

static void print_reasons(const struct reasons *r)
{
    static const char *const line = "rooflint: sweep: %ld queries left out: %s\n";
    for (int i = 0; i < r->n; i++)
        fprintf(stderr, line, r->count[i], r->text[i]);
    if (r->others)
        fprintf(stderr, line, r->others, "other reasons");
}

/* 1: a row to keep, 0: one that the condition drops, -1: no prediction. */
static int predict_row(const struct rl_sweep *s, const struct rl_plan *pl, long inner,
                       struct rl_cell *row, struct rl_error *err)
{
    struct rl_prediction p;
    int at[NAXES];

    split_index(s, inner, NPLAN, NAXES - 1, at);
    struct rl_query q = {.ctx = s->axis[A_CTX].num[at[A_CTX]],
                         .batch = s->axis[A_BATCH].num[at[A_BATCH]],
                         .output_tokens = s->axis[A_OUT].num[at[A_OUT]],
                         .context_depth = s->depth,
                         .logits = s->logits};
    if (rl_predict(pl, &q, &p, err))
        return -1;
    rl_row_fill(row, pl, &q, &p);
    return !s->conditional || rl_condition_holds(&s->where, row);
}

/* a piece of the rows: one plan, some of its queries */

struct piece {
    long plan, from, to; /* inner indices */
    char *text;
    size_t size;
    struct reasons left_out;
};

enum { PIECE = 512, BLOCK = 128 }; /* rows of a piece, pieces in memory */

/* Fills a piece's text, or offers its rows to the winners of this thread. */
static int do_piece(const struct rl_sweep *s, struct piece *pc, struct bound *b,
                    long *bound, struct rl_winners *w, struct rl_error *err)
{
    struct rl_cell row[RL_NCOLUMNS];

    if (*bound != pc->plan) {
        if (*bound >= 0)
            unbind_plan(b);
        bind_plan(s, pc->plan, b);
        *bound = pc->plan;
    }
    pc->text = NULL;
    pc->left_out = (struct reasons){.n = 0};
    if (!b->plan) {
        note_error(&pc->left_out, &b->err, pc->to - pc->from);
        return 0;
    }
    FILE *f = s->best < 0 ? open_memstream(&pc->text, &pc->size) : NULL;
    int rc = f || s->best >= 0 ? 0 : rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    for (long i = pc->from; !rc && i < pc->to; i++) {
        struct rl_error why = {0};
        int kept = predict_row(s, b->plan, i, row, &why);
        if (kept < 0)
            note_error(&pc->left_out, &why, 1);
        if (kept <= 0)
            continue;
        if (s->best >= 0)
            rc = rl_sweep_offer(s, w, pc->plan * s->inner + i, row, err);
        else if (s->json)
            rl_row_json(f, row);
        else
            rl_row_csv(f, row);
    }
    if (f && fclose(f))
        rc = rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
    return rc;
}

/* The next piece after `row`; its rows lie in one plan. */
static long next_piece(const struct rl_sweep *s, long row, struct piece *pc)
{
    pc->plan = row / s->inner;
    pc->from = row % s->inner;
    pc->to = pc->from + PIECE < s->inner ? pc->from + PIECE : s->inner;
    if (pc->plan * s->inner + pc->to > s->to)
        pc->to = s->to - pc->plan * s->inner;
    return pc->plan * s->inner + pc->to;
}

/* progress on a terminal */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void progress(const struct rl_sweep *s, long done, double start, double *last)
{
    double t = seconds(), total = (double)(s->to - s->from);
    if (!isatty(STDERR_FILENO) || (t - *last < 0.2 && done < s->to - s->from))
        return;
    *last = t;
    double share = total > 0 ? (double)done / total : 1;
    int bar = (int)(30 * share);
    fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %.0f s left ", bar,
            "##############################", 30 - bar, "", 100 * share,
            share > 0 ? (t - start) * (1 - share) / share : 0);
    if (done >= s->to - s->from)
        fprintf(stderr, "\r%60s\r", "");
}

static void print_block(struct piece *pc, int n, struct reasons *r, FILE *f)
{
    for (int i = 0; i < n; i++) {
        add_reasons(r, &pc[i].left_out);
        if (pc[i].text)
            fwrite(pc[i].text, 1, pc[i].size, f);
        free(pc[i].text);
    }
}

static int do_block(const struct rl_sweep *s, struct piece *pc, int n,
                    struct rl_winners *w, struct rl_error *err)
{
    int bad = 0;

#pragma omp parallel reduction(+ : bad)
    {
        struct rl_winners mine = {0};
        struct rl_error own = {0};
        struct bound b;
        long bound = -1;
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < n; i++)
            bad += do_piece(s, &pc[i], &b, &bound, &mine, &own) != 0;
        if (bound >= 0)
            unbind_plan(&b);
#pragma omp critical
        {
            bad += rl_sweep_merge(s, w, &mine, &own) != 0;
            if (own.code && !err->code)
                *err = own;
        }
    }
    return bad ? -1 : 0;
}

int rl_sweep_rows(const struct rl_sweep *s, FILE *f, struct rl_error *err)
{
    struct piece *pc = rl_alloc(BLOCK, sizeof *pc, err);
    struct rl_winners w = {0};
    struct reasons r = {0};
    double start = seconds(), last = 0;
    int rc = pc ? 0 : -1;

    for (long row = s->from; !rc && row < s->to;) {
        int n = 0;
        while (n < BLOCK && row < s->to)
            row = next_piece(s, row, &pc[n++]);
        rc = do_block(s, pc, n, &w, err);
        print_block(pc, n, &r, f);
        progress(s, row - s->from, start, &last);
    }
    rl_sweep_winners(&w, f);
    print_reasons(&r);
    free(pc);
    return rc;
}
