// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The log of what runs in the background: `log` and `log.1` in the environment's directory.
 *
 * A line is "TIME NAME: what the program wrote"; longer ones are cut into several. When `log` has half of the limit
 * it becomes `log.1`, so that both together never have more. Programs write into pipes; when they write faster than
 * the disk they wait.
 */
#include "warden/inner.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOG_LIMIT (4u << 20)
#define LINE_LIMIT 4096
#define TURN 16384 /* bytes of one pipe, before others have their turn */

static void reopen(struct log *log)
{
        struct stat st;
        log->fd = openat(log->directory, "log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        log->size = log->fd >= 0 && fstat(log->fd, &st) == 0 ? (size_t)st.st_size : 0;
}

void log_open(struct log *log, int directory)
{
        *log = (struct log){.directory = directory, .fd = -1, .limit = LOG_LIMIT};
        reopen(log);
}

static void write_line(struct log *log, const char *text, size_t length)
{
        if (log->size + length > log->limit / 2 && log->size) {
                if (log->fd >= 0)
                        close(log->fd);
                renameat(log->directory, "log", log->directory, "log.1");
                reopen(log);
        } else if (log->fd < 0) {
                reopen(log);
        }
        ssize_t n = log->fd < 0 ? -1 : write(log->fd, text, length);
        if (n == (ssize_t)length) {
                log->size += length;
                return;
        }
        if (n > 0) /* half a line, on a disk that is full */
                (void)!ftruncate(log->fd, (off_t)log->size);
        log->lost += length;
}

void log_line(struct log *log, const char *name, const char *line, size_t length)
{
        char text[LINE_LIMIT + 256], when[32];
        time_t now = time(NULL);
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        if (log->lost) {
                uint64_t lost = log->lost;
                log->lost = 0;
                int n = snprintf(text, sizeof text, "%s paddock: %llu bytes were lost: the log could not be written\n",
                                 when, (unsigned long long)lost);
                write_line(log, text, (size_t)n);
                log->lost += log->lost ? lost : 0;
        }
        int n = snprintf(text, sizeof text, "%s %.100s: ", when, name);
        if (length > LINE_LIMIT)
                length = LINE_LIMIT;
        memcpy(text + n, line, length);
        text[(size_t)n + length] = '\n';
        write_line(log, text, (size_t)n + length + 1);
}

int log_feed(struct warden *w, const char *name)
{
        int ends[2];
        if (w->feed_count >= FEED_LIMIT)
                return -EMFILE;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);
        *vector_add(w->feeds, w->feed_count, w->feed_capacity) =
                (struct feed){.fd = ends[0], .name = memory_string(name)};
        return ends[1];
}

/* Writes all whole lines of `data`; what is left of the last one is kept. */
static void take(struct warden *w, struct feed *f, const char *data, size_t length)
{
        while (length) {
                const char *end = memchr(data, '\n', length);
                size_t n = end ? (size_t)(end - data) : length;
                if (f->length + n >= LINE_LIMIT) {
                        n = LINE_LIMIT - f->length;
                        end = data + n;
                        n -= n > 0 && data[n - 1] == '\n';
                } else if (!end) {
                        if (!f->line)
                                f->line = memory_new(LINE_LIMIT);
                        memcpy(f->line + f->length, data, n);
                        f->length += n;
                        return;
                }
                if (f->line) {
                        memcpy(f->line + f->length, data, n);
                        log_line(&w->log, f->name, f->line, f->length + n);
                        free(f->line);
                        f->line = NULL;
                        f->length = 0;
                } else {
                        log_line(&w->log, f->name, data, n);
                }
                size_t used = n + (end && n < length && data[n] == '\n');
                data += used;
                length -= used;
        }
}

void log_ready(struct warden *w, int fd)
{
        for (size_t i = 0; i < w->feed_count; i++) {
                struct feed *f = &w->feeds[i];
                if (f->fd != fd)
                        continue;
                char data[TURN];
                ssize_t n = read(fd, data, sizeof data);
                if (n > 0) {
                        take(w, f, data, (size_t)n);
                } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                        if (f->line)
                                log_line(&w->log, f->name, f->line, f->length);
                        close(f->fd);
                        free(f->line);
                        free(f->name);
                        w->feeds[i] = w->feeds[--w->feed_count];
                }
                return;
        }
}
