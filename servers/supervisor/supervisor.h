// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The supervisor: receives the calls of an environment that are trapped, and has the servers of their roles answer
 * them.
 *
 * Theory of operation. Programs inside have a network namespace of their own, in which there is only loopback. All of
 * their sockets are made there, by the kernel, and what they do with each other costs nothing. Two calls are trapped
 * (seccomp user notification): connect() and listen(). A connect() of a stream socket to an address that is not the
 * environment's own is put to the server of the role. When that allows it, the supervisor, which lives outside,
 * connects a socket of the outer network and puts it in the place of the program's own (SECCOMP_IOCTL_NOTIF_ADDFD).
 * From then on data flows in the kernel, and nobody is asked any more.
 *
 * What is answered by "go on" (FLAG_CONTINUE) is executed with arguments that another thread may have changed since,
 * and with another file behind the number. So nothing is: the address is copied once, the file is fetched once
 * (pidfd_getfd), and the call is made here, on that file. The one exception is connect() of UNIX sockets, whose peers
 * want to know who is there: where Landlock forbids the programs every connect() of TCP sockets (Linux 6.7) the worst
 * that can become of a changed argument is a call that fails. Elsewhere a helper makes it, with the caller's ids,
 * root and directory.
 *
 * A socket of the outer network is never in a program's hands unless it is connected or connecting. It cannot be
 * disconnected (connect() to AF_UNSPEC is refused), nor listen (listen() is made here, after a look at whose socket
 * it is), nor does MSG_FASTOPEN connect it anew (refused by the filter).
 *
 *      listener.c      trapped calls: received, their caller looked at, answered
 *      connect.c       what becomes of a connect(), and connections that are not there yet
 *      inside.c        calls that a helper makes as the caller
 *      exchange.c      a socket in the place of another: options, epoll
 *      role.c          words with the server: started, asked, restarted, replaced
 *      names.c         which name an address was looked up by
 *      resolver.c      the resolver inside; dnsmessage.c: what its messages say
 *      admin.c         what `paddock servers` and `paddock serve` ask
 */
#pragma once

#include "lib/paddock-server.h"
#include "servers/supervisor/word.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTROL 3
#define ASK_LIMIT 10000  /* ms for an answer of the server */
#define PENDING_LIMIT 512 /* calls that wait at the same time; more are refused with EAGAIN */

union address {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
        struct sockaddr_storage room;
};

struct supervisor;

/* A connect() that is under way. */
struct pending {
        struct pending *next;
        uint64_t serial;   /* of the question to the server */
        uint64_t id;       /* of the notification */
        pid_t pid;
        int number;        /* of the descriptor in the caller */
        int inner;         /* the caller's socket; -1: none */
        int outer;         /* being connected, or -1 */
        bool blocking, on_exec;
        bool asked;        /* the server has the question; else it waits for a server */
        union address address;
        socklen_t size;
        int64_t due;
        struct query *query; /* a name that is looked up, instead of all this */
        struct paddock_message question;
};

struct supervisor {
        int control, listener, admin, wake;
        int guard; /* Landlock keeps the programs from connecting TCP sockets */
        uint64_t cookie; /* of the inner network */
        union address own[8]; /* addresses of the inner network beside loopback; there before the listener is */
        size_t own_count;
        pthread_mutex_t lock; /* all below; main holds it while it works, the listener's thread while it judges */
        pthread_t thread;
        struct pending *pending;
        size_t pending_count;
        uint64_t serial;
        struct role {
                char **argv;
                char *directory;
                int socket;
                pid_t pid;
                bool hello; /* it has answered */
                uint32_t wants;
                unsigned restarts, failures; /* the latter since it answered last */
                int status;                  /* how it ended last, -1: never */
                int64_t again, since, pinged;
                uint64_t asked, allowed, refused, late;
                int64_t slowest; /* microseconds */
        } role;
        struct kept *kept; /* answers that hold until FORGET */
        size_t kept_count;
        struct name *names;
        struct resolver *resolver;
        char environment[256];
};

int64_t clock_ms(void);

/* listener.c */
void *listener_main(void *supervisor);
/* Answers a trapped call: a value, or a negative errno. */
void listener_answer(const struct supervisor *s, uint64_t id, int64_t value);
int listener_process(pid_t pid); /* a descriptor of it */
bool listener_still(const struct supervisor *s, uint64_t id);
/* Puts `fd` in the place of the caller's descriptor. 0 or a negative errno. */
int listener_place(const struct supervisor *s, uint64_t id, int fd, int number, bool on_exec);

/* connect.c; the lock is held */
void connect_begin(struct supervisor *s, uint64_t id, pid_t pid, int number, int inner, const union address *address,
                   socklen_t size);
void connect_listen(struct supervisor *s, uint64_t id, pid_t pid, int inner, int backlog);
void connect_answered(struct supervisor *s, struct pending *p, const struct paddock_message *answer, int given);
void connect_progress(struct supervisor *s, struct pending *p);
void connect_refuse(struct supervisor *s, struct pending *p, int code);
/* Its socket, in the network of the environment? */
bool connect_is_inner(const struct supervisor *s, int fd);
void pending_remove(struct supervisor *s, struct pending *p);

/* inside.c: in the caller's namespaces, with its ids. 0 or a negative errno. */
int inside_connect(pid_t pid, int fd, const struct sockaddr *address, socklen_t size);
int inside_listen(pid_t pid, int fd, int backlog);

/* exchange.c */
void exchange_options(int from, int to);
struct registrations {
        struct registration {
                int epoll;
                uint32_t events;
                uint64_t data;
        } items[16];
        size_t count;
};
/* Where the caller's descriptor is registered, before it is replaced; and registering its successor there. */
void exchange_find(pid_t pid, int number, struct registrations *r);
void exchange_register(struct registrations *r, int number, int fd);

/* role.c; the lock is held */
void role_start(struct supervisor *s);
void role_end(struct supervisor *s);
void role_ask(struct supervisor *s, struct pending *p);
void role_hear(struct supervisor *s);
void role_due(struct supervisor *s, int64_t now);
int64_t role_deadline(const struct supervisor *s);
/* Another program serves from now on. Takes both. */
void role_replace(struct supervisor *s, char **argv, char *directory);
bool role_kept(struct supervisor *s, const struct paddock_message *question, struct paddock_message *answer);

/* names.c */
void names_learn(struct supervisor *s, const union address *address, const char *name, uint32_t seconds);
const char *names_find(struct supervisor *s, const union address *address);
void names_clear(struct supervisor *s);

/* resolver.c */
struct pollfd;
struct resolver *resolver_new(const char *upstream);
void resolver_add(struct supervisor *s, int fd);
size_t resolver_poll(struct supervisor *s, struct pollfd *fds, size_t room);
void resolver_ready(struct supervisor *s, const struct pollfd *fds, size_t count);
void resolver_due(struct supervisor *s, int64_t now);
int64_t resolver_deadline(const struct supervisor *s);
void resolver_answered(struct supervisor *s, struct query *q, bool allowed);

/* admin.c */
void admin_accept(struct supervisor *s);
