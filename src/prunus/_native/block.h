/* A block: so few entries that each later pass finds them in the first-level cache, and memory never falls idle. */
#ifndef PRUNUS_BLOCK_H
#define PRUNUS_BLOCK_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#define BLOCK 480
#define INLINE static inline __attribute__((always_inline))

enum rule { ADABREG, LINBREG, MOMENTUM, PROXSGD };
enum prox { PLAIN, SOFT, POSITIVE, GROUPED };

/* What one step has in common, and what is one tensor's own (inverse, rate, threshold). */
typedef struct {
    float delta, beta1, rest1, beta2, rest2, eps, lr, momentum, gain, decay;
} numbers_t;

typedef struct {
    float inverse, rate, threshold;
} own_t;

/*
 * The soft threshold, its half for weights that stay nonnegative, or nothing. Without branches, so that it vectorises;
 * NaN stays NaN, and zeros are +0.0.
 */
INLINE float shrink(enum prox prox, float x, float t) {
    float upper = x > t ? t : x, inside = upper < -t ? -t : upper, over = x - t;
    return prox == SOFT ? x - inside : prox == POSITIVE ? (over < 0.0f ? 0.0f : over) : x;
}

/*
 * Move x, the dual (ProxSGD: the weight itself), by its gradient; unless GROUPED, out receives the new weight, and the
 * result is how many of its entries are not zero.
 */
INLINE int64_t move(enum rule rule, enum prox prox, const numbers_t *k, own_t own, const float *restrict grad,
                    float *restrict x, float *restrict m1, float *restrict m2, float *restrict out, int64_t n) {
    int32_t alive = 0;
    for (int64_t i = 0; i < n; i++) {
        float g = grad[i], v = x[i];
        if (rule == ADABREG) {
            float mean = m1[i] = k->beta1 * m1[i] + k->rest1 * g;
            float square = m2[i] = k->beta2 * m2[i] + k->rest2 * g * g;
            v += own.rate * mean / (sqrtf(square) * own.inverse + k->eps);
        } else if (rule == MOMENTUM) {
            v -= m1[i] = k->momentum * m1[i] + k->gain * g;
        } else {
            v -= k->lr * g;
        }
        if (rule != PROXSGD || prox == GROUPED) x[i] = v;
        if (prox == GROUPED) continue;
        float w = shrink(prox, rule == PROXSGD ? v : k->delta * v, own.threshold);
        alive += w != 0.0f;
        if (rule == PROXSGD) x[i] = w; else out[i] = w;
    }
    return alive;
}

#define CASE(rule, prox) \
    case rule * 4 + prox: return move(rule, prox, k, own, grad, x, m1, m2, out, n);
#define CASES(rule) CASE(rule, PLAIN) CASE(rule, SOFT) CASE(rule, POSITIVE) CASE(rule, GROUPED)

static int64_t advance(enum rule rule, enum prox prox, const numbers_t *k, own_t own, const float *grad, float *x,
                       float *m1, float *m2, float *out, int64_t n) {
    switch (rule * 4 + prox) { CASES(ADABREG) CASES(LINBREG) CASES(MOMENTUM) CASES(PROXSGD) }
    return 0;
}

/*
 * Groups of a run of memory: position p belongs to group (p / inner) % groups. Where short runs take turns, every place
 * of a run counts as a group until all squares are added up; then `fold` neighbours are one.
 */
typedef struct {
    int64_t groups, inner, fold;
} lay_t;

/* Sixteen sums at once, in an order that does not depend on the width of the machine's vectors. */
static double dot(const float *x, int64_t n, float delta) {
    float lanes[16] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) {
            float u = delta * x[i + j];
            lanes[j] += u * u;
        }
    for (; i < n; i++) rest += delta * x[i] * (delta * x[i]);
    double sum = rest;
    for (int j = 0; j < 16; j++) sum += lanes[j];
    return sum;
}

typedef float lanes_t __attribute__((vector_size(32)));
typedef int32_t bits_t __attribute__((vector_size(32)));

#if defined(__clang__)
#define EVENS(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODDS(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#else
#define EVENS(a, b) __builtin_shuffle(a, b, (bits_t){0, 2, 4, 6, 8, 10, 12, 14})
#define ODDS(a, b) __builtin_shuffle(a, b, (bits_t){1, 3, 5, 7, 9, 11, 13, 15})
#endif
#define PAIRS(a, b) (EVENS(a, b) + ODDS(a, b))

/* Fold a run of few entries into eight lanes; what is read past its end is masked out. */
INLINE lanes_t fold(const float *x, int64_t size, bits_t last) {
    lanes_t sum = {0}, next;
    for (; size > 8; size -= 8, x += 8) memcpy(&next, x, sizeof next), sum += next;
    memcpy(&next, x, sizeof next);
    return sum + (lanes_t)((bits_t)next & last);
}

/* Add up runs of few entries that lie one after the other, eight at a time; 64 readable entries must follow. */
INLINE void add_runs(const float *x, int64_t runs, int64_t size, double *sums) {
    bits_t last;
    for (int j = 0; j < 8; j++) last[j] = j < (size - 1) % 8 + 1 ? -1 : 0;
    for (int64_t g = 0; g < runs; g += 8, x += 8 * size) {
        lanes_t run[8] = {{0}};
        int64_t some = runs - g < 8 ? runs - g : 8;
        if (some == 8)
            for (int j = 0; j < 8; j++) run[j] = fold(x + j * size, size, last);
        else
            for (int j = 0; j < some; j++) run[j] = fold(x + j * size, size, last);
        lanes_t one = PAIRS(PAIRS(run[0], run[1]), PAIRS(run[2], run[3]));
        lanes_t two = PAIRS(PAIRS(run[4], run[5]), PAIRS(run[6], run[7])), all = PAIRS(one, two);
        for (int j = 0; j < some; j++) sums[g + j] += all[j];
    }
}

/* Add the squares of delta * x, one block that begins at position p, to the sums of groups that take turns. */
static void add_turns(const float *x, int64_t n, int64_t p, int64_t groups, float delta, float *sums) {
    for (int64_t g = p % groups, run; n > 0; x += run, n -= run, g = 0) {
        run = n < groups - g ? n : groups - g;
        for (int64_t i = 0; i < run; i++) sums[g + i] += delta * x[i] * (delta * x[i]);
    }
}

static void flush(float *from, int64_t groups, double *to) {
    for (int64_t g = 0; g < groups; g++) to[g] += from[g], from[g] = 0;
}

/* Add the squares of delta * x, one block that begins at position p, to the sums of their groups. */
static void add_squares(const float *x, int64_t n, int64_t p, lay_t lay, float delta, double *sums) {
    if (lay.groups == 1) {
        sums[0] += dot(x, n, delta);
        return;
    }
    float squares[BLOCK + 64], *next = squares, *end = squares + n;
    for (int64_t i = 0; i < n; i++) squares[i] = delta * x[i] * (delta * x[i]);
    int64_t g = p / lay.inner % lay.groups, left = lay.inner - p % lay.inner;
    while (next < end) {
        int64_t run = end - next < left ? end - next : left, whole = (end - next) / lay.inner;
        if (whole > lay.groups - g) whole = lay.groups - g;
        if (run < lay.inner) whole = 0; /* the rest of a group, or its beginning */
        if (whole == 0) add_runs(next, 1, run, sums + g);
        else if (lay.inner == 1) for (int64_t i = 0; i < whole; i++) sums[g + i] += next[i];
        else if (lay.inner == 9) add_runs(next, whole, 9, sums + g);
        else if (lay.inner < 64) add_runs(next, whole, lay.inner, sums + g);
        else sums[g] += dot(x + (next - squares), lay.inner, delta), whole = 1;
        next += whole ? whole * lay.inner : run;
        g += whole ? whole : run == left;
        left = whole || run == left ? lay.inner : left - run;
        if (g == lay.groups) g = 0;
    }
}

/* Write to each entry of a block that begins at position p the factor of its group; room for 16 more is needed. */
static void repeat(const float *restrict factors, float *restrict to, int64_t n, int64_t p, lay_t lay) {
    int64_t g = p / lay.inner % lay.groups, left = lay.inner - p % lay.inner;
    for (float *end = to + n; to < end; to += left, left = lay.inner) {
        float factor = factors[g];
        int64_t fill = left < end - to ? left : end - to;
        for (int64_t i = 0; i < fill; i += 16)
            for (int j = 0; j < 16; j++) to[i + j] = factor; /* what is too much, the next group overwrites */
        g = g + 1 == lay.groups ? 0 : g + 1;
    }
}

INLINE int64_t scale_run(const float *x, float *out, int64_t n, float delta, float factor) {
    int32_t alive = 0;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
        float w = delta * x[i] * factor + 0.0f;
        alive += w != 0.0f;
        out[i] = w;
    }
    return alive;
}

INLINE int64_t scale_each(const float *x, float *out, int64_t n, float delta, const float *factors) {
    int32_t alive = 0;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
        float w = delta * x[i] * factors[i] + 0.0f;
        alive += w != 0.0f;
        out[i] = w;
    }
    return alive;
}

/* Groups that take turns lie as their factors do. */
static int64_t scale_turns(const float *x, float *out, int64_t n, int64_t p, int64_t groups, float delta,
                           const float *factors) {
    int64_t alive = 0;
    for (int64_t g = p % groups, run; n > 0; x += run, out += run, n -= run, g = 0) {
        run = n < groups - g ? n : groups - g;
        alive += scale_each(x, out, run, delta, factors + g);
    }
    return alive;
}

/* Long runs need no factor for each entry. */
static int64_t scale_runs(const float *x, float *out, int64_t n, int64_t p, lay_t lay, float delta,
                          const float *factors) {
    int64_t g = p / lay.inner % lay.groups, left = lay.inner - p % lay.inner, alive = 0;
    for (int64_t run; n > 0; x += run, out += run, n -= run, left = lay.inner) {
        run = n < left ? n : left;
        alive += scale_run(x, out, run, delta, factors[g]);
        g = g + 1 == lay.groups ? 0 : g + 1;
    }
    return alive;
}

/* out = delta * x times the factor of its group, +0.0 where that is zero; returns how many entries are not. */
static int64_t scale(const float *x, float *out, int64_t n, int64_t p, lay_t lay, float delta, const float *factors) {
    if (lay.groups == 1) return scale_run(x, out, n, delta, factors[0]);
    if (lay.inner == 1) return scale_turns(x, out, n, p, lay.groups, delta, factors);
    if (lay.inner >= 64) return scale_runs(x, out, n, p, lay, delta, factors);
    float all[BLOCK + 16];
    repeat(factors, all, n, p, lay);
    return scale_each(x, out, n, delta, all);
}

/* max(0, 1 - t / norm): exactly 0 up to the threshold; NaN stays NaN. */
INLINE float factor_of(double sum, float threshold) {
    float norm = sqrtf((float)sum), factor = 1.0f - threshold / norm;
    return norm <= threshold ? 0.0f : factor;
}

static void to_factors(const double *restrict sums, float *restrict factors, lay_t lay, float threshold) {
    if (lay.fold == 1) {
        for (int64_t g = 0; g < lay.groups; g++) factors[g] = factor_of(sums[g], threshold);
        return;
    }
    for (int64_t g = 0; g < lay.groups; g += lay.fold) {
        double sum = sums[g];
        for (int64_t j = 1; j < lay.fold; j++) sum += sums[g + j];
        float factor = factor_of(sum, threshold);
        for (int64_t j = 0; j < lay.fold; j++) factors[g + j] = factor;
    }
}

static int64_t living(const float *x, int64_t n) {
    int32_t alive = 0;
    for (int64_t i = 0; i < n; i++) alive += x[i] != 0.0f;
    return alive;
}

static void widen(const uint16_t *from, float *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(to + i, &bits, 4);
    }
}

/* To bfloat16, to the nearest, ties to even. */
static void narrow(const float *from, uint16_t *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + i, 4);
        uint32_t near = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        to[i] = from[i] == from[i] ? (uint16_t)near : 0x7fc0;
    }
}

/* Write past the caches: what is only written need not be read first, which saves one pass over memory. */
#if defined(__AVX512F__)
#define LINE 16
#define STREAM(to, from) _mm512_stream_ps(to, _mm512_loadu_ps(from))
#elif defined(__AVX__)
#define LINE 8
#define STREAM(to, from) _mm256_stream_ps(to, _mm256_loadu_ps(from))
#elif defined(__SSE__)
#define LINE 4
#define STREAM(to, from) _mm_stream_ps(to, _mm_loadu_ps(from))
#else
#define LINE 1
#define STREAM(to, from) *(to) = *(from)
#endif
#define CAN_STREAM (LINE > 1)

static void stream(const float *from, float *to, int64_t n) {
    int64_t i = 0, head = (int64_t)(-(uintptr_t)to % (4 * LINE)) / 4;
    for (; i < head && i < n; i++) to[i] = from[i];
    for (; i + LINE <= n; i += LINE) STREAM(to + i, from + i);
    for (; i < n; i++) to[i] = from[i];
}

INLINE void end_of_stream(void) {
#if LINE > 1
    _mm_sfence();
#endif
}

#endif
