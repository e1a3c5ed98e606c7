// SPDX-License-Identifier: GPL-3.0-or-later
/* Layers frozen, shared and taken up again (model/chain.h). Only while the environment does not run, but for
 * snapshot_copy(). */
#pragma once

#include "model/chain.h"

/* Freezes the layer of the environment whose directory is open: afterwards it has an empty one over a chain that begins
 * with what it had. Nothing is copied but what a slot has of its own. `chain` is then that chain. A layer in which
 * nothing is since the last time is not frozen again. */
int snapshot_freeze(struct store *s, int environment, struct chain *chain, struct error *err);

/* The same for an environment that runs, whose layer cannot be taken away from it: what is in it is copied, while
 * `hold` keeps all its programs still (and is told when they may go on, whatever came of it). The environment goes on
 * with the layer that it has. */
int snapshot_copy(struct store *s, int environment, int (*hold)(void *context, bool still, struct error *err),
                  void *context, struct chain *chain, struct error *err);

/* Makes the directory `layer` in `dir`: empty slots over `chain`, the topmost of which says what there is. */
int snapshot_prepare(struct store *s, int dir, const struct chain *chain, struct error *err);

/* Gives the environment an empty layer over `chain`, in one step; what it had is removed. */
int snapshot_reset(struct store *s, int environment, const struct chain *chain, struct error *err);
