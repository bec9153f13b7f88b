/* Kernel model of routed experts: router glue, two grouped GEMMs, combination.
 *
 * Rows (token, expert) are sorted by expert; each expert's rows are padded to
 * tiles of b rows.  First product [rows, h]·[h, G·F] (G 2 where gated), second
 * [rows, F]·[F, h], F = inter/tp.  A CTA computes b × 128 of one; how many row
 * tiles there are follows from the spread of loads (see `spread`): an expert
 * with one row costs a whole tile and all of its weights.  Per product:
 *   p-norm of  tensor time of the tiles in whole waves,
 *              operands from L2, weights of the touched experts from DRAM,
 *              the serial chain of one CTA over k;
 * the cheapest row tile is taken, or (`rule` 1) what vLLM's and SGLang's Triton
 * kernel takes without a tuned table: 16 rows and half the columns while there are no
 * more tokens than experts, then 64 rows; `rule` 2: that, but the cheapest for the
 * shapes whose tables the package has (moe_tables.c), in rows and columns.
 * On a part of slower tensor units the rest hides behind them (rl_behind_tensor).
 * Around them: a fixed time, a time per expert (sorting, scheduling), and passes over
 * the permuted rows.
 * Ignores: the router's product (gemm), shared experts (gemm), the heaviest
 * rank under ep (even share), persistence and overlap between both products.
 */
#include "kern_root.h"
#include "kernels.h"
#include "moe_tables.h"
#include "ops.h"

#include <gsl/gsl_math.h>
#include <math.h>

enum {
    FIX,
    EXPERT,
    GLUE,
    TOKEN,
    EFF,
    H0,
    KLAT,
    RAMP,
    DRAM,
    SAT,
    L2,
    KEEP,
    COPIES,
    SHARE,
    WAVE,
    CLK,
    DEQ,
    ODD,
    LEAST,
    MOST,
    NTILE,
    PAD,
    RULE
};

const struct rl_coef rl_kern_moe_coef[] = {
    {"fixed", "us", RL_C_LOG, 18, 3, 400, 0.5, "launches: top-k, sort, combination"},
    {"expert", "us", RL_C_LOG, 1.8, 0.01, 200, 1, "of 128 experts: sort and schedule"},
    {"glue", "1", RL_C_LOG, 1.5, 0.2, 40, 0.7, "passes over the permuted rows"},
    {"token", "1", RL_C_LOG, 2, 0.2, 60, 0.7, "passes over the tokens themselves"},
    {"eff", "1", RL_C_PEAK, 0.9, 0.1, 1.2, 0.25, "tensor peak reached by a large tile"},
    {"tile", "1", RL_C_LOG, 13, 0.5, 300, 0.7, "ab/(a+b) at which a tile reaches half"},
    {"klat", "us", RL_C_LOG, 1, 0.05, 20, 0.7, "1024 dependent k steps of one CTA"},
    {"ramp", "us", RL_C_LOG, 0.5, 0.01, 10, 0.8, "one wave's pipeline fill"},
    {"dram", "1", RL_C_DRAM, 0.8, 0.25, 1, 0.15, "DRAM peak reached"},
    {"sat", "1", RL_C_LOG, 1.5, 0.1, 20, 0.6, "CTAs per SM that saturate"},
    {"l2", "1", RL_C_LOG, 1.7, 0.05, 6, 0.5, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.87, 0.05, 2, 0.5, "share of L2 that repeats find"},
    {"copies", "1", RL_C_LOG, 1.5, 0.8, 8, 0.5, "weights in turn in the benchmark"},
    {"share", "1", RL_C_LOG, 3000, 64, 100000, 1, "rows that one load of weights serves"},
    {"wave", "1", RL_C_LINEAR, 0.5, 0, 1, 0.4, "share of wave quantisation"},
    {"clock", "1", RL_C_LOG, 0.05, 0.005, 1, 0.8, "slow-down in long compute"},
    {"dequant", "1", RL_C_LOG, 0.3, 0.01, 20, 1, "weights unpacked, vector FLOP each"},
    {"odd", "1", RL_C_LOG, 4, 0.3, 1000, 1, "elements a clock and SM load, odd rows"},
    {"least", "1", RL_C_CHOICE, 1, 0, 4, 0, "smallest row tile: 8, 16, 32, 64, 128"},
    {"most", "1", RL_C_CHOICE, 1, 0, 2, 0, "largest row tile: 64, 128, 256"},
    {"ntile", "1", RL_C_CHOICE, 1, 0, 2, 0, "columns of a tile: 64, 128, 256"},
    {"pad", "1", RL_C_CHOICE, 0, 0, 2, 0, "F is a multiple of: 1, 128, 256"},
    {"rule", "1", RL_C_CHOICE, 0, 0, 2, 0,
     "tile: 0 cheapest, 1 Triton's, 2 or its tables'"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

/* The tables are those of vLLM's and SGLang's packages. */
double rl_kern_moe_most(const char *runtime, const char *impl, int i)
{
    (void)impl; /* the library is the runtime's */
    return i == RULE && rl_begins(runtime, "trtllm") ? 1 : rl_kern_moe_coef[i].max;
}

/* How loads spread over experts: what is needed to count row tiles. */
struct spread {
    double rows, experts, touched; /* of this rank */
    double routing;
    /* power law: load = scale·x, x of density x^(q − 1) on [lo, hi] */
    double q, scale, lo, hi, lo_q, hi_q, one_q, two_q, per_mass;
};

static double ceil_count(double x)
{
    double whole = (double)(long long)x;
    return whole < x ? whole + 1 : whole;
}

/* Power law: experts with more than y rows, and the rows they have above y;
 * y_q = y^q. */
static void above(const struct spread *s, double y, double y_q, double *experts,
                  double *rows)
{
    double x = y / s->scale, x_q = s->one_q * y_q;
    if (x < s->lo) {
        x = s->lo;
        x_q = s->lo_q;
    } else if (x > s->hi) {
        x = s->hi;
        x_q = s->hi_q;
    }
    *experts = s->per_mass * (s->hi_q - x_q) / s->q;
    double sum = s->per_mass * (s->hi_q * s->hi - x_q * x) / (s->q + 1);
    *rows = s->scale * (sum - *experts * x);
}

/* As rl_moe_distinct, with what the tiles need kept.  Some rank has the one expert
 * that a token must touch: a share of it for each, as of all others. */
static void power_law_spread(struct spread *s, double tokens, double all_rows, double all)
{
    bool many = all_rows > all;
    s->q = 1 - s->routing;
    if (fabs(s->q) < 1e-6)
        s->q = 1e-6;
    if (fabs(s->q + 1) < 1e-6)
        s->q = -1 + 1e-6;
    s->lo = many ? 1 : 0.01;
    s->hi = many ? fmax(0.8 * tokens, 1.001) : 2;
    s->lo_q = many ? 1 : pow(0.01, s->q);
    s->hi_q = pow(s->hi, s->q);
    double mass = (s->hi_q - s->lo_q) / s->q;
    double sum = (s->hi_q * s->hi - s->lo_q * s->lo) / (s->q + 1);
    s->scale = s->rows / s->experts * mass / sum;
    s->per_mass = s->experts / mass;
    s->one_q = pow(s->scale, -s->q);
    s->two_q = exp2(s->q);
    double experts, rows, half_q = 1 / s->two_q;
    above(s, 0.5, half_q, &experts, &rows);
    double lost = s->rows - (rows + 0.5 * experts); /* rounded to nothing */
    double touched = fmin(fmin(s->experts, s->rows), fmax(experts, lost));
    s->touched = fmax(s->rows / all_rows, touched);
}

/* Row tiles of b = 2^log2 rows: every touched expert has one, and one more for
 * every further b rows begun. */
static double row_tiles(const struct spread *s, double b, int log2)
{
    double mean = s->rows / s->experts, experts, rows;
    if (s->routing == 0) {
        mean = s->rows / s->touched;
        double low = floor(mean), more = mean - low;
        return s->touched *
               ((1 - more) * ceil_count(low / b) + more * ceil_count((low + 1) / b));
    }
    if (s->routing > 0) {
        double y_q = s->two_q * s->two_q * s->two_q;
        for (int i = 3; i < log2; i++)
            y_q *= s->two_q;
        above(s, b, y_q, &experts, &rows);
    } else {
        /* independent choices: about Poisson, here by a hyperbola of its width */
        double d = mean - b, root = sqrt(d * d + 0.64 * mean);
        experts = s->experts * 0.5 * (1 + d / root);
        rows = s->experts * 0.5 * (d + root);
    }
    return fmin(s->touched + 0.5 * experts + rows / b, s->rows);
}

static void spread_init(struct spread *s, const double *p)
{
    double n = p[RL_MOE_TOKENS], k = p[RL_MOE_TOPK], e = p[RL_MOE_EXPERTS];
    double ep = p[RL_MOE_EP];
    s->routing = p[RL_MOE_ROUTING];
    s->rows = n * k / ep;
    s->experts = e / ep;
    if (s->routing > 0)
        power_law_spread(s, n, n * k, e);
    else
        s->touched = rl_moe_distinct(n, k, e, s->routing) / ep;
}

/* One grouped product for one row tile: seconds, and its parts. */
struct product {
    double n, k;      /* columns and depth */
    double dram, act; /* seconds of its weights from DRAM; bytes per activation */
    double alone;     /* seconds of one expert's weights from DRAM */
    double odd;       /* seconds per element loaded, rows not aligned */
    double wb;        /* bytes per weight, as the tensor core's operand is loaded */
};

struct rates {
    double sm_peak, l2_sm, per_sm, klat, ramp, h0, wave, sat, deq;
    double slow, pipe_sm; /* rl_machine.slow; what such units sustain */
};

static double product_time(const struct product *g, const struct rates *r, double b,
                           double bn, double tiles, double *tensor)
{
    double per = tiles * ceil_count(g->n / bn) * r->per_sm;
    double waves = r->wave * ceil_count(per) + (1 - r->wave) * (per > 1 ? per : 1);
    double k = 64 * ceil_count(g->k / 64);
    double step = 2 * (b * bn + r->h0 * (b + bn)) / r->sm_peak;
    *tensor = waves * (k * (step + r->deq * bn + g->odd * (b + bn)) + r->ramp);
    if (r->slow > 1)
        *tensor = rl_behind_tensor(*tensor, waves * k * 2 * b * bn / r->pipe_sm, r->slow);
    double l2 = waves * k * (b * g->act + bn * g->wb) / r->l2_sm;
    double lat = g->alone / (ceil_count(g->n / bn) * r->per_sm * r->sat);
    double chain = r->klat * k * (per > 1 ? per : 1);
    return sqrt(gsl_pow_2(*tensor) + gsl_pow_2(l2) + gsl_pow_2(g->dram) + gsl_pow_2(lat) +
                gsl_pow_2(chain));
}

/* One call on one machine, reduced to what the search over row tiles needs. */
struct call {
    double h, f, wide; /* model width; F of one rank as stored; the first's columns */
    enum { CHEAPEST, DEFAULT, TUNED } tiles;
    struct spread spread;
    struct rates rate;
    struct product up, down;
};

static void rates_init(struct rates *r, const struct rl_dtype_info *dt,
                       const struct rl_machine *m, const double *c)
{
    double slow = rl_slow(m, dt->unit);
    *r = (struct rates){.sm_peak = m->peak[dt->unit] * slow / m->sm * c[EFF],
                        .slow = slow,
                        .pipe_sm = rl_pipe(m, dt->unit) / m->sm,
                        .l2_sm = c[L2] * m->l2_bw / m->sm,
                        .per_sm = 1 / m->sm,
                        .klat = c[KLAT] * 1e-6 / 1024,
                        .ramp = c[RAMP] * 1e-6,
                        .h0 = c[H0],
                        .wave = c[WAVE],
                        .sat = c[SAT]};
    if (dt->weight_only)
        r->deq = c[DEQ] / (m->peak[RL_FP32] / m->sm);
}

/* Both products, with the weights that they read from DRAM (`one`: of an expert). */
static void products_init(struct call *g, const struct rl_dtype_info *dt, double odd,
                          const struct rl_machine *m, const double *c)
{
    const struct spread *s = &g->spread;
    double wb = dt->bits / 8, one = (g->wide + g->f) * g->h * wb;
    double room = c[KEEP] * m->l2_bytes + 1;
    double over = gsl_pow_4(c[COPIES] * s->touched * one / room);
    double miss = m->warm > 0 ? over / (1 + over) : 1;
    double dram = (miss / (c[DRAM] * m->dram_peak) + (1 - miss) / (c[L2] * m->l2_bw));
    /* Row tiles far apart read an expert's weights again, unless L2 keeps them. */
    double again = gsl_pow_4(one / room);
    double loads = s->touched + s->rows / c[SHARE] * again / (1 + again);
    double row = g->h * wb * dram, all = loads * row;
    double up = g->wide, down = g->f;
    g->up = (struct product){up, g->h, all * up, dt->act_bytes, row * up, 0, wb};
    g->down =
        (struct product){g->h, down, all * down, dt->act_bytes, row * down, odd, wb};
}

/* How the tiles of a call come about; f: inter of one rank. */
static int tiles_by(const double *p, const struct rl_machine *m, const double *c,
                    double f)
{
    const struct rl_dtype_info *dt = rl_dtype((enum rl_dtype)p[RL_MOE_DTYPE]);
    if (c[RULE] < 1)
        return CHEAPEST;
    bool tables = c[RULE] > 1 && dt->bits == 16;
    return tables && rl_moe_is_tuned(m->cc, p[RL_MOE_EXPERTS] / p[RL_MOE_EP], f)
               ? TUNED
               : DEFAULT;
}

static void call_init(struct call *g, const double *p, const struct rl_machine *m,
                      const double *c)
{
    const struct rl_dtype_info *dt = rl_dtype((enum rl_dtype)p[RL_MOE_DTYPE]);
    double f = ceil_count(p[RL_MOE_INTER] / p[RL_MOE_TP]);
    /* Triton and others load element-wise where rows are not multiples of 16 */
    double odd = fmod(f, 16) > 0 ? 1 / (c[ODD] * m->clock_hz) : 0;
    if (c[PAD] > 0) {
        f = 128 * c[PAD] * ceil_count(f / (128 * c[PAD]));
        odd = 0;
    }
    g->tiles = tiles_by(p, m, c, f);
    g->h = p[RL_MOE_HIDDEN];
    g->f = f;
    g->wide = (p[RL_MOE_MATRICES] - 1) * f;
    spread_init(&g->spread, p);
    rates_init(&g->rate, dt, m, c);
    products_init(g, dt, odd, m, c);
}

/* Indices, first and last, of the row and column tiles that the library picks from. */
struct menu {
    int row[2], column[2];
};

static struct menu menu_of(const struct call *g, const double *p, const double *c)
{
    int column = 1 + (int)c[NTILE], most = (int)fmax(3 + c[MOST], c[LEAST]);
    bool small = p[RL_MOE_TOKENS] <= p[RL_MOE_EXPERTS];
    if (g->tiles == DEFAULT && small)
        return (struct menu){{1, 1}, {column - 1, column - 1}};
    if (g->tiles == DEFAULT)
        return (struct menu){{3, 3}, {column, column}};
    if (g->tiles == TUNED)
        return (struct menu){{(int)c[LEAST], most}, {1, 3}};
    return (struct menu){{(int)c[LEAST], most}, {column, column}};
}

/* Both products in the tile that the library takes; *tensor: of it, the products. */
static double best_tile(const struct call *g, const double *p, const double *c,
                        double *tensor)
{
    static const double row[] = {8, 16, 32, 64, 128, 256}, column[] = {32, 64, 128, 256};
    const struct menu m = menu_of(g, p, c);
    double best = INFINITY;
    for (int i = m.row[0]; i <= m.row[1]; i++) {
        double b = row[i], tiles = row_tiles(&g->spread, b, 3 + i), t1, t2;
        for (int j = m.column[0]; j <= m.column[1]; j++) {
            double t = product_time(&g->up, &g->rate, b, column[j], tiles, &t1) +
                       product_time(&g->down, &g->rate, b, column[j], tiles, &t2);
            if (t < best) {
                best = t;
                *tensor = t1 + t2;
            }
        }
    }
    return best;
}

static double glue_time(const struct call *g, const double *p, const struct rl_machine *m,
                        const double *c)
{
    double permuted = c[GLUE] * g->spread.rows * (2 * g->h + g->wide + g->f);
    double bytes = 2 * (permuted + c[TOKEN] * p[RL_MOE_TOKENS] * g->h);
    double fit = fmin(bytes, 0.5 * m->l2_bytes);
    return fit / m->l2_bw + (bytes - fit) / m->dram;
}

double rl_kern_moe_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS])
{
    struct call g = {0};
    double tensor = 0;
    call_init(&g, p, m, c);
    double best = best_tile(&g, p, c, &tensor);
    double held = g.rate.slow > 1 ? 0 : c[CLK]; /* pipe_sm is sustained */
    best *= 1 + held * (1 - exp(-tensor / 1e-3));
    double glue = glue_time(&g, p, m, c);
    double fixed = (c[FIX] + c[EXPERT] * g.spread.experts / 128) * 1e-6;
    if (part) {
        part[RL_B_COMPUTE] = tensor;
        part[RL_B_MEMORY] = g.up.dram + g.down.dram + glue;
        part[RL_B_LAUNCH] = fixed;
    }
    return fixed + best + glue;
}
