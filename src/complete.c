/* Shell completion, from the command and option tables.
 *
 * `rooflint --completion SHELL` prints a script; what an option's value may be
 * the script asks at run time by `rooflint --values KIND`, since the data files
 * decide which devices, models and runtimes there are.
 */
#include "cli.h"

#include "device.h"
#include "dtype.h"
#include "model.h"
#include "path.h"
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

static int list_plots(const char *data, char ***names, int *n, struct rl_error *err)
{
    char *dir = rl_path_join(data, "plots", NULL);
    int rc = dir ? rl_list_dir(dir, ".gp", names, n, err) : -1;

    free(dir);
    return rc;
}

/* One name a line; a kind that is no list prints nothing. */
int rl_print_values(const char *kind, const char *data)
{
    struct rl_error err = {0};
    char **names = NULL;
    int n = 0, rc = 0;

    if (strcmp(kind, "device") == 0)
        rc = rl_device_list(data, &names, &n, &err);
    else if (strcmp(kind, "model") == 0)
        rc = rl_model_list(data, &names, &n, &err);
    else if (strcmp(kind, "runtime") == 0)
        rc = rl_runtime_list(data, &names, &n, &err);
    else if (strcmp(kind, "plot") == 0)
        rc = list_plots(data, &names, &n, &err);
    else if (strcmp(kind, "dtype") == 0)
        for (int i = RL_DT_NONE + 1; i < RL_NDTYPES; i++)
            puts(rl_dtype((enum rl_dtype)i)->name);
    if (rc < 0)
        return rl_die(&err);
    for (int i = 0; i < n; i++)
        puts(names[i]);
    rl_free_names(names, n);
    return RL_EXIT_OK;
}

typedef void option_fn(FILE *f, const struct rl_command *c, const struct rl_option *o);

static void each_option(FILE *f, const struct rl_command *c, option_fn *fn)
{
    for (const struct rl_option *o = c->option; o && o->name; o++)
        fn(f, c, o);
    for (const struct rl_option *o = rl_common_options; o->name; o++)
        if (!rl_option_own(c, o->name))
            fn(f, c, o);
}

static bool is_list(const struct rl_option *o) /* "a|b|c" */
{
    return o->values && strchr(o->values, '|');
}

static bool is_kind(const struct rl_option *o) /* "device", … */
{
    return o->values && !is_list(o) && strcmp(o->values, "file") != 0;
}

static void words_of(FILE *f, const char *values)
{
    for (; *values; values++)
        putc(*values == '|' ? ' ' : *values, f);
}

/* bash */

static void bash_name(FILE *f, const struct rl_command *c, const struct rl_option *o)
{
    (void)c;
    fprintf(f, " --%s", o->name);
}

/* One case of `COMMAND:OPTION`, for options that take a value. */
static void bash_value(FILE *f, const struct rl_command *c, const struct rl_option *o)
{
    if (!o->arg)
        return;
    fprintf(f, "    %s:--%s", c->name, o->name);
    if (o->letter)
        fprintf(f, "|%s:-%c", c->name, o->letter);
    fputs(") ", f);
    if (is_list(o)) {
        fputs("words=\"", f);
        words_of(f, o->values);
        fputs("\"", f);
    } else if (is_kind(o)) {
        fprintf(f, "words=$(\"${COMP_WORDS[0]}\" --values %s 2>/dev/null)", o->values);
    } else {
        fputs("COMPREPLY=($(compgen -f -- \"$cur\")); return", f);
    }
    fputs(" ;;\n", f);
}

static void bash_script(FILE *f)
{
    fputs("# bash completion of rooflint\n_rooflint() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local words= command=${COMP_WORDS[1]}\n    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          f);
    for (int i = 0; rl_commands[i]; i++)
        fprintf(f, "%s ", rl_commands[i]->name);
    fputs("help --help --version\" -- \"$cur\")); return\n    fi\n"
          "    case $command:$prev in\n",
          f);
    for (int i = 0; rl_commands[i]; i++)
        each_option(f, rl_commands[i], bash_value);
    fputs("    *) case $command in\n", f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "        %s) words=\"", rl_commands[i]->name);
        each_option(f, rl_commands[i], bash_name);
        fputs("\" ;;\n", f);
    }
    fputs("        esac\n", f);
    for (int i = 0; rl_commands[i]; i++)
        if (rl_commands[i]->values)
            fprintf(f,
                    "        if [[ $command = %s && $cur != -* ]]; then\n"
                    "            COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" "
                    "--values %s 2>/dev/null)\" -- \"$cur\")); return\n"
                    "        fi\n",
                    rl_commands[i]->name, rl_commands[i]->values);
    fputs(
        "        [[ $cur == -* ]] || { COMPREPLY=($(compgen -f -- \"$cur\")); return; }\n"
        "        ;;\n    esac\n"
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
        "complete -o filenames -F _rooflint rooflint\n",
        f);
}

/* zsh */

/* Text inside single quotes within _arguments: no colon, bracket or quote. */
static void zsh_text(FILE *f, const char *s)
{
    for (; *s; s++)
        putc(strchr(":[]'\\", *s) || *s == '\n' ? ' ' : *s, f);
}

static void zsh_option(FILE *f, const struct rl_command *c, const struct rl_option *o)
{
    (void)c;
    for (int letter = 0; letter <= (o->letter != 0); letter++) {
        if (letter)
            fprintf(f, " \\\n            '-%c[", o->letter);
        else
            fprintf(f, " \\\n            '--%s[", o->name);
        zsh_text(f, o->help);
        putc(']', f);
        if (o->arg) {
            putc(':', f);
            zsh_text(f, o->arg);
            putc(':', f);
        }
        if (is_list(o)) {
            putc('(', f);
            words_of(f, o->values);
            putc(')', f);
        } else if (is_kind(o)) {
            fprintf(f, "($(rooflint --values %s 2>/dev/null))", o->values);
        } else if (o->arg) {
            fputs("_files", f);
        }
        /* $(…) must run when completing: double quotes would run it too early */
        putc('\'', f);
    }
}

static void zsh_script(FILE *f)
{
    fputs("#compdef rooflint\n_rooflint() {\n    if (( CURRENT == 2 )); then\n"
          "        local -a commands=(\n",
          f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "            '%s:", rl_commands[i]->name);
        zsh_text(f, rl_commands[i]->summary);
        fputs("'\n", f);
    }
    fputs("        )\n        _describe command commands\n        return\n    fi\n"
          "    case $words[2] in\n",
          f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "    %s)\n        shift words; (( CURRENT-- ))\n        _arguments",
                rl_commands[i]->name);
        each_option(f, rl_commands[i], zsh_option);
        if (rl_commands[i]->values)
            fprintf(
                f, " \\\n            '*:name:($(rooflint --values %s 2>/dev/null))' ;;\n",
                rl_commands[i]->values);
        else
            fputs(" \\\n            '*:file:_files' ;;\n", f);
    }
    fputs("    esac\n}\ncompdef _rooflint rooflint\n", f);
}

/* fish */

static void fish_text(FILE *f, const char *s)
{
    for (; *s; s++)
        putc(*s == '\'' || *s == '\\' || *s == '\n' ? ' ' : *s, f);
}

static void fish_option(FILE *f, const struct rl_command *c, const struct rl_option *o)
{
    fprintf(f, "complete -c rooflint -n '__fish_seen_subcommand_from %s' -l %s", c->name,
            o->name);
    if (o->letter)
        fprintf(f, " -s %c", o->letter);
    if (is_list(o)) {
        fputs(" -xa '", f);
        words_of(f, o->values);
        putc('\'', f);
    } else if (is_kind(o)) {
        fprintf(f, " -xa '(rooflint --values %s 2>/dev/null)'", o->values);
    } else if (o->arg) {
        fputs(" -r", f);
    }
    fputs(" -d '", f);
    fish_text(f, o->help);
    fputs("'\n", f);
}

static void fish_script(FILE *f)
{
    fputs("# fish completion of rooflint\n", f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "complete -c rooflint -n __fish_use_subcommand -fa %s -d '",
                rl_commands[i]->name);
        fish_text(f, rl_commands[i]->summary);
        fputs("'\n", f);
        if (rl_commands[i]->values)
            fprintf(f,
                    "complete -c rooflint -n '__fish_seen_subcommand_from %s' -fa "
                    "'(rooflint --values %s 2>/dev/null)'\n",
                    rl_commands[i]->name, rl_commands[i]->values);
        each_option(f, rl_commands[i], fish_option);
    }
}

int rl_print_completion(const char *shell)
{
    static const struct {
        const char *name;
        void (*print)(FILE *f);
    } shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

    for (size_t i = 0; shell && i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].print(stdout);
            return RL_EXIT_OK;
        }
    return rl_usage_error(NULL, "expected --completion bash, zsh or fish");
}
