// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The cgroups of an environment.
 *
 *      paddock-PID           has the limits; nobody is in it
 *         |- init            init and its helpers
 *         |- inside          programs
 *         '- system          a subhurd's init and its services: the top of what a cgroup namespace shows them
 *
 * Theory of operation. systemd, and whoever governs cgroups as it does, wants to be alone at the top of a tree: a
 * cgroup whose children have controllers may have no processes itself. So the subhurd's init is put into a cgroup in
 * which our own helpers are not. The limits lie one above, where a cgroup namespace shows nothing and nobody inside
 * may write: the directory's owner is the same outer user, but a name for it exists only outside of the view.
 *
 * Programs are not in init's cgroup either: whoever makes a cgroup namespace has its own cgroup as the top, which
 * belongs to the same outer user, and could freeze it. An init that is frozen takes no right back.
 *
 * A process may be moved by whoever may write cgroup.procs at both ends and at what they have in common. The kernel
 * asks that of whoever opened the file, so it is opened outside, and the descriptor works inside.
 */
#include "host/linux/cgrouptree.h"

#include "base/cleanup.h"
#include "host/linux/kernel.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define DEPTH 32 /* of what is removed; systemd's own trees have about five */

static bool remove_below(int parent, const char *name, int depth)
{
        cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || depth > DEPTH)
                return fd < 0 && errno == ENOENT;
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        if (!dir && copy >= 0)
                close(copy);
        for (struct dirent *entry; dir && (entry = readdir(dir));)
                if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        remove_below(fd, entry->d_name, depth + 1);
        return depth < 0 || unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

bool cgrouptree_remove(int parent, const char *name)
{
        return remove_below(parent, name, 0);
}

bool cgrouptree_make(int at, bool whole)
{
        return mkdirat(at, "init", 0755) == 0 && mkdirat(at, "inside", 0755) == 0 &&
               (!whole || mkdirat(at, "system", 0755) == 0);
}

int cgrouptree_open(struct cgrouptree *t, const char *path, struct error *err)
{
        *t = (struct cgrouptree){0};
        if (!path)
                return 0;
        cleanup_close int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_close int init = at < 0 ? -1 : openat(at, "init/cgroup.procs", O_WRONLY | O_CLOEXEC);
        cleanup_close int programs = init < 0 ? -1 : openat(at, "inside/cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (programs < 0)
                return error_sys(err, errno, "cannot enter the cgroup %s", path);
        cleanup_close int top = openat(at, "system", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (top >= 0) {
                t->top_enter = openat(top, "cgroup.procs", O_WRONLY | O_CLOEXEC);
                if (t->top_enter < 0) {
                        t->top_enter = 0;
                        return error_sys(err, errno, "cannot enter the cgroup %s/system", path);
                }
                t->top = steal_fd(&top);
        }
        t->init = steal_fd(&init);
        t->programs = steal_fd(&programs);
        return 0;
}

int cgrouptree_give(const struct cgrouptree *t, unsigned owner, struct error *err)
{
        /* What the kernel documents as delegated, and no more: limits of the top itself stay the outer user's. */
        static const char *const given[] = {".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"};
        for (size_t i = 0; t->top > 0 && i < sizeof given / sizeof *given; i++)
                if (fchownat(t->top, given[i], owner, owner, 0) < 0)
                        return error_sys(err, errno, "cannot give the subhurd a cgroup tree of its own");
        return 0;
}

void cgrouptree_close(struct cgrouptree *t)
{
        int *const fds[] = {&t->init, &t->programs, &t->top, &t->top_enter};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
                if (*fds[i] > 0)
                        close(*fds[i]);
                *fds[i] = 0;
        }
}

int cgrouptree_enter(const struct cgrouptree *t, struct error *err)
{
        if (t->init > 0 && write(t->init, "0", 1) != 1)
                return error_sys(err, errno, "cannot enter the cgroup that holds its limits");
        return 0;
}

int cgrouptree_leave_init(const struct cgrouptree *t, struct error *err)
{
        if (t->programs > 0 && write(t->programs, "0", 1) != 1)
                return error_sys(err, errno, "cannot enter the cgroup of its programs");
        return 0;
}

void cgrouptree_clean(const struct cgrouptree *t)
{
        if (t->top <= 0)
                return;
        remove_below(t->top, ".", -1);
        /* No process may enter a cgroup that hands controllers down. */
        char line[256];
        cleanup_close int control = openat(t->top, "cgroup.subtree_control", O_RDWR | O_CLOEXEC);
        ssize_t n = control < 0 ? -1 : read(control, line, sizeof line - 1);
        line[n > 0 ? n : 0] = '\0';
        char *rest = line;
        for (char *word; (word = strsep(&rest, " \n"));) {
                char off[64];
                int length = snprintf(off, sizeof off, "-%s", word);
                if (*word && length < (int)sizeof off)
                        (void)!pwrite(control, off, (size_t)length, 0);
        }
}

int cgrouptree_become_top(const struct cgrouptree *t)
{
        if (t->top <= 0)
                return 0;
        return write(t->top_enter, "0", 1) != 1 || unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}

int cgrouptree_show(const struct cgrouptree *t)
{
        /* Where programs look first; the files of the kernel would tell of the main system. */
        static const char *const places[] = {"/sys/fs",      "/sys/fs/cgroup", "/sys/block",  "/sys/bus",
                                             "/sys/class",   "/sys/dev",       "/sys/devices", "/sys/firmware",
                                             "/sys/kernel",  "/sys/module",    "/sys/power"};
        struct stat st;
        if (t->top <= 0 || lstat("/sys", &st) < 0 || !S_ISDIR(st.st_mode))
                return 0;
        const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
        if (mount("sysfs", "/sys", "tmpfs", flags, "mode=0555,size=64k,nr_inodes=64") < 0)
                return -errno;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
                mkdir(places[i], 0755);
        /* Read-only, as a system in a container expects it: by that it knows that devices are not its business. */
        if (mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0 ||
            mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, NULL) < 0)
                return -errno;
        return 0;
}
