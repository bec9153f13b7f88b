/* A GGUF header written in memory, for tests: keys, tensors, then as much of the
 * data as file_size says (none is ever written). */
#ifndef RL_GGUF_FILE_H
#define RL_GGUF_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { U32 = 4, I32 = 5, F32 = 6, STR = 8, ARR = 9, U64 = 10 };

struct gguf_file {
    unsigned char buf[65536];
    size_t len;
    uint64_t keys, tensors, data;
};

static inline void put(struct gguf_file *f, const void *p, size_t n)
{
    if (n > 0)
        memcpy(f->buf + f->len, p, n);
    f->len += n;
}

static inline void put_int(struct gguf_file *f, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        f->buf[f->len++] = (unsigned char)(v >> 8 * i);
}

static inline void put_str(struct gguf_file *f, const char *s)
{
    put_int(f, strlen(s), 8);
    put(f, s, strlen(s));
}

static inline void gguf_begin(struct gguf_file *f)
{
    memset(f, 0, sizeof *f);
    put(f, "GGUF", 4);
    put_int(f, 3, 4);
    put_int(f, 0, 8); /* tensors, keys: gguf_end fills them in */
    put_int(f, 0, 8);
}

static inline void gguf_key(struct gguf_file *f, const char *key, unsigned type)
{
    put_str(f, key);
    put_int(f, type, 4);
    f->keys++;
}

static inline void gguf_u32(struct gguf_file *f, const char *key, uint32_t v)
{
    gguf_key(f, key, U32);
    put_int(f, v, 4);
}

static inline void gguf_str(struct gguf_file *f, const char *key, const char *v)
{
    gguf_key(f, key, STR);
    put_str(f, v);
}

static inline void gguf_ints(struct gguf_file *f, const char *key, const int *v, size_t n)
{
    gguf_key(f, key, ARR);
    put_int(f, I32, 4);
    put_int(f, n, 8);
    for (size_t i = 0; i < n; i++)
        put_int(f, (uint32_t)v[i], 4);
}

/* dims end with 0; bytes: of the data, to place the next tensor. */
static inline void gguf_tensor(struct gguf_file *f, const char *name, unsigned type,
                               const uint64_t *dims, uint64_t bytes)
{
    unsigned n = 0;

    while (dims[n])
        n++;
    put_str(f, name);
    put_int(f, n, 4);
    for (unsigned i = 0; i < n; i++)
        put_int(f, dims[i], 8);
    put_int(f, type, 4);
    put_int(f, f->data, 8);
    f->data += (bytes + 31) / 32 * 32;
    f->tensors++;
}

/* The size the whole file would have. */
static inline uint64_t gguf_end(struct gguf_file *f)
{
    size_t len = f->len;

    f->len = 8;
    put_int(f, f->tensors, 8);
    put_int(f, f->keys, 8);
    f->len = len;
    return (len + 31) / 32 * 32 + f->data;
}

/* The file with a hole for its data; 0, or -1. */
static inline int gguf_save(struct gguf_file *f, const char *path)
{
    uint64_t size = gguf_end(f);
    FILE *out = fopen(path, "wb");
    int bad;

    if (!out)
        return -1;
    bad = fwrite(f->buf, 1, f->len, out) != f->len || fflush(out) != 0 ||
          ftruncate(fileno(out), (off_t)size) != 0;
    return fclose(out) != 0 || bad ? -1 : 0;
}

#endif
