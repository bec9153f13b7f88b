/* GGUF headers: what is read, what is counted, and every way a file can lie. */
#include "gguf.h"
#include "gguf_file.h"
#include "model.h"

#include "test.h"

#define DIMS(...)                                                                        \
    (const uint64_t[])                                                                   \
    {                                                                                    \
        __VA_ARGS__, 0                                                                   \
    }

enum { T_F32 = 0, T_Q4_K = 12, T_Q6_K = 14 };

static struct gguf_file f;

/* Llama of two layers: H 256, 4 heads of 64, 2 KV heads, I 512, V 1024. */
static void llama_keys(void)
{
    gguf_begin(&f);
    gguf_str(&f, "general.architecture", "llama");
    gguf_u32(&f, "general.file_type", 15);
    gguf_u32(&f, "llama.block_count", 2);
    gguf_u32(&f, "llama.embedding_length", 256);
    gguf_u32(&f, "llama.feed_forward_length", 512);
    gguf_u32(&f, "llama.attention.head_count", 4);
    gguf_u32(&f, "llama.attention.head_count_kv", 2);
    gguf_u32(&f, "llama.context_length", 4096);
}

static void llama_layer(int i)
{
    static const struct {
        const char *name;
        unsigned type;
        uint64_t in, out;
    } t[] = {{"attn_norm", T_F32, 256, 0},   {"ffn_norm", T_F32, 256, 0},
             {"attn_q", T_Q4_K, 256, 256},   {"attn_k", T_Q4_K, 256, 128},
             {"attn_v", T_Q6_K, 256, 128},   {"attn_output", T_Q4_K, 256, 256},
             {"ffn_gate", T_Q4_K, 256, 512}, {"ffn_up", T_Q4_K, 256, 512},
             {"ffn_down", T_Q6_K, 512, 256}};
    char name[64];

    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        uint64_t n = t[k].in * (t[k].out ? t[k].out : 1);
        uint64_t bytes = t[k].type == T_F32    ? n * 4
                         : t[k].type == T_Q4_K ? n / 256 * 144
                                               : n / 256 * 210;

        snprintf(name, sizeof name, "blk.%d.%s.weight", i, t[k].name);
        gguf_tensor(&f, name, t[k].type, DIMS(t[k].in, t[k].out), bytes);
    }
}

static uint64_t llama_file(void)
{
    llama_keys();
    gguf_tensor(&f, "token_embd.weight", T_Q6_K, DIMS(256, 1024), 1024 * 210);
    gguf_tensor(&f, "output_norm.weight", T_F32, DIMS(256), 1024);
    llama_layer(0);
    llama_layer(1);
    return gguf_end(&f);
}

static int parse(struct rl_gguf *g, uint64_t size, struct rl_error *err)
{
    return rl_gguf_parse("t.gguf", f.buf, f.len, size, g, err);
}

/* The message a file must give; `size` 0: as gguf_end says. */
static void refuse(uint64_t size, const char *want)
{
    struct rl_error err = {0};
    struct rl_gguf g;
    uint64_t whole = gguf_end(&f);
    int rc = parse(&g, size ? size : whole, &err);

    cr_expect(rc == -1, "accepted, wanted: %s", want);
    expect_error(err, want);
    if (rc == 0)
        rl_gguf_clear(&g);
}

Test(gguf, bytes_by_class_are_exact)
{
    struct rl_error err = {0};
    struct rl_gguf g;

    cr_assert(parse(&g, llama_file(), &err) == 0, "%s", err.text);
    cr_expect(g.ntensors == 20);
    /* per layer: q and o 256·256, k 256·128, gate and up 256·512 in Q4_K; v 256·128
     * and down 512·256 in Q6_K */
    expect_near(g.bytes[RL_W_LINEAR],
                2 * ((2 * 65536 + 32768 + 2 * 131072) / 256 * 144.0 +
                     (32768 + 131072) / 256 * 210.0),
                0);
    expect_near(g.bytes[RL_W_EMBED], 1024 * 210.0, 0);
    expect_near(g.bytes[RL_W_SMALL], 5 * 256 * 4.0, 0);
    expect_near(g.bytes[RL_W_HEAD], 0, 0);
    expect_near(g.tensor_bytes,
                g.bytes[RL_W_LINEAR] + g.bytes[RL_W_EMBED] + g.bytes[RL_W_SMALL], 0);
    cr_expect(rl_gguf_dtype(&g) == RL_DT_Q4_K_M);
    rl_gguf_clear(&g);
}

Test(gguf, config_has_the_fields_families_read)
{
    struct rl_error err = {0};
    struct rl_gguf g;
    json_t *c;

    cr_assert(parse(&g, llama_file(), &err) == 0, "%s", err.text);
    c = rl_gguf_config(&g, &err);
    cr_assert(c, "%s", err.text);
    cr_expect_str_eq(json_string_value(json_object_get(c, "model_type")), "llama");
    cr_expect(json_integer_value(json_object_get(c, "hidden_size")) == 256);
    cr_expect(json_integer_value(json_object_get(c, "num_key_value_heads")) == 2);
    cr_expect(json_integer_value(json_object_get(c, "vocab_size")) == 1024);
    cr_expect(json_is_true(json_object_get(c, "tie_word_embeddings")));
    json_decref(c);
    rl_gguf_clear(&g);
}

/* Which layer is what is read off the tensors. */
Test(gguf, hybrid_layers_come_from_tensors)
{
    struct rl_error err = {0};
    struct rl_gguf g;
    json_t *c;

    gguf_begin(&f);
    gguf_str(&f, "general.architecture", "nemotron_h");
    gguf_u32(&f, "nemotron_h.block_count", 4);
    gguf_u32(&f, "nemotron_h.embedding_length", 256);
    gguf_ints(&f, "nemotron_h.attention.head_count_kv", (const int[]){0, 0, 8, 0}, 4);
    gguf_ints(&f, "nemotron_h.feed_forward_length", (const int[]){0, 512, 0, 0}, 4);
    gguf_tensor(&f, "blk.0.ssm_in.weight", T_F32, DIMS(8, 8), 256);
    gguf_tensor(&f, "blk.1.ffn_up.weight", T_F32, DIMS(8, 8), 256);
    gguf_tensor(&f, "blk.2.attn_q.weight", T_F32, DIMS(8, 8), 256);
    gguf_tensor(&f, "blk.3.ffn_up_exps.weight", T_F32, DIMS(8, 8, 4), 1024);
    cr_assert(parse(&g, gguf_end(&f), &err) == 0, "%s", err.text);
    expect_near(g.bytes[RL_W_EXPERT], 1024, 0);
    c = rl_gguf_config(&g, &err);
    cr_assert(c, "%s", err.text);
    cr_expect_str_eq(json_string_value(json_object_get(c, "hybrid_override_pattern")),
                     "M-*E");
    cr_expect(json_integer_value(json_object_get(c, "num_key_value_heads")) == 8);
    cr_expect(json_integer_value(json_object_get(c, "intermediate_size")) == 512);
    json_decref(c);
    rl_gguf_clear(&g);
}

/* Next-token-prediction blocks come last and do not run. */
Test(gguf, nextn_blocks_are_no_layers)
{
    struct rl_error err = {0};
    struct rl_gguf g;
    json_t *c;

    gguf_begin(&f);
    gguf_str(&f, "general.architecture", "glm4moe");
    gguf_u32(&f, "glm4moe.block_count", 3);
    gguf_u32(&f, "glm4moe.nextn_predict_layers", 1);
    gguf_u32(&f, "glm4moe.embedding_length", 8);
    gguf_tensor(&f, "blk.1.ffn_up.weight", T_F32, DIMS(8, 8), 256);
    gguf_tensor(&f, "blk.2.ffn_up.weight", T_F32, DIMS(8, 16), 512);
    cr_assert(parse(&g, gguf_end(&f), &err) == 0, "%s", err.text);
    expect_near(g.bytes[RL_W_LINEAR], 256, 0);
    expect_near(g.bytes[RL_W_NONE], 512, 0);
    c = rl_gguf_config(&g, &err);
    cr_expect(json_integer_value(json_object_get(c, "num_hidden_layers")) == 2);
    json_decref(c);
    rl_gguf_clear(&g);
}

Test(gguf, every_cut_is_an_error)
{
    uint64_t size = llama_file();

    for (size_t n = 0; n < f.len; n++) {
        struct rl_error err = {0};
        struct rl_gguf g;
        int rc = rl_gguf_parse("t.gguf", f.buf, n, n, &g, &err);

        cr_expect(rc == -1 && err.code == RL_EFORMAT && *err.text, "cut at %zu", n);
        if (rc == 0)
            rl_gguf_clear(&g);
    }
    refuse(size - 32, "t.gguf: cut short: its tensors end at byte 969696, the file at "
                      "969664");
}

Test(gguf, start_of_file)
{
    llama_file();
    f.buf[0] = 'g';
    refuse(0, "t.gguf: byte 0: expected the letters GGUF");
    llama_file();
    f.buf[4] = 1;
    refuse(0, "t.gguf: byte 8: expected GGUF version 2 or 3");
    f.buf[4] = 0;
    f.buf[7] = 3;
    refuse(0, "t.gguf: byte 8: expected a little-endian file, got a big-endian one");
    gguf_begin(&f);
    f.tensors = 1000001;
    refuse((uint64_t)1 << 40, "t.gguf: byte 24: more tensors than the file has room for");
    gguf_begin(&f);
    f.keys = UINT64_MAX;
    refuse((uint64_t)1 << 40, "t.gguf: byte 24: more keys than the file has room for");
}

Test(gguf, keys)
{
    gguf_begin(&f);
    gguf_u32(&f, "a", 1);
    gguf_u32(&f, "a", 2);
    refuse(4096, "t.gguf: byte 50, key 'a': the key is given twice");
    gguf_begin(&f);
    gguf_u32(&f, "a\xff", 1);
    refuse(4096, "t.gguf: byte 34: expected a key in UTF-8");
    gguf_begin(&f);
    gguf_str(&f, "a", "\xc3(");
    refuse(4096, "t.gguf: byte 47, key 'a': expected a string in UTF-8");
    gguf_begin(&f);
    gguf_key(&f, "a", 13);
    refuse(4096, "t.gguf: byte 37, key 'a': expected a value type from 0 to 12");
    gguf_begin(&f);
    gguf_key(&f, "a", ARR);
    put_int(&f, ARR, 4);
    put_int(&f, 1, 8);
    refuse(4096, "t.gguf: byte 49, key 'a': expected a list of plain values, got a list "
                 "of lists");
    gguf_begin(&f);
    gguf_key(&f, "a", ARR);
    put_int(&f, U64, 4);
    put_int(&f, (uint64_t)1 << 61, 8); /* times 8 bytes overflows to 0 */
    refuse(4096, "t.gguf: byte 49, key 'a': more values in a list than the file has room "
                 "for");
    gguf_begin(&f);
    gguf_u32(&f, "general.alignment", 24);
    refuse(4096, "t.gguf: byte 57, key 'general.alignment': expected a power of two");
}

Test(gguf, tensors)
{
    static const struct {
        unsigned type;
        uint64_t dim[3];
        const char *want;
    } t[] = {
        {4, {32, 32, 0}, "t.gguf: byte 57, tensor 't': unknown tensor type 4"},
        {41, {32, 32, 0}, "t.gguf: byte 57, tensor 't': unknown tensor type 41"},
        {T_Q4_K,
         {128, 2, 0},
         "t.gguf: byte 57, tensor 't': expected rows of a multiple of 256 for Q4_K"},
        {T_F32,
         {(uint64_t)1 << 41, 2, 0},
         "t.gguf: byte 45, tensor 't': expected dimensions from 1 to 2^40"},
        {T_F32,
         {(uint64_t)1 << 40, (uint64_t)1 << 40, 0},
         "t.gguf: byte 53, tensor 't': expected a tensor of at most 2^50 weights"},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        gguf_begin(&f);
        gguf_tensor(&f, "t", t[i].type, t[i].dim, 0);
        refuse(4096, t[i].want);
    }
    gguf_begin(&f);
    gguf_tensor(&f, "t", T_F32, DIMS(32, 2), 256);
    gguf_tensor(&f, "t", T_F32, DIMS(32, 2), 256);
    refuse(0, "t.gguf: tensor 't' is given twice");
    gguf_begin(&f);
    f.data = 8;
    gguf_tensor(&f, "t", T_F32, DIMS(32, 2), 256);
    refuse(4096, "t.gguf: byte 65, tensor 't': expected an aligned offset");
}

Test(gguf, architectures)
{
    struct rl_error err = {0};
    struct rl_gguf g;

    gguf_begin(&f);
    cr_assert(parse(&g, gguf_end(&f), &err) == 0);
    cr_expect(rl_gguf_config(&g, &err) == NULL);
    expect_error(err, "t.gguf: expected a key 'general.architecture'");
    rl_gguf_clear(&g);
    err = (struct rl_error){0};
    gguf_str(&f, "general.architecture", "llama");
    gguf_u32(&f, "llama.block_count", 100000);
    cr_assert(parse(&g, gguf_end(&f), &err) == 0);
    cr_expect(rl_gguf_config(&g, &err) == NULL);
    expect_error(err, "t.gguf: 'llama.block_count': expected 1 to 8192 layers, got "
                      "100000");
    rl_gguf_clear(&g);
}

static const char *temp_path(const char *name)
{
    static char path[256];
    const char *dir = getenv("TMPDIR");

    snprintf(path, sizeof path, "%s/rl-%ld-%s", dir ? dir : "/tmp", (long)getpid(), name);
    return path;
}

Test(gguf, a_file_becomes_a_model)
{
    const char *path = temp_path("model.gguf");
    struct rl_error err = {0};
    struct rl_params p;
    struct rl_model *m;

    llama_file();
    cr_assert(gguf_save(&f, path) == 0);
    m = rl_model_load(source_dir(), path, &err);
    remove(path);
    cr_assert(m, "%s", err.text);
    rl_graph_params(&m->graph, &p);
    /* 2·(2·256² + 2·256·128 + 3·256·512 + 2·256) + 1024·256 + 256 */
    expect_near(p.resident, 1443072, 0);
    expect_near(m->gguf_bytes[RL_W_EMBED], 1024 * 210.0, 0);
    cr_expect(m->gguf_dtype == RL_DT_Q4_K_M);
    /* 5.07 bits on average in the layers, 6.5625 in the table */
    cr_expect(m->graph.quant[RL_W_LINEAR] == RL_DT_Q4_K_M);
    cr_expect(m->graph.quant[RL_W_EMBED] == RL_DT_Q6_K);
    cr_expect(m->graph.quant[RL_W_HEAD] == RL_DT_NONE); /* tied */
    rl_model_free(m);
}

/* Keys that describe another model than the tensors are found out. */
Test(gguf, keys_and_tensors_must_agree)
{
    const char *path = temp_path("odd.gguf");
    struct rl_error err = {0};
    char want[512], got[1280];

    llama_keys();
    gguf_tensor(&f, "token_embd.weight", T_Q6_K, DIMS(256, 1024), 1024 * 210);
    llama_layer(0); /* of two */
    cr_assert(gguf_save(&f, path) == 0);
    cr_expect(rl_model_load_file(path, &err) == NULL);
    snprintf(want, sizeof want,
             "%s: its tensors hold 852480 parameters, but its keys describe a 'llama' of "
             "1443072",
             path);
    cr_expect_str_eq(rl_error_format(&err, got, sizeof got), want);
    remove(path);
}

/* Parts: the keys are in the first, each has its own tensors. */
Test(gguf, split_files_are_joined)
{
    char path[2][300];
    struct rl_error err = {0};
    struct rl_gguf g;

    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s-0000%d-of-00002.gguf", temp_path("s"),
                 i + 1);
        gguf_begin(&f);
        if (i == 0)
            gguf_str(&f, "general.architecture", "llama");
        gguf_u32(&f, "split.no", (uint32_t)i);
        gguf_u32(&f, "split.count", 2);
        gguf_tensor(&f, i ? "output.weight" : "token_embd.weight", T_F32, DIMS(32, 2),
                    256);
        cr_assert(gguf_save(&f, path[i]) == 0);
    }
    cr_assert(rl_gguf_load(path[1], &g, &err) == 0, "%s",
              err.text); /* any part will do */
    cr_expect(g.ntensors == 2);
    expect_near(g.tensor_bytes, 512, 0);
    cr_expect(json_object_get(g.keys, "general.architecture") != NULL);
    rl_gguf_clear(&g);
    remove(path[1]);
    cr_expect(rl_gguf_load(path[0], &g, &err) == -1 && err.code == RL_EIO);
    remove(path[0]);
}
