/* Measured rows: interned names, sorting, merging, grouping.  Ignores how often
 * a point was measured: a merged row weighs as one. */
#include "sample.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

void rl_samples_clear(struct rl_samples *s)
{
    for (size_t i = 0; i < s->nnames; i++)
        free(s->name[i]);
    free(s->name);
    free(s->at);
    memset(s, 0, sizeof *s);
}

struct rl_sample *rl_samples_add(struct rl_samples *s, struct rl_error *err)
{
    struct rl_sample *at = rl_grow(s->at, &s->cap, s->n + 1, sizeof *at, err);
    if (!at)
        return NULL;
    s->at = at;
    memset(&at[s->n], 0, sizeof *at);
    return &at[s->n++];
}

const char *rl_samples_name(struct rl_samples *s, const char *text, struct rl_error *err)
{
    size_t lo = 0, hi = s->nnames;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(s->name[mid], text);
        if (!c)
            return s->name[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    char **grown = rl_grow(s->name, &s->names_cap, s->nnames + 1, sizeof *grown, err);
    if (!grown)
        return NULL;
    s->name = grown;
    char *copy = rl_strdup(text, err);
    if (!copy)
        return NULL;
    memmove(grown + lo + 1, grown + lo, (s->nnames - lo) * sizeof *grown);
    grown[lo] = copy;
    s->nnames++;
    return copy;
}

static int by_kernel(const struct rl_sample *a, const struct rl_sample *b)
{
    int c = a->op == b->op ? 0 : strcmp(a->op->name, b->op->name);
    if (!c && a->device != b->device)
        c = strcmp(a->device, b->device);
    if (!c && a->runtime != b->runtime)
        c = strcmp(a->runtime, b->runtime);
    if (!c && a->impl != b->impl)
        c = strcmp(a->impl, b->impl);
    if (!c)
        c = (int)a->dtype - (int)b->dtype;
    return c ? c : (int)a->kv_dtype - (int)b->kv_dtype;
}

/* Over the parameters whose bit in `shape_params` is `shape`. */
static int by_params(const struct rl_sample *a, const struct rl_sample *b, bool shape)
{
    for (int i = 0; i < RL_MAXPARAMS; i++) {
        bool in = a->op->shape_params >> i & 1U;
        if (in == shape && a->p[i] != b->p[i])
            return a->p[i] < b->p[i] ? -1 : 1;
    }
    return 0;
}

static int by_point(const struct rl_sample *a, const struct rl_sample *b)
{
    int c = by_kernel(a, b);
    if (!c)
        c = by_params(a, b, true);
    return c ? c : by_params(a, b, false);
}

static int by_all(const void *va, const void *vb)
{
    const struct rl_sample *a = va, *b = vb;
    int c = by_point(a, b);
    if (!c)
        c = (a->seconds > b->seconds) - (a->seconds < b->seconds);
    return c;
}

bool rl_same_kernel(const struct rl_sample *a, const struct rl_sample *b)
{
    return by_kernel(a, b) == 0;
}

bool rl_same_shape(const struct rl_sample *a, const struct rl_sample *b)
{
    return rl_same_kernel(a, b) && by_params(a, b, true) == 0;
}

int rl_samples_merge(struct rl_samples *s, struct rl_error *err)
{
    if (s->n == 0)
        return rl_fail(err, RL_EVALUE, NULL, 0, "no measured rows");
    qsort(s->at, s->n, sizeof *s->at, by_all);
    size_t out = 0;
    for (size_t i = 0, end; i < s->n; i = end) {
        for (end = i + 1; end < s->n && !by_point(&s->at[i], &s->at[end]);)
            end++;
        double lower = s->at[(i + end - 1) / 2].seconds,
               upper = s->at[(i + end) / 2].seconds;
        s->at[out] = s->at[i];
        s->at[out++].seconds = (lower + upper) / 2;
    }
    s->n = out;
    return 0;
}

struct rl_group *rl_samples_groups(const struct rl_samples *s, size_t *n,
                                   struct rl_error *err)
{
    struct rl_group *g = NULL;
    size_t cap = 0;
    *n = 0;
    for (size_t i = 0, end; i < s->n; i = end) {
        for (end = i + 1; end < s->n && rl_same_kernel(&s->at[i], &s->at[end]);)
            end++;
        struct rl_group *grown = rl_grow(g, &cap, *n + 1, sizeof *g, err);
        if (!grown) {
            free(g);
            return NULL;
        }
        g = grown;
        g[(*n)++] = (struct rl_group){i, end - i};
    }
    return g;
}

/* FNV-1a over the parameters' values, then mixed: neighbouring shapes must not
 * fall into folds in a pattern. */
unsigned long long rl_sample_hash(const struct rl_sample *a, bool shape_only)
{
    unsigned long long h = 1469598103934665603ULL;
    for (int i = 0; i < RL_MAXPARAMS; i++) {
        if (shape_only && !(a->op->shape_params >> i & 1U))
            continue;
        unsigned long long v = (unsigned long long)(a->p[i] * 16);
        for (int b = 0; b < 8; b++, v >>= 8)
            h = (h ^ (v & 255)) * 1099511628211ULL;
    }
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    return h;
}
