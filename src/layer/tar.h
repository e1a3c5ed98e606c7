// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A tar archive, written: POSIX.1-2001 (pax) headers, so that names of any length and bytes, attributes, access lists,
 * capabilities, large numbers and times to the nanosecond survive; holes as GNU tar writes them (sparse format 1.0).
 * Owners are numbers. GNU tar, bsdtar and Python read it. untar.h reads it back.
 */
#pragma once

#include "layer/digest.h"
#include "layer/files.h"

#include <stdio.h>

#define TAR_BLOCK 512

struct tar_header { /* ustar */
        char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
                version[2], user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header is one block");

/* What a layer says of its files beyond what tar knows, as records that others pass over. */
/* =y: a directory hides what it covers; as a tar of the layer itself has it, */
#define TAR_OPAQUE "SCHILY.xattr.user.overlay.opaque"
#define TAR_COPY "SCHILY.xattr.user.overlay.origin"   /* =: it was made by copying what it covers */
#define TAR_SOCKET "PADDOCK.socket"                   /* =y: the fifo is a socket, which tar does not have */

struct tar {
        FILE *file;
        uint64_t written;
        struct digest *digest; /* of all that is written, or NULL */
        bool marks;            /* what a layer is marked with is written too: see above */
};

/* One member called `name` (relative; a directory's name without a slash), like what `own` is open on. `link`: it is
 * another name of that member. `shift` is taken from its ids. Negative: an errno; -ENOTSUP: a socket, without
 * `marks`. */
int tar_add(struct tar *t, const char *name, const char *link, int own, unsigned shift);
/* The same; `whole` is added what the content of a regular file without holes consists of. Returns 1 when it had such
 * content. */
int tar_add_whole(struct tar *t, const char *name, const char *link, int own, unsigned shift, struct digest *whole);
/* A regular file of the archive's own. */
int tar_add_text(struct tar *t, const char *name, const char *text, size_t size);
/* The same, of a stream that holds `size` bytes from here on. */
int tar_add_stream(struct tar *t, const char *name, FILE *from, uint64_t size);
/* The end of the archive. */
int tar_finish(struct tar *t);
