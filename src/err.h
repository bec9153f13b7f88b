/* Errors as values: the library never prints, exits or aborts.
 *
 * A function that can fail takes a `struct rl_error *` (may be NULL) and
 * returns -1 or NULL after filling it.  The first error wins: a second
 * rl_fail() on the same struct leaves it untouched.  Messages follow git:
 * no capital, no full stop, the subject in single quotes.
 */
#ifndef RL_ERR_H
#define RL_ERR_H

#include "rooflint.h"

#include <stdarg.h>

#if defined(__GNUC__)
#define RL_PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define RL_PRINTF(a, b)
#endif

/* Sets the error unless one is set already; source may be NULL, line 0 when
 * there is none.  Always returns -1, so that callers can `return rl_fail(…)`. */
int rl_fail(struct rl_error *err, enum rl_code code, const char *source, int line,
            const char *fmt, ...) RL_PRINTF(5, 6);
/* So that the compiler sees the -1, and which variables are set after it. */
static inline int rl_failed(int minus_one)
{
    (void)minus_one;
    return -1;
}
#define rl_fail(...) rl_failed(rl_fail(__VA_ARGS__))

/* Allocation failure is fatal nowhere in the library; these set the error. */
void *rl_alloc(size_t n, size_t size, struct rl_error *err); /* zeroed */
void *rl_grow(void *p, size_t *cap, size_t need, size_t size, struct rl_error *err);
char *rl_strdup(const char *s, struct rl_error *err);

#endif
