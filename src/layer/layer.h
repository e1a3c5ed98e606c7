// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The changes of an environment, found by comparing its layer with what the layer covers.
 *
 * Theory of operation. A slot of the layer holds only what was touched, so the walk goes through the layer's own
 * directories, never through the tree below, and looks each name up in what is covered. Names come sorted, so two walks
 * of one layer tell the same in the same order. What the walk keeps is bounded: the names of one directory at each
 * depth, in pieces when there are many, and an index of hard links.
 */
#pragma once

#include "base/error.h"
#include "layer/files.h"
#include "model/chain.h"
#include "model/cover.h"
#include "model/store.h"

#include <stdbool.h>

enum change_kind {
        CHANGE_ADDED,
        CHANGE_CHANGED,
        CHANGE_REPLACED, /* by a thing of another type; what was below a directory is gone */
        CHANGE_DELETED,  /* with everything below */
        CHANGE_RENAMED,  /* only of layer/rename.h: the file `from`, as it was */
};

/* What differs. */
#define CHANGE_CONTENT 1u
#define CHANGE_MODE 2u
#define CHANGE_OWNER 4u
#define CHANGE_XATTRS 8u
#define CHANGE_ACL 16u
#define CHANGE_CAPABILITIES 32u
#define CHANGE_TARGET 64u /* of a symbolic link, or the number of a device */
#define CHANGE_LINK 128u  /* it is now another name of `link` */
#define CHANGE_TIMES 256u /* only when asked for */

/* How sure it is that what the layer covers is what it covered. */
enum proof {
        PROOF_SURE,     /* as it was when the layer first covered it */
        PROOF_CHANGED,  /* changed outside since */
        PROOF_UNKNOWN,  /* it cannot be told */
        PROOF_HIDDEN,   /* a rule hid it: nobody inside saw it */
};

struct layer_slot;

struct change {
        enum change_kind kind;
        unsigned what;
        const char *path;          /* inside: absolute, clean */
        const char *link;          /* another name of the same file, met before in this walk, or NULL */
        const char *from;          /* CHANGE_RENAMED */
        struct meta after;         /* inside; ids are the environment's */
        bool passage;              /* not asked for, but above what was: a directory that is not there outside */
        bool top;                  /* the top of a slot */
        bool parent_new;           /* the directory that it is in covers none */
        bool copy; /* made by copying what was covered under this name or another; only where `proofs` are wanted,
                    * and not of what is in a new directory */
        struct timespec since;     /* of a file in the layer: when it was made; else when the slot was first used */
        struct timespec
                parent_sure; /* the directory that it is in is the one that was covered, for all times after this */
        struct timespec parent_ctime; /* of that directory outside */
        enum proof proof;          /* of `before` */
        const struct layer_slot *slot;
        int own, base;             /* directories that hold it, -1: none; only until the visit returns */
        const char *name;          /* in base: the last component of path, or "" */
        const char *own_name;      /* in own: the same, but for a single file */
        struct meta before;        /* outside; last, because there often is nothing */
};

/* Told of each change. A negative value ends the walk, which returns it. */
typedef int (*layer_visit)(void *context, const struct change *change);
/* Told of what cannot be looked at: damage. The walk goes on. */
typedef void (*layer_trouble)(void *context, const char *path, const char *what, int code);

struct layer_slot {
        unsigned number;
        char *path;          /* what it covers inside */
        struct cover cover;
        char *target;        /* where what shows through lies outside, NULL: nowhere */
        int *own;            /* `upper` or `content`, then those of frozen layers, topmost first */
        size_t own_count;
        bool is_file;        /* a single file: own[0] is the directory that holds `content` */
        int *base;           /* the sources that are there */
        size_t base_count;
        const char *damage;  /* what is wrong with it, NULL: nothing */
        int base_error;      /* why they cannot be read, an errno */
};

struct layer {
        struct layer_slot *slots; /* sorted by path */
        size_t count, capacity;
        unsigned shift;           /* what is taken from ids in the layer: the range of an environment of real root */
        bool mine;                /* what is made of it belongs to the invoking user, and to nobody else it may */
        bool ids;                 /* owners are compared: the environment has ids of its own */
        /* Asked for the owner of what is outside, where this process cannot see it: it works in the environment's ids.
         * Or NULL. */
        int (*owner)(void *context, int dir, const char *name, unsigned *uid, unsigned *gid);
        void *owner_context;
        int directory;            /* of the environment; borrowed */
        bool idle;                /* it is kept from running: nobody changes the layer */
        struct chain chain;       /* frozen layers below */
        const char *lost;         /* one of them that is not there, or NULL */
};

#define cleanup_layer __attribute__((cleanup(layer_close)))

/* Opens the layer of the environment whose directory is open. */
int layer_open(struct layer *layer, int directory, struct error *err);
void layer_close(struct layer *layer);

struct layer_walk {
        const struct layer *layer;
        char **paths;        /* only changes at or below these (canonical); NULL: all */
        size_t path_count;
        bool times;          /* times are compared too */
        bool directory_times; /* those of directories are */
        bool proofs;         /* `proof` is wanted */
        layer_visit visit;
        layer_trouble trouble;
        void *context;
        unsigned long *found; /* of each path, how many changes; or NULL */
};

/* Walks. Returns 0, what `visit` returned, or a negative errno. */
int layer_walk(const struct layer_walk *walk, struct error *err);

/* Opens for reading the regular file `path` of the slot: as it is inside (`own`), or outside. Negative: an errno. */
int change_open(const struct layer_slot *slot, const char *path, bool own);
/* The same for what is inside, of any type, with files_open_any(). */
int change_open_any(const struct layer_slot *slot, const char *path);

/* compare.c: what differs between two things of one type. Negative: an errno, of *which ("inside" or "outside"). */
int compare(const struct layer *layer, const struct change *change, bool times, unsigned *what, const char **which);
/* Have two open files the same content? 1, 0, or a negative errno. */
int compare_content(int a, int b);

/* names.c: the names in some directories, sorted, each once, in pieces of bounded size. */
struct names {
        char **items;
        size_t count, capacity;
        char *last;     /* the last of the piece before, NULL at the beginning */
        struct names_chunk *chunks; /* where the items lie */
        size_t bytes, budget;
        char *limit;    /* names from here on belong to a later piece */
        bool done;
};
#define NAMES_BUDGET ((size_t)8 << 20) /* of names and what points at them */
/* Fills in the next piece. 1: there is one (perhaps empty); 0: the end. */
int names_next(struct names *n, const int *dirs, size_t count);
void names_clear(struct names *n);

/* slot.c: the name of ours at `relative` in the slot. */
enum cover_name_kind slot_name(const struct layer_slot *slot, const char *relative);

/* Who owns outside what belongs to `uid`, `gid` in the layer. */
uid_t layer_uid(const struct layer *layer, uid_t uid);
gid_t layer_gid(const struct layer *layer, gid_t gid);

bool time_before(const struct timespec *a, const struct timespec *b);
bool time_equal(const struct timespec *a, const struct timespec *b);
