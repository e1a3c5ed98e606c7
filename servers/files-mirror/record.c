// SPDX-License-Identifier: GPL-3.0-or-later
/* The record of what is shown without content: see record.h. */
#include "record.h"

#include "base/cleanup.h"

#include <string.h>

/* Adds a hash to the set of those that were recorded. Returns false when it is there already. Lock held. */
static bool note_recorded(struct mirror *m, uint64_t hash)
{
        if (m->recorded_count >= m->recorded_room / 2) { /* open addressing, half empty */
                size_t room = m->recorded_room ? m->recorded_room * 2 : 64, old_room = m->recorded_room;
                cleanup_free uint64_t *old = m->recorded;
                m->recorded = memory_new(room * sizeof *m->recorded);
                m->recorded_room = room;
                m->recorded_count = 0;
                for (size_t i = 0; i < old_room; i++)
                        if (old[i])
                                note_recorded(m, old[i]);
        }
        hash |= !hash;
        size_t i = hash % m->recorded_room;
        for (; m->recorded[i]; i = (i + 1) % m->recorded_room)
                if (m->recorded[i] == hash)
                        return false;
        m->recorded[i] = hash;
        m->recorded_count++;
        return true;
}

void record_unreadable(struct mirror *m, const struct node *node)
{
        cleanup_free char *path = m->record < 0 ? NULL : node_path(&m->tree, node);
        uint64_t hash = 14695981039346656037ULL; /* FNV-1a */
        if (!path)
                return;
        for (const char *p = path; *p; p++)
                hash = (hash ^ (unsigned char)*p) * 1099511628211ULL;
        if (note_recorded(m, hash))
                (void)!write(m->record, path, strlen(path) + 1);
}
