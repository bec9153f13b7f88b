/* Kernel model of GEMM, Y[m,n] = X[m,k]·W[k,n]. */
#include "kernels.h"
#include "ops.h"

#include <math.h>
#include <string.h>

enum {
    T0,
    EFF,
    H0,
    K0,
    DRAM,
    SAT,
    L2,
    PHI,
    PHIQ,
    RED,
    REDBW,
    CLK,
    WAVE,
    G1,
    Q0,
    QBW,
    QROW,
    FLOOR,
    NCOEF
};

const struct rl_coef rl_kern_gemm_coef[] = {
    {"fixed", "us", RL_C_LOG, 2.8, 0.3, 400, 0.5, "launch, prologue, epilogue"},
    {"eff", "1", RL_C_LOG, 0.85, 0.2, 1.3, 0.2, "tensor peak reached by a large tile"},
    {"tile", "1", RL_C_LOG, 14, 0.5, 200, 0.7, "ab/(a+b) at which a tile reaches half"},
    {"ramp", "1", RL_C_LOG, 200, 5, 4000, 0.8, "k elements of one CTA's ramp"},
    {"dram", "1", RL_C_LOG, 0.95, 0.4, 1.15, 0.1, "sustained DRAM rate reached"},
    {"sat", "1", RL_C_LOG, 1.5, 0.1, 20, 0.6, "CTAs per SM that saturate"},
    {"l2", "1", RL_C_LOG, 0.7, 0.05, 4, 0.5, "L2 rate reached"},
    {"keep", "1", RL_C_LOG, 0.8, 0.1, 2, 0.4, "share of L2 that repeats find"},
    {"keepq", "1", RL_C_LOG, 4, 1, 20, 0.5, "sharpness of that boundary"},
    {"reduce", "us", RL_C_LOG, 1.5, 0.05, 10, 0.7, "split-K: fixed"},
    {"reducebw", "1", RL_C_LOG, 1, 0.05, 20, 0.7, "split-K: partials, L2 passes"},
    {"clock", "1", RL_C_LOG, 0.08, 0.005, 1, 0.8, "slow-down in long compute"},
    {"wave", "1", RL_C_LINEAR, 0.8, 0, 1, 0.3, "share of wave quantisation"},
    {"gemv", "1", RL_C_LOG, 1, 0.4, 2.5, 0.2, "time of m=1 relative"},
    {"qfix", "us", RL_C_LOG, 1.5, 0.05, 30, 0.8, "activation quantisation: fixed"},
    {"qbw", "1", RL_C_LOG, 1.5, 0.1, 30, 0.7, "quantisation passes"},
    {"qrow", "us", RL_C_LOG, 0.3, 0.005, 10, 1, "quantising 1024 elements of one row"},
    {"floor", "us", RL_C_LOG, 1, 0.5, 600, 1.2, "host time"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

struct tile {
    double a, b;
};
static const struct tile tiles[] = {
    {256, 128}, {128, 256}, {128, 128}, {64, 256}, {256, 64}, {64, 128}, {128, 64},
    {64, 64},   {32, 128},  {16, 128},  {16, 64},  {128, 32}, {256, 32}};
enum { NTILES = sizeof tiles / sizeof *tiles };
static const double splits[] = {1, 2, 3, 4, 6, 8, 16};
enum { NSPLITS = sizeof splits / sizeof *splits };

static double cube(double x)
{
    return x * x * x;
}

double rl_kern_gemm_time(const double *p, const struct rl_machine *mc, const double *c,
                         double part[RL_NBOUNDS])
{
    double m = p[RL_GEMM_M], n = p[RL_GEMM_N], k = p[RL_GEMM_K];
    const struct rl_dtype_info *dt = rl_dtype((enum rl_dtype)p[RL_GEMM_DTYPE]);
    double wb = dt->bits / 8, ab = dt->act_bytes;
    double bytes = n * k * wb + m * k * ab + m * n * 2;
    /* L2 */
    double x = pow(bytes / (c[PHI] * mc->l2_bytes + 1), c[PHIQ]);
    double miss = mc->warm > 0 ? x / (1 + x) : 1;
    double peak_sm = mc->peak[dt->unit] / mc->sm * c[EFF];
    double l2_sm = c[L2] * mc->l2_bw / mc->sm;
    double dram_t = bytes * miss / (c[DRAM] * mc->dram);
    double best = INFINITY, bp[3] = {0, 0, 0};
    for (int i = 0; i < NTILES; i++) {
        double a = tiles[i].a, b = tiles[i].b, h = a * b / (a + b);
        double nt = ceil(m / a) * ceil(n / b);
        double rate = peak_sm * h / (h + c[H0]);
        for (int j = 0; j < NSPLITS; j++) {
            double s = splits[j];
            if (s > 1 && (nt * s > 4 * mc->sm || k / s < 64))
                break;
            double ctas = nt * s, per = ctas / mc->sm;
            double waves = ceil(per);
            waves = c[WAVE] * waves + (1 - c[WAVE]) * fmax(per, 1);
            double kk = k / s;
            double tensor = waves * 2 * a * b * (kk + c[K0]) / rate;
            double l2 = waves * (a * ab + b * wb) * kk / l2_sm;
            double sat = 1 - exp(-per * c[SAT]);
            double dram = dram_t / sat;
            double t = cbrt(cube(tensor) + cube(l2) + cube(dram));
            if (s > 1)
                t += c[RED] * 1e-6 + c[REDBW] * (s + 1) * m * n * 4 / mc->l2_bw;
            if (t < best) {
                best = t;
                bp[0] = tensor;
                bp[1] = l2;
                bp[2] = dram;
            }
        }
    }
    if (m == 1)
        best *= c[G1];
    best *= 1 + c[CLK] * (1 - exp(-bp[0] / 1e-3));
    double t = c[T0] * 1e-6 + best;
    if (ab < 2 || (!dt->weight_only && dt->unit != RL_BF16 && dt->unit != RL_FP16)) {
        double bw = miss * mc->dram + (1 - miss) * mc->l2_bw * 0.5;
        t += c[Q0] * 1e-6 + c[QBW] * m * k * 3 / bw + c[QROW] * 1e-6 * k / 1024;
    }
    double f = c[FLOOR] * 1e-6;
    t = cbrt(cube(t) + cube(f));
    if (part) {
        part[RL_B_COMPUTE] = bp[0];
        part[RL_B_MEMORY] = fmax(bp[1], bp[2]);
        part[RL_B_LAUNCH] = c[T0] * 1e-6;
    }
    return t;
}
