// SPDX-License-Identifier: GPL-3.0-or-later
/* Copies of files into a layer, for what an overlay cannot hold: single files, and directories that are private entry
 * by entry. */
#include "host/linux/workplace.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <sys/sendfile.h>
#include <sys/stat.h>

int copy_into_layer(int from, int directory, const char *name, struct error *err)
{
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%d", from);
        cleanup_close int in = open(magic, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (in < 0 || fstat(in, &st) < 0)
                return error_sys(err, errno, "cannot read the file to copy");
        cleanup_close int out = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (out < 0)
                return error_sys(err, errno, "cannot make the copy");
        for (off_t left = st.st_size; left > 0;) {
                ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)left, 0);
                if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
                        n = sendfile(out, in, NULL, (size_t)left);
                if (n < 0)
                        return error_sys(err, errno, "cannot copy it");
                if (!n)
                        break;
                left -= n;
        }
        (void)!fchown(out, st.st_uid, st.st_gid);
        struct timespec times[2] = {st.st_atim, st.st_mtim};
        if (fchmod(out, st.st_mode & 07777) < 0 || futimens(out, times) < 0)
                return error_sys(err, errno, "cannot finish the copy");
        return 0;
}

int copy_entries(int from, int to, struct error *err)
{
        int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir)
                return error_sys(err, errno, "cannot read the directory to copy");
        struct dirent *entry;
        while ((entry = readdir(dir))) {
                struct stat st;
                if (fstatat(from, entry->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
                        continue;
                if (S_ISREG(st.st_mode)) {
                        cleanup_close int file = openat(from, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                        cleanup_error struct error unreadable = ERROR_INIT; /* what we may not read stays away */
                        int result = copy_into_layer(file, to, entry->d_name, &unreadable);
                        if (result == -ENOSPC || result == -EDQUOT || result == -EIO)
                                return error_sys(err, -result, "cannot copy %s into the layer", entry->d_name);
                } else if (S_ISLNK(st.st_mode)) {
                        char target[4097];
                        ssize_t n = readlinkat(from, entry->d_name, target, sizeof target - 1);
                        if (n > 0) {
                                target[n] = '\0';
                                (void)!symlinkat(target, to, entry->d_name);
                        }
                }
        }
        return 0;
}
