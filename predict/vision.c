/* Parameters of vision towers, from vision_config.
 *
 * Each total closes a published count to the last parameter: Qwen2.5-VL 3B and
 * 7B, Gemma 3 27B (423,060,336), Llama 4 (871,932,416 for both sizes), four
 * sizes of Qwen3.5.
 */
#include "vision.h"

#include <string.h>

/* A view of vision_config that shares the builder's error; false: none. */
static bool open_view(struct rl_build *b, struct rl_cfg *sub)
{
    if (b->rc || !rl_b_has(b, "vision_config"))
        return false;
    b->rc = rl_cfg_sub(b->c, "vision_config", sub, b->err);
    return b->rc == 0;
}

static double field(struct rl_build *b, const struct rl_cfg *v, const char *key,
                    double fallback)
{
    double x = fallback;

    if (b->rc == 0)
        b->rc = rl_cfg_num_or(v, key, fallback, &x, b->err);
    return x;
}

/* One pre-norm ViT block: 4d² + 4d attention, LayerNorms, MLP with biases. */
static double vit_block(double d, double inter)
{
    return 4 * d * d + 4 * d + 2 * d * inter + inter + d + 4 * d;
}

/* merge² patches side by side through two layers; norm: its parameters. */
static double merger(double d, double merge, double out, double norm)
{
    double m = d * merge * merge;

    return norm + m * m + m + m * out + out;
}

/* Qwen2.5-VL: RMSNorm, gated MLP with biases. */
static double qwen25(struct rl_build *b, const struct rl_cfg *v, double patch)
{
    double d = field(b, v, "hidden_size", 1280),
           inter = field(b, v, "intermediate_size", 3420);
    double block = 4 * d * d + 4 * d + 3 * d * inter + 2 * inter + d + 2 * d;

    return patch * d + field(b, v, "depth", 32) * block +
           merger(d, field(b, v, "spatial_merge_size", 2),
                  field(b, v, "out_hidden_size", b->hidden), d);
}

/* Qwen2-VL: LayerNorm, plain MLP of mlp_ratio · embed_dim. */
static double qwen2(struct rl_build *b, const struct rl_cfg *v, double patch)
{
    double d = field(b, v, "embed_dim", 1280), inter = d * field(b, v, "mlp_ratio", 4);

    return patch * d + field(b, v, "depth", 32) * vit_block(d, inter) +
           merger(d, field(b, v, "spatial_merge_size", 2), b->hidden, 2 * d);
}

void rl_b_vision_qwen(struct rl_build *b)
{
    struct rl_cfg v;
    double side, patch;

    if (!open_view(b, &v))
        return;
    side = field(b, &v, "patch_size", 14);
    patch = field(b, &v, rl_cfg_has(&v, "in_chans") ? "in_chans" : "in_channels", 3) *
            field(b, &v, "temporal_patch_size", 2) * side * side;
    rl_b_layers(b, 1);
    rl_b_resident_only(b, RL_W_LINEAR,
                       rl_cfg_has(&v, "embed_dim") ? qwen2(b, &v, patch)
                                                   : qwen25(b, &v, patch));
}

/* Qwen3-VL: patches with a bias, learned positions, LayerNorms; a merger after
 * the last block and one after each block of deepstack_visual_indexes, whose
 * norm is over the merged width. */
void rl_b_vision_qwen3(struct rl_build *b, bool resident)
{
    struct rl_cfg v;
    size_t deep = 0;

    if (!open_view(b, &v))
        return;
    double d = field(b, &v, "hidden_size", 1152), p = field(b, &v, "patch_size", 16);
    double merge = field(b, &v, "spatial_merge_size", 2), wide = d * merge * merge;
    double out = field(b, &v, "out_hidden_size", b->hidden);
    if (b->rc == 0)
        b->rc = rl_cfg_list(&v, "deepstack_visual_indexes", &deep, b->err);
    double patch =
        field(b, &v, "in_channels", 3) * p * p * field(b, &v, "temporal_patch_size", 2);
    double tower = (patch + 1) * d + field(b, &v, "num_position_embeddings", 2304) * d +
                   field(b, &v, "depth", 27) *
                       vit_block(d, field(b, &v, "intermediate_size", 4304)) +
                   merger(d, merge, out, 2 * d) +
                   (double)deep * merger(d, merge, out, 2 * wide);
    rl_b_layers(b, 1);
    if (resident)
        rl_b_resident_only(b, RL_W_LINEAR, tower);
    else
        rl_b_store_only(b, "vision tower", tower);
}

void rl_b_vision_gemma(struct rl_build *b)
{
    struct rl_cfg v;

    if (!open_view(b, &v))
        return;
    double d = field(b, &v, "hidden_size", 1152), p = field(b, &v, "patch_size", 14);
    double grid = field(b, &v, "image_size", 896) / p;
    double tower = (3 * p * p + 1) * d + grid * grid * d +
                   field(b, &v, "num_hidden_layers", 27) *
                       vit_block(d, field(b, &v, "intermediate_size", 4304)) +
                   2 * d;
    rl_b_store_only(b, "SigLIP tower and projector", tower + d * b->hidden + d);
}

/* Defaults are Scout's and Maverick's. */
void rl_b_vision_llama4(struct rl_build *b)
{
    struct rl_cfg v = {0};
    const char *arch = "";

    if (!open_view(b, &v)) {
        if (b->rc || rl_b_list(b, "architectures") < 1)
            return;
        b->rc = rl_cfg_str_at(b->c, "architectures", 0, &arch, b->err);
        if (strcmp(arch, "Llama4ForConditionalGeneration") != 0)
            return;
    }
    double d = field(b, &v, "hidden_size", 1408), p = field(b, &v, "patch_size", 14);
    double inter = field(b, &v, "intermediate_size", 5632);
    double grid = field(b, &v, "image_size", 336) / p;
    double proj = field(b, &v, "projector_input_dim", 4096);
    double out = field(b, &v, "vision_output_dim", 4096);
    double tower = 3 * p * p * d + d + (grid * grid + 1) * d + 4 * d +
                   field(b, &v, "num_hidden_layers", 34) * vit_block(d, inter);
    double adapter = inter * proj + proj * out + out * b->hidden;
    rl_b_store_only(b, "vision tower and projector", tower + adapter);
}
