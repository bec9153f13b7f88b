/* Models by name and path, and the rules of `model check`. */
#include "model.h"
#include "path.h"
#include "quantcfg.h"

#include "test.h"

#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

static void make_folder(void)
{
    const char *dir = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%s/rl-model-XXXXXX", dir ? dir : "/tmp");
    cr_assert(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[300];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert(system(command) == 0);
}

static const char *write_file(const char *name, const char *text)
{
    static char path[320];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
    return path;
}

/* A Llama of one layer: 64·(64 + 32 + 32 + 64) + 3·64·128 + 2·64 = 36,992 */
static const char tiny[] = "{\"model_type\": \"llama\", \"hidden_size\": 64,\n"
                           " \"num_hidden_layers\": 1, \"num_attention_heads\": 4,\n"
                           " \"num_key_value_heads\": 2, \"intermediate_size\": 128,\n"
                           " \"vocab_size\": 100, \"tie_word_embeddings\": true}\n";

static double resident(const struct rl_model *m)
{
    struct rl_params p;

    rl_graph_params(&m->graph, &p);
    return p.resident;
}

Test(model, by_zoo_id_and_by_hugging_face_id)
{
    static const char *const name[] = {"mamba2-1.3b", "state-spaces/mamba2-1.3b",
                                       "State-Spaces/MAMBA2-1.3B"};

    for (size_t i = 0; i < 3; i++) {
        struct rl_error err = {0};
        struct rl_model *m = rl_model_load(source_dir(), name[i], &err);

        cr_assert(m, "%s: %s", name[i], err.text);
        cr_expect_str_eq(m->id, "mamba2-1.3b");
        cr_expect_str_eq(m->hf_id, "state-spaces/mamba2-1.3b");
        expect_near(resident(m), 1343757312, 0);
        cr_expect(m->published == 0); /* nobody published it */
        rl_model_free(m);
    }
}

Test(model, published_counts_are_other_peoples)
{
    struct rl_error err = {0};
    struct rl_model *m = rl_model_load(source_dir(), "mamba-2.8b", &err);

    cr_assert(m, "%s", err.text);
    expect_near(m->published, 2768345600, 0);
    rl_model_free(m);
}

Test(model, unknown_names_list_the_nearest)
{
    struct rl_error err = {0};

    cr_expect(rl_model_load(source_dir(), "mamba2-1.4b", &err) == NULL);
    cr_expect(err.code == RL_ENAME);
    cr_expect(
        strstr(err.text, "unknown model 'mamba2-1.4b' (nearest: mamba-1.4b, mamba2-1.3b"),
        "%s", err.text);
    err = (struct rl_error){0};
    cr_expect(rl_model_load(source_dir(), "Qwen/Qwen3-4", &err) == NULL);
    cr_expect(strstr(err.text, "Qwen/Qwen3-4B"), "%s", err.text);
}

Test(model, by_path, .init = make_folder, .fini = remove_folder)
{
    struct rl_error err = {0};
    struct rl_model *m =
        rl_model_load(source_dir(), write_file("config.json", tiny), &err);

    cr_assert(m, "%s", err.text);
    expect_near(resident(m), 36992 + 64 + 6400, 0);
    cr_expect(m->hf_id == NULL);
    rl_model_free(m);
    m = rl_model_load(source_dir(), folder, &err); /* the folder alone */
    cr_assert(m, "%s", err.text);
    expect_near(resident(m), 36992 + 64 + 6400, 0);
    rl_model_free(m);
}

/* ModelOpt writes the quantisation beside the config. */
Test(model, quantisation_beside_the_config, .init = make_folder, .fini = remove_folder)
{
    struct rl_error err = {0};
    struct rl_model *m;

    write_file("config.json", tiny);
    write_file("hf_quant_config.json", "{\"quantization\": {\"quant_algo\": \"FP8\"}}");
    m = rl_model_load(source_dir(), folder, &err);
    cr_assert(m, "%s", err.text);
    cr_expect(m->graph.quant[RL_W_LINEAR] == RL_DT_FP8);
    rl_model_free(m);
}

Test(model, errors_name_the_line, .init = make_folder, .fini = remove_folder)
{
    char want[512], text[512], got[1280];
    struct rl_error err = {0};
    const char *path;

    snprintf(text, sizeof text, "%s", tiny);
    memcpy(strstr(text, "\"num_attention_heads\": 4") + 23, "0", 1);
    path = write_file("config.json", text);
    cr_expect(rl_model_load_file(path, &err) == NULL);
    snprintf(want, sizeof want,
             "%s:2: 'num_attention_heads': expected a whole number >= 1, got 0", path);
    cr_expect_str_eq(rl_error_format(&err, got, sizeof got), want);
}

Test(model, list_has_every_config)
{
    struct rl_error err = {0};
    char **ids;
    int n;

    cr_assert(rl_model_list(source_dir(), &ids, &n, &err) == 0, "%s", err.text);
    cr_expect(n >= 141);
    rl_free_names(ids, n);
}

/* model check */

#define HEADER                                                                           \
    "id,hf_id,model_type,params_total,params_active,off,off_why,params_source,"          \
    "config_source,verified,notes\n"

/* The finding on an index of one or two rows beside tiny.json; NULL: none. */
static void check_index(const char *rows, const char *want)
{
    struct rl_error err = {0};
    char text[1024], *path;
    int rc;

    make_folder();
    write_file("tiny.json", tiny);
    snprintf(text, sizeof text, "%s%s", HEADER, rows);
    path = strdup(write_file("index.csv", text));
    rc = rl_model_check(path, &err);
    if (!want)
        cr_expect(rc == 1, "%s", err.text);
    else
        cr_expect(rc == -1 && strstr(err.text, want), "got: %s; wanted: %s", err.text,
                  want);
    free(path);
    remove_folder();
}

Test(model, check_of_an_index)
{
    check_index("tiny,a/b,llama,43456,,,,me,me,yes,\n", NULL);
    check_index("tiny,a/b,llama,43456,43456,,,me,me,yes,\n", NULL);
    check_index("tiny,a/b,llama,43450,,-6,a reason,me,me,yes,\n", NULL);
    check_index("tiny,a/b,llama,43457,,,,me,me,yes,\n",
                "tiny: 'params_total': expected 43456");
    check_index("tiny,a/b,llama,43456,43455,,,me,me,yes,\n",
                "'params_active': expected 43456, got 43455");
    check_index("tiny,a/b,llama,43450,,-6,,me,me,yes,\n",
                "expected 'off' and 'off_why' together");
    check_index("tiny,a/b,mistral,43456,,,,me,me,yes,\n",
                "'model_type': expected the one in the config");
    check_index("tiny,a/b,llama,43456,,,,,me,yes,\n", "'params_source': expected");
    check_index("tiny,a/b,llama,43456,,,,me,,yes,\n", "'config_source': expected");
    check_index("tiny,a/b,llama,43456,,,,me,me,maybe,\n", "'verified': expected");
    check_index("tiny,ab,llama,43456,,,,me,me,yes,\n", "'hf_id': expected OWNER/NAME");
    check_index("Tiny,a/b,llama,43456,,,,me,me,yes,\n", "'id': expected lower-case");
    check_index("tiny,a/b,llama,4.5,,,,me,me,yes,\n", "expected a whole number");
    check_index(
        "tiny,a/b,llama,43456,,,,me,me,yes,\ntiny,a/c,llama,43456,,,,me,me,yes,\n",
        "'id': is given twice");
    check_index("", "'tiny.json' beside it has no row");
}

Test(model, check_of_the_zoo)
{
    char path[512];
    struct rl_error err = {0};

    snprintf(path, sizeof path, "%s/models/index.csv", source_dir());
    cr_expect(rl_model_check(path, &err) == 141, "%s:%d: %s", err.source, err.line,
              err.text);
}
