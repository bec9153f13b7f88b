/* The bytes of a GGUF header, taken one thing after another. */
#ifndef RL_GGUFREADER_H
#define RL_GGUFREADER_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rl_gguf_reader {
    const char *source;
    const unsigned char *buf;
    size_t len, pos;
    uint64_t file_size;
    bool cut;         /* ran into the end of buf while the file goes on */
    const char *what; /* what is being read, for messages */
    char where[96];
    struct rl_error *err;
};

/* An error at this place; -1. */
int rl_gguf_fail(struct rl_gguf_reader *r, const char *what);
/* -1 where fewer than n bytes are left. */
int rl_gguf_need(struct rl_gguf_reader *r, uint64_t n);
/* A number of n bytes. */
int rl_gguf_take(struct rl_gguf_reader *r, unsigned n, uint64_t *out);
/* A string in place: not terminated. */
int rl_gguf_take_string(struct rl_gguf_reader *r, const char **s, size_t *n);
/* A value of that type (ids of gguf.md): a new reference. */
int rl_gguf_read_value(struct rl_gguf_reader *r, uint64_t type, json_t **out);

#endif
