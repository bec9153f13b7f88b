/* Lists and ranges as options take them. */
#include "values.h"
#include "err.h"
#include "path.h"
#include "units.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct numbers {
    double *v;
    size_t n, cap;
};

static int push(struct numbers *l, const char *option, double v, struct rl_error *err)
{
    if (l->n >= RL_MAXVALUES)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--%s: more than %d values", option,
                       RL_MAXVALUES);
    void *grown = rl_grow(l->v, &l->cap, l->n + 1, sizeof *l->v, err);
    if (!grown)
        return -1;
    l->v = grown;
    l->v[l->n++] = v;
    return 0;
}

static int token(const char *option, const char *s, double *v, struct rl_error *err)
{
    struct rl_error inner = {0};
    if (rl_parse_tokens(s, v, &inner))
        return rl_fail(
            err, RL_EVALUE, NULL, 0,
            "--%s: expected a whole number of at least 1 (k = 1024, M = 1024^2) "
            "or FROM:TO:xFACTOR or FROM:TO:STEP, got '%s'",
            option, s);
    return 0;
}

static int range(struct numbers *l, const char *option, char *part, struct rl_error *err)
{
    char *to = strchr(part, ':'), *step = to ? strchr(to + 1, ':') : NULL;
    double a, b, s;

    if (!step)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--%s: expected FROM:TO:xFACTOR or FROM:TO:STEP, got '%s'", option,
                       part);
    *to++ = *step++ = 0;
    if (token(option, part, &a, err) || token(option, to, &b, err))
        return -1;
    bool times = *step == 'x';
    if (times ? rl_parse_number(step + 1, &s) || !(s > 1) : token(option, step, &s, err))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--%s: expected a factor above 1 after 'x', got '%s'", option,
                       step + 1);
    if (a > b)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--%s: the range ends before it begins",
                       option);
    for (double v = a; v <= b * (1 + 1e-12); v = times ? v * s : v + s)
        if (push(l, option, rint(v), err))
            return -1;
    return 0;
}

int rl_values_parse(const char *option, const char *text, double **out, int *n,
                    struct rl_error *err)
{
    struct numbers l = {0};
    char *copy = rl_strdup(text, err), *save = NULL;
    int rc = copy ? 0 : -1;

    for (char *p = rc ? NULL : strtok_r(copy, ",", &save); p && !rc;
         p = strtok_r(NULL, ",", &save)) {
        double v = 0;
        if (strchr(p, ':'))
            rc = range(&l, option, p, err);
        else
            rc = token(option, p, &v, err) || push(&l, option, v, err) ? -1 : 0;
    }
    if (!rc && !l.n)
        rc = rl_fail(err, RL_EVALUE, NULL, 0, "--%s: no values", option);
    free(copy);
    if (rc) {
        free(l.v);
        return -1;
    }
    *out = l.v;
    *n = (int)l.n;
    return 0;
}

struct names {
    char **v;
    size_t n, cap;
};

static int push_name(struct names *l, const char *s, struct rl_error *err)
{
    void *grown = rl_grow(l->v, &l->cap, l->n + 1, sizeof *l->v, err);
    if (!grown)
        return -1;
    l->v = grown;
    l->v[l->n] = rl_strdup(s, err);
    return l->v[l->n] ? (l->n++, 0) : -1;
}

static int add_names(struct names *l, const char *option, const char *part,
                     char *const *known, int nknown, struct rl_error *err)
{
    size_t before = l->n;
    if (strcmp(part, "all") && !strpbrk(part, "*?["))
        return push_name(l, part, err);
    for (int i = 0; i < nknown; i++)
        if (!strcmp(part, "all") || !fnmatch(part, known[i], 0))
            if (push_name(l, known[i], err))
                return -1;
    if (l->n == before)
        return rl_fail(err, RL_ENAME, NULL, 0, "--%s: no name matches '%s'", option,
                       part);
    return 0;
}

int rl_names_parse(const char *option, const char *text, char *const *known, int nknown,
                   char ***out, int *n, struct rl_error *err)
{
    struct names l = {0};
    char *copy = rl_strdup(text, err), *save = NULL;
    int rc = copy ? 0 : -1;

    for (char *p = rc ? NULL : strtok_r(copy, ",", &save); p && !rc;
         p = strtok_r(NULL, ",", &save))
        rc = add_names(&l, option, p, known, nknown, err);
    if (!rc && !l.n)
        rc = rl_fail(err, RL_EVALUE, NULL, 0, "--%s: no names", option);
    free(copy);
    if (rc) {
        rl_free_names(l.v, (int)l.n);
        return -1;
    }
    *out = l.v;
    *n = (int)l.n;
    return 0;
}
