/* Bytes of one block's intermediates.  h: hidden size; a: bytes an activation;
 * tp: ranks that share the block. */
#ifndef RL_MEMORY_BLOCK_H
#define RL_MEMORY_BLOCK_H

#include "graph.h"

/* Intermediates of one block alive at its worst moment, bytes per new token:
 * `a` bytes an activation, `eager`: nothing is fused. */
double rl_block_live(const struct rl_block *b, double h, double a, bool eager, double tp);

/* What a scan in plain PyTorch keeps beside: tensors of float over every product's
 * full shape, named and so alive to the end of the block (kern_torch.c); bytes per
 * token of sequences of `longest` tokens. */
double rl_block_plain(const struct rl_block *b, double longest, double tp);

/* The largest single tensor of a block without fused kernels, bytes per new token. */
double rl_block_largest(const struct rl_block *b, double h, double a, double tp);

#endif
