// SPDX-License-Identifier: GPL-3.0-or-later
/* The paddock outside, of a program that is to run in a living environment: see living.h. */
#include "host/living.h"

#include "base/cleanup.h"
#include "host/linux/init.h"
#include "host/linux/kernel.h"
#include "host/linux/payload.h"
#include "host/linux/report.h"
#include "host/linux/watch.h"

#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

struct own {
        struct watch watch;
        struct inherit inherit;
        unsigned mask_of_files;
};

static uint64_t ignored_signals(void)
{
        uint64_t ignored = 0;
        for (int signal = 1; signal <= 64; signal++) {
                struct sigaction action;
                if (signal != SIGCHLD && sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
                        ignored |= 1ULL << (signal - 1);
        }
        return ignored;
}

/* The standard descriptors go along, those that others opened for reading on read-only mounts (inherit.h). Of others
 * there are none: what enters an environment brings nothing that could be lost there. */
static int take_streams(struct entering *e, struct own *own, struct payload *p, struct error *err)
{
        struct inherit *inherit = &own->inherit;
        int result = inherit_survey(inherit, err);
        inherit->reopen = false;
        for (int fd = 0; result == 0 && fd <= 2; fd++)
                inherit->reopen |= inherit->what[fd] == INHERIT_READ_ONLY;
        if (inherit->highest > 2)
                inherit->highest = 2;
        if (result == 0)
                result = launch_reopen(inherit, geteuid() == 0, err);
        for (int fd = 0; result == 0 && fd <= 2; fd++) {
                p->what[fd] = inherit->what[fd];
                p->directory[fd] = inherit->directory[fd];
                if (inherit->what[fd] != INHERIT_KEEP && inherit->what[fd] != INHERIT_READ_ONLY)
                        continue;
                e->streams[e->stream_count++] = fd;
                e->stream_bits |= 1u << fd;
        }
        return result;
}

int host_enter_prepare(struct entering *e, char **argv, const char *user, struct error *err)
{
        *e = (struct entering){.session = -1, .payload = -1};
        struct own *own = e->own = memory_new(sizeof *own);
        struct watch *w = &own->watch;
        *w = (struct watch){
                .terminal = TERMINAL_NONE, .status = -1, .exit_code = 125, .socket = -1, .signals = -1, .control = -1};
        cleanup_free char *cwd = getcwd(NULL, 0);
        struct payload p = {
                .argv = argv, .variables = environ, .cwd = cwd, .user = (char *)user, .ignored = ignored_signals()};
        int result = take_streams(e, own, &p, err);
        if (result < 0)
                return result;
        terminal_find(&w->terminal);
        /* In a pipeline the terminal is only taken when the program asks for it. */
        w->terminal.whole = p.what[0] == INHERIT_TERMINAL && p.what[1] == INHERIT_TERMINAL;
        bool foreground = w->terminal.outer >= 0 && w->terminal.whole && terminal_is_foreground(&w->terminal);
        e->terminal_bits = w->terminal.outer < 0 ? 0 : foreground ? 3 : 1;
        p.umask = own->mask_of_files = umask(022);
        umask(p.umask);
        signal(SIGCHLD, SIG_DFL);
        sigset_t passed;
        watch_signals(&passed);
        kernel_signal_mask(SIG_BLOCK, &passed, &w->before);
        memcpy(&p.mask, &w->before, sizeof p.mask);
        w->signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
        if (w->signals < 0)
                return error_sys(err, errno, "cannot watch signals");
        e->payload = payload_seal(&p, err);
        if (e->payload < 0)
                return e->payload;
        int sockets[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        w->socket = sockets[0];
        e->session = sockets[1];
        if (foreground)
                terminal_take(&w->terminal);
        return 0;
}

void host_enter_forget(struct entering *e)
{
        struct own *own = e->own;
        if (!own)
                return;
        struct watch *w = &own->watch;
        terminal_release(&w->terminal);
        const int fds[] = {w->socket, w->signals, e->session, e->payload, w->terminal.outer, w->terminal.inner};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        if (w->signals >= 0)
                kernel_signal_mask(SIG_SETMASK, &w->before, NULL);
        for (int fd = 0; fd <= 2; fd++)
                free(own->inherit.directory[fd]);
        free(own);
        *e = (struct entering){.session = -1, .payload = -1};
}

int host_enter_watch(struct entering *e, struct outcome *outcome, struct error *err)
{
        struct own *own = e->own;
        struct watch *w = &own->watch;
        close(e->session);
        close(e->payload);
        e->session = e->payload = -1;
        inherit_let_go(&own->inherit);
        watch_until_end(w, err);
        terminal_drain(&w->terminal);
        bool raw = w->terminal.raw, failed = w->failed, controlling = w->terminal.controlling;
        outcome->exit_code = w->exit_code;
        outcome->status = w->status >= 0 ? w->status : SIGKILL; /* the environment ended, or the attendant was killed */
        int number = WIFSIGNALED(outcome->status) ? WTERMSIG(outcome->status) : 0;
        outcome->by_key = raw && controlling && (number == SIGINT || number == SIGQUIT);
        host_enter_forget(e);
        return failed ? -err->code : 0;
}

int host_payload(char **argv, struct error *err)
{
        cleanup_free char *cwd = getcwd(NULL, 0);
        struct payload p = {.argv = argv, .variables = environ, .cwd = cwd,
                            .what = {INHERIT_KEEP, INHERIT_KEEP, INHERIT_KEEP}};
        p.umask = umask(022);
        umask(p.umask);
        return payload_seal(&p, err);
}

int host_boot_payload(char **argv, struct error *err)
{
        char *variables[] = {(char *)"container=paddock", (char *)"TERM=linux", (char *)"HOME=/",
                             (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        struct payload p = {.argv = argv, .variables = variables, .umask = 022,
                            .what = {INHERIT_KEEP, INHERIT_KEEP, INHERIT_KEEP}};
        return payload_seal(&p, err);
}
