/* The list of operators, and reading and printing their parameters.
 *
 * One parser serves every operator: it walks the rl_param rows of the type, so
 * an operator has no code of its own here.
 */
#include "op.h"

#include "err.h"
#include "ops.h"
#include "path.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct rl_op_type *const rl_op_types[] = {
    &rl_op_gemm,
    &rl_op_attention_prefill,
    &rl_op_attention_decode,
    &rl_op_attention_scores,
    &rl_op_attention_masked,
    &rl_op_attention_efficient,
    &rl_op_mla_prefill,
    &rl_op_mla_decode,
    &rl_op_dsa_indexer,
    &rl_op_selective_scan,
    &rl_op_selective_state_update,
    &rl_op_ssd_scan,
    &rl_op_ssd_update,
    &rl_op_gdn_scan,
    &rl_op_gdn_update,
    &rl_op_kda_scan,
    &rl_op_kda_update,
    &rl_op_lightning_scan,
    &rl_op_lightning_update,
    &rl_op_rwkv6_scan,
    &rl_op_rwkv6_update,
    &rl_op_rwkv7_scan,
    &rl_op_rwkv7_update,
    &rl_op_mlstm_scan,
    &rl_op_mlstm_update,
    &rl_op_rglru_scan,
    &rl_op_rglru_update,
    &rl_op_conv1d,
    &rl_op_conv1d_update,
    &rl_op_moe,
    &rl_op_all_reduce,
    &rl_op_all_gather,
    &rl_op_reduce_scatter,
    &rl_op_alltoall,
    &rl_op_norm,
    &rl_op_elementwise,
    &rl_op_embedding,
    &rl_op_rope,
    &rl_op_softmax,
    &rl_op_kv_append,
    &rl_op_sampling,
    &rl_op_quantize,
    NULL,
};

/* Counts above this are no longer exact in a double. */
static const double most = 9007199254740992.0; /* 2^53 */

const struct rl_op_type *rl_op_find(const char *name)
{
    for (int i = 0; rl_op_types[i]; i++)
        if (strcmp(rl_op_types[i]->name, name) == 0)
            return rl_op_types[i];
    return NULL;
}

static int find_param(const struct rl_op_type *op, const char *name, size_t len)
{
    for (int i = 0; op->param[i].name; i++)
        if (strlen(op->param[i].name) == len && !memcmp(op->param[i].name, name, len))
            return i;
    return -1;
}

int rl_op_param(const struct rl_op_type *op, const char *name)
{
    return find_param(op, name, strlen(name));
}

/* The library in an implementation's name: one kernel under two stacks' names.  Without
 * a number vLLM's flash_attn is FlashAttention-2, SGLang's flash_attention its build of
 * the third, which runs on sm_80 too. */
const char *rl_library_of(const char *impl)
{
    static const struct {
        const char *word, *library;
    } names[] = {{"marlin", "marlin"},  {"triton", "triton"},
                 {"trtllm", "trtllm"},  {"cutlass", "cutlass"},
                 {"fa2", "fa2"},        {"fa3", "fa3"},
                 {"fa4", "fa4"},        {"flashinfer", "flashinfer"},
                 {"flash_attn", "fa2"}, {"flash_attention", "fa3"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(impl, names[i].word))
            return names[i].library;
    return NULL;
}

int rl_op_ncoefs(const struct rl_op_type *op)
{
    int n = 0;
    while (op->coef && op->coef[n].name)
        n++;
    return n;
}

double rl_op_known(const struct rl_op_type *op, const char *runtime, const char *impl,
                   enum rl_dtype dtype, int i)
{
    bool asked = op->known && runtime && impl && op->coef[i].kind == RL_C_CHOICE;
    return asked ? op->known(runtime, impl, dtype, i) : NAN;
}

double rl_work_bytes(const struct rl_work *w)
{
    return w->weight_bytes + w->act_bytes + w->cache_bytes;
}

void rl_op_defaults(const struct rl_op_type *op, double *p)
{
    for (int i = 0; i < RL_MAXPARAMS; i++)
        p[i] = 0.0;
    for (int i = 0; op->param[i].name; i++)
        p[i] = op->param[i].fallback;
}

void rl_op_finish(const struct rl_op_type *op, double *p)
{
    for (int i = 1; op->param[i].name; i++)
        if (op->param[i].fallback == RL_AS_BEFORE && p[i] == RL_AS_BEFORE)
            p[i] = p[i - 1];
}

static int fail(const struct rl_op_type *op, struct rl_error *err, enum rl_code code,
                const char *param, const char *what)
{
    return rl_fail(err, code, NULL, 0, "%s: parameter '%s': %s", op->name, param, what);
}

static const char routings[] = "expected balanced, uniform or power_law_A, 0 < A ≤ 8";

static int check_dtype(const struct rl_op_type *op, const struct rl_param *par, double v,
                       struct rl_error *err)
{
    if (!(v >= 0.0 && v < RL_NDTYPES) || v != floor(v))
        return fail(op, err, RL_EVALUE, par->name, "not a dtype");
    if (v < par->min)
        return fail(op, err, RL_EVALUE, par->name, "'none' has no meaning here");
    return 0;
}

static int check_param(const struct rl_op_type *op, const struct rl_param *par, double v,
                       struct rl_error *err)
{
    if (par->kind == RL_P_DTYPE)
        return check_dtype(op, par, v, err);
    if (par->kind == RL_P_ROUTING)
        return v == RL_ROUTING_UNIFORM || (v >= 0.0 && v <= 8.0)
                   ? 0
                   : fail(op, err, RL_EVALUE, par->name, routings);
    if (isnan(v))
        return fail(op, err, RL_EVALUE, par->name, "not a number");
    if (v < par->min)
        return rl_fail(err, RL_EVALUE, NULL, 0, "%s: parameter '%s': %.15g is below %g",
                       op->name, par->name, v, par->min);
    if (v > most)
        return rl_fail(err, RL_EVALUE, NULL, 0, "%s: parameter '%s': %.15g is above 2^53",
                       op->name, par->name, v);
    return 0;
}

int rl_op_check(const struct rl_op_type *op, const double *p, struct rl_error *err)
{
    for (int i = 0; op->param[i].name; i++)
        if (check_param(op, &op->param[i], p[i], err))
            return -1;
    return op->check ? op->check(p, err) : 0;
}

/* "did you mean" over the parameters of an operator. */
static int unknown_param(const struct rl_op_type *op, const char *name,
                         struct rl_error *err)
{
    char near[160], all[RL_MAXPARAMS][24], *names[RL_MAXPARAMS];
    int n = 0;

    for (; op->param[n].name; n++) {
        snprintf(all[n], sizeof(all[n]), "%s", op->param[n].name);
        names[n] = all[n];
    }
    return rl_fail(err, RL_ENAME, NULL, 0, "%s: no parameter '%s'; nearest: %s", op->name,
                   name, rl_nearest(name, names, n, 3, near, sizeof(near)));
}

static int unknown_dtype(const struct rl_op_type *op, const char *param, const char *text,
                         struct rl_error *err)
{
    char near[160], all[RL_NDTYPES][24], *names[RL_NDTYPES];

    for (int i = 0; i < RL_NDTYPES; i++) {
        snprintf(all[i], sizeof(all[i]), "%s", rl_dtype((enum rl_dtype)i)->name);
        names[i] = all[i];
    }
    return rl_fail(err, RL_ENAME, NULL, 0,
                   "%s: parameter '%s': unknown dtype '%s'; nearest: %s", op->name, param,
                   text, rl_nearest(text, names, RL_NDTYPES, 3, near, sizeof(near)));
}

/* A plain decimal number: strtod alone would take "inf", "nan" and "0x1p3". */
static int number(const char *text, double *out)
{
    char *end;

    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return -1;
    *out = strtod(text, &end);
    return *end ? -1 : 0;
}

static int routing(const char *text, double *out)
{
    static const char law[] = "power_law_";

    *out = strcmp(text, "balanced") == 0 ? 0.0 : RL_ROUTING_UNIFORM;
    if (*out == 0.0 || strcmp(text, "uniform") == 0)
        return 0;
    if (strncmp(text, law, sizeof(law) - 1) != 0)
        return -1;
    return number(text + sizeof(law) - 1, out) || *out <= 0.0 ? -1 : 0;
}

static int parse_value(const struct rl_op_type *op, const struct rl_param *par,
                       const char *text, double *out, struct rl_error *err)
{
    if (par->kind == RL_P_DTYPE) {
        int dt = rl_dtype_parse(text);
        if (dt < 0)
            return unknown_dtype(op, par->name, text, err);
        *out = dt;
        return 0;
    }
    if (par->kind == RL_P_ROUTING) {
        if (routing(text, out))
            return fail(op, err, RL_EVALUE, par->name, routings);
        return check_param(op, par, *out, err);
    }
    if (number(text, out) || (par->kind == RL_P_NUM && *out != floor(*out)))
        return rl_fail(err, RL_EVALUE, NULL, 0,
                       "%s: parameter '%s': expected a %snumber, got '%s'", op->name,
                       par->name, par->kind == RL_P_NUM ? "whole " : "", text);
    return check_param(op, par, *out, err);
}

/* One "name=value" word; marks the parameter in *seen. */
static int parse_word(const struct rl_op_type *op, const char *word, size_t len,
                      double *p, unsigned *seen, struct rl_error *err)
{
    char text[80];
    const char *eq = memchr(word, '=', len);
    size_t namelen = eq ? (size_t)(eq - word) : len;
    int i;

    if (len >= sizeof(text))
        return rl_fail(err, RL_EFORMAT, NULL, 0, "%s: parameter '%.20s…' is too long",
                       op->name, word);
    memcpy(text, word, len);
    text[len] = '\0';
    if (!eq || namelen == 0)
        return rl_fail(err, RL_EFORMAT, NULL, 0, "%s: expected name=value, got '%s'",
                       op->name, text);
    text[namelen] = '\0';
    i = find_param(op, text, namelen);
    if (i < 0)
        return unknown_param(op, text, err);
    if (*seen & 1U << i)
        return fail(op, err, RL_EFORMAT, text, "given twice");
    *seen |= 1U << i;
    return parse_value(op, &op->param[i], text + namelen + 1, &p[i], err);
}

int rl_op_parse(const struct rl_op_type *op, const char *params, double *p,
                struct rl_error *err)
{
    static const char blank[] = " \t\r\n";
    unsigned seen = 0;

    rl_op_defaults(op, p);
    for (const char *s = params + strspn(params, blank); *s; s += strspn(s, blank)) {
        size_t len = strcspn(s, blank);
        if (parse_word(op, s, len, p, &seen, err))
            return -1;
        s += len;
    }
    for (int i = 0; op->param[i].name; i++)
        if (!(seen & 1U << i) && isnan(op->param[i].fallback))
            return fail(op, err, RL_EVALUE, op->param[i].name, "missing");
    rl_op_finish(op, p);
    return rl_op_check(op, p, err);
}

/* Is the value what parsing would put there anyway? */
static bool is_fallback(const struct rl_op_type *op, const double *p, int i)
{
    double fallback = op->param[i].fallback;

    return p[i] == (fallback == RL_AS_BEFORE ? p[i - 1] : fallback);
}

static int print_value(const struct rl_param *par, double v, char *buf, size_t size)
{
    if (par->kind == RL_P_DTYPE)
        return snprintf(buf, size, "%s=%s", par->name, rl_dtype((enum rl_dtype)v)->name);
    if (par->kind == RL_P_ROUTING && v <= 0.0)
        return snprintf(buf, size, "%s=%s", par->name, v == 0.0 ? "balanced" : "uniform");
    if (par->kind == RL_P_ROUTING)
        return snprintf(buf, size, "%s=power_law_%.15g", par->name, v);
    return snprintf(buf, size, "%s=%.16g", par->name, v);
}

const char *rl_op_format(const struct rl_op_type *op, const double *p, char *buf,
                         size_t size)
{
    size_t used = 0;

    if (size)
        buf[0] = '\0';
    for (int i = 0; op->param[i].name && used + 1 < size; i++) {
        if (is_fallback(op, p, i))
            continue;
        if (used)
            used += (size_t)snprintf(buf + used, size - used, " ");
        if (used < size)
            used += (size_t)print_value(&op->param[i], p[i], buf + used, size - used);
    }
    return buf;
}
