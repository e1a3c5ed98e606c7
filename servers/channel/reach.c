// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What is inside, reached from outside.
 *
 * A socket belongs to the network in which it was made, wherever it is used: one child in the environment's network
 * makes them. It is in the environment's user and network namespaces only, where nobody inside sees or reaches it.
 *
 * A name inside is looked up below the environment's root (openat2: no link leads out of it), by a child for each,
 * which is killed when the lookup takes too long. It has the rights of root in the environment, and no others.
 */
#include "channel.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

struct reach {
        struct source source; /* from the child: a socket, or why there is none */
        struct link *link;
        int side;
        pid_t pid;
        long long due;
        bool dead;
        struct reach *next;
};

/* An int, and a descriptor unless it is -1. */
static bool send_one(int socket, int word, int fd)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary;
        struct iovec part = {&word, sizeof word};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        if (fd >= 0) {
                m.msg_control = &ancillary;
                m.msg_controllen = sizeof ancillary;
                ancillary.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
                                                    .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(&ancillary.header), &fd, sizeof fd);
        }
        return sendmsg(socket, &m, MSG_NOSIGNAL) == (ssize_t)sizeof word;
}

/* The descriptor, or the negative errno that was said instead. */
static int receive_one(int socket)
{
        union {
                struct cmsghdr header;
                char room[CMSG_SPACE(sizeof(int))];
        } ancillary;
        int word = -EIO;
        struct iovec part = {&word, sizeof word};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
                           .msg_controllen = sizeof ancillary};
        ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n == (ssize_t)sizeof word ? CMSG_FIRSTHDR(&m) : NULL;
        if (c && c->cmsg_type == SCM_RIGHTS) {
                int fd;
                memcpy(&fd, CMSG_DATA(c), sizeof fd);
                return fd;
        }
        return n == (ssize_t)sizeof word && word < 0 ? word : -EIO;
}

/* Joins the user namespace that the network belongs to. */
static int join_user(int network)
{
        cleanup_close int user = ioctl(network, NS_GET_USERNS);
        return user < 0 || setns(user, CLONE_NEWUSER) < 0 ? -errno : 0;
}

static _Noreturn void make_sockets(int socket_to, int network)
{
        int wanted[2]; /* family, type */
        int result = join_user(network);
        if (result == 0 && setns(network, CLONE_NEWNET) < 0)
                result = -errno;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        close(network);
        if (!send_one(socket_to, result, -1) || result < 0)
                _exit(1);
        while (recv(socket_to, wanted, sizeof wanted, 0) == (ssize_t)sizeof wanted) {
                cleanup_close int fd = socket(wanted[0], wanted[1] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (!send_one(socket_to, fd < 0 ? -errno : 0, fd))
                        break;
        }
        _exit(0);
}

int reach_network(struct state *s, int network)
{
        int pair[2], word = -EIO;
        if (s->maker >= 0)
                return 0;
        s->network = fcntl(network, F_DUPFD_CLOEXEC, 3);
        if (s->network < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        int kept[2] = {pair[1], network};
        pid_t pid = fork_with(s, kept, 2);
        if (pid == 0)
                make_sockets(kept[0], kept[1]);
        int code = errno;
        close(pair[1]);
        if (pid < 0 || recv(pair[0], &word, sizeof word, 0) != (ssize_t)sizeof word || word < 0) {
                close(pair[0]);
                return pid < 0 ? -code : word;
        }
        s->maker = pair[0];
        return 0;
}

int reach_socket(struct state *s, int family, int type)
{
        int wanted[2] = {family, type};
        if (s->maker < 0)
                return -ENONET;
        if (send(s->maker, wanted, sizeof wanted, MSG_NOSIGNAL) != (ssize_t)sizeof wanted)
                return -EIO;
        return receive_one(s->maker);
}

int reach_unix(int root, const char *path, int type)
{
        struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                               .resolve = root < 0 ? 0 : RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
        cleanup_close int at = -1;
        /* EAGAIN: something was mounted or renamed meanwhile, anywhere. The caller's time ends it. */
        while ((at = (int)syscall(SYS_openat2, root < 0 ? AT_FDCWD : root, path, &how, sizeof how)) < 0 && errno == EAGAIN)
                ;
        cleanup_close int fd = at < 0 ? -1 : socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        struct stat st;
        if (fd < 0 || fstat(at, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode))
                return -ENOTSOCK;
        snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d", at);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
                return -errno;
        return steal_fd(&fd);
}

static _Noreturn void look_up(int socket_to, int root, int network, const char *path, int type)
{
        int result = network < 0 ? 0 : join_user(network);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        cleanup_close int fd = result < 0 ? result : reach_unix(root, path, type);
        send_one(socket_to, fd < 0 ? fd : 0, fd);
        _exit(0);
}

int reach_name(struct state *s, struct link *l, int side)
{
        struct channel *c = l->channel;
        int pair[2], type = c->spec.kind == CHANNEL_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM;
        if (c->root < 0)
                return -ENOENT;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        int kept[3] = {pair[1], c->root, s->network};
        pid_t pid = fork_with(s, kept, s->network < 0 ? 2 : 3);
        if (pid == 0)
                look_up(kept[0], kept[1], kept[2], c->spec.side[side].path, type);
        int code = errno;
        close(pair[1]);
        if (pid < 0) {
                close(pair[0]);
                return -code;
        }
        struct reach *r = memory_new(sizeof *r);
        *r = (struct reach){.source = {SOURCE_REACH, pair[0], 0}, .link = l, .side = side, .pid = pid,
                            .due = milliseconds() + REACH_TIME, .next = s->reaches};
        s->reaches = r;
        l->reach = r;
        l->state = LINK_REACHES;
        watch(s, &r->source, EPOLLIN);
        return 0;
}

void reach_forget(struct state *s, struct reach *r)
{
        if (r->dead)
                return;
        r->dead = true;
        watch(s, &r->source, 0);
        close(r->source.fd);
        kill(r->pid, SIGKILL);
        struct reach **at = &s->reaches;
        while (*at != r)
                at = &(*at)->next;
        *at = r->next;
        r->next = s->dead_reaches;
        s->dead_reaches = r;
}

void reach_event(struct state *s, struct reach *r)
{
        if (r->dead)
                return;
        int fd = receive_one(r->source.fd);
        struct link *l = r->link;
        reach_forget(s, r);
        link_reached(s, l, r->side, fd);
}

void reaches_expire(struct state *s)
{
        long long now = s->reaches ? milliseconds() : 0;
        struct reach *next;
        for (struct reach *r = s->reaches; r; r = next) {
                next = r->next;
                if (now < r->due)
                        continue;
                struct link *l = r->link;
                reach_forget(s, r);
                link_reached(s, l, r->side, -ETIMEDOUT);
        }
        while (s->dead_reaches) {
                struct reach *r = s->dead_reaches;
                s->dead_reaches = r->next;
                free(r);
        }
}
