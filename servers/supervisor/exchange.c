// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One socket in the place of another: its options, and where it is registered.
 *
 * An epoll keeps a registration by file and number. A program may have registered its socket before it connects
 * (Boost.Asio does), and the successor is another file: so the supervisor registers that, through a copy of the
 * epoll's own descriptor, under the number that the program knows it by. For that a process is needed in which that
 * number is free to take.
 */
#include "supervisor.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What a program sets before it connects. A value that is the new socket's already is not set: to set the size of
 * a buffer ends the kernel's own choice. */
void exchange_options(int from, int to)
{
        static const struct {
                int level, name;
                bool halves; /* the kernel doubles what it is told */
        } options[] = {
                {SOL_SOCKET, SO_KEEPALIVE, false},  {SOL_SOCKET, SO_LINGER, false},    {SOL_SOCKET, SO_OOBINLINE, false},
                {SOL_SOCKET, SO_RCVBUF, true},      {SOL_SOCKET, SO_SNDBUF, true},     {SOL_SOCKET, SO_RCVLOWAT, false},
                {SOL_SOCKET, SO_RCVTIMEO, false},   {SOL_SOCKET, SO_SNDTIMEO, false},  {SOL_SOCKET, SO_PRIORITY, false},
                {SOL_SOCKET, SO_REUSEADDR, false},  {IPPROTO_IP, IP_TOS, false},       {IPPROTO_IP, IP_TTL, false},
                {IPPROTO_IPV6, IPV6_TCLASS, false}, {IPPROTO_IPV6, IPV6_UNICAST_HOPS, false},
                {IPPROTO_TCP, TCP_NODELAY, false},  {IPPROTO_TCP, TCP_KEEPIDLE, false}, {IPPROTO_TCP, TCP_KEEPINTVL, false},
                {IPPROTO_TCP, TCP_KEEPCNT, false},  {IPPROTO_TCP, TCP_USER_TIMEOUT, false},
                {IPPROTO_TCP, TCP_SYNCNT, false},   {IPPROTO_TCP, TCP_NOTSENT_LOWAT, false},
        };
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
                union {
                        int number;
                        char room[32];
                } a = {0}, b = {0};
                socklen_t size = sizeof a, other = sizeof b;
                if (getsockopt(from, options[i].level, options[i].name, &a, &size) < 0 ||
                    getsockopt(to, options[i].level, options[i].name, &b, &other) < 0 ||
                    (size == other && memcmp(&a, &b, size) == 0))
                        continue;
                if (options[i].halves)
                        a.number /= 2;
                setsockopt(to, options[i].level, options[i].name, &a, size);
        }
}

#define LOOKED_AT 512 /* of the caller's descriptors: a program that has more pays nothing, and has registered later */

void exchange_find(pid_t pid, int number, struct registrations *r)
{
        char path[64];
        *r = (struct registrations){0};
        snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
        cleanup_dir DIR *dir = opendir(path);
        cleanup_close int process = listener_process(pid);
        unsigned looked = 0;
        for (struct dirent *entry; dir && (entry = readdir(dir)) && looked < LOOKED_AT; looked++) {
                char kind[64], line[256];
                ssize_t n = readlinkat(dirfd(dir), entry->d_name, kind, sizeof kind - 1);
                kind[n > 0 ? n : 0] = '\0';
                if (strcmp(kind, "anon_inode:[eventpoll]") != 0)
                        continue;
                snprintf(path, sizeof path, "/proc/%d/fdinfo/%.16s", (int)pid, entry->d_name);
                cleanup_file FILE *info = fopen(path, "re");
                while (info && fgets(line, sizeof line, info)) {
                        int target;
                        unsigned events;
                        unsigned long long data;
                        if (sscanf(line, "tfd: %d events: %x data: %llx", &target, &events, &data) != 3 ||
                            target != number || r->count == sizeof r->items / sizeof *r->items)
                                continue;
                        int epoll = (int)syscall(SYS_pidfd_getfd, process, atoi(entry->d_name), 0);
                        if (epoll >= 0)
                                r->items[r->count++] = (struct registration){epoll, events, data};
                }
        }
}

void exchange_register(struct registrations *r, int number, int fd)
{
        if (!r->count)
                return;
        pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (child == 0) {
                for (size_t i = 0; i < r->count; i++) {
                        int epoll = fcntl(r->items[i].epoll, F_DUPFD, number + 1), socket = fcntl(fd, F_DUPFD, number + 1);
                        struct epoll_event event = {.events = r->items[i].events, .data.u64 = r->items[i].data};
                        if (epoll >= 0 && socket >= 0 && dup2(socket, number) >= 0)
                                epoll_ctl(epoll, EPOLL_CTL_ADD, number, &event);
                        close(epoll);
                        close(socket);
                }
                _exit(0);
        }
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        while (r->count)
                close(r->items[--r->count].epoll);
}
