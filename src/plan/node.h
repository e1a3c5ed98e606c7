// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the resolver works on: the rules of one environment after every name in them was looked up, one node each, and
 * the nodes that follow from them. Private to the room `plan`.
 */
#pragma once

#include "plan/plan.h"

enum node_kind {
        /* the rules, in the order of enum rule_kind */
        NODE_PRIVATE = RULE_PRIVATE,
        NODE_MIRROR = RULE_MIRROR,
        NODE_SHARE = RULE_SHARE,
        NODE_EMPTY = RULE_EMPTY,
        NODE_HIDE = RULE_HIDE,
        NODE_FROM = RULE_FROM,
        NODE_UNION = RULE_UNION,
        /* what follows from rules */
        NODE_AUGMENT, /* a directory seen through, with names added or hidden: for rules onto names that are not
                       * there */
        NODE_REBUILD, /* the same, entry by entry, where a layer cannot stand because mounts lie below */
        NODE_SPLIT, /* private, entry by entry, for the same reason */
        /* places that every environment has */
        NODE_PROC,
        NODE_DEVICES,
        NODE_RUNTIME, /* /run */
        NODE_INNER,
        NODE_SEAL,
};

struct node {
        enum node_kind kind;
        char *path; /* inside: canonical */
        char **sources; /* outside: canonical; for see-through kinds the one that shows through */
        size_t source_count;
        struct file file; /* what sources[0] is */
        bool asked;
        bool listed; /* it is there because the directory above was rebuilt or split, or the layer has a part for it */
        bool done; /* has its mount point */
        struct plan_name *names;
        size_t name_count, name_capacity;
        char *why;
};

struct resolver {
        const struct environment *e;
        const struct system *system;
        struct plan *plan;
        struct node *nodes; /* sorted by path whenever a function is entered */
        size_t count, capacity;
        bool mirror; /* root by an ordinary user: what shows the main system shows it through the mirror (mirror.c) */
        bool whole;  /* one layer may lie over everything, mounts included */
        struct plan_name *mirror_names; /* what the mirror does not show */
        size_t mirror_name_count, mirror_name_capacity;
        struct error *err;
};

/* The node that governs a canonical path: itself or the nearest above; NULL when there is none. */
struct node *node_governing(struct resolver *r, const char *path);
/* The node on exactly this path, or NULL. */
struct node *node_at(struct resolver *r, const char *path);
/* Adds a node; takes over nothing. The nodes stay sorted, so pointers to nodes move. Returns the new one. */
struct node *node_add(struct resolver *r, enum node_kind kind, const char *path, const char *source, bool asked);
void node_name(struct node *node, enum name_kind kind, const char *path, unsigned mode, const char *target);
void nodes_clear(struct resolver *r);

/* The name outside that shows through at the inside path, fresh memory; NULL when nothing of outside does. */
char *node_outer(struct resolver *r, const char *path);

/* walk.c: a name made canonical as the environment sees it (links followed, "." and ".." gone); what does not exist is
 * appended as it stands. NULL with r->err set when it loops. */
char *walk_inside(struct resolver *r, const char *path);
/* The same for a name of the main system. */
char *walk_outside(const struct system *system, const char *path, struct error *err);

/* mirror.c: does the node take its sources from the mirror? */
bool mirror_has(const struct resolver *r, const struct node *node);
/* Lets the mirror not show what the node at `path` takes away (RULE_HIDE) or answers itself (RULE_EMPTY), if nothing of
 * it shows anywhere else. Returns whether it does not. */
bool mirror_withholds(struct resolver *r, const char *path);
/* The mirror shows `path` of the main system as an empty directory. */
void mirror_blank(struct resolver *r, const char *path);
/* Puts the operation that makes the mirror before all others. */
void mirror_emit(struct resolver *r);

/* anchor.c: adds a private node for each place that the invoking user can write. */
int anchor_nodes(struct resolver *r);

/* place.c: /proc, /dev, /run, sockets, and what hides paddock's own state. */
int place_nodes(struct resolver *r);

/* stack.c: inside another environment, lays layers over the parts of its layers, and shows the parts of ours. */
void stack_sources(struct resolver *r);
void stack_expose(struct resolver *r);

/* mountpoint.c: sees to it that every node has a name to stand on. May add nodes. */
int mountpoint_nodes(struct resolver *r);

/* Do mounts of the main system lie below this name (not on it)? */
bool system_has_mounts_below(const struct system *system, const char *path);
/* The mount that a name is on. */
const struct mount *system_mount_of(const struct system *system, const char *path);
