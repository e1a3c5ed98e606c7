// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A tar archive that others have written, read: v7, ustar, GNU (long names, large numbers) and pax. layer/untar.h
 * reads what paddock writes itself and refuses the rest; this takes all that makers of root file systems and
 * container images write.
 *
 * The archive is taken for hostile. No size in it is believed before the bytes are there; names are only text here
 * and may be anything: unpack.h judges them. What cannot be understood is refused by the entry's name.
 */
#pragma once

#include "base/error.h"
#include "layer/digest.h"
#include "layer/files.h"

#include <stdio.h>

struct archive_entry {
        char type;  /* '0' file, '1' another name of `link`, '2' symlink, '3' '4' devices, '5' directory, '6' fifo */
        char *name; /* as it stands there, without slashes at its end */
        char *link;
        unsigned mode; /* 07777 */
        uint64_t uid, gid, size, major, minor;
        struct timespec mtime;
        struct xattrs xattrs;
};

struct archive {
        FILE *file;
        uint64_t at;          /* bytes read */
        uint64_t left;        /* of the entry's content */
        struct digest digest; /* of all bytes read */
        bool ended;           /* it ended as archives do: else it may be a truncated one */
        struct archive_entry entry;
};

void archive_begin(struct archive *a, FILE *file);
/* The next entry, in a->entry: 1; 0 at the end, when all bytes of the file were read; negative: an errno. What is
 * left of the content of the one before is passed over. */
int archive_next(struct archive *a, struct error *err);
/* The next piece of the content: its size, 0 at the end, or a negative errno. */
ssize_t archive_read(struct archive *a, void *buffer, size_t size, struct error *err);
void archive_end(struct archive *a);
