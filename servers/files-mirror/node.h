// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The names that the kernel knows of: a tree of nodes, one for each name, never for an inode.
 *
 * Theory of operation. A node is a *path*: when the file outside is replaced by another of the same name, the node
 * stays and shows the new one. (With a node for each inode a replaced file would be ESTALE for ever in the overlay
 * above, which keeps what it once looked up.) A node lives as long as the kernel counts lookups of it, or has nodes
 * below it. Its id is a slot of the table with the slot's generation, so that an id that was forgotten, or
 * invented, leads nowhere. Nothing but a name and an identity is kept: no descriptor, no attributes. Memory:
 * sizeof(struct node) and the name, about 90 bytes.
 *
 * One lock guards the tree. It is held for hash look-ups and for putting a path together, never for a system call.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NODE_ROOT 1ULL /* FUSE_ROOT_ID */
#define NODE_NONE 0ULL
/* the longest name that the kernel takes from FUSE; some file systems have more than 255 bytes */
#define NAME_ROOM 1025

struct rule_point;

struct node {
        uint64_t lookups;    /* the kernel's count; 0: nobody asks for it any more */
        uint64_t ino;        /* what was last seen under the name: inode, device and type */
        uint64_t dev;
        char *name;          /* NULL: the slot is free */
        const struct rule_point *rule; /* what rules say at or below this name; NULL: nothing */
        uint32_t slot, parent, next, children, generation;
        int watch;           /* inotify's number of a directory that is watched; 0: none */
        uint16_t type;       /* S_IFMT bits of what was last seen */
        bool absent_told;    /* a directory in which a name was said not to exist */
        bool watch_refused;
        bool stored;         /* the kernel was given the content */
        bool listed;         /* a directory that was listed, or of which a listing was asked for */
        uint32_t changes;    /* mirror->changes when that began */
        bool complete;       /* it was listed to its end */
        bool awaited;        /* lookups in it wait until it is: hold.h */
        uint8_t looked_up;   /* names found in it one by one, as far as it matters */
        uint8_t walked;      /* directories in it that somebody walked through or in, as far as it matters */
        uint8_t read;        /* directories in it of which, or in which, files were read */
        bool moved;          /* waits for everything below it to be taken back */
};

struct node_tree {
        pthread_mutex_t lock;
        struct node **chunks;
        size_t chunk_count;
        uint32_t *buckets, bucket_mask;
        uint32_t free_slot;
        size_t count; /* nodes in use */
        void (*released)(void *context, struct node *node); /* called before a node is freed; may be NULL */
        void *context;
};

int node_tree_start(struct node_tree *tree, const struct rule_point *root_rule);
void node_tree_end(struct node_tree *tree);

/* The functions below are called with tree->lock held. */

/* The node of an id, or NULL when there is none (any more). */
struct node *node_find(struct node_tree *tree, uint64_t id);
uint64_t node_id(const struct node *node);
/* The child of that name, or NULL. */
struct node *node_child(struct node_tree *tree, const struct node *parent, const char *name);
/* The same, made when there is none. NULL: no memory. The caller counts a lookup, or calls node_forget(…, 0). */
struct node *node_make(struct node_tree *tree, struct node *parent, const char *name);
/* Takes `count` lookups away; frees the node, and those above it that only it held, when none are left. */
void node_forget(struct node_tree *tree, struct node *node, uint64_t count);
/* The node that it lies in, NULL for the root. */
struct node *node_parent(struct node_tree *tree, const struct node *node);
/* Is `node`, or one above it, marked as moved? */
bool node_is_moved(struct node_tree *tree, const struct node *node);
/* The absolute path of `node`, whatever its length, in fresh memory, or NULL. */
char *node_path(struct node_tree *tree, const struct node *node);
/* The next node in use after slot *cursor (start with 0), or NULL. */
struct node *node_next(struct node_tree *tree, uint32_t *cursor);
