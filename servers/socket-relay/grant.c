// SPDX-License-Identifier: GPL-3.0-or-later
/* The grants of a relay: sockets that are named inside, and what they lead to. */
#include "relay.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct grant *grant_find(struct relay *r, uint64_t id)
{
        for (struct grant *g = r->grants; g; g = g->next)
                if (g->id == id)
                        return g;
        return NULL;
}

/* Is `fd` a UNIX socket of a type that can be relayed, bound and, if it can, listening? Returns the type or a negative
 * errno. */
static int check_listener(int fd)
{
        int domain = 0, type = 0, listening = 0;
        socklen_t size = sizeof domain;
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
                return -errno;
        if (domain != AF_UNIX || (type != SOCK_STREAM && type != SOCK_SEQPACKET && type != SOCK_DGRAM))
                return -EPROTOTYPE;
        return type != SOCK_DGRAM && !listening ? -EINVAL : type;
}

/* Can such a grant be? Returns the type of its socket or a negative errno. */
static int check(struct relay *r, uint64_t id, uint32_t flags, int listener, int outer)
{
        struct stat st;
        int type = check_listener(listener);
        if (type < 0)
                return type;
        if (!id || (flags & ~RELAY_ONCE) || (type == SOCK_DGRAM && (flags & RELAY_ONCE)))
                return -EINVAL;
        if (grant_find(r, id))
                return -EEXIST;
        if (fstat(outer, &st) < 0)
                return -errno;
        return S_ISSOCK(st.st_mode) ? type : -ENOTSOCK;
}

int grant_add(struct relay *r, uint64_t id, uint32_t flags, int listener, int outer)
{
        int type = check(r, id, flags, listener, outer);
        if (type < 0) {
                close(listener);
                close(outer);
                return type;
        }
        fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
        struct grant *g = memory_new(sizeof *g);
        *g = (struct grant){.listener = {SOURCE_LISTENER, listener},
                            .id = id,
                            .outer = outer,
                            .path = successor_name(outer),
                            .since = successor_now(),
                            .type = type,
                            .once = flags & RELAY_ONCE,
                            .next = r->grants};
        r->grants = g;
        if (type == SOCK_DGRAM)
                g->listener.fd = -1; /* the link's */
        int result = type == SOCK_DGRAM ? link_start(r, g, listener) : relay_watch(r, &g->listener, EPOLLIN);
        if (result < 0)
                grant_end(r, g);
        return result;
}

uint64_t grant_end(struct relay *r, struct grant *g)
{
        uint64_t lost = 0;
        g->spent = true; /* no further word about it */
        if (g->listener.fd >= 0) {
                shutdown(g->listener.fd, SHUT_RDWR); /* whoever else has it open */
                close(g->listener.fd); /* those who wait in its queue are told */
                g->listener.fd = -1;
        }
        while (g->links)
                lost += link_end(r, g->links);
        if (g->outer >= 0)
                close(g->outer);
        free(g->path);
        g->path = NULL;
        struct grant **at = &r->grants;
        while (*at != g)
                at = &(*at)->next;
        *at = g->next;
        g->next = r->dead_grants;
        r->dead_grants = g;
        return lost;
}

/* Does it take connections? */
static void listen_again(struct relay *r, struct grant *g, bool on)
{
        struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = &g->listener};
        epoll_ctl(r->epoll, EPOLL_CTL_MOD, g->listener.fd, &event);
        g->stalled = !on;
        r->stalled |= !on;
}

void grant_used(struct relay *r, struct grant *g)
{
        if (g->used)
                return;
        g->used = true;
        control_tell(r, g, RELAY_USED);
}

void grant_accept(struct relay *r, struct grant *g)
{
        for (int i = 0; i < RELAY_TURN && g->listener.fd >= 0 && !g->spent; i++) {
                if (r->links >= r->limit) {
                        listen_again(r, g, false);
                        return;
                }
                int fd = accept4(g->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
                        listen_again(r, g, false);
                if (fd < 0)
                        return;
                grant_used(r, g);
                if (g->once) {
                        shutdown(g->listener.fd, SHUT_RDWR);
                        close(g->listener.fd);
                        g->listener.fd = -1;
                }
                link_start(r, g, fd);
        }
}

void grant_lost_link(struct relay *r, struct grant *g)
{
        if (g->once && !g->spent && g->listener.fd < 0 && !g->count) {
                g->spent = true;
                control_tell(r, g, RELAY_SPENT);
        }
        if (!r->stalled || r->links >= r->limit)
                return;
        r->stalled = false;
        for (struct grant *other = r->grants; other; other = other->next)
                if (other->stalled && other->listener.fd >= 0)
                        listen_again(r, other, true);
}
