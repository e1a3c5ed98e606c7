// SPDX-License-Identifier: GPL-3.0-or-later
/* The files that the kernel knows of: see node.h. */
#include "node.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/stat.h>

#define FIRST_BUCKETS 16
#define FREE 1U          /* the lowest bit of a slot that holds no node; above it the number of the next free one */
#define DEPTH 100000     /* of a path that is put together: beyond it lies nothing that can be opened */

bool identity_same(const struct identity *a, const struct identity *b)
{
        return a->ino == b->ino && a->dev == b->dev && a->type == b->type &&
               (!a->has_birth || !b->has_birth || (a->birth == b->birth && a->birth_ns == b->birth_ns));
}

static uint32_t mix(uint64_t x)
{
        x ^= x >> 31;
        x *= 0x9E3779B97F4A7C15ULL;
        return (uint32_t)(x >> 32);
}

static uint32_t hash_identity(const struct identity *is)
{
        return mix(is->ino * 31 + is->dev);
}

static uint32_t hash_name(const struct node *parent, const char *name)
{
        uint64_t hash = 14695981039346656037ULL ^ parent->slot;
        for (const char *p = name; *p; p++)
                hash = (hash ^ (unsigned char)*p) * 1099511628211ULL;
        return mix(hash);
}

void node_tree_start(struct node_tree *tree, const struct identity *root)
{
        *tree = (struct node_tree){.root = {.is = *root, .slot = 1, .lookups = 1}};
}

static bool is_free(const struct node *slot)
{
        return (uintptr_t)slot & FREE;
}

void node_tree_end(struct node_tree *tree)
{
        for (uint32_t i = 0; tree->by_name && i <= tree->name_mask; i++)
                for (struct link *link = tree->by_name[i], *next; link; link = next) {
                        next = link->chain;
                        free(link);
                }
        for (uint32_t i = 0; i < tree->slot_count; i++)
                if (!is_free(tree->slots[i]))
                        free(tree->slots[i]);
        free(tree->slots);
        free(tree->by_identity);
        free(tree->by_name);
        *tree = (struct node_tree){0};
}

uint64_t node_id(const struct node *node)
{
        return (uint64_t)node->generation << 32 | node->slot;
}

/* Slots of the table are numbered from 2: 0 is no node, 1 the root. */
struct node *node_find(struct node_tree *tree, uint64_t id)
{
        if (id == NODE_ROOT)
                return &tree->root;
        uint32_t slot = (uint32_t)id;
        if (slot < 2 || slot - 2 >= tree->slot_count)
                return NULL;
        struct node *node = tree->slots[slot - 2];
        return is_free(node) || node->generation != id >> 32 ? NULL : node;
}

static void grow_identities(struct node_tree *tree)
{
        uint32_t count = tree->by_identity ? (tree->identity_mask + 1) * 2 : FIRST_BUCKETS;
        struct node **buckets = memory_new(count * sizeof *buckets);
        for (uint32_t i = 0; tree->by_identity && i <= tree->identity_mask; i++)
                for (struct node *node = tree->by_identity[i], *next; node; node = next) {
                        next = node->chain;
                        struct node **bucket = &buckets[hash_identity(&node->is) & (count - 1)];
                        node->chain = *bucket;
                        *bucket = node;
                }
        free(tree->by_identity);
        tree->by_identity = buckets;
        tree->identity_mask = count - 1;
}

static void grow_names(struct node_tree *tree)
{
        uint32_t count = tree->by_name ? (tree->name_mask + 1) * 2 : FIRST_BUCKETS;
        struct link **buckets = memory_new(count * sizeof *buckets);
        for (uint32_t i = 0; tree->by_name && i <= tree->name_mask; i++)
                for (struct link *link = tree->by_name[i], *next; link; link = next) {
                        next = link->chain;
                        struct link **bucket = &buckets[link->hash & (count - 1)];
                        link->chain = *bucket;
                        *bucket = link;
                }
        free(tree->by_name);
        tree->by_name = buckets;
        tree->name_mask = count - 1;
}

static struct node *new_node(struct node_tree *tree)
{
        struct node *node = memory_new(sizeof *node);
        uint32_t i = tree->free_slot;
        if (i == 0) {
                uint32_t count = tree->slot_count ? tree->slot_count * 2 : FIRST_BUCKETS;
                tree->slots = memory_grow(tree->slots, count, sizeof *tree->slots);
                for (uint32_t k = tree->slot_count; k < count; k++) /* free slots are numbered from 1 in the list */
                        tree->slots[k] = (struct node *)((k + 1 < count ? (uintptr_t)(k + 2) << 1 : 0U) | FREE);
                i = tree->slot_count + 1;
                tree->slot_count = count;
        }
        tree->free_slot = (uint32_t)((uintptr_t)tree->slots[i - 1] >> 1);
        node->slot = i + 1;
        node->generation = ++tree->generation;
        tree->slots[i - 1] = node;
        tree->count++;
        return node;
}

static void remove_link(struct node_tree *tree, struct link *link)
{
        struct link **at;
        for (at = &tree->by_name[link->hash & tree->name_mask]; *at != link; at = &(*at)->chain)
                ;
        *at = link->chain;
        if (link->node->links == link) {
                link->node->links = link->next;
        } else {
                for (at = &link->node->links; *at != link; at = &(*at)->next)
                        ;
                *at = link->next;
        }
        tree->names--;
}

/* Frees nodes that nothing holds, upwards. */
static void release(struct node_tree *tree, struct node *node)
{
        while (node != &tree->root && !node->lookups && !node->children && !node->handles && !node->locks) {
                /* The last link's parent may be free then; the others' cannot be freed in this walk but by recursion,
                 * which ends, because each call frees something. */
                struct node *above = NULL;
                while (node->links) {
                        struct link *link = node->links;
                        remove_link(tree, link); // it left the list before: NOLINT(clang-analyzer-unix.Malloc)
                        link->parent->children--;
                        if (above && above != link->parent)
                                release(tree, above);
                        above = link->parent;
                        free(link);
                }
                struct node **at;
                for (at = &tree->by_identity[hash_identity(&node->is) & tree->identity_mask]; *at != node;
                     at = &(*at)->chain)
                        ;
                *at = node->chain;
                tree->slots[node->slot - 2] = (struct node *)((uintptr_t)tree->free_slot << 1 | FREE);
                tree->free_slot = node->slot - 1;
                tree->count--;
                free(node);
                if (!above)
                        return;
                node = above;
        }
}

void node_forget(struct node_tree *tree, struct node *node, uint64_t count)
{
        if (node == &tree->root)
                return;
        node->lookups -= count < node->lookups ? count : node->lookups;
        release(tree, node);
}

static struct link *find_link(const struct node_tree *tree, const struct node *parent, const char *name)
{
        if (!tree->by_name)
                return NULL;
        uint32_t hash = hash_name(parent, name);
        struct link *link = tree->by_name[hash & tree->name_mask];
        while (link && (link->hash != hash || link->parent != parent || strcmp(link->name, name) != 0))
                link = link->chain;
        return link;
}

/* Takes a name away from its node; the node may be freed by that. */
static void drop_link(struct node_tree *tree, struct link *link)
{
        struct node *node = link->node, *parent = link->parent;
        remove_link(tree, link);
        free(link);
        parent->lookups++; /* not to be freed by the first */
        parent->children--;
        release(tree, node);
        if (parent == &tree->root)
                parent->lookups--;
        else
                node_forget(tree, parent, 1);
}

void node_unlink(struct node_tree *tree, struct node *parent, const char *name)
{
        struct link *link = find_link(tree, parent, name);
        if (link)
                drop_link(tree, link);
}

/* A directory has one name. Moved outside, it can come to lie below what was below it: that one's name is wrong
 * then. */
static void settle_directory(struct node_tree *tree, struct node *node, const struct node *parent)
{
        for (struct link *link; (link = node->links);)
                drop_link(tree, link); // the caller holds the node: NOLINT(clang-analyzer-unix.Malloc)
        for (const struct node *at = parent; at->links; at = at->links->parent)
                if (at->links->parent == node) {
                        drop_link(tree, at->links);
                        return;
                }
}

void node_link(struct node_tree *tree, struct node *node, struct node *parent, const char *name)
{
        struct link *link = find_link(tree, parent, name);
        if (node == &tree->root || node == parent || (link && link->node == node))
                return;
        node->lookups++; /* neither of them is to be freed on the way */
        parent->lookups++;
        if (link)
                drop_link(tree, link);
        if (S_ISDIR(node->is.type))
                settle_directory(tree, node, parent);
        unsigned count = 1;
        for (link = node->links; link && link->next; link = link->next)
                count++;
        if (count >= NODE_LINKS)
                drop_link(tree, link);
        if (tree->names >= (tree->by_name ? tree->name_mask : 0))
                grow_names(tree);
        size_t length = strlen(name) + 1;
        link = memory_new(sizeof *link + length);
        memcpy(link->name, name, length);
        link->node = node;
        link->parent = parent;
        link->hash = hash_name(parent, name);
        link->next = node->links;
        node->links = link;
        link->chain = tree->by_name[link->hash & tree->name_mask];
        tree->by_name[link->hash & tree->name_mask] = link;
        parent->children++;
        tree->names++;
        node->lookups--;
        parent->lookups--;
}

struct node *node_enter(struct node_tree *tree, struct node *parent, const char *name, const struct identity *is)
{
        if (identity_same(&tree->root.is, is)) /* the source bound below itself */
                return &tree->root;
        if (tree->count >= (tree->by_identity ? tree->identity_mask : 0))
                grow_identities(tree);
        struct node **bucket = &tree->by_identity[hash_identity(is) & tree->identity_mask], *node = *bucket;
        while (node && !identity_same(&node->is, is))
                node = node->chain;
        if (!node) {
                node = new_node(tree);
                node->is = *is;
                node->chain = *bucket;
                *bucket = node;
        }
        node->lookups++;
        if (parent)
                node_link(tree, node, parent, name);
        return node;
}

void node_rename(struct node_tree *tree, struct node *old_parent, const char *old_name, struct node *new_parent,
                 const char *new_name, bool exchange)
{
        struct link *from = find_link(tree, old_parent, old_name), *to = find_link(tree, new_parent, new_name);
        struct node *moved = from ? from->node : NULL, *other = to ? to->node : NULL;
        if (moved == other && moved)
                return; /* two names of one file: rename(2) does nothing */
        struct node *held[] = {moved, other, old_parent, new_parent};
        for (size_t i = 0; i < 4; i++)
                if (held[i])
                        held[i]->lookups++;
        if (from)
                drop_link(tree, from);
        if (to)
                drop_link(tree, to);
        if (moved)
                node_link(tree, moved, new_parent, new_name);
        if (other && exchange)
                node_link(tree, other, old_parent, old_name);
        for (size_t i = 0; i < 4; i++)
                if (held[i] == &tree->root)
                        held[i]->lookups--;
                else if (held[i])
                        node_forget(tree, held[i], 1);
}

char *node_path(const struct node_tree *tree, const struct link *link)
{
        size_t length = 0, depth = 0;
        const struct link *at;
        for (at = link; at; at = at->parent->links) {
                length += strlen(at->name) + 1;
                if (++depth > DEPTH)
                        return NULL;
                if (at->parent == &tree->root)
                        break;
        }
        if (!at) /* something above lost its name */
                return NULL;
        char *path = memory_new(length), *end = path + length;
        for (at = link;; at = at->parent->links) {
                size_t n = strlen(at->name);
                *--end = at == link ? '\0' : '/';
                end -= n;
                memcpy(end, at->name, n);
                if (at->parent == &tree->root)
                        return path;
        }
}

struct node *node_next(struct node_tree *tree, uint32_t *cursor)
{
        if ((*cursor)++ == 0)
                return &tree->root;
        for (; *cursor - 2 < tree->slot_count; (*cursor)++)
                if (!is_free(tree->slots[*cursor - 2]))
                        return tree->slots[*cursor - 2];
        return NULL;
}
