// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A commit that is being carried out: what apply.c (the items of the journal in their order), fresh.c (new directories)
 * and place.c (names given to what is ready) share.
 */
#pragma once

#include "layer/commit.h"

/* A new directory that is being filled. */
struct fresh {
        struct item item;
        unsigned long number;
        struct into into;   /* itself */
        struct into parent; /* fd -1 but for the topmost, which has */
        char *temp;         /* a name of paddock's, and */
        char *name;         /* gets its own when it is full */
};

/* What is ready but for its name. */
struct waiting {
        struct item item;
        unsigned long number;
        int parent;
        uint64_t device; /* of the parent */
        int fd;          /* a file without a name; -1: it stands at */
        char *temp;      /* a name of paddock's */
        char *name;
        int text;        /* what was merged from inside, -1: nothing was */
        bool placed;     /* nothing stands at temp any more */
};

struct apply {
        struct commit *commit;
        bool again;           /* a commit that was cut off */
        unsigned long number; /* of the item, for names */
        unsigned kinds;       /* of items that there are: a bit each */
        unsigned char *done;  /* a bit for each item that was carried out */
        size_t done_size;
        bool linked;          /* files have several names: their time of change moves with each */
        char **parents;       /* outside, in which names were made or removed */
        size_t parent_count, parent_capacity;
        char *parent_path;    /* outside, of */
        struct into parent;
        char *own_path;       /* inside, of */
        int own;
        const struct layer_slot *own_slot;
        struct fresh *fresh;
        size_t fresh_count, fresh_capacity;
        struct waiting *waiting;
        size_t waiting_count, waiting_capacity, waiting_limit;
        struct touched {
                uint64_t device;
                int fd; /* some directory on it */
        } *touched; /* file systems that were written to */
        size_t touched_count, touched_capacity;
        int sync_failed;
        int text; /* of the item that is being worked on: see struct waiting */
};

/* A change that cannot go, because of what came in between, or of a failure. */
void apply_conflict(struct apply *a, const char *path, const char *why);
void apply_failed(struct apply *a, const char *path, const char *what, int code);
/* The item is carried out; `made`, when it is not NULL, is what stands outside now, as long as nothing renames it. */
void apply_done(struct apply *a, unsigned long number, const struct item *item, const struct meta *made);
/* Remembers what the commit has made of the item. */
void apply_know(struct apply *a, const struct item *item, const struct meta *made);
/* It has its name: if it was merged, what inside has is from now on what both sides come from. True. */
bool apply_merged(struct apply *a, const struct waiting *w);
/* What the layer has of the item, open. Negative: an errno. */
int apply_open_own(struct apply *a, const struct item *item);
/* Where the item lies outside, fresh memory, or NULL. */
char *apply_target(const struct apply *a, const struct item *item);
/* The directory outside that holds the item, open until the next call, and the item's name in it (fresh memory). */
int apply_open_parent(struct apply *a, const struct item *item, char **name);

/* A name of paddock's, for the item that is being worked on. */
char *place_temporary(const struct apply *a);
void place_remove_temporary(int dir, const char *name);
/* Is it what was looked at before? */
bool place_is_before(const struct item *item, const struct meta *now);
/* Is what stands at the name already what the layer has? */
bool place_is_done(struct apply *a, int own, int dir, const char *name);
/* A commit that was cut off may have left something under its name: of its own, or what stood there before. What is
 * neither was put there outside at the moment of the exchange: it stays, and is named. */
void place_clear(struct apply *a, const struct item *item, int own, int dir, const char *temp);
/* Takes `fd` and `temp`; the parent is borrowed. */
void place_later(struct apply *a, unsigned long number, const struct item *item, const struct into *parent, int fd,
                 char *temp, const char *name);
/* Makes all that waits durable, and gives it its names. */
void place_all(struct apply *a);

/* Begins the directory of the item in `parent`, or in the directory that is being filled (`inside`). */
void fresh_begin(struct apply *a, const struct item *item, const struct into *parent, const char *name, bool inside);
/* Ends those that are full, because the next item is at `path` (NULL: there is none). */
void fresh_leave(struct apply *a, const char *path);
/* Opens what will have the name `path` when the new directories have theirs. -ENOENT: that is in none of them. */
int fresh_open(const struct apply *a, const char *path);
