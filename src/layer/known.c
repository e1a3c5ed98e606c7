// SPDX-License-Identifier: GPL-3.0-or-later
/* What commits have made outside: see known.h. */
#include "layer/known.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/line.h"

#include <fcntl.h>
#include <string.h>

static struct known_entry *slot_of(const struct known *k, const char *path)
{
        uint64_t hash = 14695981039346656037u;
        for (const char *p = path; *p; p++)
                hash = (hash ^ (unsigned char)*p) * 1099511628211u;
        size_t at = (size_t)(hash >> 16) & (k->capacity - 1);
        while (k->entries[at].path && strcmp(k->entries[at].path, path) != 0)
                at = (at + 1) & (k->capacity - 1);
        return &k->entries[at];
}

static void grow(struct known *k)
{
        struct known bigger = {.capacity = k->capacity ? k->capacity * 2 : 64, .count = k->count};
        bigger.entries = memory_new(bigger.capacity * sizeof *bigger.entries);
        for (size_t i = 0; i < k->capacity; i++)
                if (k->entries[i].path)
                        *slot_of(&bigger, k->entries[i].path) = k->entries[i];
        free(k->entries);
        *k = bigger;
}

void known_set(struct known *k, const char *path, const struct meta *meta)
{
        if (k->count * 2 >= k->capacity)
                grow(k);
        struct known_entry *entry = slot_of(k, path);
        if (!entry->path) {
                entry->path = memory_string(path);
                k->count++;
        }
        entry->inode = meta->inode;
        entry->ctime = meta->ctime;
}

bool known_has(const struct known *k, const char *path, const struct meta *meta)
{
        if (!k->count)
                return false;
        const struct known_entry *entry = slot_of(k, path);
        return entry->path && entry->inode == meta->inode && entry->ctime.tv_sec == meta->ctime.tv_sec &&
               entry->ctime.tv_nsec == meta->ctime.tv_nsec;
}

void known_load(struct known *k, int directory)
{
        *k = (struct known){0};
        int fd = openat(directory, "known", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        cleanup_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
        cleanup_free char *line = NULL;
        size_t size = 0;
        for (ssize_t n; file && (n = getline(&line, &size, file)) > 0;) {
                struct meta meta = {0};
                const char *at = line;
                line[n - 1] = '\0';
                if (!line_take_number(&at, &meta.inode) || *at++ != ' ' || !line_take_time(&at, &meta.ctime) ||
                    *at++ != ' ')
                        return;
                cleanup_free char *path = text_unescape(at);
                if (!path)
                        return;
                known_set(k, path, &meta);
        }
}

int known_store(const struct known *k, int directory, struct error *err)
{
        int fd = openat(directory, ".known.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        cleanup_file FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
        cleanup_text struct text line = {0};
        bool good = file != NULL;
        for (size_t i = 0; good && i < k->capacity; i++) {
                const struct known_entry *e = &k->entries[i];
                if (!e->path)
                        continue;
                line.length = 0;
                line_add_number(&line, e->inode);
                text_add_bytes(&line, " ", 1);
                line_add_time(&line, &e->ctime);
                text_add_bytes(&line, " ", 1);
                text_add_escaped(&line, e->path);
                text_add_bytes(&line, "\n", 1);
                good = fwrite(line.data, line.length, 1, file) == 1;
        }
        if (!good || fflush(file) == EOF || fsync(fileno(file)) < 0 ||
            renameat(directory, ".known.new", directory, "known") < 0)
                return error_sys(err, errno, "cannot write what the commit has made outside");
        return 0;
}

void known_clear(struct known *k)
{
        for (size_t i = 0; i < k->capacity; i++)
                free(k->entries[i].path);
        free(k->entries);
        *k = (struct known){0};
}
