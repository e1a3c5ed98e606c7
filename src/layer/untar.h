// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A tar archive that tar.h has written, read back. The archive is taken for hostile: what is not exactly as tar.h
 * writes it is refused, no size in it is believed before the bytes are there, and names are only text here (archive
 * names are judged by whoever makes files of them).
 */
#pragma once

#include "base/error.h"
#include "layer/digest.h"
#include "layer/files.h"

#include <stdbool.h>
#include <stdio.h>

struct untar_entry {
        char type; /* as in a header: '0' file, '1' another name of `link`, '2' symlink, '3' character device, '5',
                    * '6' */
        char *name;         /* relative; without the slash of a directory */
        char *link;
        unsigned mode;
        uint64_t uid, gid;
        uint64_t size;      /* of the file, with its holes */
        uint64_t major, minor;
        struct timespec mtime;
        struct xattrs xattrs; /* none by which layers are marked, */
        bool opaque, copy, socket; /* but these */
        bool sparse;
        uint64_t stored;    /* bytes in the archive */
};

struct untar {
        FILE *file;
        uint64_t at;          /* in the archive */
        struct digest digest; /* of all that was read, */
        struct digest before; /* and of what came before the entry */
        struct untar_entry entry;
        uint64_t left;        /* of what is stored of it */
};

/* Begins to read. */
void untar_begin(struct untar *u, FILE *file);
/* The next entry, in u->entry: 1; 0 at the end of the archive; negative: an errno. What is left of the one before is
 * passed over. */
int untar_next(struct untar *u, struct error *err);
/* Writes the content to the empty file `to`. `whole` is added what a file without holes consists of. */
int untar_content(struct untar *u, int to, struct digest *whole, struct error *err);
/* The content as text, fresh memory, of at most `limit` bytes. *size may be NULL: then it may not contain NUL. */
int untar_text(struct untar *u, size_t limit, char **text, size_t *size, struct error *err);
/* The content, piece by piece, to `take`. */
int untar_each(struct untar *u, int (*take)(void *context, const char *data, size_t size, struct error *err),
               void *context, struct error *err);
void untar_end(struct untar *u);
