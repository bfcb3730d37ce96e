/* What selection reads and writes: sums over groups, ranks inside small sets, histograms of the bits of scores, masks. */
#include <math.h>
#include <string.h>

#include "team.h"

#define INLINE static inline __attribute__((always_inline))

typedef int32_t lanes __attribute__((vector_size(64)));
typedef float floats __attribute__((vector_size(64)));
typedef int8_t bytes __attribute__((vector_size(16)));

/* ---- sums over the groups of [outer, groups, inner], in double precision, so that no order of adding shows ---- */

INLINE double size_of(float x, int square) { return square ? (double)x * x : fabs((double)x); }

INLINE double sum_of(const float *x, int64_t n, int square) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += size_of(x[i], square);
    return sum;
}

INLINE void add_groups(double *sums, const float *x, int64_t outer, int64_t groups, int64_t inner, int square) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t g = 0; g < groups; g++, x += inner) sums[g] += sum_of(x, inner, square);
}

INLINE void add_columns(double *sums, const float *x, int64_t outer, int64_t groups, int square) {
    for (int64_t o = 0; o < outer; o++, x += groups)
#pragma omp simd
        for (int64_t g = 0; g < groups; g++) sums[g] += size_of(x[g], square);
}

INLINE void add_any(double *sums, const float *x, int64_t outer, int64_t groups, int64_t inner, int square) {
    switch (inner) { /* kernels of common sizes are unrolled */
    case 1: add_columns(sums, x, outer, groups, square); break;
    case 9: add_groups(sums, x, outer, groups, 9, square); break;
    case 25: add_groups(sums, x, outer, groups, 25, square); break;
    default: add_groups(sums, x, outer, groups, inner, square);
    }
}

EXPORT void prunus_group_sums(double *sums, const float *x, int64_t outer, int64_t groups, int64_t inner, int square) {
    if (square)
        add_any(sums, x, outer, groups, inner, 1);
    else
        add_any(sums, x, outer, groups, inner, 0);
}

/* ---- masks of groups: one byte a group, repeated over its places, and back ---- */

INLINE void repeat(uint8_t *out, const uint8_t *flags, int64_t outer, int64_t groups, int64_t inner) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t g = 0; g < groups; g++, out += inner) memset(out, flags[g], inner);
}

EXPORT void prunus_repeat(uint8_t *out, const uint8_t *flags, int64_t outer, int64_t groups, int64_t inner) {
    switch (inner) {
    case 1:
        for (int64_t o = 0; o < outer; o++) memcpy(out + o * groups, flags, groups);
        break;
    case 9: repeat(out, flags, outer, groups, 9); break;
    default: repeat(out, flags, outer, groups, inner);
    }
}

INLINE void any_in(uint8_t *any, const uint8_t *mask, int64_t outer, int64_t groups, int64_t inner) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t g = 0; g < groups; g++, mask += inner)
            for (int64_t i = 0; i < inner; i++) any[g] |= mask[i];
}

EXPORT void prunus_any(uint8_t *any, const uint8_t *mask, int64_t outer, int64_t groups, int64_t inner) {
    switch (inner) {
    case 1: any_in(any, mask, outer, groups, 1); break;
    case 9: any_in(any, mask, outer, groups, 9); break;
    default: any_in(any, mask, outer, groups, inner);
    }
}

/* ---- ranks inside sets of 2, 4 or 8 neighbours: every entry meets every other of its set ---- */

#define PLACE(l, m, s) ((l) / (m) * (m) + ((l) + (s)) % (m))
#define TURN(v, m, s)                                                                                              \
    __builtin_shufflevector(v, v, PLACE(0, m, s), PLACE(1, m, s), PLACE(2, m, s), PLACE(3, m, s), PLACE(4, m, s),  \
                            PLACE(5, m, s), PLACE(6, m, s), PLACE(7, m, s), PLACE(8, m, s), PLACE(9, m, s),        \
                            PLACE(10, m, s), PLACE(11, m, s), PLACE(12, m, s), PLACE(13, m, s), PLACE(14, m, s),   \
                            PLACE(15, m, s))
#define WRAP(l, m, s) ((l) % (m) + (s) >= (m))
#define WRAPS(m, s)                                                                                                \
    (lanes){WRAP(0, m, s),  WRAP(1, m, s),  WRAP(2, m, s),  WRAP(3, m, s),  WRAP(4, m, s),  WRAP(5, m, s),         \
            WRAP(6, m, s),  WRAP(7, m, s),  WRAP(8, m, s),  WRAP(9, m, s),  WRAP(10, m, s), WRAP(11, m, s),        \
            WRAP(12, m, s), WRAP(13, m, s), WRAP(14, m, s), WRAP(15, m, s)}
/* A comparison is -1 where it holds. Who is larger comes before, and who is equal and earlier: its place wraps. */
#define MEET(m, s) before -= TURN(key, m, s) > key - WRAPS(m, s);
#define MEET_2 MEET(2, 1)
#define MEET_4 MEET(4, 1) MEET(4, 2) MEET(4, 3)
#define MEET_8 MEET(8, 1) MEET(8, 2) MEET(8, 3) MEET(8, 4) MEET(8, 5) MEET(8, 6) MEET(8, 7)

/* Integers order as the floats do whose bits they come from; adding zero turns -0.0 into +0.0, so that the two tie. */
INLINE lanes keys_of(floats value) {
    lanes bits = (lanes)(value + 0.0f);
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

/* Sixteen entries: mark those of which fewer than `keep` of the same set come before; say where a candidate is NaN. */
#define SIXTEEN(m)                                                                                                 \
    INLINE lanes sixteen_##m(int8_t *kept, const float *x, const uint8_t *alive, int32_t keep) {                   \
        floats value;                                                                                              \
        memcpy(&value, x, 64);                                                                                     \
        lanes key = keys_of(value), before = {0}, bad = value != value;                                            \
        if (alive) {                                                                                               \
            bytes flags;                                                                                           \
            memcpy(&flags, alive, 16);                                                                             \
            lanes lives = __builtin_convertvector(flags, lanes) != 0;                                              \
            key = (key & lives) | (~lives & (INT32_MIN + 1));                                                      \
            before = ~lives & m;                                                                                   \
            bad &= lives;                                                                                          \
        }                                                                                                          \
        MEET_##m bytes stays = __builtin_convertvector(before < keep, bytes) & 1;                                  \
        memcpy(kept, &stays, 16);                                                                                  \
        return bad;                                                                                                \
    }                                                                                                              \
    INLINE int64_t rank_##m(int8_t *kept, const float *x, const uint8_t *alive, int64_t n, int32_t keep) {         \
        lanes bad = {0};                                                                                           \
        int64_t i = 0;                                                                                             \
        for (; i + 16 <= n; i += 16) bad |= sixteen_##m(kept + i, x + i, alive ? alive + i : 0, keep);             \
        if (i < n) { /* the rest, with zeros behind it */                                                          \
            float rest[16] = {0};                                                                                  \
            uint8_t lives[16] = {0};                                                                               \
            int8_t stays[16];                                                                                      \
            memcpy(rest, x + i, (n - i) * 4);                                                                      \
            memcpy(lives, alive ? alive + i : lives, n - i);                                                       \
            bad |= sixteen_##m(stays, rest, alive ? lives : 0, keep);                                              \
            memcpy(kept + i, stays, n - i);                                                                        \
        }                                                                                                          \
        int64_t any = 0;                                                                                           \
        for (int l = 0; l < 16; l++) any |= bad[l];                                                                \
        return any != 0;                                                                                           \
    }
SIXTEEN(2)
SIXTEEN(4)
SIXTEEN(8)

/* Mark the `keep` largest of each set of `size` neighbours; return whether a candidate is NaN. */
EXPORT int64_t prunus_rank(int8_t *kept, const float *x, const uint8_t *alive, int64_t n, int64_t size, int64_t keep) {
    switch (size) {
    case 2: return alive ? rank_2(kept, x, alive, n, keep) : rank_2(kept, x, 0, n, keep);
    case 4: return alive ? rank_4(kept, x, alive, n, keep) : rank_4(kept, x, 0, n, keep);
    default: return alive ? rank_8(kept, x, alive, n, keep) : rank_8(kept, x, 0, n, keep);
    }
}

/* ---- histograms of the upper 16 bits of the keys, and of the lower 16 of those that share the upper ---- */

INLINE int32_t key_of(float value) {
    int32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, 4);
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

EXPORT int64_t prunus_upper(int64_t *counts, const float *x, const uint8_t *alive, int64_t n) {
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t lives = alive ? alive[i] : 1;
        counts[((uint32_t)key_of(x[i]) ^ 0x80000000u) >> 16] += lives;
        bad |= lives & (x[i] != x[i]);
    }
    return bad;
}

EXPORT void prunus_lower(int64_t *counts, const float *x, const uint8_t *alive, int64_t n, int32_t upper) {
    for (int64_t start = 0; start < n; start += 64) { /* most blocks hold none of them, which is quickly seen */
        int64_t end = start + 64 < n ? start + 64 : n;
        int32_t found = 0;
#pragma omp simd reduction(| : found)
        for (int64_t i = start; i < end; i++) found |= (key_of(x[i]) >> 16) == upper;
        for (int64_t i = start; found && i < end; i++) {
            int32_t key = key_of(x[i]);
            if (key >> 16 == upper && (!alive || alive[i])) counts[key & 0xffff]++;
        }
    }
}

/* Mark what lies above the threshold and, in order, the first `spare` that equal it; return how many are then left. */
EXPORT int64_t prunus_mark(uint8_t *kept, const float *x, const uint8_t *alive, int64_t n, float value, int64_t spare) {
    for (int64_t start = 0; start < n; start += 64) {
        int64_t end = start + 64 < n ? start + 64 : n;
        int32_t ties = 0;
#pragma omp simd reduction(| : ties)
        for (int64_t i = start; i < end; i++) {
            kept[i] = (uint8_t)(x[i] > value) & (alive ? alive[i] : 1);
            ties |= x[i] == value;
        }
        for (int64_t i = start; ties && spare && i < end; i++)
            if (x[i] == value && (!alive || alive[i])) {
                kept[i] = 1;
                spare--;
            }
    }
    return spare;
}
