/* Joining ceilings by their powers.
 *
 * rl_cbrt: cube root of a positive finite number, to 1.2e-14, in less time than libm's.
 * A third of the exponent by integer division (5 % off at worst), then Halley's
 * iteration, which cubes the error.  Ignores signs, zero, subnormals, infinity.
 */
#ifndef RL_KERN_ROOT_H
#define RL_KERN_ROOT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline double rl_cbrt(double x)
{
    uint64_t bits;
    double t;
    memcpy(&bits, &x, sizeof bits);
    bits = bits / 3 + 0x2a9f84fe36d22425;
    memcpy(&t, &bits, sizeof t);
    for (int i = 0; i < 2; i++) {
        double t3 = t * t * t;
        t -= t * (t3 - x) / (2 * t3 + x);
    }
    return t;
}

/* A time that comes from a part whose tensor units run `slow` times faster in its clock,
 * the rest of the kernel as fast: joined with what the slower units need at least, so
 * that what waited on the rest hides behind them.  At slow 1 it is unchanged. */
static inline double rl_behind_tensor(double t, double tensor, double slow)
{
    double s3 = slow * slow * slow, t3 = t * t * t, u3 = tensor * tensor * tensor;
    return sqrt(rl_cbrt(t3 * t3 + u3 * u3 * (1 - 1 / (s3 * s3))));
}

#endif
