/* GGUF headers (versions 2 and 3): the keys that shape a model and the type and
 * shape of every tensor.  Tensor data is never read. */
#ifndef RL_GGUF_H
#define RL_GGUF_H

#include "dtype.h"
#include "graph.h"

#include <jansson.h>
#include <stdint.h>

enum { RL_GGUF_NTYPES = 41 }; /* ids of ggml types are below it */

struct rl_gguf_tensor {
    char name[64]; /* ggml's own limit */
    uint32_t type; /* of ggml; always one that rl_ggml_type knows */
    uint32_t ndims;
    uint64_t dim[4]; /* fastest first; 1 beyond ndims */
    double elems, bytes;
    enum rl_wclass wclass; /* RL_W_NONE: of a next-token-prediction layer */
};

struct rl_gguf {
    char *source;
    uint32_t version;
    json_t *keys; /* scalars and strings up to 4 KiB, and lists of at most 4096
                     numbers; of other lists the length only, as a number */
    struct rl_gguf_tensor *tensor;
    size_t ntensors, tensors_cap;
    double bytes[RL_NWCLASSES]; /* of tensor data, by weight class */
    double elems[RL_NWCLASSES];
    double tensor_bytes; /* all of it */
    double type_bytes[RL_GGUF_NTYPES];
};

/* A ggml type: `block` weights are stored in `bytes`. */
struct rl_ggml_type {
    const char *name;
    unsigned block, bytes;
    enum rl_dtype dtype; /* RL_DT_NONE: none of ours has this layout */
};
const struct rl_ggml_type *rl_ggml_type(uint32_t type); /* NULL: unknown */

/* buf: the first `len` bytes of a file of file_size bytes.  A header that goes on
 * behind buf is an error ("ends in …").  On failure *out needs no clearing. */
int rl_gguf_parse(const char *source, const unsigned char *buf, size_t len,
                  uint64_t file_size, struct rl_gguf *out, struct rl_error *err);
/* Its two steps: reading (`*cut`: the header goes on behind buf), and sorting and
 * summing once every part of a split model is there. */
int rl_gguf_read(const char *source, const unsigned char *buf, size_t len,
                 uint64_t file_size, struct rl_gguf *out, bool *cut,
                 struct rl_error *err);
int rl_gguf_finish(struct rl_gguf *g, struct rl_error *err);
/* Of a file in parts ("-00001-of-00003.gguf") the other parts are read too. */
int rl_gguf_load(const char *path, struct rl_gguf *out, struct rl_error *err);
void rl_gguf_clear(struct rl_gguf *g);

/* Whose precision a tensor follows, by its name. */
enum rl_wclass rl_gguf_wclass(const struct rl_gguf *g, const struct rl_gguf_tensor *t);
const struct rl_gguf_tensor *rl_gguf_find(const struct rl_gguf *g, const char *name);

/* The header as a config.json: Hugging Face field names.  A new reference. */
json_t *rl_gguf_config(const struct rl_gguf *g, struct rl_error *err);

/* The file mix (q4_k_m, …): general.file_type, else the type that holds most bytes. */
enum rl_dtype rl_gguf_dtype(const struct rl_gguf *g);
/* The format nearest to what the tensors of a class take; RL_DT_NONE: no such. */
enum rl_dtype rl_gguf_class_dtype(const struct rl_gguf *g, enum rl_wclass c);

#endif
