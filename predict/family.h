/* Model families: config.json -> graph.  One family_x.c per kinship, one
 * `const struct rl_family` each, one row in rl_families (family.c). */
#ifndef RL_FAMILY_H
#define RL_FAMILY_H

#include "graph.h"
#include "modelcfg.h"

struct rl_family {
    const char *const *model_types; /* ends with NULL */
    const char *ref;                /* where the structure was read */
    int (*build)(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err);
};

extern const struct rl_family *const rl_families[]; /* ends with NULL */
const struct rl_family *rl_family_find(const char *model_type);
/* The model_type whose class has that name ("Qwen3MoeForCausalLM"); NULL: none. */
const char *rl_family_type_of(const char *architecture);

/* Finds the family by model_type (an unknown one is an error that lists what
 * is known), builds and checks the graph. */
int rl_family_build(const struct rl_cfg *c, struct rl_graph *g, struct rl_error *err);

#endif
