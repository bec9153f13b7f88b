/* Vision towers: parameters that a vision-language checkpoint holds beside the
 * language model.  No work: prompts are text here. */
#ifndef RL_VISION_H
#define RL_VISION_H

#include "build.h"

/* Qwen2-VL and Qwen2.5-VL, resident; nothing without a vision_config. */
void rl_b_vision_qwen(struct rl_build *b);
/* Qwen3-VL and Qwen3.5, resident or in the file only. */
void rl_b_vision_qwen3(struct rl_build *b, bool resident);
/* SigLIP and the projector of Gemma 3, in the file only. */
void rl_b_vision_gemma(struct rl_build *b);
/* Llama 4's tower, adapter and projector, in the file only. */
void rl_b_vision_llama4(struct rl_build *b);

#endif
