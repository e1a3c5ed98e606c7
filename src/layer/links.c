// SPDX-License-Identifier: GPL-3.0-or-later
/* Files with several names: see links.h. */
#include "layer/links.h"

#include "base/cleanup.h"

static struct link_entry *slot_of(const struct links *l, uint64_t device, uint64_t inode)
{
        uint64_t hash = (inode ^ device << 32) * 0x9E3779B97F4A7C15u;
        size_t at = (size_t)(hash >> 20) & (l->capacity - 1);
        while (l->entries[at].path && (l->entries[at].inode != inode || l->entries[at].device != device))
                at = (at + 1) & (l->capacity - 1);
        return &l->entries[at];
}

static void grow(struct links *l)
{
        struct links bigger = {.capacity = l->capacity ? l->capacity * 2 : 64, .count = l->count, .limit = l->limit};
        bigger.entries = memory_new(bigger.capacity * sizeof *bigger.entries);
        for (size_t i = 0; i < l->capacity; i++)
                if (l->entries[i].path)
                        *slot_of(&bigger, l->entries[i].device, l->entries[i].inode) = l->entries[i];
        free(l->entries);
        *l = bigger;
}

const struct link_entry *links_first(struct links *l, uint64_t device, uint64_t inode, const char *path,
                                     uint64_t covers)
{
        if (l->count * 2 >= l->capacity)
                grow(l);
        struct link_entry *entry = slot_of(l, device, inode);
        if (entry->path)
                return entry;
        if (l->count < (l->limit ? l->limit : LINKS_LIMIT)) {
                *entry = (struct link_entry){.device = device,
                                             .inode = inode,
                                             .path = memory_string(path),
                                             .covers = covers};
                l->count++;
        }
        return NULL;
}

void links_clear(struct links *l)
{
        for (size_t i = 0; i < l->capacity; i++)
                free(l->entries[i].path);
        free(l->entries);
        *l = (struct links){0};
}
