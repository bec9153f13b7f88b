/* "Did you mean": the names nearest to what was typed.
 *
 * Optimal-string-alignment distance (insert, delete, replace, swap of two
 * neighbours), case ignored.  Names grow by suffixes here (h100-sxm-80gb), so
 * a name that contains the word counts as near whatever its length.
 */
#include "path.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MOST_CHARS = 63 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int distance(const char *a, const char *b)
{
    int row[3][MOST_CHARS + 1]; /* rows i-2, i-1, i of the table, in turn */
    int n = (int)strnlen(a, MOST_CHARS), m = (int)strnlen(b, MOST_CHARS);

    for (int j = 0; j <= m; j++)
        row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        int ca = tolower((unsigned char)a[i - 1]);

        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int cb = tolower((unsigned char)b[j - 1]);

            now[j] = least(least(up[j] + 1, now[j - 1] + 1), up[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                tolower((unsigned char)a[i - 2]) == cb)
                now[j] = least(now[j], up2[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

/* Four times the distance, so that contained names can rank between. */
static int score(const char *want, const char *name)
{
    int d = 4 * distance(want, name);
    size_t extra = strlen(name) > strlen(want) ? strlen(name) - strlen(want) : 0;

    if (strlen(want) >= 2 && strcasestr(name, want))
        return least(d, 3 + (int)extra / 4);
    if (strlen(want) >= 4 && extra > 0) { /* h100x: the head of h100-sxm-80gb */
        char head[MOST_CHARS + 1];

        snprintf(head, sizeof head, "%.*s", (int)strlen(want), name);
        d = least(d, 4 * distance(want, head) + 3 + (int)extra / 4);
    }
    return d;
}

const char *rl_nearest(const char *want, char *const *names, int n, int most, char *buf,
                       size_t size)
{
    int best = INT_MAX, last = -1, last_score = -1;
    size_t used = 0;

    buf[0] = '\0';
    for (int k = 0; k < most; k++) { /* the k-th nearest: few, so a scan each */
        int pick = -1, pick_score = INT_MAX;

        for (int i = 0; i < n; i++) {
            int s = score(want, names[i]);
            bool later = s > last_score || (s == last_score && i > last);

            if (later && s < pick_score) {
                pick = i;
                pick_score = s;
            }
        }
        if (pick < 0 || (k > 0 && pick_score > 2 * best + 4))
            break;
        if (used + strlen(names[pick]) + 3 > size)
            break;
        used +=
            (size_t)snprintf(buf + used, size - used, "%s%s", k ? ", " : "", names[pick]);
        if (k == 0)
            best = pick_score;
        last = pick;
        last_score = pick_score;
    }
    return buf;
}
