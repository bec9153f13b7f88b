/* Robust fit: the variant (RL_C_CHOICE) that explains the rows best, and its
 * coefficients. Few combinations are all tried, many one choice after another; each try
 * is a descent (fit_descend.c).
 */
#include "fit.h"

#include "err.h"
#include "fit_descend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MARGIN = 0.995; /* a variant must be so much better */
enum { SHORT_ITERATIONS = 5, MAX_CHOICES = 16 };

void rl_fit_prior_of(const struct rl_op_type *op, struct rl_fit_prior *out)
{
    for (int i = 0; op->coef[i].name; i++) {
        out->center[i] = op->coef[i].prior;
        out->sd[i] = op->coef[i].prior_sd;
    }
}

static double known(const struct rl_fit_data *d, int i)
{
    const struct rl_sample *s = d->row[0];
    return rl_op_known(d->op, s->runtime, s->impl, s->dtype, i);
}

/* The values to try of choice i, from the smallest to the largest. */
static double smallest(const struct rl_fit_data *d, int i)
{
    double v = known(d, i);
    return isnan(v) ? d->op->coef[i].min : v;
}

static double largest(const struct rl_fit_data *d, int i)
{
    double v = known(d, i);
    if (!isnan(v))
        return v;
    return d->op->most ? d->op->most(d->row[0]->runtime, d->row[0]->impl, i)
                       : d->op->coef[i].max;
}

/* Steps the choice coefficients like an odometer; false after the last. */
static bool next_choice(const struct rl_fit_data *d, double *choice)
{
    const struct rl_op_type *op = d->op;
    for (int i = 0; op->coef[i].name; i++) {
        if (op->coef[i].kind != RL_C_CHOICE)
            continue;
        if (choice[i] + 1 <= largest(d, i)) {
            choice[i]++;
            return true;
        }
        choice[i] = smallest(d, i);
    }
    return false;
}

/* Combinations of the choices, at most MAX_CHOICES + 1. */
static int combinations(const struct rl_fit_data *d)
{
    const struct rl_op_type *op = d->op;
    double n = 1;
    for (int i = 0; op->coef[i].name; i++)
        if (op->coef[i].kind == RL_C_CHOICE)
            n *= largest(d, i) - smallest(d, i) + 1;
    return n > MAX_CHOICES ? MAX_CHOICES + 1 : (int)n;
}

/* Every variant from the first starting point, the best from the others too. */
static int all_choices(struct rl_fit_problem *q, struct rl_fit *out)
{
    const struct rl_coef *coef = q->d->op->coef;
    for (int i = 0; coef[i].name; i++)
        if (coef[i].kind == RL_C_CHOICE)
            q->choice[i] = smallest(q->d, i);
    int rc, tries = 0;
    do
        rc = rl_fit_descend_all(q, 0, 1, out);
    while (!rc && ++tries < MAX_CHOICES && next_choice(q->d, q->choice));
    for (int i = 0; coef[i].name; i++)
        if (coef[i].kind == RL_C_CHOICE)
            q->choice[i] = out->coef[i];
    return rc ? rc : rl_fit_descend_all(q, 1, q->d->starts, out);
}

/* Tries every value of one choice, the others as they are in *best, each with a
 * short descent from there; *better is set when one of them is. */
static int vary_choice(struct rl_fit_problem *q, int i, struct rl_fit *best, bool *better)
{
    struct rl_fit at = *best;
    for (double v = smallest(q->d, i); v <= largest(q->d, i); v++) {
        if (v == at.coef[i])
            continue;
        memcpy(q->choice, at.coef, sizeof q->choice);
        q->choice[i] = v;
        if (rl_fit_descend_from(q, at.coef, SHORT_ITERATIONS, best))
            return -1;
    }
    if (best->cost > at.cost * MARGIN)
        *best = at;
    *better |= best->cost < at.cost;
    return 0;
}

/* Too many combinations to try: one choice after another, until none helps, on
 * a thinned set of rows.  Leaves the choices in q. */
static int search_choices(struct rl_fit_problem *q, struct rl_fit *out)
{
    enum { PASSES = 3 };
    const struct rl_coef *coef = q->d->op->coef;
    int rc = rl_fit_descend_all(q, 0, 1, out);
    bool better = true;
    for (int pass = 0; !rc && better && pass < PASSES; pass++) {
        better = false;
        for (int i = 0; !rc && coef[i].name; i++)
            if (coef[i].kind == RL_C_CHOICE)
                rc = vary_choice(q, i, out, &better);
    }
    memcpy(q->choice, out->coef, sizeof q->choice);
    return rc;
}

static int thin_and_search(struct rl_fit_problem *q, struct rl_fit *out)
{
    enum { THIN = 180 };
    const struct rl_fit_data *all = q->d;
    struct rl_fit_data few = *all;
    size_t step = (all->n + THIN - 1) / THIN, n = 0;
    const struct rl_sample **row = rl_alloc(all->n, sizeof *row, NULL);
    double *logs = rl_alloc(all->n, sizeof *logs, NULL);
    int rc = row && logs ? 0 : -1;
    for (size_t i = 0; !rc && i < all->n; i += step, n++) {
        row[n] = all->row[i];
        logs[n] = q->log_measured[i];
    }
    if (!rc) {
        struct rl_fit_problem thin = *q;
        few.row = row;
        few.n = n;
        thin.d = &few;
        thin.log_measured = logs;
        struct rl_fit found = {.cost = INFINITY};
        rc = search_choices(&thin, &found);
        memcpy(q->choice, thin.choice, sizeof q->choice);
        if (!rc)
            rc = rl_fit_descend_from(q, found.coef, RL_FIT_ITERATIONS, out);
    }
    free(row);
    free(logs);
    return rc;
}

/* With few rows the choice stays the prior's: they cannot tell variants apart. */
static int run_choices(struct rl_fit_problem *q, struct rl_fit *out)
{
    enum { FEW = 20 };
    if (q->d->n < FEW)
        return rl_fit_descend_all(q, 0, q->d->starts, out);
    if (combinations(q->d) <= MAX_CHOICES)
        return all_choices(q, out);
    int rc = thin_and_search(q, out);
    return rc ? rc : rl_fit_descend_all(q, 0, q->d->starts, out);
}

/* Does any row's time change when coefficient i goes to v? */
static bool any_depends(const struct rl_fit_data *d, const double *coef, int i, double v)
{
    double moved[RL_MAXCOEFS];
    memcpy(moved, coef, sizeof moved);
    moved[i] = v;
    for (size_t r = 0; r < d->n; r++) {
        double was = d->op->time(d->row[r]->p, d->machine, coef, NULL);
        double is = d->op->time(d->row[r]->p, d->machine, moved, NULL);
        if (was < is || was > is)
            return true;
    }
    return false;
}

/* Coefficients of other variants than the one chosen, of heads that no row has … */
static void settle_idle(const struct rl_fit_data *d, struct rl_fit *out)
{
    const struct rl_coef *c = d->op->coef;
    for (int i = 0; c[i].name; i++) {
        if (c[i].kind == RL_C_CHOICE || any_depends(d, out->coef, i, c[i].min) ||
            any_depends(d, out->coef, i, c[i].max))
            continue;
        out->idle[i] = true;
        out->coef[i] = d->prior->center[i];
    }
}

int rl_fit_run(const struct rl_fit_data *d, struct rl_fit *out, struct rl_error *err)
{
    struct rl_fit_problem q;
    memset(out, 0, sizeof *out);
    out->cost = INFINITY;
    rl_fit_problem_init(&q, d);
    double *logs = rl_alloc(d->n ? d->n : 1, sizeof *logs, err);
    if (!logs)
        return -1;
    for (size_t i = 0; i < d->n; i++)
        logs[i] = log(d->row[i]->seconds);
    q.log_measured = logs;
    int rc = q.nfree ? run_choices(&q, out) : 0;
    free(logs);
    if (rc)
        return rl_fail(err, RL_ENOMEM, NULL, 0, "%s: out of memory for a fit to %zu rows",
                       d->op->name, d->n);
    if (!isfinite(out->cost))
        return rl_fail(err, RL_EVALUE, NULL, 0, "%s: the fit found no finite times",
                       d->op->name);
    settle_idle(d, out);
    return 0;
}
