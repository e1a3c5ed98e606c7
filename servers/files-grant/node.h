// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The files that the kernel knows of: a node is a *file*, known by device, inode, time of birth and type, with the
 * names under which it was seen.
 *
 * Theory of operation. A grant is written through, so a file must stay itself when it is renamed, and hard links must
 * be one file. An ordinary user cannot open a file by its handle, and a descriptor for every file would soon be too
 * many: so a node is reached by one of its names, from the top, and then compared (source.h). What stands there by now
 * is either that file or ESTALE, at which the kernel looks the name up anew and finds another node. The time of birth
 * tells a new file from an old one whose inode number it was given; where a file system has none, device, number and
 * type must do.
 *
 * A node lives as long as the kernel counts lookups of it, or has names below it, or has it open. Its id is a slot of
 * the table with the slot's generation: an id that was forgotten, or invented, leads nowhere.
 *
 * All functions are called with the grant's lock held. None makes a system call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODE_ROOT 1ULL /* FUSE_ROOT_ID */
#define NODE_LINKS 8   /* names of one file that are remembered */

struct identity {
        uint64_t dev, ino;
        int64_t birth; /* seconds */
        uint32_t birth_ns;
        uint16_t type;  /* S_IFMT bits */
        bool has_birth;
};

struct node;
struct handle;
struct lock;

struct link {
        struct node *node, *parent;
        struct link *next;  /* of the same node, the newest first */
        struct link *chain; /* in the bucket */
        uint32_t hash;
        char name[];
};

struct stamp { /* of a file's content */
        int64_t mtime, ctime, size;
        uint32_t mtime_ns, ctime_ns;
};

struct node {
        uint64_t lookups; /* the kernel's count */
        struct identity is;
        struct link *links;
        struct node *chain; /* in the bucket */
        struct handle *handles;
        struct lock *locks; /* POSIX ones, by owner */
        struct stamp stamp; /* of what the kernel's pages show */
        int64_t told;       /* ms; when the kernel was last told its attributes */
        uint32_t slot, generation, children;
        bool stamped; /* the stamp is good: the next change of the content will have another */
        bool touched; /* the kernel may have pages of it */
};

struct node_tree {
        struct node root;
        struct node **slots;
        struct node **by_identity;
        struct link **by_name;
        uint32_t slot_count, free_slot, generation; /* free slots form a list; generations are counted by the tree */
        uint32_t identity_mask, name_mask;
        size_t count, names;
};

void node_tree_start(struct node_tree *tree, const struct identity *root);
void node_tree_end(struct node_tree *tree);

bool identity_same(const struct identity *a, const struct identity *b);

/* The node of an id, or NULL when there is none (any more). */
struct node *node_find(struct node_tree *tree, uint64_t id);
uint64_t node_id(const struct node *node);
/* The file that was seen as `name` in a directory: found or made, and the name noted. One lookup is counted. `parent`
 * NULL: it has no name yet. */
struct node *node_enter(struct node_tree *tree, struct node *parent, const char *name, const struct identity *is);
/* The name is the node's from now on. */
void node_link(struct node_tree *tree, struct node *node, struct node *parent, const char *name);
/* The name is nobody's from now on. */
void node_unlink(struct node_tree *tree, struct node *parent, const char *name);
/* What had the old name has the new one; and the other way round (`exchange`). */
void node_rename(struct node_tree *tree, struct node *old_parent, const char *old_name, struct node *new_parent,
                 const char *new_name, bool exchange);
/* Takes `count` lookups away; frees the node, and those above it that only it held, when nothing holds it. */
void node_forget(struct node_tree *tree, struct node *node, uint64_t count);
/* The path of `link` from the root without a leading slash, in fresh memory; NULL when there is none. */
char *node_path(const struct node_tree *tree, const struct link *link);
/* The next node after slot *cursor (start with 0; the root comes first), or NULL. */
struct node *node_next(struct node_tree *tree, uint32_t *cursor);
