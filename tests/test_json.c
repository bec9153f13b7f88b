#include "test.h"

#include "json.h"

static json_t *parse(const char *text, struct rl_error *e)
{
    *e = (struct rl_error){0};
    return rl_json_parse("c.json", text, strlen(text), e);
}

Test(json, good)
{
    struct rl_error e;
    json_t *j = parse("\xef\xbb\xbf{\"a\": [1, 2.5, \"x]\\\"}\"], \"b\": null}", &e);

    cr_assert_not_null(j, "%s", e.text);
    cr_expect_eq(json_array_size(json_object_get(j, "a")), 3);
    json_decref(j);
}

/* Mamba-2's config.json holds it. */
Test(json, infinity_of_python)
{
    struct rl_error e;
    json_t *j = parse("{\"limit\": [0.0, Infinity, -Infinity], \"s\": \"Infinity\"}", &e);

    cr_assert_not_null(j, "%s", e.text);
    cr_expect_eq(json_number_value(json_array_get(json_object_get(j, "limit"), 1)),
                 1e308);
    cr_expect_str_eq(json_string_value(json_object_get(j, "s")), "Infinity");
    json_decref(j);
}

Test(json, bad)
{
    static const struct {
        const char *text, *where;
    } bad[] = {
        {"", "c.json:1"},
        {"{", "c.json:1:1: "},
        {"{\"a\": 1,\n \"a\": 2}", "c.json:2:4: duplicate object key"},
        {"{\"a\": NaN}", "c.json:1:"},
        {"{\"a\": 1e999}", "c.json:1:11: real number overflow"},
        {"{\"a\": 99999999999999999999999}", "c.json:1:29: too big integer"},
        {"{\"a\": 1} x", "c.json:1:10: end of file expected"},
        {"{\"a\": \"\xff\"}", "c.json:1:"},
        {"[\"unclosed]", "c.json:1:"},
        {"7", "c.json:1:1: '[' or '{' expected"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rl_error e;
        char buf[1280];

        cr_expect_null(parse(bad[i].text, &e), "%s", bad[i].text);
        rl_error_format(&e, buf, sizeof buf);
        cr_expect_eq(strncmp(buf, bad[i].where, strlen(bad[i].where)), 0, "%s gives %s",
                     bad[i].text, buf);
    }
}

Test(json, depth_and_size)
{
    struct rl_error e = {0};
    char deep[300];

    memset(deep, '[', 150);
    memset(deep + 150, ']', 150);
    cr_expect_null(rl_json_parse("c.json", deep, 300, &e));
    expect_error(e, "c.json:1:65: nested more than 64 deep");
    e = (struct rl_error){0};
    cr_expect_null(rl_json_parse("c.json", deep, (size_t)17 << 20, &e));
    expect_error(e, "c.json: more than 16 MiB of JSON");
    e = (struct rl_error){0};
    cr_expect_null(rl_json_parse("c.json", "{\"a\": \0 1}", 10, &e));
    cr_expect_eq(e.code, RL_EFORMAT);
    e = (struct rl_error){0};
    cr_expect_null(rl_json_load("/nonexistent/c.json", &e));
    expect_error(e, "/nonexistent/c.json: cannot open: No such file or directory");
}
