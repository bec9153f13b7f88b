/* Configs as families read them: merging, ranges, messages, quantisation. */
#include "json.h"
#include "modelcfg.h"
#include "quantcfg.h"

#include "test.h"

static struct rl_cfg parse(const char *text)
{
    struct rl_error err = {0};
    struct rl_cfg c;
    json_t *top = rl_json_parse("config.json", text, strlen(text), &err);

    cr_assert(top, "%s", err.text);
    cr_assert(rl_cfg_init(&c, "config.json", top, &err) == 0, "%s", err.text);
    return c;
}

Test(modelcfg, text_config_wins_over_the_top)
{
    struct rl_error err = {0};
    struct rl_cfg c =
        parse("{\"model_type\": \"qwen3_5\", \"hidden_size\": 1, \"vocab_size\": 7,"
              " \"text_config\": {\"hidden_size\": 64, \"model_type\": \"t\"}}");
    double x;

    cr_expect(rl_cfg_num(&c, "hidden_size", &x, &err) == 0 && x == 64);
    cr_expect(rl_cfg_num(&c, "vocab_size", &x, &err) == 0 && x == 7);
    cr_expect_str_eq(c.model_type, "qwen3_5");
    cr_expect_str_eq(c.text_type, "t");
    rl_cfg_clear(&c);
}

Test(modelcfg, other_names_of_the_text_part)
{
    static const char *const text[] = {
        "{\"model_type\": \"a\", \"language_config\": {\"n\": 3}}",
        "{\"model_type\": \"a\", \"llm_config\": {\"n\": 3}}",
        "{\"model_type\": \"a\", \"thinker_config\": {\"text_config\": {\"n\": 3}}}"};
    struct rl_error err = {0};
    double x;

    for (size_t i = 0; i < 3; i++) {
        struct rl_cfg c = parse(text[i]);

        cr_expect(rl_cfg_num(&c, "n", &x, &err) == 0 && x == 3, "%s", text[i]);
        rl_cfg_clear(&c);
    }
}

/* {what stands in the file, what the message says} */
Test(modelcfg, numbers_out_of_range)
{
    static const char *const bad[][2] = {
        {"-3", "expected a whole number >= 1, got -3"},
        {"0", "expected a whole number >= 1, got 0"},
        {"1.5", "expected a whole number >= 1, got 1.5"},
        {"\"32\"", "expected a whole number >= 1, got \"32\""},
        {"[1]", "expected a whole number >= 1, got [1]"},
        {"true", "expected a whole number >= 1, got true"},
        {"1e300", "expected at most 1000000000, got 1e300"},
        {"null", "expected a whole number >= 1, but the field is missing"},
        {"\"a string that is much longer than a message should be\"",
         "expected a whole number >= 1, got \"a string that is much longer than a "
         "mes..."},
    };
    char text[256], want[256];
    double x;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rl_error err = {0};

        snprintf(text, sizeof text, "{\"model_type\": \"m\", \"heads\": %s}", bad[i][0]);
        struct rl_cfg c = parse(text);
        cr_expect(rl_cfg_num(&c, "heads", &x, &err) == -1);
        snprintf(want, sizeof want, "config.json: 'heads': %s", bad[i][1]);
        expect_error(err, want);
        rl_cfg_clear(&c);
    }
}

Test(modelcfg, fallbacks_and_zero)
{
    struct rl_error err = {0};
    struct rl_cfg c = parse("{\"model_type\": \"m\", \"none\": 0, \"nil\": null}");
    double x;

    cr_expect(rl_cfg_num_or(&c, "none", 0, &x, &err) == 0 && x == 0);
    cr_expect(rl_cfg_num_or(&c, "nil", 8, &x, &err) == 0 && x == 8);
    cr_expect(rl_cfg_num_or(&c, "absent", 9, &x, &err) == 0 && x == 9);
    cr_expect(rl_cfg_num_or(&c, "none", 1, &x, &err) == -1); /* 0 is no count here */
    rl_cfg_clear(&c);
}

Test(modelcfg, layers_are_bounded)
{
    struct rl_error err = {0};
    struct rl_cfg c = parse("{\"model_type\": \"m\", \"num_hidden_layers\": 100000}");
    double x;

    cr_expect(rl_cfg_num(&c, "num_hidden_layers", &x, &err) == -1);
    expect_error(err, "config.json: 'num_hidden_layers': expected at most 8192 layers, "
                      "got 100000");
    rl_cfg_clear(&c);
}

Test(modelcfg, views_name_where_they_are)
{
    struct rl_error err = {0};
    struct rl_cfg sub,
        c = parse(
            "{\"model_type\": \"m\", \"linear\": {\"dim\": 0}, \"list\": [1, \"a\"]}");
    double x;
    size_t n;

    cr_assert(rl_cfg_sub(&c, "linear", &sub, &err) == 0);
    cr_expect(rl_cfg_num(&sub, "dim", &x, &err) == -1);
    expect_error(err, "config.json: 'linear.dim': expected a whole number >= 1, got 0");
    err = (struct rl_error){0};
    cr_expect(rl_cfg_list(&c, "list", &n, &err) == 0 && n == 2);
    cr_expect(rl_cfg_num_at(&c, "list", 0, &x, &err) == 0 && x == 1);
    cr_expect(rl_cfg_num_at(&c, "list", 1, &x, &err) == -1);
    expect_error(err, "config.json: 'list[1]': expected a whole number >= 0, got \"a\"");
    rl_cfg_clear(&c);
}

Test(modelcfg, configs_of_mamba_ssm)
{
    struct rl_error err = {0};
    struct rl_cfg c =
        parse("{\"d_model\": 2048, \"n_layer\": 48, \"vocab_size\": 50277,"
              " \"ssm_cfg\": {\"layer\": \"Mamba2\"}, \"pad_vocab_size_multiple\": 16}");
    double x;

    cr_expect_str_eq(c.model_type, "mamba2");
    cr_expect(rl_cfg_num(&c, "hidden_size", &x, &err) == 0 && x == 2048);
    cr_expect(rl_cfg_num(&c, "vocab_size", &x, &err) == 0 && x == 50288);
    rl_cfg_clear(&c);
    c = parse("{\"d_model\": 64, \"ssm_cfg\": {\"d_state\": 8, \"dt_rank\": \"auto\"}}");
    cr_expect_str_eq(c.model_type, "mamba");
    cr_expect(rl_cfg_num(&c, "state_size", &x, &err) == 0 && x == 8);
    rl_cfg_clear(&c);
}

Test(modelcfg, hybrids_of_mamba_ssm_are_refused)
{
    static const char text[] =
        "{\"d_model\": 64, \"ssm_cfg\": {}, \"attn_layer_idx\": [9]}";
    struct rl_error err = {0};
    struct rl_cfg c;
    json_t *top = rl_json_parse("config.json", text, strlen(text), &err);

    cr_expect(rl_cfg_init(&c, "config.json", top, &err) == -1);
    expect_error(err,
                 "config.json: 'attn_layer_idx': expected no attention layers, got [9]");
}

/* quantization_config -> linear, experts, head */
Test(modelcfg, quantisation)
{
    static const struct {
        const char *quant;
        enum rl_dtype linear, expert, head;
    } t[] = {
        {"{\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]}",
         RL_DT_FP8_BLOCK, RL_DT_FP8_BLOCK, RL_DT_NONE},
        {"{\"quant_method\": \"fp8\"}", RL_DT_FP8, RL_DT_FP8, RL_DT_NONE},
        {"{\"quant_method\": \"gptq\", \"bits\": 4}", RL_DT_W4A16, RL_DT_W4A16,
         RL_DT_NONE},
        {"{\"quant_method\": \"gptq\", \"bits\": 8, \"lm_head\": true}", RL_DT_W8A16,
         RL_DT_W8A16, RL_DT_W8A16},
        {"{\"quant_method\": \"awq\", \"w_bit\": 4}", RL_DT_W4A16, RL_DT_W4A16,
         RL_DT_NONE},
        {"{\"load_in_4bit\": true}", RL_DT_W4A16, RL_DT_W4A16, RL_DT_NONE},
        {"{\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true}", RL_DT_INT8,
         RL_DT_INT8, RL_DT_NONE},
        {"{\"quant_method\": \"mxfp4\", \"modules_to_not_convert\":"
         " [\"model.layers.*.self_attn\", \"lm_head\"]}",
         RL_DT_NONE, RL_DT_W4A16_MXFP4, RL_DT_NONE},
        {"{\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\"}", RL_DT_NVFP4,
         RL_DT_NVFP4, RL_DT_NONE},
        /* attention left out in both of the two layers: experts alone */
        {"{\"quant_algo\": \"NVFP4\", \"exclude_modules\":"
         " [\"model.layers.1.self_attn*\", \"model.layers.0.self_attn*\", \"lm_head\"]}",
         RL_DT_NONE, RL_DT_NVFP4, RL_DT_NONE},
        /* a router is no attention */
        {"{\"quant_algo\": \"FP8\", \"exclude_modules\": [\"model.layers.1.mlp.gate\"]}",
         RL_DT_FP8, RL_DT_FP8, RL_DT_NONE},
        {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"group_0\":"
         " {\"weights\": {\"num_bits\": 8, \"type\": \"float\"},"
         " \"input_activations\": {\"num_bits\": 8}}}}",
         RL_DT_FP8, RL_DT_FP8, RL_DT_NONE},
        {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"group_0\":"
         " {\"weights\": {\"num_bits\": 4, \"type\": \"int\", \"group_size\": 128},"
         " \"input_activations\": null}}}",
         RL_DT_W4A16, RL_DT_W4A16, RL_DT_NONE},
        {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"group_0\":"
         " {\"weights\": {\"num_bits\": 4, \"type\": \"float\", \"group_size\": 16},"
         " \"input_activations\": {\"num_bits\": 4}}}}",
         RL_DT_NVFP4, RL_DT_NVFP4, RL_DT_NONE},
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        enum rl_dtype quant[RL_NWCLASSES];
        struct rl_error err = {0};
        char text[1024];

        snprintf(text, sizeof text,
                 "{\"model_type\": \"m\", \"quantization_config\": %s}", t[i].quant);
        struct rl_cfg c = parse(text);
        cr_expect(rl_cfg_quant(&c, 2, quant, &err) == 0, "%s: %s", t[i].quant, err.text);
        cr_expect(quant[RL_W_LINEAR] == t[i].linear, "%s", t[i].quant);
        cr_expect(quant[RL_W_EXPERT] == t[i].expert, "%s", t[i].quant);
        cr_expect(quant[RL_W_HEAD] == t[i].head, "%s", t[i].quant);
        cr_expect(quant[RL_W_EMBED] == RL_DT_NONE && quant[RL_W_SMALL] == RL_DT_NONE);
        rl_cfg_clear(&c);
    }
}

Test(modelcfg, quantisation_that_is_unknown)
{
    enum rl_dtype quant[RL_NWCLASSES];
    struct rl_error err = {0};
    struct rl_cfg c = parse("{\"model_type\": \"m\", \"quantization_config\":"
                            " {\"quant_method\": \"gptq\", \"bits\": 3}}");

    cr_expect(rl_cfg_quant(&c, 2, quant, &err) == -1);
    expect_error(err,
                 "config.json: 'quantization_config.bits': expected 4 or 8 bits, got "
                 "3");
    rl_cfg_clear(&c);
    err = (struct rl_error){0};
    c = parse("{\"model_type\": \"m\", \"quantization_config\": {\"quant_method\": 1}}");
    cr_expect(rl_cfg_quant(&c, 2, quant, &err) == -1);
    expect_error(err,
                 "config.json: 'quantization_config.quant_method': expected a string, "
                 "got 1");
    rl_cfg_clear(&c);
}

Test(modelcfg, stored_dtype)
{
    struct rl_error err = {0};
    enum rl_dtype dt;
    struct rl_cfg c =
        parse("{\"model_type\": \"m\", \"torch_dtype\": \"torch.float16\"}");

    cr_expect(rl_cfg_stored_dtype(&c, &dt, &err) == 0 && dt == RL_DT_FP16);
    rl_cfg_clear(&c);
    c = parse("{\"model_type\": \"m\", \"dtype\": \"bfloat16\", \"torch_dtype\": null}");
    cr_expect(rl_cfg_stored_dtype(&c, &dt, &err) == 0 && dt == RL_DT_BF16);
    rl_cfg_clear(&c);
    c = parse("{\"model_type\": \"m\", \"dtype\": \"int3\"}");
    cr_expect(rl_cfg_stored_dtype(&c, &dt, &err) == -1);
    rl_cfg_clear(&c);
}
