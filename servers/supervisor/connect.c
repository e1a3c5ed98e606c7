// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What becomes of a connect() that leads out: asked, refused, or carried out with a socket of the outer network.
 *
 * The socket is connected without waiting. A caller that would not wait either gets it at once, as it is; one that
 * waits gets it when it is connected, and keeps its own when that fails. A caller that got a signal has taken its
 * call back: what was begun for it is dropped, and a call that is made again begins anew.
 */
#include "supervisor.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECT_LIMIT 180000 /* ms; the kernel gives up earlier */

void pending_remove(struct supervisor *s, struct pending *p)
{
        for (struct pending **at = &s->pending; *at; at = &(*at)->next) {
                if (*at != p)
                        continue;
                *at = p->next;
                break;
        }
        s->pending_count--;
        if (p->inner >= 0)
                close(p->inner);
        if (p->outer >= 0)
                close(p->outer);
        free(p);
}

void connect_refuse(struct supervisor *s, struct pending *p, int code)
{
        if (p->query) {
                resolver_answered(s, p->query, false);
        } else {
                /* As a refusal by the other side is told: a program whose socket does not wait finds the reason
                 * there too. */
                listener_answer(s, p->id, -code);
        }
        pending_remove(s, p);
}

/* The caller's flags of the descriptor and of the file. */
static void read_flags(pid_t pid, int number, bool *on_exec)
{
        char path[64], line[128];
        unsigned flags;
        *on_exec = false;
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, number);
        cleanup_file FILE *info = fopen(path, "re");
        while (info && fgets(line, sizeof line, info))
                if (sscanf(line, "flags: %o", &flags) == 1) {
                        *on_exec = flags & O_CLOEXEC;
                        return;
                }
}

/* A call on a socket that is one of the outer network already: as the kernel answers a second connect(). */
static int64_t second_call(int fd)
{
        int code = 0;
        socklen_t size = sizeof code;
        union address peer;
        socklen_t length = sizeof peer;
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (getpeername(fd, &peer.any, &length) == 0)
                return -EISCONN;
        poll(&ready, 1, 0);
        if (!(ready.revents & (POLLOUT | POLLERR | POLLHUP)))
                return -EALREADY;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
        return code ? -code : -ECONNABORTED;
}

/* The message's address: IPv4 that is written as IPv6 is IPv4. */
static void describe(struct supervisor *s, struct pending *p)
{
        struct paddock_message *m = &p->question;
        union address a = p->address;
        if (a.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.six.sin6_addr)) {
                union address four = {.four = {.sin_family = AF_INET, .sin_port = a.six.sin6_port}};
                memcpy(&four.four.sin_addr, a.six.sin6_addr.s6_addr + 12, 4);
                a = four;
        }
        socklen_t size = a.any.sa_family == AF_INET ? sizeof a.four : sizeof a.six;
        m->call = PADDOCK_CONNECT;
        m->connect.address.size = size;
        memcpy(m->connect.address.bytes, &a, size);
        snprintf(m->connect.name, sizeof m->connect.name, "%s", names_find(s, &a));
}

void connect_begin(struct supervisor *s, uint64_t id, pid_t pid, int number, int inner, const union address *address,
                   socklen_t size)
{
        int flags = fcntl(inner, F_GETFL);
        if (!connect_is_inner(s, inner)) {
                listener_answer(s, id, second_call(inner));
                close(inner);
                return;
        }
        struct pending *p = s->pending_count < PENDING_LIMIT ? calloc(1, sizeof *p) : NULL;
        if (!p) {
                listener_answer(s, id, -EAGAIN);
                close(inner);
                return;
        }
        *p = (struct pending){.next = s->pending,
                              .serial = ++s->serial,
                              .id = id,
                              .pid = pid,
                              .number = number,
                              .inner = inner,
                              .outer = -1,
                              .blocking = !(flags & O_NONBLOCK),
                              .address = *address,
                              .size = size,
                              .due = clock_ms() + ASK_LIMIT};
        read_flags(pid, number, &p->on_exec);
        s->pending = p;
        s->pending_count++;
        describe(s, p);
        struct paddock_message answer;
        if (role_kept(s, &p->question, &answer))
                connect_answered(s, p, &answer, -1);
        else
                role_ask(s, p);
}

/* The caller gets it: connected, or about to be. */
static void hand_over(struct supervisor *s, struct pending *p, int64_t value)
{
        struct registrations r = {0};
        if (!p->blocking)
                exchange_find(p->pid, p->number, &r);
        else
                fcntl(p->outer, F_SETFL, fcntl(p->outer, F_GETFL) & ~O_NONBLOCK);
        int result = listener_place(s, p->id, p->outer, p->number, p->on_exec);
        if (result == 0)
                exchange_register(&r, p->number, p->outer);
        while (r.count)
                close(r.items[--r.count].epoll);
        listener_answer(s, p->id, result < 0 ? result : value);
        pending_remove(s, p);
}

void connect_progress(struct supervisor *s, struct pending *p)
{
        int code = 0;
        socklen_t size = sizeof code;
        if (getsockopt(p->outer, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
                code = errno;
        if (code)
                connect_refuse(s, p, code);
        else
                hand_over(s, p, 0);
}

static void carry_out(struct supervisor *s, struct pending *p, const union address *to, socklen_t size)
{
        p->outer = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (p->outer < 0) {
                connect_refuse(s, p, errno);
                return;
        }
        exchange_options(p->inner, p->outer);
        if (connect(p->outer, &to->any, size) == 0) {
                hand_over(s, p, 0);
        } else if (errno != EINPROGRESS) {
                connect_refuse(s, p, errno);
        } else if (!p->blocking) {
                hand_over(s, p, -EINPROGRESS);
        } else {
                p->due = clock_ms() + CONNECT_LIMIT;
                (void)!write(s->wake, &(uint64_t){1}, sizeof(uint64_t));
        }
}

/* What a server gives must be a stream that is connected to something. */
static bool is_good(int fd)
{
        int type = 0;
        socklen_t size = sizeof type;
        union address peer;
        socklen_t length = sizeof peer;
        return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
               getpeername(fd, &peer.any, &length) == 0;
}

void connect_answered(struct supervisor *s, struct pending *p, const struct paddock_message *answer, int given)
{
        cleanup_close int fd = given;
        if (p->query) {
                struct query *q = p->query;
                pending_remove(s, p);
                resolver_answered(s, q, answer->verdict == PADDOCK_NATIVE);
                return;
        }
        switch (answer->verdict) {
        case PADDOCK_NATIVE: {
                union address to = p->address;
                socklen_t size = p->size;
                uint32_t other = answer->connect.address.size;
                if (other) {
                        to = (union address){0};
                        memcpy(&to, answer->connect.address.bytes, other < sizeof answer->connect.address.bytes ? other : 0);
                        size = to.any.sa_family == AF_INET ? sizeof to.four : sizeof to.six;
                        if (other != size || (to.any.sa_family != AF_INET && to.any.sa_family != AF_INET6)) {
                                connect_refuse(s, p, EPROTO);
                                return;
                        }
                }
                s->role.allowed++;
                carry_out(s, p, &to, size);
                return;
        }
        case PADDOCK_GIVE:
                if (!is_good(fd)) {
                        connect_refuse(s, p, EPROTO);
                        return;
                }
                s->role.allowed++;
                p->outer = steal_fd(&fd);
                fcntl(p->outer, F_SETFL, p->blocking ? 0 : O_NONBLOCK);
                hand_over(s, p, 0);
                return;
        default:
                s->role.refused++;
                connect_refuse(s, p, answer->error > 0 && answer->error < 4096 ? answer->error : EACCES);
        }
}
