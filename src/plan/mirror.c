// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Root in a copy of the main system, by an ordinary user.
 *
 * Theory of operation. Inside, the files of the main system's root are to be root's, and all of them can be changed in
 * the copy. The kernel gives an ordinary user neither: ids that are not theirs appear as nobody's, and no overlay can
 * lie on "/" with what is mounted below it. So a server shows the main system, all its mounts as one tree, with its ids
 * as the environment's; one layer lies over that. The server runs with the rights of the user: what they cannot read is
 * not read.
 *
 * What a rule takes away is taken away in the server too: a name that it does not know cannot be reached by any way
 * round the mounts. That is done where no other rule shows the same files elsewhere. What is shared is the main system
 * itself, never the mirror, and so are file systems that hold no files (/sys), which the mirror shows empty.
 */
#include "plan/node.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

static bool sees_through(enum node_kind kind)
{
        switch (kind) {
        case NODE_PRIVATE: case NODE_MIRROR: case NODE_FROM: case NODE_UNION: case NODE_AUGMENT:
                return true;
        default:
                return false;
        }
}

bool mirror_has(const struct resolver *r, const struct node *node)
{
        if (!r->mirror || !sees_through(node->kind) || !node->source_count)
                return false;
        for (size_t s = 0; s < node->source_count; s++) {
                const struct mount *mount = system_mount_of(r->system, node->sources[s]);
                if (mount && mount->virtual_)
                        return false;
        }
        /* A root of its own that is the user's, made perhaps with ids of their range: those are right as they are. */
        if (!node->path[1] && r->e->root == ROOT_IMAGE && node->kind == NODE_FROM)
                return false;
        bool own_root = !node->path[1] && r->e->root == ROOT_DIRECTORY && node->kind == NODE_FROM;
        return !(own_root && node->file.mine && !system_has_mounts_below(r->system, node->sources[0]));
}

static void withhold(struct resolver *r, enum name_kind kind, const char *path)
{
        for (size_t i = 0; i < r->mirror_name_count; i++)
                if (strcmp(r->mirror_names[i].path, path) == 0)
                        return;
        *vector_add(r->mirror_names, r->mirror_name_count, r->mirror_name_capacity) =
                (struct plan_name){.kind = kind, .path = memory_string(path), .mode = 0755};
}

void mirror_blank(struct resolver *r, const char *path)
{
        if (r->mirror)
                withhold(r, NAME_DIRECTORY, path);
}

bool mirror_withholds(struct resolver *r, const char *path)
{
        const struct node *own = node_at(r, path);
        cleanup_free char *parent = path_parent(path);
        const struct node *above = node_governing(r, parent);
        if (!path[1] || !above || !mirror_has(r, above) || strcmp(above->sources[0], above->path) != 0 ||
            above->source_count != 1)
                return false;
        for (size_t i = 0; i < r->count; i++) {
                const struct node *node = &r->nodes[i];
                if (node == own || !mirror_has(r, node))
                        continue;
                for (size_t s = 0; s < node->source_count; s++) {
                        bool in_place = strcmp(node->path, node->sources[s]) == 0;
                        if (path_is_below(node->sources[s], path) ||
                            (!in_place && path_is_below(path, node->sources[s])))
                                return false;
                }
        }
        withhold(r, own->kind == NODE_HIDE ? NAME_WHITEOUT : NAME_DIRECTORY, path);
        return true;
}

void mirror_emit(struct resolver *r)
{
        bool used = false;
        for (size_t i = 0; i < r->plan->count; i++)
                used |= r->plan->ops[i].mirrored;
        if (!used)
                return;
        (void)vector_add(r->plan->ops, r->plan->count, r->plan->capacity);
        memmove(&r->plan->ops[1], &r->plan->ops[0], (r->plan->count - 1) * sizeof *r->plan->ops);
        r->plan->ops[0] = (struct plan_op){.kind = PLAN_MIRROR, .path = memory_string("/"), .slot = -1, .mode = 0755,
                                           .names = steal_pointer(&r->mirror_names), .name_count = r->mirror_name_count,
                                           .name_capacity = r->mirror_name_capacity,
                                           .why = memory_string("files-mirror serves it, with ids as inside")};
        r->mirror_name_count = r->mirror_name_capacity = 0;
        plan_note(r->plan, "what you cannot read outside is shown without content (`paddock show --unreadable` lists "
                           "what was met)");
        plan_note(r->plan, "ACLs, file capabilities and user attributes of the main system are not shown and lost "
                           "where a file is changed; "
                           "those set inside are kept");
}
