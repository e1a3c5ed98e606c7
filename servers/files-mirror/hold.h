// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Lookups that wait for a listing.
 *
 * Theory of operation. When a listing was asked for of a directory beside others that were gone through (ahead.h),
 * whoever looks up its names one by one will look up the rest too, and each would be a request: with many of them at
 * once (git has 20 threads) there are so many requests that the listing comes last. So such a lookup is answered after
 * the listing (its first part: the lister waits for lookups under way), and the next ones need not be asked for. None
 * waits longer than HOLD_TIME: the lister may have been killed, or be held up.
 */
#pragma once

#include "mirror.h"

#define HOLD_TIME 25 /* ms */

/* Keeps the lookup back, to be answered by hold_release(), if the directory is about to be listed. Returns whether it
 * did. */
bool hold_lookup(fuse_req_t req, uint64_t parent, const char *name);
/* Answers what waits for a directory, or what has waited for HOLD_TIME if it is NODE_NONE. */
void hold_release(struct mirror *m, uint64_t directory);
/* Answers all with an error: the connection has ended. */
void hold_end(struct mirror *m);
