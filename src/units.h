/* Numbers with suffixes, as people type them and as the data files hold them. */
#ifndef RL_UNITS_H
#define RL_UNITS_H

#include "rooflint.h"

#include <stddef.h>

/* Token counts: digits with an optional k (1024) or M (1024²).  1 ≤ n ≤ 2⁵³. */
int rl_parse_tokens(const char *s, double *out, struct rl_error *err);

/* A finite decimal number, the whole string; no suffix. */
int rl_parse_number(const char *s, double *out);

/* As printf's %.7g, byte for byte, in a tenth of its time; its length. */
size_t rl_format_number(double v, char buf[32]);

/* The SI factor of a unit of the hwdb files: "GB/s" -> 1e9, "GiB" -> 2³⁰,
 * "TFLOP/s" -> 1e12, "us" -> 1e-6, "MHz", "W", "USD", "1", …  0 when unknown. */
double rl_unit_factor(const char *unit);

/* For people: 1.23 ms, 4.56 GiB, 131072 -> 128k; buf ≥ 32 bytes. */
const char *rl_human_time(double seconds, char *buf);
const char *rl_human_energy(double joules, char *buf);
const char *rl_human_bytes(double bytes, char *buf);
const char *rl_human_tokens(double n, char *buf);
const char *rl_human_rate(double per_second, const char *unit, char *buf);

#endif
