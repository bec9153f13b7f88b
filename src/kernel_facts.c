/* What kernel entries need of hwdb/devices/<device>.csv. */
#include "kernel_facts.h"

#include "device.h"
#include "err.h"
#include "path.h"
#include "table.h"
#include "units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_fact(struct rl_kernel_facts *f, const char *key, const char *kind,
                      const char *value)
{
    struct {
        const char *key;
        double *to;
    } number[] = {{"flop_per_clk_sm.bf16", &f->tensor},
                  {"sm_count", &f->sms},
                  {"boost_clock", &f->boost},
                  {"held_clock", &f->held}};
    double v;

    if (!strcmp(key, "compute_capability"))
        f->cc = rl_capability(value);
    else if (!strcmp(key, "arch"))
        snprintf(f->arch, sizeof f->arch, "%s", value);
    if (rl_parse_number(value, &v))
        return;
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        if (!strcmp(key, number[i].key))
            *number[i].to = v;
    if (strcmp(key, "flops.bf16"))
        return;
    if (!strcmp(kind, "sustained"))
        f->rate = v;
    else if (!strcmp(kind, "datasheet") || !strcmp(kind, "derived"))
        f->peak = v;
}

int rl_kernel_facts_read(const char *data, const char *device, struct rl_kernel_facts *f,
                         struct rl_error *err)
{
    char file[160];
    int key, value, kind;

    memset(f, 0, sizeof *f);
    snprintf(file, sizeof file, "%s.csv", device);
    char *path = rl_path_join(data, "hwdb", "devices", file, NULL);
    struct rl_table *t = path ? rl_table_read(path, err) : NULL;
    int rc = t ? 0 : -1;

    if (!rc)
        rc = rl_table_need(t, "key", &key, err) ||
             rl_table_need(t, "value", &value, err) ||
             rl_table_need(t, "kind", &kind, err);
    for (int i = 0; !rc && i < t->nrows; i++)
        take_fact(f, rl_table_get(t, i, key), rl_table_get(t, i, kind),
                  rl_table_get(t, i, value));
    f->read = true;
    rl_table_free(t);
    free(path);
    return rc ? -1 : 0;
}

void rl_kernel_facts_set(struct rl_kernel *k, const struct rl_kernel_facts *f)
{
    double held = f->held > 0 && f->boost > 0 ? f->held / f->boost : 1;

    k->cc = f->cc;
    k->sms = f->sms;
    k->tensor = f->tensor;
    k->peak = f->peak * 1e12; /* TFLOP/s in the file */
    k->sustained = f->peak > 0 ? f->rate / (f->peak * held) : 0;
    memcpy(k->arch, f->arch, sizeof k->arch);
}
