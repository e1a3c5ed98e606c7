// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What only real root can have: every file system of the main system, each alone and with its ids mapped.
 *
 * Theory of operation. Root inside is never root outside: the environment's ids 0..65535 are a range of unused outer
 * ids. For its files to be root's inside, each mount is cloned alone (which an ordinary user may not: the kernel would
 * let them look under mounts) and gets an id map (MOUNT_ATTR_IDMAP). The clones stand on a small tmpfs over /dev in a
 * mount namespace that only this run has; the environment's mount namespace is a copy of it and takes its sources from
 * there. The layer's own files belong to the range: a set-uid file in it is set-uid to nobody.
 *
 * The environment's directory keeps the range: its owner is the first id, and a clone has the range of what it was made
 * from. Frozen parts of a layer have these owners too, so each is staged as it is, without a map.
 *
 * A file system that cannot map ids (overlay below a container, FUSE, virtual ones) is staged without: it can be seen,
 * as nobody's, and is read-only.
 */
#pragma once

#include "base/error.h"
#include "host/linux/workplace.h"
#include "plan/system.h"

#include <sys/types.h>

/* Where the directory of the environment's directory is staged, so that init can remove a temporary one. */
#define SUPERUSER_PARENT "/dev/parent"

struct superuser {
        struct staged *staged;
        size_t count;
        unsigned char *mapped; /* shared with the child: one flag a staged file system, set by superuser_stage() */
        unsigned base;         /* first outer id */
};

/* Before the environment's first process is made: a mount namespace for this run, and the list of what will be
 * staged. `key` chooses the ids of an environment that has none yet. */
int superuser_prepare(struct superuser *s, const struct launch *launch, const char *key, struct error *err);

/* Afterwards: maps the ids of `init` and stages everything. `state` is the environment's directory, or -1. */
int superuser_stage(struct superuser *s, pid_t init, int state, struct error *err);

/* In the environment's first process, when all is staged: becomes root of the range, in a mount namespace of its
 * own. */
int superuser_enter(struct superuser *s, struct workplace *w, bool has_state, struct error *err);
