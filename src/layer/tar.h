// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A tar archive, written: POSIX.1-2001 (pax) headers, so that names of any length and bytes, attributes, access lists,
 * capabilities, large numbers and times to the nanosecond survive. Owners are numbers. GNU tar, bsdtar and Python read it.
 */
#pragma once

#include "layer/files.h"

#include <stdio.h>

struct tar {
        FILE *file;
        uint64_t written;
};

/* One member called `name` (relative; a directory's name without a slash), like what `own` is open on. `link`: it is another name of
 * that member. `shift` is taken from its ids. Negative: an errno. */
int tar_add(struct tar *t, const char *name, const char *link, int own, unsigned shift);
/* A regular file of the archive's own. */
int tar_add_text(struct tar *t, const char *name, const char *text, size_t size);
/* The end of the archive. */
int tar_finish(struct tar *t);
