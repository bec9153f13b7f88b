/* Help from the command and option tables. */
#include "cli.h"

#include <string.h>

enum { WIDTH = 80, INDENT = 26 };

/* Columns a UTF-8 text takes: its bytes without continuation bytes. */
static int columns(const char *s, size_t len)
{
    int n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

/* Words from column `at`, wrapped to WIDTH with `indent` blanks; '\n' breaks. */
static void wrapped(FILE *f, const char *s, int indent, int at)
{
    bool start = true;

    while (*s) {
        size_t len = strcspn(s, " \n");
        int w = columns(s, len);

        if (!start && at + 1 + w > WIDTH) {
            fprintf(f, "\n%*s", indent, "");
            at = indent;
            start = true;
        }
        fprintf(f, "%s%.*s", start ? "" : " ", (int)len, s);
        at += w + !start;
        start = false;
        s += len;
        for (; *s == ' ' || *s == '\n'; s++)
            if (*s == '\n') {
                fprintf(f, "\n%*s", s[1] == '\n' || !s[1] ? 0 : indent, "");
                at = indent;
                start = true;
            }
    }
    putc('\n', f);
}

/* The help of an option, and the words it takes unless the help has them. */
void rl_option_text(const struct rl_option *o, char *buf, size_t size)
{
    const char *v = o->values;
    size_t first = v ? strcspn(v, "|") : 0;
    char word[32];
    int n = snprintf(buf, size, "%s", o->help);

    if (!v || !v[first] || n < 0 || (size_t)n >= size)
        return;
    snprintf(word, sizeof word, "%.*s", (int)first, v);
    if (strstr(o->help, word))
        return;
    for (const char *sep = ": "; *v && (size_t)n < size; v += first + (v[first] == '|')) {
        first = strcspn(v, "|");
        n += snprintf(buf + n, size - (size_t)n, "%s%.*s", sep, (int)first, v);
        sep = strchr(v + first + (v[first] == '|'), '|') ? ", " : " or ";
    }
}

static void option_line(FILE *f, const struct rl_option *o)
{
    char left[64], letter[8] = "     ";
    int n;

    if (o->letter)
        snprintf(letter, sizeof letter, " -%c, ", o->letter);
    snprintf(left, sizeof left, " %s--%s%s%s", letter, o->name, o->arg ? " " : "",
             o->arg ? o->arg : "");
    fputs(left, f);
    n = columns(left, strlen(left));
    if (n + 2 > INDENT) {
        putc('\n', f);
        n = 0;
    }
    fprintf(f, "%*s", INDENT - n, "");
    char text[600];

    rl_option_text(o, text, sizeof text);
    if (o->fallback) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, " [%s]", o->fallback);
    }
    wrapped(f, text, INDENT, INDENT);
}

void rl_help_command(FILE *f, const struct rl_command *c)
{
    fprintf(f, "usage: rooflint %s [OPTION]...%s%s\n\n", c->name, c->operands ? " " : "",
            c->operands ? c->operands : "");
    wrapped(f, c->summary, 0, 0);
    if (c->details) {
        putc('\n', f);
        wrapped(f, c->details, 0, 0);
    }
    fputs("\noptions:\n", f);
    for (const struct rl_option *o = c->option; o && o->name; o++)
        option_line(f, o);
    for (const struct rl_option *o = rl_common_options; o->name; o++)
        if (!rl_option_own(c, o->name))
            option_line(f, o);
}

void rl_help_all(FILE *f)
{
    fputs("usage: rooflint COMMAND [OPTION]... [OPERAND]...\n\n"
          "Predicts how long language models take and how much memory they need on a\n"
          "device, from rooflines and measured kernels.\n\ncommands:\n",
          f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, "  %-12s  ", rl_commands[i]->name);
        wrapped(f, rl_commands[i]->summary, 16, 16);
    }
    fputs("\n'rooflint COMMAND --help' explains a command; 'rooflint --version' prints "
          "the\n"
          "version.\n\nexamples:\n"
          "  rooflint predict --hw orin --model mamba2-1.3b --ctx 128k\n"
          "  rooflint predict --hw 4090 --model qwen2.5-7b --ctx 32k --batch 4 "
          "--breakdown\n"
          "  rooflint hw show h100\n",
          f);
}
