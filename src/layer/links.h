// SPDX-License-Identifier: GPL-3.0-or-later
/* An index of files with several names, bounded: a file that no longer fits is taken for one without other names. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LINKS_LIMIT 65536

struct links {
        struct link_entry {
                uint64_t device, inode;
                char *path;
                uint64_t covers; /* what the first name covers: an inode, 0 for none */
        } *entries; /* an open hash table, a power of two */
        size_t count, capacity;
        size_t limit; /* of files, 0: LINKS_LIMIT */
};

/* Where the file was met first, or NULL; then `path` is kept as the first. */
const struct link_entry *links_first(struct links *links, uint64_t device, uint64_t inode, const char *path,
                                     uint64_t covers);
void links_clear(struct links *links);
