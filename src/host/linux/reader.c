// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A process that reads what this one may not: see host.h.
 *
 * A program inside can take all permissions from its files, which then even their owner opens only with power over
 * them, in a user namespace. Whoever writes to the outside must not have that power there. So another process has it,
 * and hands over descriptors.
 */
#include "host/host.h"

#include "base/cleanup.h"
#include "host/linux/pass.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define REQUEST_LIMIT 70000 /* bytes of a path */

struct request {
        unsigned slot;
        char path[];
};

static void answer(int socket, int fd)
{
        int code = fd < 0 ? fd : 0;
        (void)!pass_send(socket, &code, sizeof code, fd); /* who does not listen is gone */
        if (fd >= 0)
                close(fd);
}

struct service {
        int socket;
        int (*open)(void *, unsigned, const char *);
        void *context;
};

static int serve(void *opaque, int owners)
{
        const struct service *s = opaque;
        int socket = s->socket;
        int (*open)(void *, unsigned, const char *) = s->open;
        void *context = s->context;
        (void)owners;
        cleanup_free struct request *request = memory_new(sizeof *request + REQUEST_LIMIT);
        for (ssize_t n;
             (n = recv(socket, request, sizeof *request + REQUEST_LIMIT - 1, 0)) > (ssize_t)sizeof *request;) {
                request->path[n - (ssize_t)sizeof *request] = '\0';
                answer(socket, open(context, request->slot, request->path));
        }
        return 0;
}

static _Noreturn void begin(bool inside, struct service *s)
{
        cleanup_error struct error unheard = ERROR_INIT; /* who asks sees that nobody answers */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (inside)
                _exit(host_inside(serve, s, &unheard) < 0);
        host_read_everything();
        _exit(serve(s, -1));
}

int host_reader_open(struct reader *reader, int (*open)(void *, unsigned, const char *), void *context, unsigned slot,
                     const char *path)
{
        if (reader->socket < 0) {
                int ends[2];
                if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                        return -errno;
                reader->pid = fork();
                if (reader->pid == 0) {
                        close(ends[0]);
                        struct service service = {ends[1], open, context};
                        begin(reader->inside, &service);
                }
                close(ends[1]);
                reader->socket = ends[0];
                if (reader->pid < 0) {
                        host_reader_end(reader);
                        return -EAGAIN;
                }
        }
        size_t length = strlen(path);
        if (length >= REQUEST_LIMIT)
                return -ENAMETOOLONG;
        cleanup_free struct request *request = memory_new(sizeof *request + length);
        request->slot = slot;
        memcpy(request->path, path, length);
        if (send(reader->socket, request, sizeof *request + length, MSG_NOSIGNAL) < 0)
                return -errno;
        int code = -EIO;
        struct iovec iov = {&code, sizeof code};
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control.space};
        if (recvmsg(reader->socket, &message, MSG_CMSG_CLOEXEC) != sizeof code)
                return -EIO;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(&code, CMSG_DATA(header), sizeof code);
        return code;
}

void host_reader_end(struct reader *reader)
{
        if (reader->socket >= 0)
                close(reader->socket);
        while (reader->pid > 0 && waitpid(reader->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        *reader = (struct reader){.socket = -1, .inside = reader->inside};
}
