/* Transformers: what a GGUF calls otherwise than the Hugging Face config, or says
 * by a tensor being there. */
#include "ggufmap.h"

#include <string.h>

void rl_map_llama(struct rl_map *m)
{
    if (rl_map_num(m, "expert_count") > 0)
        rl_map_set_type(m, "mixtral");
    rl_map_set_bool(m, "attention_bias", rl_map_has(m, 0, "attn_q.bias"));
    rl_map_set_bool(m, "mlp_bias", rl_map_has(m, 0, "ffn_up.bias"));
}

void rl_map_gpt_oss(struct rl_map *m)
{
    rl_map_set(m, "intermediate_size", rl_map_width(m, "ffn_up_exps.weight"));
}

void rl_map_llama4(struct rl_map *m)
{
    rl_map_set(m, "intermediate_size", rl_map_width(m, "ffn_up_exps.weight"));
    rl_map_set(m, "intermediate_size_mlp", rl_map_num(m, "feed_forward_length"));
    rl_map_set(m, "interleave_moe_layer_step",
               rl_map_num(m, "interleave_moe_layer_step"));
}

void rl_map_glm4(struct rl_map *m)
{
    rl_map_set_bool(m, "attention_bias", rl_map_has(m, 0, "attn_q.bias"));
    rl_map_set_bool(m, "use_qk_norm", rl_map_has(m, 0, "attn_q_norm.weight"));
}

void rl_map_mla(struct rl_map *m)
{
    double rope = rl_map_num(m, "rope.dimension_count");
    double qk = rl_map_num(m, "attention.key_length_mla");
    double v = rl_map_num(m, "attention.value_length_mla");

    if (qk <= 0) /* files from before key_length_mla */
        qk = rl_map_num(m, "attention.key_length");
    if (v <= 0)
        v = rl_map_num(m, "attention.value_length");
    rl_map_set(m, "q_lora_rank", rl_map_num(m, "attention.q_lora_rank"));
    rl_map_set(m, "kv_lora_rank", rl_map_num(m, "attention.kv_lora_rank"));
    rl_map_set(m, "qk_rope_head_dim", rope);
    rl_map_set(m, "qk_nope_head_dim", qk - rope);
    rl_map_set(m, "v_head_dim", v);
    rl_map_set(m, "num_key_value_heads", rl_map_num(m, "attention.head_count"));
    json_object_del(m->out, "head_dim");
}

void rl_map_deepseek(struct rl_map *m)
{
    rl_map_mla(m);
    if (rl_map_first(m, rl_map_has_experts, 0) >= 0) {
        int dense = rl_map_first(m, rl_map_has_experts, 0);

        rl_map_set_type(m, rl_map_tensor(m, dense, "exp_probs_b.bias") ? "deepseek_v3"
                                                                       : "deepseek_v2");
        json_object_set_new(m->out, "first_k_dense_replace", json_integer(dense));
    }
}

void rl_map_gpt2(struct rl_map *m)
{
    rl_map_set(m, "n_embd", rl_map_num(m, "embedding_length"));
    rl_map_set(m, "n_layer", m->layers);
    rl_map_set(m, "n_head", rl_map_num(m, "attention.head_count"));
    rl_map_set(m, "n_positions", rl_map_num(m, "context_length"));
    rl_map_set(m, "n_inner", rl_map_num(m, "feed_forward_length"));
}

void rl_map_bloom(struct rl_map *m)
{
    rl_map_set(m, "n_layer", m->layers);
    rl_map_set(m, "n_head", rl_map_num(m, "attention.head_count"));
}

/* 7B has one norm and one KV head, 40B two norms and several. */
void rl_map_falcon(struct rl_map *m)
{
    rl_map_set_bool(m, "new_decoder_architecture",
                    rl_map_has(m, 0, "attn_norm_2.weight"));
    rl_map_set_bool(m, "multi_query", rl_map_num(m, "attention.head_count_kv") == 1);
    rl_map_set(m, "num_kv_heads", rl_map_num(m, "attention.head_count_kv"));
    rl_map_set_bool(m, "bias", rl_map_has(m, 0, "ffn_up.bias"));
}

/* OLMo 3 goes by the same name, with windows. */
void rl_map_olmo2(struct rl_map *m)
{
    if (rl_map_num(m, "attention.sliding_window") > 0)
        rl_map_set_type(m, "olmo3");
}

/* The 32B sees windows but for every fourth layer, the 1.2B everything. */
void rl_map_exaone4(struct rl_map *m)
{
    if (rl_map_num(m, "attention.sliding_window") > 0)
        rl_map_set(m, "sliding_window_pattern", 4);
}

void rl_map_minimax_m2(struct rl_map *m)
{
    rl_map_set(m, "rotary_dim", rl_map_num(m, "rope.dimension_count"));
    rl_map_set_bool(m, "use_routing_bias", rl_map_has(m, 0, "exp_probs_b.bias"));
}

/* Biases and norms by the tensors that are there: StableLM, StarCoder 2, OLMo,
 * Command R, GLM-4, Qwen MoE. */
void rl_map_by_tensors(struct rl_map *m)
{
    bool bias = rl_map_has(m, 0, "attn_q.bias") || rl_map_has(m, 0, "attn_qkv.bias");
    bool norm = rl_map_has(m, 0, "attn_q_norm.weight");

    rl_map_set_bool(m, "use_qkv_bias", bias);
    rl_map_set_bool(m, "use_bias", rl_map_has(m, 0, "attn_output.bias"));
    rl_map_set_bool(m, "attention_bias", bias);
    rl_map_set_bool(m, "use_qk_norm", norm);
    rl_map_set_bool(m, "qk_layernorm", norm);
    rl_map_set_bool(m, "use_parallel_residual", !rl_map_has(m, 0, "ffn_norm.weight"));
    rl_map_set(m, "shared_expert_intermediate_size",
               rl_map_width(m, "ffn_up_shexp.weight"));
}
