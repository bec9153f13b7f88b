/* What a config says about the precision of its weights. */
#ifndef RL_QUANTCFG_H
#define RL_QUANTCFG_H

#include "dtype.h"
#include "graph.h"
#include "modelcfg.h"

/* `dtype` or `torch_dtype`; RL_DT_NONE when the config is silent. */
int rl_cfg_stored_dtype(const struct rl_cfg *c, enum rl_dtype *out, struct rl_error *err);

/* quantization_config by weight class; RL_DT_NONE where a class stays in 16
 * bits.  layers: how many there are, to judge a list of modules left out. */
int rl_cfg_quant(const struct rl_cfg *c, double layers, enum rl_dtype quant[RL_NWCLASSES],
                 struct rl_error *err);

#endif
