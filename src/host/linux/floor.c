// SPDX-License-Identifier: GPL-3.0-or-later
/* The namespaces that all programs of a started environment share: see floor.h. */
#include "host/linux/floor.h"

#include "base/cleanup.h"
#include "host/linux/identity.h"
#include "host/linux/kernel.h"
#include "host/linux/limits.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const struct {
        const char *name;
        int flag;
} kinds[FLOOR_COUNT] = {{"user", CLONE_NEWUSER}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET},
                        {"mnt", CLONE_NEWNS}};

/* The child that the namespaces are made with: settles in them, says so, and stays until init has them. Nobody else
 * lives there yet. */
static _Noreturn void settle(struct birth *birth, int words, int mapped)
{
        cleanup_error struct error err = ERROR_INIT;
        int result = program_settle(birth, mapped, &err);
        dprintf(words, "%c%s", result < 0 ? 'n' : 'y', result < 0 ? err.text : "");
        char word;
        (void)!read(words, &word, 1);
        _exit(0);
}

static int open_all(pid_t child, struct floor *floor, bool network, struct error *err)
{
        for (int i = 0; i < FLOOR_COUNT; i++) {
                if (i == FLOOR_NET && !network)
                        continue;
                char path[64];
                snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)child, kinds[i].name);
                floor->fd[i] = open(path, O_RDONLY | O_CLOEXEC);
                if (floor->fd[i] < 0)
                        return error_sys(err, errno, "cannot open the %s namespace of the programs", kinds[i].name);
        }
        return 0;
}

int floor_make(struct birth *birth, struct floor *floor, struct error *err)
{
        *floor = FLOOR_NONE;
        if (mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
                return error_sys(err, errno, "cannot let later changes of the view reach the programs");
        const struct plan *plan = birth->launch->plan;
        /* With an uplink it is init's, in which they are made. */
        bool network = plan->own_network && !plan->uplink, maps = birth_has_ids(birth);
        int words[2], mapped[2] = {-1, -1};
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, words) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        cleanup_close int ours = words[0], theirs = words[1];
        if (maps && pipe2(mapped, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        cleanup_close int map_read = mapped[0], map_write = mapped[1];
        uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (network ? CLONE_NEWNET : 0);
        struct rlimit before;
        limits_tasks_begin(birth->launch, &before);
        pid_t child = kernel_fork(flags);
        if (child == 0) {
                close(ours);
                if (map_write >= 0)
                        close(map_write);
                settle(birth, theirs, map_read);
        }
        int code = errno;
        limits_tasks_end(birth->launch, &before);
        if (child < 0) {
                error_sys(err, code, "cannot make the namespaces of the programs");
                if (err->code == ENOSPC || err->code == EUSERS)
                        error_remedy(err,
                                     "a limit on namespaces is reached: see user.max_user_namespaces and the others "
                                     "(sysctl), or too many environments lie inside each other (32)");
                return -err->code;
        }
        close(steal_fd(&theirs));
        int result = maps ? identity_map_same(child, err) : 0;
        if (maps && result == 0 && write(map_write, "", 1) != 1)
                result = error_sys(err, errno, "cannot make the namespaces of the programs");
        if (map_write >= 0)
                close(steal_fd(&map_write));
        char answer[512];
        ssize_t n = result < 0 ? 0 : read(ours, answer, sizeof answer - 1);
        answer[n > 0 ? n : 0] = '\0';
        if (result == 0 && answer[0] != 'y')
                result = error_set(err, EIO, "%s",
                                   answer[0] ? answer + 1 : "the namespaces of the programs could not be made");
        if (result == 0)
                result = open_all(child, floor, network, err);
        /* Init lives in the network of its programs: what it says of that in /proc/1/net is read inside. */
        if (result == 0 && network && setns(floor->fd[FLOOR_NET], CLONE_NEWNET) < 0)
                result = error_sys(err, errno, "cannot enter the network of the programs");
        close(steal_fd(&ours));
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        return result;
}

int floor_enter(const struct floor *floor, struct error *err)
{
        for (int i = 0; i < FLOOR_COUNT; i++)
                if (floor->fd[i] >= 0 && setns(floor->fd[i], kinds[i].flag) < 0)
                        return error_sys(err, errno, "cannot enter the %s namespace of the environment", kinds[i].name);
        return 0;
}
