/* A device entry made of measured rows: what `rooflint bench` writes, and how it
 * compares with an older one. */
#ifndef RL_BENCH_ENTRY_H
#define RL_BENCH_ENTRY_H

#include "rooflint.h"
#include "table.h"

#include <stdio.h>

struct bench_row { /* one row of a device file, its units unchanged */
    char key[40], unit[16], kind[16];
    char value[160]; /* as written: text or number */
    char lo[24], hi[24], n[16];
    char source[240];
    int disturbed; /* other processes had the CPU meanwhile */
};

struct bench_entry {
    struct bench_row *row;
    size_t n, cap;
};

/* A new row, all empty; NULL: no memory. */
struct bench_row *bench_entry_append(struct bench_entry *e, struct rl_error *err);
/* The first row of key and kind (NULL: any); NULL: none. */
const struct bench_row *bench_entry_find(const struct bench_entry *e, const char *key,
                                         const char *kind);

/* Facts that the measuring program states ('# entry …' lines of the rows file)
 * and figures that the rules pick out of its rows (bench_rows.c). */
int bench_entry_make(struct bench_entry *e, const char *path, const struct rl_table *rows,
                     struct rl_error *err);
int bench_entry_load(struct bench_entry *e, const char *path, struct rl_error *err);
/* Rows of old that e does not measure itself: the sheet, and what was measured
 * by others. */
int bench_entry_merge(struct bench_entry *e, const struct bench_entry *old,
                      struct rl_error *err);
int bench_entry_save(const struct bench_entry *e, const char *path, struct rl_error *err);
void bench_entry_clear(struct bench_entry *e);

struct bench_pair { /* rates of one kernel */
    double warm, cold;
};
struct bench_spread { /* median and quartiles */
    double v, lo, hi;
};
/* The exponent `dram_overlap` of n > 0 pairs; read: the bare rate.  p: [n], scratch. */
void bench_overlap(const struct bench_pair *pair, size_t n, double read, double *p,
                   struct bench_spread *out);

/* SAME, FASTER, SLOWER or UNSURE for every figure that both measured. */
void bench_compare(FILE *f, const struct bench_entry *now, const struct bench_entry *old);

/* The operator rows in the ops schema, for `calibrate`; *n: how many. */
int bench_ops_save(const struct rl_table *rows, const char *device, const char *path,
                   int *n, struct rl_error *err);

#endif
