// SPDX-License-Identifier: GPL-3.0-or-later
/* paddock-channel: its one loop, and words with the warden. README.md is its contract. */
#include "channel.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define EVENTS 64
#define SPARE 512 /* descriptors that are no connection's */

void watch(struct state *s, struct source *source, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = source};
        if (source->fd < 0 || events == source->watched)
                return;
        int what = !events ? EPOLL_CTL_DEL : source->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        if (epoll_ctl(s->epoll, what, source->fd, &event) == 0 || !events)
                source->watched = events;
}

long long milliseconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_BOOTTIME, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

pid_t fork_with(struct state *s, int *kept, size_t count)
{
        pid_t pid = fork();
        if (pid > 0)
                s->children++;
        if (pid != 0)
                return pid;
        int high[8];
        for (size_t i = 0; i < count; i++)
                high[i] = fcntl(kept[i], F_DUPFD_CLOEXEC, 100);
        for (size_t i = 0; i < count; i++) {
                if (high[i] < 0 || dup3(high[i], 3 + (int)i, O_CLOEXEC) < 0)
                        _exit(125);
                kept[i] = 3 + (int)i;
        }
        close_range(3 + (unsigned)count, ~0U, 0);
        return 0;
}

/* A lost word of these is only a line less in the record; an answer must come. */
static void send_message(struct state *s, const struct channel_message *m, bool must)
{
        while (send(s->control.fd, m, sizeof *m, MSG_NOSIGNAL | (must ? 0 : MSG_DONTWAIT)) < 0 && errno == EINTR)
                ;
}

void tell(struct state *s, struct channel *c, enum channel_type type)
{
        struct channel_message m = {.version = CHANNEL_VERSION, .type = type, .id = c->id};
        m.status = type == CHANNEL_FAILED ? c->failed : 0;
        send_message(s, &m, false);
}

void fail(struct state *s, struct channel *c, int status)
{
        if (c->failed == status)
                return;
        c->failed = status;
        tell(s, c, CHANNEL_FAILED);
}

/* One message of the warden. Takes the descriptors. */
static struct channel_message obey(struct state *s, const struct channel_message *m, size_t size, int *fds, size_t count)
{
        struct channel_message answer = {.version = CHANNEL_VERSION, .type = CHANNEL_DONE, .id = m->id};
        size_t wanted = m->type == CHANNEL_ADD ? 1 + (size_t)__builtin_popcount(m->parts) : 0;
        struct channel *c = NULL;
        if (size != sizeof *m || wanted != count || (m->parts & ~15u)) {
                answer.status = -EBADMSG;
        } else if (m->version != CHANNEL_VERSION) {
                answer.status = -EPROTO;
        } else if (m->type == CHANNEL_ADD) {
                int of[4], next = 1;
                for (int i = 0; i < 4; i++)
                        of[i] = m->parts & 1u << i ? fds[next++] : -1;
                answer.status = channel_add(s, m->id, fds[0], of[0], of[1], of[2], of[3]);
                return answer;
        } else if (m->type == CHANNEL_REVOKE) {
                answer.status = (c = channel_find(s, m->id)) ? 0 : -ENOENT;
        } else {
                answer.status = -EBADMSG;
        }
        if (c)
                answer.lost = channel_end(s, c);
        for (size_t i = 0; i < count; i++)
                close(fds[i]);
        return answer;
}

/* All that the warden says. False at the end. */
static bool read_control(struct state *s)
{
        for (;;) {
                struct channel_message m = {0};
                union {
                        struct cmsghdr header;
                        char room[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS)];
                } ancillary;
                struct iovec part = {&m, sizeof m};
                struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
                                        .msg_controllen = sizeof ancillary};
                int fds[CHANNEL_DESCRIPTORS];
                size_t count = 0;
                ssize_t n = recvmsg(s->control.fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return true;
                if (n <= 0)
                        return false;
                for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
                        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                                continue;
                        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
                }
                struct channel_message answer = obey(s, &m, (size_t)n, fds, count);
                send_message(s, &answer, true);
        }
}

static void dispatch(struct state *s, struct source *source, uint32_t events)
{
        switch (source->kind) {
        case SOURCE_CONTROL:
                break; /* looked at in every round */
        case SOURCE_LISTENER:
                channel_accept(s, owner(listener, source, source));
                break;
        case SOURCE_END:
                link_event(s, owner(end, source, source), events);
                break;
        case SOURCE_REACH:
                reach_event(s, (struct reach *)source); /* its first member */
                break;
        case SOURCE_CALL:
                call_event(s, source, events);
                break;
        case SOURCE_TALK:
                talk_event(s, source);
                break;
        }
}

static void bury(struct state *s)
{
        while (s->dead_links) {
                struct link *l = s->dead_links;
                s->dead_links = l->next;
                free(l);
        }
        while (s->dead_channels) {
                struct channel *c = s->dead_channels;
                s->dead_channels = c->next;
                free(c);
        }
        calls_bury(s);
}

static void reap(struct state *s)
{
        int status;
        siginfo_t info = {0};
        while (s->children && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
                kill(-info.si_pid, SIGKILL); /* what a command left behind, while nobody else can have its number */
                if (waitpid(info.si_pid, &status, 0) != info.si_pid)
                        break;
                s->children--;
                call_ended(s, info.si_pid, status);
                info.si_pid = 0;
        }
}

static void wake(int number)
{
        (void)number;
}

/* Waits once and works. False at the end of the control socket. */
static bool turn(struct state *s)
{
        struct epoll_event events[EVENTS];
        int patience = s->retrying ? RETRY_TIME : s->reaches ? 1000 : s->talks ? 10000 : -1;
        /* A command's pipes close before it can be reaped: its end has to wake us too, and only while we wait. */
        sigset_t none;
        sigemptyset(&none);
        int count = epoll_pwait(s->epoll, events, EVENTS, patience, &none);
        /* First: what is revoked is not served once more. */
        if (!read_control(s))
                return false;
        for (int i = 0; i < count; i++)
                dispatch(s, events[i].data.ptr, events[i].events);
        if (count <= 0)
                links_retry(s);
        reap(s);
        reaches_expire(s);
        talks_expire(s);
        channels_listen(s);
        bury(s);
        return true;
}

/* As many connections as there are descriptors for: two each, and two pipes. */
static size_t connections(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 64;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        rlim_t most = limit.rlim_max == RLIM_INFINITY ? 1 << 20 : limit.rlim_max;
        return (size_t)(most > 4 * (rlim_t)SPARE ? most - SPARE : most / 2) / 6;
}

int main(int argc, char **argv)
{
        static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
        cleanup_error struct error err = ERROR_INIT;
        struct state s = {.control = {SOURCE_CONTROL, CHANNEL_CONTROL, 0}, .maker = -1, .network = -1};
        int type = 0;
        socklen_t size = sizeof type;
        if (argc > 1 || getsockopt(CHANNEL_CONTROL, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET) {
                error_set(&err, EINVAL,
                          "%s is started by paddock, with a SOCK_SEQPACKET socket on descriptor %d and no argument",
                          argv[0], CHANNEL_CONTROL);
                error_print(stderr, &err);
                return 1;
        }
        fcntl(CHANNEL_CONTROL, F_SETFD, FD_CLOEXEC);
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
        struct sigaction ended = {.sa_handler = wake};
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_BLOCK, &child, NULL);
        sigaction(SIGCHLD, &ended, NULL);
        (void)!chdir("/");
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        s.limit = connections();
        s.buffer = memory_new(MESSAGE_LARGEST);
        s.epoll = epoll_create1(EPOLL_CLOEXEC);
        if (s.epoll < 0) {
                error_sys(&err, errno, "the server of channels cannot start");
                error_print(stderr, &err);
                return 1;
        }
        watch(&s, &s.control, EPOLLIN);
        while (turn(&s))
                ;
        while (s.channels)
                channel_end(&s, s.channels);
        return 0;
}
