/* For every unit test: Criterion and comparison of doubles. */
#ifndef RL_TEST_H
#define RL_TEST_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rooflint.h"

/* |got - want| <= rel · |want|; NaN equals nothing. */
#define expect_near(got, want, rel)                                                      \
    do {                                                                                 \
        double got_ = (got), want_ = (want);                                             \
        cr_expect(fabs(got_ - want_) <= (rel)*fabs(want_),                               \
                  "%s is %.17g, expected %.17g", #got, got_, want_);                     \
    } while (0)

/* The error's whole message, as the user sees it. */
#define expect_error(err, want)                                                          \
    do {                                                                                 \
        char buf_[2048];                                                                 \
        cr_expect_str_eq(rl_error_format(&(err), buf_, sizeof buf_), want);              \
    } while (0)

/* The source tree, for tests that read data files. */
static inline const char *source_dir(void)
{
    const char *dir = getenv("top_srcdir");

    return dir ? dir : ".";
}

#endif
