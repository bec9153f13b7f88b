/* CSV files with a header row, read whole; libcsv does the parsing.
 *
 * Strict: every row has the header's number of fields, quotes are closed on
 * their line, no NUL bytes; lines that start with '#' and blank lines are skipped and
 * counted, so that line numbers in messages are those of the file.  Limits: 64 MiB a file
 * unless streamed, 1 MiB a line, 256 columns.
 */
#ifndef RL_TABLE_H
#define RL_TABLE_H

#include "rooflint.h"

struct rl_table {
    char *source; /* path as given, for messages */
    int ncols, nrows;
    char **header; /* [ncols] */
    char **cell;   /* [nrows * ncols], row-major */
    int *line;     /* [nrows], line in the file */
    char *pool;    /* the cells' text */
};

struct rl_table *rl_table_read(const char *path, struct rl_error *err);
struct rl_table *rl_table_parse(const char *source, const char *text, size_t len,
                                struct rl_error *err);
void rl_table_free(struct rl_table *t);

int rl_table_col(const struct rl_table *t, const char *name); /* -1: absent */
/* As rl_table_col, but an absent column is an error that names it. */
int rl_table_need(const struct rl_table *t, const char *name, int *col,
                  struct rl_error *err);
const char *rl_table_get(const struct rl_table *t, int row, int col);
/* A number, or fallback when the cell is empty; an error when it is neither. */
int rl_table_num(const struct rl_table *t, int row, int col, double fallback, double *out,
                 struct rl_error *err);

/* Writes one CSV field to f, quoted when it must be. */
#include <stdio.h>
void rl_csv_field(FILE *f, const char *s);

#endif
