// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The socket between the server and the environment's init (SOCK_SEQPACKET, one letter a message, a descriptor with
 * it or none):
 *
 *      f  to the server: /dev/fuse, opened in the environment; the first message
 *      s  to init: drop the names that overlays above keep
 *      d  to init, followed by a name relative to the root: list that directory, for the sake of what the kernel learns by it
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
void control_list(const struct mirror *m, const char *path);
/* Asks init to drop names. Never waits. */
void control_drop_names(const struct mirror *m);
