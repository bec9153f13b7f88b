/* Devices for commands: as the library loads them, and `host`, which lies in
 * the user's own data folder.  The only place that reads that environment. */
#include "command.h"
#include "device.h"

#include <limits.h>
#include <stdlib.h>

const char *rl_user_dir(char *buf, size_t size)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (xdg && *xdg == '/') /* the XDG rule: relative paths are ignored */
        snprintf(buf, size, "%s/rooflint", xdg);
    else if (home && *home)
        snprintf(buf, size, "%s/.local/share/rooflint", home);
    else
        return NULL;
    return buf;
}

struct rl_device *rl_command_device(const char *data, const char *name,
                                    struct rl_error *err)
{
    char user[PATH_MAX];

    return rl_device_load_for(data, rl_user_dir(user, sizeof user), name, err);
}
