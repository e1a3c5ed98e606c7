// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Texts that changed files were made from, kept for merges. The kernel's overlay forgets what it copied, and the
 * outside's next version overwrites it. So whenever paddock looks at the changes of an environment and what is
 * outside is proven to be what a change was made from, the text of it is kept: in texts/ of the environment's
 * directory, a file a path. A merge later has it as the version that both sides come from. It is forgotten with the
 * change.
 *
 *      texts/SHA-256 of "SLOT PATH"    a line "SLOT <SPACE> PATH" (escaped), then the text
 */
#pragma once

#include "layer/commit.h"

#define TEXTS_SIZE (1 << 20) /* bytes of a text that is kept */

/* Keeps the text of each changed file of the layer at or below `paths` (NULL: all) of which the outside is proven.
 * `c` has what proofs need. What cannot be kept is not: a merge has no base then. */
void texts_collect(struct commit *c, char **paths, size_t path_count);
/* Keeps the text that `fd` is open on for `path` inside. 1: kept; 0: it is none, or too large; negative: an errno. */
int texts_keep(const struct layer *layer, const struct layer_slot *slot, const char *path, int fd);
/* Forgets what was kept for `path`. */
void texts_drop(const struct layer *layer, const struct layer_slot *slot, const char *path);
/* What was kept for `path`: open, at its beginning, without a name. -ENOENT: nothing. */
int texts_open(const struct layer *layer, const struct layer_slot *slot, const char *path);
/* Forgets what is at or below `path` inside. */
int texts_forget(const struct layer *layer, const char *path, struct error *err);
