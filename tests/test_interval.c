/* Intervals from errors on rows left out: how their width goes with the time of a
 * call, and what few shapes or rows allow to say. */
#include "test.h"

#include "interval.h"

enum { SHAPES = 12, TIMES = 25, ROWS = SHAPES * TIMES };

struct made {
    struct rl_sample row[ROWS];
    int fold[ROWS];
    double error[ROWS], seconds[ROWS], scratch[3 * ROWS];
    struct rl_left_out e;
};

/* Of 10 µs to 10 ms; log errors of sd 0.1 at 316 µs that go with t^power, in a
 * fixed order of normal quantiles (within 0.005). */
static void make(struct made *m, double power)
{
    memset(m, 0, sizeof *m);
    for (int i = 0; i < ROWS; i++) {
        double u = (fmod(i * 0.6180339887, 1) + 0.002) / 1.004;
        double v = fmax(u, 1 - u), z = 5.5556 * (1 - pow((1 - v) / v, 0.1186));
        m->row[i].op = rl_op_find("gemm");
        m->row[i].p[1] = m->row[i].p[2] = 64 * (1 + i / TIMES);
        m->fold[i] = i / TIMES % 5;
        m->seconds[i] = 1e-5 * pow(1000, (double)(i % TIMES) / (TIMES - 1));
        m->error[i] = (u < 0.5 ? -0.1 : 0.1) * z * pow(m->seconds[i] / 3.16e-4, power);
    }
    m->e = (struct rl_left_out){.row = m->row,
                                .n = ROWS,
                                .fold = m->fold,
                                .error = m->error,
                                .seconds = m->seconds,
                                .scratch = m->scratch};
}

static double covered(const struct made *m, const struct rl_residual *r)
{
    int inside = 0;
    for (int i = 0; i < ROWS; i++) {
        double at = rl_spread_at(&r->spread, m->seconds[i]);
        inside += m->error[i] >= at * r->lo && m->error[i] <= at * r->hi;
    }
    return inside / (double)ROWS;
}

Test(interval, long_calls_scatter_less)
{
    static struct made m;
    struct rl_residual r;

    make(&m, -0.3);
    rl_residual_of(&m.e, -1, &r);
    cr_expect(r.spread.power < -0.15 && r.spread.power > -0.35, "power %g",
              r.spread.power);
    cr_expect(r.hi > 0.14 && r.hi < 0.22 && r.lo < -0.14 && r.lo > -0.22, "%g to %g",
              r.lo, r.hi);
    double all = covered(&m, &r);
    cr_expect(all > 0.88 && all < 0.95, "%g", all);
    double width = r.hi * rl_spread_at(&r.spread, 1e-5);
    cr_expect_gt(width, 2.5 * r.hi * rl_spread_at(&r.spread, 1e-2));
    /* beyond nine rows in ten the ends' spread stays */
    expect_near(rl_spread_at(&r.spread, 1), rl_spread_at(&r.spread, r.spread.to), 0);
    expect_near(rl_spread_at(&r.spread, sqrt(r.spread.from * r.spread.to)), 1, 1e-12);
}

Test(interval, alike_at_all_times)
{
    static struct made m;
    struct rl_residual r;

    make(&m, 0);
    rl_residual_of(&m.e, 2, &r);
    cr_expect(fabs(r.spread.power) < 0.06, "power %g", r.spread.power);
}

/* One side may be all that a few shapes show; single rows say nothing of times that
 * another shape takes. */
Test(interval, few_shapes_are_alike_at_all_times_and_both_sides)
{
    static struct made m;
    struct rl_residual r;

    make(&m, -0.3);
    m.e.few = true;
    rl_residual_of(&m.e, -1, &r);
    cr_expect_eq(r.spread.power, 0);
    expect_near(r.hi, -r.lo, 0);
    cr_expect(rl_residual_is_few(5, 1000, false) && !rl_residual_is_few(6, 12, false));
    cr_expect(rl_residual_is_few(1, 18, true) && !rl_residual_is_few(1, 19, true));
}

/* Three shapes, one of which errs far more than the others: the stretch that would hold
 * it ends at what the operator's prior leaves open. */
Test(interval, few_shapes_are_no_wider_than_the_prior)
{
    static struct made m;
    struct rl_residual r;

    make(&m, 0);
    m.e.n = 3 * TIMES;
    m.e.few = true;
    for (int i = 0; i < 3 * TIMES; i++)
        m.error[i] = i < TIMES ? 0.5 : 0.02;
    rl_residual_of(&m.e, -1, &r);
    cr_expect(r.hi >= 0.5 && r.hi <= 1.645 * m.row[0].op->log_sd + 1e-12, "hi %g", r.hi);
    expect_near(r.lo, -r.hi, 0);
}
