// SPDX-License-Identifier: GPL-3.0-or-later
/* The tree of names: see node.h. */
#include "node.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 4096U /* nodes allocated in one go; they never move */
#define NO_SLOT 0U  /* slot 0 is never used */
#define ROOT_SLOT 1U

static struct node *at(const struct node_tree *tree, uint32_t slot)
{
        return &tree->chunks[slot / CHUNK][slot % CHUNK];
}

static uint32_t hash(uint32_t parent, const char *name)
{
        uint64_t h = 14695981039346656037ULL ^ parent; /* FNV-1a */
        for (; *name; name++)
                h = (h ^ (unsigned char)*name) * 1099511628211ULL;
        return (uint32_t)(h ^ h >> 32);
}

/* Adds a chunk's slots to the free list. */
static bool grow(struct node_tree *tree)
{
        struct node **chunks = realloc(tree->chunks, (tree->chunk_count + 1) * sizeof *chunks);
        if (!chunks)
                return false;
        tree->chunks = chunks;
        struct node *chunk = calloc(CHUNK, sizeof *chunk);
        if (!chunk || tree->chunk_count >= UINT32_MAX / CHUNK) {
                free(chunk);
                return false;
        }
        uint32_t first = (uint32_t)tree->chunk_count * CHUNK;
        tree->chunks[tree->chunk_count++] = chunk;
        for (uint32_t i = CHUNK; i-- > 0;) {
                chunk[i].slot = first + i;
                if (first + i == NO_SLOT)
                        continue;
                chunk[i].next = tree->free_slot;
                tree->free_slot = first + i;
        }
        return true;
}

static void rehash(struct node_tree *tree)
{
        uint32_t mask = tree->bucket_mask * 2 + 1;
        uint32_t *buckets = calloc((size_t)mask + 1, sizeof *buckets);
        if (!buckets)
                return; /* longer chains, no harm */
        free(tree->buckets);
        tree->buckets = buckets;
        tree->bucket_mask = mask;
        uint32_t cursor = 0;
        for (struct node *node; (node = node_next(tree, &cursor));) {
                uint32_t *bucket = &buckets[hash(node->parent, node->name) & mask];
                node->next = *bucket;
                *bucket = node->slot;
        }
}

static struct node *add(struct node_tree *tree, uint32_t parent, const char *name)
{
        if (tree->free_slot == NO_SLOT && !grow(tree))
                return NULL;
        char *copy = strdup(name);
        if (!copy)
                return NULL;
        if (tree->count > tree->bucket_mask)
                rehash(tree);
        struct node *node = at(tree, tree->free_slot);
        tree->free_slot = node->next;
        uint32_t *bucket = &tree->buckets[hash(parent, name) & tree->bucket_mask];
        *node = (struct node){.slot = node->slot, .generation = node->generation, .name = copy, .parent = parent,
                              .next = *bucket};
        *bucket = node->slot;
        tree->count++;
        return node;
}

int node_tree_start(struct node_tree *tree, const struct rule_point *root_rule)
{
        *tree = (struct node_tree){.bucket_mask = 1023};
        pthread_mutex_init(&tree->lock, NULL);
        tree->buckets = calloc((size_t)tree->bucket_mask + 1, sizeof *tree->buckets);
        struct node *root = tree->buckets ? add(tree, NO_SLOT, "") : NULL;
        if (!root)
                return -1;
        root->lookups = 1; /* the mount's own */
        root->rule = root_rule;
        return 0;
}

void node_tree_end(struct node_tree *tree)
{
        uint32_t cursor = 0;
        for (struct node *node; (node = node_next(tree, &cursor));)
                free(node->name);
        for (size_t i = 0; i < tree->chunk_count; i++)
                free(tree->chunks[i]);
        free(tree->chunks);
        free(tree->buckets);
        pthread_mutex_destroy(&tree->lock);
}

struct node *node_find(struct node_tree *tree, uint64_t id)
{
        uint32_t slot = (uint32_t)id;
        if (slot == NO_SLOT || slot / CHUNK >= tree->chunk_count)
                return NULL;
        struct node *node = at(tree, slot);
        return node->name && node->generation == id >> 32 ? node : NULL;
}

uint64_t node_id(const struct node *node)
{
        return (uint64_t)node->generation << 32 | node->slot;
}

struct node *node_child(struct node_tree *tree, const struct node *parent, const char *name)
{
        uint32_t slot = tree->buckets[hash(parent->slot, name) & tree->bucket_mask];
        for (; slot != NO_SLOT; slot = at(tree, slot)->next)
                if (at(tree, slot)->parent == parent->slot && strcmp(at(tree, slot)->name, name) == 0)
                        return at(tree, slot);
        return NULL;
}

struct node *node_make(struct node_tree *tree, struct node *parent, const char *name)
{
        struct node *node = node_child(tree, parent, name);
        if (node)
                return node;
        node = add(tree, parent->slot, name);
        if (node)
                parent->children++;
        return node;
}

static void release(struct node_tree *tree, struct node *node)
{
        if (tree->released)
                tree->released(tree->context, node);
        uint32_t *link = &tree->buckets[hash(node->parent, node->name) & tree->bucket_mask];
        while (*link != node->slot)
                link = &at(tree, *link)->next;
        *link = node->next;
        free(node->name);
        node->name = NULL;
        node->generation++;
        node->next = tree->free_slot;
        tree->free_slot = node->slot;
        tree->count--;
}

void node_forget(struct node_tree *tree, struct node *node, uint64_t count)
{
        node->lookups -= count < node->lookups ? count : node->lookups;
        while (node->lookups == 0 && node->children == 0 && node->slot != ROOT_SLOT) {
                struct node *parent = at(tree, node->parent);
                release(tree, node);
                parent->children--;
                node = parent;
        }
}

struct node *node_parent(struct node_tree *tree, const struct node *node)
{
        return node->parent == NO_SLOT ? NULL : at(tree, node->parent);
}

bool node_is_moved(struct node_tree *tree, const struct node *node)
{
        for (; node; node = node_parent(tree, node))
                if (node->moved)
                        return true;
        return false;
}

char *node_path(struct node_tree *tree, const struct node *node)
{
        size_t length = 0;
        for (const struct node *n = node; n->slot != ROOT_SLOT; n = node_parent(tree, n))
                length += strlen(n->name) + 1;
        char *path = malloc(length + 2), *p = path + length;
        if (!path)
                return NULL;
        path[0] = '/';
        path[length ? length : 1] = '\0';
        for (const struct node *n = node; n->slot != ROOT_SLOT; n = node_parent(tree, n)) {
                size_t size = strlen(n->name);
                p -= size;
                memcpy(p, n->name, size);
                *--p = '/';
        }
        return path;
}

struct node *node_next(struct node_tree *tree, uint32_t *cursor)
{
        while (++*cursor < tree->chunk_count * CHUNK)
                if (at(tree, *cursor)->name)
                        return at(tree, *cursor);
        return NULL;
}
