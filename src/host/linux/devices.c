// SPDX-License-Identifier: GPL-3.0-or-later
/* A minimal /dev: null zero full random urandom tty of the main system, terminals and shared memory of its own. */
#include "host/linux/workplace.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "host/linux/kernel.h"

#include <sys/stat.h>

static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
static const char *const links[][2] = {{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
                                       {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
                                       {"ptmx", "pts/ptmx"}};

/* Attaches a clone of the main system's node `name` in the fresh /dev. */
static int add_node(int dev, int from, const char *name, struct error *err)
{
        cleanup_close int tree = open_tree(from, name, AT_SYMLINK_NOFOLLOW | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        struct stat st;
        if (tree < 0 || fstat(tree, &st) < 0)
                return errno == ENOENT ? 0 : error_sys(err, errno, "cannot clone /dev/%s", name);
        if (!S_ISCHR(st.st_mode)) /* in an environment inside another it may be missing; never take anything else for
                                   * it */
                return 0;
        if (mknodat(dev, name, S_IFREG | 0666, 0) < 0 || move_mount(tree, "", dev, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return error_sys(err, errno, "cannot make /dev/%s inside", name);
        return 0;
}

int devices_make(int dev, int from, bool fuse, struct error *err)
{
        if (fuse && add_node(dev, from, "fuse", err) < 0)
                return -err->code;
        for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
                int result = add_node(dev, from, nodes[i], err);
                if (result < 0)
                        return result;
        }
        /* Read-only: the device is written all the same, its node's times and mode are not ours. */
        if (kernel_mount_attributes(dev, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, 1) < 0 ||
            kernel_mount_attributes(dev, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, 0) < 0)
                return error_sys(err, errno, "cannot restrict the nodes of /dev inside");
        for (size_t i = 0; i < sizeof links / sizeof *links; i++)
                if (symlinkat(links[i][1], dev, links[i][0]) < 0)
                        return error_sys(err, errno, "cannot make /dev/%s inside", links[i][0]);
        if (mkdirat(dev, "shm", 01777) < 0 || fchmodat(dev, "shm", 01777, 0) < 0 || mkdirat(dev, "pts", 0755) < 0)
                return error_sys(err, errno, "cannot make directories in /dev inside");
        return 0;
}

int devices_terminals(int pts, bool has_ids, struct error *err)
{
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", pts);
        /* gid 5 is `tty` wherever the Filesystem Hierarchy is followed; with one id alone it does not exist inside. */
        if (mount("devpts", name, "devpts", MS_NOSUID | MS_NOEXEC,
                  has_ids ? "newinstance,ptmxmode=0666,mode=0620,gid=5" : "newinstance,ptmxmode=0666,mode=0620") < 0)
                return error_sys(err, errno, "cannot mount terminals on /dev/pts inside");
        return 0;
}
