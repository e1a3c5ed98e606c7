// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Calls that are made as the caller: in its user and mount namespaces, with its ids, root and working directory, on
 * the file that it called with. The peer of a UNIX socket sees the helper's process, but the caller's ids.
 */
#include "supervisor.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int open_of(pid_t pid, const char *what, int flags)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
        return open(path, flags | O_CLOEXEC);
}

/* The ids for files, as outside numbers them. */
static bool ids_of(pid_t pid, unsigned *uid, unsigned *gid)
{
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        cleanup_file FILE *status = fopen(path, "re");
        bool have[2] = {false};
        while (status && fgets(line, sizeof line, status)) {
                have[0] |= sscanf(line, "Uid: %*u %*u %*u %u", uid) == 1;
                have[1] |= sscanf(line, "Gid: %*u %*u %*u %u", gid) == 1;
        }
        return have[0] && have[1];
}

/* In the helper. Everything is opened before the first namespace is entered: /proc inside shows other processes. */
static int become(pid_t pid)
{
        int user = open_of(pid, "ns/user", O_RDONLY), mount = open_of(pid, "ns/mnt", O_RDONLY);
        int own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        int root = open_of(pid, "root", O_PATH | O_DIRECTORY), directory = open_of(pid, "cwd", O_PATH | O_DIRECTORY);
        struct stat a, b;
        if (user < 0 || mount < 0 || own < 0 || root < 0 || directory < 0 || fstat(user, &a) < 0 ||
            fstat(own, &b) < 0)
                return -EACCES;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if ((a.st_ino != b.st_ino && setns(user, CLONE_NEWUSER) < 0) || setns(mount, CLONE_NEWNS) < 0 || fchdir(root) < 0 ||
            chroot(".") < 0 || fchdir(directory) < 0)
                return -EACCES;
        return 0;
}

/* The ids as the caller's namespace numbers them: read from outside, by its maps. */
static bool map_id(pid_t pid, const char *map, unsigned outer, unsigned *inner)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, map);
        cleanup_file FILE *file = fopen(path, "re");
        unsigned first, at, count;
        while (file && fscanf(file, "%u %u %u", &first, &at, &count) == 3)
                if (outer >= at && outer - at < count) {
                        *inner = first + (outer - at);
                        return true;
                }
        return false;
}

static int make(pid_t pid, int (*call)(int fd, const void *argument, unsigned size), int fd, const void *argument, unsigned size)
{
        unsigned uid = 0, gid = 0;
        bool known = ids_of(pid, &uid, &gid) && map_id(pid, "uid_map", uid, &uid) && map_id(pid, "gid_map", gid, &gid);
        int words[2];
        if (pipe2(words, O_CLOEXEC) < 0)
                return -errno;
        pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (child == 0) {
                int result = become(pid);
                if (result == 0 && known) { /* raw: this process has one thread, and no locks that another holds */
                        syscall(SYS_setgroups, 0, NULL);
                        if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
                                result = -EACCES;
                }
                if (result == 0)
                        result = call(fd, argument, size) < 0 ? -errno : 0;
                (void)!write(words[1], &result, sizeof result);
                _exit(0);
        }
        close(words[1]);
        int result = -EAGAIN;
        if (child > 0 && read(words[0], &result, sizeof result) != sizeof result)
                result = -EACCES;
        close(words[0]);
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        return result;
}

static int call_connect(int fd, const void *argument, unsigned size)
{
        return connect(fd, argument, size);
}

static int call_listen(int fd, const void *argument, unsigned size)
{
        (void)size;
        return listen(fd, *(const int *)argument);
}

int inside_connect(pid_t pid, int fd, const struct sockaddr *address, socklen_t size)
{
        return make(pid, call_connect, fd, address, size);
}

int inside_listen(pid_t pid, int fd, int backlog)
{
        return make(pid, call_listen, fd, &backlog, sizeof backlog);
}
