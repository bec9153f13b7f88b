/* Names beside points: inside the area, on nothing else. */
#include "plot_labels.h"
#include "test.h"

#include <math.h>

enum { N = 60 };
static const double WIDTH = 6.77, HEIGHT = 6.4, LINE = 0.25, DOT = 0.07;

/* Points of a fixed sequence, some on each other. */
static void scatter(struct rl_label *l)
{
    unsigned x = 12345;

    for (int i = 0; i < N; i++) {
        x = x * 1103515245u + 12345u;
        double u = (x >> 16 & 0x7fff) / 32768.0;
        x = x * 1103515245u + 12345u;
        double v = (x >> 16 & 0x7fff) / 32768.0;
        l[i] = (struct rl_label){.x = u * WIDTH, .y = v * HEIGHT, .width = 1.2 + u / 2};
    }
    l[N - 1].x = l[0].x;
    l[N - 1].y = l[0].y;
}

static bool apart(double a0, double a1, double b0, double b1)
{
    return a1 <= b0 + 1e-9 || b1 <= a0 + 1e-9;
}

Test(labels, stand_on_nothing)
{
    struct rl_label l[N];
    struct rl_segment line = {0, HEIGHT, WIDTH, 0};
    int shown = 0;

    scatter(l);
    rl_labels_place(l, N, &line, 1, WIDTH, HEIGHT);
    for (int i = 0; i < N; i++) {
        const struct rl_label *a = &l[i];
        if (!a->shown)
            continue;
        shown++;
        cr_expect(a->lx >= 0 && a->lx + a->width <= WIDTH, "%d leaves the area", i);
        cr_expect(a->ly - LINE / 2 >= 0 && a->ly + LINE / 2 <= HEIGHT);
        for (int k = 0; k < N; k++) {
            const struct rl_label *b = &l[k];
            cr_expect(
                apart(a->lx, a->lx + a->width, b->x - DOT, b->x + DOT) ||
                    apart(a->ly - LINE / 2, a->ly + LINE / 2, b->y - DOT, b->y + DOT),
                "name %d on point %d", i, k);
            cr_expect(k == i || !b->shown ||
                          apart(a->lx, a->lx + a->width, b->lx, b->lx + b->width) ||
                          apart(a->ly, a->ly + LINE, b->ly, b->ly + LINE),
                      "name %d on name %d", i, k);
        }
    }
    cr_expect(shown >= N / 3, "only %d of %d have a name", shown, N);
}

Test(labels, alone_beside_its_point)
{
    struct rl_label l = {.x = 3, .y = 3, .width = 1};

    rl_labels_place(&l, 1, NULL, 0, WIDTH, HEIGHT);
    cr_expect(l.shown && !l.far);
    cr_expect(l.lx > l.x && l.lx < l.x + 0.3 && fabs(l.ly - l.y) < 0.1);
}

Test(labels, a_line_is_crossed_only_by_who_must_have_a_name)
{
    /* lines so close that there is no room between */
    struct rl_segment line[40];
    struct rl_label l = {.x = 3, .y = 3, .width = 2};

    for (int i = 0; i < 40; i++)
        line[i] = (struct rl_segment){0, i * 0.16, WIDTH, i * 0.16};
    rl_labels_place(&l, 1, line, 40, WIDTH, HEIGHT);
    cr_expect(!l.shown);
    l.below = true;
    rl_labels_place(&l, 1, line, 40, WIDTH, HEIGHT);
    cr_expect(l.shown);
}
