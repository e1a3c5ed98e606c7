// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Names of directories, sorted, in pieces: see layer.h.
 *
 * Theory of operation. Names are gathered until the budget is used up; then the upper half is dropped, and no name above what
 * is left is taken any more. What was dropped is found again by reading the directories once more for the next piece. So the
 * memory is bounded whatever a directory holds, at the price of a reading for every piece.
 */
#include "layer/layer.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

static int by_bytes(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct names *n)
{
        if (n->count < 2)
                return;
        qsort(n->items, n->count, sizeof *n->items, by_bytes);
        size_t kept = 1;
        for (size_t i = 1; i < n->count; i++) {
                if (strcmp(n->items[i], n->items[kept - 1]) == 0) {
                        n->bytes -= strlen(n->items[i]) + 1;
                        free(n->items[i]);
                } else {
                        n->items[kept++] = n->items[i];
                }
        }
        n->count = kept;
}

static void drop_upper_half(struct names *n)
{
        sort_unique(n);
        size_t keep = n->count > 1 ? n->count / 2 : 1;
        if (n->count <= keep)
                return;
        free(n->limit);
        n->limit = memory_string(n->items[keep]);
        while (n->count > keep) {
                char *name = n->items[--n->count];
                n->bytes -= strlen(name) + 1;
                free(name);
        }
}

static void take(struct names *n, const char *name)
{
        if ((n->last && strcmp(name, n->last) <= 0) || (n->limit && strcmp(name, n->limit) >= 0))
                return;
        *vector_add(n->items, n->count, n->capacity) = memory_string(name);
        n->bytes += strlen(name) + 1;
        if (n->bytes > n->budget)
                drop_upper_half(n);
}

static void forget(struct names *n)
{
        while (n->count)
                free(n->items[--n->count]);
        n->bytes = 0;
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
        forget(n);
        free(n->limit);
        n->limit = NULL;
        for (size_t i = 0; i < count; i++) {
                int copy = openat(dirs[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
                if (!dir) {
                        int code = errno;
                        if (copy >= 0)
                                close(copy);
                        return -code;
                }
                struct dirent *entry;
                errno = 0;
                while ((entry = readdir(dir))) {
                        const char *name = entry->d_name;
                        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
                                take(n, name);
                }
                if (errno)
                        return -errno;
        }
        sort_unique(n);
        n->done = !n->limit;
        return 1;
}

void names_clear(struct names *n)
{
        forget(n);
        free(n->items);
        free(n->last);
        free(n->limit);
        *n = (struct names){0};
}
