/* What power leaves of the matrix units' clock.  At full rate (fp16 with fp16
 * accumulation) nearly every part runs below its clock; GeForce parts in fp32
 * accumulation do half as much and hold it.
 * Ignored: several devices in turn idle and cool; a board's own power limit. */
#include "throttle.h"

#include <math.h>

/* Of its clock's peak, what a matrix product sustains that power does not hold back:
 * bursts of A100, H100, H200 and B300 0.95 to 0.99, GeForce parts at half rate. */
static const double UNTHROTTLED = 0.97;
/* Power lowers voltage and clock together: the clock that it allows goes with its power
 * 2/3 (L4 at 1.24 W an SM 1.16 GHz, L40S at 2.46 W 1.83 GHz). */
static const double POWER_TO_CLOCK = 2.0 / 3;

/* Hz of full-rate matrix units that one watt an SM allows, by compute capability: a fact
 * of the process and the chip, whatever software runs.  A matmul in 16 bits at 1024 FLOP
 * a clock and SM (zzc0721/torch-performance-test-data@9d82827, TFLOP/s at W): T4 41.9 at
 * 70; RTX A6000 123 at 300, which Orin, of the same process, is taken as; L40S 269 at 350
 * and L4 68.4 at 72; RTX PRO 6000 409 and 418 at 600. */
static const struct {
    int cc;
    double hz;
} per_watt[] = {{75, 705e6}, {86, 614e6}, {87, 614e6}, {89, 1005e6}, {120, 991e6}};

/* 0: a part whose one rate is its sheet's. */
static double watt_hz(const struct rl_machine *m)
{
    double hz = 0;

    for (size_t i = 0; i < sizeof per_watt / sizeof *per_watt; i++)
        if (m->cc == per_watt[i].cc || (per_watt[i].cc == 120 && m->cc > 120))
            hz = per_watt[i].hz;
    return hz;
}

double rl_fp16_full(const struct rl_machine *m)
{
    return watt_hz(m) > 0 ? 1024 * m->sm * m->clock_hz : 0;
}

double rl_fp16_rate(const struct rl_machine *m)
{
    double full = rl_fp16_full(m);

    if (m->peak[RL_FP16] > 0.9 * full)
        return m->rate[RL_FP16];
    double allowed = watt_hz(m) * pow(m->tdp_w / m->sm, POWER_TO_CLOCK) / m->clock_hz;
    return full * (m->tdp_w > 0 ? fmin(UNTHROTTLED, allowed) : UNTHROTTLED);
}
