// SPDX-License-Identifier: GPL-3.0-or-later
/* What a process of ours costs while it only waits. */
#pragma once

#include <poll.h>

/* poll(), for a process that may wait long: when nothing has happened for a while, it gives back the pages of its
 * program that it does not use (they are the file's and come back when they are touched) and the free part of its heap.
 * A short run never pays for that. Returns as poll() does. */
int idle_poll(struct pollfd *fds, nfds_t count);
/* The same, for at most `timeout` milliseconds (-1: without end). */
int idle_poll_until(struct pollfd *fds, nfds_t count, int timeout);
