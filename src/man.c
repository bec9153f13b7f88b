/* Man pages in mdoc, from the command and option tables: rooflint(1), which names
 * the commands, and rooflint-COMMAND(1) for each. */
#include "cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

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

enum { FULL = 66 }; /* columns after which a line is broken at the next blank */

/* Text with roff's own characters escaped; lines of their own.  Sentences begin
 * new lines, as mdoc wants. */
static void roff(FILE *f, const char *s)
{
    int column = 0;

    while (*s) {
        if (!column && (*s == '.' || *s == '\''))
            fputs("\\&", f);
        column++;
        if ((unsigned char)*s >= 0x80) {
            s += roff_unicode(f, (const unsigned char *)s);
            column += 6;
            continue;
        }
        if (*s == ' ' && column > FULL && s[1] != ' ' && s[1]) {
            putc('\n', f);
            column = 0;
        } else if (*s == '\\') {
            fputs("\\e", f);
        } else if (*s == '-') {
            fputs("\\-", f);
        } else {
            putc(*s, f);
        }
        s++;
        if (column && s[-1] == '.' && s[0] == ' ' && s[1] != ' ') {
            putc('\n', f);
            column = 0;
            s++;
        }
    }
    putc('\n', f);
}

/* Paragraphs, parted by blank lines. */
static void roff_paragraphs(FILE *f, const char *s)
{
    char line[2048];

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
    char text[600];

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
    rl_option_text(o, text, sizeof text);
    roff(f, text);
    if (o->fallback) {
        fputs("(default: ", f);
        for (const char *s = o->fallback; *s; s++)
            fputs(*s == '\\' ? "\\e" : *s == '-' ? "\\-" : (char[]){*s, 0}, f);
        fputs(")\n", f);
    }
}

static void options_of(FILE *f, const struct rl_option *o)
{
    if (!rl_count_options(o))
        return;
    fputs(".Bl -tag -width Ds\n", f);
    for (; o->name; o++)
        man_option(f, o);
    fputs(".El\n", f);
}

static void title(FILE *f, const char *command)
{
    fputs(".Dd November 28, 2026\n.Dt ROOFLINT", f);
    for (const char *s = command; s && *s; s++)
        fprintf(f, "%s%c", s == command ? "-" : "", toupper((unsigned char)*s));
    fputs(" 1\n.Os\n.Sh NAME\n", f);
}

static void common_end(FILE *f)
{
    fputs(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev ROOFLINT_DATA\n"
          "Folder that holds the data, instead of the installed one.\n.El\n"
          ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n"
          ".It 0\ndone\n.It 1\nfailed: bad input, or a threshold was passed over\n"
          ".It 2\nwrong usage\n.It 3\nthe model does not fit and "
          "the fit was required\n.El\n",
          f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct rl_command *const *)a)->name,
                  (*(const struct rl_command *const *)b)->name);
}

/* The other pages, in alphabetical order. */
static void see_also(FILE *f, const struct rl_command *self)
{
    const struct rl_command *c[64];
    const char *end = "";
    int n = 0;

    for (; rl_commands[n] && n < 64; n++)
        c[n] = rl_commands[n];
    qsort(c, (size_t)n, sizeof *c, by_name);
    fputs(".Sh SEE ALSO\n", f);
    if (self) {
        fputs(".Xr rooflint 1", f);
        end = " ,\n";
    }
    for (int i = 0; i < n; i++)
        if (c[i] != self) {
            fprintf(f, "%s.Xr rooflint-%s 1", end, c[i]->name);
            end = " ,\n";
        }
    putc('\n', f);
}

/* .Nd: no punctuation at its end */
static void description(FILE *f, const char *summary)
{
    static const char dots[] = " …";
    size_t len = strlen(summary), tail = sizeof dots - 1;
    char text[256];

    if (len > tail && !strcmp(summary + len - tail, dots))
        len -= tail;
    snprintf(text, sizeof text, "%.*s", (int)len, summary);
    fputs(".Nd ", f);
    roff(f, text);
}

/* rooflint-COMMAND(1) */
static void command_page(FILE *f, const struct rl_command *c)
{
    title(f, c->name);
    fprintf(f, ".Nm rooflint-%s\n", c->name);
    description(f, c->summary);
    fprintf(f, ".Sh SYNOPSIS\n.Nm rooflint %s\n.Op Ar option ...\n", c->name);
    if (c->operands) {
        fputs(".Ar ", f);
        roff(f, c->operands);
    }
    fputs(".Sh DESCRIPTION\n", f);
    if (c->details)
        roff_paragraphs(f, c->details);
    else
        roff(f, c->summary);
    if (rl_count_options(c->option)) {
        fputs(".Pp\nThe options are as follows:\n", f);
        options_of(f, c->option);
    }
    fputs(".Pp\nEvery command takes these:\n.Bl -tag -width Ds\n", f);
    for (const struct rl_option *o = rl_common_options; o->name; o++)
        if (!rl_option_own(c, o->name))
            man_option(f, o);
    fputs(".El\n", f);
    common_end(f);
    see_also(f, c);
}

/* rooflint(1) */
static void main_page(FILE *f)
{
    title(f, NULL);
    fputs(".Nm rooflint\n"
          ".Nd predict latency and memory of language models on a device\n"
          ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Op Ar operand ...\n"
          ".Nm\n.Fl Fl help | Fl Fl version\n.Nm\n.Fl Fl completion Ar shell\n"
          ".Sh DESCRIPTION\n.Nm\n"
          "predicts time to first token, time per output token, memory and energy of a\n"
          "language model on a device under a software stack, each with a 90 % interval\n"
          "and with what binds it.\n"
          "Work is counted from the model's configuration; how fast a device does it "
          "comes\n"
          "from its ceilings and from measured kernels.\n"
          "Token counts take the suffixes k (1024) and M (1024\\(S2).\n.Pp\n"
          "The commands are as follows, each with a page of its own:\n"
          ".Bl -tag -width Ds\n",
          f);
    for (int i = 0; rl_commands[i]; i++) {
        fprintf(f, ".It Xr rooflint-%s 1\n", rl_commands[i]->name);
        roff(f, rl_commands[i]->summary);
    }
    fputs(".El\n.Pp\nEvery command takes these options:\n", f);
    options_of(f, rl_common_options);
    fputs(".Pp\n.Fl Fl completion Ar shell\n"
          "prints a completion script for bash, zsh or fish.\n",
          f);
    common_end(f);
    fputs(".Sh EXAMPLES\n"
          ".Dl rooflint predict --hw orin --model mamba2-1.3b --ctx 128k\n",
          f);
    see_also(f, NULL);
}

void rl_man_page(FILE *f, const struct rl_command *c)
{
    if (c)
        command_page(f, c);
    else
        main_page(f);
}
