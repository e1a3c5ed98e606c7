// SPDX-License-Identifier: GPL-3.0-or-later
/* The relay's one loop: see relay.h. */
#include "relay.h"

#include "closer.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#define EVENTS 64
#define SPARE 512 /* descriptors that are no connection's: grants, the control socket, what passes through */

int relay_watch(struct relay *r, struct source *source, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = source};
        return epoll_ctl(r->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

/* As many connections as there are descriptors for, two each. */
static size_t connections(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 256;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        rlim_t most = limit.rlim_max == RLIM_INFINITY ? 1 << 20 : limit.rlim_max;
        rlim_t spare = most > 8 * (rlim_t)SPARE ? 4 * (rlim_t)SPARE : most / 2;
        return (size_t)(most - spare) / 2;
}

int relay_start(struct relay *r, int control)
{
        *r = (struct relay){.control = {SOURCE_CONTROL, control}, .told_all = true, .room = RELAY_ROOM};
        r->limit = connections();
        r->buffer = memory_new(r->room);
        r->closer = closer_start();
        r->epoll = epoll_create1(EPOLL_CLOEXEC);
        return r->epoll < 0 ? -errno : relay_watch(r, &r->control, EPOLLIN | EPOLLOUT | EPOLLET);
}

/* The grant or link that `source` belongs to. */
#define owner(type, member, source) ((struct type *)((char *)(source)-offsetof(struct type, member)))

static void dispatch(struct relay *r, struct source *source, uint32_t events)
{
        switch (source->kind) {
        case SOURCE_CONTROL:
                break; /* looked at in every round */
        case SOURCE_LISTENER:
                if (source->fd >= 0)
                        grant_accept(r, owner(grant, listener, source));
                break;
        case SOURCE_INNER:
                link_event(r, owner(link, end[INNER], source), INNER, events);
                break;
        case SOURCE_OUTER:
                link_event(r, owner(link, end[OUTER], source), OUTER, events);
                break;
        }
}

void relay_bury(struct relay *r)
{
        /* One that still stands in a list is buried when its turn has come. */
        for (struct link **at = &r->dead, *l; (l = *at);) {
                if (l->queue != QUEUED_NOT) {
                        at = &l->next;
                        continue;
                }
                *at = l->next;
                free(l);
        }
        while (r->dead_grants && !r->dead) {
                struct grant *g = r->dead_grants;
                r->dead_grants = g->next;
                free(g);
        }
}

static long long milliseconds(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

bool relay_once(struct relay *r, int timeout)
{
        struct epoll_event events[EVENTS];
        int patience = r->ready ? 0 : r->later && (timeout < 0 || timeout > RELAY_TICK) ? RELAY_TICK : timeout;
        int count = epoll_wait(r->epoll, events, EVENTS, patience);
        /* First: what is revoked is not served once more. */
        if (!control_read(r))
                return false;
        link_turn(r, &r->ready);
        for (int i = 0; i < count; i++)
                dispatch(r, events[i].data.ptr, events[i].events);
        long long now = r->later ? milliseconds() : 0;
        if (r->later && now - r->tried >= RELAY_TICK) {
                r->tried = now;
                link_turn(r, &r->later);
        }
        control_flush(r);
        relay_bury(r);
        return true;
}

void relay_end(struct relay *r)
{
        while (r->grants)
                grant_end(r, r->grants);
        link_turn(r, &r->ready);
        link_turn(r, &r->later);
        relay_bury(r);
        close(r->epoll);
        free(r->buffer);
}
