// SPDX-License-Identifier: GPL-3.0-or-later
/* How much disk a layer takes. */
#pragma once

#include "base/error.h"

#include <stdint.h>

struct layer_size {
        uint64_t own;    /* bytes that only this environment's layer holds */
        uint64_t shared; /* of frozen layers, which snapshots and other environments may hold too */
};

/* Adds up the blocks in the layer of the environment whose directory is open: files with several names once; blocks
 * that files share (reflinks) each time. What cannot be read is left out. */
int layer_size(int environment, struct layer_size *size, struct error *err);
