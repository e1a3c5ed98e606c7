// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The connection to the kernel, by way of libfuse.
 *
 * libfuse before 3.17 does not tell the kernel FUSE_PARALLEL_DIROPS, whoever wants it. Without it one lookup, or one
 * listing, is under way in a directory at a time, and a lister that looks ahead waits for those it looks ahead of.
 */
#pragma once

#include "mirror.h"

/* Makes all that can be made before /dev/fuse is there. Returns 0 or a negative errno. */
int connection_new(struct mirror *m);
/* Serves /dev/fuse, open as `device`, which it owns from now on. Returns 0 or a negative errno. */
int connection_start(struct mirror *m, int device);
/* Says what is wanted, in answer to the kernel's first request. */
void connection_begin(void *context, struct fuse_conn_info *connection);
