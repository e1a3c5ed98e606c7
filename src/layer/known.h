// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What commits have made outside: the inode and time of change of each name that a commit of this environment wrote or
 * removed something in. What still has both is as the commit left it, so that a later commit may replace it although it
 * is younger than the layer.
 */
#pragma once

#include "base/error.h"
#include "layer/files.h"

struct known {
        struct known_entry {
                char *path; /* outside */
                uint64_t inode;
                struct timespec ctime;
        } *entries; /* an open hash table, a power of two */
        size_t count, capacity;
};

/* Reads `known` of the environment's directory; none, or a damaged end, is fine: less is known then. */
void known_load(struct known *k, int directory);
bool known_has(const struct known *k, const char *path, const struct meta *meta);
void known_set(struct known *k, const char *path, const struct meta *meta);
/* Writes it, durably. */
int known_store(const struct known *k, int directory, struct error *err);
void known_clear(struct known *k);
