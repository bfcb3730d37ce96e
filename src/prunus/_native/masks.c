/* Enforcing masks: an "and" of each weight's bits with a byte that is all ones or all zeros. */
#include "team.h"

#define PIECE 65536

typedef struct {
    void *weight;
    const int8_t *kept;
    int64_t count, size, first;
} masked_t;

typedef struct {
    masked_t *rows;
    int64_t count;
} masks_t;

#define CLEAR(bits)                                                                          \
    static void clear_##bits(int##bits##_t *weight, const int8_t *kept, int64_t count) {     \
        for (int64_t i = 0; i < count; i++) weight[i] &= (int##bits##_t)kept[i];             \
    }
CLEAR(8)
CLEAR(16)
CLEAR(32)
CLEAR(64)

static void clear_piece(void *work, int64_t index) {
    masks_t *masks = work;
    masked_t *row = masks->rows;
    while (row + 1 < masks->rows + masks->count && row[1].first <= index) row++;
    int64_t start = (index - row->first) * PIECE, count = row->count - start;
    if (count > PIECE) count = PIECE;
    char *weight = (char *)row->weight + start * row->size;
    const int8_t *kept = row->kept + start;
    switch (row->size) {
    case 1: clear_8((int8_t *)weight, kept, count); break;
    case 2: clear_16((int16_t *)weight, kept, count); break;
    case 4: clear_32((int32_t *)weight, kept, count); break;
    default: clear_64((int64_t *)weight, kept, count);
    }
}

/* rows: count times {weight, kept, elements, bytes an element, scratch}. */
EXPORT void prunus_clear(masked_t *rows, int64_t count, team_t team, int64_t threads) {
    masks_t masks = {rows, count};
    int64_t pieces = 0;
    for (int64_t i = 0; i < count; i++) {
        rows[i].first = pieces;
        pieces += (rows[i].count + PIECE - 1) / PIECE;
    }
    spread(clear_piece, &masks, pieces, team, threads);
}
