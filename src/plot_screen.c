/* Where a picture goes that has no file: a window, the terminal's own pixels
 * (sixel), or letters.  Which of them gnuplot can do, its script asks. */
#include "err.h"
#include "plot.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* The answer to "primary device attributes", `ESC [ ? 62 ; 4 ; … c`, or as much of
 * it as comes within 0.3 s a letter. */
static void ask_terminal(int fd, char *buf, size_t size)
{
    struct termios before, raw;
    size_t n = 0;

    *buf = 0;
    if (tcgetattr(fd, &before))
        return;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(fd, TCSANOW, &raw);
    if (write(fd, "\033[c", 3) == 3) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        while (n + 1 < size && poll(&p, 1, 300) == 1 && read(fd, buf + n, 1) == 1 &&
               buf[n++] != 'c')
            ;
    }
    buf[n] = 0;
    tcsetattr(fd, TCSANOW, &before);
}

/* Attribute 4 is sixel graphics. */
static bool terminal_has_sixel(void)
{
    char answer[128];
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY);

    if (fd < 0)
        return false;
    ask_terminal(fd, answer, sizeof answer);
    close(fd);
    for (const char *p = answer; (p = strchr(p, ';')); p++)
        if (p[1] == '4' && (p[2] == ';' || p[2] == 'c'))
            return true;
    return false;
}

static bool set(const char *variable)
{
    const char *v = getenv(variable);
    return v && *v;
}

const char *rl_plot_screen(const char *show, struct rl_error *err)
{
    if (show) {
        if (!strcmp(show, "window") || !strcmp(show, "sixel") || !strcmp(show, "dumb"))
            return show;
        rl_fail(err, RL_EVALUE, NULL, 0,
                "--show: expected window, sixel or dumb, got '%s'", show);
        return NULL;
    }
    if (!isatty(STDOUT_FILENO))
        return "dumb";
    if (set("DISPLAY") || set("WAYLAND_DISPLAY"))
        return "window";
    return terminal_has_sixel() ? "sixel" : "dumb";
}
