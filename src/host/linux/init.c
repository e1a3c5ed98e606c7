// SPDX-License-Identifier: GPL-3.0-or-later
/* The environment's first process: see init.h. */
#include "host/linux/init.h"

#include "base/cleanup.h"
#include "base/tree.h"
#include "host/linux/identity.h"
#include "host/linux/idle.h"
#include "host/linux/kernel.h"
#include "host/linux/limits.h"
#include "host/linux/mirror.h"
#include "host/linux/report.h"
#include "host/linux/terminal.h"
#include "host/linux/uplink.h"

#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static _Noreturn void give_up(const struct birth *birth, const struct error *err)
{
        report_send(birth->socket, REPORT_FAILED, 125, err, -1);
        _exit(125);
}

/* A namespace without its power (as AppArmor on Ubuntu makes them): paddock outside finds out who forbids it. */
static _Noreturn void forbidden(const struct birth *birth, const struct error *err)
{
        if (err->code != EPERM && err->code != EACCES)
                give_up(birth, err);
        report_send(birth->socket, REPORT_FORBIDDEN, err->code, err, -1);
        _exit(125);
}

static int enter_namespaces(struct birth *birth, struct workplace *w, struct error *err)
{
        if (birth->superuser) {
                struct report report;
                if (report_receive(birth->socket, &report, NULL) != 1 || report.type != REPORT_GO)
                        _exit(125); /* whoever failed has said why */
                return superuser_enter(birth->superuser, w, birth->launch->state >= 0, err);
        }
        const struct launch *launch = birth->launch;
        int result = 0;
        if (!birth_has_ids(birth))
                result = identity_map_self(birth->uid, birth->gid, err);
        else if (launch->system->ids_lack)
                result = identity_map_root(birth->uid, birth->gid, err);
        else
                w->ids = birth->socket;
        if (result < 0)
                return result;
        /* Private, not slave: a mount that appears outside later would arrive here writable. */
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_sys(err, errno, "cannot make the mounts private");
        return 0;
}

/* In a living view that another run made, the process list is the only thing to be this run's own. */
static int join_view(struct error *err)
{
        if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return error_sys(err, errno, "cannot mount a process list of its own on /proc inside");
        return 0;
}

/* What a scratch environment's init removes when nobody is left outside to do it. */
struct remains {
        int parent;
        const char *name;
};

/* Init lives in the network of its programs: what it says of that in /proc/1/net is read inside. */
static int follow_network(pid_t program, struct error *err)
{
        cleanup_close int fd = (int)syscall(SYS_pidfd_open, program, 0);
        if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
                return error_sys(err, errno, "cannot enter the network of the programs");
        return 0;
}

static pid_t start_program(struct birth *birth, int terminal, struct error *err)
{
        uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
        if (birth->launch->plan->own_network && !birth->launch->plan->uplink)
                flags |= CLONE_NEWNET;
        int mapped[2] = {-1, -1};
        bool follows = (flags & CLONE_NEWNET) && !birth_network(birth), waits = birth_has_ids(birth) || follows;
        if (waits && pipe2(mapped, O_CLOEXEC) < 0)
                return error_sys(err, errno, "cannot make a pipe");
        struct rlimit before;
        limits_tasks_begin(birth->launch, &before);
        pid_t program = kernel_fork(flags);
        if (program == 0) {
                limits_tasks_end(birth->launch, &before);
                if (mapped[1] >= 0)
                        close(mapped[1]);
                program_main(birth, terminal, mapped[0]);
        }
        int result = 0, code = errno;
        limits_tasks_end(birth->launch, &before);
        if (program < 0) {
                result = error_sys(err, code, "cannot make the program's namespaces");
                if (err->code == ENOSPC || err->code == EUSERS)
                        error_remedy(err,
                                     "a limit on namespaces is reached: see user.max_user_namespaces and the others "
                                     "(sysctl), or too many environments lie inside each other (32)");
        } else if (waits) {
                if (birth_has_ids(birth))
                        result = identity_map_same(program, err);
                if (result == 0 && follows)
                        result = follow_network(program, err);
                if (result == 0 && write(mapped[1], "", 1) != 1)
                        result = error_sys(err, errno, "cannot start the program");
        }
        if (mapped[0] >= 0) {
                close(mapped[0]);
                close(mapped[1]);
        }
        return result < 0 ? result : program;
}

/* dead orphans taken in one go: a flood of them must not keep the program's end from being seen */
#define REAP_BATCH 64

/* Asks for news of `pid` (-1: of anyone). Returns whose they are, 0 when there are none. */
static pid_t news_of(pid_t pid, int *status)
{
        pid_t who = waitpid(pid, status, WNOHANG | WUNTRACED | WCONTINUED);
        return who > 0 ? who : 0;
}

/* News of the program: passes on that it stopped or goes on. Returns true when it ended. */
static bool tell(const struct birth *birth, int one, int *status)
{
        if (WIFSTOPPED(one)) {
                report_send(birth->socket, REPORT_STOPPED, WSTOPSIG(one), NULL, -1);
        } else if (WIFCONTINUED(one)) {
                report_send(birth->socket, REPORT_CONTINUED, 0, NULL, -1);
        } else {
                *status = one;
                return true;
        }
        return false;
}

/* Reaps what died, the program first. Returns true when the program itself ended: *status is its. */
static bool reap(const struct birth *birth, pid_t program, int *status)
{
        int one;
        while (news_of(program, &one))
                if (tell(birth, one, status))
                        return true;
        for (int i = 0; i < REAP_BATCH; i++) {
                pid_t who = news_of(-1, &one);
                if (!who)
                        return false;
                if (who == program && tell(birth, one, status))
                        return true;
        }
        kill(getpid(), SIGCHLD); /* more is waiting: come back for it after the orders from outside */
        return false;
}

/* Takes an order from outside. Returns false when outside is gone. */
static bool obey(const struct birth *birth, pid_t program, int terminal)
{
        struct report order;
        if (report_receive(birth->socket, &order, NULL) != 1)
                return false;
        switch ((enum report_type)order.type) {
        case REPORT_SIGNAL:
                kill(program, order.value);
                break;
        case REPORT_SIGNAL_GROUP:
                kill(-program, order.value);
                break;
        case REPORT_FOREGROUND:
                if (terminal >= 0)
                        tcsetpgrp(terminal, program);
                kill(-program, SIGCONT);
                break;
        default:
                break;
        }
        return true;
}

#define SIGHTLESS 10 /* ms that other runs of the view have to end their programs, before these see anything fail */

/* The server that shows the main system was killed: nothing inside can go on. Whoever waits for a file waits, and dies
 * waiting. */
static _Noreturn void blinded(const struct birth *birth, struct guard *guard)
{
        kill(-1, SIGKILL);
        poll(NULL, 0, SIGHTLESS);
        guard_end(guard);
        cleanup_error struct error err = ERROR_INIT;
        error_set(&err, EIO,
                  "the server that shows the main system (paddock-files-mirror) ended, and the environment with it");
        error_remedy(&err,
                     birth->launch->scratch ? "start it again" : "what was written is in the layer; start it again");
        give_up(birth, &err);
}

/* Returns how the program ended. */
static int live(const struct birth *birth, pid_t program, int terminal, int signals, struct guard *guard,
                struct lister *lister, bool *abandoned)
{
        int status = 0;
        for (;;) {
                struct pollfd poll_fds[3] = {{.fd = signals, .events = POLLIN}, {.fd = birth->socket, .events = POLLIN},
                                             {.fd = birth->control, .events = POLLIN}};
                if (idle_poll(poll_fds, birth->control >= 0 ? 3 : 2) < 0 && errno != EINTR)
                        return status;
                if (birth->control >= 0 && poll_fds[2].revents && !mirror_obey(guard, lister))
                        blinded(birth, guard);
                if (poll_fds[0].revents) {
                        struct signalfd_siginfo info[8];
                        (void)!read(signals, info, sizeof info);
                        if (reap(birth, program, &status))
                                return status;
                }
                if (poll_fds[1].revents && !obey(birth, program, terminal)) {
                        *abandoned = true;
                        return status;
                }
        }
}

/* Ends whatever else lives in this process space. */
static void end_all(struct guard *guard)
{
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
                return; /* nobody; kill() would look at every process of the main system to find that out */
        kill(-1, SIGKILL);
        guard_end(guard);
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                ;
}

/* The paddock outside was killed, or could not remove it: everything ends, and a scratch environment's directory goes
 * too. */
static void clean_up(int state, struct guard *guard, const struct remains *remains)
{
        end_all(guard);
        cleanup_error struct error unheard = ERROR_INIT; /* nobody is left to be told */
        if (state >= 0) {
                tree_remove(state, "layer", &unheard);
                tree_remove(state, "inner", &unheard);
                unlinkat(state, "alive.lock", 0);
                unlinkat(state, "unreadable", 0);
        }
        if (remains->parent >= 0)
                unlinkat(remains->parent, remains->name, AT_REMOVEDIR);
}

/* Init holds nothing of the program's: a pipe that the program closes must be closed. */
static void keep_only(const struct birth *birth, const struct workplace *w, const struct guard *guard, int terminal,
                      int signals, int parent)
{
        const int kept[] = {birth->socket, birth->launch->alive, w->layer, terminal, signals, parent, w->mirror,
                            w->lister.words};
        for (int fd = 0, last = inherit_highest_open(birth->inherit); fd <= last; fd++) {
                bool keep = guard_keeps(guard, fd);
                for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
                        keep |= kept[i] == fd;
                if (!keep)
                        close(fd);
        }
}

/* Prepares the network that init was made with, and lets the paddock outside connect it. */
static int raise_uplink(const struct birth *birth, struct error *err)
{
        if (!birth->launch->plan->uplink)
                return 0;
        int result = uplink_guard(err);
        return result < 0 ? result : report_send(birth->socket, REPORT_UPLINK, 0, NULL, -1);
}

static void await_uplink(const struct birth *birth)
{
        struct report report;
        uplink_resolver();
        if (report_receive(birth->socket, &report, NULL) != 1 || report.type != REPORT_GO)
                _exit(125); /* whoever failed has said why */
}

_Noreturn void init_main(struct birth *birth)
{
        cleanup_error struct error err = ERROR_INIT;
        const struct launch *launch = birth->launch;
        struct workplace w = WORKPLACE_INIT;
        w.launch = launch;
        w.plan = launch->plan;
        w.control = birth->control;
        struct remains remains = {.parent = -1, .name = launch->scratch_name};
        prctl(PR_SET_NAME, "paddock-init", 0, 0, 0);

        if (cgrouptree_enter(&birth->cgroups, &err) < 0)
                give_up(birth, &err);
        if (birth->joining) {
                if (join_view(&err) < 0 || raise_uplink(birth, &err) < 0)
                        give_up(birth, &err);
        } else {
                if (enter_namespaces(birth, &w, &err) < 0)
                        forbidden(birth, &err);
                if (raise_uplink(birth, &err) < 0)
                        give_up(birth, &err);
                if (launch->scratch && launch->state >= 0)
                        remains.parent = birth->superuser ? open_tree(AT_FDCWD, SUPERUSER_PARENT,
                                                                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
                                                          : birth->parent;
                if ((!birth->superuser && inherit_reopen(birth->inherit, &err) < 0) || view_build(&w, &err) < 0)
                        give_up(birth, &err);
        }

        if (launch->plan->uplink)
                await_uplink(birth);
        if (launch->keep)
                keep_main(birth, &w);
        int terminal = -1, master = -1;
        setsid();
        if (birth->terminal) {
                terminal = terminal_make(&master, &err);
                if (terminal < 0 || report_send(birth->socket, REPORT_TERMINAL, 0, NULL, master) < 0)
                        give_up(birth, &err);
                close(master);
                /* Answered when the terminal has its settings and size: the program must not see it without. */
                struct report report;
                if (report_receive(birth->socket, &report, NULL) != 1 || report.type != REPORT_GO)
                        _exit(125);
        }
        sigset_t children;
        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
        pid_t program = signals < 0 ? error_sys(&err, errno, "cannot watch processes")
                                    : start_program(birth, terminal, &err);
        if (program < 0)
                give_up(birth, &err);
        if (launch->ready) /* nobody else waits for it, and a wake-up costs more than all else here */
                report_send(birth->socket, REPORT_READY, 0, NULL, -1);
        struct guard guard = GUARD_NONE;
        guard_start(&guard, launch->plan, birth->control);
        keep_only(birth, &w, &guard, terminal, signals, remains.parent);

        bool abandoned = false;
        int status = live(birth, program, terminal, signals, &guard, &w.lister, &abandoned);
        if (abandoned) {
                clean_up(launch->scratch ? w.layer : -1, &guard, &remains);
                _exit(125);
        }
        end_all(&guard);
        if (launch->plan->root && !birth->superuser &&
            launch->scratch) /* its files belong to ids that outside cannot remove */
                clean_up(w.layer, &guard, &remains);
        *birth->status = status;
        close(birth->socket); /* which wakes the paddock outside before the kernel has taken down what this process
                                 holds */
        _exit(0);
}
