// SPDX-License-Identifier: GPL-3.0-or-later
/* An environment that lives without a program of its own: made (host_start()), told and heard. See living.h. */
#include "host/living.h"

#include "base/cleanup.h"
#include "host/linux/init.h"
#include "host/linux/kernel.h"
#include "host/linux/pass.h"
#include "host/linux/probe.h"
#include "host/linux/report.h"
#include "host/linux/watch.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* Waits until init is ready or has failed. */
static int hear_init(const struct launch *launch, const struct birth *birth, struct error *err)
{
        struct report report;
        while (report_receive(birth->ours, &report, NULL) == 1) {
                switch ((enum report_type)report.type) {
                case REPORT_READY:
                        if (launch->ready)
                                launch->ready(launch->context, (int)birth->init, birth->control);
                        return 0;
                case REPORT_FAILED:
                        error_set(err, EIO, "%s", report.text);
                        return report.remedy[0] ? error_remedy(err, "%s", report.remedy) : -EIO;
                case REPORT_FORBIDDEN:
                        probe_explain_namespaces(err, report.value);
                        return -err->code;
                default:
                        break;
                }
        }
        return error_set(err, EIO, "the environment's first process was killed");
}

int host_start(const struct launch *launch, struct living *living, struct error *err)
{
        struct inherit inherit;
        struct superuser superuser;
        sigset_t all, before;
        int result = inherit_survey(&inherit, err);
        if (result < 0)
                return result;
        /* The programs get what is said for each of them. */
        memset(inherit.what, INHERIT_CLOSE, sizeof inherit.what);
        inherit.highest = -1;
        inherit.reopen = false;
        struct birth birth = {.launch = launch,
                              .inherit = &inherit,
                              .uid = geteuid(),
                              .gid = getegid(),
                              .parent = -1,
                              .uplink = -1,
                              .control = -1,
                              .traps = -1,
                              .umask = umask(0)};
        watch_signals(&all);
        kernel_signal_mask(SIG_BLOCK, &all, &before); /* init's for good: nothing from inside may reach it */
        birth.signals = before;
        result = launch_prepare(&birth, &superuser, err);
        if (result == 0)
                result = launch_init(&birth, err);
        else
                birth.ours = birth.init = -1;
        if (result == 0)
                result = hear_init(launch, &birth, err);
        umask(birth.umask);
        kernel_signal_mask(SIG_SETMASK, &before, NULL);
        living->socket = birth.ours;
        living->init = birth.init;
        if (result < 0 && birth.ours >= 0)
                close(birth.ours);
        return result;
}

int host_order(int socket, const struct order *order, const int *fds, size_t count)
{
        size_t length = strnlen(order->path, sizeof order->path - 1);
        return pass_send_all(socket, order, offsetof(struct order, path) + length + 1, fds, count);
}

int host_news(int socket, struct news *news, int *fd)
{
        int fds[PASS_LIMIT];
        size_t count;
        memset(news, 0, sizeof *news);
        *fd = -1;
        int n = pass_receive_all(socket, news, sizeof *news, fds, &count);
        if (n == -ECONNRESET)
                return 0;
        if (n <= 0)
                return n;
        for (size_t i = 1; i < count; i++)
                close(fds[i]);
        if (count)
                *fd = fds[0];
        news->text[sizeof news->text - 1] = news->remedy[sizeof news->remedy - 1] = '\0';
        return 1;
}

int host_send(int socket, const void *data, size_t size, const int *fds, size_t count)
{
        return pass_send_all(socket, data, size, fds, count);
}

int host_receive(int socket, void *data, size_t size, int fds[HOST_DESCRIPTORS], size_t *count)
{
        _Static_assert(HOST_DESCRIPTORS == PASS_LIMIT, "one limit");
        return pass_receive_all(socket, data, size, fds, count);
}

ssize_t host_send_plain(int socket, const void *data, size_t size)
{
        ssize_t n = send(socket, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
}

void host_terminal_size(int terminal, unsigned rows, unsigned columns)
{
        struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
        ioctl(terminal, TIOCSWINSZ, &size);
}

int64_t host_clock(void)
{
        struct timespec now;
        clock_gettime(CLOCK_BOOTTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int host_leave(int *kept, int *also)
{
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        /* First out of the way of the other's new number. */
        int second = *also < 0 ? -1 : fcntl(*also, F_DUPFD_CLOEXEC, 5);
        if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || (*kept != 3 && dup2(*kept, 3) < 0) ||
            fcntl(3, F_SETFD, FD_CLOEXEC) < 0 ||
            (*also >= 0 && (second < 0 || dup3(second, 4, O_CLOEXEC) < 0)) ||
            close_range(*also < 0 ? 4 : 5, ~0U, 0) < 0 || chdir("/") < 0)
                return -errno;
        *kept = 3;
        if (*also >= 0)
                *also = 4;
        static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTTOU, SIGTTIN, SIGTSTP};
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                signal(ignored[i], SIG_IGN);
        signal(SIGCHLD, SIG_DFL);
        return 0;
}
