/* For tests of operators: the work of a call written as people write it. */
#ifndef RL_OP_TEST_H
#define RL_OP_TEST_H

#include "test.h"

#include "ops.h"

static inline struct rl_work work_of(const char *op, const char *params)
{
    const struct rl_op_type *t = rl_op_find(op);
    struct rl_error err = {0};
    struct rl_work w = {0};
    double p[RL_MAXPARAMS];

    cr_assert_not_null(t, "%s", op);
    cr_assert_eq(rl_op_parse(t, params, p, &err), 0, "%s %s: %s", op, params, err.text);
    t->work(p, &w);
    return w;
}

/* Refused, with a message that holds `part`. */
#define expect_refused(op, params, part)                                                 \
    do {                                                                                 \
        struct rl_error err_ = {0};                                                      \
        double p_[RL_MAXPARAMS];                                                         \
        cr_expect_eq(rl_op_parse(rl_op_find(op), params, p_, &err_), -1, "%s %s", op,    \
                     params);                                                            \
        cr_expect_not_null(strstr(err_.text, part), "%s %s: '%s' lacks '%s'", op,        \
                           params, err_.text, part);                                     \
    } while (0)

#endif
