/* Finding a software stack's own implementation of an operator. */
#include "kern_impl.h"

#include <math.h>
#include <string.h>

const struct rl_impl *rl_impl_find(const char *name, const struct rl_op_type *op,
                                   int is_cpu)
{
    const struct rl_impl *const tables[] = {rl_ggml_gpu, rl_ggml_cpu, rl_torch};

    for (size_t t = 0; name && t < sizeof tables / sizeof *tables; t++)
        for (const struct rl_impl *i = tables[t]; i->op; i++)
            if (i->op == op && i->is_cpu == is_cpu && !strcmp(i->name, name))
                return i;
    return NULL;
}

double rl_join(double a, double b, double e)
{
    double top = fmax(a, b), low = fmin(a, b);

    return top > 0 ? top * pow(1 + pow(low / top, e), 1 / e) : 0;
}
