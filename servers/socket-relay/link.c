// SPDX-License-Identifier: GPL-3.0-or-later
/* A connection: what it passes on, and how it ends. See relay.h for the theory. */
#include "closer.h"
#include "relay.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

static void queue(struct relay *r, struct link *l, bool later)
{
        if (l->queue != QUEUED_NOT)
                return;
        struct link **list = later ? &r->later : &r->ready;
        l->queue = later ? QUEUED_LATER : QUEUED_READY;
        l->queued = *list;
        *list = l;
}

/* The socket that is to take a large message gets the room. Has it been too small? */
static bool give_room(int fd, size_t size)
{
        int had = 0, has = 0, wanted = (int)size + 4096;
        socklen_t length = sizeof had;
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &had, &length);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &has, &length);
        return has > had;
}

/* The buffer for a message of `size` bytes. False: there is none so large. */
static bool make_room(struct relay *r, size_t size)
{
        if (size > RELAY_LARGEST)
                return false;
        char *larger = size > r->room ? realloc(r->buffer, size) : r->buffer;
        if (!larger)
                return false;
        if (size > r->room)
                r->room = size;
        r->buffer = larger;
        return true;
}

/* `end`: an empty message that does not say when it came is the end. */
static enum piece pass_message(struct relay *r, int from, int to, bool end)
{
        struct looked looked;
        if (!closer_has_room(r->closer, RELAY_DESCRIPTORS))
                return PIECE_LATER;
        int result = look(r, from, r->room, true, &looked);
        if (result < 0)
                return result == -EAGAIN ? PIECE_EMPTY : PIECE_END;
        if (end && !looked.size && !looked.marked)
                return PIECE_END;
        enum piece piece = PIECE_LATER;
        ssize_t passed = 0;
        if ((size_t)looked.size > r->room) {
                piece = make_room(r, (size_t)looked.size) ? PIECE_LATER : PIECE_BROKEN;
        } else if (!looked.more) {
                passed = pass(to, r->buffer, (size_t)looked.size, looked.fds, looked.count);
                if (passed == -EMSGSIZE && give_room(to, (size_t)looked.size))
                        passed = pass(to, r->buffer, (size_t)looked.size, looked.fds, looked.count);
                piece = passed < 0 ? refusal(passed) : PIECE_PASSED;
        }
        closer_take(r->closer, looked.fds, looked.count);
        if (piece == PIECE_PASSED || (!end && piece > PIECE_LATER)) /* a datagram to nobody is lost, as it always was */
                (void)!recv(from, NULL, 0, MSG_DONTWAIT | MSG_TRUNC);
        return !end && piece > PIECE_LATER ? PIECE_PASSED : piece;
}

/* One way, for a turn. Returns false when the link has ended. */
static bool work_way(struct relay *r, struct link *l, int side)
{
        int from = l->end[side].fd, to = l->end[!side].fd, type = l->grant->type;
        for (int i = 0; l->readable[side] && l->writable[!side] && !l->ended[side]; i++) {
                if (i == RELAY_TURN) {
                        queue(r, l, false);
                        return true;
                }
                enum piece piece = type == SOCK_STREAM ? pass_stream(r, l, side)
                                                       : pass_message(r, from, to, type != SOCK_DGRAM);
                switch (piece) {
                case PIECE_PASSED:
                        grant_used(r, l->grant); /* of DGRAM it is not known before */
                        break;
                case PIECE_EMPTY:
                        l->readable[side] = false;
                        break;
                case PIECE_FULL:
                        l->writable[!side] = false;
                        if (type == SOCK_DGRAM) /* the kernel tells only those who asked again */
                                queue(r, l, true);
                        break;
                case PIECE_LATER:
                        queue(r, l, true);
                        return true;
                case PIECE_END:
                        l->ended[side] = true;
                        shutdown(to, SHUT_WR);
                        break;
                case PIECE_REFUSED: /* nobody reads there any more: whoever writes here is to know */
                        l->ended[side] = true;
                        shutdown(from, SHUT_RD);
                        break;
                case PIECE_BROKEN:
                        return false;
                }
        }
        return true;
}

/* A connection to the outer socket. 0, -EAGAIN when its queue is full, or another negative errno. */
static int connect_outer(struct relay *r, struct link *l)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", l->grant->outer);
        int fd = l->end[OUTER].fd;
        if (fd < 0)
                fd = socket(AF_UNIX, l->grant->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        l->end[OUTER].fd = fd;
        int result = connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
        if (result == -ECONNREFUSED && successor_find(l->grant)) {
                snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", l->grant->outer);
                result = connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
        }
        if (result < 0)
                return result;
        int on = 1;
        if (l->grant->type == SOCK_SEQPACKET)
                setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on);
        l->readable[OUTER] = l->writable[OUTER] = true;
        l->ended[OUTER] = l->grant->type == SOCK_DGRAM; /* nothing comes back */
        return relay_watch(r, &l->end[OUTER], EPOLLIN | EPOLLOUT | EPOLLET);
}

static bool has_bytes(int fd)
{
        int bytes = 0;
        return ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0;
}

void link_work(struct relay *r, struct link *l)
{
        if (l->dead)
                return;
        if (!l->connected) {
                int result = connect_outer(r, l);
                if (result == -EAGAIN && (!l->hung_up[INNER] || has_bytes(l->end[INNER].fd))) {
                        queue(r, l, true);
                        return;
                }
                if (result < 0) {
                        if (result != -EAGAIN && result != l->grant->failed) {
                                l->grant->failed = result;
                                control_tell(r, l->grant, RELAY_FAILED);
                        }
                        link_end(r, l);
                        return;
                }
                l->grant->failed = 0;
                l->connected = true;
        }
        bool going = work_way(r, l, INNER) && work_way(r, l, OUTER);
        for (int side = 0; side < 2 && going; side++) /* what hung up takes nothing any more */
                if (l->ended[side] && (l->ended[!side] || l->hung_up[side]) && l->grant->type != SOCK_DGRAM)
                        going = false;
        if (!going)
                link_end(r, l);
}

void link_event(struct relay *r, struct link *l, int side, uint32_t events)
{
        if (l->dead)
                return;
        l->readable[side] |= (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
        l->writable[side] |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
        l->hung_up[side] |= (events & EPOLLHUP) != 0;
        if (l->connected || l->queue == QUEUED_NOT)
                link_work(r, l);
}

int link_start(struct relay *r, struct grant *g, int inner)
{
        struct link *l = memory_new(sizeof *l);
        *l = (struct link){.end = {{SOURCE_INNER, inner}, {SOURCE_OUTER, -1}}, .grant = g, .next = g->links};
        l->readable[INNER] = l->writable[INNER] = true;
        int on = 1;
        if (g->type == SOCK_SEQPACKET)
                setsockopt(inner, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on);
        if (g->links)
                g->links->previous = l;
        g->links = l;
        g->count++;
        r->links++;
        int result = relay_watch(r, &l->end[INNER], EPOLLIN | EPOLLOUT | EPOLLET);
        if (result < 0)
                link_end(r, l);
        else
                link_work(r, l);
        return result;
}

uint64_t link_end(struct relay *r, struct link *l)
{
        if (l->dead)
                return 0;
        l->dead = true;
        uint64_t lost = held_drop(r, &l->held[INNER]) + held_drop(r, &l->held[OUTER]);
        for (int side = 0; side < 2; side++) {
                int fd = l->end[side].fd, bytes = 0;
                if (fd < 0)
                        continue;
                if (ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0)
                        lost += (uint64_t)bytes;
                shutdown(fd, SHUT_RDWR);
                close(fd);
                l->end[side].fd = -1;
        }
        if (l->previous)
                l->previous->next = l->next;
        else
                l->grant->links = l->next;
        if (l->next)
                l->next->previous = l->previous;
        l->next = r->dead;
        r->dead = l;
        l->grant->count--;
        r->links--;
        grant_lost_link(r, l->grant);
        return lost;
}

void link_turn(struct relay *r, struct link **list)
{
        struct link *l = *list, *next;
        *list = NULL;
        for (; l; l = next) {
                next = l->queued;
                l->queued = NULL;
                l->queue = QUEUED_NOT;
                if (l->grant->type == SOCK_DGRAM)
                        l->writable[OUTER] = true; /* tried again */
                link_work(r, l);
        }
}
