// SPDX-License-Identifier: GPL-3.0-or-later
/* The paddock outside, while a program runs inside: makes init, and waits (watch.h). */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/identity.h"
#include "host/linux/init.h"
#include "host/linux/kernel.h"
#include "host/linux/mirror.h"
#include "host/linux/probe.h"
#include "host/linux/report.h"
#include "host/linux/subordinate.h"
#include "host/linux/trap.h"
#include "host/linux/uplink.h"
#include "host/linux/watch.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Makes init in fresh namespaces. Returns its pid. */
static pid_t make_init(struct birth *birth, const int sockets[2], struct error *err)
{
        uint64_t flags = CLONE_NEWUSER | CLONE_NEWPID | (birth->superuser ? 0 : CLONE_NEWNS) |
                         (birth_network(birth) ? CLONE_NEWNET : 0) |
                         (birth->launch->keep ? CLONE_PARENT : 0);
        pid_t init = kernel_fork(flags);
        if (init == 0) {
                close(sockets[0]);
                init_main(birth);
        }
        if (init < 0) {
                int code = errno;
                probe_explain_namespaces(err, code);
                return -code;
        }
        return init;
}

/* Makes init in the user namespace and a copy of the mount namespace of a living run. A helper enters them and makes
 * init a child of ours (CLONE_PARENT), so that init's pid space is fresh. */
static pid_t make_joining_init(struct birth *birth, const int sockets[2], struct error *err)
{
        const struct launch *launch = birth->launch;
        int own_sockets[2]; /* the helper's own: init speaks on the other as soon as it lives */
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, own_sockets) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        cleanup_close int ours = own_sockets[0], theirs = own_sockets[1];
        pid_t helper = fork();
        if (helper < 0)
                return error_sys(err, errno, "cannot make a process");
        if (helper == 0) {
                cleanup_error struct error own = ERROR_INIT;
                bool root = birth_has_ids(birth);
                if (setns(launch->join_user, CLONE_NEWUSER) < 0 || setns(launch->join_mount, CLONE_NEWNS) < 0 ||
                    (root && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))) {
                        error_sys(&own, errno, "cannot join the running environment");
                } else {
                        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as in superuser_enter() */
                        pid_t init = kernel_fork(CLONE_NEWPID | CLONE_NEWNS | CLONE_PARENT |
                                                 (birth_network(birth) ? CLONE_NEWNET : 0));
                        if (init == 0) {
                                close(sockets[0]);
                                close(theirs);
                                close(ours);
                                init_main(birth);
                        }
                        if (init > 0) {
                                report_send(theirs, REPORT_CONTINUED, (int)init, NULL, -1);
                                _exit(0);
                        }
                        error_sys(&own, errno, "cannot make a process in the running environment");
                }
                report_send(theirs, REPORT_FAILED, 125, &own, -1);
                _exit(125);
        }
        close(steal_fd(&theirs));
        struct report report;
        int got = report_receive(ours, &report, NULL);
        waitpid(helper, NULL, 0);
        if (got == 1 && report.type == REPORT_CONTINUED)
                return report.value;
        return error_set(err, EIO, "%s", got == 1 ? report.text : "the running environment could not be joined");
}

int launch_reopen(const struct inherit *inherit, bool root, struct error *err)
{
        if (!inherit->reopen)
                return 0;
        uid_t uid = geteuid();
        gid_t gid = getegid();
        pid_t helper = kernel_fork(CLONE_FILES | CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER));
        if (helper == 0) {
                cleanup_error struct error own = ERROR_INIT;
                if (!root && identity_map_self(uid, gid, &own) < 0)
                        _exit(2);
                _exit(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || inherit_reopen(inherit, &own) < 0);
        }
        int status;
        if (helper < 0 || waitpid(helper, &status, 0) < 0)
                return error_sys(err, errno, "cannot make the inherited files read-only");
        if (status == 0)
                return 0;
        error_set(err, ESTALE,
                  "an inherited descriptor is open on a file that is not to be found under its name any more, so that "
                  "it cannot be made read-only");
        return error_remedy(err, "pass it through a pipe: cat FILE | paddock run ...");
}

static int map_ids(const struct launch *launch, pid_t init, struct error *err)
{
        struct mapping mapping;
        int result = subordinate_begin(&mapping, launch->system, init, err);
        cleanup_error struct error second = ERROR_INIT;
        int finished = subordinate_finish(&mapping, result < 0 ? &second : err);
        return result < 0 ? result : finished;
}

int launch_init(struct birth *birth, struct error *err)
{
        int sockets[2];
        birth->ours = -1;
        birth->init = -1;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        birth->ours = sockets[0];
        birth->socket = sockets[1];
        birth->init = birth->joining ? make_joining_init(birth, sockets, err) : make_init(birth, sockets, err);
        close(sockets[1]);
        cgrouptree_close(&birth->cgroups);
        if (birth->traps >= 0) /* the programs' alone: the supervisor sees their end */
                close(birth->traps);
        if (birth->control >= 0 && !birth->joining) /* init's alone: the server sees its end */
                close(birth->control);
        if (birth->init < 0)
                return -err->code;
        inherit_let_go(birth->inherit);
        const struct launch *launch = birth->launch;
        bool maps = birth_has_ids(birth) && !birth->superuser && !birth->joining && !launch->system->ids_lack;
        bool stages = birth->superuser && !birth->joining;
        int result = 0;
        if (maps || stages) {
                result = maps ? map_ids(launch, birth->init, err)
                              : superuser_stage(birth->superuser, birth->init, launch->state, err);
                if (result == 0)
                        report_send(birth->ours, REPORT_GO, 0, NULL, -1);
        }
        if (result == 0 && launch->plan->uplink) {
                result = uplink_start(birth, err);
                if (result == 0)
                        report_send(birth->ours, REPORT_GO, 0, NULL, -1);
        }
        return result;
}

static int run(struct watch *w, struct birth *birth, struct error *err)
{
        int result = launch_init(birth, err);
        cleanup_close int ours = birth->ours;
        if (birth->init < 0)
                return result;
        w->socket = ours;
        w->init = birth->init;
        w->ended = result < 0;
        watch_until_end(w, err);
        if (result < 0) { /* init waits for a word that does not come: it sees the socket close */
                close(steal_fd(&ours));
        }
        if (w->launch->over && *birth->status >= 0)
                w->launch->over(
                        w->launch->context); /* while the kernel takes down init's mounts, which takes it as long */
        /* Init is the last to die: when it is reaped, nothing of the environment lives any more. */
        while (waitpid(w->init, NULL, 0) < 0 && errno == EINTR)
                ;
        terminal_drain(&w->terminal);
        uplink_over(birth);
        if (result < 0 || w->failed)
                return -err->code;
        return 0;
}

int launch_prepare(struct birth *birth, struct superuser *superuser, struct error *err)
{
        const struct launch *launch = birth->launch;
        int result = launch->plan->uplink ? uplink_check(birth, err) : 0;
        if (result < 0)
                return result;
        result = cgrouptree_open(&birth->cgroups, launch->cgroup, err);
        if (result < 0)
                return result;
        if (launch->state >= 0 && fchdir(launch->state) < 0)
                return error_sys(err, errno, "cannot enter the environment's directory");
        if (launch->plan->superuser && !birth->joining) {
                result = superuser_prepare(superuser, launch,
                                           launch->name ? launch->name : launch->scratch_name, err);
                birth->superuser = superuser;
                if (result == 0)
                        result = cgrouptree_give(&birth->cgroups, superuser->base, err);
                if (result == 0) /* now: later nobody inside may open root's files by name */
                        result = inherit_reopen(birth->inherit, err);
        } else if (launch->plan->superuser) {
                birth->superuser = superuser; /* only says that ids are mapped by init */
        }
        if (result == 0 && launch->sockets)
                result = birth->traps = trap_start(launch, err);
        if (result >= 0 && !birth->joining && plan_mirror(launch->plan))
                result = birth->control = mirror_start(launch, launch->state, err);
        return result > 0 ? 0 : result;
}

int host_borrow(int pid, int fd)
{
        cleanup_close int process = (int)syscall(SYS_pidfd_open, pid, 0);
        int own = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
        return own < 0 ? -errno : own;
}

int host_run(const struct launch *launch, struct outcome *outcome, struct error *err)
{
        struct watch w = {.launch = launch, .terminal = TERMINAL_NONE, .status = -1, .exit_code = 125};
        struct inherit inherit;
        *outcome = (struct outcome){.exit_code = 125};
        int result = inherit_survey(&inherit, err);
        if (result < 0)
                return result;
        terminal_find(&w.terminal);
        struct superuser superuser;
        int *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED)
                return error_sys(err, errno, "cannot share memory with the environment's first process");
        *shared = -1;
        struct birth birth = {.launch = launch,
                              .inherit = &inherit,
                              .uid = geteuid(),
                              .gid = getegid(),
                              .parent = -1,
                              .uplink = -1,
                              .status = shared,
                              .control = launch->join_control,
                              .traps = -1,
                              .terminal = w.terminal.outer >= 0,
                              .joining = launch->join_user >= 0};
        /* In a pipeline the terminal is only taken when the program asks for it. */
        w.terminal.whole = inherit.what[0] == INHERIT_TERMINAL && inherit.what[1] == INHERIT_TERMINAL;
        birth.foreground = birth.terminal && w.terminal.whole && terminal_is_foreground(&w.terminal);

        birth.umask = umask(0); /* modes are said where things are made; the program gets its mask back */

        struct sigaction child = {.sa_handler = SIG_DFL}, child_before;
        sigaction(SIGCHLD, &child, &child_before); /* one that ignores it could not wait for init */
        sigset_t passed;
        watch_signals(&passed);
        kernel_signal_mask(SIG_BLOCK, &passed, &birth.signals);
        w.before = birth.signals;
        w.signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
        if (w.signals < 0)
                result = error_sys(err, errno, "cannot watch signals");
        /* Through the mount outside: a clone of it would be one more for the kernel to take down at the end. */
        cleanup_close int parent = launch->scratch && launch->state >= 0
                                           ? openat(launch->state, "..", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                           : -1;
        birth.parent = parent;
        if (result == 0)
                result = launch_prepare(&birth, &superuser, err);
        w.control = birth.control;
        if (result == 0 && birth.joining)
                result = launch_reopen(&inherit, launch->plan->superuser, err);
        if (result == 0 && birth.foreground)
                terminal_take(&w.terminal);
        if (result == 0)
                result = run(&w, &birth, err);
        bool raw = w.terminal.raw;
        terminal_release(&w.terminal);
        if (w.signals >= 0)
                close(w.signals);
        outcome->status = *shared >= 0 ? *shared : SIGKILL; /* init was killed, and with it the program */
        int number = WIFSIGNALED(outcome->status) ? WTERMSIG(outcome->status) : 0;
        outcome->by_key = raw && w.terminal.controlling && (number == SIGINT || number == SIGQUIT);
        munmap(shared, sizeof *shared);
        outcome->exit_code = w.exit_code;
        umask(birth.umask);
        kernel_signal_mask(SIG_SETMASK, &w.before, NULL);
        return result;
}
