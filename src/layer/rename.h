// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Renames told as renames, over a bounded number of changes.
 *
 * Overlay copies a file up before it renames it, and leaves the old name deleted. A rename is told when it is proven:
 * the new file is marked as such a copy, and one deleted file outside has the same type, size, time of change to the
 * nanosecond, mode and content. A file that was changed after it was renamed, or a directory (which programs move by
 * copying), is told as added and deleted. So is every rename when there are more changes than RENAME_LIMIT: they pass
 * through as they come.
 */
#pragma once

#include "layer/layer.h"

#define RENAME_LIMIT 65536

struct rename_filter {
        layer_visit visit; /* is told of changes in the order in which they came */
        void *context;
        struct rename_piece *pieces;      /* what is held lies in these, */
        struct rename_held *first, *last; /* in this order; */
        struct rename_held **gone;        /* deleted files among it */
        size_t count, gone_count, gone_capacity;
        bool passing;
};

/* A layer_visit; `context` is the filter. */
int rename_visit(void *filter, const struct change *change);
/* Tells of what is still held. */
int rename_finish(struct rename_filter *filter);
void rename_clear(struct rename_filter *filter);
