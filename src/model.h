/* A model: its config, the graph its family built, what the zoo index and a
 * GGUF header add. */
#ifndef RL_MODEL_H
#define RL_MODEL_H

#include "graph.h"
#include "modelcfg.h"

struct rl_model {
    char *id, *hf_id, *source; /* id: zoo id or the path given */
    char *model_type;
    struct rl_cfg cfg;
    struct rl_graph graph;
    double published; /* stored parameters somebody published; 0: none */
    /* from a GGUF header: exact bytes per weight class and file dtype; 0: none */
    double gguf_bytes[RL_NWCLASSES];
    enum rl_dtype gguf_dtype;
    double gguf_file_bytes; /* tensor data in the file */
};

int rl_model_list(const char *data, char ***ids, int *n, struct rl_error *err);

/* From a file, whatever the zoo holds: config.json, a folder with one, .gguf. */
struct rl_model *rl_model_load_file(const char *path, struct rl_error *err);

/* Every rule of `model check` on one file (an index.csv with the configs beside it,
 * a config or a .gguf): how many models it holds, or -1 with the first finding. */
int rl_model_check(const char *path, struct rl_error *err);

#endif
