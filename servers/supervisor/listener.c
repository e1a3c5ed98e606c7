// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Trapped calls: received, their caller looked at, answered.
 *
 * To wait for a notification may take for ever when the one that woke us was taken back, so a thread does nothing
 * else. The number of a process means the caller only as long as its notification is still there, which is asked
 * after everything that was opened by that number.
 */
#include "supervisor.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#define SYNC_WAKE_UP 1UL /* SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6: whoever is answered runs here */

/* The kernel may know larger ones than we do, and writes its own size. */
union notice {
        struct seccomp_notif notif;
        char room[512];
};
union response {
        struct seccomp_notif_resp response;
        char room[512];
};

static void respond(const struct supervisor *s, uint64_t id, int64_t value, uint32_t flags)
{
        union response r = {.response = {.id = id, .flags = flags}};
        if (value < 0)
                r.response.error = (int32_t)value;
        else
                r.response.val = value;
        ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &r); /* ENOENT: nobody waits for it any more */
}

void listener_answer(const struct supervisor *s, uint64_t id, int64_t value)
{
        respond(s, id, value, 0);
}

bool listener_still(const struct supervisor *s, uint64_t id)
{
        return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

int listener_place(const struct supervisor *s, uint64_t id, int fd, int number, bool on_exec)
{
        struct seccomp_notif_addfd add = {.id = id,
                                          .flags = SECCOMP_ADDFD_FLAG_SETFD,
                                          .srcfd = (uint32_t)fd,
                                          .newfd = (uint32_t)number,
                                          .newfd_flags = on_exec ? O_CLOEXEC : 0};
        return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? -errno : 0;
}

/* What a thread of its own does, because it may take long: a call on the caller's file that may block. */
struct errand {
        struct supervisor *s;
        uint64_t id;
        pid_t pid;
        int fd, backlog;
        bool inside, listens;
        union address address;
        socklen_t size;
};

#define ERRANDS 64
static _Atomic int errands;

static void *run_errand(void *argument)
{
        struct errand *e = argument;
        int result;
        if (e->listens)
                result = inside_listen(e->pid, e->fd, e->backlog);
        else if (e->inside)
                result = inside_connect(e->pid, e->fd, &e->address.any, e->size);
        else
                result = connect(e->fd, &e->address.any, e->size) < 0 ? -errno : 0;
        listener_answer(e->s, e->id, result);
        close(e->fd);
        free(e);
        errands--;
        return NULL;
}

static void send_on_errand(const struct errand *what)
{
        struct errand *e = malloc(sizeof *e);
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, 128 * 1024);
        bool sent = e && errands < ERRANDS;
        if (sent) {
                *e = *what;
                errands++;
                sent = pthread_create(&thread, &attributes, run_errand, e) == 0;
                errands -= !sent;
        }
        pthread_attr_destroy(&attributes);
        if (sent)
                return;
        free(e);
        close(what->fd);
        listener_answer(what->s, what->id, -EAGAIN);
}

static int number_of(int fd, int level, int name)
{
        int value = -1;
        socklen_t size = sizeof value;
        return getsockopt(fd, level, name, &value, &size) < 0 ? -1 : value;
}

bool connect_is_inner(const struct supervisor *s, int fd)
{
        uint64_t cookie = 0;
        socklen_t size = sizeof cookie;
        return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 && cookie == s->cookie;
}

/* Loopback, and what was made an address of it for the resolver. */
static bool is_own(const struct supervisor *s, const union address *a)
{
        for (size_t i = 0; i < s->own_count; i++) {
                const union address *own = &s->own[i];
                if (own->any.sa_family != a->any.sa_family)
                        continue;
                if (a->any.sa_family == AF_INET ? own->four.sin_addr.s_addr == a->four.sin_addr.s_addr
                                                : IN6_ARE_ADDR_EQUAL(&own->six.sin6_addr, &a->six.sin6_addr))
                        return true;
        }
        if (a->any.sa_family == AF_INET) {
                uint32_t host = ntohl(a->four.sin_addr.s_addr);
                return host >> 24 == 127 || host == 0;
        }
        const struct in6_addr *six = &a->six.sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six))
                return six->s6_addr[12] == 127 || memcmp(six->s6_addr + 12, "\0\0\0\0", 4) == 0;
        return IN6_IS_ADDR_LOOPBACK(six) || IN6_IS_ADDR_UNSPECIFIED(six);
}

#define PIDFD_OF_THREAD O_EXCL /* PIDFD_THREAD, Linux 6.9 */

/* The caller may be a thread that leads no group. Before Linux 6.9 only its leader can be named, which has the
 * same descriptors unless the program took pains; one that did gets an answer about another of its own files. */
int listener_process(pid_t pid)
{
        int process = (int)syscall(SYS_pidfd_open, pid, 0);
        if (process < 0)
                process = (int)syscall(SYS_pidfd_open, pid, PIDFD_OF_THREAD);
        if (process >= 0)
                return process;
        char path[64], line[128];
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        cleanup_file FILE *status = fopen(path, "re");
        int leader = 0;
        while (status && fgets(line, sizeof line, status) && sscanf(line, "Tgid: %d", &leader) != 1)
                ;
        return leader ? (int)syscall(SYS_pidfd_open, leader, 0) : -1;
}

/* The caller's socket, or a negative errno as the kernel would give it. */
static int fetch(const struct supervisor *s, uint64_t id, pid_t pid, int number)
{
        cleanup_close int process = listener_process(pid);
        int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, number, 0);
        if (fd < 0)
                return errno == EBADF ? -EBADF : -EACCES;
        if (!listener_still(s, id)) {
                close(fd);
                return -ESRCH;
        }
        return fd;
}

static void judge_connect(struct supervisor *s, const struct seccomp_notif *n)
{
        union address address = {0};
        uint64_t wanted = n->data.args[2];
        if ((int)n->data.args[0] < 0 || (uint32_t)wanted > sizeof address || (int)wanted < 0) {
                respond(s, n->id, (int)n->data.args[0] < 0 ? -EBADF : -EINVAL, 0);
                return;
        }
        socklen_t size = (socklen_t)wanted;
        struct iovec to = {&address, size}, from = {(void *)(uintptr_t)n->data.args[1], size};
        ssize_t got = size ? process_vm_readv((pid_t)n->pid, &to, 1, &from, 1, 0) : 0;
        if (got != (ssize_t)size) {
                /* A process on its way to a program, which is nobody's to read, asks for a cache of names: there
                 * is none. */
                respond(s, n->id, got < 0 && errno == EFAULT ? -EFAULT : -ECONNREFUSED, 0);
                return;
        }
        int fd = fetch(s, n->id, (pid_t)n->pid, (int)n->data.args[0]);
        if (fd < 0) {
                respond(s, n->id, fd, 0);
                return;
        }
        int domain = number_of(fd, SOL_SOCKET, SO_DOMAIN), type = number_of(fd, SOL_SOCKET, SO_TYPE);
        struct errand errand = {.s = s, .id = n->id, .pid = (pid_t)n->pid, .fd = fd, .address = address, .size = size};
        if (domain < 0) {
                respond(s, n->id, -ENOTSOCK, 0);
        } else if (domain == AF_UNIX) {
                /* An abstract name is of the inner network already. */
                errand.inside = size > offsetof(struct sockaddr, sa_data) && address.any.sa_data[0];
                if (s->guard) {
                        respond(s, n->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
                } else {
                        send_on_errand(&errand);
                        return;
                }
        } else if (type == SOCK_DGRAM || type == SOCK_RAW) {
                respond(s, n->id, connect(fd, &address.any, size) < 0 ? -errno : 0, 0); /* which waits for nobody */
        } else if ((domain != AF_INET && domain != AF_INET6) || type != SOCK_STREAM) {
                send_on_errand(&errand);
                return;
        } else if (size < sizeof(sa_family_t)) {
                respond(s, n->id, -EINVAL, 0);
        } else if (address.any.sa_family == AF_UNSPEC) {
                bool inner = connect_is_inner(s, fd);
                respond(s, n->id, !inner ? -EOPNOTSUPP : connect(fd, &address.any, size) < 0 ? -errno : 0, 0);
        } else if (address.any.sa_family != domain) {
                respond(s, n->id, -EAFNOSUPPORT, 0);
        } else if (size < (domain == AF_INET ? sizeof address.four : offsetof(struct sockaddr_in6, sin6_scope_id))) {
                respond(s, n->id, -EINVAL, 0);
        } else if (is_own(s, &address) && connect_is_inner(s, fd)) {
                if (fcntl(fd, F_GETFL) & O_NONBLOCK) {
                        respond(s, n->id, connect(fd, &address.any, size) < 0 ? -errno : 0, 0);
                } else {
                        send_on_errand(&errand);
                        return;
                }
        } else {
                pthread_mutex_lock(&s->lock);
                connect_begin(s, n->id, (pid_t)n->pid, (int)n->data.args[0], fd, &address, size);
                pthread_mutex_unlock(&s->lock);
                return;
        }
        close(fd);
}

static void judge_listen(struct supervisor *s, const struct seccomp_notif *n)
{
        int fd = fetch(s, n->id, (pid_t)n->pid, (int)n->data.args[0]);
        int domain = fd < 0 ? -1 : number_of(fd, SOL_SOCKET, SO_DOMAIN), backlog = (int)n->data.args[1];
        if (fd < 0) {
                respond(s, n->id, fd, 0);
        } else if (domain == AF_UNIX) {
                struct errand errand = {.s = s, .id = n->id, .pid = (pid_t)n->pid, .fd = fd, .backlog = backlog, .listens = true};
                send_on_errand(&errand);
                return;
        } else if (domain < 0) {
                respond(s, n->id, -ENOTSOCK, 0);
        } else if (!connect_is_inner(s, fd)) {
                respond(s, n->id, -EACCES, 0); /* it would listen on the network outside */
        } else {
                respond(s, n->id, listen(fd, backlog) < 0 ? -errno : 0, 0);
        }
        if (fd >= 0)
                close(fd);
}

void *listener_main(void *supervisor)
{
        struct supervisor *s = supervisor;
        ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP); /* an older kernel does without */
        for (;;) {
                struct pollfd wait = {.fd = s->listener, .events = POLLIN};
                if (poll(&wait, 1, -1) < 0 && errno != EINTR)
                        return NULL;
                if (wait.revents & (POLLHUP | POLLERR))
                        return NULL; /* nobody is left who could call */
                if (!(wait.revents & POLLIN))
                        continue;
                union notice notice = {0};
                if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) < 0)
                        continue; /* it was taken back: the caller was killed, or got a signal */
                if (notice.notif.data.nr == SYS_connect)
                        judge_connect(s, &notice.notif);
                else if (notice.notif.data.nr == SYS_listen)
                        judge_listen(s, &notice.notif);
                else
                        respond(s, notice.notif.id, -ENOSYS, 0);
        }
}
