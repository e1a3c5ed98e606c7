// SPDX-License-Identifier: GPL-3.0-or-later
/* What kind of socket a name leads to: the kernel is asked (sock_diag), since a connection made to find out would be
 * seen. */
#include "host/linux/sockettype.h"

#include "base/cleanup.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

struct question {
        struct nlmsghdr head;
        struct unix_diag_req request;
};

/* Is the socket that the message tells of bound to this file? Returns its type, or 0. */
static int match(const struct nlmsghdr *head, const struct stat *st)
{
        const struct unix_diag_msg *m = NLMSG_DATA(head);
        int left = (int)head->nlmsg_len - (int)NLMSG_LENGTH(sizeof *m);
        for (const struct rtattr *a = (const void *)(m + 1); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
                if (a->rta_type != UNIX_DIAG_VFS)
                        continue;
                const struct unix_diag_vfs *vfs = RTA_DATA(a);
                /* The kernel's own form of a device number. Of some file systems (overlay, btrfs) stat() tells another
                 * one. */
                bool same_device = vfs->udiag_vfs_dev == (major(st->st_dev) << 20 | minor(st->st_dev));
                if (vfs->udiag_vfs_ino == (uint32_t)st->st_ino && (same_device || major(st->st_dev) == 0))
                        return m->udiag_type;
        }
        return 0;
}

/* When the kernel cannot be asked: a connection tells, of the right type or not. */
static int try_types(int fd)
{
        static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int code = ECONNREFUSED;
        snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d", fd);
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
                cleanup_close int s = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (connect(s, (struct sockaddr *)&a, sizeof a) == 0 || errno == EAGAIN)
                        return types[i];
                code = errno;
                if (code != EPROTOTYPE)
                        break;
        }
        return -code;
}

int socket_type(int fd)
{
        struct stat st;
        char room[16384] __attribute__((aligned(8)));
        struct question q = {.head = {.nlmsg_len = sizeof q,
                                      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                             .request = {.sdiag_family = AF_UNIX, .udiag_states = ~0u, .udiag_show = UDIAG_SHOW_VFS}};
        cleanup_close int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        if (fstat(fd, &st) < 0)
                return -errno;
        if (s < 0 || send(s, &q, sizeof q, 0) < 0)
                return try_types(fd);
        for (;;) {
                ssize_t n = recv(s, room, sizeof room, 0);
                if (n <= 0)
                        return try_types(fd);
                for (const struct nlmsghdr *head = (const void *)room; NLMSG_OK(head, n); head = NLMSG_NEXT(head, n)) {
                        if (head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR)
                                return try_types(fd);
                        int type = match(head, &st);
                        if (type)
                                return type;
                }
        }
}
