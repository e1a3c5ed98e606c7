/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libpaddock-server: calls received, answers sent. See paddock-server.h and doc/protocol.md.
 *
 * What comes over the socket is paddock's, and still is looked at: a message of another size or word is dropped, as
 * the protocol says, and so is every descriptor, since none travels this way.
 */
#include "paddock-server.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct paddock_server {
        const struct paddock_sockets *sockets;
        char environment[sizeof((struct paddock_message *)0)->hello.environment];
        bool greeted;
};

static int post(const struct paddock_message *m, int give)
{
        union {
                char room[CMSG_SPACE(sizeof(int))];
                struct cmsghdr align;
        } control;
        struct iovec part = {(void *)m, sizeof *m};
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
        if (give >= 0) {
                memset(&control, 0, sizeof control);
                header.msg_control = &control;
                header.msg_controllen = sizeof control;
                struct cmsghdr *c = CMSG_FIRSTHDR(&header);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof give);
                memcpy(CMSG_DATA(c), &give, sizeof give);
        }
        ssize_t n;
        do
                n = sendmsg(PADDOCK_SERVER_SOCKET, &header, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

void *paddock_server_context(struct paddock_server *server)
{
        return server->sockets->context;
}

const char *paddock_server_environment(const struct paddock_server *server)
{
        return server->environment;
}

int paddock_server_forget(struct paddock_server *server)
{
        (void)server;
        struct paddock_message m = {.word = PADDOCK_SERVER_WORD, .call = PADDOCK_FORGET, .version = PADDOCK_SERVER_VERSION};
        return post(&m, -1);
}

int paddock_server_answer(struct paddock_server *server, uint64_t serial, uint32_t call, const struct paddock_reply *reply,
                          int error)
{
        (void)server;
        struct paddock_message m = {.word = PADDOCK_SERVER_WORD,
                                    .call = call | PADDOCK_ANSWER,
                                    .serial = serial,
                                    .version = PADDOCK_SERVER_VERSION,
                                    .flags = reply->flags,
                                    .verdict = error ? (uint32_t)PADDOCK_REFUSE : reply->verdict,
                                    .error = error < 0 ? -error : error};
        if (call == PADDOCK_CONNECT)
                m.connect.address = reply->address;
        int result = post(&m, m.verdict == PADDOCK_GIVE ? reply->give : -1);
        if (reply->give >= 0)
                close(reply->give);
        return result;
}

/* A message, or a negative errno; 0: paddock has closed the socket. What makes no sense is -EAGAIN. */
static int receive(struct paddock_message *m)
{
        union {
                char room[CMSG_SPACE(8 * sizeof(int))];
                struct cmsghdr align;
        } control;
        struct iovec part = {m, sizeof *m};
        struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(PADDOCK_SERVER_SOCKET, &header, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
                for (size_t i = 0; c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
                                   i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                     i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                        close(fd);
                }
        if (n == 0)
                return 0;
        return n == (ssize_t)sizeof *m && m->word == PADDOCK_SERVER_WORD ? 1 : -EAGAIN;
}

static int greet(struct paddock_server *s, const struct paddock_message *m)
{
        if (m->version < PADDOCK_SERVER_VERSION)
                return -EPROTO;
        memcpy(s->environment, m->hello.environment, sizeof s->environment);
        s->environment[sizeof s->environment - 1] = '\0';
        struct paddock_message answer = {.word = PADDOCK_SERVER_WORD,
                                         .call = PADDOCK_HELLO | PADDOCK_ANSWER,
                                         .serial = m->serial,
                                         .version = PADDOCK_SERVER_VERSION,
                                         .hello = {.role = PADDOCK_SOCKETS, .wants = s->sockets->wants}};
        if (m->hello.role != PADDOCK_SOCKETS)
                return -EPROTO;
        s->greeted = true;
        return post(&answer, -1);
}

static int obey(struct paddock_server *s, struct paddock_message *m)
{
        struct paddock_reply reply = {.verdict = PADDOCK_NATIVE, .give = -1};
        int result;
        switch (m->call) {
        case PADDOCK_HELLO:
                return greet(s, m);
        case PADDOCK_PING:
                m->call |= PADDOCK_ANSWER;
                return post(m, -1);
        case PADDOCK_CONNECT:
                m->connect.name[sizeof m->connect.name - 1] = '\0';
                if (!s->greeted || m->connect.address.size > sizeof m->connect.address.bytes)
                        return 0;
                result = s->sockets->connect(s, m, &reply);
                break;
        case PADDOCK_RESOLVE:
                m->resolve.name[sizeof m->resolve.name - 1] = '\0';
                if (!s->greeted)
                        return 0;
                result = s->sockets->resolve ? s->sockets->resolve(s, m, &reply) : 0;
                break;
        default:
                return 0; /* of a later version; it was told which one is spoken */
        }
        return result == PADDOCK_LATER ? 0 : paddock_server_answer(s, m->serial, m->call, &reply, result);
}

int paddock_serve_sockets(const struct paddock_sockets *sockets)
{
        struct paddock_server server = {.sockets = sockets};
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(PADDOCK_SERVER_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
                return -errno;
        if (type != SOCK_SEQPACKET)
                return -EPROTOTYPE;
        for (;;) {
                struct pollfd fds[2] = {{.fd = PADDOCK_SERVER_SOCKET, .events = POLLIN},
                                        {.fd = sockets->ready ? sockets->also : -1, .events = POLLIN}};
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        return -errno;
                if (fds[1].revents && sockets->ready)
                        sockets->ready(&server);
                if (!fds[0].revents)
                        continue;
                struct paddock_message m;
                int result = receive(&m);
                if (result == 0)
                        return 0;
                if (result > 0)
                        result = obey(&server, &m);
                if (result == -EPIPE || result == -ECONNRESET)
                        return 0;
                if (result < 0 && result != -EAGAIN)
                        return result;
        }
}
