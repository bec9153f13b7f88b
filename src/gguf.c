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

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_KEYS    65536
#define MAX_TENSORS 1000000
#define MAX_KEY     1024 /* bytes of a key */
#define KEPT_STRING 4096 /* longer strings are passed over */
#define KEPT_LIST   4096

enum value_type {
    V_U8,
    V_I8,
    V_U16,
    V_I16,
    V_U32,
    V_I32,
    V_F32,
    V_BOOL,
    V_STRING,
    V_ARRAY,
    V_U64,
    V_I64,
    V_F64,
    V_NTYPES
};

static const unsigned char value_size[V_NTYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct reader {
    const char *source;
    const unsigned char *buf;
    size_t len, pos;
    uint64_t file_size;
    bool cut;         /* ran into the end of buf while the file goes on */
    const char *what; /* what is being read, for messages */
    char where[96];
    struct rl_error *err;
};

static int fail(struct reader *r, const char *what)
{
    return rl_fail(r->err, RL_EFORMAT, r->source, 0, "byte %zu%s%s: %s", r->pos,
                   *r->where ? ", " : "", r->where, what);
}

static int need(struct reader *r, uint64_t n)
{
    if (n <= r->len - r->pos)
        return 0;
    r->cut = r->len < r->file_size && n <= r->file_size - r->pos;
    return rl_fail(r->err, RL_EFORMAT, r->source, 0,
                   "ends in %s%s%s: expected %" PRIu64 " more bytes at byte %zu, got %zu",
                   r->what, *r->where ? " of " : "", r->where, n, r->pos,
                   r->len - r->pos);
}

static uint64_t little_endian(const unsigned char *p, unsigned n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

static int take(struct reader *r, unsigned n, uint64_t *out)
{
    if (need(r, n) < 0)
        return -1;
    *out = little_endian(r->buf + r->pos, n);
    r->pos += n;
    return 0;
}

/* A string in place: not terminated. */
static int take_string(struct reader *r, const char **s, size_t *n)
{
    uint64_t len;

    if (take(r, 8, &len) < 0 || need(r, len) < 0)
        return -1;
    *s = (const char *)(r->buf + r->pos);
    *n = (size_t)len;
    r->pos += (size_t)len;
    return 0;
}

/* values */

static json_t *number(enum value_type type, uint64_t bits)
{
    float f;
    double d;
    uint32_t low = (uint32_t)bits;

    switch (type) {
    case V_BOOL:
        return json_boolean(bits != 0);
    case V_I8:
        return json_integer((int8_t)bits);
    case V_I16:
        return json_integer((int16_t)bits);
    case V_I32:
        return json_integer((int32_t)bits);
    case V_F32:
        memcpy(&f, &low, sizeof f);
        return isfinite(f) ? json_real((double)f) : json_null();
    case V_F64:
        memcpy(&d, &bits, sizeof d);
        return isfinite(d) ? json_real(d) : json_null();
    default:
        /* JSON has no unsigned 64-bit: larger ones become reals */
        return bits <= INT64_MAX ? json_integer((json_int_t)bits)
                                 : json_real((double)bits);
    }
}

static int skip_strings(struct reader *r, uint64_t n)
{
    const char *s;
    size_t len;

    if (n > (r->file_size - r->pos) / 8)
        return fail(r, "more strings in a list than the file has room for");
    while (n-- > 0)
        if (take_string(r, &s, &len) < 0)
            return -1;
    return 0;
}

static int read_list(struct reader *r, json_t **out)
{
    uint64_t type, n, v;
    json_t *list;

    if (take(r, 4, &type) < 0 || take(r, 8, &n) < 0)
        return -1;
    if (type == V_ARRAY)
        return fail(r, "expected a list of plain values, got a list of lists");
    if (type >= V_NTYPES)
        return fail(r, "expected a value type from 0 to 12 in a list");
    *out = json_integer(n <= INT64_MAX ? (json_int_t)n : INT64_MAX);
    if (type == V_STRING)
        return skip_strings(r, n);
    if (n > (r->file_size - r->pos) / value_size[type])
        return fail(r, "more values in a list than the file has room for");
    if (n > KEPT_LIST) {
        if (need(r, n * value_size[type]) < 0)
            return -1;
        r->pos += (size_t)n * value_size[type];
        return 0;
    }
    json_decref(*out);
    *out = list = json_array();
    for (uint64_t i = 0; i < n; i++)
        if (take(r, value_size[type], &v) < 0 ||
            json_array_append_new(list, number((enum value_type)type, v)) < 0)
            return -1;
    return 0;
}

static int read_value(struct reader *r, uint64_t type, json_t **out)
{
    const char *s;
    size_t n;
    uint64_t v;

    if (type == V_ARRAY)
        return read_list(r, out);
    if (type == V_STRING) {
        if (take_string(r, &s, &n) < 0)
            return -1;
        *out = n > KEPT_STRING ? json_null() : json_stringn(s, n);
        return *out ? 0 : fail(r, "expected a string in UTF-8");
    }
    if (type >= V_NTYPES)
        return fail(r, "expected a value type from 0 to 12");
    if (take(r, value_size[type], &v) < 0)
        return -1;
    if (type == V_BOOL && v > 1)
        return fail(r, "expected 0 or 1 for a truth value");
    *out = number((enum value_type)type, v);
    return 0;
}

static int read_key(struct reader *r, struct rl_gguf *g)
{
    const char *s;
    char key[MAX_KEY + 1];
    size_t n;
    uint64_t type;
    json_t *value = NULL, *text;
    int rc;

    if (take_string(r, &s, &n) < 0)
        return -1;
    if (n == 0 || n > MAX_KEY || memchr(s, 0, n))
        return fail(r, "expected a key of 1 to 1024 bytes without NUL");
    if (!(text = json_stringn(s, n)))
        return fail(r, "expected a key in UTF-8");
    json_decref(text);
    memcpy(key, s, n);
    key[n] = '\0';
    snprintf(r->where, sizeof r->where, "key '%.60s'", key);
    if (json_object_get(g->keys, key))
        return fail(r, "the key is given twice");
    if (take(r, 4, &type) < 0 || read_value(r, type, &value) < 0) {
        json_decref(value);
        return -1;
    }
    rc = json_object_set_new(g->keys, key, value);
    return rc < 0 ? rl_fail(r->err, RL_ENOMEM, r->source, 0, "out of memory") : 0;
}

/* tensors */

static int read_shape(struct reader *r, struct rl_gguf_tensor *t)
{
    uint64_t v;

    if (take(r, 4, &v) < 0)
        return -1;
    if (v < 1 || v > 4)
        return fail(r, "expected 1 to 4 dimensions");
    t->ndims = (uint32_t)v;
    t->elems = 1;
    for (uint32_t i = 0; i < 4; i++) {
        t->dim[i] = 1;
        if (i < t->ndims && take(r, 8, &t->dim[i]) < 0)
            return -1;
        if (t->dim[i] < 1 || t->dim[i] > (uint64_t)1 << 40)
            return fail(r, "expected dimensions from 1 to 2^40");
        t->elems *= (double)t->dim[i];
    }
    if (t->elems > 0x1p50)
        return fail(r, "expected a tensor of at most 2^50 weights");
    return 0;
}

static int read_type(struct reader *r, struct rl_gguf_tensor *t)
{
    const struct rl_ggml_type *type;
    uint64_t v;
    char text[64];

    if (take(r, 4, &v) < 0)
        return -1;
    if (!(type = rl_ggml_type((uint32_t)v))) {
        snprintf(text, sizeof text, "unknown tensor type %" PRIu64, v);
        return fail(r, text);
    }
    t->type = (uint32_t)v;
    if (t->dim[0] % type->block != 0) {
        snprintf(text, sizeof text, "expected rows of a multiple of %u for %s",
                 type->block, type->name);
        return fail(r, text);
    }
    t->bytes = t->elems / type->block * type->bytes;
    return 0;
}

static int read_tensor(struct reader *r, struct rl_gguf *g, unsigned align, double *end)
{
    struct rl_gguf_tensor *grown, t = {0};
    const char *s;
    size_t n;
    uint64_t offset;

    if (take_string(r, &s, &n) < 0)
        return -1;
    if (n == 0 || n >= sizeof t.name || memchr(s, 0, n))
        return fail(r, "expected a tensor name of 1 to 63 bytes");
    memcpy(t.name, s, n);
    snprintf(r->where, sizeof r->where, "tensor '%s'", t.name);
    if (read_shape(r, &t) < 0 || read_type(r, &t) < 0 || take(r, 8, &offset) < 0)
        return -1;
    if (offset % align != 0)
        return fail(r, "expected an aligned offset");
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

static int read_start(struct reader *r, struct rl_gguf *g, uint64_t *tensors,
                      uint64_t *keys)
{
    uint64_t version;

    r->what = "the first 24 bytes";
    if (need(r, 4) < 0)
        return -1;
    if (memcmp(r->buf, "GGUF", 4) != 0)
        return fail(r, "expected the letters GGUF");
    r->pos = 4;
    if (take(r, 4, &version) < 0)
        return -1;
    if (version == 0x02000000 || version == 0x03000000)
        return fail(r, "expected a little-endian file, got a big-endian one");
    if (version != 2 && version != 3)
        return fail(r, "expected GGUF version 2 or 3");
    g->version = (uint32_t)version;
    if (take(r, 8, tensors) < 0 || take(r, 8, keys) < 0)
        return -1;
    /* the shortest tensor takes 33 bytes, the shortest key 14 */
    if (*tensors > MAX_TENSORS || *tensors > r->file_size / 33)
        return fail(r, "more tensors than the file has room for");
    if (*keys > MAX_KEYS || *keys > r->file_size / 14)
        return fail(r, "more keys than the file has room for");
    return 0;
}

/* 0: not one */
static unsigned alignment(struct reader *r, const struct rl_gguf *g)
{
    json_t *v = json_object_get(g->keys, "general.alignment");
    json_int_t a = v ? json_integer_value(v) : 32;

    if (a < 1 || a > 1 << 20 || (a & (a - 1)) != 0) {
        snprintf(r->where, sizeof r->where, "key 'general.alignment'");
        fail(r, "expected a power of two");
        return 0;
    }
    return (unsigned)a;
}

static int read_all(struct reader *r, struct rl_gguf *g)
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

static int parse(struct reader *r, struct rl_gguf *g)
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
    struct reader r = {.source = source, .buf = buf, .len = len, .err = err};
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
