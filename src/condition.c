/* Conditions of `sweep --where`. */
#include "condition.h"
#include "command.h"
#include "err.h"
#include "path.h"
#include "units.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
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

/* Copies the id that rows of the column hold for `value`; a name that no row can
 * hold is an error. */
static int known_id(const char *column, const char *value, const char *data, char *out,
                    struct rl_error *err)
{
    const char *id = NULL;
    struct rl_device *d = NULL;
    struct rl_model *m = NULL;
    struct rl_runtime *r = NULL;

    if (!strcmp(column, "hw") && (d = rl_command_device(data, value, err)))
        id = d->id;
    else if (!strcmp(column, "model") && (m = rl_model_load(data, value, err)))
        id = m->id;
    else if (!strcmp(column, "runtime") && (r = rl_runtime_load(data, value, NULL, err)))
        id = r->name;
    if (id)
        snprintf(out, RL_MAXWORD, "%s", id);
    rl_device_free(d);
    rl_model_free(m);
    rl_runtime_free(r);
    return id ? 0 : -1;
}

static int check_bound(const char *column, const char *word, struct rl_error *err)
{
    char *names[RL_NBOUNDS], near[100];

    for (int i = 0; i < RL_NBOUNDS; i++) {
        names[i] = (char *)(uintptr_t)rl_bound_name((enum rl_bound)i);
        if (!strcmp(word, names[i]))
            return 0;
    }
    return rl_fail(err, RL_ENAME, NULL, 0,
                   "--where: '%s' is never '%s': did you mean %s?", column, word,
                   rl_nearest(word, names, RL_NBOUNDS, RL_NBOUNDS, near, sizeof near));
}

static int text_value(const char *column, int op, const char *value, const char *data,
                      char *out, struct rl_error *err)
{
    if (op != RL_EQ && op != RL_NE)
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--where: '%s' is text: expected == or !=", column);
    if (!strcmp(column, "hw") || !strcmp(column, "model") || !strcmp(column, "runtime"))
        return known_id(column, value, data, out, err);
    if (!strcmp(column, "fits") && strcmp(value, "true") && strcmp(value, "false"))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "--where: 'fits': expected true or false, got '%s'", value);
    if (!strncmp(column, "bound.", 6) && check_bound(column, value, err))
        return -1;
    memcpy(out, value, RL_MAXWORD);
    return 0;
}

static int number_value(const char *column, const char *value, double *out,
                        struct rl_error *err)
{
    struct rl_error inner = {0};

    if (!rl_parse_number(value, out) || !rl_parse_tokens(value, out, &inner))
        return 0;
    return rl_fail(
        err, RL_EVALUE, NULL, 0,
        "--where: '%s' is a number: expected one such as 0.25 or 8k to compare "
        "it with, got '%s'",
        column, value);
}

static int parse_term(const char **s, const char *data, struct rl_condition *c,
                      struct rl_error *err)
{
    char name[RL_MAXWORD], value[RL_MAXWORD] = "";
    bool no = **s == '!';
    int k = c->n;

    if (k == RL_MAXTERMS)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--where: more than %d terms",
                       RL_MAXTERMS);
    *s = skip(*s + no);
    *s += word(*s, name, sizeof name);
    int column = rl_column_find(name);
    if (column < 0)
        return unknown(name, err);
    *s = skip(*s);
    int op = operator_at(s);
    if (op >= 0 && no)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--where: '!%s' takes no comparison",
                       name);
    if (op < 0) { /* a bare word */
        if (strcmp(name, "fits"))
            return rl_fail(err, RL_EVALUE, NULL, 0,
                           "--where: '%s' is not true or false: compare it", name);
        strcpy(value, no ? "false" : "true");
        op = RL_EQ;
    } else {
        *s = skip(*s);
        *s += word(*s, value, sizeof value);
    }
    if (!*value)
        return rl_fail(err, RL_EVALUE, NULL, 0, "--where: '%s' is compared with nothing",
                       name);
    c->term[k].column = column;
    c->term[k].op = op;
    c->n++;
    return rl_column_is_text(column)
               ? text_value(name, op, value, data, c->term[k].text, err)
               : number_value(name, value, &c->term[k].num, err);
}

int rl_condition_parse(const char *s, const char *data, struct rl_condition *c,
                       struct rl_error *err)
{
    memset(c, 0, sizeof *c);
    s = skip(s);
    while (*s) {
        if (parse_term(&s, data, c, err))
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
        bool null = cell->text ? !*cell->text : !isfinite(cell->num);
        double a = cell->text ? strcmp(cell->text, c->term[i].text) : cell->num;
        double b = cell->text ? 0 : c->term[i].num;
        if (null || !compare(c->term[i].op, a, b))
            return false;
    }
    return true;
}
