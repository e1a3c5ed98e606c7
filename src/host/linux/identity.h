// SPDX-License-Identifier: GPL-3.0-or-later
/* Ids inside and outside: the maps of user namespaces. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Ids of an environment of real root: 65,536 outer ids from `base` on appear inside as 0..65535. */
#define IDENTITY_RANGE 65536u

/* A range of ids that no account, no line of /etc/subuid and no container tool's usual range has. `key` spreads
 * environments over the possible ranges; equal keys give equal ranges. */
unsigned identity_unused_range(const char *key);
/* Is `id` the first of such a range? */
bool identity_begins_range(unsigned id);

/* Maps the calling process's one uid and gid to themselves, in the user namespace that it has just made. */
int identity_map_self(uid_t uid, gid_t gid, struct error *err);

/* The same, but it is root inside. */
int identity_map_root(uid_t uid, gid_t gid, struct error *err);

/* Maps all ids that the caller has to themselves in the user namespace of process `pid`, which is below the
 * caller's. */
int identity_map_same(pid_t pid, struct error *err);

/* How many ids from 0 on the calling process's user namespace has. `file` is /proc/self/uid_map or gid_map. */
unsigned identity_count(const char *file);

/* Maps `count` ids from `outside` on to 0.. in the user namespace of process `pid`. */
int identity_map_range(pid_t pid, unsigned outside, unsigned count, struct error *err);
