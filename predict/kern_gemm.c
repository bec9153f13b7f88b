/* Kernel model of GEMM, Y[m,n] = X[m,k]·W[k,n]. */
#include "kernels.h"
#include "ops.h"

#include <math.h>
#include <string.h>

enum {
    T0,
    EFF,
    H0,
    KLAT,
    RAMP,
    EPI,
    DRAM,
    SAT,
    L2,
    PHI,
    PHIQ,
    WCOPY,
    XCOPY,
    RED,
    REDBW,
    CLK,
    WAVE,
    QBW,
    QLAT,
    QROW,
    FLOOR,
    MENU,
    NCOEF
};

const struct rl_coef rl_kern_gemm_coef[] = {
    {"fixed", "us", RL_C_LOG, 2.8, 0.3, 400, 0.5, "launch, prologue, epilogue"},
    {"eff", "1", RL_C_LOG, 0.9, 0.2, 1.2, 0.15, "tensor peak reached by a large tile"},
    {"tile", "1", RL_C_LOG, 10, 0.5, 200, 0.7, "ab/(a+b) at which a tile reaches half"},
    {"klat", "us", RL_C_LOG, 1, 0.05, 10, 0.7, "1024 dependent k steps of one CTA"},
    {"ramp", "us", RL_C_LOG, 0.3, 0.01, 5, 0.8, "one wave's pipeline fill"},
    {"epi", "1", RL_C_LOG, 1, 0.05, 20, 0.7, "output over L2 rate, after the main loop"},
    {"dram", "1", RL_C_LOG, 0.95, 0.4, 1.15, 0.1, "sustained DRAM rate reached"},
    {"sat", "1", RL_C_LOG, 2, 0.1, 20, 0.6, "CTAs per SM that saturate"},
    {"l2", "1", RL_C_LOG, 1, 0.05, 6, 0.5, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.9, 0.1, 2, 0.4, "share of L2 that repeats find"},
    {"keepq", "1", RL_C_LOG, 4, 1, 20, 0.5, "sharpness of that boundary"},
    {"copies", "1", RL_C_LOG, 5.5, 0.8, 8, 0.4, "weights in turn in the benchmark"},
    {"xcopies", "1", RL_C_LOG, 2, 0.8, 8, 0.8, "inputs in turn"},
    {"reduce", "us", RL_C_LOG, 2, 0.05, 10, 0.7, "split-K: fixed"},
    {"reducebw", "1", RL_C_LOG, 0.7, 0.05, 20, 0.7, "split-K: partials, L2 passes"},
    {"clock", "1", RL_C_LOG, 0.08, 0.005, 1, 0.8, "slow-down in long compute"},
    {"wave", "1", RL_C_LINEAR, 0.5, 0, 1, 0.4, "share of wave quantisation"},
    {"qbw", "1", RL_C_LOG, 1.5, 0.1, 30, 0.7, "quantisation passes"},
    {"qlat", "us", RL_C_LOG, 0.4, 0.005, 10, 1, "quantising 1024 elements of one row"},
    {"qrow", "us", RL_C_LOG, 0.3, 0.005, 10, 1, "quantising one row of each SM"},
    {"floor", "us", RL_C_LOG, 1, 0.5, 600, 1.2, "host time"},
    {"menu", "1", RL_C_CHOICE, 0, 0, 3, 0, "tiles the library picks from"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

struct tile {
    double a, b;
};
static const struct tile tiles[] = {
    {256, 128}, {128, 256}, {128, 128}, {64, 256}, {256, 64}, {64, 128}, {128, 64},
    {64, 64},   {32, 128},  {16, 128},  {16, 64},  {128, 32}, {256, 32}};
enum { NTILES = sizeof tiles / sizeof *tiles };
static const double splits[] = {1, 2, 3, 4, 6, 8, 16, 32, 64};
enum { NSPLITS = sizeof splits / sizeof *splits };

/* What a library that dispatches by shape launches: the first row that fits.
 * cc: from this compute capability on; m, n: up to these; a × b: tile of one SM;
 * cm × cn: CTAs of a cluster, the grid is a multiple of it. */
struct dispatch {
    int cc;
    double m, n, a, b, cm, cn;
};

/* vLLM csrc/quantization/w8a8/cutlass: scaled_mm_c2x_sm89_fp8_dispatch.cuh,
 * c3x/scaled_mm_{sm90,sm100,sm120}_fp8_dispatch.cuh. */
static const struct dispatch vllm_table[] = {
    {120, 16, 1e30, 16, 64, 1, 1},     {120, 32, 1e30, 32, 64, 1, 1},
    {120, 256, 1e30, 64, 64, 1, 1},    {120, 1e30, 1e30, 128, 128, 1, 1},
    {100, 64, 1e30, 64, 64, 1, 1},     {100, 256, 1e30, 64, 128, 2, 1},
    {100, 1e30, 1e30, 128, 128, 2, 2}, {90, 64, 1e30, 64, 64, 1, 8},
    {90, 128, 1e30, 64, 128, 2, 1},    {90, 1e30, 1e30, 128, 128, 2, 1},
    {0, 16, 8192, 16, 64, 1, 1},       {0, 16, 16384, 16, 128, 1, 1},
    {0, 32, 8192, 32, 64, 1, 1},       {0, 32, 16384, 32, 128, 1, 1},
    {0, 32, 1e30, 32, 64, 1, 1},       {0, 64, 8192, 64, 64, 1, 1},
    {0, 64, 16384, 64, 128, 1, 1},     {0, 64, 1e30, 64, 64, 1, 1},
    {0, 128, 8192, 64, 128, 1, 1},     {0, 128, 16384, 128, 128, 1, 1},
    {0, 128, 1e30, 128, 64, 1, 1},     {0, 256, 4096, 64, 128, 1, 1},
    {0, 1e30, 4096, 128, 128, 1, 1},   {0, 256, 1e30, 128, 128, 1, 1},
    {0, 1e30, 8192, 256, 128, 1, 1},   {0, 1e30, 1e30, 128, 128, 1, 1},
};

/* sgl-kernel csrc/gemm/fp8_gemm_kernel.cu. */
static const struct dispatch sgl_table[] = {
    {120, 1e30, 1e30, 128, 128, 1, 1}, {100, 16, 1e30, 64, 64, 1, 4},
    {100, 64, 1e30, 64, 64, 1, 1},     {100, 256, 1e30, 64, 128, 2, 1},
    {100, 1e30, 1e30, 128, 128, 2, 2}, {90, 1, 1e30, 64, 64, 1, 8},
    {90, 64, 1e30, 64, 64, 1, 4},      {90, 256, 1e30, 64, 64, 1, 1},
    {90, 1024, 1e30, 128, 128, 1, 1},  {90, 1e30, 1e30, 128, 128, 2, 1},
    {0, 16, 8192, 16, 64, 1, 1},       {0, 16, 16384, 32, 64, 1, 1},
    {0, 16, 1e30, 16, 64, 1, 1},       {0, 64, 16384, 32, 64, 1, 1},
    {0, 64, 1e30, 16, 64, 1, 1},       {0, 128, 16384, 64, 64, 1, 1},
    {0, 128, 1e30, 32, 64, 1, 1},      {0, 256, 8192, 128, 64, 1, 1},
    {0, 256, 16384, 64, 128, 1, 1},    {0, 256, 1e30, 128, 64, 1, 1},
    {0, 1e30, 1e30, 128, 128, 1, 1},
};

static double cube(double x)
{
    return x * x * x;
}

/* ceil() of a count; inlined, where libm's is a call. */
static double ceil_count(double x)
{
    double whole = (double)(long long)x;
    return whole < x ? whole + 1 : whole;
}

double rl_kern_gemm_time(const double *p, const struct rl_machine *mc, const double *c,
                         double part[RL_NBOUNDS])
{
    double m = p[RL_GEMM_M], n = p[RL_GEMM_N], k = p[RL_GEMM_K];
    const struct rl_dtype_info *dt = rl_dtype((enum rl_dtype)p[RL_GEMM_DTYPE]);
    double wb = dt->bits / 8, ab = dt->act_bytes;
    double wbytes = n * k * wb, xbytes = m * k * ab, ybytes = m * n * 2;
    double room = c[PHI] * mc->l2_bytes + 1;
    double set = c[WCOPY] * wbytes + c[XCOPY] * xbytes + ybytes;
    double ow = pow(set / room, c[PHIQ]);
    double wmiss = mc->warm > 0 ? ow / (1 + ow) : 1;
    double set1 = c[XCOPY] > 3 ? set : wbytes + xbytes + ybytes;
    double ox = pow(set1 / room, c[PHIQ]);
    double xmiss = ox / (1 + ox);
    double sm_peak = mc->peak[dt->unit] / mc->sm * c[EFF];
    double l2_sm = c[L2] * mc->l2_bw / mc->sm;
    double dram_t = (wbytes * wmiss + (xbytes + ybytes) * xmiss) / (c[DRAM] * mc->dram);
    double dram3 = cube(dram_t);
    double best = INFINITY, bp[3] = {0, 0, 0}, per_sm = 1 / mc->sm;
    double klat = c[KLAT] * 1e-6 / 1024, ramp = c[RAMP] * 1e-6;
    double epi = c[EPI] * 2 / (mc->l2_bw / mc->sm);
    int menu = (int)c[MENU], from = 0, to = NTILES, nsplits = menu == 0 ? NSPLITS : 1;
    struct tile one = {0, 0};
    double cm = 1, cn = 1;
    if (menu >= 2) {
        const struct dispatch *r = menu == 2 ? sgl_table : vllm_table;
        while (mc->cc < r->cc || m > r->m || n > r->n)
            r++;
        one.a = r->a;
        one.b = r->b;
        cm = r->cm;
        cn = r->cn;
        to = 1;
    }
    for (int i = from; i < to; i++) {
        double a = menu >= 2 ? one.a : tiles[i].a, b = menu >= 2 ? one.b : tiles[i].b;
        double nt = cm * ceil_count(m / (a * cm)) * cn * ceil_count(n / (b * cn));
        double slow = 2 * (a * b + c[H0] * (a + b)) / sm_peak; /* s per k */
        double load = (a * ab + b * wb) / l2_sm;
        double big = a * b > 16384 ? a * b / 16384 : 1;
        double once = ramp + epi * big * (a < m ? a : m) * b;
        for (int j = 0; j < nsplits; j++) {
            double s = splits[j];
            if (s > 1 && (nt * s > 4 * mc->sm || k < 64 * s))
                break;
            double per = nt * s * per_sm, kk = k / s;
            double waves =
                c[WAVE] * ceil_count(per) + (1 - c[WAVE]) * (per > 1 ? per : 1);
            double tensor = waves * (slow * kk + once);
            double l2 = waves * load * kk;
            double lat = dram_t / (per * c[SAT]);
            double chain = klat * kk * (per > 1 ? per : 1);
            double sum = cube(tensor) + cube(l2) + dram3 + cube(lat) + cube(chain);
            double red =
                s > 1 ? c[RED] * 1e-6 + c[REDBW] * (s + 1) * m * n * 4 / mc->l2_bw : 0;
            if (red < best && sum < cube(best - red)) {
                best = red + cbrt(sum);
                bp[0] = tensor;
                bp[1] = l2;
                bp[2] = dram_t;
            }
        }
    }
    best *= 1 + c[CLK] * (1 - exp(-bp[0] / 1e-3));
    double t = c[T0] * 1e-6 + best;
    if (!dt->weight_only && dt->unit != RL_BF16 && dt->unit != RL_FP16 &&
        dt->unit != RL_FP32) {
        double bw = xmiss * mc->dram + (1 - xmiss) * mc->l2_bw * 0.5;
        t += c[QBW] * m * k * 3 / bw + c[QLAT] * 1e-6 * k / 1024 +
             c[QROW] * 1e-6 * m / mc->sm;
    }
    if (mc->warm > 0)
        t = cbrt(cube(t) + cube(c[FLOOR] * 1e-6));
    if (part) {
        part[RL_B_COMPUTE] = bp[0];
        part[RL_B_MEMORY] = fmax(bp[1], bp[2]);
        part[RL_B_LAUNCH] = c[T0] * 1e-6;
    }
    return t;
}
