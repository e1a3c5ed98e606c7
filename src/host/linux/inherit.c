// SPDX-License-Identifier: GPL-3.0-or-later
/* Descriptors that the program inherits: see inherit.h. */
#include "host/linux/inherit.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "host/linux/kernel.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static enum inherit_what judge(int fd)
{
        int flags = fcntl(fd, F_GETFL);
        struct stat st;
        if (flags < 0 || fstat(fd, &st) < 0)
                return INHERIT_CLOSE;
        bool standard = fd <= 2;
        if (flags & O_PATH)
                return INHERIT_CLOSE;
        switch (st.st_mode & S_IFMT) {
        case S_IFIFO:
                return INHERIT_KEEP;
        case S_IFREG:
                /* Without a name left there is nothing outside to protect: a here-document of a shell. */
                return (flags & O_ACCMODE) == O_RDONLY && st.st_nlink ? INHERIT_READ_ONLY : INHERIT_KEEP;
        case S_IFDIR:
                return standard ? INHERIT_DIRECTORY : INHERIT_CLOSE;
        case S_IFSOCK:
                return standard ? INHERIT_KEEP : INHERIT_CLOSE;
        case S_IFCHR:
                if (major(st.st_rdev) == 1) { /* Documentation/admin-guide/devices.txt: null zero full random urandom */
                        unsigned m = minor(st.st_rdev);
                        return m == 3 || m == 5 || m == 7 || m == 8 || m == 9 ? INHERIT_KEEP : INHERIT_CLOSE;
                }
                if (isatty(fd))
                        return standard ? INHERIT_TERMINAL : INHERIT_CLOSE;
                return INHERIT_CLOSE;
        default: /* block devices, and what has no type at all: pidfds, epoll, inotify */
                return INHERIT_CLOSE;
        }
}

/* Takes note of descriptor `fd`. Returns whether it is open. */
static bool note(struct inherit *inherit, int fd)
{
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0)
                return false;
        if (fd > inherit->open)
                inherit->open = fd;
        if (fd >= INHERIT_LIMIT || (flags & FD_CLOEXEC))
                return true;
        enum inherit_what what = judge(fd);
        inherit->what[fd] = (unsigned char)what;
        if (what != INHERIT_CLOSE && fd > inherit->highest)
                inherit->highest = fd;
        inherit->terminal |= what == INHERIT_TERMINAL;
        inherit->reopen |= what == INHERIT_READ_ONLY;
        if (what == INHERIT_DIRECTORY) {
                char link[64], name[4097];
                snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
                ssize_t n = readlink(link, name, sizeof name - 1);
                name[n > 0 ? n : 0] = '\0';
                inherit->directory[fd] = memory_string(name);
        }
        return true;
}

int inherit_survey(struct inherit *inherit, struct error *err)
{
        memset(inherit, 0, sizeof *inherit);
        inherit->highest = -1;
        /* Since Linux 6.2 the size of this directory is the number of open descriptors, most often the lowest: to ask
         * for each costs less than to list them, for which the kernel makes an inode for every one. */
        struct stat st;
        off_t left = stat("/proc/self/fd", &st) == 0 ? st.st_size : 0;
        if (left > 0) {
                for (int fd = 0; left > 0 && fd < INHERIT_LIMIT; fd++)
                        left -= note(inherit, fd);
                if (left == 0)
                        return 0;
        }
        cleanup_dir DIR *dir = opendir("/proc/self/fd");
        if (!dir)
                return error_sys(err, errno, "cannot read /proc/self/fd");
        struct dirent *entry;
        while ((entry = readdir(dir))) {
                int fd = atoi(entry->d_name);
                if (entry->d_name[0] != '.' && fd < 65536 && (left <= 0 || fd >= INHERIT_LIMIT))
                        note(inherit, fd);
        }
        return 0;
}

int inherit_highest_open(const struct inherit *inherit)
{
        return inherit->open;
}

void inherit_let_go(const struct inherit *inherit)
{
        cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 1 && null >= 0; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        dup2(null, fd);
        for (int fd = 3; fd <= inherit->highest; fd++)
                if (inherit->what[fd] != INHERIT_CLOSE)
                        close(fd);
}

/* Opens the file behind `fd` again by its name, through a clone of its mount that is read-only. */
static int reopen(int fd, const char *name, const struct stat *was)
{
        cleanup_close int tree = open_tree(AT_FDCWD, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
        struct stat st;
        if (tree < 0 || fstat(tree, &st) < 0 || st.st_dev != was->st_dev || st.st_ino != was->st_ino ||
            kernel_mount_attributes(tree, MOUNT_ATTR_RDONLY, 0, 0) < 0)
                return -1;
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%d", tree);
        int flags = fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME);
        cleanup_close int fresh = open(magic, O_RDONLY | O_CLOEXEC | flags);
        if (fresh < 0)
                return -1;
        off_t offset = lseek(fd, 0, SEEK_CUR);
        if (offset > 0 && lseek(fresh, offset, SEEK_SET) < 0)
                return -1;
        return dup3(fresh, fd, O_CLOEXEC) < 0 ? -1 : 0;
}

int inherit_reopen(const struct inherit *inherit, struct error *err)
{
        for (int fd = 0; inherit->reopen && fd <= inherit->highest; fd++) {
                struct stat st;
                if (inherit->what[fd] != INHERIT_READ_ONLY || fstat(fd, &st) < 0)
                        continue;
                char link[64], name[4097];
                snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
                ssize_t n = readlink(link, name, sizeof name - 1);
                name[n > 0 ? n : 0] = '\0';
                if (n <= 0 || reopen(fd, name, &st) < 0) {
                        cleanup_free char *shown = text_escape(name);
                        error_set(err, ESTALE,
                                  "descriptor %d is open on %s, which is not to be found under that name any more, "
                                  "so that it cannot be made read-only",
                                  fd, shown);
                        return error_remedy(err, "pass it through a pipe: cat FILE | paddock run ...");
                }
        }
        return 0;
}

int inherit_close(const struct inherit *inherit, int terminal, int socket, struct error *err)
{
        for (int fd = 0; fd <= 2; fd++)
                if (inherit->what[fd] == INHERIT_TERMINAL && (terminal < 0 ? close(fd) : dup2(terminal, fd)) < 0)
                        return error_sys(err, errno, "cannot hand over the terminal");
        int first = 0, last = inherit->highest > socket ? inherit->highest : socket;
        for (int fd = 0; fd <= last; fd++) {
                enum inherit_what what = fd <= inherit->highest ? (enum inherit_what)inherit->what[fd] : INHERIT_CLOSE;
                bool kept = what == INHERIT_READ_ONLY || what == INHERIT_KEEP ||
                            (what == INHERIT_TERMINAL && terminal >= 0);
                if (kept)
                        fcntl(fd, F_SETFD, 0);
                if (!kept && fd != socket)
                        continue;
                if (fd > first && close_range((unsigned)first, (unsigned)fd - 1, 0) < 0)
                        return error_sys(err, errno, "cannot close descriptors");
                first = fd + 1;
        }
        return close_range((unsigned)first, ~0U, 0) < 0 ? error_sys(err, errno, "cannot close descriptors") : 0;
}

int inherit_open_directory(const char *name)
{
        struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
        int fd = (int)syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how);
        if (fd < 0 && errno == EACCES) { /* it may be entered though it may not be read */
                how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
                fd = (int)syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how);
        }
        return fd;
}

void inherit_directories(const struct inherit *inherit)
{
        for (int fd = 0; fd <= 2; fd++) {
                if (!inherit->directory[fd])
                        continue;
                int inside = inherit_open_directory(inherit->directory[fd]);
                if (inside >= 0 && inside != fd) {
                        dup2(inside, fd);
                        close(inside);
                } else if (inside >= 0) {
                        fcntl(fd, F_SETFD, 0);
                }
        }
}
