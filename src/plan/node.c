// SPDX-License-Identifier: GPL-3.0-or-later
/* The resolver's nodes: found, added, named. See node.h. */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

/* Where the path of the first `length` bytes of `path` is, or where it would be inserted; *found says which. */
static size_t position(const struct resolver *r, const char *path, size_t length, bool *found)
{
        size_t low = 0, high = r->count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                int order = path_compare_start(r->nodes[middle].path, path, length);
                if (order == 0) {
                        *found = true;
                        return middle;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *found = false;
        return low;
}

struct node *node_at(struct resolver *r, const char *path)
{
        bool found;
        size_t at = position(r, path, strlen(path), &found);
        return found ? &r->nodes[at] : NULL;
}

struct node *node_governing(struct resolver *r, const char *path)
{
        for (size_t length = strlen(path);;) {
                bool found;
                size_t at = position(r, path, length, &found);
                if (found || length <= 1)
                        return found ? &r->nodes[at] : NULL;
                while (path[length - 1] != '/')
                        length--;
                length -= length > 1;
        }
}

struct node *node_add(struct resolver *r, enum node_kind kind, const char *path, const char *source, bool asked)
{
        bool found;
        size_t at = position(r, path, strlen(path), &found);
        if (found)
                return &r->nodes[at];
        (void)vector_add(r->nodes, r->count, r->capacity);
        memmove(&r->nodes[at + 1], &r->nodes[at], (r->count - 1 - at) * sizeof *r->nodes);
        struct node *node = &r->nodes[at];
        *node = (struct node){.kind = kind, .path = memory_string(path), .asked = asked};
        if (source) {
                node->sources = memory_new(sizeof *node->sources);
                node->sources[0] = memory_string(source);
                node->source_count = 1;
                r->system->look.file(r->system->look.context, source, &node->file);
        }
        return node;
}

void node_name(struct node *node, enum name_kind kind, const char *path, unsigned mode, const char *target)
{
        for (size_t i = 0; i < node->name_count; i++)
                if (strcmp(node->names[i].path, path) == 0)
                        return;
        *vector_add(node->names, node->name_count, node->name_capacity) =
                (struct plan_name){.kind = kind,
                                   .path = memory_string(path),
                                   .mode = mode,
                                   .target = target ? memory_string(target) : NULL};
}

void nodes_clear(struct resolver *r)
{
        for (size_t i = 0; i < r->count; i++) {
                struct node *node = &r->nodes[i];
                for (size_t s = 0; s < node->source_count; s++)
                        free(node->sources[s]);
                for (size_t n = 0; n < node->name_count; n++) {
                        free(node->names[n].path);
                        free(node->names[n].target);
                }
                free(node->sources);
                free(node->names);
                free(node->path);
                free(node->why);
        }
        while (r->mirror_name_count)
                free(r->mirror_names[--r->mirror_name_count].path);
        free(r->mirror_names);
        r->mirror_names = NULL;
        free(r->nodes);
        r->nodes = NULL;
        r->count = r->capacity = 0;
}

bool system_has_mounts_below(const struct system *system, const char *path)
{
        for (size_t i = 0; i < system->mount_count; i++)
                if (path_is_below(system->mounts[i].path, path) && strcmp(system->mounts[i].path, path) != 0)
                        return true;
        return false;
}

const struct mount *system_mount_of(const struct system *system, const char *path)
{
        const struct mount *best = NULL;
        for (size_t i = 0; i < system->mount_count; i++) {
                const struct mount *mount = &system->mounts[i];
                /* Both are above `path`: the one below the other is the longer. */
                if (path_is_below(path, mount->path) && (!best || path_is_below(mount->path, best->path)))
                        best = mount;
        }
        return best;
}
