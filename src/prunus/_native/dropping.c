/* The smallest of what is not zero: up to which size they go, and their going. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "team.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
#define PART 1024            /* entries whose keys are listed at a time */
#define RANGES 32768         /* of sizes, by the upper half of their bits */
#define INFINITE 0x7f800000  /* the bits of infinity; NaN lies above */

typedef struct {
    float *x;
    int64_t n;
} weights_t;

/* The bits of sizes order as the sizes do. */
INLINE int32_t key_of(float value) {
    int32_t bits;
    memcpy(&bits, &value, 4);
    return bits & 0x7fffffff;
}

/* Write the keys in [low, high], in order, and return how many; keys has room for n + LANES. */
static int64_t keys_within(const float *x, int64_t n, int32_t low, int32_t high, int32_t *keys) {
    int64_t found = 0, i = 0;
#if defined(__AVX512F__)
    const __m512i sign = _mm512_set1_epi32(0x7fffffff), least = _mm512_set1_epi32(low), most = _mm512_set1_epi32(high);
    for (; i + LANES <= n; i += LANES) {
        __m512i key = _mm512_and_epi32(_mm512_loadu_si512(x + i), sign);
        __mmask16 inside = _mm512_cmpge_epi32_mask(key, least) & _mm512_cmple_epi32_mask(key, most);
        _mm512_storeu_si512(keys + found, _mm512_maskz_compress_epi32(inside, key));
        found += __builtin_popcount(inside);
    }
#endif
    for (; i < n; i++) {
        int32_t key = keys[found] = key_of(x[i]);
        found += (key >= low) & (key <= high);
    }
    return found;
}

/* The first place at which the counts, added up, reach rank; what lies below it is taken off the rank. */
INLINE int32_t descend(const int64_t *counts, int64_t *rank) {
    int32_t place = 0;
    for (; counts[place] < *rank; place++) *rank -= counts[place];
    return place;
}

/* Narrow a list of keys down to those whose bits from shift on are those of the rank-th smallest. */
static int64_t narrow_down(int32_t *keys, int64_t n, int shift, int64_t *rank) {
    int64_t counts[256] = {0}, left = 0;
    for (int64_t i = 0; i < n; i++) counts[keys[i] >> shift & 255]++;
    int32_t digit = descend(counts, rank);
    for (int64_t i = 0; i < n; i++) {
        int32_t key = keys[left] = keys[i];
        left += (key >> shift & 255) == digit;
    }
    return left;
}

/* The keys of all entries whose upper half is that of the rank-th smallest, in a list to be freed; NULL: no memory. */
static int32_t *list(const weights_t *rows, int64_t count, int32_t upper, int64_t n) {
    int32_t *keys = malloc(sizeof(int32_t) * (size_t)(n + PART + LANES)), *next = keys;
    for (int64_t r = 0; keys && r < count; r++)
        for (int64_t i = 0; i < rows[r].n; i += PART) {
            int64_t part = rows[r].n - i < PART ? rows[r].n - i : PART;
            next += keys_within(rows[r].x + i, part, upper << 16 | (upper == 0), upper << 16 | 0xffff, next);
        }
    return keys;
}

/*
 * Count what is not zero, alive, and where that is more than `keep` find the size of the largest that has to go.
 * Returns how many of that very size stay; -1 when one is NaN, -2 when memory is short.
 */
EXPORT int64_t prunus_edge(const weights_t *rows, int64_t count, int64_t keep, int64_t *alive, float *size) {
    int64_t *counts = calloc(RANGES, sizeof(int64_t));
    if (!counts) return -2;
    int32_t part[PART + LANES], largest = 0;
    *alive = 0;
    for (int64_t r = 0; r < count; r++)
        for (int64_t i = 0; i < rows[r].n; i += PART) {
            int64_t n = keys_within(rows[r].x + i, rows[r].n - i < PART ? rows[r].n - i : PART, 1, INT32_MAX, part);
            *alive += n;
            for (int64_t j = 0; j < n; j++) {
                counts[part[j] >> 16]++;
                if (part[j] > largest) largest = part[j];
            }
        }
    int64_t drop = *alive - keep, n = 0;
    int32_t upper = drop > 0 ? descend(counts, &drop) : 0;
    n = counts[upper];
    free(counts);
    if (drop <= 0) return 0;
    if (largest > INFINITE) return -1;
    int32_t *keys = list(rows, count, upper, n);
    if (!keys) return -2;
    n = narrow_down(keys, n, 8, &drop);
    n = narrow_down(keys, n, 0, &drop);
    memcpy(size, keys, 4);
    free(keys);
    return n - drop;
}

INLINE float within(float v, float length) { return v > length ? length : v < -length ? -length : v; }

/* Set to zero what is not larger than size, and move its dual to within length of zero; the first `stay` of that very
   size stay. Returns how many are then left to stay. */
EXPORT int64_t prunus_drop(float *restrict x, float *restrict dual, int64_t n, float size, int64_t stay, float length) {
    for (int64_t start = 0; start < n; start += LANES) {
        int64_t end = start + LANES < n ? start + LANES : n;
        int32_t small = 0, ties = 0;
#pragma omp simd reduction(| : small, ties)
        for (int64_t i = start; i < end; i++) {
            small |= (fabsf(x[i]) <= size) & (x[i] != 0.0f);
            ties |= fabsf(x[i]) == size;
        }
        if (!small) continue;
        if (ties && stay) {
            for (int64_t i = start; i < end; i++) {
                if (!(fabsf(x[i]) <= size) || x[i] == 0.0f) continue; /* NaN is not for dropping */
                if (fabsf(x[i]) == size && stay && stay--) continue;
                x[i] = 0.0f, dual[i] = within(dual[i], length);
            }
            continue;
        }
#pragma GCC ivdep
        for (int64_t i = start; i < end; i++) {
            int goes = (fabsf(x[i]) <= size) & (x[i] != 0.0f);
            float v = dual[i], inside = within(v, length);
            dual[i] = goes ? inside : v;
            x[i] = goes ? 0.0f : x[i];
        }
    }
    return stay;
}
