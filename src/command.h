/* A subcommand is a struct: name, summary, options as rows, a function.
 * Help, man page, completion and the help test iterate the list. */
#ifndef RL_COMMAND_H
#define RL_COMMAND_H

#include "rooflint.h"

#include <stdio.h>

enum { RL_EXIT_OK, RL_EXIT_FAIL, RL_EXIT_USAGE, RL_EXIT_NOFIT };

struct rl_option {
    const char *name;     /* long name without dashes; NULL ends the table */
    char letter;          /* 0: none */
    const char *arg;      /* NULL: a flag; else its placeholder: "N", "FILE" */
    const char *fallback; /* default as shown in help; NULL: none */
    const char *help;
    const char *values; /* what completion offers: "device", "model",
                           "runtime", "dtype", "file", or "a|b|c"; NULL */
};

struct rl_args {              /* parsed command line */
    const char *const *value; /* [option index]: text, "" for a set flag, or NULL */
    const char *const *operand;
    int noperands;
    const char *data; /* data directory in force */
};

struct rl_command {
    const char *name;
    const char *summary;  /* one line, no full stop */
    const char *operands; /* usage of operands: "FILE…", or NULL */
    const char *details;  /* paragraphs for -h and the man page; may be NULL */
    const struct rl_option *option;
    int (*run)(const struct rl_args *a); /* an exit code */
    const char *values; /* of the first operand, as in rl_option; NULL: files */
    const char *then;   /* of those after it, likewise; NULL: files */
};

extern const struct rl_command *const rl_commands[]; /* ends with NULL */

/* Value of an option by name (NULL when absent). */
const char *rl_arg(const struct rl_command *c, const struct rl_args *a, const char *name);
/* The user's own data folder, where `rooflint bench` writes host.csv; NULL:
 * none known.  rl_command_device loads any device, `host` from there. */
const char *rl_user_dir(char *buf, size_t size);
struct rl_device *rl_command_device(const char *data, const char *name,
                                    struct rl_error *err);
/* Prints "rooflint: …" on stderr, returns RL_EXIT_FAIL / RL_EXIT_USAGE. */
int rl_die(const struct rl_error *err);
int rl_usage_error(const struct rl_command *c, const char *fmt, ...);

#endif
