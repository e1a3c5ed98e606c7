// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * take MARK: makes the most of the descriptors that this process was started with. One line for each that leads out: a
 * directory, a file that can be written though it was opened for reading, something that came over a socket, and what
 * is no file at all. MARK is made wherever a directory allows it.
 */
#include "nest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *mark;

static void directory(int fd)
{
        char path[256] = "";
        for (int up = 0; up < 4; up++) {
                char name[512];
                snprintf(name, sizeof name, "%s%s", path, mark);
                close(openat(fd, name, O_CREAT | O_WRONLY, 0600));
                strcat(path, "../");
        }
}

static void look(int fd)
{
        struct stat st;
        char link[64], target[4096] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (fstat(fd, &st) < 0)
                return;
        (void)!readlink(link, target, sizeof target - 1);
        int flags = fcntl(fd, F_GETFL);
        if (S_ISDIR(st.st_mode)) {
                directory(fd);
                /* One inside is fine: the test looks whether the mark is outside. */
        } else if (flags & O_PATH) {
                printf("%d: O_PATH %s\n", fd, target);
        } else if (S_ISREG(st.st_mode) && (flags & O_ACCMODE) == O_RDONLY) {
                int again = open(link, O_WRONLY | O_APPEND);
                if (again >= 0 && write(again, "escaped\n", 8) == 8)
                        printf("%d: %s opened again for writing\n", fd, target);
                struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
                syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
                again = open(link, O_WRONLY | O_APPEND);
                if (again >= 0 && write(again, "escaped\n", 8) == 8)
                        printf("%d: %s made writable\n", fd, target);
                int tree = (int)syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
                if (tree >= 0 &&
                    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
                        snprintf(link, sizeof link, "/proc/self/fd/%d", tree);
                        again = open(link, O_WRONLY | O_APPEND);
                        if (again >= 0 && write(again, "escaped\n", 8) == 8)
                                printf("%d: %s cloned and made writable\n", fd, target);
                }
                if (setns(fd, 0) == 0)
                        printf("%d: setns to %s\n", fd, target);
                if (fchmod(fd, 0777) == 0 || (errno != EROFS && errno != EPERM && errno != EACCES))
                        printf("%d: %s: fchmod: %m\n", fd, target);
        } else if (S_ISSOCK(st.st_mode)) {
                union {
                        struct cmsghdr header;
                        char space[CMSG_SPACE(sizeof(int))];
                } control = {0};
                char byte;
                struct iovec iov = {&byte, 1};
                struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                                         .msg_controllen = sizeof control.space};
                if (recvmsg(fd, &message, MSG_DONTWAIT) > 0 && message.msg_controllen) {
                        int passed;
                        memcpy(&passed, CMSG_DATA(&control.header), sizeof passed);
                        printf("%d: a descriptor over a socket\n", fd);
                        directory(passed);
                }
        } else if (strncmp(target, "anon_inode:", 11) == 0 || strncmp(target, "pidfd", 5) == 0) {
                printf("%d: %s\n", fd, target);
                if (strstr(target, "pidfd")) {
                        if (syscall(SYS_pidfd_send_signal, fd, SIGURG, NULL, 0) == 0)
                                printf("%d: a signal through it\n", fd);
                        if (syscall(SYS_pidfd_getfd, fd, 0, 0) >= 0)
                                printf("%d: pidfd_getfd\n", fd);
                        if (setns(fd, CLONE_NEWNS) == 0 || setns(fd, CLONE_NEWUSER) == 0)
                                printf("%d: setns\n", fd);
                }
        }
}

int main(int argc, char **argv)
{
        if (argc < 2)
                return 2;
        mark = argv[1];
        int out = fcntl(1, F_DUPFD_CLOEXEC, 300);
        (void)out;
        for (int nested = 0; nested < 2; nested++) {
                if (nested)
                        nest(); /* or with what there is */
                for (int fd = 0; fd < 300; fd++)
                        if (fd != 1 && fd != 2)
                                look(fd);
        }
        return 0;
}
