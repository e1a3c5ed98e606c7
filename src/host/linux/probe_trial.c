// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Running trials: see probe_trial.h.
 *
 * Theory of operation. The result lies in memory that parent and trial share, so that the step under way is known even
 * when a signal or the time limit ended it. The end of a trial is the end of file on a pipe that only its processes
 * hold open; the parent then reaps it. A trial is a process group: one kill() ends its children too, and a process that
 * cannot die at once (a file server that hangs) is left to init after a short wait, killed.
 */
#include "host/linux/probe_trial.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define TRIAL_MS 500   /* a trial takes 1 to 10, on an emulated machine 50, with a kernel module to load 200 */
#define HANGING_MS 950 /* for all of them, once one did not answer */
#define BURIAL_MS 50   /* how long a killed trial may take to die */

long long trial_clock(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits for the end of file on `fd` until `until` (trial_clock()). False: time is over. */
static bool wait_for_end(int fd, long long until)
{
        for (;;) {
                long long left = until - trial_clock();
                struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
                int n = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
                if (n > 0)
                        return true;
                if (n == 0 && left <= 0)
                        return false;
        }
}

/* The trial's side: never returns. */
static void run_here(struct trial *shared, pid_t parent, trial_function *function, const void *argument)
{
        struct rlimit no_core = {0, 0};
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(0);
        signal(SIGCHLD, SIG_DFL);         /* ignored, it would hide how our children end */
        setrlimit(RLIMIT_CORE, &no_core); /* a filter may end us with SIGSYS */
        shared->code = ECANCELED;         /* until we know better */
        int result = function(shared, argument);
        shared->code = result < 0 ? -result : 0;
        _exit(0);
}

/* Reaps `pid`, whose end is certain unless `killed`. Returns the signal that ended it, or 0. */
static int reap(pid_t pid, bool killed)
{
        long long until = trial_clock() + BURIAL_MS;
        for (;;) {
                int status;
                pid_t got = waitpid(pid, &status, killed ? WNOHANG : 0);
                if (got == pid)
                        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
                /* ECHILD: our caller ignores SIGCHLD, so there is no status to get. */
                if ((got < 0 && errno != EINTR) || (got == 0 && trial_clock() > until))
                        return 0;
                if (got == 0)
                        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
}

struct trial trial_run(struct probing *p, trial_function *function, const void *argument)
{
        struct trial result = {.code = ETIME};
        long long until = trial_clock() + TRIAL_MS;
        if (until > p->deadline)
                until = p->deadline;
        if (until <= trial_clock())
                return result;

        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return (struct trial){.code = errno};
        cleanup_close int reader = ends[0];
        cleanup_close int writer = ends[1];
        struct trial *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                return (struct trial){.code = errno};
        pid_t parent = getpid(), pid = fork();
        if (pid == 0) {
                close(reader);
                run_here(shared, parent, function, argument);
        }
        if (pid < 0) {
                result.code = errno;
        } else {
                setpgid(pid, pid); /* whoever of the two comes first */
                close(steal_fd(&writer));
                bool in_time = wait_for_end(reader, until);
                if (!in_time)
                        kill(-pid, SIGKILL);
                int ended_by = reap(pid, !in_time);
                result = *shared;
                result.signal = ended_by;
                if (!in_time) {
                        result.code = ETIME;
                        if (p->deadline > p->start + HANGING_MS)
                                p->deadline = p->start + HANGING_MS;
                }
        }
        munmap(shared, sizeof *shared);
        return result;
}

char *trial_reason(const struct trial *trial)
{
        if (trial->code == ETIME)
                return memory_string("no answer in time (the machine hangs or is very busy)");
        if (trial->code == ECANCELED && trial->signal == SIGSYS)
                return memory_string("a system call filter killed the attempt (SIGSYS)");
        if (trial->code == ECANCELED && trial->signal == 0)
                return memory_string("a signal ended the attempt");
        if (trial->code == ECANCELED)
                return memory_format("the attempt was ended by signal %d", trial->signal);
        return memory_string(strerror(trial->code));
}

int trial_write(const char *path, const char *text)
{
        cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int trial_enter(struct trial *trial, int flags)
{
        unsigned uid = geteuid(), gid = getegid();
        char map[64];

        trial->step = TRIAL_CREATE;
        if (unshare(CLONE_NEWUSER | flags) < 0)
                return -errno;
        /* Entering a namespace may have counted as a change of credentials, which forgets this. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);

        trial->step = TRIAL_MAP;
        int result = trial_write("/proc/self/setgroups", "deny");
        if (result < 0 && result != -ENOENT)
                return result;
        snprintf(map, sizeof map, "%u %u 1\n", uid, uid);
        result = trial_write("/proc/self/uid_map", map);
        if (result < 0)
                return result;
        snprintf(map, sizeof map, "%u %u 1\n", gid, gid);
        result = trial_write("/proc/self/gid_map", map);
        if (result < 0)
                return result;

        trial->step = TRIAL_PRIVATE;
        if ((flags & CLONE_NEWNS) && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        return 0;
}

pid_t trial_fork(void)
{
        pid_t pid = fork();
        if (pid == 0)
                prctl(PR_SET_PDEATHSIG, SIGKILL);
        return pid;
}

int trial_hold(pid_t *pid)
{
        int ready[2], end[2];
        if (pipe2(ready, O_CLOEXEC) < 0)
                return -errno;
        cleanup_close int ready_reader = ready[0];
        cleanup_close int ready_writer = ready[1];
        if (pipe2(end, O_CLOEXEC) < 0)
                return -errno;
        cleanup_close int end_reader = end[0];
        cleanup_close int end_writer = end[1];
        *pid = trial_fork();
        if (*pid < 0)
                return -errno;
        if (*pid == 0) {
                unsigned char byte = unshare(CLONE_NEWUSER) < 0 ? (unsigned char)errno : 0;
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(end_writer);
                if (write(ready_writer, &byte, 1) == 1)
                        (void)!read(end_reader, &byte, 1); /* until the other side closes it */
                _exit(0);
        }
        close(steal_fd(&ready_writer));
        unsigned char failure = EPIPE;
        if (read(ready_reader, &failure, 1) == 1 && failure == 0)
                return steal_fd(&end_writer);
        close(steal_fd(&end_writer));
        trial_wait(*pid);
        return -failure;
}

int trial_wait(pid_t pid)
{
        int status;
        if (pid < 0)
                return -errno;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -ECANCELED;
}
