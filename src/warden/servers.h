// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The servers that stand between an environment and what it was granted, as the warden speaks with them: files-grant
 * for trees and files, socket-relay for sockets, channel for channels (their control.h have the words). Sending never
 * waits: what the server has no room for yet is kept, in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum server_kind { SERVER_FILES, SERVER_SOCKETS, SERVER_CHANNELS };
#define SERVER_KINDS 3

struct server {
        enum server_kind kind;
        int socket;            /* -1: not started */
        struct unsent *first, **last;
};
#define SERVER_NONE(kind_) ((struct server){.kind = (kind_), .socket = -1})

/* What a tree or file is shown as. */
struct server_tree {
        bool writable, file, noexec, ask;
        bool group;         /* `gid` stands for the right */
        unsigned uid, gid;
        unsigned mode;      /* of a placeholder */
};

/* Descriptors are taken, also when it fails: the server's end is seen when it is heard. */
void server_add_tree(struct server *s, uint64_t id, const struct server_tree *tree, int device, int source);
void server_add_socket(struct server *s, uint64_t id, bool once, int listener, int outer);
/* `fds`: those that `parts` (enum channel_bring) name, after the one that says what it is. */
void server_add_channel(struct server *s, uint64_t id, unsigned parts, const int *fds, size_t count);
void server_revoke(struct server *s, uint64_t id);
void server_answer(struct server *s, uint64_t id, uint64_t serial, bool yes);

/* Sends what waits; is there still something? */
bool server_flush(struct server *s);
void server_close(struct server *s);

enum server_word {
        SERVER_ADDED,     /* status */
        SERVER_REVOKED,   /* status, lost, stuck */
        SERVER_USED,      /* pid, uid, writes */
        SERVER_GONE,      /* it ended by itself */
        SERVER_FAILED,    /* status: nobody answers outside */
        SERVER_QUESTION,  /* serial, pid, uid, name */
        SERVER_WITHDRAWN, /* serial */
        SERVER_NOTHING,   /* a word of no meaning here */
};

struct server_news {
        enum server_word word;
        uint64_t id, lost, serial;
        int status;
        unsigned stuck, pid, uid;
        bool writes;
        char name[128];
};

/* 1; 0: the server has ended; -EAGAIN: it said nothing. */
int server_hear(struct server *s, struct server_news *news);
