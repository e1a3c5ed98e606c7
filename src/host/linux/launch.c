// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The paddock outside, while a program runs inside: makes init, passes on signals and the terminal, and waits.
 *
 * It must seem not to be there. A signal sent to it reaches the program; a key that the outer terminal turned into a signal
 * reaches the program's whole group, as it would have; when the program stops, paddock stops, and when it is continued, so
 * is the program.
 */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/identity.h"
#include "host/linux/idle.h"
#include "host/linux/init.h"
#include "host/linux/kernel.h"
#include "host/linux/mirror.h"
#include "host/linux/probe.h"
#include "host/linux/report.h"
#include "host/linux/subordinate.h"
#include "host/linux/terminal.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct watch {
        const struct launch *launch;
        int socket, signals;
        int control; /* number that init has its end of the mirror's socket under, or -1 */
        pid_t init;
        sigset_t before; /* the signal mask that paddock was started with */
        struct terminal terminal;
        bool ended, failed;
        bool told_to_stop; /* the stop that will be reported was not typed but sent to us */
        int exit_code;
};

/* Signals whose arrival is passed on. SIGCHLD is ours. */
static void passed_signals(sigset_t *set)
{
        kernel_all_signals(set);
        static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
        for (size_t i = 0; i < sizeof never / sizeof *never; i++)
                sigdelset(set, never[i]);
}

/* Stops this process as `signal` would have stopped the program, and returns when it is continued. The group goes along when
 * a key stopped the program that only the inner terminal saw, because the key was meant for the whole job. */
static void stop_like(struct watch *w, int signal)
{
        bool was_raw = w->terminal.raw;
        terminal_release(&w->terminal);
        sigset_t only;
        sigemptyset(&only);
        sigaddset(&only, signal);
        if (signal == SIGTSTP && w->terminal.outer >= 0 && was_raw && !w->told_to_stop)
                kill(0, signal);
        else
                raise(signal);
        sigprocmask(SIG_UNBLOCK, &only, NULL); /* it strikes here */
        sigprocmask(SIG_BLOCK, &only, NULL);
        w->told_to_stop = false;
        if (terminal_is_foreground(&w->terminal)) {
                terminal_take(&w->terminal);
                terminal_resize(&w->terminal);
                report_send(w->socket, REPORT_FOREGROUND, 0, NULL, -1);
        } else {
                report_send(w->socket, REPORT_SIGNAL_GROUP, SIGCONT, NULL, -1);
        }
}

static void stopped(struct watch *w, int signal)
{
        bool wants_terminal = signal == SIGTTIN || signal == SIGTTOU;
        if (wants_terminal && !w->terminal.raw && terminal_is_foreground(&w->terminal)) {
                terminal_take(&w->terminal);
                report_send(w->socket, REPORT_FOREGROUND, 0, NULL, -1);
                return;
        }
        stop_like(w, signal);
}

static void handle_signal(struct watch *w)
{
        struct signalfd_siginfo info;
        while (read(w->signals, &info, sizeof info) == sizeof info) {
                int signal = (int)info.ssi_signo;
                if (signal == SIGCHLD) {
                        continue; /* init's end shows on the socket */
                } else if (signal == SIGWINCH && w->terminal.inner >= 0) {
                        terminal_resize(&w->terminal);
                } else {
                        bool key = info.ssi_code == SI_KERNEL;
                        w->told_to_stop |= signal == SIGTSTP;
                        report_send(w->socket, key ? REPORT_SIGNAL_GROUP : REPORT_SIGNAL, signal, NULL, -1);
                }
        }
}

static void handle_report(struct watch *w, struct error *err)
{
        struct report report;
        int fd = -1;
        if (report_receive(w->socket, &report, &fd) != 1) {
                w->ended = true; /* init is going; how the program ended stands in the shared status */
                return;
        }
        switch ((enum report_type)report.type) {
        case REPORT_FAILED:
                w->failed = true;
                w->exit_code = report.value;
                error_set(err, report.value == 127 ? ENOENT : EIO, "%s", report.text);
                if (report.remedy[0])
                        error_remedy(err, "%s", report.remedy);
                break;
        case REPORT_FORBIDDEN:
                w->failed = true;
                probe_explain_namespaces(err, report.value);
                break;
        case REPORT_TERMINAL:
                terminal_start(&w->terminal, fd);
                fd = -1;
                report_send(w->socket, REPORT_GO, 0, NULL, -1);
                break;
        case REPORT_READY:
                if (w->launch->ready)
                        w->launch->ready(w->launch->context, (int)w->init, w->control);
                break;
        case REPORT_STOPPED:
                stopped(w, report.value);
                break;
        default:
                break;
        }
        if (fd >= 0)
                close(fd);
}

static void watch_until_end(struct watch *w, struct error *err)
{
        while (!w->ended) {
                struct terminal *t = &w->terminal;
                bool input = t->raw && !t->input_ended;
                struct pollfd fds[4] = {
                        {.fd = w->socket, .events = POLLIN},
                        {.fd = w->signals, .events = POLLIN},
                        {.fd = t->inner, .events = (short)(POLLIN | (t->pending_count ? POLLOUT : 0))},
                        {.fd = input && !t->pending_count ? t->outer : -1, .events = POLLIN},
                };
                if (idle_poll(fds, t->outer >= 0 ? 4 : 2) < 0)
                        continue;
                if (fds[1].revents)
                        handle_signal(w);
                if (t->outer >= 0 && fds[2].revents & (POLLIN | POLLHUP))
                        terminal_relay_output(t);
                if (t->outer >= 0 && (fds[3].revents || (t->pending_count && fds[2].revents & POLLOUT)))
                        terminal_relay_input(t);
                if (t->stop_typed) /* a stop that was sent to us before came to nothing: the program ignores it */
                        w->told_to_stop = t->stop_typed = false;
                if (fds[0].revents)
                        handle_report(w, err);
        }
}

/* Makes init in fresh namespaces. Returns its pid. */
static pid_t make_init(struct birth *birth, const int sockets[2], struct error *err)
{
        uint64_t flags = CLONE_NEWUSER | CLONE_NEWPID | (birth->superuser ? 0 : CLONE_NEWNS);
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

/* Makes init in the user namespace and a copy of the mount namespace of a living run. A helper enters them and makes init a
 * child of ours (CLONE_PARENT), so that init's pid space is fresh. */
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
                        pid_t init = kernel_fork(CLONE_NEWPID | CLONE_NEWNS | CLONE_PARENT);
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

/* A joining run finds the files outside under their names only before it joins: a process that shares our descriptors, and has a
 * mount namespace to make them read-only in, reopens them. */
static int reopen_before_joining(const struct inherit *inherit, const struct birth *birth, struct error *err)
{
        if (!inherit->reopen)
                return 0;
        bool root = birth->launch->plan->superuser;
        pid_t helper = kernel_fork(CLONE_FILES | CLONE_NEWNS | (root ? 0 : CLONE_NEWUSER));
        if (helper == 0) {
                cleanup_error struct error own = ERROR_INIT;
                if (!root && identity_map_self(birth->uid, birth->gid, &own) < 0)
                        _exit(2);
                _exit(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || inherit_reopen(inherit, &own) < 0);
        }
        int status;
        if (helper < 0 || waitpid(helper, &status, 0) < 0)
                return error_sys(err, errno, "cannot make the inherited files read-only");
        if (status == 0)
                return 0;
        error_set(err, ESTALE, "an inherited descriptor is open on a file that is not to be found under its name any more, so that "
                               "it cannot be made read-only");
        return error_remedy(err, "pass it through a pipe: cat FILE | paddock run ...");
}

static int map_ids(const struct watch *w, struct error *err)
{
        struct mapping mapping;
        int result = subordinate_begin(&mapping, w->launch->system, w->init, err);
        cleanup_error struct error second = ERROR_INIT;
        int finished = subordinate_finish(&mapping, result < 0 ? &second : err);
        return result < 0 ? result : finished;
}

static int run(struct watch *w, struct birth *birth, struct superuser *superuser, struct error *err)
{
        int sockets[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        cleanup_close int ours = sockets[0], theirs = sockets[1];
        birth->socket = theirs;
        w->socket = ours;
        w->init = birth->joining ? make_joining_init(birth, sockets, err) : make_init(birth, sockets, err);
        if (birth->control >= 0 && !birth->joining) /* init's alone: the server sees its end */
                close(birth->control);
        if (w->init < 0)
                return -err->code;
        close(steal_fd(&theirs));
        inherit_let_go(birth->inherit);
        int result = 0;
        bool maps = birth_has_ids(birth) && !birth->superuser && !birth->joining && !w->launch->system->ids_lack;
        if (superuser || maps) {
                result = maps ? map_ids(w, err) : superuser_stage(superuser, w->init, w->launch->state, err);
                if (result == 0)
                        report_send(ours, REPORT_GO, 0, NULL, -1);
                else
                        w->ended = true;
        }
        watch_until_end(w, err);
        if (result < 0) { /* init waits for a word that does not come: it sees the socket close */
                close(steal_fd(&ours));
        }
        if (w->launch->over && *birth->status >= 0)
                w->launch->over(w->launch->context); /* while the kernel takes down init's mounts, which takes it as long */
        /* Init is the last to die: when it is reaped, nothing of the environment lives any more. */
        while (waitpid(w->init, NULL, 0) < 0 && errno == EINTR)
                ;
        terminal_drain(&w->terminal);
        if (result < 0 || w->failed)
                return -err->code;
        return 0;
}

int host_borrow(int pid, int fd)
{
        cleanup_close int process = (int)syscall(SYS_pidfd_open, pid, 0);
        int own = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, fd, 0);
        return own < 0 ? -errno : own;
}

int host_run(const struct launch *launch, struct outcome *outcome, struct error *err)
{
        struct watch w = {.launch = launch, .terminal = TERMINAL_NONE, .exit_code = 125};
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
        struct birth birth = {.launch = launch, .inherit = &inherit, .uid = geteuid(), .gid = getegid(),
                              .parent = -1, .status = shared, .control = launch->join_control, .terminal = w.terminal.outer >= 0,
                              .joining = launch->join_user >= 0};
        /* In a pipeline the terminal is only taken when the program asks for it. */
        w.terminal.whole = inherit.what[0] == INHERIT_TERMINAL && inherit.what[1] == INHERIT_TERMINAL;
        birth.foreground = birth.terminal && w.terminal.whole && terminal_is_foreground(&w.terminal);

        birth.umask = umask(0); /* modes are said where things are made; the program gets its mask back */

        struct sigaction child = {.sa_handler = SIG_DFL}, child_before;
        sigaction(SIGCHLD, &child, &child_before); /* one that ignores it could not wait for init */
        sigset_t passed;
        passed_signals(&passed);
        kernel_signal_mask(SIG_BLOCK, &passed, &birth.signals);
        w.before = birth.signals;
        w.signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
        if (w.signals < 0)
                result = error_sys(err, errno, "cannot watch signals");
        if (result == 0 && launch->state >= 0 && fchdir(launch->state) < 0)
                result = error_sys(err, errno, "cannot enter the environment's directory");
        /* Through the mount outside: a clone of it would be one more for the kernel to take down at the end. */
        cleanup_close int parent = launch->scratch && launch->state >= 0
                                           ? openat(launch->state, "..", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                           : -1;
        birth.parent = parent;
        if (result == 0 && launch->plan->superuser && !birth.joining) {
                result = superuser_prepare(&superuser, launch->system, launch->name ? launch->name : launch->scratch_name,
                                           err);
                birth.superuser = &superuser;
                if (result == 0) /* now: later nobody inside may open root's files by name */
                        result = inherit_reopen(&inherit, err);
        } else if (launch->plan->superuser) {
                birth.superuser = &superuser; /* only says that ids are mapped by init */
        }
        if (result == 0 && !birth.joining && plan_mirror(launch->plan))
                result = birth.control = mirror_start(launch, launch->state, err);
        w.control = birth.control;
        if (result > 0)
                result = 0;
        if (result == 0 && birth.joining)
                result = reopen_before_joining(&inherit, &birth, err);
        if (result == 0 && birth.foreground)
                terminal_take(&w.terminal);
        if (result == 0)
                result = run(&w, &birth, birth.joining ? NULL : birth.superuser, err);
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
