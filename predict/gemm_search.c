/* GEMM: the fastest of a library's tiles and of the splits of k. */
#include "gemm_call.h"

#include <math.h>

/* In 16 bits on mma.sync parts up to 32: 64 would make a small output 7 to 9 % too fast
 * on A100, L40S and RTX PRO 6000 (three stacks each); fp8 shows nothing of it. */
static const double splits[] = {1, 2, 3, 4, 6, 8, 16, 32, 64};
enum { NSPLITS = sizeof splits / sizeof *splits };
static const double LANES = 32;  /* threads of a warp */
static const double UNITS = 4;   /* quarters of an SM, a warp each */
static const double FIRST = 0.5; /* of a pipeline's first loads, hidden by nothing */
/* SMs of a full GPC of wgmma and tcgen05 parts (CUTLASS tile_scheduler_params.h). */
enum { GPC = 18 };

/* fmax() of two numbers; inlined, where libm's is a call. */
static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

/* A tile on this call: what each of its SMs has to do, k whole. */
struct part {
    double per_sm;   /* CTAs per SM */
    double area;     /* of the tile */
    double fma;      /* s of one CTA: multiply-adds */
    double load;     /* operands from L2, of all CTAs alike */
    double full;     /* the same of one without an edge */
    double resident; /* CTAs of an SM side by side */
    double store;    /* s of one CTA: its output */
    double once;     /* s per wave */
    double few;      /* s of the DRAM traffic that so few CTAs ask for */
    double held;     /* s that rows beyond m hold up all CTAs */
    double used;     /* share of the SMs that its clusters fill */
    double least;    /* cube of seconds: no split is faster */
    bool persistent;
    bool known; /* of a dispatch table */
};

/* Bytes of one k that a CTA reads from L2 itself; its neighbours in the cluster give it
 * the rest. */
static double read_bytes(const struct rl_gemm *g, const struct rl_gemm_tile *t,
                         double rows, double cols)
{
    double x = rows * g->xb, w = cols * g->wb;
    if (g->cluster == 0)
        return x / t->cn + w / t->cm;
    double half_x = g->n > t->b ? x / 2 : x, half_w = g->m > t->a ? w / 2 : w;
    return g->cluster > 2 ? half_x + half_w : fmin(x + half_w, half_x + w);
}

/* Multiply-adds of one k that a tile's time stands for.  Tensor units of wgmma and
 * tcgen05 read both operands from shared memory, which keeps up with them only where the
 * tile is wide: 64 x 64 takes as long as 64 x 96 on tcgen05, 16 x 64 as 72 x 64, 128 x
 * 128 what it has.  Each CTA of a pair holds half of the narrower operand. */
static double work_of(const struct rl_gemm *g, const struct rl_gemm_tile *t)
{
    double narrow = t->a < t->b ? t->a : t->b, wide = t->a + t->b - narrow;

    return larger(t->a * t->b, g->read_row * (wide + narrow / 2));
}

/* CUTLASS 2 stores its output in steps of a few rows, one after another, whatever of
 * them is beyond m and n; two SMs share what they store through.  Fewer than four warps
 * on an SM leave tensor units idle. */
static void cutlass2(const struct rl_gemm *g, const struct rl_gemm_cta *cta,
                     struct part *p)
{
    double steps = p->area / (LANES * cta->warps * cta->vec);
    double pairs = p->per_sm > 0.5; /* the slowest CTA counts: does a pair have two? */
    double warps = cta->warps * fmin(cta->resident, fmax(p->per_sm, 1));

    p->resident = cta->resident;
    p->fma *= fmax(1, UNITS / warps);
    p->once += RL_GEMM_US * (g->c[RL_G_STEP] * steps + g->c[RL_G_EXTRA] * cta->extra) *
               (1 + g->c[RL_G_PAIR] * pairs);
}

/* SMs that clusters of `ctas` fill, one CTA each: a cluster stays within a GPC, so that
 * clusters of four leave 16 of B200's 148 SMs idle. */
static double usable(double sm, double ctas)
{
    if (ctas <= 1 || sm <= ctas)
        return sm;
    int all = (int)sm, of = (int)ctas, idle = all / GPC * (GPC % of) + all % GPC % of;
    return sm - idle;
}

/* On Hopper a last row of clusters of which one CTA lies beyond m takes twice as long
 * (measured, vLLM and SGLang with the same kernel: 257 rows of 10240 x 6144 81 us, 225 of
 * 10240 x 5120 43; 1281 of 10240 x 5120 200.9, 1536 140.9; why, is not known).  Rows
 * were measured up to the multiples of 256 and one beyond: taken to hold for all that
 * leave the CTA empty, for a CTA with 1 to 127 rows of 128 shows nothing of the kind, and
 * for the tile of 256 rows too, of which no such row was measured. */
static struct part part_of(const struct rl_gemm *g, const struct rl_gemm_tile *t)
{
    double area = t->a * t->b;
    double rows = t->a < g->m ? t->a : g->m, cols = t->b < g->n ? t->b : g->n;
    double high = rl_whole(g->m / (t->a * t->cm)), wide = rl_whole(g->n / (t->b * t->cn));
    double grid_m = high * t->cm, grid_n = wide * t->cn; /* CTAs, of whole clusters */
    double used = usable(g->sm, t->cm * t->cn);
    if (g->hopper && t->persistent && rl_whole(g->m / t->a) < high * t->cm)
        high++;
    double per_sm = t->cm * high * grid_n / used;
    double beyond = larger(g->beyond, t->beyond);
    double read = g->m / grid_m + beyond * fmax(0, t->a - g->m / grid_m);
    struct part p = {
        .per_sm = per_sm,
        .area = area,
        .fma = g->fma_s * (work_of(g, t) + g->c[RL_G_TILE] * (t->a + t->b)) *
               fmax(1, t->slow),
        .load = g->l2_s * read_bytes(g, t, read, g->n / grid_n),
        .full = g->l2_s * read_bytes(g, t, rows, cols),
        .resident = 1,
        .store = g->epilogue_s * RL_GEMM_OUT * rows * cols,
        .few = g->few_s / per_sm,
        .held = g->held_s * grid_n * (high * t->a - g->m),
        .used = used / g->sm,
        .persistent = t->persistent,
        .known = t->persistent || t->cta.warps > 0,
    };
    if (g->hopper && t->persistent) /* the fullest of a cluster sets its pace */
        p.load = p.full;
    p.once = g->ramp_s + p.store;
    if (t->cta.warps > 0)
        cutlass2(g, &t->cta, &p);
    double chain = t->persistent ? 0 : g->chain_s / p.resident;
    double core3 = rl_cube(p.fma) + rl_cube(g->l2_idle * p.load) + rl_cube(chain);
    p.least = rl_cube(per_sm) * core3 + g->dram3;
    return p;
}

/* Seconds that an SM multiplies and writes. All CTAs ask L2 at once for what their
 * pipelines hold, and half of that nothing hides (none seen on wgmma and tcgen05 parts,
 * and half is what fits shapes left out). Of the output of one CTA and the
 * multiply-adds of the next the longer counts, and of the shorter the share `exposed`.
 * A step of k takes a persistent kernel as long as its multiply-adds or the wait for
 * them, and all SMs together do what the part sustains. */
static double tensor_of(const struct rl_gemm *g, const struct part *p, double per,
                        double waves, double share)
{
    double fma = p->fma * share;
    double first = FIRST * p->load * (share < g->first ? share : g->first);
    double once = p->once + first * (per < 1 ? per : 1);
    if (p->persistent) {
        fma = larger(fma, g->chain_s * share);
        fma = larger(fma, per / waves * p->used * p->area * g->pipe_s * share);
    }
    bool multiplies = fma > once;
    double longer = multiplies ? fma : once, shorter = multiplies ? once : fma;
    return fma + once + (waves - 1) * (longer + shorter * g->c[RL_G_EXPOSED]);
}

/* What the CTAs of `per` an SM read from L2, s; k whole but for `share`. */
static double l2_of(const struct rl_gemm *g, const struct part *p, double per,
                    double waves, double share)
{
    double rate = per < 1 ? larger(per, g->l2_idle) : 1;
    double l2 = larger(per * p->load * rate, waves * g->port * p->full);
    return l2 * share * g->l2_rows;
}

static double chain_of(const struct rl_gemm *g, const struct part *p, double per,
                       double share)
{
    double turns = per > p->resident ? per / p->resident : 1;
    return p->persistent ? 0 : g->chain_s * share * turns;
}

/* Cube of the seconds of DRAM's traffic, and few where CTAs ask for too little of it; a
 * persistent kernel's last loads come after everybody's. */
static double memory3(const struct part *p, double dram, double few)
{
    return p->persistent ? rl_cube(dram + few) : rl_cube(dram) + rl_cube(few);
}

/* Cube of the seconds of DRAM's traffic: its rate for whole waves, and for the CTAs of
 * the last one no less than each of them takes alone. */
static double traffic3(const struct part *p, double per, double dram, double few)
{
    if (p->persistent || per <= p->resident)
        return memory3(p, dram, few);
    double waves = per / p->resident, before = dram * (rl_whole(waves) - 1) / waves;
    return rl_cube(before + rl_cbrt(rl_cube(dram - before) + rl_cube(few)));
}

/* Cube of seconds where a known tile's last wave leaves SMs idle (tensor: of all waves;
 * both: see try_split): it takes as long as any CTA does, and what the earlier waves wait
 * for memory does not hide it, nor does its own multiplying hide their traffic (6144 x
 * 65536 of 112 rows in 1.02 waves on RTX PRO 6000, vLLM: 405 us; DRAM 272, multiplying
 * 222). */
static double by_waves(const struct rl_gemm *g, const struct part *p, double share,
                       double tensor, double dram, double both)
{
    double per = p->per_sm, whole = floor(per + 1e-9), rest = per - whole;
    double first = whole / per, last = 1 - first, few = p->few * share;
    double before = tensor_of(g, p, whole, whole, share);
    double after = larger(0, tensor - before);
    double a = rl_cube(before) + rl_cube(l2_of(g, p, whole, whole, share)) +
               rl_cube(chain_of(g, p, whole, share)) +
               memory3(p, dram * first, few * first) - rl_cube(both * first);
    double b = rl_cube(after) + rl_cube(l2_of(g, p, rest, 1, share)) +
               rl_cube(chain_of(g, p, rest, share)) + memory3(p, dram * last, few) -
               rl_cube(both * last);

    return rl_cube(rl_cbrt(a) + rl_cbrt(b));
}

/* One tile, k split into parts of `share`; dram: s of its traffic. Output that L2 has no
 * room for goes on to DRAM while the CTAs store it: what both take is counted once.
 * Cube of seconds without the reduction. */
static double try_split(const struct rl_gemm *g, const struct part *p, double split,
                        double share, double dram, struct rl_gemm_best *out)
{
    double per = p->per_sm * split, even = per > 1 ? per : 1;
    double waves = even + g->c[RL_G_WAVE] * (rl_whole(per) - even);
    out->tensor = tensor_of(g, p, per, waves, share);
    out->l2 = l2_of(g, p, per, waves, share);
    out->pipe = waves * share * p->area * g->pipe_s;
    out->persistent = p->persistent;
    out->per_sm = per;
    out->core3 =
        rl_cube(out->tensor) + rl_cube(out->l2) + rl_cube(chain_of(g, p, even, share));
    double stored = per * p->store, both = stored < g->out_s ? stored : g->out_s;
    double all = out->core3 + traffic3(p, per, dram, p->few * share) - rl_cube(both);

    all = larger(all, rl_cube(p->held));
    if (!g->by_waves || !p->known || per <= 1 || rl_whole(per) - per < 1e-6)
        return all;
    return larger(all, by_waves(g, p, share, out->tensor, dram, both));
}

/* The best of all tiles and splits, its CTAs' start counted: few CTAs of a large tile may
 * be done before many of a small one have begun.  One split of all tiles at a time: the
 * reduction is the same for them, so that cubes compare, and a tile whose least
 * time is beyond what a split leaves is out for every further one. */
void rl_gemm_search(const struct rl_gemm *g, const struct rl_gemm_tile *tile, int n,
                    bool split, struct rl_gemm_best *best)
{
    struct part part[RL_GEMM_MAXTILES];
    struct rl_gemm_best now = {0};
    int left = 0;
    for (int i = 0; i < n; i++)
        if (g->m > tile[i].below &&
            !(g->no_square && tile[i].a == 128 && tile[i].b == 128))
            part[left++] = part_of(g, &tile[i]);
    for (int i = 0; i < (split ? NSPLITS : 1) && left; i++) {
        double s = splits[i], reduce = s > 1 ? g->reduce_s + (s + 1) * g->part_s : 0;
        double room = best->seconds - reduce, cubes = rl_cube(room);
        double fill = g->c[RL_G_FILL], share = 1 / s;
        double dram = g->dram_s + g->in_s * fill / (fill + g->k * share);
        int in = left;
        bool better = false;
        if (s > 1 && (s > g->most_parts || g->k < g->k_step * s || cubes <= g->dram3))
            break;
        left = 0;
        for (int j = 0; j < in; j++) {
            const struct part *p = &part[j];
            if (p->least >= cubes || (s > 1 && p->per_sm * s > g->split_ctas))
                continue;
            double c = try_split(g, p, s, share, dram, &now);
            double t = c < cubes ? rl_cbrt(c) + rl_gemm_start(g, now.per_sm) : room;
            if (t < room) {
                room = t;
                cubes = rl_cube(t);
                *best = now;
                better = true;
            }
            part[left++] = *p;
        }
        if (!better)
            continue;
        best->reduce = reduce;
        best->seconds = reduce + room;
    }
    best->seconds -= rl_gemm_start(g, best->per_sm);
}
