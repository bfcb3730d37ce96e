/* Optimizer steps over many tensors in one call: moments, dual, proximal map and count in one pass over memory. */
#include "block.h"
#include "team.h"
#include <stdlib.h>

#define TASK 15360 /* entries a task, where groups allow; 32 blocks */
#define SUMS 2048  /* sums that a task holds on its stack */
#define TURNS 2560 /* groups that take turns, up to which they are added up in single precision first: half a cache */
#define FEW 32     /* squares that are added up in single precision before their sum goes into a double */
#define NEAR 480   /* entries of small groups that are taken together: few enough that memory works on meanwhile */
#define WHOLE 262144 /* entries up to which groups that interleave are one task's work; larger ones are shared */

/* One tensor in memory order: [outer, between, groups, inner], its groups numbered by outer and groups. */
typedef struct {
    void *weight;
    const void *grad;
    float *dual, *first, *second;
    int64_t count, prox, outer, between, groups, inner;
} tensor_t;

typedef struct {
    double price, inverse, rate;
} scalars_t;

typedef struct {
    enum prox prox;
    own_t own;
    lay_t lay;
    int64_t slice, bundle, chunk, chunks; /* entries a slice; slices a task; or a slice is shared: cut in chunks */
    double *partial;                      /* chunks times groups, where a slice is shared */
    float *factors;                       /* groups of each slice, where they do not fit on the stack */
} plan_t;

typedef struct {
    const tensor_t *tensors;
    plan_t *plans;
    int64_t *first, *alive;
    int64_t count, narrow_weight, narrow_grad, stream;
    enum rule rule;
    numbers_t k;
} step_t;

/* Room on the stack of one task. */
typedef struct {
    float grad[BLOCK], weight[BLOCK], out[BLOCK], sums[TURNS];
} __attribute__((aligned(64))) room_t;

static float *at(float *base, int64_t start) { return base ? base + start : base; }

/* Advance one block; where the result is the weight (not GROUPED), write it and return how many are not zero. */
static int64_t block(const step_t *s, int64_t i, enum prox prox, int64_t start, int64_t n, room_t *room) {
    const tensor_t *t = s->tensors + i;
    float *weight = (float *)t->weight + start, *x = at(t->dual, start), *out = weight;
    const float *grad = (const float *)t->grad + start;
    uint16_t *small = (uint16_t *)t->weight + start;
    if (s->narrow_weight && (s->k.decay != 0 || s->rule == PROXSGD)) widen(small, weight = room->weight, n);
    if (s->narrow_grad) widen((const uint16_t *)t->grad + start, room->grad, n), grad = room->grad;
    if (s->k.decay != 0) {
        for (int64_t j = 0; j < n; j++) room->grad[j] = grad[j] + s->k.decay * weight[j];
        grad = room->grad;
    }
    if (s->rule == PROXSGD) x = out = weight;
    int past = s->stream && s->rule != PROXSGD;
    if ((s->narrow_weight && s->rule != PROXSGD) || past) out = room->out;
    float *m1 = at(t->first, start), *m2 = at(t->second, start);
    int64_t alive = advance(s->rule, prox, &s->k, s->plans[i].own, grad, x, m1, m2, out, n);
    if (prox == GROUPED) return 0;
    if (past) stream(out, (float *)t->weight + start, n);
    if (!s->narrow_weight) return alive;
    narrow(out, small, n);
    widen(small, room->out, n);
    return living(room->out, n);
}

/* Write the weights of one block of grouped entries; position p is that inside its slice. */
static int64_t settle(const step_t *s, int64_t i, int64_t start, int64_t n, int64_t p, const float *factors,
                      room_t *room) {
    const tensor_t *t = s->tensors + i;
    float *weight = (float *)t->weight + start;
    const float *x = s->rule == PROXSGD ? weight : t->dual + start;
    int past = s->stream && s->rule != PROXSGD;
    float *out = s->narrow_weight || past ? room->out : weight;
    int64_t alive = scale(x, out, n, p, s->plans[i].lay, s->k.delta, factors);
    if (past) stream(out, weight, n);
    if (!s->narrow_weight) return alive;
    narrow(out, (uint16_t *)t->weight + start, n);
    widen((uint16_t *)t->weight + start, out, n);
    return living(out, n);
}


#define EACH_BLOCK(p, from, to) \
    for (int64_t p = from, n; n = to - p < BLOCK ? to - p : BLOCK, p < to; p += BLOCK)

/* Move the entries [from, to) of a slice that begins at start, and add up their squares. */
static void gather(const step_t *s, int64_t i, int64_t start, int64_t from, int64_t to, double *sums, room_t *room) {
    const tensor_t *t = s->tensors + i;
    const float *x = s->rule == PROXSGD ? t->weight : t->dual;
    const lay_t lay = s->plans[i].lay;
    const int turns = lay.inner == 1 && lay.groups > 1 && lay.groups <= TURNS;
    int64_t since = 0;
    if (turns) memset(room->sums, 0, sizeof(float) * (size_t)lay.groups);
    EACH_BLOCK(p, from, to) {
        block(s, i, GROUPED, start + p, n, room);
        if (!turns) {
            add_squares(x + start + p, n, p, lay, s->k.delta, sums);
        } else {
            add_turns(x + start + p, n, p, lay.groups, s->k.delta, room->sums);
            since += n;
            if (since >= FEW * lay.groups) flush(room->sums, lay.groups, sums), since = 0;
        }
    }
    if (since) flush(room->sums, lay.groups, sums);
}

static int64_t scatter(const step_t *s, int64_t i, int64_t start, int64_t from, int64_t to, const float *factors,
                       room_t *room) {
    int64_t alive = 0;
    EACH_BLOCK(p, from, to) alive += settle(s, i, start + p, n, p, factors, room);
    return alive;
}

static void note(const step_t *s, int64_t i, int64_t alive) {
    end_of_stream();
    if (s->alive) __atomic_fetch_add(s->alive + i, alive, __ATOMIC_RELAXED);
}

/* One task of the tensors whose slices are not shared. */
static void work(void *arg, int64_t index) {
    const step_t *s = arg;
    int64_t i = owner(s->first, s->count, index), alive = 0, task = index - s->first[i];
    const tensor_t *t = s->tensors + i;
    const plan_t *plan = s->plans + i;
    room_t room;
    if (plan->prox != GROUPED) {
        int64_t start = task * TASK, end = start + TASK < t->count ? start + TASK : t->count;
        EACH_BLOCK(p, start, end) alive += block(s, i, plan->prox, p, n, &room);
    } else {
        const int64_t groups = plan->lay.groups;
        double few[SUMS], *sums = groups <= SUMS ? few : plan->partial + task * groups;
        float *factors = groups <= TURNS ? room.sums : plan->factors + task * groups;
        int64_t start = task * plan->bundle * plan->slice, end = start + plan->bundle * plan->slice;
        if (end > t->count) end = t->count;
        for (; start < end; start += plan->slice) {
            int64_t size = end - start < plan->slice ? end - start : plan->slice;
            memset(sums, 0, sizeof(double) * (size_t)groups);
            gather(s, i, start, 0, size, sums, &room);
            to_factors(sums, factors, plan->lay, plan->own.threshold);
            alive += scatter(s, i, start, 0, size, factors, &room);
        }
    }
    note(s, i, alive);
}

/* A tensor whose slices are shared by tasks. */
typedef struct {
    const step_t *s;
    int64_t i;
} shared_t;

static int64_t end_of(const plan_t *plan, int64_t from) {
    return from + plan->chunk < plan->slice ? from + plan->chunk : plan->slice;
}

/* First pass: move one chunk and add up its squares. */
static void collect(void *arg, int64_t task) {
    const shared_t *of = arg;
    const plan_t *plan = of->s->plans + of->i;
    int64_t start = task / plan->chunks * plan->slice, from = task % plan->chunks * plan->chunk;
    room_t room;
    gather(of->s, of->i, start, from, end_of(plan, from), plan->partial + task * plan->lay.groups, &room);
}

/* Second pass: write the weights of one chunk. */
static void finish(void *arg, int64_t task) {
    const shared_t *of = arg;
    const plan_t *plan = of->s->plans + of->i;
    int64_t slice = task / plan->chunks, from = task % plan->chunks * plan->chunk;
    const float *factors = plan->factors + slice * plan->lay.groups;
    room_t room;
    note(of->s, of->i, scatter(of->s, of->i, slice * plan->slice, from, end_of(plan, from), factors, &room));
}

/* Add up the shares of every slice into those of its first chunk, and turn them into factors. */
static void join(const plan_t *plan, int64_t slices) {
    const int64_t groups = plan->lay.groups;
    for (int64_t slice = 0; slice < slices; slice++) {
        double *sums = plan->partial + slice * plan->chunks * groups;
        for (int64_t chunk = 1; chunk < plan->chunks; chunk++)
            for (int64_t g = 0; g < groups; g++) sums[g] += sums[chunk * groups + g];
        to_factors(sums, plan->factors + slice * groups, plan->lay, plan->own.threshold);
    }
}

/* One tensor after the other, since the second pass over it reads what the first has just written. */
static void share(const step_t *s, team_t team, int64_t threads) {
    for (int64_t i = 0; i < s->count; i++) {
        const plan_t *plan = s->plans + i;
        if (!plan->chunks) continue;
        int64_t slices = s->tensors[i].count / plan->slice;
        shared_t shared = {s, i};
        spread(collect, &shared, slices * plan->chunks, team, threads);
        join(plan, slices);
        spread(finish, &shared, slices * plan->chunks, team, threads);
    }
}

/*
 * Decide how one tensor is cut; return how many tasks that makes, none where its slices are shared, and say how many
 * sums and factors it needs outside the stack.
 */
static int64_t cut(const tensor_t *t, plan_t *plan, int64_t *sums, int64_t *factors) {
    *sums = *factors = 0;
    if (plan->prox != GROUPED) return (t->count + TASK - 1) / TASK;
    plan->lay = (lay_t){t->groups, t->inner, 1};
    if (t->between >= FEW && t->groups > 1 && t->groups * t->inner <= TURNS)
        plan->lay = (lay_t){t->groups * t->inner, 1, t->inner};
    plan->slice = t->between * t->groups * t->inner;
    if (t->between == 1 && t->groups == 1 && t->inner < NEAR) {
        plan->lay.groups = NEAR / t->inner; /* small groups one after the other: several make a slice */
        if (plan->lay.groups > 16) plan->lay.groups &= ~15; /* slices begin where vectors do */
        plan->slice = plan->lay.groups * t->inner;
        if (plan->slice > t->count) plan->slice = t->count, plan->lay.groups = t->count / t->inner;
    }
    int64_t groups = plan->lay.groups, least = 8 * groups;
    if (plan->slice > WHOLE) {
        int64_t chunk = plan->slice / 16 > 65536 ? plan->slice / 16 : 65536;
        if (chunk < least) chunk = least;
        plan->chunk = (chunk + BLOCK - 1) / BLOCK * BLOCK;
        plan->chunks = (plan->slice + plan->chunk - 1) / plan->chunk;
        *factors = t->count / plan->slice * groups, *sums = *factors * plan->chunks;
        return 0;
    }
    plan->bundle = plan->slice > TASK ? 1 : TASK / plan->slice;
    int64_t tasks = (t->count + plan->bundle * plan->slice - 1) / (plan->bundle * plan->slice);
    *sums = groups > SUMS ? tasks * groups : 0, *factors = groups > TURNS ? tasks * groups : 0;
    return tasks;
}

static own_t own_of(const scalars_t *scalars, double lamda, double prox_scale) {
    double threshold = prox_scale * (lamda * scalars->price);
    return (own_t){(float)scalars->inverse, (float)scalars->rate, (float)threshold};
}

/* Fill the plans; return how many tasks there are besides shared slices, or -1 when memory is short. */
static int64_t prepare(step_t *s, const scalars_t *scalars, double lamda, double prox_scale, int64_t cache,
                       double **spare) {
    int64_t tasks = 0, doubles = 0, floats = 0, sums, factors, count = 0;
    for (int64_t i = 0; i < s->count; i++) {
        plan_t *plan = s->plans + i;
        plan->own = own_of(scalars + i, lamda, prox_scale);
        plan->prox = s->tensors[i].prox == GROUPED && plan->own.threshold == 0 ? PLAIN : s->tensors[i].prox;
        s->first[i] = tasks;
        tasks += cut(s->tensors + i, plan, &sums, &factors);
        doubles += sums, floats += factors;
        count += s->tensors[i].count;
    }
    s->stream = CAN_STREAM && !s->narrow_weight && count * 20 > cache;
    *spare = doubles + floats ? calloc((size_t)(2 * doubles + floats), sizeof(float)) : NULL;
    if (doubles + floats && !*spare) return -1;
    double *free_sums = *spare;
    float *free_factors = (float *)(*spare + doubles);
    for (int64_t i = 0; i < s->count; i++) {
        cut(s->tensors + i, s->plans + i, &sums, &factors);
        s->plans[i].partial = free_sums, free_sums += sums;
        s->plans[i].factors = free_factors, free_factors += factors;
    }
    return tasks;
}

/*
 * numbers: delta, beta1, beta2, eps, lr, momentum, weight decay, lamda, scale of the prox.
 * flags: 1 bfloat16 weights, 2 bfloat16 gradients. cache: bytes of the last one, past which more than that is written.
 * alive: receives how many weights of each tensor are not zero; may be NULL.
 * Returns 0, or -1 when memory is short; nothing has moved then.
 */
EXPORT int64_t prunus_step(const tensor_t *tensors, const scalars_t *scalars, int64_t count, const double *numbers,
                           int64_t rule, int64_t flags, int64_t cache, int64_t *alive, team_t team, int64_t threads) {
    step_t s = {.tensors = tensors, .alive = alive, .count = count, .rule = rule};
    const double *d = numbers;
    s.k = (numbers_t){d[0], d[1], 1 - d[1], d[2], 1 - d[2], d[3], d[4], d[5], (1 - d[5]) * d[4], d[6]};
    s.narrow_weight = flags & 1, s.narrow_grad = flags & 2;
    s.plans = calloc((size_t)count + 1, sizeof(plan_t));
    s.first = calloc((size_t)count + 1, sizeof(int64_t));
    double *sums = NULL;
    int64_t tasks = s.plans && s.first ? prepare(&s, scalars, d[7], d[8], cache, &sums) : -1;
    if (tasks >= 0) {
        if (alive) memset(alive, 0, sizeof(int64_t) * (size_t)count);
        spread(work, &s, tasks, team, threads);
        share(&s, team, threads);
    }
    free(sums), free(s.first), free(s.plans);
    return tasks < 0 ? -1 : 0;
}
