// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A change of a living view: a mount made or taken away, in init's namespaces; it reaches the programs from there
 * (floor.h).
 *
 * Each is carried out by a process of its own, since a name inside may lie on a file system that does not answer; but
 * to take a mount away asks for no name, and init does that itself: programs inside may kill such a process, and leave
 * no room for another. It shares descriptors with init, and a mount's *handle* is the number of one that is open on it
 * (O_PATH): names may be changed by programs inside, and a handle still finds the mount.
 *
 * Names are looked up without following any link. A mount point that is not there is made, where the view is writable,
 * and stays.
 */
#include "host/linux/keep.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/linux/kernel.h"
#include "host/linux/pass.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static int open_root(struct error *err)
{
        int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? error_sys(err, errno, "cannot open / inside") : fd;
}

/* The directories that lead to `path`, made where they are not there; and the last one, opened. */
static int open_parent(int root, const char *path, struct error *err)
{
        cleanup_free char *parent = path_parent(path);
        int fd = kernel_open_below(root, parent, O_PATH | O_DIRECTORY);
        if (fd >= 0)
                return fd;
        int code = errno;
        cleanup_free char *shown = text_escape(parent);
        if (code != ENOENT || !parent[1])
                return error_sys(err, code, "cannot find %s inside", shown);
        cleanup_close int above = open_parent(root, parent, err);
        if (above < 0)
                return above;
        if (mkdirat(above, path_name(parent), 0755) < 0 && errno != EEXIST)
                return error_sys(err, errno, "cannot make %s inside", shown);
        fd = kernel_open_below(root, parent, O_PATH | O_DIRECTORY);
        return fd < 0 ? error_sys(err, errno, "cannot find %s inside", shown) : fd;
}

/* Opens the mount point. */
static int open_point(const char *path, bool is_file, struct error *err)
{
        cleanup_free char *shown = text_escape(path);
        if (path[0] != '/' || !path[1])
                return error_set(err, EINVAL, "%s inside cannot be covered", shown);
        cleanup_close int root = open_root(err);
        if (root < 0)
                return root;
        cleanup_close int point = kernel_open_below(root, path, O_PATH | O_NOFOLLOW);
        if (point < 0 && errno == ENOENT) {
                cleanup_close int parent = open_parent(root, path, err);
                if (parent < 0)
                        return error_remedy(err, "name another place inside, which can be written");
                const char *name = path_name(path);
                int made = is_file ? mknodat(parent, name, S_IFREG | 0644, 0) : mkdirat(parent, name, 0755);
                if (made < 0 && errno != EEXIST) {
                        error_sys(err, errno, "cannot make %s inside", shown);
                        return error_remedy(err, "name another place inside, which can be written");
                }
                point = kernel_open_below(root, path, O_PATH | O_NOFOLLOW);
        }
        struct stat st;
        if (point < 0 || fstat(point, &st) < 0)
                return error_sys(err, errno, "cannot find %s inside", shown);
        if (S_ISLNK(st.st_mode))
                return error_set(err, ELOOP, "%s is a symbolic link inside", shown);
        if (S_ISDIR(st.st_mode) == is_file)
                return error_set(err, is_file ? EISDIR : ENOTDIR, "%s is %s directory inside", shown,
                                 is_file ? "a" : "no");
        return steal_fd(&point);
}

/* The FUSE device, opened anew: `node` is where it stood when the environment was started, or -1. */
static int open_fuse(int node, struct error *err)
{
        static const char missing[] = "as root: modprobe fuse; in a container: let it have the device /dev/fuse; then "
                                      "start the environment again; or grant it --plain";
        char path[64];
        struct stat st;
        if (node < 0 || fstat(node, &st) < 0 || !S_ISCHR(st.st_mode)) {
                error_set(err, EOPNOTSUPP,
                          "there was no /dev/fuse when the environment was started, which a right that can be taken "
                          "back needs");
                return error_remedy(err, missing);
        }
        snprintf(path, sizeof path, "/proc/self/fd/%d", node);
        int fuse = open(path, O_RDWR | O_CLOEXEC);
        if (fuse >= 0)
                return fuse;
        int code = errno;
        error_sys(err, code, "cannot open /dev/fuse, which a right that can be taken back needs");
        if (code == ENODEV || code == ENXIO)
                return error_remedy(err, missing);
        return error_remedy(err, "as root: chmod 666 /dev/fuse (distributions have it so); or grant it --plain");
}

/* Mounts FUSE, detached. Returns the mount; *device is its server's end. */
static int mount_fuse(struct keep *k, const struct order *order, int *device, struct error *err)
{
        char number[16];
        cleanup_close int fuse = open_fuse(k->w->fuse, err);
        if (fuse < 0)
                return fuse;
        snprintf(number, sizeof number, "%d", fuse);
        cleanup_close int context = fsopen("fuse", FSOPEN_CLOEXEC);
        char uid[16], gid[16]; /* of init, which is who mounts */
        snprintf(uid, sizeof uid, "%u", (unsigned)geteuid());
        snprintf(gid, sizeof gid, "%u", (unsigned)getegid());
        const char *const options[][2] = {{"source", "paddock"}, {"fd", number}, {"user_id", uid}, {"group_id", gid},
                                          {"rootmode", order->flags & ORDER_FILE ? "100000" : "40000"}};
        bool good = context >= 0;
        for (size_t i = 0; good && i < sizeof options / sizeof *options; i++)
                good = fsconfig(context, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) == 0;
        good = good && fsconfig(context, FSCONFIG_SET_FLAG, "allow_other", NULL, 0) == 0 &&
               (order->flags & ORDER_ASKS ||
                fsconfig(context, FSCONFIG_SET_FLAG, "default_permissions", NULL, 0) == 0) &&
               fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0;
        unsigned attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID |
                              (order->flags & ORDER_READ_ONLY ? MOUNT_ATTR_RDONLY : 0) |
                              (order->flags & ORDER_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
        int tree = good ? fsmount(context, FSMOUNT_CLOEXEC, attributes) : -1;
        if (tree < 0)
                return error_sys(err, errno, "cannot mount FUSE inside");
        *device = steal_fd(&fuse);
        return tree;
}

int change_detach(const struct keep *k, int handle, struct error *err)
{
        char path[64];
        snprintf(path, sizeof path, "self/fd/%d", handle);
        int result = handle <= 2 ? error_set(err, EBADF, "there is no such mount")
                     : fchdir(k->proc) < 0 || umount2(path, MNT_DETACH) < 0
                             ? error_sys(err, errno, "cannot take a mount away")
                             : 0;
        (void)!chdir("/");
        if (result == 0)
                close(handle);
        return result;
}

void change_tell(const struct keep *k, const struct order *order, int result, int value, int device,
                 const struct error *err)
{
        struct news news = {.type = NEWS_DONE, .id = order->id, .value = value};
        if (result < 0) {
                news.code = err->code;
                snprintf(news.text, sizeof news.text, "%s", err->text);
                snprintf(news.remedy, sizeof news.remedy, "%s", err->remedy ? err->remedy : "");
        }
        pass_send(k->birth->socket, &news, sizeof news, result < 0 ? -1 : device);
}

/* Until the server was asked, the kernel has the file as root's, of whom this namespace may know nothing, and refuses
 * to open it for writing without asking (HAS_UNMAPPED_ID in inode_permission()). Whether the server answers is no
 * matter here. */
static void look(int handle)
{
        struct stat unused;
        if (handle > 2)
                (void)!fstat(handle, &unused);
}

_Noreturn void change_view(struct keep *k, const struct order *order, int tree)
{
        cleanup_error struct error err = ERROR_INIT;
        int device = -1, point = -1;
        prctl(PR_SET_NAME, "paddock-change", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        int result = 0;
        if (order->type == ORDER_LOOK) {
                look(order->value);
        } else {
                result = point = open_point(order->path, order->flags & ORDER_FILE, &err);
                if (result >= 0 && order->type == ORDER_MOUNT)
                        result = tree = mount_fuse(k, order, &device, &err);
                if (result >= 0 && kernel_attach(tree, point) < 0) {
                        cleanup_free char *shown = text_escape(order->path);
                        result = error_sys(&err, errno, "cannot mount on %s inside", shown);
                }
        }
        change_tell(k, order, result, tree, device, &err);
        /* These numbers are init's as well. */
        if (point >= 0)
                close(point);
        if (device >= 0)
                close(device);
        if (result < 0 && tree >= 0)
                close(tree);
        _exit(0);
}

_Noreturn void reach_open(struct keep *k, const struct order *order)
{
        cleanup_error struct error err = ERROR_INIT;
        prctl(PR_SET_NAME, "paddock-change", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        int fd = -1, result = 0;
        if (!order->value) {
                fd = k->birth->launch->plan->uplink ? openat(k->proc, "self/ns/net", O_RDONLY | O_CLOEXEC)
                                                    : k->floor.fd[FLOOR_NET];
        } else {
                result = boot_approach(k, &err);
                if (result == 0)
                        result = floor_enter(&k->floor, &err);
                if (result == 0)
                        result = boot_enter(k, &err);
                if (result == 0 && (fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
                        result = error_sys(&err, errno, "cannot open / inside");
        }
        change_tell(k, order, result, 0, fd, &err);
        _exit(0);
}
