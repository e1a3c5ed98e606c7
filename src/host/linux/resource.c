// SPDX-License-Identifier: GPL-3.0-or-later
/* Things outside that are granted: see resource.h. */
#include "host/resource.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/text.h"
#include "host/linux/kernel.h"
#include "host/linux/pass.h"
#include "host/linux/server.h"
#include "host/linux/sockettype.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>

void host_resource_clear(struct resource *r)
{
        free(r->path);
        if (r->fd >= 0)
                close(r->fd);
        *r = RESOURCE_NONE;
}

/* File systems in which the kernel shows itself. A right on one would be a right on the kernel. */
static bool is_the_kernels(int fd)
{
        static const unsigned long magic[] = {PROC_SUPER_MAGIC,    SYSFS_MAGIC,    CGROUP_SUPER_MAGIC,
                                              CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,  TRACEFS_MAGIC,
                                              SECURITYFS_MAGIC,    BPF_FS_MAGIC,   DEVPTS_SUPER_MAGIC,
                                              BINFMTFS_MAGIC,      EFIVARFS_MAGIC, PSTOREFS_MAGIC,
                                              SELINUX_MAGIC,       NSFS_MAGIC,     0x62656570 /* configfs */,
                                              0x65735543 /* fusectl */};
        struct statfs fs;
        if (fstatfs(fd, &fs) < 0)
                return false;
        for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
                if ((unsigned long)fs.f_type == magic[i])
                        return true;
        return false;
}

static bool same_file(int a, int b)
{
        struct stat x, y;
        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool same_mount(int a, int b)
{
        struct statx x, y;
        return statx(a, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) == 0 &&
               statx(b, "", AT_EMPTY_PATH, STATX_MNT_ID, &y) == 0 && x.stx_mnt_id == y.stx_mnt_id;
}

/* Is the directory `top` the file `fd` or above it, under whatever name? */
static bool is_above(int top, int fd)
{
        cleanup_close int at = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        for (int depth = 0; at >= 0 && depth < 4096; depth++) {
                if (same_file(top, at))
                        return true;
                int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (up < 0 || (same_file(up, at) && same_mount(up, at))) {
                        if (up >= 0)
                                close(up);
                        return false;
                }
                close(at);
                at = up;
        }
        return false;
}

/* Does it hold the state directory, or lie in it? Names are compared, and files, since a bind mount gives them other
 * names. */
static bool touches(const struct resource *r, const char *state)
{
        if (path_is_below(r->path, state) || path_is_below(state, r->path))
                return true;
        cleanup_close int fd = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return false;
        cleanup_free char *parent = path_parent(r->path);
        cleanup_close int from = r->kind == RESOURCE_TREE ? fcntl(r->fd, F_DUPFD_CLOEXEC, 3)
                                                          : open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return (from >= 0 && is_above(fd, from)) || (r->kind == RESOURCE_TREE && is_above(r->fd, fd));
}

static int kind_of(struct resource *r, const char *shown, struct error *err)
{
        struct stat st;
        if (fstat(r->fd, &st) < 0)
                return error_sys(err, errno, "cannot look at %s", shown);
        r->kind = S_ISDIR(st.st_mode)    ? RESOURCE_TREE
                  : S_ISREG(st.st_mode)  ? RESOURCE_FILE
                  : S_ISSOCK(st.st_mode) ? RESOURCE_SOCKET
                                         : RESOURCE_UNKNOWN;
        if (r->kind != RESOURCE_UNKNOWN)
                return 0;
        error_set(err, EINVAL, "%s is %s: only directories, regular files and UNIX sockets can be granted", shown,
                  S_ISFIFO(st.st_mode) ? "a fifo" : "a device");
        return S_ISFIFO(st.st_mode) ? error_remedy(err, "grant the directory that it is in, plainly") : -EINVAL;
}

int host_resource_open(struct resource *r, const char *path, bool writable, const char *state, struct error *err)
{
        char link[64], canonical[PATH_MAX];
        cleanup_free char *asked = text_escape(path), *clean = path_clean("/", path);
        *r = RESOURCE_NONE;
        r->fd = open(path, O_PATH | O_CLOEXEC);
        if (r->fd < 0 && errno == ENOENT) {
                error_set(err, ENOENT, "there is no %s", asked);
                return error_remedy(err, "a grant is of something that exists: make it first");
        }
        if (r->fd < 0)
                return error_sys(err, errno, "cannot open %s", asked);
        snprintf(link, sizeof link, "/proc/self/fd/%d", r->fd);
        ssize_t n = readlink(link, canonical, sizeof canonical - 1);
        if (n <= 0)
                return error_sys(err, errno, "cannot tell what %s is", asked);
        canonical[n] = '\0';
        r->path = memory_string(canonical);
        r->linked = strcmp(canonical, clean) != 0;
        cleanup_free char *shown = text_escape(r->path);
        int result = kind_of(r, shown, err);
        if (result < 0)
                return result;
        if (is_the_kernels(r->fd) || path_is_below(r->path, "/proc") || path_is_below(r->path, "/sys")) {
                error_set(err, EPERM, "%s is the kernel's own: it is no thing that can be granted", shown);
                return error_remedy(err, "an environment has a /proc of its own; devices are granted by other means");
        }
        /* What was reached through another process's root has a name that means something else here. */
        cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        cleanup_close int again = canonical[0] == '/' ? kernel_open_below(root, canonical, O_PATH | O_NOFOLLOW) : -1;
        if (again < 0 || !same_file(again, r->fd) || !same_mount(again, r->fd)) {
                error_set(err, EXDEV, "%s has no name in this system's own tree", asked);
                return error_remedy(err, "name it as it is seen outside of all environments");
        }
        if (writable && strcmp(r->path, "/") == 0) {
                error_set(err, EPERM, "/ cannot be granted for writing");
                return error_remedy(err, "grant the directories that are to be changed");
        }
        if (state && touches(r, state)) {
                cleanup_free char *store = text_escape(state);
                error_set(err, EPERM, "%s %s paddock's own state (%s), which no environment may see", shown,
                          path_is_below(r->path, state) ? "is part of" : "holds", store);
                return error_remedy(err, "grant what is needed beside it, one by one");
        }
        return 0;
}

/* In a child, in namespaces of its own: the mount, sent over `socket`. `ids`: a user namespace whose ids its owners are
 * mapped to, or -1. */
static _Noreturn void clone_mount(int socket, const struct resource *r, int ids, uint64_t attributes)
{
        int result = 0;
        cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        cleanup_close int found = kernel_open_below(root, r->path, O_PATH | O_NOFOLLOW);
        int tree = -1;
        if (found < 0)
                result = errno;
        else if (!same_file(found, r->fd))
                result = ESTALE; /* the name was given to something else meanwhile */
        if (!result) {
                tree = open_tree(found, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
                struct mount_attr change = {.attr_set = attributes | (ids < 0 ? 0 : MOUNT_ATTR_IDMAP),
                                            .propagation = MS_PRIVATE};
                if (ids >= 0)
                        change.userns_fd = (uint64_t)ids;
                if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) < 0)
                        result = errno;
        }
        pass_send(socket, &result, sizeof result, result ? -1 : tree);
        _exit(0);
}

int host_resource_mount(const struct resource *r, int init, bool writable, bool noexec, struct error *err)
{
        char path[64];
        bool superuser = geteuid() == 0;
        snprintf(path, sizeof path, "/proc/%d/ns/user", init);
        cleanup_close int ids = superuser && init > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        int pair[2], code = EIO, fds[PASS_LIMIT] = {-1};
        size_t count = 0;
        cleanup_free char *shown = text_escape(r->path);
        uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (writable ? 0 : MOUNT_ATTR_RDONLY) |
                              (noexec ? MOUNT_ATTR_NOEXEC : 0);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return error_sys(err, errno, "cannot make a socket");
        /* A system call that sets up nothing of the C library: the child only makes system calls. */
        pid_t pid = kernel_fork((superuser ? 0 : CLONE_NEWUSER) | CLONE_NEWNS);
        if (pid == 0)
                clone_mount(pair[1], r, ids, attributes);
        int failed = errno;
        close(pair[1]);
        if (pid > 0)
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        int n = pid < 0 ? -failed : pass_receive_all(pair[0], &code, sizeof code, fds, &count);
        close(pair[0]);
        if (n != (int)sizeof code)
                return error_sys(err, pid < 0 ? failed : EIO, "cannot make a mount of %s", shown);
        if (code || count != 1)
                error_sys(err, code ? code : EIO, "cannot make a mount of %s", shown);
        if (code == EINVAL && ids >= 0)
                return error_remedy(err, "its file system does not let owners be mapped: leave --plain out");
        if (err->code)
                return -err->code;
        return fds[0];
}

int host_grant_server(const char *name, struct error *err)
{
        cleanup_free char *path = server_path(name);
        int pair[2];
        if (!path) {
                error_set(err, ENOENT, "the server %s is not installed beside paddock", name);
                return error_remedy(err, "install paddock as a whole; or grant it --plain");
        }
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return error_sys(err, errno, "cannot make a socket");
        char *argv[] = {path, NULL};
        pid_t pid = fork();
        if (pid == 0) {
                /* Nobody waits for it: it ends with the warden's socket. */
                if (fork() == 0)
                        server_become(argv, pair[1]);
                _exit(0);
        }
        int failed = errno;
        close(pair[1]);
        if (pid < 0) {
                close(pair[0]);
                return error_sys(err, failed, "cannot start %s", name);
        }
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return pair[0];
}

/* The socket's name, short enough for any directory. */
static struct sockaddr_un address_in(int directory, const char *name)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", directory, name);
        return a;
}

int host_socket_listen(int type, int directory, const char *name, const char *shown, int *mount, struct error *err)
{
        struct sockaddr_un address = address_in(directory, name);
        cleanup_close int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        unlinkat(directory, name, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            fchmodat(directory, name, 0666, 0) < 0 || (type != SOCK_DGRAM && listen(fd, 4096) < 0))
                return error_sys(err, errno, "cannot make a socket that stands for %s", shown);
        if (!mount)
                return steal_fd(&fd);
        char link[64], path[PATH_MAX];
        cleanup_resource struct resource made = {.kind = RESOURCE_SOCKET,
                                                 .fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)};
        snprintf(link, sizeof link, "/proc/self/fd/%d", made.fd);
        ssize_t n = made.fd < 0 ? -1 : readlink(link, path, sizeof path - 1);
        if (n <= 0)
                return error_sys(err, errno, "cannot make a socket that stands for %s", shown);
        path[n] = '\0';
        made.path = memory_string(path);
        int result = *mount = host_resource_mount(&made, -1, true, true, err);
        return result < 0 ? result : steal_fd(&fd);
}

int host_resource_listen(const struct resource *r, int directory, const char *name, int *mount, struct error *err)
{
        cleanup_free char *shown = text_escape(r->path);
        int type = socket_type(r->fd);
        if (type < 0) {
                error_set(err, ECONNREFUSED, "nobody listens at %s", shown);
                return error_remedy(err, "start the program that answers there; or grant the directory that it is in, "
                                         "plainly");
        }
        return host_socket_listen(type, directory, name, shown, mount, err);
}
