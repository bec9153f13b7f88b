/* Conditions of `sweep --where`. */
#include "condition.h"
#include "err.h"
#include "path.h"
#include "units.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static const char *skip(const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    return s;
}

static int unknown(const char *name, struct rl_error *err)
{
    char near[200];
    char *names[RL_NCOLUMNS];
    for (int i = 0; i < RL_NCOLUMNS; i++)
        names[i] = (char *)(uintptr_t)rl_column_name(i);
    return rl_fail(err, RL_ENAME, NULL, 0, "--where: no column '%s': did you mean %s?",
                   name, rl_nearest(name, names, RL_NCOLUMNS, 3, near, sizeof near));
}

/* One of < <= > >= == != at *s, or -1. */
static int operator_at(const char **s)
{
    static const struct {
        const char *text;
        int op;
    } ops[] = {{"<=", RL_LE}, {">=", RL_GE}, {"==", RL_EQ},
               {"!=", RL_NE}, {"<", RL_LT},  {">", RL_GT}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        size_t n = strlen(ops[i].text);
        if (!strncmp(*s, ops[i].text, n)) {
            *s += n;
            return ops[i].op;
        }
    }
    return -1;
}

/* Copies a word up to a space, an operator or &&; its length. */
static size_t word(const char *s, char *buf, size_t size)
{
    size_t n = strcspn(s, " \t<>=!&");
    size_t k = n < size - 1 ? n : size - 1;
    memcpy(buf, s, k);
    buf[k] = 0;
    return n;
}

static int parse_term(const char **s, struct rl_condition *c, struct rl_error *err)
{
    char name[64], value[64];
    bool no = **s == '!';
    int k = c->n;

    if (k == RL_MAXTERMS)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--where: more than %d terms",
                       RL_MAXTERMS);
    *s = skip(*s + no);
    *s += word(*s, name, sizeof name);
    c->term[k].column = rl_column_find(name);
    if (c->term[k].column < 0)
        return unknown(name, err);
    *s = skip(*s);
    int op = operator_at(s);
    if (op < 0 || no) { /* a bare word */
        c->term[k].op = RL_EQ;
        strcpy(c->term[k].text, no ? "false" : "true");
        c->n++;
        return op < 0 ? 0
                      : rl_fail(err, RL_EVALUE, NULL, 0,
                                "--where: '!%s' takes no comparison", name);
    }
    *s = skip(*s);
    *s += word(*s, value, sizeof value);
    if (!*value)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--where: '%s' is compared with nothing",
                       name);
    c->term[k].op = op;
    if (rl_parse_number(value, &c->term[k].num)) {
        struct rl_error inner = {0};
        if (rl_parse_tokens(value, &c->term[k].num, &inner))
            memcpy(c->term[k].text, value, sizeof value);
    }
    c->n++;
    return 0;
}

int rl_condition_parse(const char *s, struct rl_condition *c, struct rl_error *err)
{
    memset(c, 0, sizeof *c);
    s = skip(s);
    while (*s) {
        if (parse_term(&s, c, err))
            return -1;
        s = skip(s);
        if (!*s)
            break;
        if (strncmp(s, "&&", 2))
            return rl_fail(err, RL_EVALUE, NULL, 0, "--where: expected '&&' before '%s'",
                           s);
        s = skip(s + 2);
        if (!*s)
            return rl_fail(err, RL_EVALUE, NULL, 0,
                           "--where: nothing after the last '&&'");
    }
    return c->n ? 0 : rl_fail(err, RL_EVALUE, NULL, 0, "--where: an empty condition");
}

static bool compare(int op, double a, double b)
{
    switch (op) {
    case RL_LT:
        return a < b;
    case RL_LE:
        return a <= b;
    case RL_GT:
        return a > b;
    case RL_GE:
        return a >= b;
    case RL_EQ:
        return a == b;
    default:
        return a != b;
    }
}

bool rl_condition_holds(const struct rl_condition *c, const struct rl_cell *row)
{
    for (int i = 0; i < c->n; i++) {
        const struct rl_cell *cell = &row[c->term[i].column];
        if (*c->term[i].text || cell->text) {
            const char *have = cell->text ? cell->text : "";
            if (!compare(c->term[i].op, strcmp(have, c->term[i].text), 0))
                return false;
        } else if (!isfinite(cell->num) ||
                   !compare(c->term[i].op, cell->num, c->term[i].num)) {
            return false;
        }
    }
    return true;
}
