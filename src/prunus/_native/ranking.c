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

/* Where a group lies in one piece its sum needs no memory of its own. */
INLINE void sum_groups(float *sums, const float *x, int64_t groups, int64_t inner) {
    for (int64_t g = 0; g < groups; g++, x += inner) sums[g] = (float)sum_of(x, inner, 0);
}

EXPORT void prunus_sums(float *sums, const float *x, int64_t groups, int64_t inner) {
    if (inner == 9)
        sum_groups(sums, x, groups, 9);
    else
        sum_groups(sums, x, groups, inner);
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
    if (!groups || !inner) return; /* no memory at all */
    switch (inner) {
    case 1:
        for (int64_t o = 0; o < outer; o++) memcpy(out + o * groups, flags, groups);
        break;
    case 9: repeat(out, flags, outer, groups, 9); break;
    default: repeat(out, flags, outer, groups, inner);
    }
}

INLINE int any_of(const uint8_t *mask, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, mask + i, 8);
        if (word) return 1;
    }
    for (; i < n; i++)
        if (mask[i]) return 1;
    return 0;
}

INLINE void any_in(uint8_t *any, const uint8_t *mask, int64_t outer, int64_t groups, int64_t inner) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t g = 0; g < groups; g++, mask += inner)
            if (!any[g]) any[g] = any_of(mask, inner);
}

/* Single entries: no branch, which could not be foreseen. */
INLINE void any_each(uint8_t *any, const uint8_t *mask, int64_t outer, int64_t groups) {
    for (int64_t o = 0; o < outer; o++, mask += groups)
#pragma omp simd
        for (int64_t g = 0; g < groups; g++) any[g] |= mask[g] != 0;
}

EXPORT void prunus_any(uint8_t *any, const uint8_t *mask, int64_t outer, int64_t groups, int64_t inner) {
    switch (inner) {
    case 1: any_each(any, mask, outer, groups); break;
    case 9: any_in(any, mask, outer, groups, 9); break;
    default: any_in(any, mask, outer, groups, inner);
    }
}

INLINE void zero(char *x, const uint8_t *alive, int64_t outer, int64_t groups, int64_t bytes) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t g = 0; g < groups; g++, x += bytes)
            if (!alive[g]) memset(x, 0, bytes);
}

/* Single entries, or few bytes: no branch, which could not be foreseen. */
#define ZERO_EACH(bits)                                                                                            \
    INLINE void zero_each_##bits(int##bits##_t *x, const uint8_t *alive, int64_t outer, int64_t groups) {          \
        for (int64_t o = 0; o < outer; o++, x += groups)                                                           \
            for (int64_t g = 0; g < groups; g++) x[g] &= -(int##bits##_t)(alive[g] != 0);                          \
    }
ZERO_EACH(8)
ZERO_EACH(16)
ZERO_EACH(32)
ZERO_EACH(64)

INLINE void zero_nine(char *x, const uint8_t *alive, int64_t outer, int64_t groups) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t g = 0; g < groups; g++, x += 9) {
            int64_t word, stay = -(int64_t)(alive[g] != 0);
            memcpy(&word, x, 8);
            word &= stay;
            memcpy(x, &word, 8);
            x[8] &= (char)stay;
        }
}

/* Set the places of dead groups (flag 0) to zero; an entry has `size` bytes. */
EXPORT void prunus_zero(void *x, const uint8_t *alive, int64_t outer, int64_t groups, int64_t inner, int64_t size) {
    if (!groups || !inner) return;
    if (inner == 1) switch (size) {
        case 1: zero_each_8(x, alive, outer, groups); return;
        case 2: zero_each_16(x, alive, outer, groups); return;
        case 4: zero_each_32(x, alive, outer, groups); return;
        default: zero_each_64(x, alive, outer, groups); return;
    }
    switch (inner * size) {
    case 9: zero_nine(x, alive, outer, groups); break;
    case 36: zero(x, alive, outer, groups, 36); break;
    default: zero(x, alive, outer, groups, inner * size);
    }
}

/* ---- ranks inside sets of 2, 4 or 8: every entry meets every other of its set ---- */

/* Integers order as the floats do whose bits they come from; adding zero turns -0.0 into +0.0, so that the two tie. */
INLINE lanes keys_of(floats value, int32_t bits_used) {
    lanes bits = (lanes)(value + 0.0f) & bits_used;
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

/* -1 where alive, 0 where dead; the key of the dead lies below all others. */
INLINE lanes living(const uint8_t *alive) {
    bytes flags;
    memcpy(&flags, alive, 16);
    return __builtin_convertvector(flags != 0, lanes);
}

INLINE lanes buried(lanes key, lanes lives) { return (key & lives) | (~lives & (INT32_MIN + 1)); }

INLINE void mark(int8_t *kept, lanes before, int32_t keep, lanes lives) {
    bytes stays = __builtin_convertvector((before < keep) & lives, bytes) & 1;
    memcpy(kept, &stays, 16);
}

#if defined(__clang__)
#define TAKE(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#else
#define TAKE(v, ...) __builtin_shuffle(v, (lanes){__VA_ARGS__})
#endif
#define PLACE(l, m, s) ((l) / (m) * (m) + ((l) + (s)) % (m))
#define TURN(v, m, s)                                                                                              \
    TAKE(v, PLACE(0, m, s), PLACE(1, m, s), PLACE(2, m, s), PLACE(3, m, s), PLACE(4, m, s), PLACE(5, m, s),        \
         PLACE(6, m, s), PLACE(7, m, s), PLACE(8, m, s), PLACE(9, m, s), PLACE(10, m, s), PLACE(11, m, s),         \
         PLACE(12, m, s), PLACE(13, m, s), PLACE(14, m, s), PLACE(15, m, s))
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

/* Sixteen entries of sets that lie side by side; say where a candidate is NaN. */
#define SIXTEEN(m)                                                                                                 \
    INLINE lanes sixteen_##m(int8_t *kept, const float *x, const uint8_t *alive, int32_t keep, int32_t used) {     \
        floats value;                                                                                              \
        memcpy(&value, x, 64);                                                                                     \
        lanes lives = alive ? living(alive) : (lanes){0} - 1, key = keys_of(value, used), before = {0};            \
        if (alive) key = buried(key, lives);                                                                       \
        MEET_##m mark(kept, before, keep, lives);                                                                  \
        return (value != value) & lives;                                                                           \
    }
SIXTEEN(2)
SIXTEEN(4)
SIXTEEN(8)

typedef struct {
    int8_t *kept;
    const float *x;
    const uint8_t *alive;
    int64_t n;
    int32_t keep, used;
} sets_t;

INLINE lanes sixteen(int64_t size, int8_t *kept, const float *x, const uint8_t *alive, const sets_t *sets) {
    if (size == 2) return sixteen_2(kept, x, alive, sets->keep, sets->used);
    if (size == 4) return sixteen_4(kept, x, alive, sets->keep, sets->used);
    return sixteen_8(kept, x, alive, sets->keep, sets->used);
}

/* Sets of neighbours. */
INLINE lanes rank_flat(const sets_t *sets, const uint8_t *alive, int64_t size) {
    lanes bad = {0};
    int64_t i = 0, n = sets->n;
    for (; i + 16 <= n; i += 16) bad |= sixteen(size, sets->kept + i, sets->x + i, alive ? alive + i : 0, sets);
    if (i < n) { /* the rest, with zeros behind it */
        float rest[16] = {0};
        uint8_t lives[16] = {0};
        int8_t stays[16];
        memcpy(rest, sets->x + i, (n - i) * 4);
        if (alive) memcpy(lives, alive + i, n - i);
        bad |= sixteen(size, stays, rest, alive ? lives : 0, sets);
        memcpy(sets->kept + i, stays, n - i);
    }
    return bad;
}

/* Up to sixteen sets side by side, whose entries lie `inner` apart. Whole vectors are read and written: what lies beyond
   `inner` belongs to entries whose turn comes later, or to nobody. */
INLINE lanes rank_rows(int8_t *kept, const float *x, const uint8_t *alive, const sets_t *sets, int64_t size,
                       int64_t inner, lanes within) {
    lanes key[8], lives[8], bad = {0};
    for (int64_t j = 0; j < size; j++) {
        floats value;
        memcpy(&value, x + j * inner, 64);
        lives[j] = alive ? living(alive + j * inner) : (lanes){0} - 1;
        key[j] = keys_of(value, sets->used);
        if (alive) key[j] = buried(key[j], lives[j]);
        bad |= (value != value) & lives[j] & within;
    }
    for (int64_t j = 0; j < size; j++) {
        lanes before = {0};
        for (int64_t k = 0; k < size; k++)
            if (k != j) before -= k < j ? key[k] >= key[j] : key[k] > key[j];
        mark(kept + j * inner, before, sets->keep, lives[j]);
    }
    return bad;
}

/* Sets along the middle of [outer, size, inner]; the last ones, behind which nothing may be touched, by way of a copy. */
INLINE lanes rank_strided(const sets_t *sets, const uint8_t *alive, int64_t size, int64_t inner) {
    lanes bad = {0}, within;
    for (int l = 0; l < 16; l++) within[l] = l < inner ? -1 : 0;
    int64_t at = 0, n = sets->n, step = size * inner;
    for (; at + step + 16 <= n; at += step)
        bad |= rank_rows(sets->kept + at, sets->x + at, alive ? alive + at : 0, sets, size, inner, within);
    for (; at < n; at += step) {
        float last[8 * 16 + 16] = {0};
        uint8_t lives[8 * 16 + 16] = {0};
        int8_t stays[8 * 16 + 16];
        memcpy(last, sets->x + at, step * 4);
        if (alive) memcpy(lives, alive + at, step);
        bad |= rank_rows(stays, last, alive ? lives : 0, sets, size, inner, within);
        memcpy(sets->kept + at, stays, step);
    }
    return bad;
}

INLINE lanes rank_sized(const sets_t *sets, const uint8_t *alive, int64_t size, int64_t inner) {
    return inner == 1 ? rank_flat(sets, alive, size) : rank_strided(sets, alive, size, inner);
}

INLINE lanes rank_any(const sets_t *sets, const uint8_t *alive, int64_t size, int64_t inner) {
    if (size == 2) return rank_sized(sets, alive, 2, inner);
    if (size == 4) return rank_sized(sets, alive, 4, inner);
    return rank_sized(sets, alive, 8, inner);
}

/* Mark the `keep` largest (of the absolute values) of each set along the middle of [outer, size, inner <= 16], n entries
   in all; return whether a candidate is NaN. */
EXPORT int64_t prunus_rank(int8_t *kept, const float *x, const uint8_t *alive, int64_t n, int64_t size, int64_t inner,
                           int64_t keep, int absolute) {
    sets_t sets = {kept, x, alive, n, (int32_t)keep, absolute ? 0x7fffffff : -1};
    lanes bad = alive ? rank_any(&sets, alive, size, inner) : rank_any(&sets, 0, size, inner);
    int64_t any = 0;
    for (int l = 0; l < 16; l++) any |= bad[l];
    return any != 0;
}

/* ---- histograms of the upper 16 bits of the keys, and of the lower 16 of those that share the upper ---- */

#define ALL_BITS -1
#define ALL_BUT_SIGN 0x7fffffff

INLINE int32_t key_of(float value, int32_t used) {
    int32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, 4);
    bits &= used;
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

INLINE int32_t used_of(int absolute) { return absolute ? ALL_BUT_SIGN : ALL_BITS; }

EXPORT int64_t prunus_upper(int64_t *counts, const float *x, const uint8_t *alive, int64_t n, int absolute) {
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t lives = alive ? alive[i] != 0 : 1;
        counts[((uint32_t)key_of(x[i], used_of(absolute)) ^ 0x80000000u) >> 16] += lives;
        bad |= lives & (x[i] != x[i]);
    }
    return bad;
}

EXPORT void prunus_lower(int64_t *counts, const float *x, const uint8_t *alive, int64_t n, int32_t upper,
                         int absolute) {
    int32_t used = used_of(absolute);
    for (int64_t start = 0; start < n; start += 64) { /* most blocks hold none of them, which is quickly seen */
        int64_t end = start + 64 < n ? start + 64 : n;
        int32_t found = 0;
#pragma omp simd reduction(| : found)
        for (int64_t i = start; i < end; i++) found |= (key_of(x[i], used) >> 16) == upper;
        for (int64_t i = start; found && i < end; i++) {
            int32_t key = key_of(x[i], used);
            if (key >> 16 == upper && (!alive || alive[i])) counts[key & 0xffff]++;
        }
    }
}

typedef struct {
    float value;
    int64_t spare;
} edge_t;

INLINE float worth(float x, int absolute) { return absolute ? fabsf(x) : x; }

INLINE int64_t mark_any(uint8_t *kept, const float *x, const uint8_t *alive, int64_t n, edge_t edge, int absolute) {
    for (int64_t start = 0; start < n; start += 64) {
        int64_t end = start + 64 < n ? start + 64 : n;
        int32_t ties = 0;
#pragma omp simd reduction(| : ties)
        for (int64_t i = start; i < end; i++) {
            kept[i] = (uint8_t)(worth(x[i], absolute) > edge.value) & (alive ? alive[i] != 0 : 1);
            ties |= worth(x[i], absolute) == edge.value;
        }
        for (int64_t i = start; ties && edge.spare && i < end; i++)
            if (worth(x[i], absolute) == edge.value && (!alive || alive[i])) {
                kept[i] = 1;
                edge.spare--;
            }
    }
    return edge.spare;
}

/* Mark what lies above the threshold and, in order, the first `spare` that equal it; return how many are then left. */
EXPORT int64_t prunus_mark(uint8_t *kept, const float *x, const uint8_t *alive, int64_t n, float value, int64_t spare,
                           int absolute) {
    edge_t edge = {value, spare};
    if (absolute) return alive ? mark_any(kept, x, alive, n, edge, 1) : mark_any(kept, x, 0, n, edge, 1);
    return alive ? mark_any(kept, x, alive, n, edge, 0) : mark_any(kept, x, 0, n, edge, 0);
}
