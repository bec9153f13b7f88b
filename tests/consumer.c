/* A program outside the tree: compiled with what pkg-config says and run
 * against the installed library by `make installcheck`; also the shortest
 * example of the library. */
#include <rooflint.h>

#include <stdio.h>

static int fail(const struct rl_error *err)
{
    char buf[1280];

    fprintf(stderr, "%s\n", rl_error_format(err, buf, sizeof buf));
    return 1;
}

int main(int argc, char **argv)
{
    const char *data = rl_data_dir(argc > 1 ? argv[1] : NULL);
    struct rl_error err = {0};
    struct rl_device *d = rl_device_load(data, "orin", &err);
    struct rl_model *m = rl_model_load(data, "mamba2-1.3b", &err);
    struct rl_runtime *r = d ? rl_runtime_load(data, NULL, d, &err) : NULL;
    struct rl_plan *p = d && m && r ? rl_plan_new(data, d, m, r, NULL, &err) : NULL;
    struct rl_query q = {.ctx = 131072, .batch = 1, .output_tokens = 128};
    struct rl_prediction answer;
    int bad = !p || rl_predict(p, &q, &answer, &err) < 0;

    if (!bad)
        printf("first token after %.3g s, then %.3g s each\n", answer.ttft_s.value,
               answer.tpot_s.value);
    rl_plan_free(p);
    rl_runtime_free(r);
    rl_model_free(m);
    rl_device_free(d);
    return bad ? fail(&err) : !(answer.ttft_s.value > 0);
}
