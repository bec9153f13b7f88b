/* What kernel entries need of their device's file: to load the whole device, with priors
 * and aliases, for each would take most of a run. */
#ifndef RL_KERNEL_FACTS_H
#define RL_KERNEL_FACTS_H

#include "kernel.h"

struct rl_kernel_facts {
    bool read;
    int cc;        /* compute capability times ten; 0: none */
    double sms;    /* 0: unknown */
    double tensor; /* bf16 FLOP a clock and SM; 0: unknown */
    double boost, held;
    double peak, rate; /* bf16: of the sheet, sustained */
    char arch[RL_ARCH_TEXT];
};

int rl_kernel_facts_read(const char *data, const char *device, struct rl_kernel_facts *f,
                         struct rl_error *err);
/* What the entry's device is, for those that carry the entry to another. */
void rl_kernel_facts_set(struct rl_kernel *k, const struct rl_kernel_facts *f);

#endif
