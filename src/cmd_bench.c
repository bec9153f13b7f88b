/* `rooflint bench`: runs the measuring program of a device, makes a device
 * entry of its rows and says what changed.
 *
 * The programs are separate (microbench/): they need odd instruction sets, pin
 * threads and load drivers, and must not take the command down with them. */
#include "bench_entry.h"
#include "command.h"
#include "err.h"
#include "path.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct rl_option options[] = {
    {"device", 0, "D", "host", "host, or cuda:N", "host|cuda:0"},
    {"quick", 0, NULL, NULL, "about a minute: what a prediction needs most", NULL},
    {"full", 0, NULL, NULL, "everything, long samples", NULL},
    {"item", 0, "GLOB,…", NULL, "only these items", NULL},
    {"out", 0, "ID", NULL, "name of the entry, or a file that ends in .csv", NULL},
    {"rows", 0, "FILE", NULL, "keep the measured rows here", "file"},
    {"resume", 0, "FILE", NULL, "keep the rows of FILE, measure what it lacks", "file"},
    {"from", 0, "FILE", NULL, "make the entry of rows measured elsewhere", "file"},
    {"dry-run", 'n', NULL, NULL, "print the plan with its time", NULL},
    {"list", 'l', NULL, NULL, "print the items", NULL},
    {NULL, 0, NULL, NULL, NULL, NULL},
};

static int run(const struct rl_args *a);
extern const struct rl_command rl_cmd_bench;
const struct rl_command rl_cmd_bench = {
    .name = "bench",
    .summary = "measure this machine and write its device entry",
    .details =
        "Measures the ceilings of a device (bandwidths, arithmetic, latencies, kernels)\n"
        "and writes them as an entry that predict takes: 'host' for this machine's CPU,\n"
        "in the user's data folder. Every figure has an interval; a figure above a\n"
        "physical limit is refused. An older entry of the same name is compared by\n"
        "overlap of intervals: SAME, FASTER, SLOWER or UNSURE.\n"
        "\n"
        "^C keeps what was measured; --resume goes on with it.",
    .option = options,
    .run = run,
};

enum { MAX_ARGS = 64 };

struct bench {
    const struct rl_args *a;
    bool cuda;
    char number[16];     /* of the GPU */
    char user[PATH_MAX]; /* the user's data folder */
    char rows[PATH_MAX + 160], entry[PATH_MAX + 160], ops[PATH_MAX + 160];
    char id[128];
};

static const char *option(const struct bench *b, const char *name)
{
    return rl_arg(&rl_cmd_bench, b->a, name);
}

static int parse_device(struct bench *b)
{
    const char *d = option(b, "device");
    snprintf(b->number, sizeof b->number, "0");
    if (!d || !strcmp(d, "host"))
        return 0;
    size_t digits = strncmp(d, "cuda:", 5) ? 0 : strspn(d + 5, "0123456789");
    if (!digits || d[5 + digits] || digits > 4)
        return rl_usage_error(&rl_cmd_bench,
                              "--device: expected host or cuda:N, got '%s'", d);
    b->cuda = true;
    snprintf(b->number, sizeof b->number, "%s", d + 5);
    return 0;
}

/* where things lie */

static int make_folders(const char *path, struct rl_error *err)
{
    char buf[PATH_MAX];
    snprintf(buf, sizeof buf, "%s", path);
    for (char *p = buf + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        if (mkdir(buf, 0777) && errno != EEXIST)
            return rl_fail(err, RL_EIO, buf, 0, "cannot make folder: %s",
                           strerror(errno));
    }
    return 0;
}

static int choose_paths(struct bench *b, struct rl_error *err)
{
    const char *out = option(b, "out"), *rows = option(b, "rows"),
               *resume = option(b, "resume"), *from = option(b, "from");
    size_t len = out ? strlen(out) : 0;
    bool file = len > 4 && !strcmp(out + len - 4, ".csv");
    if (out && !file)
        for (const char *p = out; *p; p++)
            if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
                return rl_fail(err, RL_EVALUE, "--out", 0,
                               "expected letters, digits, '-', '_' and '.', got '%s'",
                               out);
    if (!rl_user_dir(b->user, sizeof b->user))
        return rl_fail(err, RL_EIO, NULL, 0, "neither HOME nor XDG_DATA_HOME is set");
    const char *base = file && strrchr(out, '/') ? strrchr(out, '/') + 1 : out;
    if (out)
        snprintf(b->id, sizeof b->id, "%.*s", (int)(strlen(base) - (file ? 4 : 0)), base);
    else
        snprintf(b->id, sizeof b->id, "%s%s", b->cuda ? "cuda" : "host",
                 b->cuda ? b->number : "");
    if (file)
        snprintf(b->entry, sizeof b->entry, "%s", out);
    else
        snprintf(b->entry, sizeof b->entry, "%s/%s.csv", b->user, b->id);
    if (from || rows || resume)
        snprintf(b->rows, sizeof b->rows, "%s", from ? from : rows ? rows : resume);
    else
        snprintf(b->rows, sizeof b->rows, "%s/bench/%s.csv", b->user, b->id);
    size_t stem = strlen(b->rows);
    stem -= stem > 4 && !strcmp(b->rows + stem - 4, ".csv") ? 4 : 0;
    snprintf(b->ops, sizeof b->ops, "%.*s-ops.csv", (int)(stem < PATH_MAX ? stem : 0),
             b->rows);
    return 0;
}

/* Beside the command (a build folder), or where `make install` puts it. */
static int find_program(const struct bench *b, char *path, size_t size,
                        struct rl_error *err)
{
    static const char *const where[] = {".", "../libexec/rooflint", "../lib/rooflint"};
    const char *name = b->cuda ? "rooflint-bench-cuda" : "rooflint-bench-host";
    const char *env = getenv("ROOFLINT_BENCH_DIR");
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    char *slash = strrchr(exe, '/');
    int dir = slash ? (int)(slash - exe) : 0;
    if (env && *env) {
        snprintf(path, size, "%s/%s", env, name);
        if (!access(path, X_OK))
            return 0;
    }
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        snprintf(path, size, "%.*s/%s/%s", dir, exe, where[i], name);
        if (!access(path, X_OK))
            return 0;
    }
    return rl_fail(err, RL_EIO, name, 0,
                   b->cuda ? "not found: build it with 'make cuda' (needs nvcc)"
                           : "not found beside rooflint: is the installation whole?");
}

/* running it */

static void add(const char **argv, int *n, const char *arg)
{
    if (*n < MAX_ARGS - 1)
        argv[(*n)++] = arg;
}

/* "--item a,b" becomes -i a -i b; items is cut in place. */
static void arguments(const struct bench *b, const char *program, char *items,
                      const char **argv)
{
    int n = 0;
    bool dry = option(b, "dry-run") || option(b, "list");
    add(argv, &n, program);
    add(argv, &n, "--device");
    add(argv, &n, b->number);
    static const char *const flags[] = {"quick", "full", "dry-run", "list"};
    static const char *const given[] = {"--quick", "--full", "--dry-run", "--list"};
    for (int i = 0; i < 4; i++)
        if (option(b, flags[i]))
            add(argv, &n, given[i]);
    for (char *p = items ? strtok(items, ",") : NULL; p; p = strtok(NULL, ",")) {
        add(argv, &n, "--item");
        add(argv, &n, p);
    }
    if (option(b, "resume")) {
        add(argv, &n, "--resume");
        add(argv, &n, option(b, "resume"));
    }
    if (!dry) {
        add(argv, &n, "--out");
        add(argv, &n, b->rows);
    }
    argv[n] = NULL;
}

/* The exit code of the program, 128 + the signal that ended it, or −1. */
static int spawn(const char *const *argv, struct rl_error *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, was_int;
    fflush(NULL);
    sigaction(SIGINT, &ignore, &was_int); /* ^C is the program's to handle */
    pid_t pid = fork();
    if (pid == 0) {
        sigaction(SIGINT, &was_int, NULL);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    int status = 0;
    if (pid < 0)
        return rl_fail(err, RL_EIO, argv[0], 0, "cannot start: %s", strerror(errno));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    sigaction(SIGINT, &was_int, NULL);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* results */

/* The entry of that name: the user's own, else the one that rooflint knows, so
 * that a measured part keeps its sheet.  *own: it is the user's. */
static int load_older(const struct bench *b, struct bench_entry *old, bool *own,
                      struct rl_error *err)
{
    char name[160];
    *own = !access(b->entry, F_OK);
    if (*own)
        return bench_entry_load(old, b->entry, err);
    snprintf(name, sizeof name, "%s.csv", b->id);
    char *path =
        rl_path_join(rl_data_dir(b->a->data), "hwdb", "devices", name, (char *)NULL);
    int rc = path && !access(path, F_OK) ? bench_entry_load(old, path, err) : 0;
    free(path);
    return rc;
}

static void say(const struct bench *b, int operators)
{
    printf("entry %s\nrows %s\noperators %s (%d)\n", b->entry, b->rows, b->ops,
           operators);
    if (!strcmp(b->id, "host"))
        printf("try: rooflint predict --hw host --model qwen2.5-0.5b --ctx 512\n");
}

static int finish(const struct bench *b, struct rl_error *err)
{
    struct bench_entry now = {0}, old = {0};
    struct rl_table *rows = rl_table_read(b->rows, err);
    bool own = false;
    int n = 0, rc = rows ? 0 : -1;
    if (!rc && !rows->nrows)
        rc = rl_fail(err, RL_EVALUE, b->rows, 0, "no row was measured: no entry written");
    rc = rc ? rc : bench_entry_make(&now, b->rows, rows, err);
    rc = rc ? rc : load_older(b, &old, &own, err);
    if (!rc && own)
        bench_compare(stdout, &now, &old);
    rc = rc || bench_entry_merge(&now, &old, err) || make_folders(b->entry, err) ||
                 bench_entry_save(&now, b->entry, err) ||
                 bench_ops_save(rows, b->id, b->ops, &n, err)
             ? -1
             : 0;
    if (!rc)
        say(b, n);
    bench_entry_clear(&now);
    bench_entry_clear(&old);
    rl_table_free(rows);
    return rc;
}

static int run(const struct rl_args *a)
{
    struct bench b = {.a = a};
    struct rl_error err = {0};
    char program[PATH_MAX], *items = NULL;
    const char *argv[MAX_ARGS];
    bool dry = rl_arg(&rl_cmd_bench, a, "dry-run") || rl_arg(&rl_cmd_bench, a, "list");
    int rc = parse_device(&b);
    if (rc)
        return rc;
    if (rl_arg(&rl_cmd_bench, a, "quick") && rl_arg(&rl_cmd_bench, a, "full"))
        return rl_usage_error(&rl_cmd_bench, "--quick and --full exclude each other");
    if (choose_paths(&b, &err))
        return rl_die(&err);
    if (option(&b, "from"))
        return finish(&b, &err) ? rl_die(&err) : RL_EXIT_OK;
    if (find_program(&b, program, sizeof program, &err) ||
        (!dry && make_folders(b.rows, &err)))
        return rl_die(&err);
    if (option(&b, "item") && !(items = rl_strdup(option(&b, "item"), &err)))
        return rl_die(&err);
    arguments(&b, program, items, argv);
    rc = spawn(argv, &err);
    free(items);
    if (rc < 0)
        return rl_die(&err);
    if (rc == 128 + SIGINT)
        fprintf(stderr, "rooflint: stopped; go on with --resume %s\n", b.rows);
    if (dry || rc > 1)
        return rc == RL_EXIT_USAGE ? rc : rc ? RL_EXIT_FAIL : RL_EXIT_OK;
    /* 1: some cases failed or were refused; the rest still makes an entry */
    if (access(b.rows, F_OK))
        return RL_EXIT_FAIL;
    return finish(&b, &err) ? rl_die(&err) : rc;
}
