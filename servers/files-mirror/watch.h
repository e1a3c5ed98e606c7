// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Tells the kernel what changes outside.
 *
 * Theory of operation. Each directory in which a name was looked up is watched (inotify), from before the look, so
 * that the kernel may keep what it learned for as long as it likes. A thread reads the events in batches,
 * WATCH_BATCH apart, and takes back what the kernel keeps: of a changed file its attributes and pages, of a changed
 * directory its entries. The overlay above keeps names on its own and asks nobody about them; when a name vanished,
 * appeared where its absence had been told, or changed its type, the environment's init is asked (control socket,
 * 's') to drop them.
 *
 * A directory that cannot be watched (no permission, too many watches, another inode's watch, a file system that others
 * change too) is kept for a second only. When the kernel's queue of events overflows, or mounts change outside,
 * everything is taken back, and watching starts over: a watch may be of a directory that stands there no more.
 *
 * An answer that is under way when a change is told would bring the old state back: each batch is told twice, and what
 * was seen before an event but noted after it is kept for a second only (m->changes).
 */
#pragma once

#include "mirror.h"

#define WATCH_BATCH 50 /* ms: changes outside are seen inside after this time, and the time it takes to tell */

/* Starts the thread. Without inotify (a limit) nothing is watched, and that is no failure. */
void watch_start(struct mirror *m);
/* Ends it, after the session ended. */
void watch_end(struct mirror *m);
/* Watches the directory that a node is, open as `fd` since m->epoch was `epoch`. Returns how long, in seconds, the
 * kernel may keep what is found in it. */
double watch_directory(struct mirror *m, uint64_t id, int fd, unsigned epoch);
/* The watch of the directory above a node; 0: none. */
int watch_above(struct mirror *m, uint64_t id);
/* Another file stands where this node is, and no event may have told. Lock held. */
void watch_replaced(struct mirror *m, struct node *node);
/* Everything that the kernel knows is to be taken back. */
void watch_start_over(struct mirror *m);
