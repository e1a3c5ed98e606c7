// SPDX-License-Identifier: GPL-3.0-or-later
/* An image made: a directory, an archive or a stream laid into a fresh tree, whatever form it has. */
#pragma once

#include "model/image.h"

struct import {
        const char *source; /* a file or directory; "-": standard input */
        int fd;             /* or an open descriptor to read, which is taken over; else -1 */
        const char *shown;  /* what the record says that it was made from */
        const char *tag;    /* chooses among several images, or NULL */
        uint64_t limit;     /* bytes of content; 0: half of what is free */
        bool quiet;         /* no progress */
        /* Called when all was read, before the image gets its name; negative: it gets none. May be NULL. */
        int (*check)(void *context, struct error *err);
        void *context;
};

/* Makes image `name` of it; `image` is what its record says. */
int image_import(struct store *s, const char *name, const struct import *import, struct image *image,
                 struct error *err);

/* Compares the tree of image `name` with its record: the number of files that differ, each told on `out` (at most
 * `limit` lines), or a negative errno; told already when err->code is 0. */
int image_verify(struct store *s, const char *name, FILE *out, unsigned limit, uint64_t *differences,
                 struct error *err);
