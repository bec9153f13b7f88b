#include "test.h"

#include "path.h"

#include <sys/stat.h>
#include <unistd.h>

static char *nearest(const char *want, int most, char *buf)
{
    static char *const names[] = {"a100-sxm-80gb",        "h100-sxm-80gb", "h100-pcie",
                                  "jetson-agx-orin-64gb", "rtx-4090",      "predict"};

    rl_nearest(want, names, 6, most, buf, 128);
    return buf;
}

Test(path, nearest)
{
    char b[128];

    cr_expect_str_eq(nearest("pridict", 1, b), "predict");
    cr_expect_str_eq(nearest("rpedict", 1, b), "predict");
    cr_expect_str_eq(nearest("orin", 1, b), "jetson-agx-orin-64gb");
    cr_expect_str_eq(nearest("h100", 2, b), "h100-pcie, h100-sxm-80gb");
    cr_expect_str_eq(nearest("RTX4090", 1, b), "rtx-4090");
    cr_expect_str_neq(nearest("zzzzzz", 1, b), "");
    cr_expect_str_eq(rl_nearest("x", NULL, 0, 3, b, sizeof b), "");
}

Test(path, nearest_of_long_names)
{
    char a[300], b[16];
    char *names[] = {a};

    memset(a, 'x', sizeof a - 1);
    a[sizeof a - 1] = '\0';
    cr_expect_str_eq(rl_nearest(a, names, 1, 1, b, sizeof b), "");
}

Test(path, join)
{
    char *p = rl_path_join("data", "hwdb", "a.csv", NULL);
    char *q = rl_path_join("data/", "x", NULL);

    cr_expect_str_eq(p, "data/hwdb/a.csv");
    cr_expect_str_eq(q, "data/x");
    free(p);
    free(q);
}

Test(path, data_dir)
{
    cr_expect_str_eq(rl_data_dir("given"), "given");
    setenv("ROOFLINT_DATA", "from-env", 1);
    cr_expect_str_eq(rl_data_dir(NULL), "from-env");
    unsetenv("ROOFLINT_DATA");
    cr_expect_str_eq(rl_data_dir(NULL), RL_DATADIR);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

Test(path, files)
{
    char dir[] = "/tmp/rooflint-test-XXXXXX", path[64];
    struct rl_error e = {0};
    struct rl_out_file o;
    char **names, *text;
    int n;
    size_t len;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
    write_text("b.csv", "b");
    write_text("a.csv", "a");
    write_text("c.txt", "c");
    write_text(".hidden.csv", "h");
    cr_assert_eq(rl_list_dir(".", ".csv", &names, &n, &e), 0);
    cr_expect_eq(n, 2);
    cr_expect_str_eq(names[0], "a");
    cr_expect_str_eq(names[1], "b");
    rl_free_names(names, n);
    cr_expect_eq(rl_list_dir("nope", ".csv", &names, &n, &e), -1);
    expect_error(e, "nope: cannot list folder: No such file or directory");

    e = (struct rl_error){0};
    cr_assert_eq(rl_out_open(&o, "a.csv", &e), 0);
    fputs("new", o.f);
    rl_out_abandon(&o);
    text = rl_read_file("a.csv", 10, &len, &e);
    cr_expect_str_eq(text, "a");
    free(text);
    cr_assert_eq(rl_out_open(&o, "a.csv", &e), 0);
    fputs("new", o.f);
    cr_expect_eq(rl_out_commit(&o, &e), 0);
    text = rl_read_file("a.csv", 3, &len, &e);
    cr_expect_str_eq(text, "new");
    cr_expect_eq(len, 3);
    free(text);
    cr_expect_null(rl_read_file("a.csv", 2, &len, &e));
    expect_error(e, "a.csv: file larger than 2 bytes");
    e = (struct rl_error){0};
    cr_expect_null(rl_read_file(".", 100, &len, &e));
    expect_error(e, ".: cannot read: Is a directory");
    e = (struct rl_error){0};
    cr_expect_eq(rl_out_open(&o, "no/such/dir", &e), -1);
    expect_error(e, "no/such/dir: cannot create: No such file or directory");
    cr_expect_eq(rl_list_dir(".", ".tmp", &names, &n, NULL), 0);
    cr_expect_eq(n, 0);
    rl_free_names(names, n);

    static const char *const made[] = {"a.csv", "b.csv", "c.txt", ".hidden.csv"};
    for (size_t i = 0; i < 4; i++)
        unlink(made[i]);
    snprintf(path, sizeof path, "%s", dir);
    rmdir(path);
}

/* Renaming onto a device would replace it. */
Test(path, devices_are_written_in_place)
{
    struct rl_error e = {0};
    struct rl_out_file o;
    struct stat st;

    cr_assert_eq(rl_out_open(&o, "/dev/null", &e), 0);
    cr_expect_null(o.tmp);
    fputs("gone", o.f);
    cr_expect_eq(rl_out_commit(&o, &e), 0);
    cr_expect_eq(stat("/dev/null", &st), 0);
    cr_expect(S_ISCHR(st.st_mode));
    cr_assert_eq(rl_out_open(&o, "/dev/full", &e), 0);
    fputs("x", o.f);
    cr_expect_eq(rl_out_commit(&o, &e), -1);
    expect_error(e, "/dev/full: cannot write: No space left on device");
}
