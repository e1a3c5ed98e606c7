// SPDX-License-Identifier: GPL-3.0-or-later
/* The mount calls that work on descriptors, name resolution with conditions, and idmapped mounts. */
#include "base/cleanup.h"
#include "host/linux/kernel.h"
#include "host/linux/probe_trial.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { STEP_CLONE = TRIAL_OWN, STEP_ATTRIBUTES, STEP_MOVE, STEP_CHECK };

/* What a mirror of the main system needs: its tree cloned with all mounts, made read-only, put somewhere. */
static int try_tree(struct trial *trial, const void *argument)
{
        (void)argument;
        int result = trial_enter(trial, CLONE_NEWNS);
        if (result < 0)
                return result;
        trial->step = STEP_CLONE;
        cleanup_close int tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (tree < 0)
                return -errno;
        trial->step = STEP_ATTRIBUTES;
        if (kernel_mount_attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, true) < 0)
                return -errno;
        trial->step = STEP_MOVE;
        cleanup_close int target = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target < 0 || kernel_attach(tree, target) < 0)
                return -errno;
        trial->step = STEP_CHECK;
        struct statvfs st;
        if (fstatvfs(tree, &st) < 0)
                return -errno;
        return (st.f_flag & (ST_RDONLY | ST_NOSUID)) == (ST_RDONLY | ST_NOSUID) ? 0 : -EPERM;
}

void probe_mounts(struct probing *p)
{
        struct probe *probe = probe_add(p, "mount calls on descriptors", true);
        if (probe_impossible(p, probe))
                return;
        struct trial trial = trial_run(p, try_tree, NULL);
        if (probe_settled(probe, &trial, "open_tree, mount_setattr and move_mount on the whole tree"))
                return;
        probe_failed(probe,
                     trial.step == STEP_CLONE        ? "clone the mount tree (open_tree)"
                     : trial.step == STEP_ATTRIBUTES ? "make a mount tree read-only (mount_setattr)"
                     : trial.step == STEP_MOVE       ? "put a mount tree in its place (move_mount)"
                     : trial.step == STEP_CHECK      ? "trust mount_setattr: the tree is not read-only"
                                                     : "enter namespaces",
                     &trial);
        probe_but(probe, "`paddock run` cannot start anything", "%s",
                  trial.code == ENOSYS
                          ? "boot Linux 6.1 or newer; in a container, let its seccomp filter pass these calls"
                          : "let the security module or the container's seccomp filter allow mounts in user "
                            "namespaces");
}

static int try_openat2(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = STEP_CLONE;
        cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        cleanup_close int proc = kernel_open_below(root, "proc", O_PATH | O_DIRECTORY);
        if (proc < 0)
                return -errno;
        /* A symbolic link must be refused. */
        trial->step = STEP_CHECK;
        cleanup_close int self = kernel_open_below(root, "proc/self/ns", O_PATH | O_DIRECTORY);
        if (self >= 0)
                return -EPERM;
        return errno == ELOOP || errno == ENOENT /* /proc is not mounted */ ? 0 : -errno;
}

void probe_openat2(struct probing *p)
{
        struct probe *probe = probe_add(p, "openat2", true);
        struct trial trial = trial_run(p, try_openat2, NULL);
        if (probe_settled(probe, &trial, "names are resolved without following links"))
                return;
        probe_failed(probe, "resolve names without following links (openat2)", &trial);
        probe_but(probe, "`paddock run` cannot start anything",
                  "boot Linux 5.6 or newer; in a container, let its seccomp filter pass openat2");
}

#define SHIFTED 100000 /* the id that root's files show through the mapped mount */

/* Tries a mount of "/" whose files appear under other ids. Makes a user namespace only for its map. */
static int try_idmapped(struct trial *trial, const void *argument)
{
        (void)argument;
        trial->step = TRIAL_CREATE;
        if (unshare(CLONE_NEWNS) < 0)
                return -errno;
        trial->step = TRIAL_PRIVATE;
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        trial->step = TRIAL_MAP;
        char path[64], map[64];
        pid_t pid;
        cleanup_close int end = trial_hold(&pid);
        if (end < 0)
                return end;
        snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
        snprintf(map, sizeof map, "0 %d 65536\n", SHIFTED);
        int result = trial_write(path, map);
        snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
        if (result == 0)
                result = trial_write(path, map);
        snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
        cleanup_close int namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (result < 0 || namespace < 0)
                return result < 0 ? result : -errno;
        close(steal_fd(&end));
        trial_wait(pid);

        trial->step = STEP_CLONE;
        struct stat plain, mapped;
        cleanup_close int tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || stat("/", &plain) < 0)
                return -errno;
        trial->step = STEP_ATTRIBUTES;
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64) namespace};
        if (mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
                return -errno;
        trial->step = STEP_CHECK;
        if (fstat(tree, &mapped) < 0)
                return -errno;
        return mapped.st_uid == plain.st_uid + SHIFTED ? 0 : -EPERM;
}

void probe_idmapped(struct probing *p)
{
        if (!p->superuser)
                return;
        struct probe *probe = probe_add(p, "idmapped mounts of /", false);
        struct trial trial = trial_run(p, try_idmapped, NULL);
        if (probe_settled(probe, &trial, "the files of the main system can appear under other ids"))
                return;
        probe_failed(probe,
                     trial.step < STEP_CLONE    ? "make a user namespace with other ids"
                     : trial.step == STEP_CLONE ? "clone the mount of /"
                     : trial.step == STEP_CHECK ? "trust the mapped mount: it shows the old ids"
                                                : "map the ids of the mount of /",
                     &trial);
        probe_but(probe, "what root starts sees the main system's files as nobody's, and read-only",
                  trial.code == EINVAL && trial.step == STEP_ATTRIBUTES
                          ? "use a root file system that supports it (ext4, xfs, btrfs; overlay does not)"
                          : "start it as an ordinary user, or boot Linux 6.1 or newer");
}
