// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * give KIND PATH FD COMMAND...: runs the command with descriptor FD open on something.
 *
 *      dir opath read readwrite   PATH
 *      socket                     one end of a pair, whose other end holds a descriptor of the directory PATH, unread
 *      pidfd space                this process, its mount namespace
 *      epoll inotify              an anonymous thing that refers to PATH
 *      tree                       open_tree() of PATH
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int pair_with(const char *path)
{
        int sockets[2], fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec iov = {&(char){'x'}, 1};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                                 .msg_controllen = sizeof control.space};
        if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return -1;
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        sendmsg(sockets[1], &message, 0);
        return sockets[0];
}

int main(int argc, char **argv)
{
        if (argc < 5)
                return 2;
        const char *kind = argv[1], *path = argv[2];
        int fd = -1, wanted = atoi(argv[3]);
        if (strcmp(kind, "dir") == 0)
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        else if (strcmp(kind, "opath") == 0)
                fd = open(path, O_PATH | O_CLOEXEC);
        else if (strcmp(kind, "read") == 0)
                fd = open(path, O_RDONLY | O_CLOEXEC);
        else if (strcmp(kind, "readwrite") == 0)
                fd = open(path, O_RDWR | O_CLOEXEC);
        else if (strcmp(kind, "socket") == 0)
                fd = pair_with(path);
        else if (strcmp(kind, "pidfd") == 0)
                fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        else if (strcmp(kind, "space") == 0)
                fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        else if (strcmp(kind, "tree") == 0)
                fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, O_CLOEXEC);
        else if (strcmp(kind, "epoll") == 0)
                fd = epoll_create1(EPOLL_CLOEXEC);
        else if (strcmp(kind, "inotify") == 0) {
                fd = inotify_init1(IN_CLOEXEC);
                inotify_add_watch(fd, path, IN_CREATE);
        }
        if (fd < 0 || dup2(fd, wanted) < 0) {
                perror(kind);
                return 2;
        }
        execv(argv[4], argv + 4);
        perror(argv[4]);
        return 2;
}
