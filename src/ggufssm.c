/* Architectures with a state: which layer does what is read off the tensors, the
 * sizes of the mixer off the ssm.* keys. */
#include "ggufmap.h"

#include <stdlib.h>
#include <string.h>

void rl_map_mamba(struct rl_map *m)
{
    if (json_is_true(rl_map_key(m, "ssm.dt_b_c_rms")))
        rl_map_set_type(m, "falcon_mamba");
    rl_map_set(m, "intermediate_size", rl_map_num(m, "ssm.inner_size"));
    rl_map_set(m, "state_size", rl_map_num(m, "ssm.state_size"));
    rl_map_set(m, "conv_kernel", rl_map_num(m, "ssm.conv_kernel"));
    rl_map_set(m, "time_step_rank", rl_map_num(m, "ssm.time_step_rank"));
    rl_map_set_bool(m, "use_conv_bias", rl_map_has(m, 0, "ssm_conv1d.bias"));
}

/* ssm.time_step_rank holds the number of heads of a Mamba-2 block. */
static double ssm_head_dim(const struct rl_map *m)
{
    double heads = rl_map_num(m, "ssm.time_step_rank");

    return heads > 0 ? rl_map_num(m, "ssm.inner_size") / heads : 0;
}

void rl_map_mamba2(struct rl_map *m)
{
    json_object_del(m->out, "intermediate_size");
    json_object_del(m->out, "head_dim");
    rl_map_set(m, "num_heads", rl_map_num(m, "ssm.time_step_rank"));
    rl_map_set(m, "head_dim", ssm_head_dim(m));
    rl_map_set(m, "state_size", rl_map_num(m, "ssm.state_size"));
    rl_map_set(m, "n_groups", rl_map_num(m, "ssm.group_count"));
    rl_map_set(m, "conv_kernel", rl_map_num(m, "ssm.conv_kernel"));
    rl_map_set(m, "expand",
               rl_map_num(m, "ssm.inner_size") / rl_map_num(m, "embedding_length"));
}

/* The names that Bamba, Granite and Falcon-H1 share. */
static void mamba2_fields(struct rl_map *m)
{
    rl_map_set(m, "mamba_n_heads", rl_map_num(m, "ssm.time_step_rank"));
    rl_map_set(m, "mamba_d_head", ssm_head_dim(m));
    rl_map_set(m, "mamba_d_state", rl_map_num(m, "ssm.state_size"));
    rl_map_set(m, "mamba_n_groups", rl_map_num(m, "ssm.group_count"));
    rl_map_set(m, "mamba_d_conv", rl_map_num(m, "ssm.conv_kernel"));
    rl_map_set(m, "mamba_expand",
               rl_map_num(m, "ssm.inner_size") / rl_map_num(m, "embedding_length"));
}

void rl_map_falcon_h1(struct rl_map *m)
{
    mamba2_fields(m);
    rl_map_set(m, "mamba_d_ssm", rl_map_num(m, "ssm.inner_size"));
    rl_map_set_bool(m, "mamba_rms_norm", rl_map_has(m, 0, "ssm_norm.weight"));
}

static const char *mamba_or_attention(const struct rl_map *m, int layer)
{
    return rl_map_attends(m, layer) ? "attention" : "mamba";
}

void rl_map_granite_hybrid(struct rl_map *m)
{
    double shared = rl_map_width(m, "ffn_up_shexp.weight");

    mamba2_fields(m);
    rl_map_set_layers(m, "layer_types", mamba_or_attention);
    rl_map_set(m, "shared_intermediate_size",
               shared > 0 ? shared : rl_map_width(m, "ffn_up.weight"));
    rl_map_set(m, "intermediate_size", rl_map_width(m, "ffn_up_exps.weight"));
}

void rl_map_nemotron_h(struct rl_map *m)
{
    char *pattern = calloc((size_t)m->layers + 1, 1);

    for (int i = 0; pattern && i < m->layers; i++)
        pattern[i] = rl_map_attends(m, i)                ? '*'
                     : rl_map_has(m, i, "ssm_in.weight") ? 'M'
                     : rl_map_has_experts(m, i)          ? 'E'
                                                         : '-';
    json_object_set_new(m->out, "hybrid_override_pattern", json_string(pattern));
    free(pattern);
    rl_map_set(m, "mamba_num_heads", rl_map_num(m, "ssm.time_step_rank"));
    rl_map_set(m, "mamba_head_dim", ssm_head_dim(m));
    rl_map_set(m, "ssm_state_size", rl_map_num(m, "ssm.state_size"));
    rl_map_set(m, "n_groups", rl_map_num(m, "ssm.group_count"));
    rl_map_set(m, "conv_kernel", rl_map_num(m, "ssm.conv_kernel"));
    rl_map_set(m, "moe_latent_size", rl_map_num(m, "moe_latent_size"));
    rl_map_set(m, "moe_shared_expert_intermediate_size",
               rl_map_width(m, "ffn_up_shexp.weight"));
}

/* "every p-th layer from o on", as Jamba's config has it. */
static void set_period(struct rl_map *m, const char *period, const char *offset,
                       bool (*is)(const struct rl_map *, int))
{
    int a = rl_map_first(m, is, 0), b = a < 0 ? -1 : rl_map_first(m, is, a + 1);

    if (a < 0)
        return;
    json_object_set_new(m->out, offset, json_integer(a));
    json_object_set_new(m->out, period, json_integer(b < 0 ? m->layers : b - a));
}

void rl_map_jamba(struct rl_map *m)
{
    rl_map_set(m, "mamba_d_state", rl_map_num(m, "ssm.state_size"));
    rl_map_set(m, "mamba_d_conv", rl_map_num(m, "ssm.conv_kernel"));
    rl_map_set(m, "mamba_dt_rank", rl_map_num(m, "ssm.time_step_rank"));
    rl_map_set(m, "mamba_expand",
               rl_map_num(m, "ssm.inner_size") / rl_map_num(m, "embedding_length"));
    set_period(m, "attn_layer_period", "attn_layer_offset", rl_map_attends);
    set_period(m, "expert_layer_period", "expert_layer_offset", rl_map_has_experts);
    if (rl_map_first(m, rl_map_has_experts, 0) < 0)
        json_object_set_new(m->out, "num_experts", json_integer(1));
}

static const char *conv_or_attention(const struct rl_map *m, int layer)
{
    return rl_map_attends(m, layer) ? "full_attention" : "conv";
}

void rl_map_lfm2(struct rl_map *m)
{
    rl_map_set_layers(m, "layer_types", conv_or_attention);
    rl_map_set(m, "conv_L_cache", rl_map_num(m, "shortconv.l_cache"));
    rl_map_set(m, "num_dense_layers", rl_map_num(m, "leading_dense_block_count"));
    rl_map_set_bool(m, "block_auto_adjust_ff_dim",
                    false); /* feed_forward_length is final */
}

static const char *linear_or_attention(const struct rl_map *m, int layer)
{
    return rl_map_attends_fully(m, layer) ? "full_attention" : "linear_attention";
}

void rl_map_gdn(struct rl_map *m)
{
    rl_map_set_layers(m, "layer_types", linear_or_attention);
    rl_map_set(m, "linear_num_key_heads", rl_map_num(m, "ssm.group_count"));
    rl_map_set(m, "linear_key_head_dim", rl_map_num(m, "ssm.state_size"));
    rl_map_set(m, "linear_num_value_heads", rl_map_num(m, "ssm.time_step_rank"));
    rl_map_set(m, "linear_value_head_dim", ssm_head_dim(m));
    rl_map_set(m, "linear_conv_kernel_dim", rl_map_num(m, "ssm.conv_kernel"));
    rl_map_set(m, "shared_expert_intermediate_size",
               rl_map_width(m, "ffn_up_shexp.weight"));
    json_object_del(m->out, "num_nextn_predict_layers");
}

void rl_map_kimi_linear(struct rl_map *m)
{
    json_t *linear = json_object(), *full = json_array();

    rl_map_mla(m);
    for (int i = 0; i < m->layers; i++)
        if (rl_map_attends_fully(m, i) && rl_map_has(m, i, "attn_kv_a_mqa.weight"))
            json_array_append_new(full, json_integer(i + 1)); /* counted from 1 */
    json_object_set_new(linear, "full_attn_layers", full);
    json_object_set_new(linear, "head_dim", json_copy(rl_map_key(m, "kda.head_dim")));
    json_object_set_new(linear, "num_heads",
                        json_real(rl_map_num(m, "attention.head_count")));
    json_object_set_new(linear, "short_conv_kernel_size",
                        json_copy(rl_map_key(m, "ssm.conv_kernel")));
    json_object_set_new(m->out, "linear_attn_config", linear);
}

void rl_map_rwkv6(struct rl_map *m)
{
    rl_map_set(m, "head_size", rl_map_num(m, "wkv.head_size"));
    rl_map_set(m, "proj_low_rank_dim", rl_map_num(m, "time_mix_extra_dim"));
    rl_map_set(m, "gate_low_rank_dim", rl_map_num(m, "time_decay_extra_dim"));
    rl_map_set(m, "num_attention_heads",
               rl_map_num(m, "embedding_length") / rl_map_num(m, "wkv.head_size"));
}

void rl_map_rwkv7(struct rl_map *m)
{
    rl_map_set(m, "head_dim", rl_map_num(m, "wkv.head_size"));
    rl_map_set(m, "decay_low_rank_dim", rl_map_num(m, "attention.decay_lora_rank"));
    rl_map_set(m, "a_low_rank_dim", rl_map_num(m, "attention.iclr_lora_rank"));
    rl_map_set(m, "v_low_rank_dim",
               rl_map_num(m, "attention.value_residual_mix_lora_rank"));
    rl_map_set(m, "gate_low_rank_dim", rl_map_num(m, "attention.gate_lora_rank"));
}

/* mamba_step / 2 is the first attention layer. */
void rl_map_plamo2(struct rl_map *m)
{
    int first = rl_map_first(m, rl_map_attends, 0);

    rl_map_set(m, "hidden_size_per_head", rl_map_num(m, "attention.key_length"));
    rl_map_set(m, "attention_window_size", rl_map_num(m, "attention.sliding_window"));
    rl_map_set(m, "mamba_num_heads", rl_map_num(m, "ssm.time_step_rank"));
    rl_map_set(m, "mamba_d_state", rl_map_num(m, "ssm.state_size"));
    rl_map_set(m, "mamba_d_conv", rl_map_num(m, "ssm.conv_kernel"));
    rl_map_set(m, "mamba_step", 2.0 * first);
}
