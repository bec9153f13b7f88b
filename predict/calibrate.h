/* From measured rows of one kernel to its entry: coefficients, what they leave
 * over on shapes left out of the fit, and the interval that follows. */
#ifndef RL_CALIBRATE_H
#define RL_CALIBRATE_H

#include "fit.h"
#include "interval.h"
#include "time.h"
#include "validate.h"

struct rl_calibrate_options {
    int folds;  /* cross-validation: shapes are dealt into so many parts */
    int starts; /* of each fit */
    /* NULL: cross-validate by shapes.  Else: as on a device without data, from the
     * entries of other devices and `few` samples; the other rows are scored. */
    const struct rl_kernel_db *prior;
    int few;
};

struct rl_calibration {
    const struct rl_sample *key; /* first row of the kernel */
    size_t n, shapes;
    const char *refused;         /* NULL, or why there is no entry */
    bool by_row;                 /* too few shapes: single rows were left out instead */
    struct rl_fit fit;           /* of all rows (of the few) */
    struct rl_residual residual; /* of log(measured / held out) */
    struct rl_score seen;        /* rows the fit was made of */
    struct rl_score held;        /* rows left out of it */
    struct rl_outcome *outcome;  /* [n] held-out prediction of each row */
};

/* Was the coefficient moved by the rows, or is it still the prior's? */
bool rl_calibration_identified(const struct rl_calibration *c, int coef);
/* Coefficients that the entry holds: all but the idle ones. */
int rl_calibration_ncoefs(const struct rl_calibration *c);

/* Calibrates one group of merged samples; device and machine are those of its
 * rows.  Refusal is no error: the reason is in out->refused. */
int rl_calibrate(const struct rl_samples *s, const struct rl_group *g,
                 const struct rl_device *d, const struct rl_machine *m,
                 const struct rl_calibrate_options *o, struct rl_calibration *out,
                 struct rl_error *err);
/* Every group, on all cores (OpenMP); d[i] NULL: refused.  out: [n], each to be
 * cleared, also after a failure. */
int rl_calibrate_all(const struct rl_samples *s, const struct rl_group *g, size_t n,
                     const struct rl_device *const *d, const struct rl_machine *m,
                     const struct rl_calibrate_options *o, struct rl_calibration *out,
                     struct rl_error *err);
/* The scores of all kernels of one operator (and dtype; NULL: any) taken together,
 * but for those that left single rows out. */
int rl_calibration_pool(const struct rl_calibration *c, size_t n, const char *op,
                        const char *dtype, struct rl_score *out, struct rl_error *err);
void rl_calibration_clear(struct rl_calibration *c);

#endif
