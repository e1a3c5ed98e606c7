// SPDX-License-Identifier: GPL-3.0-or-later
/* Whole directory trees, whatever a hostile program put into them. */
#pragma once

#include "base/error.h"

/* Removes `name` in `dir` and everything below. Never follows a symbolic link, never leaves the file system of `name`,
 * needs a bounded number of descriptors and a bounded stack at any depth. Gives itself the permissions that its owner
 * took from a directory. 0 when nothing is left, also when there was nothing. */
int tree_remove(int dir, const char *name, struct error *err);

/* mkdir -p for an absolute name; directories that it makes get `mode`. Returns an O_PATH|O_DIRECTORY descriptor. */
int tree_make(const char *path, unsigned mode, struct error *err);
