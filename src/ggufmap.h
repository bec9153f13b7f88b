/* From the keys and tensors of a GGUF to the fields of a config: what the maps of
 * single architectures (ggufarch.c, ggufssm.c) read and write with. */
#ifndef RL_GGUFMAP_H
#define RL_GGUFMAP_H

#include "gguf.h"

struct rl_map {
    const struct rl_gguf *g;
    const char *arch; /* prefix of its keys */
    json_t *out;      /* the config */
    int layers;
};

/* Keys, without the architecture's prefix.  num: a number, of a list per layer the
 * largest, 0 when absent. */
json_t *rl_map_key(const struct rl_map *m, const char *name);
double rl_map_num(const struct rl_map *m, const char *name);

/* Tensors of a layer, without "blk.N.". */
const struct rl_gguf_tensor *rl_map_tensor(const struct rl_map *m, int layer,
                                           const char *name);
bool rl_map_has(const struct rl_map *m, int layer, const char *name);
bool rl_map_attends(const struct rl_map *m, int layer);
bool rl_map_attends_fully(const struct rl_map *m, int layer);
bool rl_map_has_experts(const struct rl_map *m, int layer);
/* First layer where `is` holds; -1: none. */
int rl_map_first(const struct rl_map *m, bool (*is)(const struct rl_map *, int),
                 int from);
/* Output width of a tensor in the first layer that has it; 0: in none. */
double rl_map_width(const struct rl_map *m, const char *name);

/* Fields; set leaves out what is not above 0. */
void rl_map_set(struct rl_map *m, const char *field, double v);
void rl_map_set_bool(struct rl_map *m, const char *field, bool v);
void rl_map_set_type(struct rl_map *m, const char *model_type);
void rl_map_set_layers(struct rl_map *m, const char *field,
                       const char *(*word)(const struct rl_map *, int));

/* Architectures that need more than the common fields. */
void rl_map_deepseek(struct rl_map *m);
void rl_map_falcon_h1(struct rl_map *m);
void rl_map_gdn(struct rl_map *m);
void rl_map_glm4(struct rl_map *m);
void rl_map_gpt2(struct rl_map *m);
void rl_map_gpt_oss(struct rl_map *m);
void rl_map_granite_hybrid(struct rl_map *m);
void rl_map_jamba(struct rl_map *m);
void rl_map_kimi_linear(struct rl_map *m);
void rl_map_lfm2(struct rl_map *m);
void rl_map_llama(struct rl_map *m);
void rl_map_llama4(struct rl_map *m);
void rl_map_mamba(struct rl_map *m);
void rl_map_mamba2(struct rl_map *m);
void rl_map_mla(struct rl_map *m);
void rl_map_nemotron_h(struct rl_map *m);
void rl_map_rwkv6(struct rl_map *m);
void rl_map_rwkv7(struct rl_map *m);
void rl_map_bloom(struct rl_map *m);
void rl_map_exaone4(struct rl_map *m);
void rl_map_falcon(struct rl_map *m);
void rl_map_minimax_m2(struct rl_map *m);
void rl_map_olmo2(struct rl_map *m);
void rl_map_by_tensors(struct rl_map *m);
void rl_map_plamo2(struct rl_map *m);

#endif
