// SPDX-License-Identifier: GPL-3.0-or-later
/* Things made like those of a layer: see commit.h. */
#include "layer/commit.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TRIES 3 /* to copy a file that is being written */

int put_meta(const struct layer *layer, int own, int fd, const char **what)
{
        struct stat from, to;
        *what = "cannot look at it";
        if (fstat(own, &from) < 0 || fstat(fd, &to) < 0)
                return -errno;
        uid_t uid = from.st_uid - layer->shift;
        gid_t gid = from.st_gid - layer->shift;
        *what = "cannot give it to its owner";
        if ((uid != to.st_uid || gid != to.st_gid) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
                return -errno;
        struct xattrs list;
        *what = "cannot read its attributes";
        int result = files_xattrs(own, "", layer->shift, &list);
        if (result < 0)
                return result;
        /* The owner first, because that takes capabilities away; the permissions last, because attributes want a file that may be
         * written. */
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        *what = "cannot set its permissions";
        if ((to.st_mode & 0600) != 0600 && list.count && chmod(path, to.st_mode | 0600) < 0)
                result = -errno;
        const char *failed = "";
        if (result == 0) {
                result = files_set_xattrs(fd, &list, &failed);
                if (result < 0)
                        *what = strcmp(failed, "security.capability") == 0      ? "cannot give it its capabilities"
                                : strncmp(failed, "system.posix_acl", 16) == 0 ? "cannot give it its access list"
                                                                                : "cannot give it its extended attributes";
        }
        files_xattrs_clear(&list);
        struct timespec times[2] = {from.st_atim, from.st_mtim};
        /* What is open only to be looked at is named by /proc. */
        if (result == 0 && fchmod(fd, from.st_mode & 07777) < 0 && (errno != EBADF || chmod(path, from.st_mode & 07777) < 0)) {
                *what = "cannot set its permissions";
                result = -errno;
        }
        if (result == 0 && futimens(fd, times) < 0 && (errno != EBADF || utimensat(AT_FDCWD, path, times, 0) < 0)) {
                *what = "cannot set its time";
                result = -errno;
        }
        return result;
}

int put_file(const struct layer *layer, int own, int dir, const char *name, const char **what)
{
        for (int i = 0; i < TRIES; i++) {
                struct stat before, after;
                *what = "cannot make it";
                cleanup_close int fd = name ? openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)
                                            : files_nameless(dir);
                if (fd < 0)
                        return name ? -errno : fd;
                *what = "cannot copy it";
                int result = fstat(own, &before) < 0 ? -errno : files_copy(own, fd);
                if (result == 0)
                        result = put_meta(layer, own, fd, what);
                if (result == 0 && fstat(own, &after) == 0 &&
                    (before.st_ctim.tv_sec != after.st_ctim.tv_sec || before.st_ctim.tv_nsec != after.st_ctim.tv_nsec))
                        result = -EAGAIN;
                if (result == 0)
                        return name ? 0 : steal_fd(&fd);
                if (name)
                        unlinkat(dir, name, 0);
                if (result != -EAGAIN)
                        return result;
        }
        *what = "a program inside is writing it";
        return -EBUSY;
}

int put_other(const struct layer *layer, int own, int dir, const char *name, const char **what)
{
        struct stat st;
        *what = "cannot make it";
        if (fstat(own, &st) < 0)
                return -errno;
        if (S_ISLNK(st.st_mode)) {
                char target[4097];
                ssize_t n = readlinkat(own, "", target, sizeof target - 1);
                if (n < 0)
                        return -errno;
                target[n] = '\0';
                if (symlinkat(target, dir, name) < 0)
                        return -errno;
                struct timespec times[2] = {st.st_atim, st.st_mtim};
                struct stat made;
                uid_t uid = st.st_uid - layer->shift;
                gid_t gid = st.st_gid - layer->shift;
                if (fstatat(dir, name, &made, AT_SYMLINK_NOFOLLOW) < 0 ||
                    ((made.st_uid != uid || made.st_gid != gid) && fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) ||
                    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
                return 0;
        }
        if (mknodat(dir, name, st.st_mode & (S_IFMT | 0700), st.st_rdev) < 0)
                return -errno;
        cleanup_close int made = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return made < 0 ? -errno : put_meta(layer, own, made, what);
}
