// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The control socket: made, connected to, and who may.
 *
 * A program inside may have the same user id, and then SO_PEERCRED tells nothing. Two things are asked for, each of
 * which holds alone: the process lives in our own process space (its NSpid has one number, or as many as ours, and a
 * process in a space below has more); and it has a descriptor of our user namespace, which the kernel gives to
 * nobody in a namespace below (it opens its own alone, and neither ioctl_ns(2) nor /proc leads up). Neither needs
 * the right to ptrace, which the warden gives up.
 */
#include "host/living.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* The 108 bytes of an address do not hold every name. */
static int address_of(struct sockaddr_un *address, int directory, const char *name)
{
        *address = (struct sockaddr_un){.sun_family = AF_UNIX};
        int n = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", directory, name);
        return n > 0 && (size_t)n < sizeof address->sun_path ? 0 : -ENAMETOOLONG;
}

int host_listen(int directory, const char *name, struct error *err)
{
        struct sockaddr_un address;
        cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || address_of(&address, directory, name) < 0)
                return error_sys(err, errno, "cannot make the control socket");
        if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
                return error_sys(err, errno, "cannot remove a stale control socket");
        mode_t before = umask(0177);
        int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
        umask(before);
        if (bound < 0 || listen(fd, 64) < 0)
                return error_sys(err, errno, "cannot make the control socket");
        return steal_fd(&fd);
}

int host_accept(int listening)
{
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

int host_connect(int directory, const char *name)
{
        struct sockaddr_un address;
        cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        int result = fd < 0 ? -errno : address_of(&address, directory, name);
        if (result < 0)
                return result;
        while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                if (errno != EINTR)
                        return -errno;
        return steal_fd(&fd);
}

int host_own_namespace(void)
{
        int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* In how many process spaces a process has a number, as seen from here. 0: it is gone. */
static unsigned depth_of(int pid)
{
        char path[64], text[2048];
        if (pid > 0)
                snprintf(path, sizeof path, "/proc/%d/status", pid);
        else
                snprintf(path, sizeof path, "/proc/self/status");
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0)
                return 0;
        text[n] = '\0';
        char *line = strstr(text, "\nNSpid:");
        unsigned columns = 0;
        for (char *p = line ? line + 7 : NULL; p && *p && *p != '\n'; p++)
                columns += *p == '\t';
        return columns;
}

bool host_is_outside(int connection, int proof)
{
        struct ucred peer;
        socklen_t size = sizeof peer;
        struct stat theirs, ours;
        if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid() || peer.pid <= 0)
                return false;
        if (proof < 0 || fstat(proof, &theirs) < 0 || stat("/proc/self/ns/user", &ours) < 0)
                return false;
        if (theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino)
                return false;
        unsigned own = depth_of(0);
        return own && depth_of(peer.pid) == own;
}
