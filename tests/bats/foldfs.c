// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * foldfs DIR MOUNTPOINT - for tests: shows DIR as a file system that does not tell upper from lower case, and keeps the case that a
 * name was made with, as FAT or ext4 with casefold do.
 */
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[PATH_MAX];

/* Where `path` lies: each component as it is written there, if it is there. One at a time: the file system has one thread. */
static const char *real(const char *path)
{
        static char buffers[2][PATH_MAX];
        static int turn;
        char *out = buffers[turn ^= 1], copy[PATH_MAX], *rest = copy, *piece;
        size_t n = (size_t)snprintf(out, PATH_MAX, "%s", top);
        snprintf(copy, sizeof copy, "%s", path);
        while ((piece = strsep(&rest, "/"))) {
                DIR *list = *piece ? opendir(out) : NULL;
                const char *name = piece;
                struct dirent *entry;
                while (list && (entry = readdir(list)))
                        if (strcasecmp(entry->d_name, piece) == 0) {
                                name = entry->d_name;
                                break;
                        }
                if (*piece)
                        n += (size_t)snprintf(out + n, PATH_MAX - n, "/%s", name);
                if (list)
                        closedir(list);
        }
        return out;
}

static int code(int result)
{
        return result < 0 ? -errno : 0;
}

static int fold_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
        (void)fi;
        return code(lstat(real(path), st));
}

static int fold_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t at, struct fuse_file_info *fi,
                        enum fuse_readdir_flags flags)
{
        (void)at, (void)fi, (void)flags;
        DIR *list = opendir(real(path));
        struct dirent *entry;
        while (list && (entry = readdir(list)))
                fill(buffer, entry->d_name, NULL, 0, 0);
        return list ? closedir(list) : -errno;
}

static int fold_open(const char *path, struct fuse_file_info *fi)
{
        int fd = open(real(path), fi->flags & ~(O_CREAT | O_EXCL));
        fi->fh = (uint64_t)fd;
        return fd < 0 ? -errno : 0;
}

static int fold_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
        int fd = open(real(path), fi->flags | O_CREAT, mode);
        fi->fh = (uint64_t)fd;
        return fd < 0 ? -errno : 0;
}

static int fold_read(const char *path, char *data, size_t size, off_t at, struct fuse_file_info *fi)
{
        (void)path;
        ssize_t n = pread((int)fi->fh, data, size, at);
        return n < 0 ? -errno : (int)n;
}

static int fold_write(const char *path, const char *data, size_t size, off_t at, struct fuse_file_info *fi)
{
        (void)path;
        ssize_t n = pwrite((int)fi->fh, data, size, at);
        return n < 0 ? -errno : (int)n;
}

static int fold_release(const char *path, struct fuse_file_info *fi)
{
        (void)path;
        return code(close((int)fi->fh));
}

static int fold_mkdir(const char *path, mode_t mode)
{
        return code(mkdir(real(path), mode));
}

static int fold_unlink(const char *path)
{
        return code(unlink(real(path)));
}

static int fold_rmdir(const char *path)
{
        return code(rmdir(real(path)));
}

static int fold_rename(const char *from, const char *to, unsigned flags)
{
        const char *a = real(from), *b = real(to);
        return code(renameat2(AT_FDCWD, a, AT_FDCWD, b, flags));
}

static int fold_link(const char *from, const char *to)
{
        const char *a = real(from), *b = real(to);
        return code(link(a, b));
}

static int fold_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
        (void)fi;
        return code(chmod(real(path), mode));
}

static int fold_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
        (void)fi;
        return code(lchown(real(path), uid, gid));
}

static int fold_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
        (void)fi;
        return code(truncate(real(path), size));
}

static int fold_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
        (void)fi;
        return code(utimensat(AT_FDCWD, real(path), times, AT_SYMLINK_NOFOLLOW));
}

int main(int argc, char **argv)
{
        static const struct fuse_operations operations = {.getattr = fold_getattr,
                                                          .readdir = fold_readdir,
                                                          .open = fold_open,
                                                          .create = fold_create,
                                                          .read = fold_read,
                                                          .write = fold_write,
                                                          .release = fold_release,
                                                          .mkdir = fold_mkdir,
                                                          .unlink = fold_unlink,
                                                          .rmdir = fold_rmdir,
                                                          .rename = fold_rename,
                                                          .link = fold_link,
                                                          .chmod = fold_chmod,
                                                          .chown = fold_chown,
                                                          .truncate = fold_truncate,
                                                          .utimens = fold_utimens};
        if (argc != 3 || !realpath(argv[1], top))
                return 2;
        char *words[] = {argv[0], "-s", "-o", "default_permissions,entry_timeout=0,negative_timeout=0,attr_timeout=0", argv[2], NULL};
        return fuse_main(5, words, &operations, NULL);
}
