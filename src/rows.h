/* CSV text row by row: cut into lines, and a line into fields where its reader
 * needs them.  What a file must look like, and its limits, is told in table.h. */
#ifndef RL_ROWS_H
#define RL_ROWS_H

#include "rooflint.h"

#include <csv.h>

#define RL_MOST_BYTES ((size_t)64 << 20) /* of a file */
enum { RL_MOST_COLUMNS = 256 };

struct rl_rows {
    const char *source;           /* path for messages */
    struct rl_error *err;         /* of the reader, or `own` */
    const char *next, *end, *nul; /* text left; its first NUL byte, NULL: none */
    const char *text;             /* the row, without its end */
    size_t len;
    int line;    /* in the file */
    int nfields; /* of the row cut last */
    int ncols;   /* of the header; 0: not cut yet */
    char *field[RL_MOST_COLUMNS];
    char *fill; /* where the fields' text goes */
    bool failed;
    struct csv_parser csv;
    struct rl_error own;
};

/* The text stays the caller's, and must live as long as the rows are read. */
int rl_rows_init(struct rl_rows *r, const char *source, const char *text, size_t len,
                 struct rl_error *err);
void rl_rows_clear(struct rl_rows *r);

/* The next line that is neither blank nor a comment: 1, 0 at the end, or -1. */
int rl_rows_next(struct rl_rows *r);
/* Cuts it into `field`; their text goes to `pool`, of r->len + 1 bytes, and
 * r->fill is left behind it.  The first row cut is the header: each column has a
 * name of its own, and the rows after it have as many fields. */
int rl_rows_cut(struct rl_rows *r, char *pool);
/* Cuts the header and finds columns in it: col[n].  An absent one is an error. */
int rl_rows_header(struct rl_rows *r, const char *const *name, int n, int *col,
                   char *pool);

#endif
