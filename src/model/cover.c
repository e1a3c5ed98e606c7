// SPDX-License-Identifier: GPL-3.0-or-later
/* What a slot lies over: see cover.h. */
#include "model/cover.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define COVER_LIMIT (8 << 20) /* bytes of a record: more than the names of the longest description have */

static const char *const kinds[] = {"changes", "empty", "file", "entries"};
static const char *const name_kinds[] = {"", "directory", "other", "hidden"};

char *cover_to_text(const struct cover *c)
{
        struct text t = {0};
        text_addf(&t, "kind\t%s\n", kinds[c->kind]);
        if (c->since.tv_sec)
                text_addf(&t, "since\t%lld.%09ld\n", (long long)c->since.tv_sec, c->since.tv_nsec);
        if (c->inode)
                text_addf(&t, "inode\t%llu\n", (unsigned long long)c->inode);
        for (size_t i = 0; i < c->source_count; i++) {
                text_add(&t, "source\t");
                text_add_escaped(&t, c->sources[i]);
                text_add(&t, "\n");
        }
        for (size_t i = 0; i < c->name_count; i++) {
                text_addf(&t, "name\t%s\t", name_kinds[c->names[i].kind]);
                text_add_escaped(&t, c->names[i].path);
                text_add(&t, "\n");
        }
        return t.data;
}

static int word_of(const char *const *words, int count, const char *word)
{
        for (int i = 0; i < count; i++)
                if (strcmp(words[i], word) == 0)
                        return i;
        return -1;
}

static int read_line(struct cover *c, char *line)
{
        char *value = strchr(line, '\t');
        if (!value)
                return -EINVAL;
        *value++ = '\0';
        if (strcmp(line, "kind") == 0) {
                int kind = word_of(kinds, 4, value);
                c->kind = (enum cover_kind)kind;
                return kind < 0 ? -EINVAL : 0;
        }
        if (strcmp(line, "since") == 0) {
                long long seconds;
                long nanoseconds;
                if (sscanf(value, "%lld.%9ld", &seconds, &nanoseconds) != 2 || seconds < 0 || nanoseconds < 0)
                        return -EINVAL;
                c->since = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
                return 0;
        }
        if (strcmp(line, "inode") == 0) {
                c->inode = strtoull(value, NULL, 10);
                return 0;
        }
        if (strcmp(line, "source") == 0) {
                char *path = text_unescape(value);
                if (!path || path[0] != '/') {
                        free(path);
                        return -EINVAL;
                }
                *vector_add(c->sources, c->source_count, c->source_capacity) = path;
                return 0;
        }
        char *name = strchr(value, '\t');
        if (strcmp(line, "name") != 0 || !name)
                return -EINVAL;
        *name++ = '\0';
        int kind = word_of(name_kinds, 4, value);
        char *path = kind <= 0 ? NULL : text_unescape(name);
        if (!path)
                return -EINVAL;
        *vector_add(c->names, c->name_count, c->name_capacity) =
                (struct cover_name){.kind = (enum cover_name_kind)kind, .path = path};
        return 0;
}

int cover_from_text(struct cover *c, char *text)
{
        *c = (struct cover){0};
        char *line;
        int result = 0;
        while (result == 0 && (line = strsep(&text, "\n")))
                if (*line)
                        result = read_line(c, line);
        if (result < 0)
                cover_clear(c);
        return result;
}

int cover_load(int slot, struct cover *c, struct error *err)
{
        *c = (struct cover){0};
        cleanup_close int fd = openat(slot, "cover", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        if (fd < 0)
                return errno == ENOENT ? -ENOENT : error_sys(err, errno, "cannot read what a slot covers");
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > COVER_LIMIT)
                return error_set(err, EINVAL, "the record of what a slot covers is damaged");
        cleanup_free char *text = memory_new((size_t)st.st_size + 1);
        ssize_t n = read(fd, text, (size_t)st.st_size);
        if (n < 0)
                return error_sys(err, errno, "cannot read what a slot covers");
        text[n] = '\0';
        return cover_from_text(c, text) < 0 ? error_set(err, EINVAL, "the record of what a slot covers is damaged") : 0;
}

int cover_store(int slot, const struct cover *c, struct error *err)
{
        cleanup_free char *text = cover_to_text(c);
        size_t length = strlen(text);
        cleanup_close int fd = openat(slot, ".cover.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write(fd, text, length) != (ssize_t)length || renameat(slot, ".cover.new", slot, "cover") < 0)
                return store_full(error_sys(err, errno, "cannot write what a slot covers"), err);
        return 0;
}

void cover_clear(struct cover *c)
{
        while (c->source_count)
                free(c->sources[--c->source_count]);
        while (c->name_count)
                free(c->names[--c->name_count].path);
        free(c->sources);
        free(c->names);
        *c = (struct cover){0};
}
