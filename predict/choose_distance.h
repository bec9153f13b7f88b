/* Distances of kernel entries from what is asked; choose.c takes the nearest. */
#ifndef RL_CHOOSE_DISTANCE_H
#define RL_CHOOSE_DISTANCE_H

#include "time.h"

/* Steps that the choice itself asks about. */
enum {
    RL_D_VERSION = 1,
    RL_D_LIBRARY = 10,
    RL_D_IMPL = 30,
    RL_D_DEVICE = 100,
    RL_D_ARCH = 40
};

/* Where an architecture stands: its generation, its tensor instructions (mma.sync
 * of a warp near 0, wgmma and tcgen05 of a warp group from 2 on), and whether it is
 * the HBM and NVLink part of its generation or the GDDR/LPDDR and PCIe part. */
struct rl_place {
    int cc;
    double generation, unit;
    int hbm;
};
/* NULL: not known. */
const struct rl_place *rl_place_of(int cc);

/* Architectures from the entry's device to this one; INFINITY: nothing can be said. */
double rl_steps_between(const struct rl_kernel *k, const struct rl_device *d);
/* 0: the implementation that is asked for, or none is. */
double rl_impl_distance(const struct rl_kernel *k, const char *impl);
/* Of entry k from what is asked; INFINITY: it says nothing of it. */
double rl_entry_distance(const struct rl_kernel *k, const struct rl_ask *a);

#endif
