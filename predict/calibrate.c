/* Calibration of one kernel, and its cross-validation by whole shapes.
 *
 * Rows of one shape (all m of one (n,k), all lengths of one head shape) are left
 * out together: rows that differ in the batch alone know too much of each other
 * to score a fit.  The interval of an entry comes from the log errors on the rows
 * left out (interval.c); the interval that a left-out row is scored with comes from
 * the other folds, so that coverage is honest too.
 */
#include "calibrate.h"

#include "err.h"
#include "few.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of fewer than nine left-out rows not even the worst is beyond 90 % of the next. */
enum { MIN_ROWS = 9, MIN_SHAPES = 2 };
/* Log error that a shape unlike all measured ones adds, where too few shapes
 * were measured to see it. */
static const double UNSEEN_SHAPE = 0.15;
static const double IDENTIFIED = 0.7; /* sd left, as a share of the prior's */

struct work {
    const struct rl_samples *s;
    const struct rl_group *g;
    const struct rl_machine *m;
    const struct rl_calibrate_options *o;
    struct rl_fit_prior prior;
    const struct rl_sample **train; /* [n] scratch */
    int *fold;                      /* [n] */
    struct rl_left_out left;
};

static const struct rl_sample *row(const struct work *w, size_t i)
{
    return &w->s->at[w->g->first + i];
}

bool rl_calibration_identified(const struct rl_calibration *c, int i)
{
    double sd = c->key->op->coef[i].prior_sd;
    return c->fit.sd[i] > 0 && c->fit.sd[i] < IDENTIFIED * sd;
}

int rl_calibration_ncoefs(const struct rl_calibration *c)
{
    int n = 0;
    for (int i = 0; c->key->op->coef[i].name; i++)
        n += !c->fit.idle[i];
    return n;
}

struct ranked {
    unsigned long long hash;
    size_t first, n;
};

static int by_hash(const void *va, const void *vb)
{
    const struct ranked *a = va, *b = vb;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first);
}

/* Deals whole shapes (or single rows) in the order of their hash: fold = rank mod
 * folds.  Returns the number dealt. */
static size_t deal(struct work *w, bool shapes, int folds, struct rl_error *err)
{
    struct ranked *r = rl_alloc(w->g->n, sizeof *r, err);
    if (!r)
        return 0;
    size_t n = 0;
    for (size_t i = 0; i < w->g->n; i++) {
        if (i > 0 && shapes && rl_same_shape(row(w, i - 1), row(w, i)))
            r[n - 1].n++;
        else
            r[n++] = (struct ranked){rl_sample_hash(row(w, i), shapes), i, 1};
    }
    qsort(r, n, sizeof *r, by_hash);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < r[k].n; i++)
            w->fold[r[k].first + i] = (int)(k % (size_t)folds);
    free(r);
    return n;
}

static int fit_rows(struct work *w, size_t n, struct rl_fit *out, struct rl_error *err)
{
    struct rl_fit_data d = {.op = row(w, 0)->op,
                            .machine = w->m,
                            .row = w->train,
                            .n = n,
                            .prior = &w->prior,
                            .starts = w->o->starts};
    return rl_fit_run(&d, out, err);
}

static double predict(const struct work *w, size_t i, const double *coef)
{
    return row(w, i)->op->time(row(w, i)->p, w->m, coef, NULL);
}

/* Fits all folds but one and predicts the rows of that one. */
static int hold_out(struct work *w, int fold, struct rl_calibration *c,
                    struct rl_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < w->g->n; i++)
        if (w->fold[i] != fold)
            w->train[n++] = row(w, i);
    struct rl_fit fit;
    if (fit_rows(w, n, &fit, err))
        return -1;
    for (size_t i = 0; i < w->g->n; i++) {
        if (w->fold[i] != fold)
            continue;
        c->outcome[i].predicted = predict(w, i, fit.coef);
        w->left.seconds[i] = c->outcome[i].predicted;
        w->left.error[i] = log(row(w, i)->seconds / c->outcome[i].predicted);
    }
    return 0;
}

static void set_bounds(struct rl_outcome *o, const struct rl_residual *q)
{
    rl_spread_bounds(&q->spread, q->lo, q->hi, o->predicted, &o->lo, &o->hi);
}

static void set_intervals(struct work *w, struct rl_calibration *c, int folds)
{
    for (int k = 0; k < folds; k++) {
        struct rl_residual q;
        rl_residual_of(&w->left, k, &q);
        for (size_t i = 0; i < w->g->n; i++)
            if (w->fold[i] == k)
                set_bounds(&c->outcome[i], &q);
    }
}

/* Score of the final fit on the rows it was made of. */
static int score_seen(struct work *w, struct rl_calibration *c, struct rl_error *err)
{
    struct rl_outcome *o = rl_alloc(w->g->n, sizeof *o, err);
    if (!o)
        return -1;
    for (size_t i = 0; i < w->g->n; i++) {
        o[i].measured = row(w, i)->seconds;
        o[i].predicted = predict(w, i, c->fit.coef);
        set_bounds(&o[i], &c->residual);
        if (w->o->prior && w->fold[i])
            o[i].skipped = "left out";
    }
    int rc = rl_score(o, NULL, w->g->n, &c->seen, err);
    free(o);
    return rc;
}

static int cross_validate(struct work *w, struct rl_calibration *c, struct rl_error *err)
{
    c->shapes = deal(w, true, w->o->folds, err);
    if (c->shapes == 0)
        return -1;
    if (w->g->n < MIN_ROWS) {
        c->refused = "too few rows to fit and check a kernel";
        return 0;
    }
    size_t dealt = c->shapes;
    c->by_row = c->shapes < MIN_SHAPES;
    if (c->by_row && (dealt = deal(w, false, w->o->folds, err)) == 0)
        return -1;
    w->left.by_row = c->by_row;
    w->left.few = rl_residual_is_few(c->shapes, w->g->n, c->by_row);
    int folds = dealt < (size_t)w->o->folds ? (int)dealt : w->o->folds;
    for (int k = 0; k < folds; k++)
        if (hold_out(w, k, c, err))
            return -1;
    set_intervals(w, c, folds);
    for (size_t i = 0; i < w->g->n; i++)
        w->train[i] = row(w, i);
    rl_residual_of(&w->left, -1, &c->residual);
    double unseen = c->by_row ? UNSEEN_SHAPE : 0;
    c->residual.lo = -hypot(c->residual.lo, unseen);
    c->residual.hi = hypot(c->residual.hi, unseen);
    return fit_rows(w, w->g->n, &c->fit, err);
}

/* What is said of a device without data after o->few samples of it; w->fold is 0
 * for the samples, 1 for the rows they are scored on. */
static int few_samples(struct work *w, const struct rl_ask *ask, struct rl_calibration *c,
                       struct rl_error *err)
{
    struct rl_choice ch;
    rl_choose_by(ask, &ch);
    rl_fit_prior_of(c->key->op, &w->prior);
    memcpy(w->prior.center, ch.coef, sizeof ch.coef);
    if (rl_few_pick(row(w, 0), w->g->n, w->m, &w->prior, (size_t)w->o->few, w->fold, err))
        return -1;
    size_t n = 0;
    for (size_t i = 0; i < w->g->n; i++) {
        if (w->fold[i])
            w->train[n++] = row(w, i);
        w->fold[i] = !w->fold[i];
    }
    struct rl_fit_data d = {c->key->op, w->m, w->train, n, NULL, w->o->starts};
    struct rl_few few;
    if (rl_few_fit(ask, &d, &few, err))
        return -1;
    c->fit = few.fit;
    c->residual.lo = few.lo;
    c->residual.hi = few.hi;
    for (size_t i = 0; i < w->g->n; i++) {
        struct rl_outcome *o = &c->outcome[i];
        o->predicted = rl_few_seconds(&few, c->key->op, row(w, i)->p, w->m);
        set_bounds(o, &c->residual);
        if (w->fold[i] == 0)
            o->skipped = "one of the few samples";
    }
    rl_few_clear(&few);
    return 0;
}

static int run(struct work *w, const struct rl_device *d, struct rl_calibration *c,
               struct rl_error *err)
{
    const struct rl_sample *k = c->key;
    struct rl_ask ask = {w->o->prior, d,        k->runtime,  k->impl,
                         k->op,       k->dtype, k->kv_dtype, true};
    rl_fit_prior_of(k->op, &w->prior);
    for (size_t i = 0; i < w->g->n; i++)
        c->outcome[i].measured = row(w, i)->seconds;
    int rc = w->o->prior ? few_samples(w, &ask, c, err) : cross_validate(w, c, err);
    if (rc || c->refused)
        return rc;
    return rl_score(c->outcome, NULL, w->g->n, &c->held, err) || score_seen(w, c, err)
               ? -1
               : 0;
}

int rl_calibrate(const struct rl_samples *s, const struct rl_group *g,
                 const struct rl_device *d, const struct rl_machine *m,
                 const struct rl_calibrate_options *o, struct rl_calibration *out,
                 struct rl_error *err)
{
    memset(out, 0, sizeof *out);
    out->key = &s->at[g->first];
    out->n = g->n;
    if (!out->key->op->coef || !out->key->op->time) {
        out->refused = "the operator has no kernel model";
        return 0;
    }
    struct work w = {.s = s, .g = g, .m = m, .o = o};
    w.train = rl_alloc(g->n, sizeof *w.train, err);
    w.fold = rl_alloc(g->n, sizeof *w.fold, err);
    double *room = rl_alloc(5 * g->n, sizeof *room, err);
    out->outcome = rl_alloc(g->n, sizeof *out->outcome, err);
    int rc = -1;
    if (w.train && w.fold && room && out->outcome) {
        w.left = (struct rl_left_out){.row = out->key,
                                      .n = g->n,
                                      .fold = w.fold,
                                      .error = room,
                                      .seconds = room + g->n,
                                      .scratch = room + 2 * g->n};
        rc = run(&w, d, out, err);
    }
    free(w.train);
    free(w.fold);
    free(room);
    return rc;
}

void rl_calibration_clear(struct rl_calibration *c)
{
    free(c->outcome);
    c->outcome = NULL;
}

/* Groups are independent of each other; rl_error of the first that fails. */
int rl_calibrate_all(const struct rl_samples *s, const struct rl_group *g, size_t n,
                     const struct rl_device *const *d, const struct rl_machine *m,
                     const struct rl_calibrate_options *o, struct rl_calibration *out,
                     struct rl_error *err)
{
    int failed = 0;
    memset(out, 0, n * sizeof *out);
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1)
#endif
    for (size_t i = 0; i < n; i++) {
        struct rl_error mine = {0};
        out[i].key = &s->at[g[i].first];
        if (!d[i]) {
            out[i].refused = "the device is not in hwdb";
            continue;
        }
        if (rl_calibrate(s, &g[i], d[i], &m[i], o, &out[i], &mine) == 0)
            continue;
#ifdef _OPENMP
#pragma omp critical
#endif
        {
            if (!failed)
                *err = mine;
            failed = 1;
        }
    }
    return failed ? -1 : 0;
}

int rl_calibration_pool(const struct rl_calibration *c, size_t n, const char *op,
                        const char *dtype, struct rl_score *out, struct rl_error *err)
{
    size_t rows = 0, k = 0;
    for (size_t i = 0; i < n; i++)
        rows += c[i].n;
    struct rl_outcome *all = rl_alloc(rows + 1, sizeof *all, err);
    if (!all)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const struct rl_sample *key = c[i].key;
        if (c[i].refused || c[i].by_row || strcmp(key->op->name, op) ||
            (dtype && strcmp(dtype, rl_dtype(key->dtype)->name)))
            continue;
        memcpy(all + k, c[i].outcome, c[i].n * sizeof *all);
        k += c[i].n;
    }
    int rc = rl_score(all, NULL, k, out, err);
    free(all);
    return rc;
}
