// SPDX-License-Identifier: GPL-3.0-or-later
/* The other end of the control socket: what verbs use. Calls wait for their answers. */
#pragma once

#include "base/error.h"
#include "warden/protocol.h"

struct client {
        int socket; /* -1: closed */
        uint32_t serial;
        struct message_out out;
        unsigned char *sent, *received; /* MESSAGE_LIMIT bytes each */
        struct message answer;          /* the last one; valid until the next is received */
};
#define CLIENT_CLOSED ((struct client){.socket = -1})
#define cleanup_client __attribute__((cleanup(client_close)))

/* Connects to the warden of the environment whose directory is open. -ECONNREFUSED or -ENOENT, with no message, when
 * there is none. */
int client_open(struct client *c, int directory, struct error *err);
void client_close(struct client *c);

/* Begins a request; fields are added to what it returns. */
struct message_out *client_begin(struct client *c, enum message_type type);
/* Sends it, and waits for the first answer. 1: there is one, in c->answer; an error that it tells is returned.
 * -EPIPE: the warden ended. What the warden says unasked meanwhile is passed over. */
int client_call(struct client *c, const int *fds, size_t count, struct error *err);
/* After an answer with MESSAGE_MORE: the next one. 0: there is none. */
int client_next(struct client *c, struct error *err);
/* Waits for the next message of any kind, at most `timeout` ms (-1: for ever). 1: in c->answer; 0: none came. */
int client_receive(struct client *c, int timeout, struct error *err);
