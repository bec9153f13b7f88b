#include "test.h"

#include "err.h"

#include <stdint.h>

Test(err, first_error_wins)
{
    struct rl_error e = {0};

    cr_expect_eq(rl_fail(&e, RL_EVALUE, "a.csv", 3, "first %d", 1), -1);
    cr_expect_eq(rl_fail(&e, RL_EIO, "b.csv", 4, "second"), -1);
    cr_expect_eq(e.code, RL_EVALUE);
    expect_error(e, "a.csv:3: first 1");
    cr_expect_eq(rl_fail(NULL, RL_EIO, NULL, 0, "nobody listens"), -1);
}

Test(err, forms)
{
    struct rl_error e = {0};

    rl_fail(&e, RL_EIO, NULL, 0, "no source");
    expect_error(e, "no source");
    e = (struct rl_error){0};
    rl_fail(&e, RL_EIO, "f", 0, "no line");
    expect_error(e, "f: no line");
    e = (struct rl_error){0};
    rl_fail(&e, RL_EIO, "f", 2, "column");
    e.column = 7;
    expect_error(e, "f:2:7: column");
}

Test(err, long_texts_are_cut_and_control_characters_defused)
{
    struct rl_error e = {0};
    char path[400], text[2000];

    memset(path, 'p', sizeof path);
    strcpy(path + sizeof path - 8, "end.csv");
    memset(text, 't', sizeof text);
    text[sizeof text - 1] = '\0';
    rl_fail(&e, RL_EIO, path, 1, "\033[31m%s", text);
    cr_expect_eq(strlen(e.source), sizeof e.source - 1);
    cr_expect_eq(strncmp(e.source, "...p", 4), 0);
    cr_expect_str_eq(e.source + strlen(e.source) - 7, "end.csv");
    cr_expect_eq(strncmp(e.text, "?[31mtt", 7), 0);
    cr_expect_eq(strlen(e.text), sizeof e.text - 1);
}

Test(err, memory)
{
    struct rl_error e = {0};
    size_t cap = 0;
    int *p = rl_grow(NULL, &cap, 3, sizeof *p, &e), *q;

    cr_assert_not_null(p);
    cr_expect_geq(cap, 3);
    p[2] = 42;
    q = rl_grow(p, &cap, 1000, sizeof *p, &e);
    cr_assert_not_null(q);
    cr_expect_geq(cap, 1000);
    cr_expect_eq(q[2], 42);
    cr_expect_null(rl_grow(q, &cap, SIZE_MAX / 2, sizeof *p, &e));
    cr_expect_eq(e.code, RL_ENOMEM);
    free(q);
    e = (struct rl_error){0};
    cr_expect_null(rl_alloc(SIZE_MAX / 4, 8, &e));
    cr_expect_eq(e.code, RL_ENOMEM);
}
