/* The best row of a sweep, or of each value of a column. */
#include "sweep.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool larger_wins(int column)
{
    const char *name = rl_column_name(column);
    return strstr(name, "tokens_per_s") || strstr(name, "max_ctx") ||
           !strcmp(name, "fits") || !strcmp(name, "ctx") || !strcmp(name, "batch");
}

static bool beats(const struct rl_sweep *s, double v, long row, const struct rl_winner *w)
{
    if (v == w->value)
        return row < w->row;
    return larger_wins(s->best) ? v > w->value : v < w->value;
}

static char *row_text(const struct rl_sweep *s, const struct rl_cell *row)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    if (s->json)
        rl_row_json(f, row);
    else
        rl_row_csv(f, row);
    fclose(f);
    return text;
}

/* That of the key, or a new one that every row beats. */
static struct rl_winner *winner_of(struct rl_winners *w, const char *key, long row,
                                   struct rl_error *err)
{
    size_t i = 0;
    while (i < w->n && strcmp(w->at[i].key, key))
        i++;
    if (i == w->n) {
        void *grown = rl_grow(w->at, &w->cap, w->n + 1, sizeof *w->at, err);
        if (!grown)
            return NULL;
        w->at = grown;
        w->at[i] = (struct rl_winner){rl_strdup(key, err), NULL, NAN, row, row};
        if (!w->at[i].key)
            return NULL;
        w->n++;
    }
    if (row < w->at[i].first)
        w->at[i].first = row;
    return &w->at[i];
}

int rl_sweep_offer(const struct rl_sweep *s, struct rl_winners *w, long row,
                   const struct rl_cell *cells, struct rl_error *err)
{
    const struct rl_cell *best = &cells[s->best], *per = s->per >= 0 ? &cells[s->per] : 0;
    double v = best->text ? !strcmp(best->text, "true") : best->num;
    char number[32];

    if (!isfinite(v))
        return 0;
    snprintf(number, sizeof number, "%.9g", per ? per->num : 0);
    struct rl_winner *at = winner_of(w, per && per->text ? per->text : number, row, err);
    if (!at)
        return -1;
    if (at->text && !beats(s, v, row, at))
        return 0;
    free(at->text);
    at->value = v;
    at->row = row;
    at->text = row_text(s, cells);
    return at->text ? 0 : rl_fail(err, RL_ENOMEM, NULL, 0, "out of memory");
}

int rl_sweep_merge(const struct rl_sweep *s, struct rl_winners *w,
                   struct rl_winners *from, struct rl_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < from->n; i++) {
        struct rl_winner *f = &from->at[i];
        struct rl_winner *at = rc ? NULL : winner_of(w, f->key, f->first, err);
        rc = at ? 0 : -1;
        if (at && (!at->text || beats(s, f->value, f->row, at))) {
            free(at->text);
            at->text = f->text;
            at->value = f->value;
            at->row = f->row;
            f->text = NULL;
        }
        free(f->text);
        free(f->key);
    }
    free(from->at);
    return rc;
}

static int by_first(const void *va, const void *vb)
{
    const struct rl_winner *a = va, *b = vb;
    return (a->first > b->first) - (a->first < b->first);
}

void rl_sweep_winners(struct rl_winners *w, FILE *f)
{
    if (w->n)
        qsort(w->at, w->n, sizeof *w->at, by_first);
    for (size_t i = 0; i < w->n; i++) {
        if (w->at[i].text)
            fputs(w->at[i].text, f);
        free(w->at[i].text);
        free(w->at[i].key);
    }
    free(w->at);
}
