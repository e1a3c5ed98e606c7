// SPDX-License-Identifier: GPL-3.0-or-later
/* The journal of a commit: see journal.h. */
#include "layer/journal.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/line.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define MAGIC "paddock-commit 1 "

int journal_begin(struct journal *j, int directory, struct error *err)
{
        *j = JOURNAL_NONE;
        unlinkat(directory, "journal.new", 0);
        int fd = openat(directory, "journal.new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        j->file = fd < 0 ? NULL : fdopen(fd, "w+");
        if (!j->file)
                return error_sys(err, errno, "cannot write the journal of the commit");
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        j->token = ((unsigned long long)now.tv_sec << 30 ^ (unsigned long long)now.tv_nsec) ^
                   (unsigned long long)getpid() << 48;
        fprintf(j->file, MAGIC "%llx\n", j->token);
        return 0;
}

static void add_number(struct text *line, uint64_t n)
{
        text_add_bytes(line, "\t", 1);
        line_add_number(line, n);
}

static void add_time(struct text *line, const struct timespec *t)
{
        text_add_bytes(line, "\t", 1);
        line_add_time(line, t);
}

int journal_add(struct journal *j, const struct item *i)
{
        struct text *line = &j->line;
        line->length = 0;
        text_add_bytes(line, (const char[]){(char)i->kind}, 1);
        add_number(line, i->forced);
        add_number(line, i->only_time);
        add_number(line, i->slot);
        add_number(line, i->before.type);
        add_number(line, i->before.inode);
        add_number(line, i->before.size);
        add_time(line, &i->before.mtime);
        add_time(line, &i->before.ctime);
        add_time(line, &i->since);
        text_add_bytes(line, "\t", 1);
        text_add_escaped(line, i->path);
        text_add_bytes(line, "\t", 1);
        if (i->link)
                text_add_escaped(line, i->link);
        add_number(line, i->after);
        text_add_bytes(line, "\n", 1);
        return fwrite(line->data, line->length, 1, j->file) == 1 ? 0 : -errno;
}

int journal_finish(struct journal *j, int directory, struct error *err)
{
        if (fprintf(j->file, ".\n") < 0 || fflush(j->file) == EOF || fsync(fileno(j->file)) < 0 ||
            renameat(directory, "journal.new", directory, "journal") < 0 || fsync(directory) < 0)
                return error_sys(err, errno, "cannot write the journal of the commit");
        journal_rewind(j);
        return 0;
}

int journal_open(struct journal *j, int directory, struct error *err)
{
        *j = JOURNAL_NONE;
        int fd = openat(directory, "journal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT ? -ENOENT : error_sys(err, errno, "cannot read the journal of a commit");
        j->file = fdopen(fd, "r");
        if (!j->file || fscanf(j->file, MAGIC "%llx", &j->token) != 1)
                return error_set(err, EINVAL, "the journal of a commit is damaged");
        journal_rewind(j);
        return 0;
}

void journal_rewind(struct journal *j)
{
        rewind(j->file);
        (void)!getline(&j->buffer, &j->size, j->file); /* its first line */
}

/* A number behind the tab at *at. */
static bool take_number(const char **at, uint64_t *n)
{
        return *(*at)++ == '\t' && line_take_number(at, n);
}

static bool take_time(const char **at, struct timespec *t)
{
        return *(*at)++ == '\t' && line_take_time(at, t);
}

int journal_next(struct journal *j, struct item *i)
{
        free(i->path);
        free(i->link);
        *i = (struct item){0};
        ssize_t n = getline(&j->buffer, &j->size, j->file);
        if (n > 0 && strcmp(j->buffer, ".\n") == 0)
                return 0;
        if (n < 2 || j->buffer[n - 1] != '\n' || !j->buffer[0] || !strchr("dplmx3*", j->buffer[0]))
                return -EINVAL;
        j->buffer[n - 1] = '\0';
        i->kind = (enum item_kind)j->buffer[0];
        const char *at = j->buffer + 1;
        uint64_t forced, only_time, slot, before, after = META_NONE;
        if (!take_number(&at, &forced) || !take_number(&at, &only_time) || !take_number(&at, &slot) ||
            !take_number(&at, &before) || !take_number(&at, &i->before.inode) || !take_number(&at, &i->before.size) ||
            !take_time(&at, &i->before.mtime) || !take_time(&at, &i->before.ctime) || !take_time(&at, &i->since) ||
            *at != '\t')
                return -EINVAL;
        char *rest = j->buffer + (at - j->buffer) + 1, *path = strsep(&rest, "\t"), *link = strsep(&rest, "\t");
        if (!link || (rest && !line_take_number(&(const char *){rest}, &after))) /* older ones have no last field */
                return -EINVAL;
        i->forced = forced;
        i->only_time = only_time;
        i->slot = (unsigned)slot;
        i->before.type = (enum meta_type)before;
        i->after = (enum meta_type)after;
        i->path = text_unescape(path);
        i->link = link[0] ? text_unescape(link) : NULL;
        return i->path && i->path[0] == '/' ? 1 : -EINVAL;
}

void journal_remove(struct journal *j, int directory)
{
        journal_close(j);
        unlinkat(directory, "journal", 0);
}

void journal_close(struct journal *j)
{
        if (j->file)
                fclose(j->file);
        free(j->buffer);
        text_clear(&j->line);
        *j = JOURNAL_NONE;
}
