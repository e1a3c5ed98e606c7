// SPDX-License-Identifier: GPL-3.0-or-later
/* paddock-supervisor: its beginning, its loop, its end. README.md is its contract, supervisor.h its theory of
 * operation. */
#include "supervisor.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define POLLED (16 + PENDING_LIMIT + 256 + 16)

/* It lives as long as its environment, whatever is typed at the terminal. */
static void stand_alone(void)
{
        static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void note_network(struct supervisor *s, int fd)
{
        union address own;
        socklen_t size = sizeof own;
        if (s->own_count < sizeof s->own / sizeof *s->own && getsockname(fd, &own.any, &size) == 0)
                s->own[s->own_count++] = own;
        size = sizeof s->cookie;
        getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &s->cookie, &size);
}

/* A word of the launcher's or of init's. False: there is nobody any more who could say one. */
static bool obey(struct supervisor *s)
{
        unsigned char bytes[2] = {0};
        union {
                char room[CMSG_SPACE(8 * sizeof(int))];
                struct cmsghdr align;
        } control;
        struct iovec part = {bytes, sizeof bytes};
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(s->control, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        if (n == 0)
                return false;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                        if (bytes[0] == SUPERVISOR_RESOLVER) {
                                note_network(s, fd);
                                resolver_add(s, fd);
                        } else if (bytes[0] == SUPERVISOR_ADMIN && s->admin < 0) {
                                s->admin = fd;
                        } else if (bytes[0] == SUPERVISOR_LISTENER && s->listener < 0) {
                                s->listener = fd;
                                s->guard = bytes[1];
                                if (pthread_create(&s->thread, NULL, listener_main, s) != 0)
                                        return false;
                        } else {
                                close(fd);
                        }
                }
        }
        return true;
}

static int64_t earlier(int64_t a, int64_t b)
{
        return !a ? b : !b || a < b ? a : b;
}

/* One turn; the lock is held but while it waits. False: the environment has ended. */
static bool turn(struct supervisor *s)
{
        static struct pollfd fds[POLLED];
        static uint64_t serials[POLLED];
        size_t n = 0;
        fds[n++] = (struct pollfd){.fd = s->control, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = s->wake, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = s->role.socket, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = s->admin, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = s->listener}; /* only its end */
        const size_t connections = n;
        for (const struct pending *p = s->pending; p && n < connections + PENDING_LIMIT; p = p->next)
                if (p->outer >= 0) {
                        serials[n] = p->serial;
                        fds[n++] = (struct pollfd){.fd = p->outer, .events = POLLOUT};
                }
        const size_t names = n;
        n += resolver_poll(s, fds + n, POLLED - n);
        int64_t now = clock_ms(), due = earlier(role_deadline(s), resolver_deadline(s));
        int64_t wait = !due ? -1 : due <= now ? 0 : due - now;
        pthread_mutex_unlock(&s->lock);
        int ready = poll(fds, n, (int)(wait > 60000 ? 60000 : wait));
        pthread_mutex_lock(&s->lock);
        if (ready > 0) {
                uint64_t woken;
                if (fds[1].revents)
                        (void)!read(s->wake, &woken, sizeof woken);
                if (fds[2].revents && fds[2].fd == s->role.socket)
                        role_hear(s);
                if (fds[3].revents && s->admin >= 0)
                        admin_accept(s);
                for (size_t i = connections; i < names; i++) {
                        struct pending *p = fds[i].revents ? s->pending : NULL;
                        while (p && p->serial != serials[i])
                                p = p->next;
                        if (p && p->outer == fds[i].fd)
                                connect_progress(s, p);
                }
                resolver_ready(s, fds + names, n - names);
                if (fds[4].revents & (POLLHUP | POLLERR))
                        return false; /* no process is left that has the filter */
                if (s->control >= 0 && fds[0].revents && !obey(s)) {
                        close(s->control);
                        s->control = -1;
                        if (s->listener < 0)
                                return false; /* it came to nothing */
                }
        }
        now = clock_ms();
        role_due(s, now);
        resolver_due(s, now);
        return true;
}

int main(int argc, char **argv)
{
        cleanup_error struct error err = ERROR_INIT;
        struct supervisor s = {.control = CONTROL, .listener = -1, .admin = -1, .lock = PTHREAD_MUTEX_INITIALIZER,
                               .role = {.socket = -1, .pid = -1, .status = -1}};
        const char *upstream = NULL;
        int type = 0, at = 1;
        socklen_t size = sizeof type;
        for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0 && argv[at][2]; at += 2) {
                if (strcmp(argv[at], "--resolver") == 0)
                        upstream = argv[at + 1];
                else if (strcmp(argv[at], "--environment") == 0)
                        snprintf(s.environment, sizeof s.environment, "%s", argv[at + 1]);
                else
                        break;
        }
        if (at >= argc - 1 || strcmp(argv[at], "--") != 0 || getsockopt(CONTROL, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            type != SOCK_SEQPACKET) {
                error_set(&err, EINVAL,
                          "%s is started by paddock, with a SOCK_SEQPACKET socket on descriptor %d, as: %s [--resolver ADDRESS] "
                          "[--environment NAME] -- SERVER...",
                          argv[0], CONTROL, argv[0]);
                error_print(stderr, &err);
                return 1;
        }
        fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
        stand_alone();
        s.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        s.resolver = resolver_new(upstream);
        if (s.wake < 0 || !s.resolver) {
                error_set(&err, EINVAL, "the resolver outside is no address: %s", upstream ? upstream : "");
                error_print(stderr, &err);
                return 1;
        }
        for (int i = at + 1; i < argc; i++) {
                s.role.argv = memory_grow(s.role.argv, (size_t)(i - at) + 1, sizeof *s.role.argv);
                s.role.argv[i - at - 1] = memory_string(argv[i]);
                s.role.argv[i - at] = NULL;
        }
        pthread_mutex_lock(&s.lock);
        role_start(&s);
        while (turn(&s))
                ;
        role_end(&s);
        _exit(0); /* threads may wait in calls that nobody needs any more */
}
