// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Init of a started environment: it has no program of its own, obeys the warden, and reaps.
 *
 * It does nothing itself that could take long or be influenced from inside: to enter is the business of a child, and so
 * is each change of the view. When the warden dies, its socket closes, and everything ends.
 */
#include "host/linux/keep.h"

#include "base/cleanup.h"
#include "host/linux/idle.h"
#include "host/linux/kernel.h"
#include "host/linux/trap.h"
#include "host/linux/mirror.h"
#include "host/linux/pass.h"
#include "host/linux/report.h"

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

/* Everything ends with this process, of which the kernel sees to the rest. */
static _Noreturn void end(struct keep *k)
{
        kill(-1, SIGKILL);
        guard_end(&k->guard);
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                ;
        _exit(0);
}

static void tell(const struct keep *k, enum news_type type, uint32_t id, int value)
{
        struct news news = {.type = type, .id = id, .value = value};
        pass_send(k->birth->socket, &news, offsetof(struct news, text), -1);
}

static void tell_failure(const struct keep *k, uint32_t id, int code, const char *text)
{
        struct news news = {.type = NEWS_DONE, .id = id, .code = code};
        snprintf(news.text, sizeof news.text, "%s", text);
        pass_send(k->birth->socket, &news, sizeof news, -1);
}

/* A process that was started by order has ended. */
static void ended(struct keep *k, pid_t pid, int status)
{
        for (size_t i = 0; i < k->count; i++) {
                if (k->entries[i].pid != pid)
                        continue;
                struct entry entry = k->entries[i];
                if (pid == k->boot) {
                        k->boot = 0;
                        if (k->stopping)
                                kill(-1, SIGTERM); /* what is left are helpers */
                }
                k->entries[i] = k->entries[--k->count];
                if (!entry.order)
                        tell(k, NEWS_ENDED, entry.id, status);
                else if (status) /* one that came to its end has told what became of it */
                        tell_failure(k, entry.id, EINTR, "the process that was to change the view was killed");
                return;
        }
}

#define REAP_BATCH 256 /* a flood of orphans must not keep orders from being seen */

static void reap(struct keep *k)
{
        for (int i = 0; i < REAP_BATCH; i++) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);
                if (pid < 0 && errno == ECHILD && k->stopping)
                        _exit(0);
                if (pid <= 0)
                        return;
                ended(k, pid, status);
        }
        kill(getpid(), SIGCHLD); /* more is waiting */
}

static void note(struct keep *k, uint32_t id, pid_t pid, bool order)
{
        if (pid < 0 && order) {
                tell_failure(k, id, EAGAIN, "cannot make a process inside");
        } else if (pid < 0) {
                tell(k, NEWS_ENDED, id, 125 << 8);
        } else {
                *vector_add(k->entries, k->count, k->capacity) = (struct entry){id, pid, order};
                if (!order)
                        tell(k, NEWS_STARTED, id, pid);
        }
}

static void stop(struct keep *k)
{
        k->stopping = true;

        if (k->w->lister.words >= 0) /* the lister ends with its socket */
                close(k->w->lister.words);
        k->w->lister = LISTER_NONE;
        if (k->boot) {
                boot_halt(k);
        } else {
                kill(-1, SIGTERM);
                kill(-1, SIGCONT);
        }
        reap(k);
}

static void carry_out(struct keep *k, const struct order *order, int *fds, size_t count)
{
        pid_t pid;
        switch ((enum order_type)order->type) {
        case ORDER_ENTER:
                pid = count >= 2 && !k->stopping ? kernel_fork(0) : -1;
                if (pid == 0) {
                        guard_end(&k->guard); /* it will wait for names: it must not be what keeps them waiting */
                        attend_session(k, fds[0], fds[1], fds + 2, count - 2, order->flags, (unsigned)order->value);
                }
                note(k, order->id, pid, false);
                break;
        case ORDER_SPAWN:
                pid = count == 2 && !k->stopping ? kernel_fork(0) : -1;
                if (pid == 0) {
                        guard_end(&k->guard); /* it will wait for names: it must not be what keeps them waiting */
                        attend_background(k, fds[0], fds[1]);
                }
                note(k, order->id, pid, false);
                break;
        case ORDER_BOOT:
                pid = count == 1 && !k->stopping ? kernel_fork(0) : -1;
                if (pid == 0)
                        attend_boot(k, order->id, fds[0]);
                k->boot = pid > 0 ? pid : 0;
                note(k, order->id, pid, false);
                break;
        case ORDER_SIGNAL:
                kill(-1, order->value);
                break;
        case ORDER_STOP:
                stop(k);
                break;
        case ORDER_VIEW:
                pid = count == 1 ? kernel_fork(CLONE_FILES) : -1;
                if (pid == 0)
                        revise_view(k, order, fds[0]);
                note(k, order->id, pid, true);
                if (pid > 0)
                        count = 0; /* as below */
                break;
        case ORDER_REACH:
                pid = kernel_fork(0);
                if (pid == 0)
                        reach_open(k, order);
                note(k, order->id, pid, true);
                break;
        case ORDER_DETACH: {
                cleanup_error struct error err = ERROR_INIT;
                int result = change_detach(k, order->value, &err);
                change_tell(k, order, result, order->value, -1, &err);
                break;
        }
        case ORDER_MEASURE:
                pid = kernel_fork(0);
                if (pid == 0)
                        measure_memory(k, order);
                note(k, order->id, pid, true);
                break;
        case ORDER_MOUNT:
        case ORDER_ATTACH:
        case ORDER_LOOK:
                /* It shares descriptors: the handles of mounts are init's. */
                pid = kernel_fork(CLONE_FILES);
                if (pid == 0)
                        change_view(k, order, count ? fds[0] : -1);
                note(k, order->id, pid, true);
                if (pid > 0 && count)
                        count = 0; /* it closes what came along */
                break;
        }
        for (size_t i = 0; i < count; i++)
                close(fds[i]);
}

/* Takes an order. Returns false when the warden is gone. */
static bool obey(struct keep *k)
{
        struct order order = {0};
        int fds[PASS_LIMIT];
        size_t count;
        int n = pass_receive_all(k->birth->socket, &order, sizeof order, fds, &count);
        if (n == 0 || (n < 0 && n != -EAGAIN && n != -EMSGSIZE))
                return false;
        if (n >= (int)offsetof(struct order, path)) {
                order.path[ORDER_PATH - 1] = '\0';
                carry_out(k, &order, fds, count);
        }
        return true;
}

static _Noreturn void live(struct keep *k)
{
        const struct birth *birth = k->birth;
        for (;;) {
                struct pollfd fds[3] = {{.fd = k->signals, .events = POLLIN}, {.fd = birth->socket, .events = POLLIN},
                                        {.fd = birth->control, .events = POLLIN}};
                if (idle_poll(fds, birth->control >= 0 ? 3 : 2) < 0 && errno != EINTR)
                        end(k);
                /* The server that shows the main system was killed: nothing inside can go on. The warden says so. */
                if (birth->control >= 0 && fds[2].revents && !mirror_obey(&k->guard, &k->w->lister))
                        end(k);
                if (fds[1].revents && !obey(k))
                        end(k);
                if (fds[0].revents) {
                        struct signalfd_siginfo info[8];
                        (void)!read(k->signals, info, sizeof info);
                        reap(k);
                }
        }
}

/* Init holds nothing of whoever started it. */
static int keep_only(struct keep *k, struct error *err)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd <= 2; fd++)
                if (null < 0 || dup2(null, fd) < 0)
                        return error_sys(err, errno, "cannot open /dev/null inside");
        const struct workplace *w = k->w;
        const int image = k->birth->launch->image > 0 ? k->birth->launch->image : -1;
        const int kept[] = {k->birth->socket, k->birth->launch->alive, image,          w->layer,
                            k->signals,       k->birth->control,       w->mirror,      w->lister.words,
                            w->fuse,          w->kept_stage,           k->proc,        k->floor.fd[0],
                            k->floor.fd[1],   k->floor.fd[2],          k->floor.fd[3], k->floor.fd[4],
                            k->birth->cgroups.programs, k->birth->cgroups.top, k->birth->cgroups.top_enter};
        int last = inherit_highest_open(k->birth->inherit);
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
                last = kept[i] > last ? kept[i] : last;
        for (size_t i = 0; i < k->guard.layer_count; i++)
                last = k->guard.layers[i].mount > last ? k->guard.layers[i].mount : last;
        for (int fd = 3; fd <= last; fd++) {
                bool keep = guard_keeps(&k->guard, fd);
                for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
                        keep |= kept[i] == fd;
                if (!keep)
                        close(fd);
        }
        close_range((unsigned)last + 1, ~0U, 0);
        return 0;
}

_Noreturn void keep_main(struct birth *birth, struct workplace *w)
{
        cleanup_error struct error err = ERROR_INIT;
        struct keep k = {.birth = birth, .w = w, .guard = GUARD_NONE, .signals = -1, .proc = -1};
        setsid();
        /* Before the first fork, so that all programs are in one domain and may signal each other. */
        if (!birth->launch->plan->session && program_cut_off(&err) < 0)
                give_up(birth, &err);
        if (floor_make(birth, &k.floor, &err) < 0 || (birth->traps >= 0 && trap_calls(birth, &err) < 0))
                give_up(birth, &err);
        sigset_t children;
        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        k.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        k.signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
        if (k.signals < 0 || k.proc < 0)
                error_sys(&err, errno, "cannot watch processes");
        guard_start(&k.guard, birth->launch->plan, birth->control);
        if (k.signals < 0 || k.proc < 0 || keep_only(&k, &err) < 0)
                give_up(birth, &err);
        report_send(birth->socket, REPORT_READY, 0, NULL, -1);
        live(&k);
}
