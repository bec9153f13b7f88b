/* How far an entry is from what is asked: another version, stack, library or number
 * format on the device; another architecture.
 *
 * Ignores: how well the entry was measured.
 */
#include "choose_distance.h"

#include "kernels.h"
#include "ops.h"

#include <math.h>
#include <string.h>

/* With those of the header: a step up the list always outweighs all below it. */
static const double D_KV = 4, D_RUNTIME = 20, D_DTYPE = 60, D_KERNEL = 300;

static const struct rl_place places[] = {
    {70, 0, -1, 1},    {75, 0.5, -0.5, 0}, {80, 1.5, 0, 1},  {86, 1.7, 0.1, 0},
    {87, 1.7, 0.1, 0}, {89, 2, 0.25, 0},   {90, 3, 2, 1},    {100, 4, 2.75, 1},
    {103, 4, 2.75, 1}, {110, 3.5, 2.5, 0}, {120, 3, 0.5, 0}, {121, 3, 0.5, 0},
};

const struct rl_place *rl_place_of(int cc)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i].cc == cc)
            return &places[i];
    return NULL;
}

/* Does the tensor core set most of the operator's time?  Of attention all but the
 * decode of plain heads, which streams its cache. */
static bool is_tensor_bound(const struct rl_op_type *op)
{
    return op->cls == RL_CLS_GEMM || op->cls == RL_CLS_MOE ||
           (op->cls == RL_CLS_ATTENTION && op != &rl_op_attention_decode);
}

/* Steps between two architectures: libraries are written for the tensor
 * instructions; what streams memory follows the generation and the kind of
 * memory; collectives above all the link.  ∞ where nothing can be said. */
static double arch_distance(const struct rl_op_type *op, int a, int b)
{
    if (a == b)
        return 0;
    const struct rl_place *pa = rl_place_of(a), *pb = rl_place_of(b);
    if (!pa || !pb)
        return INFINITY;
    double memory = pa->hbm != pb->hbm ? 1 : 0;
    if (is_tensor_bound(op))
        return fabs(pa->unit - pb->unit) + 0.5 * memory;
    if (op->cls == RL_CLS_COMM)
        memory *= 1.5;
    return fabs(pa->generation - pb->generation) + memory;
}

double rl_steps_between(const struct rl_kernel *k, const struct rl_device *d)
{
    return arch_distance(k->op, k->cc, d->cc);
}

/* Length of "vllm" in "vllm-0.24.0"; ids themselves hold dashes. */
static size_t id_length(const char *name)
{
    for (const char *s = name; *s; s++)
        if (*s == '-' && s[1] >= '0' && s[1] <= '9')
            return (size_t)(s - name);
    return strlen(name);
}

static bool same_id(const char *a, const char *b)
{
    size_t n = id_length(a);
    return n == id_length(b) && !strncmp(a, b, n);
}

/* Is the stack one of the ids up to an empty one, whatever its version? */
static bool is_one_of(const char *name, const char *const *ids)
{
    while (**ids && !same_id(name, *ids))
        ids++;
    return **ids != 0;
}

/* Stacks that call the same libraries (cuBLAS, flash-attention, Triton), so
 * that one's entry says something of another's kernel. */
static bool is_torch_stack(const char *name)
{
    static const char *const ids[] = {"vllm",
                                      "sglang",
                                      "trtllm",
                                      "hf-eager",
                                      "hf-eager-slow",
                                      "mamba-ssm-eager",
                                      "pytorch-cudagraph",
                                      ""};
    return is_one_of(name, ids);
}

/* Stacks whose convolutions are causal-conv1d's CUDA kernels, a CTA per channel; the
 * others' are Triton's, under the same name.  SGLang's of 0.5.10 come out as that. */
static bool is_cuda_conv(const char *name)
{
    static const char *const ids[] = {"trtllm", "hf-eager", "mamba-ssm-eager", ""};
    return is_one_of(name, ids) || !strcmp(name, "sglang-0.5.10");
}

/* Two kernels differ more than two devices: TensorRT-LLM's convolutions are 58 to 68 %
 * off by another stack's of the same device, 4 to 13 by its own of another. */
static double kernel_distance(const struct rl_kernel *k, const char *runtime)
{
    bool conv = k->op->cls == RL_CLS_CONV;
    return conv && is_cuda_conv(k->runtime) != is_cuda_conv(runtime) ? D_KERNEL : 0;
}

static double runtime_distance(const struct rl_kernel *k, const char *name)
{
    if (!name || k->op->cls == RL_CLS_COMM) /* every stack calls the same NCCL */
        return 0;
    if (!strcmp(k->runtime, name))
        return 0;
    double kernel = kernel_distance(k, name);
    if (same_id(k->runtime, name))
        return kernel + (name[id_length(name)] ? RL_D_VERSION : 0);
    if (!is_torch_stack(k->runtime) || !is_torch_stack(name))
        return INFINITY;
    return kernel + (same_id(k->runtime, "vllm") ? D_RUNTIME : D_RUNTIME + 1);
}

/* bf16 and fp16 run the same kernels at the same rate. */
static enum rl_unit alike(enum rl_unit u)
{
    return u == RL_BF16 ? RL_FP16 : u;
}

static double dtype_distance(const struct rl_kernel *k, enum rl_dtype dt,
                             enum rl_dtype kv)
{
    double dist = k->kv_dtype == kv ? 0 : D_KV;
    if (k->dtype == dt)
        return dist;
    const struct rl_dtype_info *a = rl_dtype(k->dtype), *b = rl_dtype(dt);
    if (a->weight_only == b->weight_only && alike(a->unit) == alike(b->unit))
        return dist + D_DTYPE / 4; /* bf16 and fp16, fp8 and block fp8 */
    return dist + D_DTYPE + (a->weight_only != b->weight_only ? D_DTYPE : 0);
}

double rl_impl_distance(const struct rl_kernel *k, const char *impl)
{
    if (!impl || !strcmp(impl, k->impl))
        return 0;
    const char *library = rl_library_of(impl);
    const char *its = rl_library_of(k->impl);
    return library && its && !strcmp(library, its) ? RL_D_LIBRARY : RL_D_IMPL;
}

/* One kernel or five: what a step costs in one says nothing of the other. */
static bool is_other_scan(const struct rl_kernel *k, const struct rl_ask *a, double other,
                          bool here)
{
    if (k->op == &rl_op_ssd_scan)
        return rl_kern_ssd_one_kernel(k->runtime, k->cc) !=
               rl_kern_ssd_one_kernel(a->runtime, a->d->cc);
    return k->op->cls == RL_CLS_SCAN && other > 0 && !here;
}

double rl_entry_distance(const struct rl_kernel *k, const struct rl_ask *a)
{
    double other = rl_impl_distance(k, a->impl);
    double dist = runtime_distance(k, a->runtime) +
                  dtype_distance(k, a->dtype, a->kv_dtype) + other;
    bool here = !strcmp(k->device, a->d->id);
    if (is_other_scan(k, a, other, here))
        return INFINITY;
    return here ? dist : dist + RL_D_DEVICE + RL_D_ARCH * rl_steps_between(k, a->d);
}
