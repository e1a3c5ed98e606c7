// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Archives laid into the tree of an image.
 *
 * Whoever calls has the ids of root's environments, is root there, and has changed its root directory (chroot) to
 * the tree: so nothing that an archive names, and no link in it, leads out of it. What tries to is refused by name
 * all the same.
 */
#pragma once

#include "image/archive.h"

#include <stdbool.h>
#include <time.h>

/* What a whole import may take, and has taken. */
struct unpacked {
        uint64_t limit; /* bytes of content */
        uint64_t bytes, entries;
        unsigned devices;    /* device nodes that were left out: environments have their own */
        unsigned attributes; /* extended attributes that could not be kept */
        struct timespec begun, told;
        struct {
                bool there;
                unsigned mode;
                uint64_t uid, gid;
                struct timespec mtime;
        } top; /* the tree itself: unpack_keep_top() */
        bool progress; /* tells on standard error how far it is, once it takes more than a second */
};
#define UNPACK_ENTRIES 8000000 /* more files than any system has */

enum unpack_pass {
        UNPACK_TREE,      /* a root file system by itself */
        UNPACK_WHITEOUTS, /* of an OCI layer: what it deletes of those below, */
        UNPACK_LAYER,     /* then what it adds */
};

/* Keeps what an entry says of the tree itself, for the next unpack(). */
void unpack_keep_top(struct unpacked *u, const struct archive_entry *entry);

/* Lays one archive, to its end; its first entry was read already if `begun`. */
int unpack(struct unpacked *u, struct archive *a, bool begun, enum unpack_pass pass, struct error *err);

/* The last words of the progress. */
void unpack_told(struct unpacked *u);
