// SPDX-License-Identifier: GPL-3.0-or-later
/* What the parts of the warden share: private to this room. */
#pragma once

#include "host/living.h"
#include "model/environment.h"
#include "warden/grants.h"
#include "warden/run.h"
#include "warden/views.h"

#include <poll.h>
#include <sys/types.h>

#define CONNECTION_LIMIT 64
#define REQUEST_BURST 256 /* requests at once, and */
#define REQUEST_RATE 32   /* a second, of one connection */
#define HELLO_TIME 5000   /* ms */
#define FEED_LIMIT 256
#define CONSOLE_WATCHERS 16
#define POLL_LIMIT (4 + CONNECTION_LIMIT + FEED_LIMIT + 1 + CONSOLE_WATCHERS + 16)

/* A message that the receiver's socket had no room for. */
struct queued {
        struct queued *next;
        size_t size;
        unsigned char bytes[];
};
#define QUEUE_LIMIT (1u << 20) /* bytes; who reads no faster is dropped */

struct connection {
        uint32_t id;
        int fd; /* -1: it is over, and removed at the end of this turn */
        bool known, listens; /* it said HELLO, LISTEN */
        int64_t since;       /* of its opening, or of the last refill */
        unsigned credit;     /* requests that it may make now */
        struct queued *first, **last;
        size_t queued;
};

/* One of `run:`. */
struct program {
        char *name, *title;
        int payload;
        bool boot; /* the environment's own init: the environment ends with it */
        enum restart_policy policy;
        enum session_state state;
        uint32_t session;  /* of its last start */
        int pid;           /* inside */
        int64_t since;     /* seconds since 1970, of the state */
        int64_t started;   /* ms */
        int64_t due;       /* ms: WAITING */
        unsigned restarts, attempt;
        int status;
};

/* A program that somebody entered with. */
struct session {
        uint32_t id;
        char *title;
        int pid; /* inside; 0: not started yet */
        int64_t since;
        struct asker asker; /* until it is started */
};

/* A pipe out of the environment that goes into the log. */
struct feed {
        int fd;
        char *name;
        char *line; /* what has come of a line that has not ended; NULL: none */
        size_t length;
};

struct ending {
        struct asker asker;
        enum message_type type;
};

struct log {
        int directory, fd;
        size_t size, limit;
        uint64_t lost; /* bytes that could not be written */
};

struct pending_order {
        struct order *order;
        int fd;
        bool sent;
        order_done *done;
        void *context;
};

struct warden {
        char *name;
        int directory, init_socket, listening, lock;
        int starter; /* a pipe; when it ends, so does the environment. Or -1 */
        pid_t init;
        int64_t since; /* seconds since 1970 */
        uint32_t next_connection, next_id;
        struct connection *connections;
        size_t connection_count, connection_capacity;
        struct program *programs;
        size_t program_count, program_capacity;
        struct session *sessions;
        size_t session_count, session_capacity;
        struct feed *feeds;
        size_t feed_count, feed_capacity;
        struct pending_order *orders;
        size_t order_count, order_capacity;
        struct ending *endings; /* who waits for the end */
        size_t ending_count, ending_capacity;
        struct asker *waiters; /* and for the programs of `run:` */
        size_t waiter_count, waiter_capacity;
        bool at_once; /* it was killed because that was asked for */
        bool overdue; /* the grace ran out, and everything was killed */
        bool stopping, waits; /* waits: for BEGIN, until `begin_by` */
        int64_t begin_by;
        int64_t deadline; /* of the grace */
        uint64_t memory;  /* the limit that is watched, or 0 */
        enum limit_over over;
        uint64_t memory_used;
        int64_t measure_at; /* ms; -1: a measurement is under way */
        bool memory_told;
        struct log log;
        struct grants *grants;
        struct views *views;
        struct console *console; /* NULL: no init of its own */
        struct message_out out;
};

/* control.c: connections and requests. */
void control_accept(struct warden *w);
short control_events(struct connection *c, int64_t now); /* what it is to be polled for */
void control_ready(struct warden *w, uint32_t connection, short events);
int64_t control_deadline(const struct warden *w, int64_t now); /* ms, or -1 */
void control_due(struct warden *w, int64_t now);
void control_close_all(struct warden *w);

/* sessions.c: what runs. */
void sessions_start(struct warden *w);
void sessions_enter(struct warden *w, struct asker asker, const struct message *m, const int *fds, size_t count);
void sessions_news(struct warden *w, const struct news *news);
int64_t sessions_deadline(const struct warden *w);
void sessions_due(struct warden *w, int64_t now);
void sessions_status(struct warden *w, struct asker asker);
bool sessions_programs_over(const struct warden *w, int *status);
void sessions_tell_waiters(struct warden *w);

/* log.c */
void log_open(struct log *log, int directory);
void log_line(struct log *log, const char *name, const char *line, size_t length);
/* A new feed; returns the end for the program, or a negative errno. */
int log_feed(struct warden *w, const char *name);
void log_ready(struct warden *w, int fd);

/* console.c */
void console_expect(struct warden *w);                   /* there will be one; before isolation */
void console_take(struct warden *w, int fd);             /* a fresh one */
void console_line(struct warden *w, const char *line); /* said by the warden itself */
size_t console_poll(struct warden *w, struct pollfd *fds, int64_t now); /* how many; CONSOLE_WATCHERS + 1 at most */
int64_t console_deadline(const struct warden *w);
void console_ready(struct warden *w, const struct pollfd *fds, int64_t now);
void console_request(struct warden *w, struct asker asker, const struct message *m, int *fds, size_t count);
void console_end(struct warden *w);

/* limits.c: what is watched. */
int64_t limits_deadline(const struct warden *w);
void limits_due(struct warden *w, int64_t now);

/* orders.c */
void orders_news(struct warden *w, const struct news *news, int *fd);

/* warden.c */
void warden_stop(struct warden *w, int64_t grace);
