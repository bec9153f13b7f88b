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

double rl_fp16_full(const struct rl_machine *m)
{
    bool half = m->cc == 75 || m->cc == 86 || m->cc == 87 || m->cc == 89 || m->cc >= 120;

    return half ? 1024 * m->sm * m->clock_hz : 0;
}

double rl_fp16_rate(const struct rl_machine *m, double watt)
{
    double full = rl_fp16_full(m);

    if (m->peak[RL_FP16] > 0.9 * full)
        return m->rate[RL_FP16];
    double allowed = watt > 0 && m->tdp_w > 0
                         ? watt * pow(m->tdp_w / m->sm, POWER_TO_CLOCK) / m->clock_hz
                         : 1;
    return full * fmin(UNTHROTTLED, allowed);
}
