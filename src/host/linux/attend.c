// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * From a clone of init to a program of a started environment, and the attendant of one that somebody entered with.
 *
 * The attendant is to such a program what init is to that of `run`: leader of its session, holder of its terminal,
 * and the one that its paddock outside speaks with. It is in init's namespaces, out of reach for ptrace; programs
 * may kill it, as they may kill each other, and lose the terminal by that.
 *
 * Whatever will be a program is undumpable from its first instruction to exec: it enters namespaces in which hostile
 * programs live, and holds descriptors from outside until then (CVE-2016-9962).
 */
#include "host/linux/keep.h"

#include "base/cleanup.h"
#include "host/linux/idle.h"
#include "host/linux/kernel.h"
#include "host/linux/limits.h"
#include "host/linux/payload.h"
#include "host/linux/report.h"
#include "host/linux/terminal.h"

#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

/* Says why there is no program: to the paddock outside or, without one, into the log. */
static _Noreturn void give_up(int session, int exit_code, const struct error *err)
{
        if (session >= 0)
                report_send(session, REPORT_FAILED, exit_code, err, -1);
        else
                error_print(stderr, err);
        _exit(exit_code);
}

static void set_signals(const struct payload *p)
{
        for (int signal = 1; signal <= 64; signal++) {
                struct sigaction action = {.sa_handler = p->ignored >> (signal - 1) & 1 ? SIG_IGN : SIG_DFL};
                sigaction(signal, &action, NULL);
        }
        sigset_t mask;
        sigemptyset(&mask);
        memcpy(&mask, &p->mask, sizeof p->mask);
        kernel_signal_mask(SIG_SETMASK, &mask, NULL);
}

/* Becomes the program. `streams` are copies of those standard descriptors that p->what keeps. */
static _Noreturn void become(struct keep *k, struct payload *p, int session, int terminal, bool foreground,
                             const int streams[3])
{
        cleanup_error struct error err = ERROR_INIT;
        const struct launch *launch = k->birth->launch;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        setpgid(0, 0);
        if (terminal >= 0 && foreground)
                tcsetpgrp(terminal, getpgrp()); /* SIGTTOU is blocked still */
        if (cgrouptree_leave_init(&k->birth->cgroups, &err) < 0 || floor_enter(&k->floor, &err) < 0 ||
            program_give_up_groups(k->birth, &err) < 0 || boot_enter(k, &err) < 0)
                give_up(session, 125, &err);
        struct inherit inherit = {.highest = 2, .open = 2};
        for (int fd = 0; fd <= 2; fd++) {
                inherit.what[fd] = p->what[fd];
                inherit.directory[fd] = p->what[fd] == INHERIT_DIRECTORY ? p->directory[fd] : NULL;
                if (streams[fd] >= 0 && dup2(streams[fd], fd) < 0) {
                        error_sys(&err, errno, "cannot hand over descriptor %d", fd);
                        give_up(session, 125, &err);
                }
        }
        if (inherit_close(&inherit, terminal, session, &err) < 0)
                give_up(session, 125, &err);
        environ = p->variables;
        setenv("PADDOCK_NAME", launch->name, 1);
        if (launch->plan->root)
                program_root_variables(launch);
        if (p->user && user_become(p->user, &err) < 0)
                give_up(session, 125, &err);
        program_enter_directory(p->cwd);
        inherit_directories(&inherit);
        umask(p->umask);
        set_signals(p);
        limits_files(launch);
        give_up(session, program_execute(p->argv, &err), &err);
}

_Noreturn void attend_background(struct keep *k, int payload, int log)
{
        cleanup_error struct error err = ERROR_INIT;
        struct payload p;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if (dup2(log, 1) < 0 || dup2(log, 2) < 0 || payload_read(payload, &p, &err) < 0)
                give_up(-1, 125, &err);
        p.what[0] = p.what[1] = p.what[2] = INHERIT_KEEP;
        static const int as_they_are[3] = {-1, -1, -1};
        become(k, &p, -1, -1, false, as_they_are);
}

/* What the attendant holds while the program runs. */
struct attendance {
        int session, terminal, signals;
        pid_t program;
};

/* News of its children: the program, and whatever it left to us before it ended. Returns true when the program has
 * ended. */
static bool hear(const struct attendance *a)
{
        int status;
        pid_t who;
        while ((who = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
                if (who != a->program)
                        continue;
                if (WIFSTOPPED(status)) {
                        report_send(a->session, REPORT_STOPPED, WSTOPSIG(status), NULL, -1);
                } else if (WIFCONTINUED(status)) {
                        report_send(a->session, REPORT_CONTINUED, 0, NULL, -1);
                } else {
                        report_send(a->session, REPORT_ENDED, status, NULL, -1);
                        return true;
                }
        }
        return false;
}

/* The paddock outside is gone, or the environment ends: as when a terminal is hung up. */
static void hang_up(const struct attendance *a)
{
        kill(-a->program, SIGHUP);
        kill(-a->program, SIGCONT);
}

/* Returns false when nobody is outside any more. */
static bool obey(const struct attendance *a)
{
        struct report order;
        if (report_receive(a->session, &order, NULL) != 1)
                return false;
        switch ((enum report_type)order.type) {
        case REPORT_SIGNAL:
                kill(a->program, order.value);
                break;
        case REPORT_SIGNAL_GROUP:
                kill(-a->program, order.value);
                break;
        case REPORT_FOREGROUND:
                if (a->terminal >= 0)
                        tcsetpgrp(a->terminal, a->program);
                kill(-a->program, SIGCONT);
                break;
        default:
                break;
        }
        return true;
}

static _Noreturn void live(const struct attendance *a)
{
        for (;;) {
                struct pollfd fds[2] = {{.fd = a->signals, .events = POLLIN}, {.fd = a->session, .events = POLLIN}};
                if (idle_poll(fds, 2) < 0 && errno != EINTR)
                        _exit(125);
                struct signalfd_siginfo info;
                while (read(a->signals, &info, sizeof info) == sizeof info)
                        if (info.ssi_signo == SIGTERM)
                                hang_up(a);
                if (hear(a))
                        _exit(0);
                if (fds[1].revents && !obey(a)) {
                        hang_up(a);
                        _exit(0);
                }
        }
}

_Noreturn void attend_session(struct keep *k, int session, int payload, const int *streams, size_t count, unsigned bits,
                              unsigned terminal_bits)
{
        cleanup_error struct error err = ERROR_INIT;
        struct payload p;
        int placed[3] = {-1, -1, -1};
        prctl(PR_SET_NAME, "paddock-session", 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        setsid();
        if (payload_read(payload, &p, &err) < 0)
                give_up(session, 125, &err);
        size_t taken = 0;
        for (int fd = 0; fd <= 2; fd++) {
                if (bits & 1u << fd && taken < count)
                        placed[fd] = streams[taken++];
                if ((p.what[fd] == INHERIT_KEEP || p.what[fd] == INHERIT_READ_ONLY) && placed[fd] < 0)
                        p.what[fd] = INHERIT_CLOSE;
        }
        if (boot_approach(k, &err) < 0)
                give_up(session, 125, &err);
        struct attendance a = {.session = session, .terminal = -1, .signals = -1};
        if (terminal_bits & 1) {
                int master = -1;
                struct report report;
                a.terminal = terminal_make(&master, &err);
                if (a.terminal < 0)
                        give_up(session, 125, &err);
                report_send(session, REPORT_TERMINAL, 0, NULL, master);
                close(master);
                /* Answered when the terminal has its settings and size: the program must not see it without. */
                if (report_receive(session, &report, NULL) != 1 || report.type != REPORT_GO)
                        _exit(125);
        }
        sigset_t heard;
        sigemptyset(&heard);
        sigaddset(&heard, SIGCHLD);
        sigaddset(&heard, SIGTERM);
        a.signals = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
        a.program = a.signals < 0 ? -1 : kernel_fork(0);
        if (a.program == 0)
                become(k, &p, session, a.terminal, terminal_bits & 2, placed);
        if (a.program < 0) {
                error_sys(&err, errno, "cannot make a process inside");
                give_up(session, 125, &err);
        }
        /* What it holds beyond these is the program's: a pipe that the program closes must be closed. */
        for (int from = 3, fds[] = {a.session, a.terminal, a.signals}; from >= 0;) {
                int next = -1;
                for (int i = 0; i < 3; i++)
                        if (fds[i] >= from && (next < 0 || fds[i] < next))
                                next = fds[i];
                if (next != from)
                        close_range((unsigned)from, next < 0 ? ~0U : (unsigned)next - 1, 0);
                from = next < 0 ? -1 : next + 1;
        }
        live(&a);
}
