// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Datagrams through a port. Who sends from one address to the bound side has a socket of its own on the other side,
 * and what comes back there goes to that address: a talk. It ends when nothing passed for a while, or when another one
 * needs its room. Nothing waits: what there is no room for is lost, as datagrams are.
 */
#include "channel.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define TALK_LIMIT 256        /* for each channel */
#define TALK_TIME 120000      /* ms without a word */
#define TURN 64               /* datagrams, before others have their turn */

struct talk {
        struct source source; /* connected to the program that answers */
        struct channel *channel;
        struct sockaddr_storage peer;
        socklen_t peer_size;
        union talk_place { /* the address that the peer wrote to, which is to be that of the answers */
                struct in_pktinfo four;
                struct in6_pktinfo six;
        } place;
        int place_family; /* 0: not known */
        long long last;
        struct talk *next, *previous; /* the one that spoke last is the first */
};

static void unlink_talk(struct talk *t)
{
        struct channel *c = t->channel;
        *(t->previous ? &t->previous->next : &c->talks) = t->next;
        *(t->next ? &t->next->previous : &c->last_talk) = t->previous;
        t->next = t->previous = NULL;
}

static void spoke(struct talk *t)
{
        struct channel *c = t->channel;
        t->last = milliseconds();
        t->next = c->talks;
        *(c->talks ? &c->talks->previous : &c->last_talk) = t;
        c->talks = t;
}

void talk_end(struct state *s, struct talk *t)
{
        watch(s, &t->source, 0);
        close(t->source.fd);
        t->source.fd = -1;
        unlink_talk(t);
        t->channel->talk_count--;
        s->links--;
        s->talks--;
        t->next = s->dead_talks; /* an event may still name it */
        s->dead_talks = t;
}

/* A socket that is connected to where the channel leads, or a negative errno. */
static int answer_socket(struct state *s, const struct channel *c, int side)
{
        union channel_address a;
        const struct channel_side *to = &c->spec.side[side];
        socklen_t size = channel_address(to, &a);
        bool inside = side == CHANNEL_INSIDE && c->network;
        cleanup_close int fd = inside ? reach_socket(s, (int)to->family, SOCK_DGRAM)
                                      : socket((int)to->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return inside ? fd : -errno;
        return connect(fd, &a.any, size) < 0 ? -errno : steal_fd(&fd);
}

static struct talk *talk_with(struct state *s, struct channel *c, int side, const struct sockaddr_storage *peer,
                              socklen_t size)
{
        for (struct talk *t = c->talks; t; t = t->next)
                if (t->peer_size == size && memcmp(&t->peer, peer, size) == 0)
                        return t;
        if (c->last_talk && (c->talk_count >= TALK_LIMIT || s->links >= s->limit))
                talk_end(s, c->last_talk);
        if (s->links >= s->limit)
                return NULL;
        int fd = answer_socket(s, c, side);
        if (fd < 0) {
                fail(s, c, fd);
                return NULL;
        }
        struct talk *t = memory_new(sizeof *t);
        *t = (struct talk){.source = {SOURCE_TALK, fd, 0}, .channel = c, .peer = *peer, .peer_size = size};
        spoke(t);
        c->talk_count++;
        s->links++;
        s->talks++;
        watch(s, &t->source, EPOLLIN);
        return t;
}

union talk_control {
        struct cmsghdr header;
        char room[256];
};

static void remember_place(struct talk *t, struct msghdr *m)
{
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                        memcpy(&t->place.four, CMSG_DATA(c), sizeof t->place.four);
                        t->place.four.ipi_ifindex = 0;
                        t->place_family = AF_INET;
                } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                        memcpy(&t->place.six, CMSG_DATA(c), sizeof t->place.six);
                        t->place_family = IN6_IS_ADDR_MULTICAST(&t->place.six.ipi6_addr) ? 0 : AF_INET6;
                }
        }
}

static void put_place(const struct talk *t, struct msghdr *m, union talk_control *control)
{
        size_t size = t->place_family == AF_INET ? sizeof t->place.four : sizeof t->place.six;
        if (!t->place_family)
                return;
        memset(control, 0, sizeof *control);
        m->msg_control = control;
        m->msg_controllen = CMSG_SPACE(size);
        control->header = (struct cmsghdr){.cmsg_len = CMSG_LEN(size),
                                           .cmsg_level = t->place_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
                                           .cmsg_type = t->place_family == AF_INET ? IP_PKTINFO : IPV6_PKTINFO};
        memcpy(CMSG_DATA(&control->header), &t->place, size);
}

void datagrams_prepare(int fd)
{
        int on = 1;
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on); /* one of the two fits */
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

void datagrams_receive(struct state *s, struct channel *c, int side)
{
        for (int i = 0; i < TURN; i++) {
                struct sockaddr_storage peer = {0};
                union talk_control control;
                struct iovec part = {s->buffer, MESSAGE_LARGEST};
                struct msghdr m = {.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &part, .msg_iovlen = 1,
                                   .msg_control = &control, .msg_controllen = sizeof control};
                ssize_t n = recvmsg(c->listener[side].source.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
                if (n < 0)
                        return;
                channel_used(s, c);
                struct talk *t = talk_with(s, c, !side, &peer, m.msg_namelen);
                if (!t)
                        continue;
                unlink_talk(t);
                spoke(t);
                remember_place(t, &m);
                /* What an earlier one met (ECONNREFUSED) is told to the next, which is then not sent. */
                if (send(t->source.fd, s->buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED)
                        (void)!send(t->source.fd, s->buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
}

void talk_event(struct state *s, struct source *source)
{
        struct talk *t = owner(talk, source, source);
        struct channel *c = t->channel;
        for (int i = 0; i < TURN && t->source.fd >= 0; i++) {
                ssize_t n = recv(t->source.fd, s->buffer, MESSAGE_LARGEST, MSG_DONTWAIT);
                if (n < 0 && errno == ECONNREFUSED)
                        fail(s, c, -ECONNREFUSED);
                if (n < 0)
                        return;
                int side = c->listener[CHANNEL_INSIDE].source.fd >= 0 ? CHANNEL_INSIDE : CHANNEL_OUTSIDE;
                union talk_control control;
                struct iovec part = {s->buffer, (size_t)n};
                struct msghdr m = {.msg_name = &t->peer, .msg_namelen = t->peer_size,
                                   .msg_iov = &part, .msg_iovlen = 1};
                put_place(t, &m, &control);
                (void)!sendmsg(c->listener[side].source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
                c->failed = 0;
                unlink_talk(t);
                spoke(t);
        }
}

void talks_expire(struct state *s)
{
        long long now = s->talks ? milliseconds() : 0;
        for (struct channel *c = s->talks ? s->channels : NULL; c; c = c->next)
                while (c->last_talk && now - c->last_talk->last > TALK_TIME)
                        talk_end(s, c->last_talk);
        while (s->dead_talks) {
                struct talk *t = s->dead_talks;
                s->dead_talks = t->next;
                free(t);
        }
}
