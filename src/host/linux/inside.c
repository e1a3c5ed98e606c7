// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Work in the ids of an environment: see host.h.
 *
 * Who looks from a user namespace sees the owners of the environment's files as the environment does, and may read
 * them; but the owners outside, which are not mapped there, all look like nobody. So two processes with one table of
 * descriptors do it: the one inside works, and asks the one outside for the owners of what is outside.
 */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/identity.h"
#include "host/linux/kernel.h"
#include "host/linux/subordinate.h"

#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NAME_LIMIT 4096

struct question {
        int dir;
        char name[NAME_LIMIT];
};

struct answer {
        int code;
        unsigned uid, gid;
};

int host_owner(int socket, int dir, const char *name, unsigned *uid, unsigned *gid)
{
        struct question q = {.dir = dir};
        struct answer a;
        size_t length = strlen(name);
        if (length >= NAME_LIMIT)
                return -ENAMETOOLONG;
        memcpy(q.name, name, length);
        if (send(socket, &q, offsetof(struct question, name) + length, MSG_NOSIGNAL) < 0 ||
            recv(socket, &a, sizeof a, 0) != sizeof a)
                return -EIO;
        *uid = a.uid;
        *gid = a.gid;
        return a.code;
}

static void answer(int socket)
{
        struct question q = {0};
        struct answer a = {0};
        struct stat st;
        if (recv(socket, &q, sizeof q - 1, MSG_DONTWAIT) < (ssize_t)offsetof(struct question, name))
                return;
        if (fstatat(q.dir, q.name, &st, AT_SYMLINK_NOFOLLOW | (q.name[0] ? 0 : AT_EMPTY_PATH)) < 0)
                a.code = -errno;
        else
                a = (struct answer){.uid = st.st_uid, .gid = st.st_gid};
        (void)!send(socket, &a, sizeof a, MSG_NOSIGNAL);
}

/* Serves until the process inside has ended. Returns its exit status, or a negative errno. */
static int serve(pid_t pid, int socket)
{
        cleanup_close int ended = (int)syscall(SYS_pidfd_open, pid, 0);
        while (ended >= 0) {
                struct pollfd fds[2] = {{.fd = socket, .events = POLLIN}, {.fd = ended, .events = POLLIN}};
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        break;
                if (fds[0].revents & POLLIN)
                        answer(socket);
                else if (fds[1].revents)
                        break;
        }
        int status = 0;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
}

/* The ids are those of `system` or, when it is NULL, the range from `base` on. */
static int work_in_ids(const struct system *system, unsigned base, int (*work)(void *context, int owners),
                       void *context, struct error *err)
{
        int ends[2], go[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        cleanup_close int ours = ends[0], theirs = ends[1];
        if (pipe2(go, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        cleanup_close int wait_end = go[0], go_end = go[1];
        pid_t pid = kernel_fork(CLONE_NEWUSER | CLONE_FILES);
        if (pid < 0)
                return error_sys(err, errno, "cannot make a user namespace");
        if (pid == 0) {
                char byte;
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (read(wait_end, &byte, 1) != 1 || byte != 'g' ||
                    (!(system && system->ids_direct) && setgroups(0, NULL) < 0) || setresgid(0, 0, 0) < 0 ||
                    setresuid(0, 0, 0) < 0)
                        _exit(125);
                prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the change of ids took it away, and with it /proc/self/fd */
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* this too */
                _exit(work(context, theirs));
        }
        struct mapping mapping;
        int result = system ? subordinate_begin(&mapping, system, pid, err)
                            : identity_map_range(pid, base, IDENTITY_RANGE, err);
        if (result == 0 && system)
                result = subordinate_finish(&mapping, err);
        if (write(go_end, result == 0 ? "g" : "-", 1) != 1 && result == 0)
                result = error_sys(err, errno, "cannot start work in the environment's ids");
        int status = serve(pid, ours);
        if (result < 0)
                return result;
        return status < 0 ? error_sys(err, -status, "the process in the environment's ids died") : status;
}

int host_inside(int (*work)(void *context, int owners), void *context, struct error *err)
{
        struct system system = {.uid = geteuid(), .gid = getegid()};
        host_survey_ids(&system);
        cleanup_free char *lack = system.ids_lack;
        if (lack) {
                error_set(err, EPERM, "its files belong to ids that are not to be had");
                return error_remedy(err, "%s", lack);
        }
        return work_in_ids(&system, 0, work, context, err);
}

int host_inside_range(const char *name, int place, int (*work)(void *context, int owners), void *context,
                      struct error *err)
{
        unsigned base = identity_unused_range(name);
        if (fchown(place, base, base) < 0)
                return error_sys(err, errno, "cannot give a directory to the environment's ids");
        return work_in_ids(NULL, base, work, context, err);
}

int host_with_ids(int (*work)(void *context, int owners), void *context, struct error *err)
{
        if (geteuid() != 0)
                return host_inside(work, context, err);
        pid_t pid = fork();
        if (pid < 0)
                return error_sys(err, errno, "cannot make a process");
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(work(context, -1));
        }
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : error_set(err, EIO, "the process that has root's ids died");
}
