// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The names that overlays above keep, and when they are to be dropped.
 *
 * Theory of operation. An overlay asks again about names that it knows (the mirror's answer has a time), but never
 * about names that were not there. Init can drop them all together (control.h, 's'), which takes milliseconds when they
 * are many: not more often than DROP_PAUSE, however often somebody inside asks for what is gone.
 *
 * In a directory that is watched, an event says when that is needed. The others in which something was said not to
 * exist are looked at once a second: has their time changed? By a thread of its own, because it may be held up by a
 * file system that does not answer.
 */
#pragma once

#include "mirror.h"

#define DROP_PAUSE 500          /* ms between two requests to drop names */
#define DROP_DIRECTORIES 1024   /* when more than this many are not watched, names are dropped without a look */

struct dropper *drop_start(struct mirror *m);
void drop_end(struct dropper *dropper);

/* What overlays keep is to be dropped soon. Never waits. */
void drop_names(struct mirror *m);
/* A name was said not to exist in a directory that is not watched, open as `fd`. */
void drop_when_changed(struct mirror *m, uint64_t directory, int fd);
