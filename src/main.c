/* The command `rooflint`. */
#include "command.h"

#include <stdio.h>

int main(void)
{
    printf("rooflint %s\n", rl_version());
    return rl_commands[0] ? RL_EXIT_OK : RL_EXIT_USAGE;
}
