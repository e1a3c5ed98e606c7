// SPDX-License-Identifier: GPL-3.0-or-later
/* `commit --to`: changes into an archive, or below a directory. */
#pragma once

#include "verbs/changes.h"

/* Writes the chosen changes as tar to the file `to` ("-": standard output), or has tar(1) lay them below the directory
 * `to`. Tells what an archive cannot say (deleted names), and the command that would apply it. `dry`: only tells.
 * Returns an exit status or a negative errno. */
int archive_changes(struct changes *c, const char *to, bool dry, struct error *err);
