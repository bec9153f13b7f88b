/* GGUF files: as much of the head as the header takes, and the parts of a split
 * model. */
#include "gguf.h"

#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_HEADER ((size_t)512 << 20) /* a 256k vocabulary takes about 10 MiB */

/* Reads the head of the file into a buffer that grows until the header fits. */
static int load_one(const char *path, struct rl_gguf *g, struct rl_error *err)
{
    FILE *f = fopen(path, "rb");
    unsigned char *buf = NULL;
    size_t cap = 0, len = 0;
    struct stat st;
    int rc = -1;

    if (!f || fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode)) {
        rl_fail(err, RL_EIO, path, 0, "cannot read: %s",
                f ? "not a regular file" : strerror(errno));
        goto out;
    }
    for (size_t want = (size_t)4 << 20; want <= MAX_HEADER; want *= 4) {
        struct rl_error first = {0};
        bool cut;
        unsigned char *grown = rl_grow(buf, &cap, want, 1, err);

        if (!grown)
            goto out;
        buf = grown;
        len += fread(buf + len, 1, want - len, f);
        rc = rl_gguf_read(path, buf, len, (uint64_t)st.st_size, g, &cut, &first);
        if (rc == 0 || !cut || len < want) {
            if (rc < 0 && err)
                *err = first;
            goto out;
        }
    }
    rl_fail(err, RL_EFORMAT, path, 0, "expected a header below 512 MiB");
out:
    free(buf);
    if (f)
        fclose(f);
    return rc;
}

/* Parts of one model: "…-00002-of-00005.gguf", the keys are in the first. */
static int part_path(const char *path, unsigned no, unsigned count, char **out,
                     struct rl_error *err)
{
    char tail[32];
    size_t n = strlen(path), k;

    snprintf(tail, sizeof tail, "-%05u-of-%05u.gguf", no + 1, count);
    k = strlen(tail);
    if (n < k || strcmp(path + n - strlen("-of-00000.gguf"), tail + 6) != 0)
        return rl_fail(err, RL_EFORMAT, path, 0,
                       "is a part of a split model: expected a name that ends in "
                       "-00001-of-%05u.gguf",
                       count);
    if (!(*out = rl_strdup(path, err)))
        return -1;
    memcpy(*out + n - k, tail, k);
    return 0;
}

static int add_part(struct rl_gguf *g, const char *path, struct rl_error *err)
{
    struct rl_gguf part;
    struct rl_gguf_tensor *grown;

    if (load_one(path, &part, err) < 0)
        return -1;
    grown = rl_grow(g->tensor, &g->tensors_cap, g->ntensors + part.ntensors,
                    sizeof *grown, err);
    if (grown) {
        g->tensor = grown;
        if (part.ntensors > 0)
            memcpy(grown + g->ntensors, part.tensor, part.ntensors * sizeof *grown);
        g->ntensors += part.ntensors;
    }
    rl_gguf_clear(&part);
    return grown ? 0 : -1;
}

static json_int_t key_int(const struct rl_gguf *g, const char *key)
{
    return json_integer_value(json_object_get(g->keys, key));
}

static int load_parts(const char *path, json_int_t count, struct rl_gguf *g,
                      struct rl_error *err)
{
    for (json_int_t i = 0; i < count; i++) {
        char *part;
        int rc;

        if (part_path(path, (unsigned)i, (unsigned)count, &part, err) < 0)
            return -1;
        rc = i == 0 ? load_one(part, g, err) : add_part(g, part, err);
        free(part);
        if (rc < 0)
            return -1;
    }
    return 0;
}

int rl_gguf_load(const char *path, struct rl_gguf *out, struct rl_error *err)
{
    json_int_t count;

    if (load_one(path, out, err) < 0)
        return -1;
    count = key_int(out, "split.count");
    if (count > 1) {
        rl_gguf_clear(out);
        if (count > 9999)
            return rl_fail(err, RL_EFORMAT, path, 0,
                           "key 'split.count': expected at most 9999");
        if (load_parts(path, count, out, err) < 0) {
            rl_gguf_clear(out);
            return -1;
        }
    }
    if (rl_gguf_finish(out, err) == 0)
        return 0;
    rl_gguf_clear(out);
    return -1;
}
