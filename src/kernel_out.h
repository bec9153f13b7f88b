/* Writing kernel entries: the counterpart of rl_kernel_db_load. */
#ifndef RL_KERNEL_OUT_H
#define RL_KERNEL_OUT_H

#include "calibrate.h"

/* Writes DIR/<device>.csv: the entries of c[0 … n-1] that were fitted on this
 * device, and the file's other entries as they were.  source: where the rows
 * came from.  Refused ones keep the entry they have. */
int rl_kernel_write(const char *dir, const char *device, const struct rl_calibration *c,
                    size_t n, const char *source, struct rl_error *err);

#endif
