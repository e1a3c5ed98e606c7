// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Lists directories of the mirror, so that the kernel learns all their names at once.
 *
 * The server asks for it (control.h in servers/files-mirror, 'd') when names of one directory are looked up one after another,
 * each with a request of its own. It cannot do it itself: the kernel takes names only as an answer to somebody inside. A process
 * of its own does the listing, since a file system outside that does not answer must not hold up init. It is made when
 * it is first wanted, lives in the environment's process space with init's credentials, undumpable, and may be killed by anyone
 * who can: then there is none until the next is wanted.
 */
#pragma once

#include <sys/types.h>

struct lister {
        int mirror; /* its root, or -1: nothing can be listed */
        int words;  /* to the process, or -1 */
        pid_t pid;
};
#define LISTER_NONE ((struct lister){.mirror = -1, .words = -1})

/* Has the directory `path` (relative to the mirror's root, `length` bytes) listed. Never waits; may do nothing. */
void lister_ask(struct lister *lister, const char *path, size_t length);
