/* What a runtime file may say: every key with the kind of its value.  A key that
 * nobody reads is a mistake in the file, and an error that names its line; each
 * new key of predict/ gets a row here.
 *
 * Keys with holes name operators, glue (the small steps between operators that
 * stacks launch differently), coefficients and dtypes; each must be one there is.
 * Some numbers may be for one device or SM only.
 */
#include "plan.h"

#include "err.h"
#include "kern_impl.h"
#include "ops.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 96 };

static const char *const text_keys[] = {"attn.order",  "base",  "graph", "impl.all",
                                        "logits",      "model", "name",  "repack",
                                        "state_dtype", "vendor"};

static const char *const number_keys[] = {"act.bytes",
                                          "alloc.load",
                                          "alloc.round_mib",
                                          "alloc.slack",
                                          "alloc.warmup",
                                          "attn.score_bytes",
                                          "attn.score_live",
                                          "cc_min",
                                          "chunk",
                                          "cpu",
                                          "fused.projections",
                                          "host.launch_factor",
                                          "kv.block",
                                          "kv.cat",
                                          "kv.repeat",
                                          "logits.upcast",
                                          "mask.sliding_window",
                                          "mem.context_mib",
                                          "mem.eager",
                                          "mem.utilisation",
                                          "mem.workspace_mib",
                                          "moe.expert_launches",
                                          "energy.pause_j",
                                          "page.align",
                                          "step.sequence_us.decode",
                                          "step.sequence_us.prefill",
                                          "overlap",
                                          "repack.mix",
                                          "launches.unpack",
                                          "split.copies",
                                          "split.hop_us",
                                          "split.queue",
                                          "spread.allocated",
                                          "spread.decode",
                                          "spread.host",
                                          "spread.prefill",
                                          "spread.reserved",
                                          "step.host_us.decode",
                                          "step.host_us.prefill",
                                          "step.launches.decode",
                                          "step.launches.prefill"};

/* Of those, such as may differ by device or SM: KEY@DEVICE, KEY@sm86; so may coef,
 * and speed by SM. */
static const char *const here_keys[] = {"chunk", "energy.pause_j", "spread.decode",
                                        "spread.host", "spread.prefill"};

/* Text keys with few values. */
static const struct {
    const char *key, *words;
} choice_keys[] = {
    {"graph", "all decode none"}, {"impl.all", "ggml torch"}, {"logits", "all last"}};

static const char *const phases[] = {"prefill", "decode"};

#define LENGTH(a) (sizeof(a) / sizeof *(a))

static bool among(const char *const *list, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return false;
}

static bool has_coef(const struct rl_coef *c, const char *name)
{
    for (; c && c->name; c++)
        if (strcmp(c->name, name) == 0)
            return true;
    return false;
}

/* One of a stack's own kernels, of operator `op` or (NULL) of any. */
static bool impl_has(const struct rl_op_type *op, const char *coef)
{
    const struct rl_impl *const tables[] = {rl_ggml_gpu, rl_ggml_cpu, rl_torch};

    for (size_t t = 0; t < LENGTH(tables); t++)
        for (const struct rl_impl *i = tables[t]; i->op; i++)
            if ((!op || i->op == op) && has_coef(i->coef, coef))
                return true;
    return false;
}

/* The key cut at its first dots: word[0] … word[n - 1]. */
static int cut(char *key, char *word[4])
{
    int n = 0;

    for (char *s = key; s && n < 4; n++) {
        word[n] = s;
        s = strchr(s, '.');
        if (s)
            *s++ = '\0';
        if (n == 3 && s)
            return 5;
    }
    return n;
}

/* launches.GLUE[.PHASE] and the like; GLUE is an operator too. */
static bool of_glue(char *const *word, int n)
{
    bool phased = !strcmp(word[0], "launches") || !strcmp(word[0], "host");
    bool known = among(rl_glue_names, (size_t)rl_nglue_names, word[1]) ||
                 rl_op_find(word[1]) != NULL;

    if (!phased && strcmp(word[0], "bytes") && strcmp(word[0], "fused"))
        return false;
    return known && (n == 2 || (n == 3 && phased && among(phases, 2, word[2])));
}

/* speed.WHAT.COEF[.DTYPE]; WHAT is an operator, glue or `all`. */
static bool of_speed(char *const *word, int n)
{
    const struct rl_op_type *op = rl_op_find(word[1]);
    bool any =
        !strcmp(word[1], "all") || among(rl_glue_names, (size_t)rl_nglue_names, word[1]);

    return n >= 3 && (op || any) && impl_has(op, word[2]) &&
           (n == 3 || rl_dtype_parse(word[3]) >= 0);
}

static bool is_dtype(const char *word)
{
    return rl_dtype_parse(word) >= 0;
}

/* attn.KERNEL.WHAT, WHAT one of the words given; attn.KERNEL.head_dims.DTYPE. */
static bool of_attn(const char *key, const char *whats)
{
    char copy[LONGEST], *word[4];

    snprintf(copy, sizeof copy, "%s", key);
    int n = cut(copy, word);
    bool plain = n == 3 || (n == 4 && !strcmp(word[2], "head_dims") && is_dtype(word[3]));
    return plain && !strcmp(word[0], "attn") && rl_word_in(whats, word[2]) &&
           rl_attn_kernel_named(word[1], strlen(word[1]));
}

static bool number_known(const char *key)
{
    char copy[LONGEST], *word[4];
    int n;

    if (among(number_keys, LENGTH(number_keys), key))
        return true;
    if (of_attn(key, "cc_min fp8_cache_cc"))
        return true;
    snprintf(copy, sizeof copy, "%s", key);
    n = cut(copy, word);
    if (n < 2 || n > 4)
        return false;
    const struct rl_op_type *op = rl_op_find(word[1]);
    if (!strcmp(word[0], "coef"))
        return n == 3 && op && has_coef(op->coef, word[2]);
    return strcmp(word[0], "speed") ? of_glue(word, n) : of_speed(word, n);
}

static bool where_known(const char *key, const char *at)
{
    return !strncmp(key, "coef.", 5) || !*at ||
           (!strncmp(key, "speed.", 6) &&
            (!strncmp(at, "@sm", 3) || !strncmp(at, "@apple", 6))) ||
           among(here_keys, LENGTH(here_keys), key);
}

/* Every word of a list must pass: a kernel, a dtype, a size or range of sizes; and
 * there is one at least. */
static int check_list(const struct rl_runtime *r, int i, bool (*good)(const char *word),
                      const char *expected, struct rl_error *err)
{
    char word[LONGEST];

    const char *s = r->value[i];

    do {
        size_t len = strcspn(s, " ");
        snprintf(word, sizeof word, "%.*s", (int)len, s);
        if (!good(word))
            return rl_fail(err, RL_EVALUE, rl_runtime_file(r, i), r->line[i],
                           "'%s': expected %s, got '%s'", r->key[i], expected, word);
        s += len + strspn(s + len, " ");
    } while (*s);
    return 0;
}

static bool is_kernel(const char *word)
{
    return rl_attn_kernel_named(word, strlen(word)) != NULL;
}

/* Heads are whole numbers, at most this wide. */
enum { WIDEST = 65536 };

static bool is_sizes(const char *word)
{
    struct rl_sizes z;
    const char *end = rl_sizes_next(word, &z);

    return end && !*end && z.from > 0 && z.to >= z.from && z.to <= WIDEST && z.step > 0 &&
           z.step <= WIDEST;
}

static int check_attn(const struct rl_runtime *r, int i, struct rl_error *err)
{
    if (!strcmp(r->key[i], "attn.order"))
        return check_list(r, i, is_kernel, "attention kernels", err);
    if (of_attn(r->key[i], "dtypes"))
        return check_list(r, i, is_dtype, "number formats", err);
    if (of_attn(r->key[i], "head_dims"))
        return check_list(r, i, is_sizes, "sizes such as 64 or 8:256:8", err);
    return 0;
}

static int check_words(const struct rl_runtime *r, int i, struct rl_error *err)
{
    if (check_attn(r, i, err))
        return -1;
    for (size_t k = 0; k < LENGTH(choice_keys); k++)
        if (!strcmp(choice_keys[k].key, r->key[i]) &&
            !rl_word_in(choice_keys[k].words, r->value[i]))
            return rl_fail(err, RL_EVALUE, rl_runtime_file(r, i), r->line[i],
                           "'%s': expected one of %s, got '%s'", r->key[i],
                           choice_keys[k].words, r->value[i]);
    return 0;
}

static bool text_known(const char *key)
{
    return among(text_keys, LENGTH(text_keys), key) || of_attn(key, "head_dims dtypes") ||
           (!strncmp(key, "impl.", 5) && rl_op_find(key + 5));
}

/* Numbers that mean something within bounds only: a capability written 80 for 8.0 is
 * one that no part has, and everything would fall back. */
static int check_range(const struct rl_runtime *r, int i, const char *key, double v,
                       struct rl_error *err)
{
    bool cc = !strcmp(key, "cc_min") || of_attn(key, "cc_min fp8_cache_cc");
    bool score = !strcmp(key, "attn.score_live") || !strcmp(key, "attn.score_bytes");

    if (cc && !(v >= 1 && v < 20))
        return rl_fail(err, RL_EVALUE, rl_runtime_file(r, i), r->line[i],
                       "'%s': expected a compute capability such as 8.0, got '%s'",
                       r->key[i], r->value[i]);
    if (score && !(v > 0 && v <= 256))
        return rl_fail(err, RL_EVALUE, rl_runtime_file(r, i), r->line[i],
                       "'%s': expected bytes of a score, above 0 and up to 256, got '%s'",
                       r->key[i], r->value[i]);
    return 0;
}

static int check_row(const struct rl_runtime *r, int i, struct rl_error *err)
{
    size_t len = strcspn(r->key[i], "@");
    char key[LONGEST] = "";
    double v;

    if (text_known(r->key[i]))
        return check_words(r, i, err);
    if (len < LONGEST && strcmp(r->key[i] + len, "@"))
        memcpy(key, r->key[i], len);
    if (!number_known(key) || !where_known(key, r->key[i] + len))
        return rl_fail(err, RL_ENAME, rl_runtime_file(r, i), r->line[i],
                       "unknown key '%s'", r->key[i]);
    if (rl_parse_number(r->value[i], &v))
        return rl_fail(err, RL_EVALUE, rl_runtime_file(r, i), r->line[i],
                       "'%s': expected a number, got '%s'", r->key[i], r->value[i]);
    return check_range(r, i, key, v, err);
}

int rl_runtime_check(const struct rl_runtime *r, struct rl_error *err)
{
    for (int i = 0; i < r->nrows; i++)
        if (check_row(r, i, err))
            return -1;
    return 0;
}
