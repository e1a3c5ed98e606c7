// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Tells the kernel what it must forget.
 *
 * Theory of operation. Telling may wait for as long as somebody waits for an answer: a name is taken back under the
 * lock of its directory, which a lookup in it has, and contents under the lock of their pages, which a reader has. If
 * the file system outside that the answer comes from hangs, so would the telling, and neither could be killed before
 * the other. So what is about a directory or a file of which a request is held up is put off, TELL_OFF such things at
 * most; when there are more, all of what the kernel knows is taken back after the end of the hold-up. One that begins
 * in the very moment of the telling is not seen by that: a thread of its own takes one thing after another from a list,
 * and when it is stuck longer than TELL_STUCK another one goes on with the rest.
 */
#pragma once

#include "mirror.h"

#define TELL_STUCK 100 /* ms */
#define TELL_THREADS 16
#define TELL_OFF 1000 /* things that are put off */

struct teller;

struct teller *tell_start(struct mirror *m);
/* Ends it, after the session ended: nothing hangs any more, unless the process ends in SERVE_END anyway. */
void tell_end(struct teller *t);

/* Is to be told: `name` (NULL: none) in the directory `parent`, and attributes and content of `node` (NODE_NONE: of
 * nothing; with `again`, of what has the name then). Takes the name over. Never waits. */
void tell_put(struct teller *t, uint64_t parent, char *name, uint64_t node, bool again);
/* Waits until everything is told, TELL_STUCK at most. What is put off is told later, and then what overlays keep is
 * dropped once more. */
void tell_wait(struct teller *t);
/* Is there something that is not told? Tries again what was put off. Starts a thread if those that there are are stuck.
 * To be called every TELL_STUCK or so while it is true. */
bool tell_waits(struct teller *t);
