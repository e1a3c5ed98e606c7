// SPDX-License-Identifier: GPL-3.0-or-later
/* Signals and the terminal, passed on while a program runs inside: see watch.h. */
#include "host/linux/watch.h"

#include "host/linux/idle.h"
#include "host/linux/kernel.h"
#include "host/linux/probe.h"
#include "host/linux/report.h"

#include "base/cleanup.h"

#include <poll.h>
#include <sys/signalfd.h>

/* SIGCHLD is ours. */
void watch_signals(sigset_t *set)
{
        kernel_all_signals(set);
        static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
        for (size_t i = 0; i < sizeof never / sizeof *never; i++)
                sigdelset(set, never[i]);
}

/* Stops this process as `signal` would have stopped the program, and returns when it is continued. The group goes
 * along when a key stopped the program that only the inner terminal saw, because the key was meant for the whole
 * job. */
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
                if (w->launch && w->launch->ready)
                        w->launch->ready(w->launch->context, (int)w->init, w->control);
                break;
        case REPORT_STOPPED:
                stopped(w, report.value);
                break;
        case REPORT_ENDED:
                w->status = report.value;
                w->ended = true;
                break;
        default:
                break;
        }
        if (fd >= 0)
                close(fd);
}

void watch_until_end(struct watch *w, struct error *err)
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
