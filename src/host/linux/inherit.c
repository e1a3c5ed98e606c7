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
        default:
                return standard && S_ISBLK(st.st_mode) ? INHERIT_CLOSE : standard ? INHERIT_KEEP : INHERIT_CLOSE;
        }
}

int inherit_survey(struct inherit *inherit, struct error *err)
{
        memset(inherit, 0, sizeof *inherit);
        inherit->highest = -1;
        cleanup_dir DIR *dir = opendir("/proc/self/fd");
        if (!dir)
                return error_sys(err, errno, "cannot read /proc/self/fd");
        struct dirent *entry;
        while ((entry = readdir(dir))) {
                int fd = atoi(entry->d_name);
                if (entry->d_name[0] != '.' && fd > inherit->open && fd < 65536)
                        inherit->open = fd;
                if (entry->d_name[0] == '.' || fd >= INHERIT_LIMIT || (fcntl(fd, F_GETFD) & FD_CLOEXEC))
                        continue;
                enum inherit_what what = judge(fd);
                inherit->what[fd] = (unsigned char)what;
                if (what != INHERIT_CLOSE && fd > inherit->highest)
                        inherit->highest = fd;
                inherit->terminal |= what == INHERIT_TERMINAL;
                inherit->reopen |= what == INHERIT_READ_ONLY;
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
                        error_set(err, ESTALE, "descriptor %d is open on %s, which is not to be found under that name any more, "
                                               "so that it cannot be made read-only", fd, shown);
                        return error_remedy(err, "pass it through a pipe: cat FILE | paddock run ...");
                }
        }
        return 0;
}

int inherit_apply(const struct inherit *inherit, int terminal, struct error *err)
{
        for (int fd = 0; fd <= inherit->highest; fd++) {
                char link[64], name[4097];
                switch ((enum inherit_what)inherit->what[fd]) {
                case INHERIT_TERMINAL:
                        if (terminal >= 0 && dup2(terminal, fd) < 0)
                                return error_sys(err, errno, "cannot hand over the terminal");
                        break;
                case INHERIT_DIRECTORY: {
                        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
                        ssize_t n = readlink(link, name, sizeof name - 1);
                        name[n > 0 ? n : 0] = '\0';
                        cleanup_close int inside = n > 0 ? open(name, O_RDONLY | O_CLOEXEC) : -1;
                        if (inside < 0)
                                close(fd);
                        else if (dup2(inside, fd) < 0)
                                return error_sys(err, errno, "cannot hand over a directory");
                        break;
                }
                case INHERIT_READ_ONLY:
                case INHERIT_KEEP:
                        fcntl(fd, F_SETFD, 0);
                        break;
                case INHERIT_CLOSE:
                        break;
                }
        }
        /* Everything else, ours included, ends with exec: nothing of the set-up reaches the program. */
        unsigned first = 0;
        for (int fd = 0; fd <= inherit->highest; fd++) {
                if (inherit->what[fd] == INHERIT_CLOSE) {
                        continue;
                }
                if ((unsigned)fd > first)
                        close_range(first, (unsigned)fd - 1, CLOSE_RANGE_CLOEXEC);
                first = (unsigned)fd + 1;
        }
        return close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? error_sys(err, errno, "cannot close descriptors") : 0;
}
