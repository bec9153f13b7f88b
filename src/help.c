/* Help and the man page, both from the command and option tables. */
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
    if (o->fallback) {
        char text[512];

        snprintf(text, sizeof text, "%s [%s]", o->help, o->fallback);
        wrapped(f, text, INDENT, INDENT);
    } else {
        wrapped(f, o->help, INDENT, INDENT);
    }
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

/* mdoc */

/* One code point of UTF-8 as roff's \[uXXXX]; returns the bytes taken. */
static int roff_unicode(FILE *f, const unsigned char *s)
{
    int more = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : 1, n = 1;
    unsigned c = *s & (0x3fu >> more);

    for (; n <= more && (s[n] & 0xc0) == 0x80; n++)
        c = c << 6 | (s[n] & 0x3fu);
    fprintf(f, "\\[u%04X]", c);
    return n;
}

/* Text with roff's own characters escaped; a line of its own.  Sentences begin
 * new lines, as mdoc wants. */
static void roff(FILE *f, const char *s)
{
    bool line_start = true;

    while (*s) {
        if (line_start && (*s == '.' || *s == '\''))
            fputs("\\&", f);
        line_start = false;
        if ((unsigned char)*s >= 0x80) {
            s += roff_unicode(f, (const unsigned char *)s);
            continue;
        }
        if (*s == '\\')
            fputs("\\e", f);
        else if (*s == '-')
            fputs("\\-", f);
        else
            putc(*s, f);
        s++;
        if (s[-1] == '.' && s[0] == ' ' && s[1] != ' ') {
            putc('\n', f);
            line_start = true;
            s++;
        }
    }
    putc('\n', f);
}

/* Paragraphs, parted by blank lines. */
static void roff_paragraphs(FILE *f, const char *s)
{
    char line[1024];

    while (*s) {
        size_t len = strcspn(s, "\n");

        if (len) {
            snprintf(line, sizeof line, "%.*s", (int)len, s);
            roff(f, line + strspn(line, " "));
        } else {
            fputs(".Pp\n", f);
        }
        s += len + (s[len] == '\n');
    }
}

static void man_option(FILE *f, const struct rl_option *o)
{
    if (o->letter)
        fprintf(f, ".It Fl %c , Fl Fl ", o->letter);
    else
        fputs(".It Fl Fl ", f);
    fputs(o->name, f);
    if (o->arg) {
        fputs(" Ar ", f);
        roff(f, o->arg);
    } else {
        putc('\n', f);
    }
    roff(f, o->help);
    if (o->fallback) {
        fputs("(default: ", f);
        for (const char *s = o->fallback; *s; s++)
            fputs(*s == '\\' ? "\\e" : *s == '-' ? "\\-" : (char[]){*s, 0}, f);
        fputs(")\n", f);
    }
}

static void man_command(FILE *f, const struct rl_command *c)
{
    fprintf(f, ".Ss rooflint %s\n", c->name);
    roff(f, c->summary);
    if (c->operands) {
        fputs(".Pp\nOperands:\n.Ar ", f);
        roff(f, c->operands);
    }
    if (c->details) {
        fputs(".Pp\n", f);
        roff_paragraphs(f, c->details);
    }
    if (!rl_count_options(c->option))
        return;
    fputs(".Bl -tag -width Ds\n", f);
    for (const struct rl_option *o = c->option; o->name; o++)
        man_option(f, o);
    fputs(".El\n", f);
}

void rl_man_page(FILE *f)
{
    fputs(".Dd November 23, 2026\n.Dt ROOFLINT 1\n.Os\n.Sh NAME\n.Nm rooflint\n"
          ".Nd predict latency and memory of language models on a device\n"
          ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Op Ar operand ...\n"
          ".Nm\n.Fl Fl help | Fl Fl version\n.Sh DESCRIPTION\n.Nm\n"
          "predicts time to first token, time per output token, memory and energy of a\n"
          "language model on a device under a software stack, each with a 90 % interval\n"
          "and with what binds it.\n"
          "Work is counted from the model's configuration; how fast a device does it "
          "comes\n"
          "from its ceilings and from measured kernels.\n"
          "Token counts take the suffixes k (1024) and M (1024\\(S2).\n"
          ".Sh COMMANDS\nEvery command takes these options:\n.Bl -tag -width Ds\n",
          f);
    for (const struct rl_option *o = rl_common_options; o->name; o++)
        man_option(f, o);
    fputs(".El\n", f);
    for (int i = 0; rl_commands[i]; i++)
        man_command(f, rl_commands[i]);
    fputs(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev ROOFLINT_DATA\n"
          "Folder that holds the data, instead of the installed one.\n.El\n"
          ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n"
          ".It 0\ndone\n.It 1\nfailed: bad input, or a threshold was passed over\n"
          ".It 2\nwrong usage\n.It 3\nthe model does not fit and "
          "the fit was required\n.El\n"
          ".Sh EXAMPLES\n.Dl rooflint predict --hw orin --model mamba2-1.3b --ctx 128k\n",
          f);
}
