// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Closing what passed through. close() of a file can wait for whoever serves it: a program inside may pass a file of a
 * FUSE file system of its own, which never answers. So it is done by threads that nobody waits for. When all of them
 * are stuck, descriptors no longer pass, and everything else goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CLOSER_THREADS 8
#define CLOSER_QUEUE 1024 /* descriptors */

struct closer;

struct closer *closer_start(void);
/* Is there room for `count` more? */
bool closer_has_room(struct closer *c, size_t count);
/* Closes them soon. There must be room. */
void closer_take(struct closer *c, const int *fds, size_t count);
