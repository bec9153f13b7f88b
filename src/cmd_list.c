/* The subcommands, in the order help shows them: one row each. */
#include "command.h"

extern const struct rl_command rl_cmd_calibrate, rl_cmd_validate;

const struct rl_command *const rl_commands[] = {
    &rl_cmd_calibrate,
    &rl_cmd_validate,
    NULL,
};
