// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * One right of a started environment, from its beginning to its end. Private to the warden; grants.c has the table and
 * the requests.
 *
 *      STARTING   init mounts, the server is told
 *      ACTIVE     it can be used
 *      ENDING     the server takes it back, then init unmounts
 *
 * Each step is begun here and goes on in a callback; a right is freed when nothing is under way for it any more.
 */
#pragma once

#include "model/grant.h"
#include "warden/grants.h"
#include "warden/servers.h"

enum right_state { RIGHT_STARTING, RIGHT_ACTIVE, RIGHT_ENDING };

/* Somebody waits until several rights have ended. */
struct ending_rights {
        struct asker asker;
        enum message_type type;
        size_t left, count; /* not ended yet; all. While they are told to end, `left` counts one more */
        uint64_t lost;
};

struct right {
        struct grants *table;
        uint64_t id;
        struct grant grant; /* resource and inside are set; expiry is EXPIRY_NEVER or EXPIRY_TIME */
        char *by;
        bool grouped;          /* `gid` inside stands for the right: it is one identity's */
        unsigned gid;
        int64_t since, used;   /* seconds since 1970; used: 0 not yet */
        int64_t due;           /* ms of the boot clock, or -1 */
        enum right_state state;
        bool asked;            /* `asker` waits for its beginning */
        struct asker asker;
        int handle;            /* of the mount, -1 */
        int fds[6];            /* the thing, the listener, the tree; until they were handed on. A channel: RIGHT_* */
        unsigned parts;        /* of a channel: enum channel_bring */
        bool reaching;         /* init opens something for it */
        bool served;           /* the server knows it */
        bool looking;          /* init looks at it */
        bool end_soon;         /* it is to end as soon as it has begun */
        const char *why;       /* it ends: an event's word */
        char *ended_by;        /* by whose word; NULL: nobody's */
        struct error failed;   /* why it could not begin */
        uint64_t lost;
        bool asks;             /* it is a placeholder: whoever uses it waits for an answer */
        struct question *question;
        int64_t quiet_until;   /* ms: nobody is asked before */
        uint64_t replaced;     /* the right that takes the placeholder's place */
        uint64_t replaces;     /* the placeholder */
        bool asks_again;       /* when it ends, a placeholder stands there again */
        bool busy;             /* its mount is being taken away, for another one */
        bool silent;           /* its end is no event */
        enum message_type type; /* of the answer to `asker` */
        int user;              /* once: pid outside of who used it first; 0 */
        unsigned long long user_started;
        struct ending_rights **waiting;
        size_t waiting_count, waiting_capacity;
};

struct grants {
        struct warden *warden;
        struct right **rights; /* by id */
        size_t count, capacity;
        uint64_t last_id, last_question;
        struct server servers[SERVER_KINDS];
        int audit;             /* env/NAME/audit.jsonl */
        bool unsaved;          /* the kept ones have changed */
        unsigned uid, gid;     /* the owner's numbers inside */
        bool numbered;
};

/* The descriptors of a channel, in the order in which they go to its server; the tree goes to init. */
enum { RIGHT_SPEC, RIGHT_OUTER, RIGHT_TREE, RIGHT_INNER, RIGHT_NETWORK, RIGHT_ROOT };

#define RIGHT_LIMIT 4096
#define TEXT_LIMIT 4095 /* bytes of a name in a message */

/* rights.c */
void right_begin(struct right *r);
/* Ends it; `waiting` may be NULL. `why`: "revoked", "expired", ... */
void right_end(struct right *r, const char *why, struct ending_rights *waiting);
void right_hear(struct right *r, const struct server_news *news);
/* The server that it lives in is gone. */
void right_orphan(struct right *r);
/* Fields of a GRANTS answer. */
void right_describe(const struct right *r, struct message_out *m);
/* One of those that `waiting` waits for has ended. */
void ending_rights_done(struct grants *g, struct ending_rights *waiting);
struct server *right_server(struct right *r); /* NULL: it needs none */
void right_free(struct right *r);
/* Nothing of it is left: it is taken out of the table and freed. */
void right_finish(struct right *r);

/* grants.c: it is over, and no more in the table. */
void grants_remove(struct grants *g, struct right *r);
struct right *right_new(struct grants *g, struct asker asker, enum message_type type);
/* Gives it a number and a place in the table. */
void grants_enter(struct grants *g, struct right *r);
struct right *grants_find(const struct grants *g, uint64_t id);

/* revoke.c: answers when nothing of what is meant is usable any more. */
void revoke_request(struct grants *g, struct asker asker, const struct message *m);

/* ask.c: see there. */
void ask_question(struct right *r, const struct server_news *news);
void ask_withdrawn(struct right *r, uint64_t serial);
void ask_reply(struct grants *g, struct asker asker, const struct message *m, int *fds, size_t count);
/* The right that was to take its place is there, or not. */
void ask_replaced(struct right *placeholder, bool good);
/* Tells one who listens from now on what is open. */
void ask_listener(struct grants *g, struct asker asker);
int64_t ask_due(const struct right *r);
void ask_expire(struct right *r, int64_t now);
void ask_forget(struct right *r);

/* audit.c */
int audit_open(int directory);
/* One line: what happened, with the right it happened to (may be NULL) and a text (may be NULL). */
void audit(struct grants *g, const char *event, const struct right *r, const char *text);

/* inside.c: processes of the environment as they are outside. `init` is its first process. Returns the pid outside of
 * the one that is `pid` inside, or 0; `started` tells it from a later one with the same number. */
int inside_find(int init, unsigned pid, unsigned long long *started);
bool inside_lives(int pid, unsigned long long started);
/* The command line of the process, for people: fresh memory. */
char *inside_title(int pid);
