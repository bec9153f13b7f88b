/* Pure Mamba models: every layer is one norm and one mixer.
 *
 * Mamba (arXiv 2312.00752), Falcon-Mamba (B, C and dt normalised without weights),
 * Mamba-2 (arXiv 2405.21060), as Hugging Face transformers models/{mamba,
 * falcon_mamba, mamba2} build them.
 */
#include "build.h"

#include <math.h>
#include <string.h>

static const char *const types[] = {"mamba", "falcon_mamba", "mamba2", NULL};

/* intermediate_size wins over expand: Falcon-Mamba writes expand = 16 and does not
 * use it. */
static void mixer1(struct rl_build *b, bool falcon)
{
    double inner = rl_b_real_or(b, "expand", 2) * b->hidden;

    rl_b_mamba1(b, &(struct rl_mamba1){
                       .inner = rl_b_num_or(b, "intermediate_size", inner),
                       .state = rl_b_num_or(b, "state_size", 16),
                       .dt_rank = rl_b_auto(b, "time_step_rank", ceil(b->hidden / 16)),
                       .conv = rl_b_num_or(b, "conv_kernel", 4),
                       .conv_bias = rl_b_bool_or(b, "use_conv_bias", true),
                       .bias = rl_b_bool_or(b, "use_bias", false),
                       .bare_norm = falcon,
                   });
}

static void mixer2(struct rl_build *b)
{
    double inner = rl_b_real_or(b, "expand", 2) * b->hidden;
    double dim = rl_b_num_or(b, "head_dim", 64);
    double heads = rl_b_num_or(b, "num_heads", inner / dim);

    if (b->rc == 0 && heads != floor(heads))
        rl_b_bad(b, "head_dim", "a divisor of expand x hidden_size");
    rl_b_mamba2(b, &(struct rl_mamba2){
                       .heads = heads,
                       .head_dim = dim,
                       .state = rl_b_num_or(b, "state_size", 128),
                       .groups = rl_b_num_or(b, "n_groups", 8),
                       .conv = rl_b_num_or(b, "conv_kernel", 4),
                       .chunk = rl_b_num_or(b, "chunk_size", 256),
                       .conv_bias = rl_b_bool_or(b, "use_conv_bias", true),
                       .bias = rl_b_bool_or(b, "use_bias", false),
                   });
}

static int build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err)
{
    bool two = strcmp(c->model_type, "mamba2") == 0;
    struct rl_build b;

    double layers = rl_b_start(&b, c, g, err);
    double hidden = b.hidden;
    g->residual_fp32 = rl_b_bool_or(&b, "residual_in_fp32", true);
    g->logits_upcast = true;
    rl_b_layers(&b, layers);
    rl_b_norm(&b, "norm", hidden, RL_RMS);
    if (two)
        mixer2(&b);
    else
        mixer1(&b, strcmp(c->model_type, "falcon_mamba") == 0);
    rl_b_residual(&b);
    rl_b_finish(&b, "final_norm", true);
    return rl_b_close(&b);
}

const struct rl_family rl_family_mamba = {
    .model_types = types,
    .ref = "transformers models/mamba, falcon_mamba, mamba2; state-spaces/mamba",
    .build = build,
};
