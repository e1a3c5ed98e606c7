// SPDX-License-Identifier: GPL-3.0-or-later
/* Changes thrown away. Only while the environment does not run: a mounted overlay must not see its parts change. */
#pragma once

#include "layer/layer.h"

/* Takes what the layer has at and below `path` out of it, so that the outside shows there again: each by one rename to
 * a fresh name in the directory `holder`, to be removed later. Whatever is cut off, each path is either as it was or as
 * outside. 1: something was taken; 0: there was nothing. */
int layer_discard(struct layer *layer, const char *path, int holder, struct error *err);

/* Takes slots away in which nothing is left. */
int layer_settle(struct layer *layer, int holder, struct error *err);
