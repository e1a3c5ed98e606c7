// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names of directories, sorted, in pieces: see layer.h.
 *
 * Theory of operation. Names are gathered until the budget is used up; then the upper half is dropped, and no name
 * above what is left is taken any more. What was dropped is found again by reading the directories once more for the
 * next piece. So the memory is bounded whatever a directory holds, at the price of a reading for every piece.
 */
#include "layer/layer.h"

#include "base/cleanup.h"

#include <string.h>

/* Names lie one behind the other in chunks: an allocation each would cost more. */
#define CHUNK_FIRST ((size_t)2 << 10)
#define CHUNK_MOST ((size_t)64 << 10)

struct names_chunk {
        struct names_chunk *next;
        size_t size, used;
        char names[];
};

/* A name with the first bytes in which it can differ from the others, so that most comparisons are one of numbers. */
struct keyed {
        uint64_t key;
        char *name;
};

static int by_key(const void *a, const void *b)
{
        const struct keyed *x = a, *y = b;
        return x->key != y->key ? x->key < y->key ? -1 : 1 : strcmp(x->name, y->name);
}

/* How many bytes at the beginning all names share. */
static size_t shared_length(const struct names *n)
{
        size_t shared = strlen(n->items[0]);
        for (size_t i = 1; i < n->count && shared; i++) {
                size_t same = 0;
                while (same < shared && n->items[i][same] == n->items[0][same])
                        same++;
                shared = same;
        }
        return shared;
}

static size_t cost(const char *name)
{
        return strlen(name) + 1 + sizeof name;
}

static void sort_unique(struct names *n)
{
        if (n->count < 2)
                return;
        size_t shared = shared_length(n);
        cleanup_free struct keyed *sorted = memory_grow(NULL, n->count, sizeof *sorted);
        for (size_t i = 0; i < n->count; i++) {
                const unsigned char *p = (const unsigned char *)n->items[i] + shared;
                sorted[i] = (struct keyed){.name = n->items[i]};
                for (int shift = 56; shift >= 0 && *p; shift -= 8)
                        sorted[i].key |= (uint64_t)*p++ << shift;
        }
        qsort(sorted, n->count, sizeof *sorted, by_key);
        size_t kept = 0;
        for (size_t i = 0; i < n->count; i++) {
                if (kept && by_key(&sorted[i], &sorted[i - 1]) == 0)
                        n->bytes -= cost(sorted[i].name);
                else
                        n->items[kept++] = sorted[i].name;
        }
        n->count = kept;
}

static char *keep(struct names *n, const char *name)
{
        size_t size = strlen(name) + 1;
        if (!n->chunks || n->chunks->used + size > n->chunks->size) {
                size_t fresh = !n->chunks                     ? CHUNK_FIRST
                               : n->chunks->size < CHUNK_MOST ? n->chunks->size * 4
                                                              : CHUNK_MOST;
                fresh = fresh < size ? size : fresh;
                struct names_chunk *chunk = memory_grow(NULL, 1, sizeof *chunk + fresh);
                *chunk = (struct names_chunk){.next = n->chunks, .size = fresh};
                n->chunks = chunk;
        }
        char *kept = n->chunks->names + n->chunks->used;
        memcpy(kept, name, size);
        n->chunks->used += size;
        n->bytes += cost(name);
        return kept;
}

static void free_chunks(struct names_chunk *chunk)
{
        while (chunk) {
                struct names_chunk *next = chunk->next;
                free(chunk);
                chunk = next;
        }
}

static void drop_upper_half(struct names *n)
{
        sort_unique(n);
        size_t half = n->count > 1 ? n->count / 2 : 1;
        if (n->count <= half)
                return;
        free(n->limit);
        n->limit = memory_string(n->items[half]);
        struct names_chunk *all = n->chunks;
        n->chunks = NULL;
        n->bytes = 0;
        n->count = half;
        for (size_t i = 0; i < half; i++)
                n->items[i] = keep(n, n->items[i]);
        free_chunks(all);
}

static void take(void *context, const char *name)
{
        struct names *n = context;
        if ((n->last && strcmp(name, n->last) <= 0) || (n->limit && strcmp(name, n->limit) >= 0))
                return;
        *vector_add(n->items, n->count, n->capacity) = keep(n, name);
        if (n->bytes > n->budget)
                drop_upper_half(n);
}

int names_next(struct names *n, const int *dirs, size_t count)
{
        if (n->done)
                return 0;
        if (!n->budget)
                n->budget = NAMES_BUDGET;
        if (n->count) {
                free(n->last);
                n->last = memory_string(n->items[n->count - 1]);
        }
        n->count = n->bytes = 0;
        free_chunks(n->chunks);
        n->chunks = NULL;
        free(n->limit);
        n->limit = NULL;
        for (size_t i = 0; i < count; i++) {
                int result = files_names(dirs[i], take, n);
                if (result < 0)
                        return result;
        }
        sort_unique(n);
        n->done = !n->limit;
        return 1;
}

void names_clear(struct names *n)
{
        free_chunks(n->chunks);
        free(n->items);
        free(n->last);
        free(n->limit);
        *n = (struct names){0};
}
