// SPDX-License-Identifier: GPL-3.0-or-later
/* Lists what a walk through a tree comes to next: see ahead.h. */
#include "host/linux/ahead.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH 24         /* a walk goes down so far */
#define SIDE_BY_SIDE 4096 /* directories in one that it goes through */
#define DEVICE(ino) ((ino) >> 48)
#define ENTRIES (256 << 10) /* bytes; since Linux 6.17 one request brings as much */
#define ENTRIES_LIMIT (1 << 20) /* a directory of more than about 30,000 is not worth it */

struct kernel_dirent { /* linux_dirent64 of getdents64(2) */
        uint64_t ino;
        int64_t next;
        unsigned short length;
        unsigned char type;
        char name[];
};

struct names {
        char **list;
        size_t count, capacity;
};

static void names_clear(struct names *names)
{
        for (size_t i = 0; i < names->count; i++)
                free(names->list[i]);
        free(names->list);
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists the directory `fd`, and gathers the directories in it. Returns how many entries it has. */
static long list(const struct ahead *a, int fd, struct names *below)
{
        long count = 0, all = 0, got;
        for (; all < ENTRIES_LIMIT && (got = syscall(SYS_getdents64, fd, a->room, ENTRIES)) > 0; all += got) {
                for (long i = 0; i < got; count++) {
                        const struct kernel_dirent *entry = (const void *)(a->room + i);
                        i += entry->length;
                        if (entry->type == DT_DIR && below->count < SIDE_BY_SIDE && DEVICE(entry->ino) == a->device &&
                            strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
                                *vector_add(below->list, below->count, below->capacity) = memory_string(entry->name);
                }
        }
        if (a->by_name && below->count)
                qsort(below->list, below->count, sizeof *below->list, compare);
        return count;
}

/* Lists `name` in the directory `at`, and what is below it. Returns false when it is enough. */
static bool tree(struct ahead *a, int at, const char *name, int depth)
{
        if (a->names <= 0 || !a->go_on(a))
                return false;
        cleanup_close int fd = kernel_open_below(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (fd < 0)
                return true;
        struct names below = {0};
        a->names -= list(a, fd, &below);
        bool more = a->names > 0;
        for (size_t i = 0; more && depth < DEPTH && i < below.count; i++)
                more = tree(a, fd, below.list[i], depth + 1);
        names_clear(&below);
        return more;
}

/* Where in the list `name` is; the end of the list if it is not there. */
static size_t find(const struct names *names, const char *name)
{
        size_t i = 0;
        while (i < names->count && strcmp(names->list[i], name) != 0)
                i++;
        return i;
}

/* Lists what comes after the directory `name` in `path` that lies above it. */
static bool after(struct ahead *a, const char *path, const char *name)
{
        cleanup_close int fd = kernel_open_below(a->root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (fd < 0)
                return false;
        struct names beside = {0};
        list(a, fd, &beside); /* which the kernel knows */
        bool more = true;
        a->above = path;
        for (size_t i = find(&beside, name) + 1; more && i < beside.count; i++) {
                more = tree(a, fd, beside.list[i], 0);
                if (!a->caught)
                        continue;
                /* It lists the next one while we would: the one after that. */
                size_t there = find(&beside, a->caught);
                free(a->caught);
                a->caught = NULL;
                if (there >= i)
                        i = there + 1;
        }
        a->above = NULL;
        names_clear(&beside);
        return more;
}

bool ahead_catch_up(struct ahead *a, const char *path, long names)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        size_t length = slash ? (size_t)(slash - path) : 0;
        if (!a->above || strncmp(a->above, path, length) != 0 || a->above[length])
                return false;
        free(a->caught);
        a->caught = memory_string(name);
        a->names = names;
        return true;
}

void ahead_walk(struct ahead *a, const char *path)
{
        cleanup_free char *above = memory_string(path), *room = memory_new(ENTRIES);
        cleanup_close int first = kernel_open_below(a->root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
        struct stat st;
        if (first < 0 || fstat(first, &st) < 0)
                return;
        a->room = room;
        a->device = DEVICE(st.st_ino);
        bool more = !a->by_name || tree(a, a->root, path, 0);
        for (int i = 0; more && i < a->up && strcmp(above, ".") != 0 && *above; i++) {
                char *slash = strrchr(above, '/');
                cleanup_free char *name = memory_string(slash ? slash + 1 : above);
                *(slash ? slash : above) = '\0';
                more = after(a, above, name);
        }
        free(a->caught);
}
