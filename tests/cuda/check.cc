/* Every item of the GPU program on the emulated device: its smallest cases are set
 * up, compared with their reference and run; TAP.  Takes the place of
 * mb_program(), so that the program's own table of items is what is tested.
 *
 * check [GLOB [CASES]]: only these items; so many cases of each. */
extern "C" {
#include "../../microbench/harness.h"
}

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <vector>

struct candidate {
    struct mb_case c;
    int i;
};

/* The work of a case, to choose small ones and different formats. */
static double weight(const struct mb_case &c)
{
    return c.flop + c.bytes + c.events;
}

static std::vector<candidate> smallest(struct mb_env *e, const struct mb_item *it,
                                       size_t most)
{
    std::vector<candidate> all, out;
    for (int i = 0;; i++) {
        candidate n = {};
        bool quick = it->quick;
        n.c.item = it->name, n.c.mode = "warm", n.c.threads = 1, n.c.events = 1, n.i = i;
        int made = it->make(e, i, &n.c, &quick);
        if (!made)
            break;
        if (made > 0)
            all.push_back(n);
    }
    std::stable_sort(all.begin(), all.end(), [](const candidate &a, const candidate &b) {
        return weight(a.c) < weight(b.c);
    });
    /* of every format and implementation the smallest, then the rest by size */
    for (int round = 0; round < 2; round++)
        for (const candidate &n : all) {
            bool known = false, taken = false;
            for (const candidate &o : out) {
                known |= !strcmp(o.c.dtype, n.c.dtype) &&
                         !strcmp(o.c.impl ? o.c.impl : "", n.c.impl ? n.c.impl : "");
                taken |= o.i == n.i;
            }
            if (round == 0 ? !known : !taken && out.size() < most)
                out.push_back(n);
        }
    return out;
}

static bool one(struct mb_env *e, const struct mb_item *it, struct mb_case *c,
                struct rl_error *err)
{
    /* a long run repeats what setup and check have launched, at leisure */
    bool good = !(it->setup && it->setup(e, c, err)) &&
                !(it->check && it->check(e, c, err)) &&
                (weight(*c) > 1e8 || it->run(e, c, 1, err) >= 0);
    if (it->teardown)
        it->teardown(e, c);
    return good;
}

int mb_program(const struct mb_backend *be, int argc, char **argv)
{
    const char *glob = argc > 1 ? argv[1] : "*";
    size_t most = argc > 2 ? (size_t)atoi(argv[2]) : 1;
    struct rl_error err = {};
    char text[1200];
    int n = 0, failed = 0;
    struct mb_env *e = be->open(0, false, &err);
    if (!e) {
        printf("Bail out! %s\n", rl_error_format(&err, text, sizeof text));
        return 1;
    }
    be->warm(e, 0);
    for (int i = 0; be->item[i]; i++) {
        const char *name = be->item[i]->name;
        /* mma.sync needs the unit; gemm_long is gemm for seconds on end */
        if (fnmatch(glob, name, 0) || !strcmp(name, "mma") || !strcmp(name, "gemm_long"))
            continue;
        std::vector<candidate> cases = smallest(e, be->item[i], most);
        if (cases.empty() && ++failed)
            printf("not ok %d - %s has no case\n", ++n, be->item[i]->name);
        for (candidate &k : cases) {
            memset(&err, 0, sizeof err);
            bool good = one(e, be->item[i], &k.c, &err);
            failed += !good;
            printf("%sok %d - %s %s %s\n", good ? "" : "not ", ++n, be->item[i]->name,
                   k.c.dtype, k.c.size);
            if (!good)
                printf("# %s\n", rl_error_format(&err, text, sizeof text));
            fflush(stdout);
        }
    }
    printf("1..%d\n", n);
    be->close(e);
    return failed > 0;
}
