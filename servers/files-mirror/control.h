// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The socket between the server and the environment's init (SOCK_SEQPACKET, one letter a message, a descriptor with
 * it or none):
 *
 *      f  to the server: /dev/fuse, opened in the environment; the first message
 *      l  to the server, followed by a number: the process that lists for it, as init numbers processes; with a socket to it, which takes
 *         d, w and n
 *      g  to the server: give /dev/fuse back as well; to init: here it is
 *      s  to init: drop the names that overlays above keep
 *      d  to init, followed by a name relative to the root: list that directory, for the sake of what the kernel learns by it
 *      w, n  to init, followed by two numbers and such a name: list what a walk comes to after that directory, in the order in
 *         which directories are listed (w), or that directory and what comes after it in the order of names (n). The first
 *         number says how many names that may be, the second how many directories above it the walk may go up to.
 *
 * When init closes it, the server ends.
 */
#pragma once

#include "mirror.h"

#define CONTROL_ROOM 4096 /* bytes of the longest message */

/* Waits for /dev/fuse. Returns the descriptor, or -1 when the other end is gone. */
int control_receive_device(int control);
/* Listens in a thread of its own from now on. */
void control_listen(struct mirror *m);
/* Asks init to list a directory. Never waits. */
void control_list(struct mirror *m, const char *path);
/* Asks init to list what a walk comes to after the directory `path`. Never waits. */
void control_walk(struct mirror *m, char order, unsigned names, unsigned up, const char *path);
/* Asks init to drop names. Never waits. */
void control_drop_names(const struct mirror *m);
