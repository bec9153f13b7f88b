/* nvcuda::wmma of 16 × 16 × 16 tiles: which element a lane holds is free, here
 * element 8 · lane + i of the tile. */
#ifndef EMU_MMA_H
#define EMU_MMA_H

#include "emu.h"

namespace nvcuda
{
namespace wmma
{
struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

static inline float to_float(__half h)
{
    return __half2float(h);
}
static inline float to_float(__nv_bfloat16 b)
{
    return __bfloat162float(b);
}

template <class USE, int M, int N, int K, class T, class LAYOUT = void> struct fragment {
    static_assert(M == 16 && N == 16 && K == 16, "one shape");
    enum { num_elements = 8 };
    T x[8];
};
template <class L> constexpr bool by_column = false;
template <> constexpr bool by_column<col_major> = true;

static inline void check_tile(const void *p, unsigned ld, size_t bytes)
{
    if ((uintptr_t)p % 32 || ld * bytes % 16)
        __builtin_trap(); /* tiles are 32-byte aligned, rows 16 bytes */
}

template <class F, class T> static void fill_fragment(F &f, T v)
{
    for (auto &e : f.x)
        e = v;
}
template <class USE, class T, class L>
static void load_matrix_sync(fragment<USE, 16, 16, 16, T, L> &f, const T *p, unsigned ld)
{
    check_tile(p, ld, sizeof *p);
    for (int i = 0; i < 8; i++) {
        int at = 8 * emu::lane() + i, r = at / 16, c = at % 16;
        f.x[i] = by_column<L> ? p[c * ld + r] : p[r * ld + c];
    }
}
static inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float> &f,
                                    const float *p, unsigned ld, layout_t)
{
    check_tile(p, ld, sizeof *p);
    for (int i = 0; i < 8; i++)
        f.x[i] = p[(8 * emu::lane() + i) / 16 * ld + (8 * emu::lane() + i) % 16];
}
static inline void store_matrix_sync(float *p,
                                     const fragment<accumulator, 16, 16, 16, float> &f,
                                     unsigned ld, layout_t)
{
    check_tile(p, ld, sizeof *p);
    for (int i = 0; i < 8; i++)
        p[(8 * emu::lane() + i) / 16 * ld + (8 * emu::lane() + i) % 16] = f.x[i];
}

/* Lane l has row l / 2, columns 8 (l mod 2) and up of D: it needs that row of A,
 * and all of B. */
template <class T, class LA, class LB>
static void mma_sync(fragment<accumulator, 16, 16, 16, float> &d,
                     const fragment<matrix_a, 16, 16, 16, T, LA> &a,
                     const fragment<matrix_b, 16, 16, 16, T, LB> &b,
                     const fragment<accumulator, 16, 16, 16, float> &c)
{
    int lane = emu::lane();
    T row[16];
    const char *at = emu::gather(a.x, sizeof a.x) + lane / 2 * 2 * emu::LANE;
    memcpy(row, at, 8 * sizeof(T));
    memcpy(row + 8, at + emu::LANE, 8 * sizeof(T));
    const char *bs = emu::gather(b.x, sizeof b.x);
    for (int i = 0; i < 8; i++)
        d.x[i] = c.x[i];
    for (int k = 0; k < 16; k++) {
        float v = to_float(row[k]);
        const T *col = (const T *)(bs + (2 * k + lane % 2) * emu::LANE);
        for (int i = 0; i < 8; i++)
            d.x[i] += v * to_float(col[i]);
    }
}
} // namespace wmma
} // namespace nvcuda

#endif
