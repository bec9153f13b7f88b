/* Reader of GGUF headers.
 *
 * Layout after ggml's docs/gguf.md: magic, version, counts, keys with typed
 * values, then name, shape, type and offset of each tensor; the data follows,
 * aligned.  All little-endian.  Nothing in the file is trusted: every count is
 * held against the bytes that could carry it before anything is allocated, and
 * every tensor against the size of the file, so a download cut short is found
 * without reading any data.
 */
#include "gguf.h"

#include "err.h"
#include "ggufreader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_KEYS    65536
#define MAX_TENSORS 1000000
#define MAX_KEY     1024 /* bytes of a key */

static int read_key(struct rl_gguf_reader *r, struct rl_gguf *g)
{
    const char *s;
    char key[MAX_KEY + 1];
    size_t n;
    uint64_t type;
    json_t *value = NULL, *text;
    int rc;

    if (rl_gguf_take_string(r, &s, &n) < 0)
        return -1;
    if (n == 0 || n > MAX_KEY || memchr(s, 0, n))
        return rl_gguf_fail(r, "expected a key of 1 to 1024 bytes without NUL");
    if (!(text = json_stringn(s, n)))
        return rl_gguf_fail(r, "expected a key in UTF-8");
    json_decref(text);
    memcpy(key, s, n);
    key[n] = '\0';
    snprintf(r->where, sizeof r->where, "key '%.60s'", key);
    if (json_object_get(g->keys, key))
        return rl_gguf_fail(r, "the key is given twice");
    if (rl_gguf_take(r, 4, &type) < 0 || rl_gguf_read_value(r, type, &value) < 0) {
        json_decref(value);
        return -1;
    }
    rc = json_object_set_new(g->keys, key, value);
    return rc < 0 ? rl_fail(r->err, RL_ENOMEM, r->source, 0, "out of memory") : 0;
}

/* tensors */

static int read_shape(struct rl_gguf_reader *r, struct rl_gguf_tensor *t)
{
    uint64_t v;

    if (rl_gguf_take(r, 4, &v) < 0)
        return -1;
    if (v < 1 || v > 4)
        return rl_gguf_fail(r, "expected 1 to 4 dimensions");
    t->ndims = (uint32_t)v;
    t->elems = 1;
    for (uint32_t i = 0; i < 4; i++) {
        t->dim[i] = 1;
        if (i < t->ndims && rl_gguf_take(r, 8, &t->dim[i]) < 0)
            return -1;
        if (t->dim[i] < 1 || t->dim[i] > (uint64_t)1 << 40)
            return rl_gguf_fail(r, "expected dimensions from 1 to 2^40");
        t->elems *= (double)t->dim[i];
    }
    if (t->elems > 0x1p50)
        return rl_gguf_fail(r, "expected a tensor of at most 2^50 weights");
    return 0;
}

static int read_type(struct rl_gguf_reader *r, struct rl_gguf_tensor *t)
{
    const struct rl_ggml_type *type;
    uint64_t v;
    char text[64];

    if (rl_gguf_take(r, 4, &v) < 0)
        return -1;
    if (!(type = rl_ggml_type((uint32_t)v))) {
        snprintf(text, sizeof text, "unknown tensor type %" PRIu64, v);
        return rl_gguf_fail(r, text);
    }
    t->type = (uint32_t)v;
    if (t->dim[0] % type->block != 0) {
        snprintf(text, sizeof text, "expected rows of a multiple of %u for %s",
                 type->block, type->name);
        return rl_gguf_fail(r, text);
    }
    t->bytes = t->elems / type->block * type->bytes;
    return 0;
}

static int read_tensor(struct rl_gguf_reader *r, struct rl_gguf *g, unsigned align,
                       double *end)
{
    struct rl_gguf_tensor *grown, t = {0};
    const char *s;
    size_t n;
    uint64_t offset;

    if (rl_gguf_take_string(r, &s, &n) < 0)
        return -1;
    if (n == 0 || n >= sizeof t.name || memchr(s, 0, n))
        return rl_gguf_fail(r, "expected a tensor name of 1 to 63 bytes");
    memcpy(t.name, s, n);
    snprintf(r->where, sizeof r->where, "tensor '%s'", t.name);
    if (read_shape(r, &t) < 0 || read_type(r, &t) < 0 || rl_gguf_take(r, 8, &offset) < 0)
        return -1;
    if (offset % align != 0)
        return rl_gguf_fail(r, "expected an aligned offset");
    *end = fmax(*end, (double)offset + t.bytes);
    grown = rl_grow(g->tensor, &g->tensors_cap, g->ntensors + 1, sizeof t, r->err);
    if (!grown)
        return -1;
    g->tensor = grown;
    g->tensor[g->ntensors++] = t;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct rl_gguf_tensor *s = a, *t = b;

    return strcmp(s->name, t->name);
}

static int sort_tensors(struct rl_gguf *g, struct rl_error *err)
{
    if (g->ntensors > 0)
        qsort(g->tensor, g->ntensors, sizeof *g->tensor, by_name);
    for (size_t i = 1; i < g->ntensors; i++)
        if (strcmp(g->tensor[i - 1].name, g->tensor[i].name) == 0)
            return rl_fail(err, RL_EFORMAT, g->source, 0, "tensor '%s' is given twice",
                           g->tensor[i].name);
    return 0;
}

const struct rl_gguf_tensor *rl_gguf_find(const struct rl_gguf *g, const char *name)
{
    struct rl_gguf_tensor key = {0};

    snprintf(key.name, sizeof key.name, "%s", name);
    return g->ntensors ? bsearch(&key, g->tensor, g->ntensors, sizeof key, by_name)
                       : NULL;
}

/* whole header */

static int read_start(struct rl_gguf_reader *r, struct rl_gguf *g, uint64_t *tensors,
                      uint64_t *keys)
{
    uint64_t version;

    r->what = "the first 24 bytes";
    if (rl_gguf_need(r, 4) < 0)
        return -1;
    if (memcmp(r->buf, "GGUF", 4) != 0)
        return rl_gguf_fail(r, "expected the letters GGUF");
    r->pos = 4;
    if (rl_gguf_take(r, 4, &version) < 0)
        return -1;
    if (version == 0x02000000 || version == 0x03000000)
        return rl_gguf_fail(r, "expected a little-endian file, got a big-endian one");
    if (version != 2 && version != 3)
        return rl_gguf_fail(r, "expected GGUF version 2 or 3");
    g->version = (uint32_t)version;
    if (rl_gguf_take(r, 8, tensors) < 0 || rl_gguf_take(r, 8, keys) < 0)
        return -1;
    /* the shortest tensor takes 33 bytes, the shortest key 14 */
    if (*tensors > MAX_TENSORS || *tensors > r->file_size / 33)
        return rl_gguf_fail(r, "more tensors than the file has room for");
    if (*keys > MAX_KEYS || *keys > r->file_size / 14)
        return rl_gguf_fail(r, "more keys than the file has room for");
    return 0;
}

/* 0: not one */
static unsigned alignment(struct rl_gguf_reader *r, const struct rl_gguf *g)
{
    json_t *v = json_object_get(g->keys, "general.alignment");
    json_int_t a = v ? json_integer_value(v) : 32;

    if (a < 1 || a > 1 << 20 || (a & (a - 1)) != 0) {
        snprintf(r->where, sizeof r->where, "key 'general.alignment'");
        rl_gguf_fail(r, "expected a power of two");
        return 0;
    }
    return (unsigned)a;
}

static int read_all(struct rl_gguf_reader *r, struct rl_gguf *g)
{
    uint64_t tensors, keys;
    unsigned align;
    double end = 0, start;

    if (read_start(r, g, &tensors, &keys) < 0)
        return -1;
    r->what = "the keys";
    for (uint64_t i = 0; i < keys; i++)
        if (read_key(r, g) < 0)
            return -1;
    if ((align = alignment(r, g)) == 0)
        return -1;
    r->what = "the list of tensors";
    *r->where = '\0';
    for (uint64_t i = 0; i < tensors; i++)
        if (read_tensor(r, g, align, &end) < 0)
            return -1;
    start = ceil((double)r->pos / align) * align;
    if (tensors > 0 && start + end > (double)r->file_size)
        return rl_fail(r->err, RL_EFORMAT, r->source, 0,
                       "cut short: its tensors end at byte %.0f, the file at %" PRIu64,
                       start + end, r->file_size);
    return 0;
}

/* Sorts, and sums the bytes by weight class and type. */
int rl_gguf_finish(struct rl_gguf *g, struct rl_error *err)
{
    if (sort_tensors(g, err) < 0)
        return -1;
    for (size_t i = 0; i < g->ntensors; i++) {
        struct rl_gguf_tensor *t = &g->tensor[i];

        t->wclass = rl_gguf_wclass(g, t);
        g->bytes[t->wclass] += t->bytes;
        g->elems[t->wclass] += t->elems;
        g->type_bytes[t->type] += t->bytes;
        g->tensor_bytes += t->bytes;
    }
    return 0;
}

static int parse(struct rl_gguf_reader *r, struct rl_gguf *g)
{
    *g = (struct rl_gguf){.source = rl_strdup(r->source, r->err), .keys = json_object()};
    if (g->source && g->keys && read_all(r, g) == 0)
        return 0;
    rl_gguf_clear(g);
    return -1;
}

void rl_gguf_clear(struct rl_gguf *g)
{
    free(g->source);
    json_decref(g->keys);
    free(g->tensor);
    *g = (struct rl_gguf){0};
}

int rl_gguf_read(const char *source, const unsigned char *buf, size_t len,
                 uint64_t file_size, struct rl_gguf *out, bool *cut, struct rl_error *err)
{
    struct rl_gguf_reader r = {.source = source, .buf = buf, .len = len, .err = err};
    int rc;

    r.file_size = file_size < len ? len : file_size;
    rc = parse(&r, out);
    *cut = r.cut;
    return rc;
}

int rl_gguf_parse(const char *source, const unsigned char *buf, size_t len,
                  uint64_t file_size, struct rl_gguf *out, struct rl_error *err)
{
    bool cut;

    if (rl_gguf_read(source, buf, len, file_size, out, &cut, err) < 0)
        return -1;
    if (rl_gguf_finish(out, err) == 0)
        return 0;
    rl_gguf_clear(out);
    return -1;
}
