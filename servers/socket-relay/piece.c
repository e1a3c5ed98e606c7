// SPDX-License-Identifier: GPL-3.0-or-later
/* Looking at what waits in a socket, and sending it on. */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

union ancillary {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * RELAY_DESCRIPTORS) + CMSG_SPACE(sizeof(struct timespec)) + 64];
};

int look(struct relay *r, int fd, size_t length, bool take, struct looked *looked)
{
        union ancillary ancillary;
        struct iovec part = {r->buffer, length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (take) {
                message.msg_control = &ancillary;
                message.msg_controllen = sizeof ancillary;
        }
        looked->count = 0;
        looked->marked = looked->more = false;
        looked->size = recvmsg(fd, &message, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (looked->size < 0)
                return -errno;
        looked->more = message.msg_flags & MSG_CTRUNC;
        for (struct cmsghdr *c = take ? CMSG_FIRSTHDR(&message) : NULL; c; c = CMSG_NXTHDR(&message, c)) {
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(looked->fds + looked->count, CMSG_DATA(c), count * sizeof(int));
                        looked->count += count;
                } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMP) {
                        looked->marked = true;
                }
        }
        return 0;
}

ssize_t pass(int fd, const char *data, size_t size, const int *fds, size_t count)
{
        union ancillary ancillary;
        struct iovec part = {(char *)data, size};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (count) {
                message.msg_control = &ancillary;
                message.msg_controllen = CMSG_SPACE(count * sizeof(int));
                struct cmsghdr *header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = SOL_SOCKET;
                header->cmsg_type = SCM_RIGHTS;
                header->cmsg_len = CMSG_LEN(count * sizeof(int));
                memcpy(CMSG_DATA(header), fds, count * sizeof(int));
        }
        ssize_t passed = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        return passed < 0 ? -errno : passed;
}

enum piece refusal(ssize_t error)
{
        switch (error) {
        case -EAGAIN:
                return PIECE_FULL;
        case -EINTR:
        case -ENOMEM:
        case -ENOBUFS:
        case -ETOOMANYREFS: /* too many descriptors under way */
                return PIECE_LATER;
        case -EPIPE:
        case -ECONNRESET:
                return PIECE_REFUSED;
        default:
                return PIECE_BROKEN;
        }
}
