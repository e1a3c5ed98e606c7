// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The console of a subhurd: the other side of its terminal, what it said lately, and those who watch.
 *
 * Each watcher has a stream socket of its own, and a place in the text; the last CONSOLE_KEPT bytes of that are
 * kept. Who reads too slowly misses what has been overwritten meanwhile. What any of them writes is typed.
 */
#include "warden/inner.h"

#include "base/cleanup.h"
#include "warden/filter.h"

#include <fcntl.h>
#include <string.h>

#define CONSOLE_KEPT 65536
#define TURN 4096
#define PAUSE 50 /* ms, after which a terminal that nobody inside has open is looked at again */

struct watcher {
        int fd;
        uint64_t at; /* in the text */
};

struct console {
        int fd;   /* -1: there is none now */
        int file; /* where the last of the text is kept */
        int64_t pause;
        struct filter filter;
        uint64_t total; /* bytes of text that there ever were */
        char *kept;     /* a ring: byte N of the text is kept[N % CONSOLE_KEPT] */
        struct watcher watchers[CONSOLE_WATCHERS];
        size_t count;
        char typed[TURN]; /* what was not taken yet */
        size_t typed_count;
        unsigned rows, columns;
};

static struct console *console_of(struct warden *w)
{
        if (!w->console) {
                w->console = memory_new(sizeof *w->console);
                w->console->fd = w->console->file = -1;
                w->console->kept = memory_new(CONSOLE_KEPT);
        }
        return w->console;
}

static void say(struct console *c, const char *text, size_t size)
{
        for (size_t i = 0; i < size; i++)
                c->kept[c->total++ % CONSOLE_KEPT] = text[i];
}

static void hear(struct console *c, const char *data, size_t size)
{
        char text[TURN + FILTER_SEQUENCE];
        say(c, text, filter_text(&c->filter, data, size, text));
}

/* Takes what the terminal has. Returns false when there is nothing more. */
static bool read_terminal(struct console *c, int64_t now)
{
        char data[TURN];
        ssize_t n = read(c->fd, data, sizeof data);
        if (n > 0) {
                hear(c, data, (size_t)n);
                return true;
        }
        if (n == 0 ||
            (errno != EAGAIN && errno != EINTR)) /* nobody has it open: it is the subhurd's to open it again */
                c->pause = now + PAUSE;
        return false;
}

void console_expect(struct warden *w)
{
        console_of(w)->file = openat(w->directory, "console", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void console_take(struct warden *w, int fd)
{
        struct console *c = console_of(w);
        if (c->fd >= 0)
                close(c->fd);
        fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
        c->fd = fd;
        c->pause = 0;
        c->filter = (struct filter){0};
        c->typed_count = 0;
        if (c->rows)
                host_terminal_size(fd, c->rows, c->columns);
}

void console_line(struct warden *w, const char *line)
{
        struct console *c = console_of(w);
        if (c->fd >= 0)
                while (read_terminal(c, 0))
                        ;
        say(c, line, strlen(line));
}

static void forget(struct console *c, size_t i)
{
        close(c->watchers[i].fd);
        c->watchers[i] = c->watchers[--c->count];
}

/* Sends a watcher what it has not seen. Returns false when it is gone. */
static bool show(struct console *c, struct watcher *watcher)
{
        if (c->total > CONSOLE_KEPT && watcher->at < c->total - CONSOLE_KEPT)
                watcher->at = c->total - CONSOLE_KEPT;
        while (watcher->at < c->total) {
                size_t from = watcher->at % CONSOLE_KEPT, size = CONSOLE_KEPT - from;
                if (size > c->total - watcher->at)
                        size = (size_t)(c->total - watcher->at);
                ssize_t n = host_send_plain(watcher->fd, c->kept + from, size);
                if (n < 0)
                        return n == -EAGAIN || n == -EINTR;
                watcher->at += (uint64_t)n;
        }
        return true;
}

/* Returns false when the watcher has gone. */
static bool read_watcher(struct console *c, const struct watcher *watcher)
{
        size_t room = sizeof c->typed - c->typed_count;
        ssize_t n = read(watcher->fd, c->typed + c->typed_count, room);
        if (n > 0 && c->fd >= 0)
                c->typed_count += (size_t)n;
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void type(struct console *c)
{
        while (c->typed_count && c->fd >= 0) {
                ssize_t n = write(c->fd, c->typed, c->typed_count);
                if (n <= 0)
                        return;
                c->typed_count -= (size_t)n;
                memmove(c->typed, c->typed + n, c->typed_count);
        }
}

size_t console_poll(struct warden *w, struct pollfd *fds, int64_t now)
{
        struct console *c = w->console;
        if (!c)
                return 0;
        bool quiet = c->pause > now;
        fds[0] = (struct pollfd){.fd = quiet ? -1 : c->fd, .events = (short)(POLLIN | (c->typed_count ? POLLOUT : 0))};
        for (size_t i = 0; i < c->count; i++)
                fds[i + 1] = (struct pollfd){.fd = c->watchers[i].fd,
                                             .events = (short)((c->typed_count < sizeof c->typed ? POLLIN : 0) |
                                                               (c->watchers[i].at < c->total ? POLLOUT : 0))};
        return c->count + 1;
}

int64_t console_deadline(const struct warden *w)
{
        return w->console && w->console->fd >= 0 && w->console->pause ? w->console->pause : -1;
}

void console_ready(struct warden *w, const struct pollfd *fds, int64_t now)
{
        struct console *c = w->console;
        if (c->pause && c->pause <= now)
                c->pause = 0;
        if (fds[0].revents)
                read_terminal(c, now);
        for (size_t i = c->count; i-- > 0;) /* from the last: forget() moves that one */
                if (fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR) && !read_watcher(c, &c->watchers[i]))
                        forget(c, i);
        type(c);
        for (size_t i = c->count; i-- > 0;)
                if (!show(c, &c->watchers[i]))
                        forget(c, i);
}

void console_request(struct warden *w, struct asker asker, const struct message *m, int *fds, size_t count)
{
        uint64_t rows = 0, columns = 0;
        cleanup_error struct error err = ERROR_INIT;
        struct console *c = w->console;
        if (!c)
                error_set(&err, ENOTTY, "environment '%s' has no console: it has no init of its own", w->name);
        else if (count > 1)
                error_set(&err, EINVAL, "a console is watched through one socket");
        else if (count && c->count == CONSOLE_WATCHERS)
                error_set(&err, EMFILE, "%d watch the console of '%s' already", CONSOLE_WATCHERS, w->name);
        if (!c || err.code) {
                warden_send_error(w, asker, &err);
                return;
        }
        if (message_get_number(m, TAG_ROWS, &rows) && message_get_number(m, TAG_COLUMNS, &columns) && rows && columns &&
            rows <= 10000 && columns <= 10000) {
                c->rows = (unsigned)rows;
                c->columns = (unsigned)columns;
                if (c->fd >= 0)
                        host_terminal_size(c->fd, c->rows, c->columns);
        }
        warden_send(w, asker, warden_answer(w, asker, MESSAGE_CONSOLE, 0));
        if (!count)
                return;
        fcntl(fds[0], F_SETFL, O_RDWR | O_NONBLOCK);
        c->watchers[c->count] = (struct watcher){.fd = fds[0]};
        fds[0] = -1;
        if (!show(c, &c->watchers[c->count++]))
                forget(c, c->count - 1);
}

/* What it said last is there when nothing runs any more. */
static void keep(const struct console *c)
{
        int fd = c->file;
        if (fd < 0 || ftruncate(fd, 0) < 0)
                return;
        uint64_t at = c->total > CONSOLE_KEPT ? c->total - CONSOLE_KEPT : 0;
        while (at < c->total) {
                size_t from = at % CONSOLE_KEPT, size = CONSOLE_KEPT - from;
                if (size > c->total - at)
                        size = (size_t)(c->total - at);
                ssize_t n = write(fd, c->kept + from, size);
                if (n <= 0)
                        return; /* a full disk */
                at += (uint64_t)n;
        }
}

void console_end(struct warden *w)
{
        struct console *c = w->console;
        if (!c)
                return;
        while (c->fd >= 0 && read_terminal(c, 0))
                ;
        keep(c);
        while (c->count) {
                show(c, &c->watchers[c->count - 1]);
                forget(c, c->count - 1);
        }
}
