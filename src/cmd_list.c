/* The subcommands, in the order help shows them: one row each.  ROW(x) stands
 * for `const struct rl_command rl_cmd_x` of cmd_x.c. */
#include "command.h"

#define COMMANDS(ROW)                                                                    \
    ROW(predict)                                                                         \
    ROW(compare)                                                                         \
    ROW(sweep)                                                                           \
    ROW(plot)                                                                            \
    ROW(op)                                                                              \
    ROW(validate)                                                                        \
    ROW(calibrate)                                                                       \
    ROW(hw)                                                                              \
    ROW(model)                                                                           \
    ROW(bench)

#define DECLARE(name) extern const struct rl_command rl_cmd_##name;
#define POINTER(name) &rl_cmd_##name,

COMMANDS(DECLARE)

/* clang-format off */
const struct rl_command *const rl_commands[] = {
    COMMANDS(POINTER)
    NULL,
};
/* clang-format on */
