// SPDX-License-Identifier: GPL-3.0-or-later
/* The journal of a commit: see journal.h. */
#include "layer/journal.h"

#include "base/cleanup.h"
#include "base/text.h"

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
        j->token = ((unsigned long long)now.tv_sec << 30 ^ (unsigned long long)now.tv_nsec) ^ (unsigned long long)getpid() << 48;
        fprintf(j->file, MAGIC "%llx\n", j->token);
        return 0;
}

int journal_add(struct journal *j, const struct item *i)
{
        cleanup_free char *path = text_escape(i->path), *link = i->link ? text_escape(i->link) : NULL;
        int n = fprintf(j->file, "%c\t%d\t%d\t%u\t%d\t%llu\t%llu\t%lld.%09ld\t%lld.%09ld\t%lld.%09ld\t%s\t%s\n", (char)i->kind, i->forced,
                        i->only_time, i->slot, (int)i->before.type, (unsigned long long)i->before.inode,
                        (unsigned long long)i->before.size, (long long)i->before.mtime.tv_sec, i->before.mtime.tv_nsec,
                        (long long)i->before.ctime.tv_sec, i->before.ctime.tv_nsec, (long long)i->since.tv_sec, i->since.tv_nsec, path,
                        link ? link : "");
        return n < 0 ? -errno : 0;
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

static bool take_time(const char *text, struct timespec *t)
{
        long long seconds;
        long nanoseconds;
        if (!text || sscanf(text, "%lld.%9ld", &seconds, &nanoseconds) != 2)
                return false;
        *t = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
        return true;
}

int journal_next(struct journal *j, struct item *i)
{
        free(i->path);
        free(i->link);
        *i = (struct item){0};
        ssize_t n = getline(&j->buffer, &j->size, j->file);
        if (n > 0 && strcmp(j->buffer, ".\n") == 0)
                return 0;
        if (n < 2 || j->buffer[n - 1] != '\n')
                return -EINVAL;
        j->buffer[n - 1] = '\0';
        char *fields[12], *rest = j->buffer;
        for (int f = 0; f < 12; f++)
                if (!(fields[f] = strsep(&rest, "\t")))
                        return -EINVAL;
        if (!strchr("dplmx3*", fields[0][0]) || !fields[0][0])
                return -EINVAL;
        i->kind = (enum item_kind)fields[0][0];
        i->forced = fields[1][0] == '1';
        i->only_time = fields[2][0] == '1';
        i->slot = (unsigned)strtoul(fields[3], NULL, 10);
        i->before.type = (enum meta_type)atoi(fields[4]);
        i->before.inode = strtoull(fields[5], NULL, 10);
        i->before.size = strtoull(fields[6], NULL, 10);
        i->path = text_unescape(fields[10]);
        i->link = fields[11][0] ? text_unescape(fields[11]) : NULL;
        return take_time(fields[7], &i->before.mtime) && take_time(fields[8], &i->before.ctime) && take_time(fields[9], &i->since) &&
                               i->path && i->path[0] == '/'
                       ? 1
                       : -EINVAL;
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
        *j = JOURNAL_NONE;
}
