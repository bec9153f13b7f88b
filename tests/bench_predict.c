/* What `make bench` prints: predictions per second through the library, and
 * how their cost grows.  Ratios, not verdicts: nothing here passes or fails.
 *
 *     bench_predict DATA
 */
#include "rooflint.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others may use the machine */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct subject {
    struct rl_device *d;
    struct rl_model *m;
    struct rl_runtime *r;
    struct rl_plan *p;
};

static struct subject open_subject(const char *data, const char *hw, const char *model)
{
    struct rl_error err = {0};
    struct subject s = {0};
    char text[1200];

    s.d = rl_device_load(data, hw, &err);
    s.m = s.d ? rl_model_load(data, model, &err) : NULL;
    s.r = s.m ? rl_runtime_load(data, NULL, s.d, &err) : NULL;
    s.p = s.r ? rl_plan_new(data, s.d, s.m, s.r, NULL, &err) : NULL;
    if (!s.p) {
        fprintf(stderr, "bench: %s\n", rl_error_format(&err, text, sizeof text));
        exit(1);
    }
    return s;
}

static void close_subject(struct subject *s)
{
    rl_plan_free(s->p);
    rl_runtime_free(s->r);
    rl_model_free(s->m);
    rl_device_free(s->d);
}

/* Seconds per prediction, best of five bursts of about 0.1 s; the context
 * varies from call to call so that no two queries are the same. */
static double per_query(const struct subject *s, double ctx, double out)
{
    struct rl_prediction p;
    double best = 1;

    for (int burst = 0; burst < 5; burst++) {
        long n = 0;
        double start = now(), t;
        do {
            for (int i = 0; i < 200; i++, n++) {
                struct rl_query q = {ctx + (double)(n % 64), 1, out, 0,
                                     RL_LOGITS_RUNTIME};
                rl_predict(s->p, &q, &p, NULL);
            }
            t = now() - start;
        } while (t < 0.1);
        best = t / (double)n < best ? t / (double)n : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    static const char *const models[] = {"llama-3.2-1b", "llama-3.1-8b", "llama-3.1-70b",
                                         "mamba2-1.3b",  "zamba2-1.2b",  "deepseek-v3"};
    static const double ctxs[] = {1024, 32768, 1048576}, outs[] = {2, 100, 1e6};
    const char *data = rl_data_dir(argc > 1 ? argv[1] : NULL);
    double first = 0;

    printf("predictions through the library, one thread, h100\n");
    printf("%-16s %12s %14s %8s\n", "model", "µs each", "per second", "ratio");
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct subject s = open_subject(data, "h100", models[i]);
        double t = per_query(&s, 4096, 128);
        first = first > 0 ? first : t;
        printf("%-16s %12.2f %14.0f %8.2f\n", models[i], 1e6 * t, 1 / t, t / first);
        close_subject(&s);
    }

    struct subject s = open_subject(data, "h100", "mamba2-1.3b");
    printf("\ncost against context (mamba2-1.3b, ratio to the first)\n");
    for (size_t i = 0; i < 3; i++) {
        double t = per_query(&s, ctxs[i], 128);
        first = i ? first : t;
        printf("  %8.0f tokens %10.2f µs %8.2f\n", ctxs[i], 1e6 * t, t / first);
    }
    printf("\ncost against output tokens\n");
    for (size_t i = 0; i < 3; i++) {
        double t = per_query(&s, 4096, outs[i]);
        first = i ? first : t;
        printf("  %8.0f tokens %10.2f µs %8.2f\n", outs[i], 1e6 * t, t / first);
    }
    close_subject(&s);
    return 0;
}
