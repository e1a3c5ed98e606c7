// SPDX-License-Identifier: GPL-3.0-or-later
/* Messages over a UNIX socket, with descriptors or without. */
#pragma once

#include <stddef.h>

#define PASS_LIMIT 8 /* descriptors with one message */

/* Sends `size` bytes as one message, with a copy of `fd` when it is not negative. Returns 0 or a negative errno. */
int pass_send(int socket, const void *data, size_t size, int fd);

/* The same with `count` descriptors. Never waits: -EAGAIN when the socket is full. */
int pass_send_all(int socket, const void *data, size_t size, const int *fds, size_t count);

/* Receives one message of at most `size` bytes and its descriptors, which are closed on exec; *count says how many came
 * (at most PASS_LIMIT). Never waits. Returns its length, 0 at the end, -EAGAIN when there is none, -EMSGSIZE when it or
 * its descriptors were too many (nothing of it is kept). */
int pass_receive_all(int socket, void *data, size_t size, int fds[PASS_LIMIT], size_t *count);
