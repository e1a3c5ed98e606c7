// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The socket between the server and the environment's init (SOCK_SEQPACKET, one letter a message, a descriptor with
 * it or none):
 *
 *      f  to the server: /dev/fuse, opened in the environment; the first message
 *      s  to init: drop the names that overlays above keep
 *
 * When init closes it, the server ends.
 */
#pragma once

#include "mirror.h"

/* Waits for /dev/fuse. Returns the descriptor, or -1 when the other end is gone. */
int control_receive_device(int control);
/* Listens in a thread of its own from now on. */
void control_listen(struct mirror *m);
/* Asks init to drop names. Never waits. */
void control_drop_names(const struct mirror *m);
