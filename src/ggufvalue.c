/* What GGUF headers are made of: numbers, strings, lists.  Every count is held against
 * the bytes that could carry it before anything is allocated. */
#include "ggufreader.h"

#include "err.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

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

int rl_gguf_fail(struct rl_gguf_reader *r, const char *what)
{
    return rl_fail(r->err, RL_EFORMAT, r->source, 0, "byte %zu%s%s: %s", r->pos,
                   *r->where ? ", " : "", r->where, what);
}

int rl_gguf_need(struct rl_gguf_reader *r, uint64_t n)
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

int rl_gguf_take(struct rl_gguf_reader *r, unsigned n, uint64_t *out)
{
    if (rl_gguf_need(r, n) < 0)
        return -1;
    *out = little_endian(r->buf + r->pos, n);
    r->pos += n;
    return 0;
}

int rl_gguf_take_string(struct rl_gguf_reader *r, const char **s, size_t *n)
{
    uint64_t len;

    if (rl_gguf_take(r, 8, &len) < 0 || rl_gguf_need(r, len) < 0)
        return -1;
    *s = (const char *)(r->buf + r->pos);
    *n = (size_t)len;
    r->pos += (size_t)len;
    return 0;
}

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

static int skip_strings(struct rl_gguf_reader *r, uint64_t n)
{
    const char *s;
    size_t len;

    if (n > (r->file_size - r->pos) / 8)
        return rl_gguf_fail(r, "more strings in a list than the file has room for");
    while (n-- > 0)
        if (rl_gguf_take_string(r, &s, &len) < 0)
            return -1;
    return 0;
}

static int read_list(struct rl_gguf_reader *r, json_t **out)
{
    uint64_t type, n, v;
    json_t *list;

    if (rl_gguf_take(r, 4, &type) < 0 || rl_gguf_take(r, 8, &n) < 0)
        return -1;
    if (type == V_ARRAY)
        return rl_gguf_fail(r, "expected a list of plain values, got a list of lists");
    if (type >= V_NTYPES)
        return rl_gguf_fail(r, "expected a value type from 0 to 12 in a list");
    *out = json_integer(n <= INT64_MAX ? (json_int_t)n : INT64_MAX);
    if (type == V_STRING)
        return skip_strings(r, n);
    if (n > (r->file_size - r->pos) / value_size[type])
        return rl_gguf_fail(r, "more values in a list than the file has room for");
    if (n > KEPT_LIST) {
        if (rl_gguf_need(r, n * value_size[type]) < 0)
            return -1;
        r->pos += (size_t)n * value_size[type];
        return 0;
    }
    json_decref(*out);
    *out = list = json_array();
    for (uint64_t i = 0; i < n; i++)
        if (rl_gguf_take(r, value_size[type], &v) < 0 ||
            json_array_append_new(list, number((enum value_type)type, v)) < 0)
            return -1;
    return 0;
}

int rl_gguf_read_value(struct rl_gguf_reader *r, uint64_t type, json_t **out)
{
    const char *s;
    size_t n;
    uint64_t v;

    if (type == V_ARRAY)
        return read_list(r, out);
    if (type == V_STRING) {
        if (rl_gguf_take_string(r, &s, &n) < 0)
            return -1;
        *out = n > KEPT_STRING ? json_null() : json_stringn(s, n);
        return *out ? 0 : rl_gguf_fail(r, "expected a string in UTF-8");
    }
    if (type >= V_NTYPES)
        return rl_gguf_fail(r, "expected a value type from 0 to 12");
    if (rl_gguf_take(r, value_size[type], &v) < 0)
        return -1;
    if (type == V_BOOL && v > 1)
        return rl_gguf_fail(r, "expected 0 or 1 for a truth value");
    *out = number((enum value_type)type, v);
    return 0;
}
