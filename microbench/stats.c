/* Median and its 95 % interval by the percentile bootstrap (Efron 1979), with
 * a fixed seed so that the same samples give the same interval.
 *
 * Samples of one pass on a virtual machine agree better with each other than
 * with the next pass a minute later, so the interval of several passes also
 * spans the median of each pass. */
#include "harness.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { RESAMPLES = 400, MAX_N = 4096 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int n, double q)
{
    double at = q * (n - 1);
    int i = (int)at;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]);
}

static uint64_t next_random(uint64_t *s) /* xorshift64* (Vigna 2016) */
{
    *s ^= *s >> 12;
    *s ^= *s << 25;
    *s ^= *s >> 27;
    return *s * UINT64_C(2685821657736338717);
}

/* The median of one resample: count how often each sorted sample is drawn and
 * walk to the middle, which needs no sort. */
static double resample_median(const double *sorted, int n, int *count, uint64_t *seed)
{
    for (int i = 0; i < n; i++)
        count[i] = 0;
    for (int i = 0; i < n; i++)
        count[(next_random(seed) >> 33) % (uint64_t)n]++;
    int lower = (n - 1) / 2, upper = n / 2, seen = 0, i = 0;
    while (seen + count[i] <= lower)
        seen += count[i++];
    double a = sorted[i];
    while (seen + count[i] <= upper)
        seen += count[i++];
    return 0.5 * (a + sorted[i]);
}

void mb_stats_of(double *x, int n, struct mb_stats *out)
{
    *out = (struct mb_stats){.n = n};
    if (n < 1)
        return;
    if (n > MAX_N)
        n = MAX_N;
    qsort(x, (size_t)n, sizeof *x, by_value);
    out->median = quantile(x, n, 0.5);
    out->best = x[0];
    out->p10 = quantile(x, n, 0.1);
    out->p90 = quantile(x, n, 0.9);
    out->lo = out->hi = out->median;
    if (n < 2)
        return;
    double m[RESAMPLES];
    int count[MAX_N];
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < RESAMPLES; i++)
        m[i] = resample_median(x, n, count, &seed);
    qsort(m, RESAMPLES, sizeof *m, by_value);
    out->lo = quantile(m, RESAMPLES, 0.025);
    out->hi = quantile(m, RESAMPLES, 0.975);
}

void mb_stats_passes(double *x, const int *pass_end, int npasses, struct mb_stats *out)
{
    double lo = HUGE_VAL, hi = -HUGE_VAL;
    int from = 0;
    for (int i = 0; i < npasses; i++) {
        int n = pass_end[i] - from;
        if (n > 0) {
            qsort(x + from, (size_t)n, sizeof *x, by_value);
            double m = quantile(x + from, n, 0.5);
            lo = fmin(lo, m);
            hi = fmax(hi, m);
        }
        from = pass_end[i];
    }
    mb_stats_of(x, npasses ? pass_end[npasses - 1] : 0, out);
    if (npasses > 1 && out->n > 0) {
        out->lo = fmin(out->lo, lo);
        out->hi = fmax(out->hi, hi);
    }
}
