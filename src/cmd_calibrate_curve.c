/* `rooflint calibrate --few LIST`: the error on a device without data against the
 * number of samples measured there, operator by operator. */
#include "cmd_calibrate.h"

#include "err.h"
#include "units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rl_few_parse(const char *text, struct rl_few_list *out, struct rl_error *err)
{
    const char *at = text;
    for (out->n = 0; out->n < RL_MAXFEW; at++) {
        char item[16];
        size_t len = strcspn(at, ",");
        double v = RL_FEW_ALL;
        if (len == 0 || len >= sizeof item)
            break;
        memcpy(item, at, len);
        item[len] = 0;
        if (strcmp(item, "all") &&
            (rl_parse_number(item, &v) || floor(v) != v || v < 0 || v > RL_FEW_MOST))
            break;
        out->count[out->n++] = (int)v;
        at += len;
        if (!*at)
            return 0;
    }
    return rl_fail(
        err, RL_EVALUE, "--few", 0,
        "expected up to %d numbers of samples from 0 to %d, or 'all', got '%s'",
        RL_MAXFEW, RL_FEW_MOST, text);
}

/* One line of the table: an operator, of one dtype where dtype is not NULL. */
struct line {
    const char *op, *dtype;
    struct rl_score score[RL_MAXFEW];
};

/* GEMM by dtype: each is another kernel. */
static int lines_of(struct line *line)
{
    int n = 0;
    for (int o = 0; rl_op_types[o]; o++) {
        bool gemm = rl_op_types[o] == &rl_op_gemm;
        for (int dt = 0; dt < (gemm ? RL_NDTYPES : 1); dt++)
            line[n++] =
                (struct line){.op = rl_op_types[o]->name,
                              .dtype = gemm ? rl_dtype((enum rl_dtype)dt)->name : NULL};
    }
    return n;
}

static int max_lines(void)
{
    int n = RL_NDTYPES;
    while (rl_op_types[n - RL_NDTYPES])
        n++;
    return n;
}

static int score_count(const struct rl_measured *m, struct rl_calibrate_options o,
                       int count, int column, struct line *line, int nlines,
                       struct rl_error *err)
{
    struct rl_calibration *c = rl_alloc(m->ngroups, sizeof *c, err);
    if (!c)
        return -1;
    o.few = count;
    if (count == RL_FEW_ALL)
        o.prior = NULL;
    int rc = rl_calibrate_all(&m->samples, m->group, m->ngroups, m->device, m->machine,
                              &o, c, err);
    for (int i = 0; !rc && i < nlines; i++)
        rc = rl_calibration_pool(c, m->ngroups, line[i].op, line[i].dtype,
                                 &line[i].score[column], err);
    for (size_t i = 0; i < m->ngroups; i++)
        rl_calibration_clear(&c[i]);
    free(c);
    return rc;
}

static void print_lines(const struct rl_few_list *few, const struct line *line, int n)
{
    printf(
        "Median error in per cent (coverage, hi/lo of the 90 %% interval) on the rows\n"
        "not measured, by samples of each kernel on a device without entries; all: on\n"
        "shapes left out of the fit.\n\n%-24s %6s",
        "operator", "rows");
    for (int k = 0; k < few->n; k++) {
        char head[16] = "all";
        if (few->count[k] != RL_FEW_ALL)
            snprintf(head, sizeof head, "%d", few->count[k]);
        printf(" %17s", head);
    }
    printf("\n");
    for (int i = 0; i < n; i++) {
        char name[48];
        if (line[i].score[0].n == 0)
            continue;
        snprintf(name, sizeof name, "%s%s%s", line[i].op, line[i].dtype ? " " : "",
                 line[i].dtype ? line[i].dtype : "");
        printf("%-24s %6zu", name, line[i].score[0].n);
        for (int k = 0; k < few->n; k++) {
            const struct rl_score *s = &line[i].score[k];
            if (s->n)
                printf(" %5.1f (%3.0f, %4.2f)", 100 * s->median_ape, 100 * s->coverage90,
                       s->median_width);
            else
                printf(" %17s", "-");
        }
        printf("\n");
    }
}

int rl_few_curve(const struct rl_measured *m, const struct rl_calibrate_options *o,
                 const struct rl_few_list *few, struct rl_error *err)
{
    struct line *line = rl_alloc((size_t)max_lines(), sizeof *line, err);
    if (!line)
        return -1;
    int n = lines_of(line), rc = 0;
    for (int k = 0; !rc && k < few->n; k++)
        rc = score_count(m, *o, few->count[k], k, line, n, err);
    if (!rc)
        print_lines(few, line, n);
    free(line);
    return rc;
}
