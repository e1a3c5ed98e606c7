// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The inner workings of paddock-channel. README.md is the contract.
 *
 *      program outside --- [OUTSIDE] link [INSIDE] --- program inside
 *
 * Theory of operation. One thread waits for everything (epoll, level-triggered). Each side of a channel either takes
 * connections or makes them. Where both take them, they meet: the first that came on one side and the first that came
 * on the other are one link. Bytes pass through a pipe (splice), which a link has only while something is in it; so an
 * idle link costs two descriptors, and who does not read holds up no more than one pipe and who writes to it.
 *
 * What is inside is reached without living there: a child in the environment's network makes sockets on demand, and
 * names inside are looked up by a child that is killed when that takes too long, since a hostile file system may never
 * answer (reach.c).
 */
#pragma once

#include "control.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum source_kind { SOURCE_CONTROL, SOURCE_LISTENER, SOURCE_END, SOURCE_REACH, SOURCE_CALL, SOURCE_TALK };
#define owner(type, member, source) ((struct type *)((char *)(source)-offsetof(struct type, member)))
/* What an event of epoll is about: the first member of whatever has one. */
struct source {
        enum source_kind kind;
        int fd;
        uint32_t watched; /* events; 0: not in the set */
};

/* What is on its way from one end to the other. */
struct flow {
        int pipe[2]; /* -1: nothing is held */
        size_t held;
        bool ended;  /* nothing more comes from there */
        bool shut;   /* the other end was told */
};

enum link_state { LINK_WAITS /* for its partner */, LINK_RETRIES, LINK_REACHES, LINK_CONNECTS, LINK_OPEN };
struct link {
        struct end {
                struct source source;
                struct link *link;
        } end[2];
        struct flow flow[2]; /* [OUTSIDE]: what comes from outside */
        struct channel *channel;
        enum link_state state;
        struct reach *reach;
        bool dead;
        struct link *next, *previous;
};

struct channel {
        struct listener {
                struct source source;
                struct channel *channel;
        } listener[2];
        uint64_t id;
        struct channel_spec spec;
        char *text;          /* the commands of EXEC */
        int root;            /* inside, or -1 */
        bool network;        /* the inner side is in a network of its own */
        bool used, dead;
        int failed;          /* what was told last */
        struct link *links;
        size_t count;        /* of links */
        size_t waiting[2];   /* links that have only this end */
        struct call *calls;
        size_t call_count;
        struct talk *talks, *last_talk; /* DATAGRAMS */
        size_t talk_count;
        struct channel *next;
};

struct state {
        int epoll;
        struct source control;
        struct channel *channels, *dead_channels;
        struct link *dead_links;
        struct reach *reaches, *dead_reaches;
        struct call *dead_calls;
        struct talk *dead_talks;
        size_t links, limit; /* talks are counted among the links */
        size_t talks;
        int maker;         /* to the child in the environment's network, or -1 */
        int network;       /* that it lives in, or -1 */
        size_t children;   /* not reaped yet */
        int pipes[64][2];  /* spare ones, empty */
        size_t pipe_count;
        bool retrying;
        char *buffer;
};

#define WAITING_LIMIT 64            /* connections that wait for a partner, for each side of a channel */
#define CALL_LIMIT 16               /* commands that run at once, for each channel */
#define PIPE_ROOM (256 * 1024)
#define MESSAGE_LARGEST (256 * 1024)
#define RETRY_TIME 10               /* ms */
#define REACH_TIME 5000             /* ms */

/* main.c */
/* fork(), for a child that keeps no descriptor but the `count` in `kept`, whose new numbers are put there, from 3
 * on. */
pid_t fork_with(struct state *s, int *kept, size_t count);
/* Sets what is watched for; 0 takes it out of the set. */
void watch(struct state *s, struct source *source, uint32_t events);
long long milliseconds(void);
void tell(struct state *s, struct channel *c, enum channel_type type);
void fail(struct state *s, struct channel *c, int status);

/* channel.c. Descriptors are taken, also when it fails: -1 are not there. */
int channel_add(struct state *s, uint64_t id, int spec, int outer, int inner, int network, int root);
/* Ends it with all that it has. Returns the number of bytes that were under way. */
uint64_t channel_end(struct state *s, struct channel *c);
struct channel *channel_find(struct state *s, uint64_t id);
void channel_accept(struct state *s, struct listener *l);
/* There may be room for more connections. */
void channels_listen(struct state *s);
void channel_used(struct state *s, struct channel *c);

/* link.c */
struct link *link_new(struct state *s, struct channel *c);
void link_open(struct state *s, struct link *l);
/* Has the missing end made. */
void link_connect(struct state *s, struct link *l, int side);
void link_event(struct state *s, struct end *e, uint32_t events);
uint64_t link_end(struct state *s, struct link *l);
void links_retry(struct state *s);

/* reach.c */
/* A socket of that family and type in the environment's network, or a negative errno. */
int reach_socket(struct state *s, int family, int type);
int reach_network(struct state *s, int network);
/* A connection to the name `path` inside: link_connected() is called. */
int reach_name(struct state *s, struct link *l, int side);
void reach_event(struct state *s, struct reach *r);
void reach_forget(struct state *s, struct reach *r);
void reaches_expire(struct state *s);
/* link.c: the socket, or a negative errno. */
void link_reached(struct state *s, struct link *l, int side, int fd);
/* Connects to a UNIX socket that `root` (or AT_FDCWD) and `path` lead to. A socket or a negative errno. */
int reach_unix(int root, const char *path, int type);

/* exec.c */
void call_start(struct state *s, struct channel *c, int fd);
void call_event(struct state *s, struct source *source, uint32_t events);
/* A child has ended: perhaps a command. */
void call_ended(struct state *s, pid_t pid, int status);
uint64_t call_end(struct state *s, struct call *call);
void calls_bury(struct state *s);

/* datagram.c */
/* Has the socket tell which address was written to. */
void datagrams_prepare(int fd);
/* What has come to the bound socket of that side. */
void datagrams_receive(struct state *s, struct channel *c, int side);
void talk_event(struct state *s, struct source *source);
void talk_end(struct state *s, struct talk *t);
void talks_expire(struct state *s);
