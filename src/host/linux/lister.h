// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Looks at the mirror ahead of those who will, so that the kernel knows names and contents before they are waited for.
 *
 * A first look at a name of the mirror is a request to its server, and waiting for the answer takes far longer than the
 * answer. The kernel takes names and contents only as answers to somebody inside, so the server cannot give them
 * unasked. This process asks:
 *
 *  - 'd' PATH: lists a directory. The server asks for it (control.h in servers/files-mirror) when names of one
 * directory are looked up one after another, each with a request of its own.
 *  - 'w', 'n' NAMES UP PATH: lists what a walk comes to after a directory (ahead.h), when several were gone through
 * beside it.
 *  - 't' PATH: touches a program, its interpreter and its C library. Init asks for it while it still builds the view.
 *
 * It is a process of its own, since a file system outside that does not answer must not hold up init. It lives in the
 * environment's process space with init's credentials, undumpable, and may be killed by whoever can: then there is none
 * until the next is wanted.
 */
#pragma once

#include <sys/types.h>

struct lister {
        int mirror; /* its root, or -1: nothing can be asked for */
        int control; /* to the mirror's server, who is told the number of the process */
        int words;  /* to the process, or -1: there is none */
};
#define LISTER_NONE ((struct lister){.mirror = -1, .control = -1, .words = -1})

/* Has it do what `word` says ('d', 'w', 'n' or 't', and what belongs to it; `length` bytes). Never waits; may do
 * nothing. */
void lister_ask(struct lister *lister, const char *word, size_t length);
/* Has the program touched that argv[0] names. */
void lister_touch(struct lister *lister, const char *program);
