/* The option parser, against a command of its own. */
#include "test.h"

#include "cli.h"

static int nothing(const struct rl_args *a)
{
    (void)a;
    return RL_EXIT_OK;
}

static const struct rl_option options[] = {
    {.name = "ctx", .letter = 'c', .arg = "N", .help = "context"},
    {.name = "flag", .letter = 'f', .help = "a flag"},
    {.name = "general", .letter = 'g', .help = "another"},
    {0},
};
static const struct rl_command with_operands = {.name = "go",
                                                .summary = "go",
                                                .operands = "FILE...",
                                                .option = options,
                                                .run = nothing};
static const struct rl_command without = {
    .name = "stay", .summary = "stay", .option = options, .run = nothing};
const struct rl_command *const rl_commands[] = {&with_operands, &without, NULL};

static int parse(struct rl_parsed *p, const struct rl_command *c, const char *line)
{
    static char words[256];
    static char *argv[32];
    int n = 0;

    strcpy(words, line);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
        argv[n++] = w;
    argv[n] = NULL;
    return rl_parse_command_line(p, c, argv);
}

Test(command, every_form)
{
    static const char *const same[] = {"--ctx 5 -f a b", "--ctx=5 a --flag b",
                                       "a -c 5 b -f",    "-fc5 a b",
                                       "-f -c5 -- a b",  "--ctx 4 -fc 5 a b"};

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct rl_parsed p;
        struct rl_args a;

        cr_assert_eq(parse(&p, &with_operands, same[i]), RL_EXIT_OK, "%s", same[i]);
        a = (struct rl_args){p.value, p.operand, p.noperands, NULL};
        cr_expect_str_eq(rl_arg(&with_operands, &a, "ctx"), "5", "%s", same[i]);
        cr_expect_str_eq(rl_arg(&with_operands, &a, "flag"), "", "%s", same[i]);
        cr_expect_null(rl_arg(&with_operands, &a, "general"), "%s", same[i]);
        cr_expect_null(rl_arg(&with_operands, &a, "no-such"), "%s", same[i]);
        cr_assert_eq(a.noperands, 2, "%s", same[i]);
        cr_expect_str_eq(a.operand[0], "a");
        cr_expect_str_eq(a.operand[1], "b");
        rl_parsed_free(&p);
    }
}

Test(command, dashes_as_values_and_operands)
{
    struct rl_parsed p;

    cr_expect_eq(parse(&p, &with_operands, "--ctx -1 - -- --flag"), RL_EXIT_OK);
    cr_expect_str_eq(p.value[0], "-1");
    cr_expect_null(p.value[1]);
    cr_expect_eq(p.noperands, 2);
    cr_expect_str_eq(p.operand[0], "-");
    cr_expect_str_eq(p.operand[1], "--flag");
    rl_parsed_free(&p);
}

Test(command, usage_errors)
{
    static const char *const bad[] = {"--ctx", "-c",      "--flag=1", "--ctxx 5", "-x",
                                      "--",    "operand", "--=5",     "-fxc 5"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rl_parsed p;
        int want = strcmp(bad[i], "--") == 0 ? RL_EXIT_OK : RL_EXIT_USAGE;

        cr_expect_eq(parse(&p, &without, bad[i]), want, "%s", bad[i]);
        rl_parsed_free(&p);
    }
}

Test(command, common_options)
{
    struct rl_parsed p;

    cr_expect_eq(parse(&p, &without, "--data here -h"), RL_EXIT_OK);
    cr_expect_str_eq(p.data, "here");
    cr_expect(p.help);
    rl_parsed_free(&p);
    cr_expect_eq(rl_command_find("stay"), &without);
    cr_expect_null(rl_command_find("fly"));
}
