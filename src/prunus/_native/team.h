/* Sharing work among threads: the pool is torch's own, handed over as a function, so no second one fights it. */
#ifndef PRUNUS_TEAM_H
#define PRUNUS_TEAM_H

#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

/* The signature of GOMP_parallel: run a function on so many threads of the caller's team. */
typedef void (*team_t)(void (*)(void *), void *, unsigned, unsigned);
typedef void (*task_t)(void *work, int64_t index);

typedef struct {
    task_t task;
    void *work;
    int64_t count, next;
} queue_t;

static void drain(void *arg) {
    queue_t *queue = arg;
    int64_t index;
    while ((index = __atomic_fetch_add(&queue->next, 1, __ATOMIC_RELAXED)) < queue->count)
        queue->task(queue->work, index);
}

/* Run task(work, 0 .. count - 1); which thread takes which is left open, so a task must not depend on it. */
static inline void spread(task_t task, void *work, int64_t count, team_t team, int64_t threads) {
    queue_t queue = {task, work, count, 0};
    if (threads > count) threads = count;
    if (team && threads > 1)
        team(drain, &queue, (unsigned)threads, 0);
    else
        drain(&queue);
}

/* The last row of a rising table of first tasks that is not beyond index. */
static inline int64_t owner(const int64_t *first, int64_t rows, int64_t index) {
    int64_t low = 0, high = rows;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        if (first[middle] <= index) low = middle; else high = middle;
    }
    return low;
}

#endif
