// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The socket that a server makes when it is started again, by the name of the one that was granted.
 *
 * What was granted is a right to speak with the server at that name. The name is looked up without following any
 * link, and what is found must be a socket that was made after the grant was given: whoever inside may write in the
 * directory, by another grant, could otherwise give the name to a socket that stands beside it. Where the file system
 * does not say when a file was made, it is no successor.
 */
#include "relay.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define NAME 4096

char *successor_name(int fd)
{
        char link[64], name[NAME];
        struct stat a, b;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, name, sizeof name - 1);
        if (n <= 0 || name[0] != '/')
                return NULL;
        name[n] = '\0';
        /* A name that something else has now, or nothing (" (deleted)"), is not its own. */
        return fstat(fd, &a) == 0 && lstat(name, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino ? memory_string(name)
                                                                                                          : NULL;
}

int64_t successor_now(void)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME_COARSE, &now); /* what file systems stamp files with */
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool successor_find(struct grant *g)
{
        struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
        struct statx old, found;
        cleanup_close int fd = g->path ? (int)syscall(SYS_openat2, AT_FDCWD, g->path, &how, sizeof how) : -1;
        if (fd < 0 || statx(g->outer, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_UID, &old) < 0 ||
            statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_UID | STATX_BTIME, &found) < 0)
                return false;
        bool same = old.stx_ino == found.stx_ino && old.stx_dev_major == found.stx_dev_major && old.stx_dev_minor == found.stx_dev_minor;
        int64_t made = (int64_t)found.stx_btime.tv_sec * 1000000000 + found.stx_btime.tv_nsec;
        if (same || !S_ISSOCK(found.stx_mode) || found.stx_uid != old.stx_uid || !(found.stx_mask & STATX_BTIME) || made < g->since)
                return false;
        close(g->outer);
        g->outer = steal_fd(&fd);
        return true;
}
