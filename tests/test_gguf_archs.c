/* One toy header per architecture (data/gguf.txt), read back and held against the
 * config.json it would come from: parameters, layers, cache and state are the same
 * on both routes, and the bytes of quantised weights are those of the tensors.
 *
 * With GGUF_CORPUS=DIR each header is also written there, for the fuzz corpus. */
#include "family.h"
#include "gguf.h"
#include "gguf_file.h"
#include "json.h"
#include "model.h"
#include "path.h"

#include "test.h"

#include <stdlib.h>

enum { T_F32 = 0, T_F16 = 1, T_Q4_K = 12, LONGEST = 4096 };

struct section {
    char arch[32], config[LONGEST];
    struct gguf_file f;
    double bytes, params, only; /* only: no family counts them */
    int line;
};

static void key_list(struct gguf_file *f, const char *key, const char *value)
{
    int list[16], n = 0;

    for (const char *s = value; s && n < 16;
         s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
        list[n++] = atoi(s);
    gguf_ints(f, key, list, (size_t)n);
}

static void add_keys(struct section *s, char *text)
{
    for (char *k = strtok(text, " \n"); k; k = strtok(NULL, " \n")) {
        char *value = strchr(k, '='), name[128];

        cr_assert(value, "line %d: %s", s->line, k);
        *value++ = '\0';
        snprintf(name, sizeof name, "%s.%s", s->arch, k);
        if (strchr(value, ',')) {
            key_list(&s->f, name, value);
        } else if (strcmp(value, "true") == 0) {
            gguf_key(&s->f, name, 7);
            put_int(&s->f, 1, 1);
        } else {
            gguf_u32(&s->f, name, (uint32_t)atoi(value));
        }
    }
}

/* Matrices in Q4_K where a row is whole blocks, as llama-quantize does it. */
static void add_tensor(struct section *s, const char *prefix, const char *word,
                       const char *dims)
{
    uint64_t dim[5] = {0}, n = 1;
    char name[160];
    size_t len = strlen(word);
    unsigned type, k = 0;

    for (const char *d = dims; d && k < 4;
         d = strchr(d, ',') ? strchr(d, ',') + 1 : NULL) {
        dim[k] = (uint64_t)atoi(d);
        n *= dim[k++];
    }
    if (word[len - 1] == '!')
        snprintf(name, sizeof name, "%s%.*s", prefix, (int)len - 1, word);
    else
        snprintf(name, sizeof name, "%s%s%s", prefix, word,
                 strchr(word, '.') ? "" : ".weight");
    type = k < 2 || strstr(name, "norm") || strstr(name, "ssm_a") ? T_F32
           : dim[0] % 256 == 0                                    ? T_Q4_K
                                                                  : T_F16;
    uint64_t bytes = type == T_F32 ? 4 * n : type == T_F16 ? 2 * n : n / 256 * 144;
    gguf_tensor(&s->f, name, type, dim, bytes);
    s->bytes += (double)bytes;
    s->params += (double)n;
}

static void add_tensors(struct section *s, const char *prefix, const char *text)
{
    char copy[LONGEST], word[80], dims[80];
    char *save = NULL;

    snprintf(copy, sizeof copy, "%s", text);
    for (char *t = strtok_r(copy, ";\n", &save); t; t = strtok_r(NULL, ";\n", &save)) {
        cr_assert(sscanf(t, " %79s %79s", word, dims) == 2, "line %d: %s", s->line, t);
        add_tensor(s, prefix, word, dims);
    }
}

static void add_blocks(struct section *s, const char *text)
{
    int from, to, used;
    char prefix[32];

    cr_assert(sscanf(text, " %d-%d%n", &from, &to, &used) == 2, "line %d", s->line);
    for (int i = from; i <= to; i++) {
        snprintf(prefix, sizeof prefix, "blk.%d.", i);
        add_tensors(s, prefix, text + used);
    }
}

static double kv_bytes(const struct rl_graph *g, enum rl_cache_kind kind, double tokens)
{
    double elems = 0;

    for (size_t i = 0; i < g->ncaches; i++)
        if (g->cache[i].kind == kind)
            elems += g->cache[i].layers * g->cache[i].elems *
                     (g->cache[i].window > 0 ? fmin(tokens, g->cache[i].window) : tokens);
    return elems;
}

static double layers_of(const struct rl_graph *g, enum rl_block_kind kind)
{
    double n = 0;

    for (size_t i = 0; i < g->nblocks; i++)
        if (g->block[i].kind == kind)
            n += g->block[i].count;
    return n;
}

static void same_model(const struct section *s, const struct rl_model *m)
{
    struct rl_error err = {0};
    struct rl_params a, b;
    struct rl_cfg c;
    struct rl_graph g;
    json_t *top = rl_json_parse("config.json", s->config, strlen(s->config), &err);

    cr_assert(top && rl_cfg_init(&c, "config.json", top, &err) == 0, "%s", err.text);
    rl_graph_init(&g);
    cr_assert(rl_family_build(&c, &g, &err) == 0, "line %d: %s", s->line, err.text);
    rl_graph_params(&m->graph, &a);
    rl_graph_params(&g, &b);
    cr_expect(a.resident == b.resident,
              "line %d, %s: %.0f from the header, %.0f from the "
              "config",
              s->line, s->arch, a.resident, b.resident);
    cr_expect(a.active == b.active && a.read_per_token == b.read_per_token,
              "line %d, %s: active %.0f and %.0f", s->line, s->arch, a.active, b.active);
    for (int k = 0; k < RL_NBLOCKS; k++)
        cr_expect(layers_of(&m->graph, k) == layers_of(&g, k), "line %d, %s: %s", s->line,
                  s->arch, rl_block_name(k));
    for (int k = RL_CACHE_KV; k <= RL_CACHE_CROSS; k++)
        for (double n = 100; n < 1e6; n *= 10)
            cr_expect(kv_bytes(&m->graph, k, n) == kv_bytes(&g, k, n),
                      "line %d, %s: cache %d of %g tokens: %g, %g", s->line, s->arch, k,
                      n, kv_bytes(&m->graph, k, n), kv_bytes(&g, k, n));
    rl_graph_clear(&g);
    rl_cfg_clear(&c);
}

static void write_seed(const struct section *s)
{
    const char *dir = getenv("GGUF_CORPUS");
    char path[512];

    if (!dir)
        return;
    snprintf(path, sizeof path, "%s/%s-%d", dir, s->arch, s->line);
    FILE *out = fopen(path, "wb");
    cr_assert(out && fwrite(s->f.buf, 1, s->f.len, out) == s->f.len && !fclose(out));
}

static void check_section(struct section *s)
{
    char path[300];
    struct rl_error err = {0};
    struct rl_params p;
    double bytes = 0;

    snprintf(path, sizeof path, "%s/rl-%ld-%s.gguf",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid(), s->arch);
    cr_assert(gguf_save(&s->f, path) == 0);
    write_seed(s);
    struct rl_model *m = rl_model_load_file(path, &err);
    remove(path);
    cr_expect(m, "line %d, %s: %s", s->line, s->arch, err.text);
    if (!m)
        return;
    rl_graph_params(&m->graph, &p);
    cr_expect(p.resident == s->params - s->only,
              "line %d, %s: %.0f parameters, its tensors hold %.0f", s->line, s->arch,
              p.resident, s->params - s->only);
    for (int k = 0; k < RL_NWCLASSES; k++)
        bytes += m->gguf_bytes[k];
    cr_expect(bytes == s->bytes && m->gguf_file_bytes == s->bytes,
              "line %d, %s: %.0f bytes, its tensors hold %.0f", s->line, s->arch, bytes,
              s->bytes);
    same_model(s, m);
    rl_model_free(m);
}

static void begin(struct section *s, const char *line, int number)
{
    memset(s, 0, sizeof *s);
    s->line = number;
    cr_assert(sscanf(line, "[%31[^]]]", s->arch) == 1);
    gguf_begin(&s->f);
    gguf_str(&s->f, "general.architecture", s->arch);
    gguf_u32(&s->f, "general.file_type", 14); /* Q4_K_S */
}

static void take_line(struct section *s, char *line)
{
    if (strncmp(line, "keys ", 5) == 0)
        add_keys(s, line + 5);
    else if (strncmp(line, "config ", 7) == 0)
        snprintf(s->config, sizeof s->config, "%s", line + 7);
    else if (strncmp(line, "top ", 4) == 0)
        add_tensors(s, "", line + 4);
    else if (strncmp(line, "blk ", 4) == 0)
        add_blocks(s, line + 4);
    else if (strncmp(line, "only ", 5) == 0)
        s->only = atof(line + 5);
    else
        cr_assert(*line == '#' || *line == '\n', "%s", line);
}

Test(gguf_archs, header_and_config_count_the_same)
{
    static struct section s;
    char path[1024], line[LONGEST];
    int number = 0, sections = 0;

    snprintf(path, sizeof path, "%s/tests/data/gguf.txt", source_dir());
    FILE *f = fopen(path, "r");
    cr_assert(f);
    while (fgets(line, sizeof line, f)) {
        number++;
        if (*line == '[') {
            if (sections++)
                check_section(&s);
            begin(&s, line, number);
        } else {
            take_line(&s, line);
        }
    }
    check_section(&s);
    cr_expect(sections >= 58);
    fclose(f);
}
