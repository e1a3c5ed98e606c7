// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The rights of a started environment: what the warden's loop calls.
 *
 * Nothing in here waits. Requests come with grants_request(); what was begun goes on in the callbacks of orders
 * (warden.h), when a server's socket is readable (grants_poll(), grants_ready()), or when something is due
 * (grants_deadline(), grants_due()).
 *
 * After set-up the warden can call nothing but what host/linux/isolate.c lists: sockets, files in the environment's
 * directory, clocks. It cannot execute a server: the client does, and sends the socket (MESSAGE_SERVER).
 */
#pragma once

#include "warden/warden.h"

#include <poll.h>

struct grants;

struct grants *grants_new(struct warden *w);
void grants_free(struct grants *g);

/* MESSAGE_GRANT, REVOKE, GRANTS, ASK, REPLY, or SERVER. Answers now or later, always once. Of `fds` it takes those that
 * it sets to -1; the caller closes the others. */
void grants_request(struct grants *g, struct asker asker, const struct message *m, int *fds, size_t count);

/* The name inside of a right that is on `path` or below it, or NULL. Valid until the next request. */
const char *grants_below(const struct grants *g, const char *path);

/* Someone listens from now on: the questions that are open are told. */
void grants_listener(struct grants *g, struct asker asker);

/* Adds the descriptors that it waits for, at most `room`. Returns how many. grants_ready() gets the same ones back. */
size_t grants_poll(struct grants *g, struct pollfd *fds, size_t room);
void grants_ready(struct grants *g, const struct pollfd *fds, size_t count);

/* Milliseconds of the boot clock (sleep included) at which something is due, or -1. */
int64_t grants_deadline(const struct grants *g);
void grants_due(struct grants *g, int64_t now);
