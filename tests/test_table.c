#include "test.h"

#include "table.h"

static struct rl_table *parse(const char *text, struct rl_error *e)
{
    *e = (struct rl_error){0};
    return rl_table_parse("t.csv", text, strlen(text), e);
}

Test(table, rows_and_line_numbers)
{
    struct rl_error e;
    struct rl_table *t = parse("\xef\xbb\xbf# head\r\nid,value,note\r\n\r\n"
                               "a, 1.5 ,\"x, \"\"y\"\"\"\r\n# c, d\r\n \t\r\nb,,last",
                               &e);
    double v;

    cr_assert_not_null(t, "%s", e.text);
    cr_expect_eq(t->ncols, 3);
    cr_expect_eq(t->nrows, 2);
    cr_expect_str_eq(t->header[0], "id");
    cr_expect_eq(t->line[0], 4);
    cr_expect_eq(t->line[1], 7);
    cr_expect_str_eq(rl_table_get(t, 0, 2), "x, \"y\"");
    cr_expect_str_eq(rl_table_get(t, 1, 2), "last");
    cr_expect_eq(rl_table_num(t, 0, 1, -1, &v, &e), 0);
    cr_expect_eq(v, 1.5);
    cr_expect_eq(rl_table_num(t, 1, 1, -1, &v, &e), 0);
    cr_expect_eq(v, -1);
    cr_expect_eq(rl_table_num(t, 1, 2, -1, &v, &e), -1);
    expect_error(e, "t.csv:7: expected a number in column 'note', found 'last'");
    cr_expect_eq(rl_table_col(t, "value"), 1);
    cr_expect_eq(rl_table_col(t, "nope"), -1);
    rl_table_free(t);
}

Test(table, missing_column)
{
    struct rl_error e;
    struct rl_table *t = parse("a,b\n1,2\n", &e);
    int col;

    cr_assert_not_null(t);
    cr_expect_eq(rl_table_need(t, "c", &col, &e), -1);
    expect_error(e, "t.csv:1: expected a column 'c'");
    rl_table_free(t);
    rl_table_free(NULL);
}

Test(table, bad_files)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"", "t.csv:1: expected a header row, found an empty file"},
        {"# only\n\n", "t.csv:1: expected a header row, found an empty file"},
        {"a,b\n1\n", "t.csv:2: expected 2 fields as in the header, found 1"},
        {"a,b\n1,2,3\n", "t.csv:2: expected 2 fields as in the header, found 3"},
        {"a,\n1,2\n", "t.csv:1: column 2 of the header has no name"},
        {"a,a\n1,2\n", "t.csv:1: column 'a' is named twice"},
        {"a,b\n1,\"2\n3,4\n", "t.csv:2: quote is not closed on its line"},
        {"a,b\n1,x\"y\"z\n",
         "t.csv:2:4: quote in the middle of a field: quote the field, double its quotes"},
        {"a,b\n1,2\r3,4\n", "t.csv:2: carriage return inside a line"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rl_error e;

        cr_expect_null(parse(bad[i].text, &e), "%s", bad[i].text);
        expect_error(e, bad[i].error);
        cr_expect_null(rl_table_parse("t", bad[i].text, strlen(bad[i].text), NULL));
    }
}

Test(table, bytes_that_are_no_text)
{
    struct rl_error e = {0};
    char *big = malloc(11 << 20);

    cr_expect_null(rl_table_parse("t.csv", "a,b\n1,\0\n", 8, &e));
    expect_error(e, "t.csv:2: NUL byte: not a text file");
    e = (struct rl_error){0};
    memset(big, 'x', 11 << 20);
    memcpy(big, "a,b\n", 4);
    cr_expect_null(rl_table_parse("t.csv", big, 11 << 20, &e));
    expect_error(e, "t.csv:2: line longer than 1 MiB");
    e = (struct rl_error){0};
    for (int i = 0; i < 300; i++)
        memcpy(big + 2 * i, "x,", 2);
    cr_expect_null(rl_table_parse("t.csv", big, 600, &e));
    expect_error(e, "t.csv:1: more than 256 columns");
    free(big);
}

Test(table, many_rows)
{
    struct rl_error e = {0};
    size_t cap = 4 << 20, n = 0;
    char *text = malloc(cap);
    struct rl_table *t;

    n += (size_t)sprintf(text, "k,v\n");
    for (int i = 0; i < 100000; i++)
        n += (size_t)sprintf(text + n, "key%d,%d\n", i, i);
    t = rl_table_parse("t.csv", text, n, &e);
    free(text);
    cr_assert_not_null(t, "%s", e.text);
    cr_expect_eq(t->nrows, 100000);
    cr_expect_str_eq(rl_table_get(t, 99999, 0), "key99999");
    cr_expect_eq(t->line[99999], 100001);
    rl_table_free(t);
}

Test(table, a_field_written_is_read_back)
{
    static const char *const texts[] = {"plain", "", "a,b", "say \"x\"", " lead", "#no"};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct rl_error e = {0};
    struct rl_table *t;

    fputs("x,y\n", f);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rl_csv_field(f, texts[i]);
        fputs(",1\n", f);
    }
    fclose(f);
    t = rl_table_parse("t.csv", text, len, &e);
    cr_assert_not_null(t, "%s", e.text);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_str_eq(rl_table_get(t, (int)i, 0), texts[i]);
    rl_table_free(t);
    free(text);
}
