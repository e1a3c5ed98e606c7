// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A process that stops an environment's programs, and lets them go on when it is told, or when whoever asked is gone:
 * see host.h. It is one of its own so that nobody stays stopped when a snapshot is killed, and so that a process with
 * other ids can ask.
 */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/freeze.h"
#include "host/linux/kernel.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

struct reply {
        int code;
        long microseconds;
        unsigned count;
        char text[256];
};

static _Noreturn void serve(int socket, const int *inits, size_t count)
{
        sigset_t all;
        kernel_all_signals(&all); /* keys of the terminal are for whoever asked, whose end is seen here */
        kernel_signal_mask(SIG_BLOCK, &all, NULL);
        setsid();
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        struct freeze f = {0};
        struct timespec began = {0}, ended;
        char order;
        while (recv(socket, &order, 1, 0) == 1) {
                struct reply reply = {0};
                cleanup_error struct error err = ERROR_INIT;
                if (order == 's' && !f.seen) {
                        clock_gettime(CLOCK_MONOTONIC, &began);
                        reply.code = freeze_stop(&f, inits, count, &err);
                        reply.count = (unsigned)f.count;
                        snprintf(reply.text, sizeof reply.text, "%s", err.text ? err.text : "");
                } else {
                        freeze_continue(&f);
                        clock_gettime(CLOCK_MONOTONIC, &ended);
                        reply.microseconds = (ended.tv_sec - began.tv_sec) * 1000000L +
                                             (ended.tv_nsec - began.tv_nsec) / 1000;
                }
                (void)!send(socket, &reply, sizeof reply, MSG_NOSIGNAL);
        }
        freeze_continue(&f);
        _exit(0);
}

int host_freezer_start(struct freezer *f, const int *inits, size_t count, struct error *err)
{
        int ends[2];
        *f = FREEZER_NONE;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return error_sys(err, errno, "cannot make a socket pair");
        pid_t pid = fork();
        if (pid == 0) {
                close(ends[0]);
                serve(ends[1], inits, count);
        }
        close(ends[1]);
        if (pid < 0) {
                close(ends[0]);
                return error_sys(err, errno, "cannot make a process");
        }
        *f = (struct freezer){.socket = ends[0], .pid = pid};
        return 0;
}

static int ask(const struct freezer *f, char order, struct reply *reply, struct error *err)
{
        ssize_t n;
        if (send(f->socket, &order, 1, MSG_NOSIGNAL) != 1)
                return error_sys(err, errno, "the process that stops programs is gone");
        while ((n = recv(f->socket, reply, sizeof *reply, 0)) < 0 && errno == EINTR)
                ;
        if (n != sizeof *reply)
                return error_set(err, EIO, "the process that stops programs is gone");
        return reply->code < 0 ? error_set(err, -reply->code, "%s", reply->text) : 0;
}

int host_freezer_stop(const struct freezer *f, unsigned *count, struct error *err)
{
        struct reply reply = {0};
        int result = ask(f, 's', &reply, err);
        if (result == 0)
                *count = reply.count;
        return result;
}

int host_freezer_continue(const struct freezer *f, long *microseconds, struct error *err)
{
        struct reply reply = {0};
        int result = ask(f, 'c', &reply, err);
        if (result == 0)
                *microseconds = reply.microseconds;
        return result;
}

void host_freezer_end(struct freezer *f)
{
        if (f->socket >= 0)
                close(f->socket);
        while (f->pid > 0 && waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        *f = FREEZER_NONE;
}
