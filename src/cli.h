/* Between main.c, command.c and help.c; subcommands need command.h only. */
#ifndef RL_CLI_H
#define RL_CLI_H

#include "command.h"

extern const struct rl_option rl_common_options[]; /* of every command */
int rl_count_options(const struct rl_option *o);
/* Has the command an option of that name among its own? */
bool rl_option_own(const struct rl_command *c, const char *name);

struct rl_parsed {
    const struct rl_command *command;
    const char **value; /* own options, then the common ones */
    const char **operand;
    int noperands;
    const char *data; /* --data, or NULL */
    bool help;
};
/* argv: what follows the command's name, ends with NULL.  Returns an exit code
 * after printing what is wrong; rl_parsed_free in every case. */
int rl_parse_command_line(struct rl_parsed *p, const struct rl_command *c, char **argv);
void rl_parsed_free(struct rl_parsed *p);

const struct rl_command *rl_command_find(const char *name); /* NULL: none */

/* What help and man page say of an option, without its default. */
void rl_option_text(const struct rl_option *o, char *buf, size_t size);
void rl_help_all(FILE *f);
void rl_help_command(FILE *f, const struct rl_command *c);
int rl_print_completion(const char *shell);              /* bash, zsh, fish */
int rl_print_values(const char *kind, const char *data); /* names, one a line */
/* mdoc: rooflint-COMMAND(1), or rooflint(1) for c NULL */
void rl_man_page(FILE *f, const struct rl_command *c);

#endif
