// SPDX-License-Identifier: GPL-3.0-or-later
/* Words with the warden: see control.h. */
#include "relay.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CONTROL_DESCRIPTORS 2
#define CONTROL_TURN 32 /* messages, then others have their turn */

static bool send_message(struct relay *r, const struct relay_message *message)
{
        ssize_t sent;
        while ((sent = send(r->control.fd, message, sizeof *message, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 &&
               errno == EINTR)
                ;
        return sent >= 0 || errno != EAGAIN; /* a vanished warden is seen when it is read */
}

/* What the warden has yet to be told of a grant. Returns false when there is no room. */
static bool tell_pending(struct relay *r, struct grant *g)
{
        static const enum relay_type types[] = {RELAY_USED, RELAY_FAILED, RELAY_SPENT};
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
                unsigned bit = 1u << (types[i] - RELAY_DONE);
                struct relay_message message = {.version = RELAY_VERSION, .type = types[i], .id = g->id,
                                                .status = types[i] == RELAY_FAILED ? g->failed : 0};
                if (!(g->pending & bit))
                        continue;
                if (!send_message(r, &message))
                        return false;
                g->pending &= ~bit;
        }
        return true;
}

void control_tell(struct relay *r, struct grant *g, enum relay_type type)
{
        g->pending |= 1u << (type - RELAY_DONE);
        r->told_all = false; /* told at the end of this round, in the order of the answers */
}

void control_flush(struct relay *r)
{
        if (r->answering && !send_message(r, &r->answer))
                return;
        r->answering = false;
        if (r->told_all)
                return;
        struct grant *next;
        for (struct grant *g = r->grants; g; g = next) {
                next = g->next;
                if (!tell_pending(r, g))
                        return;
                if (g->once && g->spent)
                        grant_end(r, g);
        }
        r->told_all = true;
}

int control_take(struct relay *r, const struct relay_message *message, size_t size, int *fds, size_t count,
                 uint64_t *lost)
{
        int status;
        *lost = 0;
        struct grant *g = NULL;
        if (size != sizeof *message)
                status = -EBADMSG;
        else if (message->version != RELAY_VERSION)
                status = -EPROTO;
        else if (message->type == RELAY_ADD && count == CONTROL_DESCRIPTORS)
                return grant_add(r, message->id, message->flags, fds[0], fds[1]);
        else if (message->type == RELAY_REVOKE && !count && !message->flags)
                status = (g = grant_find(r, message->id)) ? 0 : -ENOENT;
        else
                status = -EBADMSG;
        if (g)
                *lost = grant_end(r, g);
        for (size_t i = 0; i < count; i++)
                close(fds[i]);
        return status;
}

/* Reads one message. Returns its size, 0 at the end, -EAGAIN when there is none. */
static ssize_t receive(struct relay *r, struct relay_message *message, int *fds, size_t *count)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int) * CONTROL_DESCRIPTORS)];
        } ancillary;
        struct iovec part = {message, sizeof *message};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = &ancillary,
                                .msg_controllen = sizeof ancillary};
        ssize_t size;
        while ((size = recvmsg(r->control.fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC)) < 0 &&
               errno == EINTR)
                ;
        *count = 0;
        if (size < 0)
                return -errno;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                        *count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(fds, CMSG_DATA(c), *count * sizeof(int));
                }
        return size;
}

bool control_read(struct relay *r)
{
        int fds[CONTROL_DESCRIPTORS];
        size_t count;
        for (int i = 0; i < CONTROL_TURN && !r->answering; i++) {
                struct relay_message message = {0};
                ssize_t size = receive(r, &message, fds, &count);
                if (size == -EAGAIN)
                        return true;
                if (size <= 0)
                        return false;
                struct relay_message *answer = &r->answer;
                *answer = (struct relay_message){.version = RELAY_VERSION, .type = RELAY_DONE, .id = message.id};
                answer->status = control_take(r, &message, (size_t)size, fds, count, &answer->lost);
                r->answering = !send_message(r, answer);
        }
        return true;
}
