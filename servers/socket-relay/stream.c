// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What passes on a stream.
 *
 * Theory of operation. Bytes without descriptors are looked at, sent, and removed. A look (MSG_PEEK) ends after the
 * first part of the queue that brings descriptors, and says that there are some - but not with which of its bytes:
 * plain bytes may lie before it, and the kernel marks a look of a single byte as well. Only taking bytes out tells:
 * the read whose flags say MSG_CTRUNC took the byte. So the bytes that may be it are taken one by one, 64 with one
 * call (recvmmsg), after the descriptors were got by looking. What was taken and could not be sent is held until it
 * can be.
 *
 * How many may be it: the kernel cuts what one call sends into parts of at most 36 KiB (af_unix.c: SKB_MAX_HEAD(0) +
 * UNIX_SKB_FRAGS_SZ), the first of which has the descriptors. Bytes further away from the end of the look are plain.
 */
#include "closer.h"
#include "relay.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define PART_LARGEST (64 * 1024)
#define BURST 64

/* Removes bytes that were passed on from the stream's queue. They were looked at, so they are there. */
static void remove_bytes(int fd, size_t size)
{
        char nothing[4096];
        struct iovec parts[RELAY_ROOM / sizeof nothing];
        while (size) {
                size_t count = 0, left = size;
                for (; left && count < sizeof parts / sizeof *parts; count++) {
                        parts[count] = (struct iovec){nothing, left < sizeof nothing ? left : sizeof nothing};
                        left -= parts[count].iov_len;
                }
                struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
                ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
                if (got <= 0)
                        return;
                size -= (size_t)got;
        }
}

/* Takes `size` bytes out of the queue, one by one. Returns how many were taken; *at is the one that brought
 * descriptors, or that number. */
static size_t take_bytes(int fd, size_t size, char *bytes, size_t *at)
{
        struct mmsghdr messages[BURST] = {0};
        struct iovec parts[BURST];
        if (size > BURST)
                size = BURST;
        for (size_t i = 0; i < size; i++) {
                parts[i] = (struct iovec){bytes + i, 1};
                messages[i].msg_hdr = (struct msghdr){.msg_iov = parts + i, .msg_iovlen = 1};
        }
        int result = recvmmsg(fd, messages, (unsigned)size, MSG_DONTWAIT, NULL);
        size_t taken = 0;
        while (result > 0 && taken < (size_t)result && messages[taken].msg_len)
                taken++;
        for (*at = 0; *at < taken && !(messages[*at].msg_hdr.msg_flags & MSG_CTRUNC); ++*at)
                ;
        return taken;
}

size_t held_drop(struct relay *r, struct held **held)
{
        size_t size = 0;
        if (*held) {
                size = (*held)->size;
                closer_take(r->closer, (*held)->fds, (*held)->count);
                free((*held)->fds);
        }
        free(*held);
        *held = NULL;
        return size;
}

/* Takes bytes until the one that brings the descriptors in `looked` is among them; when it is not among the first
 * HELD_ROOM, they are plain ones, and the descriptors are got again with the next. */
static struct held *take_part(struct relay *r, int from, const struct looked *looked)
{
        struct held *h = memory_new(sizeof *h);
        size_t size = (size_t)looked->size, wanted = 1, at = 0;
        bool found = false;
        while (!found && h->size < size && h->size < HELD_ROOM) {
                if (wanted > size - h->size)
                        wanted = size - h->size;
                if (wanted > HELD_ROOM - h->size)
                        wanted = HELD_ROOM - h->size;
                size_t taken = take_bytes(from, wanted, h->bytes + h->size, &at);
                if (!taken)
                        break;
                found = at < taken;
                h->at = h->size + at;
                h->size += taken;
                wanted = BURST; /* mostly it is the very first, and nothing more is taken */
        }
        h->rest = size - h->size;
        if (found) {
                h->count = looked->count;
                h->fds = memory_new(h->count * sizeof *h->fds + 1);
                memcpy(h->fds, looked->fds, h->count * sizeof *h->fds);
        } else {
                closer_take(r->closer, looked->fds, looked->count);
        }
        return h;
}

/* Sends what is held: first what comes before the descriptors, then, with them, what is left of their part, as
 * much as goes at once. */
static enum piece pass_held(struct relay *r, struct link *l, int side)
{
        struct held *h = l->held[side];
        struct looked looked = {0};
        int from = l->end[side].fd, to = l->end[!side].fd;
        bool first = h->at || !h->count;
        size_t size = first && h->at ? h->at : h->size, rest = 0;
        ssize_t passed;
        if (!first && !closer_has_room(r->closer, h->count))
                return PIECE_LATER;
        if (!first && h->rest && look(r, from, h->rest, false, &looked) == 0) {
                rest = (size_t)looked.size;
                if (rest + size > r->room)
                        rest = r->room - size;
                memmove(r->buffer + size, r->buffer, rest);
                memcpy(r->buffer, h->bytes, size);
                passed = pass(to, r->buffer, size + rest, h->fds, h->count);
        } else {
                passed = pass(to, h->bytes, size, h->fds, first ? 0 : h->count);
        }
        if (passed < 0)
                return refusal(passed);
        if (!first) {
                closer_take(r->closer, h->fds, h->count);
                h->count = 0;
        }
        size_t gone = (size_t)passed < h->size ? (size_t)passed : h->size;
        remove_bytes(from, (size_t)passed - gone);
        h->size -= gone;
        h->at -= h->at < gone ? h->at : gone;
        memmove(h->bytes, h->bytes + gone, h->size);
        if (!h->size)
                held_drop(r, &l->held[side]);
        return PIECE_PASSED;
}

enum piece pass_stream(struct relay *r, struct link *l, int side)
{
        struct looked looked;
        int from = l->end[side].fd;
        if (l->held[side])
                return pass_held(r, l, side);
        int result = look(r, from, RELAY_ROOM, false, &looked);
        if (result < 0)
                return result == -EAGAIN ? PIECE_EMPTY : PIECE_END;
        if (!looked.size)
                return PIECE_END;
        size_t plain = looked.more ? 0 : (size_t)looked.size;
        if (looked.more && looked.size > PART_LARGEST)
                plain = (size_t)looked.size - PART_LARGEST;
        if (plain) {
                ssize_t passed = pass(l->end[!side].fd, r->buffer, plain, NULL, 0);
                if (passed < 0)
                        return refusal(passed);
                remove_bytes(from, (size_t)passed);
                return PIECE_PASSED;
        }
        if (!closer_has_room(r->closer, RELAY_DESCRIPTORS))
                return PIECE_LATER;
        if (look(r, from, (size_t)looked.size, true, &looked) < 0 || looked.more || !looked.size) {
                closer_take(r->closer, looked.fds, looked.count);
                return PIECE_LATER; /* no descriptor was left */
        }
        l->held[side] = take_part(r, from, &looked);
        if (!l->held[side]->size) { /* they were there just now: the socket is broken */
                held_drop(r, &l->held[side]);
                return PIECE_END;
        }
        return pass_held(r, l, side);
}
