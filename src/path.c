/* Where the data lies, and files written whole or not at all. */
#include "path.h"

#include "err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *rl_data_dir(const char *override)
{
    const char *env = getenv("ROOFLINT_DATA");

    if (override)
        return override;
    return env && *env ? env : RL_DATADIR;
}

char *rl_path_join(const char *dir, ...)
{
    size_t n = strlen(dir) + 1;
    const char *part;
    char *path, *end;
    va_list ap;

    va_start(ap, dir);
    while ((part = va_arg(ap, const char *)) != NULL)
        n += strlen(part) + 1;
    va_end(ap);
    path = malloc(n);
    if (!path)
        return NULL;
    end = stpcpy(path, dir);
    va_start(ap, dir);
    while ((part = va_arg(ap, const char *)) != NULL) {
        if (end > path && end[-1] != '/')
            *end++ = '/';
        end = stpcpy(end, part);
    }
    va_end(ap);
    return path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);

    return n > m && name[0] != '.' && strcmp(name + n - m, suffix) == 0;
}

static int list_into(DIR *d, const char *suffix, char ***names, int *n,
                     struct rl_error *err)
{
    size_t cap = 0;
    struct dirent *e;

    while ((e = readdir(d)) != NULL) {
        void *p;

        if (!ends_in(e->d_name, suffix))
            continue;
        p = rl_grow(*names, &cap, (size_t)*n + 1, sizeof **names, err);
        if (!p)
            return -1;
        *names = p;
        (*names)[*n] = rl_strdup(e->d_name, err);
        if (!(*names)[*n])
            return -1;
        (*names)[*n][strlen(e->d_name) - strlen(suffix)] = '\0';
        (*n)++;
    }
    return 0;
}

int rl_list_dir(const char *dir, const char *suffix, char ***names, int *n,
                struct rl_error *err)
{
    DIR *d = opendir(dir);
    int rc;

    *names = NULL;
    *n = 0;
    if (!d)
        return rl_fail(err, RL_EIO, dir, 0, "cannot list folder: %s", strerror(errno));
    rc = list_into(d, suffix, names, n, err);
    closedir(d);
    if (rc < 0) {
        rl_free_names(*names, *n);
        *names = NULL;
        *n = 0;
        return -1;
    }
    if (*n > 1)
        qsort(*names, (size_t)*n, sizeof **names, by_name);
    return 0;
}

void rl_free_names(char **names, int n)
{
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* A file's length, or a guess at that of a pipe. */
static size_t length_of(FILE *f)
{
    struct stat st;

    return fstat(fileno(f), &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 65536;
}

static char *read_stream(FILE *f, const char *path, size_t limit, size_t *len,
                         struct rl_error *err)
{
    size_t cap = 0, n = 0, step = length_of(f);
    char *text = NULL;

    step = step < limit ? step : limit;
    do { /* a byte for the NUL, and one to meet the end */
        void *p = rl_grow(text, &cap, n + step + 2, 1, err);

        if (!p) {
            free(text);
            return NULL;
        }
        text = p;
        n += fread(text + n, 1, cap - n - 1, f);
    } while (n + 1 == cap && n <= limit);
    if (ferror(f))
        rl_fail(err, RL_EIO, path, 0, "cannot read: %s", strerror(errno));
    else if (n > limit)
        rl_fail(err, RL_EFORMAT, path, 0, "file larger than %zu bytes", limit);
    if (ferror(f) || n > limit) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    *len = n;
    return text;
}

char *rl_read_file(const char *path, size_t limit, size_t *len, struct rl_error *err)
{
    FILE *f = fopen(path, "rb");
    char *text;

    if (!f) {
        rl_fail(err, RL_EIO, path, 0, "cannot open: %s", strerror(errno));
        return NULL;
    }
    text = read_stream(f, path, limit, len, err);
    fclose(f);
    return text;
}

/* A device or a pipe (/dev/stdout) is written in place: renaming a file over
 * it would replace it. */
static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

int rl_out_open(struct rl_out_file *o, const char *path, struct rl_error *err)
{
    size_t n = strlen(path) + 32;
    int fd = -1;

    *o = (struct rl_out_file){.path = rl_strdup(path, err)};
    if (!o->path)
        return -1;
    if (is_special(path)) {
        o->f = fopen(path, "w");
    } else if ((o->tmp = rl_alloc(n, 1, err)) != NULL) {
        snprintf(o->tmp, n, "%s.%ld.tmp", path, (long)getpid());
        fd = open(o->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        o->f = fd < 0 ? NULL : fdopen(fd, "w");
    }
    if (o->f)
        return 0;
    rl_fail(err, RL_EIO, path, 0, "cannot create: %s", strerror(errno));
    rl_out_abandon(o);
    return -1;
}

int rl_out_commit(struct rl_out_file *o, struct rl_error *err)
{
    bool bad = fflush(o->f) != 0 || ferror(o->f);

    bad = fclose(o->f) != 0 || bad;
    o->f = NULL;
    if (!bad && o->tmp && rename(o->tmp, o->path) != 0)
        bad = true;
    if (bad)
        rl_fail(err, RL_EIO, o->path, 0, "cannot write: %s", strerror(errno));
    else
        free(o->tmp);
    if (!bad)
        o->tmp = NULL;
    rl_out_abandon(o);
    return bad ? -1 : 0;
}

void rl_out_abandon(struct rl_out_file *o)
{
    if (o->f)
        fclose(o->f);
    if (o->tmp)
        unlink(o->tmp);
    free(o->tmp);
    free(o->path);
    *o = (struct rl_out_file){0};
}
