// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages over a UNIX socket: see pass.h. */
#include "host/linux/pass.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union room {
        struct cmsghdr header;
        char space[CMSG_SPACE(PASS_LIMIT * sizeof(int))];
};

static int send_message(int socket, const void *data, size_t size, const int *fds, size_t count, int flags)
{
        struct iovec iov = {(void *)data, size};
        union room control = {0};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        if (count > PASS_LIMIT)
                return -EINVAL;
        if (count) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
                struct cmsghdr *header = CMSG_FIRSTHDR(&message);
                header->cmsg_level = SOL_SOCKET;
                header->cmsg_type = SCM_RIGHTS;
                header->cmsg_len = CMSG_LEN(count * sizeof *fds);
                memcpy(CMSG_DATA(header), fds, count * sizeof *fds);
        }
        ssize_t n;
        do
                n = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

int pass_send(int socket, const void *data, size_t size, int fd)
{
        return send_message(socket, data, size, &fd, fd >= 0, 0);
}

int pass_send_all(int socket, const void *data, size_t size, const int *fds, size_t count)
{
        return send_message(socket, data, size, fds, count, MSG_DONTWAIT);
}

int pass_receive_all(int socket, void *data, size_t size, int fds[PASS_LIMIT], size_t *count)
{
        struct iovec iov = {data, size};
        union room control;
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control.space};
        *count = 0;
        ssize_t n;
        do
                n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        /* The kernel puts all descriptors of a message into one piece, and nothing else was asked for. */
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        bool passed = header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS;
        for (size_t i = 0; passed && CMSG_LEN((i + 1) * sizeof(int)) <= header->cmsg_len; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
                if (*count < PASS_LIMIT)
                        fds[(*count)++] = fd;
                else
                        close(fd);
        }
        if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
                return (int)n;
        while (*count)
                close(fds[--*count]);
        return -EMSGSIZE;
}
