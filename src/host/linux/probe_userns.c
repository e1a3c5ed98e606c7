// SPDX-License-Identifier: GPL-3.0-or-later
/* Namespaces: whether a run can make them at all, and set them up. */
#include "base/cleanup.h"
#include "host/linux/kernel.h"
#include "host/linux/probe_explain.h"
#include "host/linux/probe_text.h"
#include "host/linux/probe_trial.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

enum { STEP_MOUNT = TRIAL_OWN, STEP_NAME, STEP_FORK, STEP_PROC, STEP_FIRST };

/* As a run does it: a namespace that makes the view, and one below it for the program, in which the view is locked. */
static int try_user(struct trial *trial, const void *argument)
{
        (void)argument;
        for (trial->value = 1; trial->value <= 2; trial->value++) {
                int result = trial_enter(trial, CLONE_NEWNS);
                if (result < 0)
                        return result;
        }
        trial->step = STEP_MOUNT;
        return mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0 ? -errno : 0;
}

/* The first process of the pid namespace: its /proc must show it as number 1. */
static int try_proc(struct trial *trial)
{
        char self[16] = "";
        trial->step = STEP_PROC;
        if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return -errno;
        trial->step = STEP_FIRST;
        if (readlink("/proc/self", self, sizeof self - 1) < 0)
                return -errno;
        return strcmp(self, "1") == 0 ? 0 : -ESRCH;
}

static int try_others(struct trial *trial, const void *argument)
{
        (void)argument;
        int result = trial_enter(trial, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
        if (result < 0)
                return result;
        trial->step = STEP_NAME;
        if (sethostname("paddock", 7) < 0)
                return -errno;
        trial->step = STEP_FORK;
        pid_t pid = kernel_fork(CLONE_NEWPID); /* as a run makes its processes: with clone3 */
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(-try_proc(trial));
        }
        result = trial_wait(pid);
        return result > 0 ? -result : result;
}

/* Judges a trial that stopped while the namespaces were made: the cause and its remedy. */
static void explain(struct probe *probe, const struct trial *trial, const char *what)
{
        cleanup_error struct error err = ERROR_INIT;
        bool killed = trial->code == ECANCELED;
        if (trial->code == ETIME || (killed && trial->signal && trial->signal != SIGSYS)) {
                probe_failed(probe, what, trial);
                return;
        }
        probe_explain_namespaces(&err, killed ? EPERM : trial->code);
        probe_set(probe, PROBE_MISSING, "cannot %s: %s", what, err.text);
        probe->remedy = steal_pointer(&err.remedy);
}

static void probe_user(struct probing *p)
{
        struct probe *probe = probe_add(p, "user and mount namespaces", true);
        struct trial trial = trial_run(p, try_user, NULL);
        p->namespaces = trial.code == 0;
        if (trial.code == 0) {
                probe_set(probe, PROBE_GOOD, "uid %u mapped to itself, mounts of its own, a second level below",
                          (unsigned)geteuid());
                return;
        }
        explain(probe, &trial,
                trial.step == STEP_MOUNT      ? "mount in a mount namespace"
                : trial.step == TRIAL_PRIVATE ? "set up a mount namespace"
                : trial.step == TRIAL_MAP     ? "map ids in a user namespace"
                : trial.value == 2            ? "make a user namespace inside another"
                                              : "make a user namespace");
        probe->consequence = memory_string("`paddock run` cannot start anything");
}

void probe_namespaces(struct probing *p)
{
        probe_user(p);
        struct probe *probe = probe_add(p, "pid, ipc and uts namespaces", true);
        if (probe_impossible(p, probe))
                return;
        struct trial trial = trial_run(p, try_others, NULL);
        if (trial.code == 0) {
                probe_set(probe, PROBE_GOOD, "a process list and a host name of its own, /proc mounted");
                return;
        }
        p->namespaces = false;
        if (trial.step == STEP_PROC && trial.code == EPERM) {
                cleanup_free char *mounts = probe_read("/proc/self/mountinfo");
                cleanup_free char *cover = mounts ? mountinfo_cover(mounts, "/proc") : NULL;
                probe_set(probe, PROBE_MISSING, "cannot mount /proc: parts of the outer one are covered%s%s: %s",
                          cover ? ", for instance " : " or it is read-only", cover ? cover : "", strerror(EPERM));
                struct namespace_facts facts;
                namespace_facts_read(&facts);
                probe_but(probe, "`paddock run` cannot start anything", "%s",
                          facts.container
                                  ? container_remedy(facts.container)
                                  : "umount what covers parts of /proc, or start it outside the service or container "
                                    "that does (for a systemd service ProtectProc=, ProtectKernelTunables= and "
                                    "ProcSubset=)");
                namespace_facts_clear(&facts);
                return;
        }
        explain(probe, &trial,
                trial.step == STEP_PROC    ? "mount /proc in a pid namespace"
                : trial.step == STEP_FIRST ? "see the first process of a pid namespace in its /proc"
                : trial.step == STEP_NAME  ? "set the host name in a uts namespace"
                : trial.step == STEP_FORK  ? "make a pid namespace (clone3)"
                                           : "make ipc and uts namespaces");
        probe->consequence = memory_string("`paddock run` cannot start anything");
}

#define SHIFT 3600 /* seconds */

static int try_time(struct trial *trial, const void *argument)
{
        (void)argument;
        int result = trial_enter(trial, 0);
        if (result < 0)
                return result;
        trial->step = TRIAL_OWN;
        if (unshare(CLONE_NEWTIME) < 0)
                return -errno;
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        char offset[64];
        snprintf(offset, sizeof offset, "monotonic %d 0\n", SHIFT);
        result = trial_write("/proc/self/timens_offsets", offset);
        if (result < 0)
                return result;
        /* The offsets hold for children only. */
        pid_t pid = trial_fork();
        if (pid == 0) {
                clock_gettime(CLOCK_MONOTONIC, &after);
                _exit(after.tv_sec - before.tv_sec >= SHIFT ? 0 : ERANGE);
        }
        result = trial_wait(pid);
        return result > 0 ? -result : result;
}

void probe_time(struct probing *p)
{
        struct probe *probe = probe_add(p, "time namespaces", false);
        if (probe_impossible(p, probe))
                return;
        struct trial trial = trial_run(p, try_time, NULL);
        if (probe_settled(probe, &trial, "monotonic and boot clocks can be shifted"))
                return;
        probe_failed(probe, "shift the clock of a time namespace", &trial);
        probe_but(probe, "an environment cannot have a clock offset of its own",
                  trial.code == EINVAL ? "boot a kernel with CONFIG_TIME_NS=y" : NULL);
}
