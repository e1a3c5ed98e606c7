// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Root inside, by an ordinary user: 0 is the user, and the ids after it are those that the administrator handed out in
 * /etc/subuid and /etc/subgid (subuid(5)). Only the set-uid programs newuidmap and newgidmap may map those, from
 * outside. Two of them, each with a C library to load, cost more than all else of a start, so they run at the same
 * time, while the environment's first process opens what it needs.
 *
 * Root of an environment maps the ids that it has itself.
 */
#pragma once

#include "base/error.h"
#include "plan/system.h"

#include <sys/types.h>

struct mapping {
        pid_t tools[2]; /* running, or 0 */
};

/* Begins to map the ids of `init`, which has a user namespace and none of them. */
int subordinate_begin(struct mapping *m, const struct system *system, pid_t init, struct error *err);

/* Waits until they are mapped. */
int subordinate_finish(struct mapping *m, struct error *err);
