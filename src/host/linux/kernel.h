// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Linux calls and numbers that the C library of Debian 12 (glibc 2.36, kernel headers 6.1) does not have. Sources: the
 * kernel's include/uapi; the numbers are part of its ABI and never change.
 */
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef __GLIBC__ /* musl has neither these calls nor their constants */
#include <linux/mount.h>

static inline int kernel_open_tree(int directory, const char *path, unsigned flags)
{
        return (int)syscall(SYS_open_tree, directory, path, flags);
}
static inline int kernel_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
        return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}
static inline int kernel_mount_setattr(int directory, const char *path, unsigned flags, struct mount_attr *attributes,
                                       size_t size)
{
        return (int)syscall(SYS_mount_setattr, directory, path, flags, attributes, size);
}
static inline int kernel_close_range(unsigned first, unsigned last, int flags)
{
        return (int)syscall(SYS_close_range, first, last, flags);
}
static inline int kernel_fsopen(const char *type, unsigned flags)
{
        return (int)syscall(SYS_fsopen, type, flags);
}
static inline int kernel_fsconfig(int context, unsigned command, const char *key, const void *value, int number)
{
        return (int)syscall(SYS_fsconfig, context, command, key, value, number);
}
static inline int kernel_fsmount(int context, unsigned flags, unsigned attributes)
{
        return (int)syscall(SYS_fsmount, context, flags, attributes);
}
static inline int kernel_fspick(int directory, const char *path, unsigned flags)
{
        return (int)syscall(SYS_fspick, directory, path, flags);
}
/* Macros, so that a later musl may have functions of these names. */
#define open_tree kernel_open_tree
#define move_mount kernel_move_mount
#define mount_setattr kernel_mount_setattr
#define close_range kernel_close_range
#define fsopen kernel_fsopen
#define fsconfig kernel_fsconfig
#define fsmount kernel_fsmount
#define fspick kernel_fspick
#endif

/* sigprocmask() and sigfillset() with all 64 signals of the kernel. A C library keeps a few for itself, and musl one
 * that is an ordinary signal (SIGRTMIN) to programs linked with the GNU one. */
static inline int kernel_signal_mask(int how, const sigset_t *set, sigset_t *old)
{
        return (int)syscall(SYS_rt_sigprocmask, how, set, old, sizeof(uint64_t));
}
static inline void kernel_all_signals(sigset_t *set)
{
        sigfillset(set);
        memset(set, 0xff, sizeof(uint64_t));
}

/* Opens `path` below `root` (as if root were "/"), never through a symbolic link or a magic link. For names that were
 * made canonical when the plan was made: a link that appears since is an attack or an accident, and gives ELOOP. */
static inline int kernel_open_below(int root, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
        return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* fork() with namespaces: returns as fork() does. `flags` are CLONE_NEW*; the child's death sends SIGCHLD. */
static inline pid_t kernel_fork(uint64_t flags)
{
        struct clone_args args = {.flags = flags, .exit_signal = (flags & CLONE_PARENT) ? 0 : 17 /* SIGCHLD */};
        return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* Attaches the detached mount `tree` on the file that `target` is open on. */
static inline int kernel_attach(int tree, int target)
{
        return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* Changes attributes of the mount `tree` is open on, with those below it when `recursive`. */
static inline int kernel_mount_attributes(int tree, uint64_t set, uint64_t clear, int recursive)
{
        struct mount_attr attributes = {.attr_set = set, .attr_clr = clear};
        return mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes);
}

/* Landlock, scoping of abstract sockets and signals (ABI 6, Linux 6.12). */
struct kernel_landlock_ruleset {
        uint64_t handled_access_fs, handled_access_net, scoped;
};
#define KERNEL_LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define KERNEL_LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#define KERNEL_LANDLOCK_CREATE_VERSION 1U
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

/* Extended attributes of a name in a directory, which is not followed (Linux 6.13; else ENOSYS). */
static inline ssize_t kernel_list_attributes(int dir, const char *name, char *names, size_t size)
{
        return syscall(465 /* listxattrat */, dir, name, AT_SYMLINK_NOFOLLOW, names, size);
}

static inline ssize_t kernel_get_attribute(int dir, const char *name, const char *key, void *value, size_t size)
{
        struct {
                uint64_t value;
                uint32_t size, flags;
        } args = {.value = (uint64_t)(uintptr_t)value, .size = (uint32_t)size};
        return syscall(464 /* getxattrat */, dir, name, AT_SYMLINK_NOFOLLOW, key, &args, sizeof args);
}
