/* Names of the public enumerations, as JSON keys and CSV columns show them. */
#include "rooflint.h"

const char *rl_version(void)
{
    return RL_VERSION;
}

const char *rl_class_name(enum rl_class c)
{
    static const char *const name[RL_NCLASSES] = {
        [RL_CLS_GEMM] = "gemm",
        [RL_CLS_ATTENTION] = "attention",
        [RL_CLS_SCAN] = "scan",
        [RL_CLS_CONV] = "conv",
        [RL_CLS_NORM] = "norm",
        [RL_CLS_ELEMENTWISE] = "elementwise",
        [RL_CLS_EMBEDDING] = "embedding",
        [RL_CLS_HEAD] = "head",
        [RL_CLS_MOE] = "moe",
        [RL_CLS_COMM] = "comm",
        [RL_CLS_LAUNCH] = "launch",
    };
    return (unsigned)c < RL_NCLASSES ? name[c] : "unknown";
}

const char *rl_bound_name(enum rl_bound b)
{
    static const char *const name[RL_NBOUNDS] = {
        [RL_B_COMPUTE] = "compute", [RL_B_MEMORY] = "memory", [RL_B_LAUNCH] = "launch",
        [RL_B_SERIAL] = "serial",   [RL_B_LINK] = "link",
    };
    return (unsigned)b < RL_NBOUNDS ? name[b] : "unknown";
}
