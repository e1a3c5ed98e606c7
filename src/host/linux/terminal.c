// SPDX-License-Identifier: GPL-3.0-or-later
/* The environment's own terminal and its relay: see terminal.h. */
#include "host/linux/terminal.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

void terminal_find(struct terminal *t)
{
        *t = TERMINAL_NONE;
        t->outer = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
        t->controlling = t->outer >= 0;
        for (int fd = 0; fd <= 2 && t->outer < 0; fd++)
                if (isatty(fd))
                        t->outer = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (t->outer >= 0 && tcgetattr(t->outer, &t->saved) < 0) {
                close(t->outer);
                t->outer = -1;
        }
}

bool terminal_is_foreground(const struct terminal *t)
{
        return t->outer >= 0 && (!t->controlling || tcgetpgrp(t->outer) == getpgrp());
}

int terminal_make(int *master, struct error *err)
{
        cleanup_close int own = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        int unlock = 0;
        if (own < 0 || ioctl(own, TIOCSPTLCK, &unlock) < 0)
                return error_sys(err, errno, "cannot make a terminal inside");
        cleanup_close int slave = ioctl(own, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
                return error_sys(err, errno, "cannot open the terminal inside");
        *master = steal_fd(&own);
        return steal_fd(&slave);
}

/* By member: the structure has holes. */
static bool same_settings(const struct termios *a, const struct termios *b)
{
        return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
               a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof a->c_cc) == 0;
}

/* The settings for the inner terminal. When a shell has the outer one, its line editor has made it raw; a program that
 * starts in the background then gets ordinary ones. */
static struct termios inner_settings(const struct terminal *t)
{
        struct termios settings = t->saved;
        if (!(settings.c_lflag & ICANON) && !t->raw) {
                settings.c_iflag |= ICRNL | IXON;
                settings.c_lflag |= ICANON | ECHO | ECHOE | ECHOK | ISIG | IEXTEN;
        }
        if (!t->raw || !t->whole) /* the outer terminal still adds its carriage returns: one of the two is enough */
                settings.c_oflag &= ~(tcflag_t)OPOST;
        return settings;
}

void terminal_start(struct terminal *t, int master)
{
        t->inner = master;
        fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
        struct termios settings = inner_settings(t);
        tcsetattr(master, TCSANOW, &settings);
        tcgetattr(master, &t->given);
        terminal_resize(t);
}

void terminal_take(struct terminal *t)
{
        if (t->outer < 0 || t->raw)
                return;
        tcgetattr(t->outer, &t->saved);
        struct termios raw = t->saved;
        cfmakeraw(&raw);
        if (!t->whole)
                raw.c_oflag |= t->saved.c_oflag & OPOST;
        tcsetattr(t->outer, TCSADRAIN, &raw);
        t->raw = true;
        /* The inner one follows, unless the program has changed it. */
        struct termios inner;
        if (t->inner >= 0 && tcgetattr(t->inner, &inner) == 0 && same_settings(&inner, &t->given)) {
                inner = inner_settings(t);
                tcsetattr(t->inner, TCSANOW, &inner);
                tcgetattr(t->inner, &t->given);
        }
}

void terminal_release(struct terminal *t)
{
        if (t->outer < 0 || !t->raw)
                return;
        tcsetattr(t->outer, TCSADRAIN, &t->saved);
        t->raw = false;
}

void terminal_resize(struct terminal *t)
{
        struct winsize size;
        if (t->inner >= 0 && ioctl(t->outer, TIOCGWINSZ, &size) == 0)
                ioctl(t->inner, TIOCSWINSZ, &size); /* the kernel tells the program with SIGWINCH */
}

static void write_all(int fd, const char *data, size_t count)
{
        while (count) {
                ssize_t n = write(fd, data, count);
                if (n > 0) {
                        data += n;
                        count -= (size_t)n;
                } else if (n < 0 && errno == EAGAIN) {
                        struct pollfd wait = {.fd = fd, .events = POLLOUT};
                        poll(&wait, 1, 1000);
                } else if (n < 0 && errno != EINTR) {
                        return; /* the user's terminal is gone; SIGHUP tells the program */
                }
        }
}

/* Returns false when there is nothing more for now. */
static bool relay_once(struct terminal *t)
{
        char data[8192];
        ssize_t n = read(t->inner, data, sizeof data);
        if (n > 0)
                write_all(t->outer, data, (size_t)n);
        return n > 0 || (n < 0 && errno == EINTR);
}

void terminal_relay_output(struct terminal *t)
{
        if (!relay_once(t) && errno == EIO) { /* nobody inside has it open now; init still may hand it on */
                struct timespec pause = {.tv_nsec = 1000000};
                nanosleep(&pause, NULL);
        }
}

void terminal_relay_input(struct terminal *t)
{
        if (!t->pending_count) {
                ssize_t n = read(t->outer, t->pending, sizeof t->pending);
                if (n <= 0) {
                        t->input_ended = n == 0 || (errno != EINTR && errno != EAGAIN);
                        return;
                }
                t->pending_count = (size_t)n;
                struct termios inner;
                if (tcgetattr(t->inner, &inner) == 0 && memchr(t->pending, inner.c_cc[VSUSP], t->pending_count))
                        t->stop_typed = true;
        }
        ssize_t n = write(t->inner, t->pending, t->pending_count);
        if (n > 0) {
                t->pending_count -= (size_t)n;
                memmove(t->pending, t->pending + n, t->pending_count);
        }
}

void terminal_drain(struct terminal *t)
{
        while (t->inner >= 0 && relay_once(t))
                ;
}
