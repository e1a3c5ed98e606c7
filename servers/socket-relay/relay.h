// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The relay's inner workings. One thread waits for everything (epoll, edge-triggered); a second closes descriptors that
 * passed through (closer.h). README.md is the contract.
 *
 *      program inside --- inner | link | outer --- server outside
 *
 * Theory of operation. Nothing is kept in the relay: bytes are looked at where they lie in the kernel's queue
 * (MSG_PEEK), sent on, and only what was taken by the other side is then removed from the queue. So a slow reader holds
 * up its writer as it would without us, an interrupted message is never half lost, and a connection costs the size of
 * its struct. (But for struct held.)
 *
 * Descriptors belong to the first byte of the message that they came with, also in a stream, and whoever reads the
 * bytes before it with read() must not lose them: stream.c finds that byte.
 */
#pragma once

#include "control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What an event of epoll is about: the first member of whatever has one. */
enum source_kind { SOURCE_CONTROL, SOURCE_LISTENER, SOURCE_INNER, SOURCE_OUTER };
struct source {
        enum source_kind kind;
        int fd;
};

enum { INNER, OUTER };

/* Bytes of a stream that were taken out of the queue, to find the one that brings descriptors (stream.c). */
#define HELD_ROOM 4096
struct held {
        size_t size;  /* bytes */
        size_t at;    /* so many come before the descriptors */
        size_t rest;  /* so many in the queue are of the same part */
        size_t count; /* descriptors */
        int *fds;
        char bytes[HELD_ROOM];
};

struct link {
        struct source end[2]; /* INNER, OUTER */
        struct grant *grant;
        struct link *next, *previous; /* of the same grant */
        struct link *queued;          /* the next in the list `ready` or `later` */
        enum { QUEUED_NOT, QUEUED_READY, QUEUED_LATER } queue;
        bool connected, dead;
        bool readable[2], writable[2], hung_up[2];
        bool ended[2]; /* [INNER]: nothing more comes from inside; [OUTER]: from outside */
        struct held *held[2]; /* of what came from there, or NULL */
};

struct grant {
        struct source listener;
        uint64_t id;
        int outer; /* O_PATH */
        char *path; /* by which it was found; NULL: by none */
        int64_t since; /* the clock's nanoseconds when it was granted */
        int type;  /* SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM */
        bool once, spent, stalled; /* stalled: not listening, for want of descriptors */
        bool used;
        int failed;       /* what was told last */
        unsigned pending; /* events that the warden has yet to be told: bits of 1 << (type - RELAY_DONE) */
        struct link *links;
        size_t count;
        struct grant *next;
};

struct relay {
        int epoll;
        struct source control;
        struct grant *grants;
        struct grant *dead_grants;       /* freed when no event can name them any more, as `dead` */
        struct link *ready, *later, *dead;
        size_t links, limit;             /* how many there are and may be */
        bool stalled;                    /* some grant is */
        bool told_all;                   /* nothing waits to be told to the warden */
        struct relay_message answer;     /* that waits for room in the control socket */
        bool answering;
        long long tried;                 /* ms; when `later` had its turn */
        struct closer *closer;
        char *buffer;
        size_t room;                     /* of buffer */
};

#define RELAY_ROOM (256 * 1024)           /* bytes looked at in one go: what fits into a socket by default */
#define RELAY_LARGEST (8 * 1024 * 1024)   /* of a SEQPACKET or DGRAM message */
#define RELAY_DESCRIPTORS 253             /* as many as the kernel passes with one message */
#define RELAY_TURN 8                      /* messages or pieces that a link may pass before others have their turn */
#define RELAY_TICK 10                     /* ms after which what could not be done is tried again */

/* control.c: one message of the warden. Takes the descriptors. Returns the status of its answer. */
int control_take(struct relay *r, const struct relay_message *message, size_t size, int *fds, size_t count,
                 uint64_t *lost);
/* Reads what the warden says and answers. Returns false at the end. */
bool control_read(struct relay *r);
/* Tells the warden `type` (RELAY_USED, ...) of the grant, now or when there is room. */
void control_tell(struct relay *r, struct grant *g, enum relay_type type);
/* There is room in the control socket. */
void control_flush(struct relay *r);

/* grant.c. `listener` and `outer` are taken, also when it fails. 0 or a negative errno. */
int grant_add(struct relay *r, uint64_t id, uint32_t flags, int listener, int outer);

/* successor.c. The name by which `fd` is found now, fresh memory, or NULL. */
char *successor_name(int fd);
int64_t successor_now(void);
/* Nobody listens at the outer socket any more: is there a new one by its name? Then g->outer is that. */
bool successor_find(struct grant *g);
struct grant *grant_find(struct relay *r, uint64_t id);
/* Ends it with all its connections. Returns the number of bytes that were under way. */
uint64_t grant_end(struct relay *r, struct grant *g);
void grant_accept(struct relay *r, struct grant *g);
void grant_used(struct relay *r, struct grant *g);
/* A connection has ended. */
void grant_lost_link(struct relay *r, struct grant *g);

/* What became of one piece. */
enum piece { PIECE_PASSED, PIECE_EMPTY, PIECE_FULL, PIECE_LATER, PIECE_END, PIECE_REFUSED, PIECE_BROKEN };

/* A message that was looked at: `size` bytes in the buffer. */
struct looked {
        ssize_t size;
        int fds[RELAY_DESCRIPTORS];
        size_t count;
        bool more;   /* descriptors come with it, and were not taken */
        bool marked; /* SO_TIMESTAMP was answered: it is a message, not the end */
};

/* piece.c: looking and sending. look(): the next `length` bytes, or the next message; `take`: with its descriptors.
 * Returns 0 or a negative errno. pass(): how many bytes were taken, or a negative errno; refusal(): what that means. */
int look(struct relay *r, int fd, size_t length, bool take, struct looked *looked);
ssize_t pass(int fd, const char *data, size_t size, const int *fds, size_t count);
enum piece refusal(ssize_t error);

/* stream.c: the next piece of a stream that comes from `side`. */
enum piece pass_stream(struct relay *r, struct link *l, int side);
/* Lets go of what is held. Returns how many bytes it was. */
size_t held_drop(struct relay *r, struct held **held);

/* link.c. `inner` is taken. */
int link_start(struct relay *r, struct grant *g, int inner);
void link_work(struct relay *r, struct link *l);
void link_event(struct relay *r, struct link *l, int side, uint32_t events);
uint64_t link_end(struct relay *r, struct link *l);
/* Another turn for those that had too much to do, or were to wait. */
void link_turn(struct relay *r, struct link **list);

/* relay.c: everything else. */
int relay_start(struct relay *r, int control);
/* Waits for events once and works. Returns false at the end of the control socket. */
bool relay_once(struct relay *r, int timeout);
void relay_bury(struct relay *r);
void relay_end(struct relay *r);
int relay_watch(struct relay *r, struct source *source, uint32_t events);
