/* Numbers with suffixes, as people type them and as the data files hold them. */
#include "units.h"

#include "err.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TOKENS 9007199254740992.0 /* 2^53: exact in a double */

/* Up to 15 digits with a point among them: the digits and the power of ten are
 * exact in a double, so that their quotient is rounded once, as by strtod, which
 * takes five times as long.  False: not such a number. */
static bool short_decimal(const char *s, double *out)
{
    static const double ten[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool minus = *s == '-';
    const char *point = NULL;
    int digits = 0, after = 0;
    double v = 0;

    for (s += minus; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = s;
            continue;
        }
        v = 10 * v + (*s - '0');
        after += point != NULL;
        digits++;
    }
    if (*s || !digits || digits > 15)
        return false;
    *out = (minus ? -v : v) / ten[after];
    return true;
}

int rl_parse_number(const char *s, double *out)
{
    char *end;
    double v;

    if (short_decimal(s, out))
        return 0;
    /* strtod also takes blanks, hexadecimal, inf and nan */
    if (!*s || strspn(s, "0123456789+-.eE") != strlen(s))
        return -1;
    v = strtod(s, &end);
    if (*end || !isfinite(v))
        return -1;
    *out = v;
    return 0;
}

/* The digits and the exponent of v to 7 digits, 10^6 <= n < 10^7.  False: too
 * large, too small or too near the middle of two for a double to tell. */
static bool seven_digits(double v, unsigned *n, int *e)
{
    static const double ten[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double m;

    if (!(v >= 1e-14 && v < 1e14))
        return false;
    for (*e = (int)floor(log10(v));; ++*e) {
        m = *e <= 6 ? v * ten[6 - *e] : v / ten[*e - 6];
        if (m < 1e7)
            break;
    }
    double rest = m - floor(m);
    *n = (unsigned)m + (rest > 0.5);
    if (fabs(rest - 0.5) < 1e-6 || *n < 1000000)
        return false;
    if (*n == 10000000) {
        *n = 1000000;
        ++*e;
    }
    return true;
}

size_t rl_format_number(double v, char buf[32])
{
    unsigned n;
    int e, digits = 7;
    char *p = buf;

    if (!seven_digits(v, &n, &e))
        return (size_t)snprintf(buf, 32, "%.7g", v);
    while (n % 10 == 0) {
        n /= 10;
        digits--;
    }
    int whole = e >= 0 && e < 7 ? e + 1 : 1; /* digits before the point */
    int zeros = e < 0 && e >= -4 ? -e : 0;   /* before the first digit */
    int width = digits > whole ? digits : whole;
    char text[8];
    for (int i = width; i-- > 0; n /= i < digits ? 10 : 1)
        text[i] = i < digits ? (char)('0' + n % 10) : '0';
    for (int i = 0; i < zeros; i++) {
        *p++ = '0';
        if (i == 0)
            *p++ = '.';
    }
    for (int i = 0; i < width; i++) {
        if (i == whole && !zeros)
            *p++ = '.';
        *p++ = text[i];
    }
    if (e >= 7 || e < -4)
        p += sprintf(p, "e%c%02d", e < 0 ? '-' : '+', abs(e));
    *p = '\0';
    return (size_t)(p - buf);
}

int rl_parse_tokens(const char *s, double *out, struct rl_error *err)
{
    size_t digits = strspn(s, "0123456789");
    const char *suffix = s + digits;
    double v = strtod(s, NULL);

    if (strcmp(suffix, "k") == 0 || strcmp(suffix, "K") == 0)
        v *= 1024;
    else if (strcmp(suffix, "M") == 0)
        v *= 1024 * 1024;
    else if (*suffix)
        digits = 0;
    if (!digits)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "expected a token count such as 4096, 128k or 1M, found '%.40s'",
                       s);
    if (v < 1 || v > MOST_TOKENS)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "expected a token count from 1 to 2^53, found '%.40s'", s);
    *out = v;
    return 0;
}

double rl_unit_factor(const char *unit)
{
    static const struct {
        const char *name;
        double factor;
    } table[] = {
        {"1", 1},
        {"count", 1},
        {"%", 0.01},
        {"USD", 1},
        {"tokens", 1},
        {"year", 1},
        /* bytes */
        {"B", 1},
        {"kB", 1e3},
        {"MB", 1e6},
        {"GB", 1e9},
        {"TB", 1e12},
        {"KiB", 1024},
        {"MiB", 1048576},
        {"GiB", 1073741824},
        {"TiB", 1099511627776},
        {"B/s", 1},
        {"MB/s", 1e6},
        {"GB/s", 1e9},
        {"TB/s", 1e12},
        {"GiB/s", 1073741824},
        {"B/clk/SM", 1},
        {"bit", 1},
        {"Gbit/s", 1e9},
        /* arithmetic */
        {"FLOP", 1},
        {"GFLOP", 1e9},
        {"TFLOP", 1e12},
        {"FLOP/s", 1},
        {"GFLOP/s", 1e9},
        {"TFLOP/s", 1e12},
        {"PFLOP/s", 1e15},
        {"OP/s", 1},
        {"GOP/s", 1e9},
        {"TOP/s", 1e12},
        {"exp/s", 1},
        {"Gexp/s", 1e9},
        {"FLOP/clk/SM", 1},
        {"OP/clk/SM", 1},
        {"exp/clk/SM", 1},
        /* time and frequency */
        {"s", 1},
        {"ms", 1e-3},
        {"us", 1e-6},
        {"ns", 1e-9},
        {"Hz", 1},
        {"kHz", 1e3},
        {"MHz", 1e6},
        {"GHz", 1e9},
        /* power and energy */
        {"W", 1},
        {"mW", 1e-3},
        {"J", 1},
        {"mJ", 1e-3},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(unit, table[i].name) == 0)
            return table[i].factor;
    return 0;
}

/* Three significant digits without exponent for 1 ≤ |v| < 1000. */
static void three_digits(double v, const char *unit, char *buf)
{
    double a = fabs(v);
    int decimals = a < 9.995 ? 2 : a < 99.95 ? 1 : 0;

    if (a >= 99999.5)
        snprintf(buf, 32, "%.3g %s", v, unit);
    else
        snprintf(buf, 32, "%.*f %s", decimals, v, unit);
}

/* The largest of n units, `step` apart and ascending, that leaves v ≥ 1. */
static const char *scaled(double v, double first, double step, const char *const *unit,
                          int n, char *buf)
{
    double scale = first;
    int i = 0;

    if (!isfinite(v)) {
        snprintf(buf, 32, "-");
        return buf;
    }
    /* 0.9995: what would print as 1000 moves on to the next unit */
    while (i + 1 < n && fabs(v) >= 0.9995 * step * scale) {
        scale *= step;
        i++;
    }
    three_digits(v / scale, unit[i], buf);
    return buf;
}

const char *rl_human_time(double seconds, char *buf)
{
    static const char *const unit[] = {"ns", "us", "ms", "s"};

    return scaled(seconds, 1e-9, 1e3, unit, 4, buf);
}

const char *rl_human_energy(double joules, char *buf)
{
    static const char *const unit[] = {"uJ", "mJ", "J", "kJ", "MJ", "GJ"};

    return scaled(joules, 1e-6, 1e3, unit, 6, buf);
}

const char *rl_human_bytes(double bytes, char *buf)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

    return scaled(bytes, 1, 1024, unit, 6, buf);
}

const char *rl_human_tokens(double n, char *buf)
{
    if (!isfinite(n))
        snprintf(buf, 32, "-");
    else if (n >= 1048576 && fmod(n, 1048576) == 0)
        snprintf(buf, 32, "%.0fM", n / 1048576);
    else if (n >= 1024 && fmod(n, 1024) == 0)
        snprintf(buf, 32, "%.0fk", n / 1024);
    else
        snprintf(buf, 32, "%.0f", n);
    return buf;
}

const char *rl_human_rate(double per_second, const char *unit, char *buf)
{
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P", "E"};
    char number[32], *space;

    scaled(per_second, 1, 1e3, prefix, 7, number);
    space = strchr(number, ' ');
    if (!space)
        snprintf(buf, 32, "-");
    else
        snprintf(buf, 32, "%.*s %s%.12s", (int)(space - number), number, space + 1, unit);
    return buf;
}
