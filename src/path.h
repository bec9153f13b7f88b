/* Where the data lies, and files written whole or not at all. */
#ifndef RL_PATH_H
#define RL_PATH_H

#include "rooflint.h"

#include <stdio.h>

/* "DIR/a/b" into a fresh string; NULL ends the list. */
char *rl_path_join(const char *dir, ...);

/* Names in a folder that end in `suffix`, sorted, suffix removed. */
int rl_list_dir(const char *dir, const char *suffix, char ***names, int *n,
                struct rl_error *err);
void rl_free_names(char **names, int n);

/* The names nearest to `want` (edit distance), at most `most`, nearest first,
 * joined by ", " into buf: for "did you mean". */
const char *rl_nearest(const char *want, char *const *names, int n, int most, char *buf,
                       size_t size);

/* The whole file, NUL-terminated; files above `limit` bytes are refused. */
char *rl_read_file(const char *path, size_t limit, size_t *len, struct rl_error *err);

/* Open a temporary file beside `path`; commit renames it, abandon removes it. */
struct rl_out_file {
    FILE *f;
    char *path, *tmp;
};
int rl_out_open(struct rl_out_file *o, const char *path, struct rl_error *err);
int rl_out_commit(struct rl_out_file *o, struct rl_error *err);
void rl_out_abandon(struct rl_out_file *o);

#endif
