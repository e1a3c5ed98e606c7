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

/* Written by hand: printf() would take most of the time of looking at a change. */
static void add_number(struct text *line, uint64_t n)
{
        char digits[24], *end = digits + sizeof digits, *at = end;
        do
                *--at = (char)('0' + n % 10);
        while (n /= 10);
        *--at = '\t';
        text_add_bytes(line, at, (size_t)(end - at));
}

static void add_time(struct text *line, const struct timespec *t)
{
        if (t->tv_sec >= 0) {
                add_number(line, (uint64_t)t->tv_sec);
                size_t point = line->length;
                add_number(line, (uint64_t)t->tv_nsec + 1000000000); /* ten digits, of which the point takes the first */
                line->data[point] = '.';
                memmove(line->data + point + 1, line->data + point + 2, 9);
                line->length--;
        } else {
                text_addf(line, "\t%lld.%09ld", (long long)t->tv_sec, t->tv_nsec);
        }
}

int journal_add(struct journal *j, const struct item *i)
{
        struct text *line = &j->line;
        line->length = 0;
        text_add_bytes(line, (const char[]){(char)i->kind}, 1);
        add_number(line, i->forced);
        add_number(line, i->only_time);
        add_number(line, i->slot);
        add_number(line, (uint64_t)i->before.type);
        add_number(line, i->before.inode);
        add_number(line, i->before.size);
        add_time(line, &i->before.mtime);
        add_time(line, &i->before.ctime);
        add_time(line, &i->since);
        text_add(line, "\t");
        text_add_escaped(line, i->path);
        text_add(line, "\t");
        if (i->link)
                text_add_escaped(line, i->link);
        add_number(line, (uint64_t)i->after);
        text_add(line, "\n");
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

static bool take_time(const char *text, struct timespec *t)
{
        char *point, *end = NULL;
        t->tv_sec = strtoll(text, &point, 10);
        t->tv_nsec = *point == '.' ? strtol(point + 1, &end, 10) : -1;
        return point != text && t->tv_nsec >= 0 && t->tv_nsec < 1000000000 && end != point + 1 && !*end;
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
        char *fields[13], *rest = j->buffer;
        for (int f = 0; f < 13; f++)
                if (!(fields[f] = strsep(&rest, "\t")) && f < 12) /* older ones have one less */
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
        i->after = fields[12] ? (enum meta_type)atoi(fields[12]) : META_NONE;
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
        text_clear(&j->line);
        *j = JOURNAL_NONE;
}
