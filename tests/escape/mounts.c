// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Attacks on the mounts of a view, from inside.
 *
 *      mounts write DIR NAME    tries to write the file DIR/NAME, which a rule has made read-only
 *      mounts look DIR NAME     tries to read DIR/NAME, which a rule has hidden or covered; outside it begins with
 * SECRET mounts break DIR NAME    tries to take DIR/NAME, on which a rule stands, away from under the rule
 *
 * Each attack is made with the rights that the program has, and again as root of a user and mount namespace of its own.
 * One line for each that worked. What an attack changes in the view stays in its own process.
 */
#include "nest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not from <sys/mount.h>, which older C libraries do not let stand beside <linux/mount.h>. */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
#define DETACH 2
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static const char *goal, *dir, *name;
static int say; /* where success is reported */

static int tree_open(int at, const char *path, unsigned flags)
{
        return (int)syscall(SYS_open_tree, at, path, flags);
}

static int set_attributes(int at, const char *path, unsigned flags, unsigned long set, unsigned long clear)
{
        struct mount_attr attributes = {.attr_set = set, .attr_clr = clear};
        return (int)syscall(SYS_mount_setattr, at, path, flags, &attributes, sizeof attributes);
}

static int move(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
        return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

/* Has it worked? Looks at the goal below the directory `at`. */
static bool reached(int at, const char *below)
{
        char path[4200], data[16] = "";
        snprintf(path, sizeof path, "%s/%s", below, name);
        if (strcmp(goal, "write") == 0) {
                int fd = openat(at, path, O_WRONLY | O_APPEND | O_NONBLOCK);
                return fd >= 0 && write(fd, "escaped\n", 8) == 8;
        }
        int fd = openat(at, path, O_RDONLY | O_NONBLOCK);
        return fd >= 0 && read(fd, data, 6) == 6 && strcmp(data, "SECRET") == 0;
}

static bool reached_here(void)
{
        return reached(AT_FDCWD, dir);
}

static bool reached_at(int at)
{
        return at >= 0 && reached(at, ".");
}

static int open_dir(void)
{
        return open(dir, O_PATH | O_DIRECTORY);
}

static void whole(char *path, size_t size)
{
        snprintf(path, size, "%s/%s", dir, name);
}

/* A fresh directory that is writable inside, in one that is removed in the end. */
static char place[] = "/tmp/mounts.XXXXXX";

static char *scratch(void)
{
        static char path[64];
        static int count;
        snprintf(path, sizeof path, "%s/%d-%d", place, (int)getpid(), count++);
        return mkdir(path, 0755) < 0 ? NULL : path;
}

/* By descriptors: an attack may have taken the mounts away from under the names. */
static void remove_place(int tmp, int at)
{
        DIR *entries = at < 0 || fchdir(at) < 0 ? NULL : fdopendir(at);
        for (struct dirent *e; entries && (e = readdir(entries));)
                if (e->d_name[0] != '.' && unlinkat(at, e->d_name, AT_REMOVEDIR) < 0 && umount2(e->d_name, DETACH) == 0)
                        unlinkat(at, e->d_name, AT_REMOVEDIR);
        if (entries)
                unlinkat(tmp, strrchr(place, '/') + 1, AT_REMOVEDIR);
}

static bool remount(void)
{
        mount(NULL, dir, NULL, 4096 | 32, NULL); /* MS_BIND | MS_REMOUNT */
        mount(NULL, "/", NULL, 4096 | 32, NULL);
        return reached_here();
}

static bool remount_file_system(void)
{
        mount(NULL, dir, NULL, 32, NULL);
        mount(NULL, "/", NULL, 32, NULL);
        return reached_here();
}

static bool attributes(void)
{
        set_attributes(AT_FDCWD, dir, 0, 0, MOUNT_ATTR_RDONLY);
        set_attributes(AT_FDCWD, dir, AT_RECURSIVE, 0, MOUNT_ATTR_RDONLY);
        set_attributes(AT_FDCWD, "/", AT_RECURSIVE, 0, MOUNT_ATTR_RDONLY);
        return reached_here();
}

static bool clone_tree(void)
{
        for (int recursive = 0; recursive < 2; recursive++) {
                int tree = tree_open(AT_FDCWD, dir, OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0));
                if (tree < 0)
                        continue;
                if (reached_at(tree))
                        return true;
                set_attributes(tree, "", AT_EMPTY_PATH, 0, MOUNT_ATTR_RDONLY);
                set_attributes(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, 0, MOUNT_ATTR_RDONLY);
                if (reached_at(tree))
                        return true;
        }
        return false;
}

/* The same from every directory above, looking down again. */
static bool clone_above(void)
{
        char top[4096];
        strcpy(top, dir);
        for (char *slash; (slash = strrchr(top, '/'));) {
                const char *rest = dir + (slash - top) + 1;
                *slash = '\0';
                for (int recursive = 0; recursive < 2; recursive++) {
                        int tree = tree_open(AT_FDCWD, top[0] ? top : "/",
                                             OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0));
                        if (tree < 0)
                                continue;
                        set_attributes(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, 0, MOUNT_ATTR_RDONLY);
                        if (reached(tree, rest[0] ? rest : "."))
                                return true;
                }
        }
        return false;
}

static bool bind_above(void)
{
        char top[4096], *point = scratch(), path[8192];
        strcpy(top, dir);
        for (char *slash; point && (slash = strrchr(top, '/'));) {
                const char *rest = dir + (slash - top) + 1;
                *slash = '\0';
                if (mount(top[0] ? top : "/", point, NULL, 4096, NULL) < 0)
                        continue;
                mount(NULL, point, NULL, 4096 | 32, NULL);
                snprintf(path, sizeof path, "%s/%s", point, rest);
                if (reached(AT_FDCWD, path))
                        return true;
        }
        return false;
}

static bool unmount(void)
{
        char path[4200];
        whole(path, sizeof path);
        for (int i = 0; i < 4; i++) {
                if (umount2(path, DETACH) < 0 && umount2(dir, DETACH) < 0)
                        break;
                if (reached_here())
                        return true;
        }
        return reached_here();
}

static bool unmount_above(void)
{
        char top[4096];
        strcpy(top, dir);
        for (char *slash; (slash = strrchr(top, '/'));) {
                *slash = '\0';
                umount2(top[0] ? top : "/", DETACH);
                if (reached_here())
                        return true;
        }
        return false;
}

static bool unmount_root(void)
{
        int at = open_dir();
        umount2("/", DETACH);
        return reached_at(at) || reached_here();
}

static bool move_away(void)
{
        char path[4200], *point = scratch();
        whole(path, sizeof path);
        if (!point)
                return false;
        if (move(AT_FDCWD, path, AT_FDCWD, point, 0) < 0 && move(AT_FDCWD, dir, AT_FDCWD, point, 0) < 0)
                mount(path, point, NULL, 8192, NULL); /* MS_MOVE */
        return reached_here();
}

/* A mount namespace dies whose root is held: are its mounts still one piece? */
static bool orphan(void)
{
        int sockets[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
                return false;
        pid_t child = fork();
        if (child == 0) {
                if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                        _exit(1);
                int at = open_dir();
                union {
                        struct cmsghdr header;
                        char space[CMSG_SPACE(sizeof(int))];
                } control = {0};
                struct iovec iov = {&(char){0}, 1};
                struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                                         .msg_controllen = sizeof control.space};
                control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof at), .cmsg_level = SOL_SOCKET,
                                                  .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(&control.header), &at, sizeof at);
                sendmsg(sockets[0], &message, 0);
                _exit(0);
        }
        int status, at = -1;
        close(sockets[0]);
        waitpid(child, &status, 0);
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {0};
        char byte;
        struct iovec iov = {&byte, 1};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                                 .msg_controllen = sizeof control.space};
        if (status != 0 || recvmsg(sockets[1], &message, 0) < 0)
                return false;
        memcpy(&at, CMSG_DATA(&control.header), sizeof at);
        usleep(50000); /* a mount namespace is taken apart by a worker */
        return reached_at(at);
}

/* An overlay with the directory below it, or as its upper part. */
static bool overlay(void)
{
        char *base = scratch(), options[16384], upper[4200], work[4200], merged[4200];
        if (!base || mount("t", base, "tmpfs", 0, NULL) < 0)
                return false;
        snprintf(upper, sizeof upper, "%s/upper", base);
        snprintf(work, sizeof work, "%s/work", base);
        snprintf(merged, sizeof merged, "%s/merged", base);
        mkdir(upper, 0755);
        mkdir(work, 0755);
        mkdir(merged, 0755);
        bool writes = strcmp(goal, "write") == 0;
        if (writes)
                snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s,userxattr", upper, dir, work);
        else
                snprintf(options, sizeof options, "lowerdir=%s:%s,userxattr", dir, upper);
        return mount("t", merged, "overlay", 0, options) == 0 && reached(AT_FDCWD, merged);
}

static bool change_root(void)
{
        int out = open("/", O_PATH | O_DIRECTORY);
        char *jail = scratch();
        if (!jail || chroot(jail) < 0 || fchdir(out) < 0)
                return false;
        for (int i = 0; i < 64; i++)
                if (chdir("..") < 0)
                        return false;
        if (chroot(".") < 0)
                return false;
        return reached_here();
}

/* A root of its own, with the old one detached but held. */
static int without_mounts(void)
{
        int at = open_dir();
        char *root = scratch(), old[4200];
        if (at < 0 || !root || mount("t", root, "tmpfs", 0, NULL) < 0)
                return -1;
        snprintf(old, sizeof old, "%s/old", root);
        mkdir(old, 0755);
        if (syscall(SYS_pivot_root, root, old) < 0 || chdir("/") < 0 || umount2("/old", DETACH) < 0)
                return -1;
        return at;
}

static bool pivot(void)
{
        return reached_at(without_mounts());
}

/* open_by_handle_at() asks no directory on the way. */
static bool handle(void)
{
        struct {
                struct file_handle handle;
                unsigned char space[MAX_HANDLE_SZ];
        } h = {.handle.handle_bytes = MAX_HANDLE_SZ};
        int id, at = open(dir, O_RDONLY | O_DIRECTORY);
        if (at < 0 || name_to_handle_at(at, "", &h.handle, &id, AT_EMPTY_PATH) < 0)
                return false;
        int fd = open_by_handle_at(at, &h.handle, O_RDONLY | O_DIRECTORY);
        if (fd >= 0 && reached_at(fd))
                return true;
        int top = open("/", O_RDONLY | O_DIRECTORY);
        fd = open_by_handle_at(top, &h.handle, O_RDONLY | O_DIRECTORY);
        return fd >= 0 && reached_at(fd);
}

static bool proc_links(void)
{
        static const char *const links[] = {"/proc/1/root",           "/proc/1/cwd",
                                            "/proc/self/root",        "/proc/thread-self/root",
                                            "/proc/self/task/1/root", "/proc/1/task/1/cwd",
                                            "/proc/2/root",           "/proc/2/cwd"};
        char path[4400];
        for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
                snprintf(path, sizeof path, "%s%s", links[i], dir);
                if (reached(AT_FDCWD, path))
                        return true;
        }
        return false;
}

/* Moves, replaces or removes the name from a place where no mount stands in the way: the kernel asks only the caller's
 * own mount namespace whether a name carries a mount. */
static bool rename_under(void)
{
        int at = without_mounts();
        if (at < 0)
                at = open_dir();
        char aside[4200];
        snprintf(aside, sizeof aside, "%s.aside", name);
        return renameat(at, name, at, aside) == 0;
}

static bool remove_under(void)
{
        int at = without_mounts();
        if (at < 0)
                at = open_dir();
        return unlinkat(at, name, 0) == 0 || unlinkat(at, name, AT_REMOVEDIR) == 0;
}

static bool replace_under(void)
{
        int at = without_mounts();
        if (at < 0)
                at = open_dir();
        int fd = openat(at, "other", O_CREAT | O_WRONLY, 0644);
        return fd >= 0 && renameat(at, "other", at, name) == 0;
}

static bool link_under(void)
{
        int at = without_mounts();
        if (at < 0)
                at = open_dir();
        return linkat(at, name, at, "linked", 0) == 0 && (name = "linked", reached_at(at));
}

static const struct attack {
        const char *name;
        bool (*make)(void);
        bool breaks;
} attacks[] = {
        {"remount", remount, false},           {"remount the file system", remount_file_system, false},
        {"mount_setattr", attributes, false},  {"clone of the tree", clone_tree, false},
        {"clone from above", clone_above, false}, {"bind of a directory above", bind_above, false},
        {"umount", unmount, false},            {"umount of directories above", unmount_above, false},
        {"umount of the root", unmount_root, false}, {"move_mount", move_away, false},
        {"a dead mount namespace", orphan, false}, {"overlay", overlay, false},
        {"chroot", change_root, false},        {"pivot_root", pivot, false},
        {"file handle", handle, false},        {"links in /proc", proc_links, false},
        {"rename", rename_under, true},        {"unlink", remove_under, true},
        {"replace", replace_under, true},      {"link", link_under, true},
};

int main(int argc, char **argv)
{
        if (argc != 4)
                return 2;
        goal = argv[1];
        dir = argv[2];
        name = argv[3];
        say = dup(1);
        int tmp = open("/tmp", O_RDONLY | O_DIRECTORY), at = mkdtemp(place) ? open(place, O_RDONLY | O_DIRECTORY) : -1;
        for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
                for (int nested = 0; nested < 3; nested++) {
                        if (attacks[i].breaks != (strcmp(goal, "break") == 0))
                                continue;
                        pid_t pid = fork();
                        if (pid == 0) {
                                /* directly; in a nested user namespace; in a mount namespace below that again */
                                if ((nested > 0 && !nest()) || (nested > 1 && !nest()))
                                        _exit(0);
                                if (attacks[i].make())
                                        dprintf(say, "%s%s\n", attacks[i].name,
                                                nested == 0 ? "" : nested == 1 ? " (nested)" : " (nested twice)");
                                _exit(0);
                        }
                        waitpid(pid, NULL, 0);
                }
        remove_place(tmp, at);
        return 0;
}
