// SPDX-License-Identifier: GPL-3.0-or-later
/* A connection through a channel: see channel.h for the theory. */
#include "channel.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct link *link_new(struct state *s, struct channel *c)
{
        struct link *l = memory_new(sizeof *l);
        *l = (struct link){.channel = c, .state = LINK_WAITS, .next = c->links};
        for (int i = 0; i < 2; i++) {
                l->end[i] = (struct end){{SOURCE_END, -1, 0}, l};
                l->flow[i].pipe[0] = l->flow[i].pipe[1] = -1;
        }
        if (c->links)
                c->links->previous = l;
        c->links = l;
        c->count++;
        s->links++;
        return l;
}

/* ---- pipes ---- */

static int pipe_take(struct state *s, struct flow *f)
{
        if (f->pipe[0] >= 0)
                return 0;
        if (s->pipe_count) {
                memcpy(f->pipe, s->pipes[--s->pipe_count], sizeof f->pipe);
                return 0;
        }
        if (pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
                f->pipe[0] = f->pipe[1] = -1;
                return -errno;
        }
        fcntl(f->pipe[0], F_SETPIPE_SZ, PIPE_ROOM); /* above a user's share it stays smaller */
        return 0;
}

/* An empty one is kept for others. Returns what was in it. */
static size_t pipe_give(struct state *s, struct flow *f)
{
        size_t held = f->held;
        if (f->pipe[0] < 0)
                return 0;
        if (!held && s->pipe_count < sizeof s->pipes / sizeof *s->pipes) {
                memcpy(s->pipes[s->pipe_count++], f->pipe, sizeof f->pipe);
        } else {
                close(f->pipe[0]);
                close(f->pipe[1]);
        }
        f->pipe[0] = f->pipe[1] = -1;
        f->held = 0;
        return held;
}

/* ---- passing ---- */

static bool is_later(int code)
{
        return code == EAGAIN || code == EINTR || code == ENOMEM || code == ENOBUFS;
}

/* What comes next from `side`, into the pipe and out of it. False: the link has broken. */
static bool pass_bytes(struct state *s, struct link *l, int side)
{
        struct flow *f = &l->flow[side];
        int from = l->end[side].source.fd, to = l->end[!side].source.fd;
        if (!f->held && !f->ended) {
                if (pipe_take(s, f) < 0)
                        return false;
                ssize_t n = splice(from, NULL, f->pipe[1], NULL, PIPE_ROOM, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
                if (n < 0 && !is_later(errno))
                        f->ended = true; /* reset: what is held is still delivered */
                else if (n == 0)
                        f->ended = true;
                else if (n > 0)
                        f->held = (size_t)n;
        }
        while (f->held) {
                ssize_t n = splice(f->pipe[0], NULL, to, NULL, f->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
                if (n < 0 && is_later(errno))
                        break;
                if (n <= 0) { /* nobody reads there any more: whoever writes here is to know */
                        shutdown(from, SHUT_RD);
                        f->ended = f->shut = true;
                        pipe_give(s, f);
                        break;
                }
                f->held -= (size_t)n;
        }
        if (!f->held)
                pipe_give(s, f);
        return true;
}

/* The next message is looked at where it lies, sent, and only then taken out of the queue. */
static bool pass_message(struct state *s, struct link *l, int side)
{
        struct flow *f = &l->flow[side];
        int from = l->end[side].source.fd, to = l->end[!side].source.fd;
        if (f->ended)
                return true;
        f->held = 0;
        ssize_t n = recv(from, s->buffer, MESSAGE_LARGEST, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
        struct pollfd gone = {.fd = from, .events = POLLRDHUP};
        if (n < 0 && is_later(errno))
                return true;
        if (n < 0 || (n == 0 && poll(&gone, 1, 0) > 0)) {
                f->ended = true;
                return true;
        }
        if (n > MESSAGE_LARGEST)
                return false;
        int had = 0, room = (int)n + 4096;
        socklen_t length = sizeof had;
        if (n > 65536 && getsockopt(to, SOL_SOCKET, SO_SNDBUF, &had, &length) == 0 && had < 2 * room)
                setsockopt(to, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        ssize_t sent = send(to, s->buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EMSGSIZE)
                return false;
        if (sent < 0 && is_later(errno)) {
                f->held = 1; /* it waits for room */
                return true;
        }
        if (sent < 0) {
                shutdown(from, SHUT_RD);
                f->ended = f->shut = true;
        }
        (void)!recv(from, s->buffer, 0, MSG_DONTWAIT | MSG_TRUNC);
        return true;
}

/* What each end is to be waited for: an end that wants nothing is out of the set, or its hanging up would be told
 * over and over. */
static void rest(struct state *s, struct link *l)
{
        for (int side = 0; side < 2; side++) {
                uint32_t events = 0;
                if (!l->flow[side].ended && !l->flow[side].held)
                        events |= EPOLLIN;
                if (l->flow[!side].held)
                        events |= EPOLLOUT;
                watch(s, &l->end[side].source, events);
        }
}

static void work(struct state *s, struct link *l, int side)
{
        bool messages = l->channel->spec.kind == CHANNEL_MESSAGES;
        struct flow *f = &l->flow[side];
        if (!(messages ? pass_message(s, l, side) : pass_bytes(s, l, side))) {
                link_end(s, l);
                return;
        }
        if (f->ended && !f->held && !f->shut) {
                f->shut = true;
                shutdown(l->end[!side].source.fd, SHUT_WR);
        }
        if (l->flow[0].shut && l->flow[1].shut)
                link_end(s, l);
        else
                rest(s, l);
}

void link_event(struct state *s, struct end *e, uint32_t events)
{
        struct link *l = e->link;
        int side = e == &l->end[1];
        if (l->dead)
                return;
        if (l->state == LINK_CONNECTS) {
                int code = 0;
                socklen_t size = sizeof code;
                getsockopt(e->source.fd, SOL_SOCKET, SO_ERROR, &code, &size);
                link_reached(s, l, side, code ? -code : e->source.fd);
                return;
        }
        if (l->state != LINK_OPEN)
                return;
        if ((events & EPOLLOUT) || ((events & (EPOLLHUP | EPOLLERR)) && l->flow[!side].held))
                work(s, l, !side);
        if (!l->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                work(s, l, side);
}

void link_open(struct state *s, struct link *l)
{
        int on = 1;
        l->state = LINK_OPEN;
        for (int i = 0; i < 2; i++)
                if (l->channel->spec.side[i].family != AF_UNIX) /* of other sockets it is refused */
                        setsockopt(l->end[i].source.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        rest(s, l);
}

/* ---- connecting ---- */

void link_reached(struct state *s, struct link *l, int side, int fd)
{
        l->reach = NULL;
        if (fd == -EAGAIN) { /* its queue is full */
                l->state = LINK_RETRIES;
                s->retrying = true;
                return;
        }
        if (fd < 0) {
                fail(s, l->channel, fd);
                link_end(s, l);
                return;
        }
        l->channel->failed = 0;
        l->end[side].source.fd = fd;
        link_open(s, l);
}

static int begin_tcp(struct state *s, struct link *l, const struct channel_side *side, bool inside)
{
        union channel_address a;
        socklen_t size = channel_address(side, &a);
        int fd = inside && l->channel->network
                         ? reach_socket(s, (int)side->family, SOCK_STREAM)
                         : socket((int)side->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return inside && fd != -1 ? fd : -errno;
        if (connect(fd, &a.any, size) < 0 && errno != EINPROGRESS) {
                int code = errno;
                close(fd);
                return -code;
        }
        struct source *source = &l->end[inside ? CHANNEL_INSIDE : CHANNEL_OUTSIDE].source;
        source->fd = fd;
        l->state = LINK_CONNECTS;
        watch(s, source, EPOLLOUT);
        return 0;
}

void link_connect(struct state *s, struct link *l, int side)
{
        const struct channel_side *to = &l->channel->spec.side[side];
        bool inside = side == CHANNEL_INSIDE;
        int type = l->channel->spec.kind == CHANNEL_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM, result;
        if (to->family != AF_UNIX)
                result = begin_tcp(s, l, to, inside);
        else if (inside)
                result = reach_name(s, l, side);
        else {
                link_reached(s, l, side, reach_unix(-1, to->path, type));
                return;
        }
        if (result < 0)
                link_reached(s, l, side, result);
}

void links_retry(struct state *s)
{
        if (!s->retrying)
                return;
        s->retrying = false;
        for (struct channel *c = s->channels; c; c = c->next) {
                struct link *next;
                for (struct link *l = c->links; l; l = next) {
                        next = l->next;
                        if (l->state == LINK_RETRIES)
                                link_connect(s, l, l->end[CHANNEL_INSIDE].source.fd < 0);
                }
        }
        channels_listen(s);
}

/* ---- the end ---- */

uint64_t link_end(struct state *s, struct link *l)
{
        struct channel *c = l->channel;
        uint64_t lost = 0;
        bool messages = c->spec.kind == CHANNEL_MESSAGES;
        if (l->dead)
                return 0;
        l->dead = true;
        if (l->reach)
                reach_forget(s, l->reach);
        for (int i = 0; i < 2; i++) {
                int fd = l->end[i].source.fd, bytes = 0;
                if (messages)
                        l->flow[i].held = 0;
                lost += pipe_give(s, &l->flow[i]);
                if (fd < 0)
                        continue;
                if (l->state == LINK_WAITS)
                        c->waiting[i]--;
                if (ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0)
                        lost += (uint64_t)bytes;
                watch(s, &l->end[i].source, 0);
                shutdown(fd, SHUT_RDWR);
                close(fd);
                l->end[i].source.fd = -1;
        }
        if (l->previous)
                l->previous->next = l->next;
        else
                c->links = l->next;
        if (l->next)
                l->next->previous = l->previous;
        l->next = s->dead_links;
        s->dead_links = l;
        c->count--;
        s->links--;
        return lost;
}
