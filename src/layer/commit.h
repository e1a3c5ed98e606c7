// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Changes kept: carried to the outside.
 *
 * Theory of operation. First every chosen change is looked at (check.c). One that may not go is refused by name, and
 * then nothing is done at all; else what is to be done is written down durably (journal.h). Then it is done (apply.c),
 * in an order in which nothing half is ever seen under a lasting name:
 *
 *   - a file is written without a name (or under one of paddock's), made durable, and appears by one link or exchange;
 *   - what the exchange brings out is compared with what was found before, and exchanged back if it is another;
 *   - a new directory is filled under a name of paddock's and appears whole by one rename;
 *   - names that are to go go last, a directory with everything below it by one rename to a name of paddock's.
 *
 * Each step can be gone through again: what is there already and equal is done. So whoever finds a journal goes through
 * it, and comes to the same end.
 */
#pragma once

#include "layer/bases.h"
#include "layer/fold.h"
#include "layer/journal.h"
#include "layer/known.h"
#include "layer/layer.h"

struct commit {
        struct layer *layer;
        int directory;          /* of the environment */
        char **paths;           /* chosen; NULL: all */
        size_t path_count;
        char **forced;          /* at and below these it does not matter what changed outside */
        size_t forced_count;
        bool inside; /* the changes are looked at by a process with ids of its own, which sees all other owners as
                        nobody's */
        bool merge;             /* text that changed on both sides is merged */
        struct known known;
        struct bases bases;     /* what came with an import */
        struct folds folds;     /* names that fall together outside */
        struct timespec proved; /* of the change that is looked at: what it covers is as it was, if it is older */
        struct journal journal;
        bool asked;             /* who the invoking user is: */
        unsigned uid, gid;
        /* Opens a file of the layer that cannot be opened as the invoking user. May be NULL. */
        int (*open_own)(void *context, const struct layer_slot *slot, const char *path);
        /* Told of each change that is refused, and of each that is not (why is NULL). */
        void (*tell)(void *context, const struct change *change, const char *path, const char *why);
        void *context;
        unsigned long refused, items;
        unsigned long done, conflicts, merged; /* of commit_apply(): conflicts are told through `tell` */
};

/* A layer_visit, behind a rename_filter: looks at one change. `context` is the commit; its journal is begun. */
int commit_check(void *commit, const struct change *change);

/* Carries out the journal (`again`: of a commit that was cut off). Names what changed outside since it was written, and
 * leaves it. */
int commit_apply(struct commit *c, bool again, struct error *err);

/* Has everything below the directory `name` the age of what the layer covered: older than `since`? 1; 0 with the path
 * of what is younger in *found (fresh memory); negative: an errno. `strict` is false once the commit itself is at
 * work. */
int commit_tree_is_old(const struct commit *c, int dir, const char *name, const char *path,
                       const struct timespec *since, bool strict, char **found);

/* What lacks for the proof that what the change covers is as it was, or NULL: then c->proved is since when. With
 * `parent`, the directory outside, also what is below a directory that goes. What is no constant is put into
 * *text. */
const char *commit_lacking(struct commit *c, const struct change *change, int parent, const char *target, char **text);

/* Where `path` of the slot lies outside, fresh memory; NULL: nowhere. */
char *commit_target(const struct layer_slot *slot, const char *path);

/* merge.c: writes both versions of a text to `to`. With `base`, the version that both come from, what one side
 * changed is taken over, and what both changed otherwise stands between marks; without it (-1) every difference
 * does. Returns how many stand between marks, negative: an errno. */
int merge_texts(int outside, int base, int inside, int to);
/* Is it text? */
bool merge_is_text(int fd);

/* put.c: a directory that things are put into. */
struct into {
        int fd;
        bool inherits;   /* what is made in it may begin with attributes or a group of the directory's */
        bool share;      /* blocks can perhaps be shared */
        unsigned uid, gid; /* who makes it */
        uint64_t device;
};
int into_look(struct into *into, int fd);

/* Makes a thing, that is no directory, like the one that `own` is open on. With `nameless`, a file gets no name where
 * that can be had, and is left open there; else that is -1. `made`, when it is not NULL, tells its type, inode and time
 * of change. 0, or negative: an errno, and *what says what could not be done. */
int put(const struct layer *layer, int own, struct into *into, const char *name, int *nameless, struct meta *made,
        const char **what);
/* Owner, attributes, permissions and time of the open directory or file. */
int put_meta(const struct layer *layer, int own, int fd, const char **what);
