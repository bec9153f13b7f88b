/* Command lines against option tables.
 *
 * Accepted: --name VALUE, --name=VALUE, --flag, -x VALUE, -xVALUE, -xyz (flags
 * run together), and -- before operands that begin with a dash.  Operands and
 * options mix freely; of an option given twice the last one counts.
 */
#include "cli.h"

#include "path.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Every command has these. */
const struct rl_option rl_common_options[] = {
    {.name = "data",
     .arg = "DIR",
     .help = "folder that holds hwdb/ and models/ (also: ROOFLINT_DATA)",
     .values = "file"},
    {.name = "help", .letter = 'h', .help = "show this help"},
    {0},
};

int rl_count_options(const struct rl_option *o)
{
    int n = 0;

    while (o && o[n].name)
        n++;
    return n;
}

bool rl_option_own(const struct rl_command *c, const char *name)
{
    for (int i = 0; c->option && c->option[i].name; i++)
        if (strcmp(c->option[i].name, name) == 0)
            return true;
    return false;
}

const char *rl_arg(const struct rl_command *c, const struct rl_args *a, const char *name)
{
    for (int i = 0; c->option && c->option[i].name; i++)
        if (strcmp(c->option[i].name, name) == 0)
            return a->value[i];
    return NULL;
}

int rl_die(const struct rl_error *err)
{
    char buf[2048];

    fprintf(stderr, "rooflint: %s\n", rl_error_format(err, buf, sizeof buf));
    return RL_EXIT_FAIL;
}

int rl_usage_error(const struct rl_command *c, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, c ? "rooflint %s: " : "rooflint: ", c ? c->name : "");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, c ? "\ntry 'rooflint %s --help'\n" : "\ntry 'rooflint --help'\n",
            c ? c->name : "");
    return RL_EXIT_USAGE;
}

/* Row i of the command's own options followed by the common ones. */
static const struct rl_option *option_at(const struct rl_command *c, int i)
{
    int own = rl_count_options(c->option);

    return i < own ? &c->option[i] : &rl_common_options[i - own];
}

static int count_all(const struct rl_command *c)
{
    return rl_count_options(c->option) + rl_count_options(rl_common_options);
}

static int unknown_option(const struct rl_command *c, const char *name, size_t len)
{
    char want[64], near[128];
    const char *names[64];
    int n = count_all(c) < 64 ? count_all(c) : 64;

    snprintf(want, sizeof want, "%.*s", len < 63 ? (int)len : 63, name);
    for (int i = 0; i < n; i++)
        names[i] = option_at(c, i)->name;
    rl_nearest(want, (char *const *)names, n, 1, near, sizeof near);
    return rl_usage_error(c, "unknown option '--%s'; the nearest is --%s", want, near);
}

/* --name, --name=VALUE, or --name and the next word. */
static int take_long(struct rl_parsed *p, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *eq = strchr(name, '=');
    size_t len = eq ? (size_t)(eq - name) : strlen(name);
    const struct rl_option *o;
    int k;

    for (k = 0; k < count_all(p->command); k++)
        if (strlen(option_at(p->command, k)->name) == len &&
            memcmp(option_at(p->command, k)->name, name, len) == 0)
            break;
    if (k == count_all(p->command))
        return unknown_option(p->command, name, len);
    o = option_at(p->command, k);
    if (!o->arg && eq)
        return rl_usage_error(p->command, "option '--%s' takes no value", o->name);
    if (o->arg && !eq && !argv[*i + 1])
        return rl_usage_error(p->command, "option '--%s' needs a value: %s", o->name,
                              o->arg);
    p->value[k] = !o->arg ? "" : eq ? eq + 1 : argv[++*i];
    return RL_EXIT_OK;
}

/* -x, -xVALUE, -x VALUE, or flags run together. */
static int take_letters(struct rl_parsed *p, char **argv, int *i)
{
    for (const char *s = argv[*i] + 1; *s; s++) {
        const struct rl_option *o;
        int k;

        for (k = 0; k < count_all(p->command); k++)
            if (option_at(p->command, k)->letter == *s)
                break;
        if (k == count_all(p->command))
            return rl_usage_error(p->command, "unknown option '-%c'", *s);
        o = option_at(p->command, k);
        if (!o->arg) {
            p->value[k] = "";
            continue;
        }
        if (!s[1] && !argv[*i + 1])
            return rl_usage_error(p->command, "option '-%c' needs a value: %s", *s,
                                  o->arg);
        p->value[k] = s[1] ? s + 1 : argv[++*i];
        break;
    }
    return RL_EXIT_OK;
}

int rl_parse_command_line(struct rl_parsed *p, const struct rl_command *c, char **argv)
{
    bool options = true;
    int n = 0, rc = RL_EXIT_OK;

    while (argv[n])
        n++;
    *p = (struct rl_parsed){.command = c};
    p->value = calloc((size_t)count_all(c), sizeof *p->value);
    p->operand = calloc((size_t)n + 1, sizeof *p->operand);
    if (!p->value || !p->operand)
        return rl_usage_error(c, "out of memory");
    for (int i = 0; i < n && rc == RL_EXIT_OK; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && strncmp(argv[i], "--", 2) == 0)
            rc = take_long(p, argv, &i);
        else if (options && argv[i][0] == '-' && argv[i][1])
            rc = take_letters(p, argv, &i);
        else
            p->operand[p->noperands++] = argv[i];
    }
    p->data = p->value[count_all(c) - 2];
    p->help = p->value[count_all(c) - 1] != NULL;
    if (rc == RL_EXIT_OK && !p->help && p->noperands && !c->operands)
        rc = rl_usage_error(c, "unexpected operand '%s'", p->operand[0]);
    return rc;
}

void rl_parsed_free(struct rl_parsed *p)
{
    free(p->value);
    free(p->operand);
}

const struct rl_command *rl_command_find(const char *name)
{
    for (int i = 0; rl_commands[i]; i++)
        if (strcmp(rl_commands[i]->name, name) == 0)
            return rl_commands[i];
    return NULL;
}
