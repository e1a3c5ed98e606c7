// SPDX-License-Identifier: GPL-3.0-or-later
/* A layer, or a part of one, copied with everything that it says: blocks are shared where the file system can. */
#pragma once

#include "base/error.h"

/* Copies what is in the directory `from` to the empty one `to`, and what the directory itself is. Marks of a layer are
 * kept; of what was made by copying it is noted when. Negative: an errno, and *what (fresh memory) names what could not
 * be copied. */
int duplicate(int from, int to, char **what);
