// SPDX-License-Identifier: GPL-3.0-or-later
/* Things made like those of a layer: see commit.h. */
#include "layer/commit.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TRIES 3 /* to copy a file that is being written */

int into_look(struct into *into, int fd)
{
        struct stat st;
        struct xattrs list;
        *into = (struct into){.fd = fd, .inherits = true, .share = true, .uid = geteuid(), .gid = getegid()};
        if (fstat(fd, &st) < 0)
                return -errno;
        into->device = st.st_dev;
        if (files_xattrs(fd, "", 0, &list) == 0) {
                into->inherits = list.count > 0 || (st.st_mode & S_ISGID);
                files_xattrs_clear(&list);
        }
        return 0;
}

/* Makes the attributes `list`. `bare`: it has none yet. */
static int set_xattrs(int fd, const struct xattrs *list, bool bare, const char **what)
{
        const char *failed = "";
        int result = bare && !list->count ? 0 : files_set_xattrs(fd, list, &failed);
        if (result < 0)
                *what = strcmp(failed, "security.capability") == 0      ? "cannot give it its capabilities"
                        : strncmp(failed, "system.posix_acl", 16) == 0 ? "cannot give it its access list"
                                                                        : "cannot give it its extended attributes";
        return result;
}

/* As put_meta(), of what is looked at already. */
static int set_meta(const struct layer *layer, int own, const struct stat *from, int fd, bool bare, const char **what)
{
        struct stat to;
        *what = "cannot look at it";
        if (fstat(fd, &to) < 0)
                return -errno;
        uid_t uid = layer_uid(layer, from->st_uid);
        gid_t gid = layer_gid(layer, from->st_gid);
        bool another = uid != to.st_uid || gid != to.st_gid;
        *what = "cannot give it to its owner";
        if (another && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
                return -errno;
        struct xattrs list;
        *what = "cannot read its attributes";
        int result = files_xattrs(own, "", layer->shift, &list);
        if (result < 0)
                return result;
        /* The owner first, because that takes capabilities away; the permissions last, because attributes want a file
         * that may be written. */
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        *what = "cannot set its permissions";
        if ((to.st_mode & 0600) != 0600 && list.count && chmod(path, to.st_mode | 0600) < 0)
                result = -errno;
        if (result == 0)
                result = set_xattrs(fd, &list, bare, what);
        bool right = !another && bare && !list.count && (from->st_mode & 07777) == (to.st_mode & 07777);
        files_xattrs_clear(&list);
        struct timespec times[2] = {from->st_atim, from->st_mtim};
        /* What is open only to be looked at is named by /proc. */
        if (result == 0 && !right && fchmod(fd, from->st_mode & 07777) < 0 &&
            (errno != EBADF || chmod(path, from->st_mode & 07777) < 0)) {
                *what = "cannot set its permissions";
                result = -errno;
        }
        if (result == 0 && futimens(fd, times) < 0 && (errno != EBADF || utimensat(AT_FDCWD, path, times, 0) < 0)) {
                *what = "cannot set its time";
                result = -errno;
        }
        return result;
}

int put_meta(const struct layer *layer, int own, int fd, const char **what)
{
        struct stat from;
        *what = "cannot look at it";
        return fstat(own, &from) < 0 ? -errno : set_meta(layer, own, &from, fd, false, what);
}

/* A file that is to become like `from`. Nobody reads in it what they may not read in the end: it begins with no
 * permissions more, and with those when it will have the right owner. */
static int make_file(const struct stat *from, const struct into *into, bool plain, const char *name)
{
        if (!name)
                return files_nameless(into->fd);
        int fd = openat(into->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        plain ? from->st_mode & 0777 : 0600);
        return fd < 0 ? -errno : fd;
}

/* Nothing is left to be done to most files but to set their time. Is it so with this one? */
static int set_time(int own, const struct stat *from, int fd, struct stat *to)
{
        struct xattrs list;
        int result = files_xattrs(own, "", 0, &list);
        if (result < 0)
                return result;
        bool none = !list.count;
        files_xattrs_clear(&list);
        struct timespec times[2] = {from->st_atim, from->st_mtim};
        return none && futimens(fd, times) == 0 && fstat(fd, to) == 0 && to->st_mode == from->st_mode &&
               to->st_uid == from->st_uid && to->st_gid == from->st_gid;
}

/* Returns the file, open. */
static int copy_file(const struct layer *layer, int own, struct stat *from, struct into *into, const char *name,
                     struct stat *made, const char **what)
{
        bool plain = !into->inherits && !layer->shift && from->st_uid == into->uid && from->st_gid == into->gid;
        for (int i = 0; i < TRIES; i++) {
                struct stat after;
                *what = "cannot make it";
                cleanup_close int fd = make_file(from, into, plain, name);
                if (fd < 0)
                        return fd;
                *what = "cannot copy it";
                int result = files_copy(own, fd, from, &into->share);
                if (result == 0 && (!plain || !name || set_time(own, from, fd, made) != 1)) {
                        result = set_meta(layer, own, from, fd, !into->inherits, what);
                        if (result == 0 && fstat(fd, made) < 0)
                                result = -errno;
                }
                if (result == 0 && !layer->idle && fstat(own, &after) < 0)
                        result = -errno;
                if (result == 0 && (layer->idle || time_equal(&from->st_ctim, &after.st_ctim)))
                        return steal_fd(&fd);
                if (name)
                        unlinkat(into->fd, name, 0);
                if (result < 0 && result != -EAGAIN)
                        return result;
                if (fstat(own, from) < 0)
                        return -errno;
        }
        *what = "a program inside is writing it";
        return -EBUSY;
}

static int make_link(const struct layer *layer, int own, const struct stat *from, int dir, const char *name)
{
        char target[4097];
        ssize_t n = readlinkat(own, "", target, sizeof target - 1);
        if (n < 0)
                return -errno;
        target[n] = '\0';
        struct timespec times[2] = {from->st_atim, from->st_mtim};
        struct stat made;
        uid_t uid = layer_uid(layer, from->st_uid);
        gid_t gid = layer_gid(layer, from->st_gid);
        if (symlinkat(target, dir, name) < 0 || fstatat(dir, name, &made, AT_SYMLINK_NOFOLLOW) < 0 ||
            ((made.st_uid != uid || made.st_gid != gid) && fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) ||
            utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int put_other(const struct layer *layer, int own, const struct stat *from, const struct into *into,
                     const char *name, const char **what)
{
        if (S_ISLNK(from->st_mode))
                return make_link(layer, own, from, into->fd, name);
        if (mknodat(into->fd, name, from->st_mode & (S_IFMT | 0700), from->st_rdev) < 0)
                return -errno;
        cleanup_close int made = openat(into->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return made < 0 ? -errno : set_meta(layer, own, from, made, false, what);
}

int put(const struct layer *layer, int own, struct into *into, const char *name, int *nameless, struct meta *made,
        const char **what)
{
        struct stat from;
        if (nameless)
                *nameless = -1;
        *what = "cannot make it";
        if (fstat(own, &from) < 0)
                return -errno;
        if (!S_ISREG(from.st_mode)) {
                int result = put_other(layer, own, &from, into, name, what);
                return result == 0 && made ? files_look(into->fd, name, false, made) : result;
        }
        struct stat to;
        cleanup_close int fd = nameless ? copy_file(layer, own, &from, into, NULL, &to, what) : -EOPNOTSUPP;
        bool named = fd == -EOPNOTSUPP;
        if (named)
                fd = copy_file(layer, own, &from, into, name, &to, what);
        if (fd < 0)
                return fd;
        if (made)
                *made = (struct meta){.type = META_REGULAR, .inode = to.st_ino, .ctime = to.st_ctim};
        if (!named)
                *nameless = steal_fd(&fd);
        return 0;
}
