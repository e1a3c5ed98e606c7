// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a tree consists of, a line a file, in an order that depends on nothing else: its digest stands for the whole
 * tree.
 *
 *      TYPE MODE UID GID SIZE MTIME CONTENT LINK XATTRS PATH           (between tabs; names escaped as text_escape() does)
 *
 * TYPE is one of f d l p h (h: another name of the file at LINK); CONTENT and XATTRS are SHA-256, or "-". Owners
 * are those that root's environments see. Written and read by a process with their ids.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>
#include <stdio.h>

struct manifest {
        uint64_t files, bytes;
        char digest[65];
};

/* Writes the manifest of the tree that `root` is open on. */
int manifest_write(int root, FILE *to, struct manifest *m, struct error *err);

/* The digest of a manifest that was written. */
int manifest_digest(FILE *from, char digest[65], struct error *err);

/* Prints how the second differs from the first, at most `limit` lines. Returns the number of differences. */
uint64_t manifest_compare(FILE *first, FILE *second, FILE *out, unsigned limit);
