// SPDX-License-Identifier: GPL-3.0-or-later
/* What the answers about names and files have in common. */
#pragma once

#include "source.h"

/* Tells the kernel of a file that was seen: makes or finds its node, counts a lookup of it and fills the entry.
 * `parent` 0: it has no name. */
int enter(struct request *r, uint64_t parent, const char *name, const struct statx *st, struct fuse_entry_out *out);
/* Is it a name that can be given to a file? */
bool is_name(const char *name);
/* Fills what OPEN answers for a fresh descriptor of the node: gives it a number. Takes the descriptor. */
int open_answer(struct request *r, uint64_t id, int fd, uint32_t flags, const struct statx *st,
                struct fuse_open_out *out);
/* The text at the `n`th byte of the argument, if it ends there; NULL otherwise. */
const char *argument_text(const struct request *r, size_t n);
