// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What every reader of tar archives needs, however strict it is: the records of pax (POSIX.1-2001, "LENGTH
 * KEY=VALUE\n"), and the pieces they are made of. Which keys and values are taken is the reader's own affair
 * (layer/untar.c, image/archive.c).
 */
#pragma once

#include "layer/files.h"
#include "layer/tar.h"

#include <stdbool.h>
#include <stdint.h>

#define PAX_ATTRIBUTE "SCHILY.xattr." /* begins the key of an extended attribute; its name follows */

/* Decimal digits up to `end`. Returns where they end; NULL when there are none or too many. */
const char *pax_digits(const char *text, const char *end, uint64_t *value);

/* Text without a NUL in it, fresh memory; NULL for any other, and for none. */
char *pax_text(const char *text, size_t size);

/* Hands each record to `take`. False when they are malformed, or `take` says so. */
bool pax_records(const char *text, size_t size,
                 bool (*take)(void *context, const char *key, const char *value, size_t size), void *context);

/* Adds a copy. */
void pax_add_attribute(struct xattrs *list, const char *name, const char *value, size_t size);

/* One of the blocks of nothing that end an archive? */
bool pax_is_zero(const struct tar_header *h);
