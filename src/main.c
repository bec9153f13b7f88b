/* The command `rooflint`: finds the subcommand, parses its options, finds the
 * data, and makes sure that what was printed has arrived. */
#include "cli.h"

#include "path.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool holds_data(const char *dir)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/hwdb", dir);
    return access(path, X_OK) == 0;
}

/* Beside the command (built in its source tree), in data/ (a build folder), or
 * in ../share/rooflint (an installation that was moved); NULL: nowhere. */
static const char *data_near_command(char buf[PATH_MAX + 32])
{
    static const char *const places[] = {"", "/data", "/../share/rooflint"};
    ssize_t n = readlink("/proc/self/exe", buf, PATH_MAX - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    buf[n] = '\0';
    slash = strrchr(buf, '/');
    if (!slash)
        return NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        strcpy(slash, places[i]);
        if (holds_data(buf))
            return buf;
    }
    return NULL;
}

/* The folder in force: the option, the environment, what lies near the command,
 * the installed one. */
static const char *data_dir(const char *option, char buf[PATH_MAX + 32])
{
    if (!option && !getenv("ROOFLINT_DATA"))
        option = data_near_command(buf);
    return rl_data_dir(option);
}

static int run(const struct rl_command *c, char **argv)
{
    char near[PATH_MAX + 32];
    struct rl_parsed p;
    int rc = rl_parse_command_line(&p, c, argv);

    if (rc == RL_EXIT_OK && p.help) {
        rl_help_command(stdout, c);
    } else if (rc == RL_EXIT_OK) {
        struct rl_args a = {p.value, p.operand, p.noperands, data_dir(p.data, near)};

        rc = c->run(&a);
    }
    rl_parsed_free(&p);
    return rc;
}

static int unknown_command(const char *name)
{
    const char *names[64];
    char near[64];
    int n = 0;

    for (; rl_commands[n] && n < 64; n++)
        names[n] = rl_commands[n]->name;
    rl_nearest(name, (char *const *)names, n, 1, near, sizeof near);
    return rl_usage_error(NULL, "unknown command '%.60s'; the nearest is '%s'", name,
                          near);
}

/* help [COMMAND] */
static int help(const char *name)
{
    const struct rl_command *c = name ? rl_command_find(name) : NULL;

    if (name && !c)
        return unknown_command(name);
    if (c)
        rl_help_command(stdout, c);
    else
        rl_help_all(stdout);
    return RL_EXIT_OK;
}

static int version(const char *arg)
{
    (void)arg;
    printf("rooflint %s\n", rl_version());
    return RL_EXIT_OK;
}

static int help_all(const char *arg)
{
    (void)arg;
    return help(NULL);
}

/* man [COMMAND] */
static int man(const char *name)
{
    const struct rl_command *c = name ? rl_command_find(name) : NULL;

    if (name && !c)
        return unknown_command(name);
    rl_man_page(stdout, c);
    return RL_EXIT_OK;
}

static int commands(const char *arg)
{
    (void)arg;
    for (int i = 0; rl_commands[i]; i++)
        puts(rl_commands[i]->name);
    return RL_EXIT_OK;
}

static int values(const char *kind)
{
    char near[PATH_MAX + 32];

    return rl_print_values(kind ? kind : "", data_dir(NULL, near));
}

/* What may stand in the place of a command. */
static const struct {
    const char *name;
    int (*run)(const char *arg);
} words[] = {
    {"--version", version},
    {"--help", help_all},
    {"-h", help_all},
    {"help", help},
    {"--completion", rl_print_completion},
    /* hidden: for the build, the tests and the completion scripts */
    {"--man", man},
    {"--commands", commands},
    {"--values", values},
};

static int dispatch(int argc, char **argv)
{
    const struct rl_command *c;

    if (argc < 2) {
        rl_help_all(stderr);
        return RL_EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(argv[1], words[i].name) == 0)
            return words[i].run(argv[2]);
    if (argv[1][0] == '-')
        return rl_usage_error(NULL, "expected a command, found option '%.60s'", argv[1]);
    c = rl_command_find(argv[1]);
    return c ? run(c, argv + 2) : unknown_command(argv[1]);
}

/* A full disk or a closed stdout must not look like success. */
static int close_stdout(int rc)
{
    bool bad = fflush(stdout) != 0 || ferror(stdout);

    if (fclose(stdout) != 0)
        bad = true;
    if (!bad)
        return rc;
    fprintf(stderr, "rooflint: cannot write standard output: %s\n", strerror(errno));
    return rc == RL_EXIT_OK ? RL_EXIT_FAIL : rc;
}

int main(int argc, char **argv)
{
    gsl_set_error_handler_off(); /* GSL's own prints and aborts */
    return close_stdout(dispatch(argc, argv));
}
