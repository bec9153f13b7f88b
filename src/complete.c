/* Shell completion, from the command and option tables.
 *
 * `rooflint --completion SHELL` prints a script; what an option's value may be
 * the script asks at run time by `rooflint --values KIND`, since the data files
 * decide which devices, models and runtimes there are.
 */
#include "cli.h"

#include <string.h>

typedef void option_fn(FILE *f, const struct rl_command *c, const struct rl_option *o);

static void each_option(FILE *f, const struct rl_command *c, option_fn *fn)
{
    for (const struct rl_option *o = c->option; o && o->name; o++)
        fn(f, c, o);
    for (const struct rl_option *o = rl_common_options; o->name; o++)
        if (!rl_option_own(c, o->name))
            fn(f, c, o);
}

static bool is_list(const char *values) /* "a|b|c" */
{
    return values && strchr(values, '|');
}

static bool is_kind(const char *values) /* "device", … */
{
    return values && !is_list(values) && strcmp(values, "file") != 0;
}

static bool is_file(const char *values)
{
    return values && strcmp(values, "file") == 0;
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

/* What a place offers: a shell command that sets $words, or files. */
static void bash_offer(FILE *f, const char *values)
{
    if (is_list(values)) {
        fputs("words=\"", f);
        words_of(f, values);
        fputs("\"", f);
    } else if (is_kind(values)) {
        fprintf(f, "words=$(\"$me\" --values %s 2>/dev/null)", values);
    } else if (is_file(values)) {
        fputs("files=1", f);
    } else {
        fputs(":", f);
    }
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
    bash_offer(f, o->values);
    fputs(" ;;\n", f);
}

/* Operands: $nth counts from 1. */
static void bash_operands(FILE *f, const struct rl_command *c)
{
    fprintf(f, "        %s) if [ $nth = 1 ]; then ", c->name);
    bash_offer(f, c->operands && !c->values ? "file" : c->values);
    fputs("; else ", f);
    bash_offer(f, c->operands && !c->then ? "file" : c->then);
    fputs("; fi ;;\n", f);
}

static const char bash_head[] =
    "# bash completion of rooflint\n"
    "_rooflint() {\n"
    "    local me=${COMP_WORDS[0]} command=${COMP_WORDS[1]} words= files= head= nth=1 i\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    COMPREPLY=()\n"
    "    # bash parts --option=value in three words\n"
    "    if [ \"$cur\" = = ]; then cur=\n"
    "    elif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n"
    "    # operands so far: words without a dash that follow none\n"
    "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "        [[ ${COMP_WORDS[i]} == -* || ${COMP_WORDS[i-1]} == -* ]] || ((nth++))\n"
    "    done\n"
    "    if [ \"$COMP_CWORD\" = 1 ]; then command=; prev=; fi\n"
    "    case $command:$prev in\n"
    "    :*) words=\"";
static const char bash_tail[] =
    "    esac\n"
    "    if [ -n \"$files\" ]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        COMPREPLY=($(compgen -f -- \"$cur\")); return\n"
    "    fi\n"
    "    # of a list a,b,c the last is completed\n"
    "    case $cur in *,*) head=${cur%,*},; cur=${cur##*,} ;; esac\n"
    "    COMPREPLY=($(compgen -P \"$head\" -W \"$words\" -- \"$cur\"))\n"
    "}\n"
    "complete -F _rooflint rooflint\n";

static void bash_script(FILE *f)
{
    fputs(bash_head, f);
    for (int i = 0; rl_commands[i]; i++)
        fprintf(f, "%s ", rl_commands[i]->name);
    fputs("help --help --version --completion\" ;;\n"
          "    help:*) words=$(\"$me\" --values command 2>/dev/null) ;;\n"
          "    --completion:*) words=\"bash zsh fish\" ;;\n",
          f);
    for (int i = 0; rl_commands[i]; i++)
        each_option(f, rl_commands[i], bash_value);
    fputs("    *) if [[ $cur == -* ]]; then case $command in\n", f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "        %s) words=\"", rl_commands[i]->name);
        each_option(f, rl_commands[i], bash_name);
        fputs("\" ;;\n", f);
    }
    fputs("        esac; else case $command in\n", f);
    for (int i = 0; rl_commands[i]; i++)
        bash_operands(f, rl_commands[i]);
    fputs("        esac; fi ;;\n", f);
    fputs(bash_tail, f);
}

/* zsh */

/* Text inside single quotes within _arguments: no colon, bracket or quote. */
static void zsh_text(FILE *f, const char *s)
{
    for (; *s; s++)
        putc(strchr(":[]'\\", *s) || *s == '\n' ? ' ' : *s, f);
}

/* The action of _arguments; `several`: names may form a list a,b,c.  $(…) must run
 * when completing, so everything stands in single quotes. */
static void zsh_action(FILE *f, const char *values, bool several)
{
    if (is_list(values)) {
        putc('(', f);
        words_of(f, values);
        putc(')', f);
    } else if (is_kind(values)) {
        fprintf(f, "{%scompadd - $($me --values %s 2>/dev/null)}",
                several ? "_sequence " : "", values);
    } else if (is_file(values)) {
        fputs("_files", f);
    } else {
        putc(' ', f);
    }
}

static void zsh_option(FILE *f, const struct rl_command *c, const struct rl_option *o)
{
    (void)c;
    for (int letter = 0; letter <= (o->letter != 0); letter++) {
        if (letter)
            fprintf(f, " \\\n            '-%c[", o->letter);
        else
            fprintf(f, " \\\n            '--%s%s[", o->name, o->arg ? "=" : "");
        zsh_text(f, o->help);
        putc(']', f);
        if (o->arg) {
            putc(':', f);
            zsh_text(f, o->arg);
            putc(':', f);
            zsh_action(f, o->values, strstr(o->arg, "LIST") || strchr(o->arg, ','));
        }
        putc('\'', f);
    }
}

static void zsh_operands(FILE *f, const struct rl_command *c)
{
    if (!c->operands)
        return;
    fputs(" \\\n            '1:operand:", f);
    zsh_action(f, c->values ? c->values : "file", false);
    fputs("' \\\n            '*:operand:", f);
    zsh_action(f, c->then ? c->then : "file", false);
    fputs("'", f);
}

static void zsh_script(FILE *f)
{
    fputs("#compdef rooflint\n_rooflint() {\n    local me=$words[1]\n"
          "    if (( CURRENT == 2 )); then\n        local -a commands=(\n",
          f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "            '%s:", rl_commands[i]->name);
        zsh_text(f, rl_commands[i]->summary);
        fputs("'\n", f);
    }
    fputs("            'help:help of a command'\n        )\n"
          "        _describe command commands\n        return\n    fi\n"
          "    case $words[2] in\n"
          "    help) compadd - $($me --values command 2>/dev/null) ;;\n",
          f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "    %s)\n        shift words; (( CURRENT-- ))\n        _arguments",
                rl_commands[i]->name);
        each_option(f, rl_commands[i], zsh_option);
        zsh_operands(f, rl_commands[i]);
        fputs(" ;;\n", f);
    }
    fputs("    esac\n}\n"
          "# sourced it registers itself, as an autoloaded function it runs\n"
          "if [ \"$funcstack[1]\" = _rooflint ]; then _rooflint \"$@\"; "
          "else compdef _rooflint rooflint; fi\n",
          f);
}

/* fish */

static void fish_text(FILE *f, const char *s)
{
    for (; *s; s++)
        putc(*s == '\'' || *s == '\\' || *s == '\n' ? ' ' : *s, f);
}

/* -xa WORDS, or -rF for files; -x alone: nothing to offer. */
static void fish_offer(FILE *f, const char *values)
{
    if (is_list(values)) {
        fputs(" -xa '", f);
        words_of(f, values);
        putc('\'', f);
    } else if (is_kind(values)) {
        fprintf(f, " -xa '(__rooflint_values %s)'", values);
    } else {
        fputs(is_file(values) ? " -rF" : " -x", f);
    }
}

static void fish_option(FILE *f, const struct rl_command *c, const struct rl_option *o)
{
    fprintf(f, "complete -c rooflint -n '__fish_seen_subcommand_from %s' -l %s", c->name,
            o->name);
    if (o->letter)
        fprintf(f, " -s %c", o->letter);
    if (o->arg)
        fish_offer(f, o->values);
    fputs(" -d '", f);
    fish_text(f, o->help);
    fputs("'\n", f);
}

/* The first operand is offered while none of its words was given. */
static void fish_operands(FILE *f, const struct rl_command *c)
{
    bool words = is_list(c->values);

    if (!c->values)
        return;
    fprintf(f, "complete -c rooflint -n '__fish_seen_subcommand_from %s", c->name);
    if (words) {
        fputs("; and not __fish_seen_subcommand_from ", f);
        words_of(f, c->values);
    }
    putc('\'', f);
    fish_offer(f, c->values);
    putc('\n', f);
    if (!words || !c->then)
        return;
    fprintf(f,
            "complete -c rooflint -n '__fish_seen_subcommand_from %s; and "
            "__fish_seen_subcommand_from ",
            c->name);
    words_of(f, c->values);
    putc('\'', f);
    fish_offer(f, c->then);
    putc('\n', f);
}

static void fish_script(FILE *f)
{
    fputs(
        "# fish completion of rooflint\n"
        "# names of a kind; of a list a,b,c the last is completed\n"
        "function __rooflint_values\n"
        "    set -l me (commandline -opc)[1]\n"
        "    set -l head (string match -r '^(?:--?[a-z-]+=)?(.*,)' -- (commandline "
        "-ct))[2]\n"
        "    for name in ($me --values $argv[1] 2>/dev/null)\n"
        "        echo \"$head$name\"\n"
        "    end\n"
        "end\n"
        "complete -c rooflint -n __fish_use_subcommand -fa help -d 'help of a command'\n"
        "complete -c rooflint -n '__fish_seen_subcommand_from help' "
        "-xa '(__rooflint_values command)'\n"
        "complete -c rooflint -n __fish_use_subcommand -l completion "
        "-xa 'bash zsh fish' -d 'print a completion script'\n",
        f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "complete -c rooflint -n __fish_use_subcommand -fa %s -d '",
                rl_commands[i]->name);
        fish_text(f, rl_commands[i]->summary);
        fputs("'\n", f);
        fish_operands(f, rl_commands[i]);
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
