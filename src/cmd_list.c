/* The subcommands, in the order help shows them: one row each. */
#include "command.h"

const struct rl_command *const rl_commands[] = {
    NULL,
};
