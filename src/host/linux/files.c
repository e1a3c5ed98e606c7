// SPDX-License-Identifier: GPL-3.0-or-later
/* Files of a layer and of what it covers, as Linux has them: see layer/files.h; attributes.c has what is written on
 * them. */
#include "layer/files.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define SMALL (32 << 10) /* bytes; a file that is copied through memory */

static struct timespec time_of(const struct statx_timestamp *t)
{
        return (struct timespec){.tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec};
}

int files_look(int dir, const char *name, bool layer, struct meta *meta)
{
        struct statx st;
        *meta = (struct meta){.type = META_NONE};
        int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_SYNC_AS_STAT | (name[0] ? 0 : AT_EMPTY_PATH);
        if (statx(dir, name, flags, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        switch (st.stx_mode & S_IFMT) {
        case S_IFREG:
                meta->type = META_REGULAR;
                break;
        case S_IFDIR:
                meta->type = META_DIRECTORY;
                break;
        case S_IFLNK:
                meta->type = META_SYMLINK;
                break;
        case S_IFIFO:
                meta->type = META_FIFO;
                break;
        case S_IFSOCK:
                meta->type = META_SOCKET;
                break;
        default:
                meta->type = META_DEVICE;
        }
        meta->character = S_ISCHR(st.stx_mode);
        if (layer && meta->character && !st.stx_rdev_major && !st.stx_rdev_minor) {
                *meta = (struct meta){.type = META_NONE, .whiteout = true};
                return 0;
        }
        meta->mode = st.stx_mode & 07777;
        meta->uid = st.stx_uid;
        meta->gid = st.stx_gid;
        meta->links = st.stx_nlink;
        meta->size = st.stx_size;
        meta->blocks = st.stx_blocks;
        meta->inode = st.stx_ino;
        meta->device = makedev(st.stx_dev_major, st.stx_dev_minor);
        meta->number = makedev(st.stx_rdev_major, st.stx_rdev_minor);
        meta->mtime = time_of(&st.stx_mtime);
        meta->ctime = time_of(&st.stx_ctime);
        if (st.stx_mask & STATX_BTIME)
                meta->btime = time_of(&st.stx_btime);
        return 0;
}

int files_open_directory(int dir, const char *name)
{
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int files_open_content(int dir, const char *name)
{
        int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int files_open_regular(int dir, const char *name)
{
        cleanup_close int fd = files_open_content(dir, name);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return fd < 0 ? fd : -errno;
        return S_ISREG(st.st_mode) ? steal_fd(&fd) : -EINVAL;
}

int files_open_any(int dir, const char *name)
{
        struct stat st;
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                return -errno;
        bool readable = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
        int fd = openat(dir, name, (readable ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH) | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int files_open_root(const char *path)
{
        cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fd = root < 0 ? -1 : kernel_open_below(root, path, O_RDONLY | O_DIRECTORY);
        return fd < 0 ? -errno : fd;
}

int files_names(int dir, void (*take)(void *context, const char *name), void *context)
{
        union {
                struct dirent64 entry;
                char bytes[32 << 10];
        } buffer;
        if (lseek(dir, 0, SEEK_SET) < 0)
                return -errno;
        for (ssize_t n; (n = getdents64(dir, &buffer, sizeof buffer)) != 0;) {
                if (n < 0)
                        return errno == ENOENT ? 0 : -errno; /* it was removed while it is open */
                for (char *at = buffer.bytes; at < buffer.bytes + n;) {
                        const struct dirent64 *entry = (const void *)at;
                        const char *name = entry->d_name;
                        at += entry->d_reclen;
                        if (name[0] != '.' || (name[1] && (name[1] != '.' || name[2])))
                                take(context, name);
                }
        }
        return 0;
}

int files_nameless(int dir)
{
        int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno == EISDIR || errno == ENOENT || errno == EINVAL ? -EOPNOTSUPP : -errno;
        return fd;
}

int files_name(int fd, int dir, const char *name)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int files_rename_new(int dir, const char *from, const char *to)
{
        if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS)
                return -errno;
        struct meta meta; /* a file system without the flag: looked at first, with a moment between */
        int result = files_look(dir, to, false, &meta);
        if (result < 0 || meta.type != META_NONE)
                return result < 0 ? result : -EEXIST;
        return renameat(dir, from, dir, to) < 0 ? -errno : 0;
}

int files_swap(int dir, const char *a, const char *b)
{
        return renameat2(dir, a, dir, b, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

int files_exchange(int a, int b, const char *name)
{
        return renameat2(a, name, b, name, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

/* Copies [from, to) of the content. */
static int copy_range(int in, int out, off_t from, off_t to)
{
        while (from < to) {
                off_t at = from;
                size_t want = to - from > (1 << 30) ? (size_t)1 << 30 : (size_t)(to - from);
                ssize_t n = copy_file_range(in, &from, out, &at, want, 0);
                if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
                        if (lseek(out, from, SEEK_SET) < 0)
                                return -errno;
                        n = sendfile(out, in, &from, want);
                }
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EAGAIN; /* it became shorter meanwhile */
        }
        return 0;
}

/* A small file without holes, by the two calls that it takes. */
static int copy_small(int from, int to, size_t size)
{
        char content[SMALL];
        size_t have = 0, done = 0;
        for (ssize_t n; have < size; have += (size_t)n) {
                n = pread(from, content + have, size - have, (off_t)have);
                if (n <= 0)
                        return n < 0 ? -errno : -EAGAIN; /* it became shorter meanwhile */
        }
        for (ssize_t n; done < size; done += (size_t)n) {
                n = pwrite(to, content + done, size - done, (off_t)done);
                if (n < 0)
                        return -errno;
        }
        return 0;
}

int files_copy(int from, int to, const struct stat *st, bool *share)
{
        off_t at = 0, end = st->st_size;
        if (!end || (*share && ioctl(to, FICLONE, from) == 0))
                return 0;
        if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV)
                *share = false;
        if (end <= SMALL && st->st_blocks * 512 >= end)
                return copy_small(from, to, (size_t)end);
        while (at < end) {
                off_t data = lseek(from, at, SEEK_DATA);
                if (data < 0 && errno == ENXIO)
                        break; /* only a hole is left */
                off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
                if (data < 0 || hole < 0)
                        data = at, hole = end; /* a file system that tells nothing of holes */
                int result = copy_range(from, to, data, hole < end ? hole : end);
                if (result < 0)
                        return result;
                at = hole;
        }
        return at < end && ftruncate(to, end) < 0 ? -errno : 0; /* it ends in a hole */
}

size_t files_limit(void)
{
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) < 0)
                return 256;
        if (files.rlim_cur < files.rlim_max) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        return files.rlim_cur;
}

int files_sync(int dir)
{
        return syncfs(dir) < 0 ? -errno : 0;
}

bool files_may_change(int dir)
{
        return faccessat(dir, ".", W_OK | X_OK, 0) == 0;
}
