/* Kernel models of NCCL's collectives inside one node.
 *
 * Ranks pass shares of the message round a ring by one of three protocols, as
 * NCCL's src/graph/tuning.cc lists them:
 *   LL      8-byte stores, half of them flags: little latency, little bandwidth
 *   LL128   128-byte lines with one flag: most of the bandwidth, NVLink only
 *   Simple  chunks guarded by fences: all of the bandwidth, slow to start
 * Each takes  α + hops·τ + volume / (share of the link · link), where
 * hops = passes·(n − 1) and volume = passes·((n − 1) + own)/n of the message;
 * `own`: the rank's own share is copied too, by the same few SMs.
 * NCCL chooses by a table of its own, not by time: it goes over to the next
 * protocol at a message size, be it slower there (see cheaper_or_due).
 *
 * alltoall is sends and receives to every peer at once (src/enqueue.cc): LL while a
 * peer's bytes on one channel are at most 16 KiB, then Simple, never LL128.  A
 * receiver copies a chunk out after its sender has written it, so that of the first
 * chunks of all channels (`fill`) a part is not overlapped (`twice`):
 *   t = α + log2(n)·τ + (LL: bytes/n / LL's rate of a channel
 *                        Simple: more + volume/(share·link)·(1 + twice·[bytes < fill]))
 * Ignores: trees and NVLS (not chosen inside a node of up to 8 in the data
 * fitted), more than one node, other traffic on the links.
 */
#include "kernels.h"
#include "ops.h"

#include <gsl/gsl_math.h>
#include <math.h>

enum {
    FIX_LL,
    FIX_LL128,
    FIX_SIMPLE,
    HOP_LL,
    HOP_LL128,
    HOP_SIMPLE,
    BW_LL,
    BW_LL128,
    BW_SIMPLE,
    OWN,
    RAMP,
    DUE128,
    DUE128_N,
    DUE,
    DUE_N,
    NCOEF
};

#define COEFS(ll, ll128, simple, hop, hop128, hops, own)                                  \
    {"ll_us", "us", RL_C_LOG, ll, 1, 60, 0.3, "LL: launch and ends"},                     \
        {"ll128_us", "us", RL_C_LOG, ll128, 0.05, 60, 0.6, "LL128: more than LL"},        \
        {"simple_us", "us", RL_C_LOG, simple, 0.05, 200, 0.6, "Simple: more than LL"},    \
        {"ll_hop", "us", RL_C_LOG, hop, 0.01, 10, 0.4, "LL: one hop"},                    \
        {"ll128_hop", "us", RL_C_LOG, hop128, 0.01, 20, 0.4, "LL128: one hop"},           \
        {"simple_hop", "us", RL_C_LOG, hops, 0.01, 30, 0.6, "Simple: one hop"},           \
        {"ll_bw", "1", RL_C_LOG, 0.1, 0.005, 0.5, 0.8, "LL: share of the link"},          \
        {"ll128_bw", "1", RL_C_LOG, 0.4, 0.02, 0.92, 0.4, "LL128: share of the link"},    \
        {"simple_bw", "1", RL_C_LOG, 0.75, 0.2, 1, 0.15, "Simple: share of the link"},    \
        {"own", "1", RL_C_LOG, own, 0.02, 2, 0.7, "copy of the own share, in passes"},    \
        {"ramp_us", "us", RL_C_LOG, 10, 0.05, 400, 1, "Simple: filling its buffers"},     \
        {"due128", "MB", RL_C_LOG, 0.03, 0.004, 1, 0.7, "LL128 from this size, 4 ranks"}, \
        {"due128_n", "1", RL_C_LINEAR, 0.5, -1, 2, 0.5, "times (n/4) to this power"},     \
        {"due", "MB", RL_C_LOG, 4, 0.1, 100, 0.7, "Simple from this size, 4 ranks"},      \
        {"due_n", "1", RL_C_LINEAR, 0.7, -1, 3, 0.5, "times (n/4) to this power"},        \
    {                                                                                     \
        NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL                                            \
    }

const struct rl_coef rl_kern_all_reduce_coef[] = {
    COEFS(6.5, 2.0, 15, 1.0, 1.3, 1.5, 0.2)};
const struct rl_coef rl_kern_all_gather_coef[] = {
    COEFS(6.5, 2.0, 10, 1.0, 1.2, 1.5, 0.4)};
const struct rl_coef rl_kern_reduce_scatter_coef[] = {
    COEFS(6.5, 2.0, 10, 1.0, 1.2, 1.5, 0.4)};

/* Seconds where the next protocol is due from a message size on: the cheaper of
 * both, and the next one's although it is dearer as `due` nears 1.  Grows with
 * the message as both do. */
static double cheaper_or_due(double now, double next, double due)
{
    return next < now ? next : now + due * (next - now);
}

/* x^8 / (1 + x^8), x = bytes over the size of the switch */
static double due_at(double bytes, double size)
{
    double x = bytes / size;
    x *= x;
    x *= x;
    x *= x;
    return x < 1e100 ? x / (1 + x) : 1;
}

/* Seconds of the call, and its parts. */
static double reported(double t, double n, double launch, double move,
                       double part[RL_NBOUNDS])
{
    if (n < 2)
        t = 1e-9; /* nobody to talk to */
    if (part) {
        part[RL_B_LINK] = move;
        part[RL_B_LAUNCH] = fmin(launch, t);
        part[RL_B_SERIAL] = fmax(t - part[RL_B_LAUNCH] - move, 0);
    }
    return t;
}

static double comm_time(const double *p, const struct rl_machine *m, const double *c,
                        double part[RL_NBOUNDS], double passes, double hops)
{
    double n = p[RL_COMM_GPUS], s = p[RL_COMM_BYTES];
    double volume = passes * ((n - 1) + c[OWN]) / n * s;
    double ll_fix = (c[FIX_LL] + hops * c[HOP_LL]) * 1e-6;
    double ll128_fix = (c[FIX_LL] + c[FIX_LL128] + hops * c[HOP_LL128]) * 1e-6;
    double simple_fix = (c[FIX_LL] + c[FIX_SIMPLE] + hops * c[HOP_SIMPLE]) * 1e-6;
    double ll = ll_fix + fmax(volume / c[BW_LL], 2 * volume) / m->link;
    double ll128 = ll128_fix + volume / (c[BW_LL128] * m->link);
    double move = volume / (c[BW_SIMPLE] * m->link);
    double fill = c[RAMP] * 1e-6;
    double simple = simple_fix + sqrt(sqrt(gsl_pow_4(move) + gsl_pow_4(fill)));
    double size128 = c[DUE128] * 1e6 * pow(n / 4, c[DUE128_N]);
    double size = c[DUE] * 1e6 * pow(n / 4, c[DUE_N]);
    double t = cheaper_or_due(ll, ll128, due_at(s, size128));
    t = cheaper_or_due(t, simple, due_at(s, size));
    return reported(t, n, c[FIX_LL] * 1e-6, move, part);
}

double rl_kern_all_reduce_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    return comm_time(p, m, c, part, 2, 2 * (p[RL_COMM_GPUS] - 1));
}

double rl_kern_all_gather_time(const double *p, const struct rl_machine *m,
                               const double *c, double part[RL_NBOUNDS])
{
    return comm_time(p, m, c, part, 1, p[RL_COMM_GPUS] - 1);
}

double rl_kern_reduce_scatter_time(const double *p, const struct rl_machine *m,
                                   const double *c, double part[RL_NBOUNDS])
{
    return comm_time(p, m, c, part, 1, p[RL_COMM_GPUS] - 1);
}

enum { P_LL, P_PEER, P_LL_BW, P_DUE, P_SIMPLE, P_BW, P_OWN, P_FILL, P_TWICE };

const struct rl_coef rl_kern_alltoall_coef[] = {
    {"ll_us", "us", RL_C_LOG, 7.5, 1, 60, 0.3, "launch and ends"},
    {"peer_us", "us", RL_C_LOG, 0.7, 0.01, 10, 0.6, "each doubling of the peers"},
    {"ll_bw", "1", RL_C_LOG, 0.02, 0.001, 0.5, 0.8, "LL: share of the link, one channel"},
    {"due", "kB", RL_C_LOG, 22, 16, 300, 0.3, "Simple from this size for each peer"},
    {"simple_us", "us", RL_C_LOG, 4, 0.05, 100, 0.6, "Simple: more than LL"},
    {"simple_bw", "1", RL_C_LOG, 0.75, 0.2, 1, 0.15, "Simple: share of the link"},
    {"own", "1", RL_C_LOG, 0.4, 0.02, 2, 0.7, "copy of the own share, in passes"},
    {"fill", "MB", RL_C_LOG, 16, 0.05, 100, 1.5, "chunks of all channels together"},
    {"twice", "1", RL_C_LOG, 0.4, 0.02, 1, 0.5, "of the first chunks, not overlapped"},
    {NULL, NULL, RL_C_LOG, 0, 0, 0, 0, NULL},
};

double rl_kern_alltoall_time(const double *p, const struct rl_machine *m, const double *c,
                             double part[RL_NBOUNDS])
{
    double n = p[RL_COMM_GPUS], s = p[RL_COMM_BYTES], peer = s / n;
    double start = (c[P_LL] + c[P_PEER] * log2(n)) * 1e-6;
    double ll = start + peer / (c[P_LL_BW] * m->link);
    double move = peer * (n - 1 + c[P_OWN]) / (c[P_BW] * m->link);
    double full = gsl_pow_4(s / (c[P_FILL] * 1e6));
    double simple =
        start + c[P_SIMPLE] * 1e-6 + move * (1 + c[P_TWICE] / sqrt(sqrt(1 + full)));
    double t = cheaper_or_due(ll, simple, due_at(peer, c[P_DUE] * 1e3));
    return reported(t, n, c[P_LL] * 1e-6, move, part);
}
