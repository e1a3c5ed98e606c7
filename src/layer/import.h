// SPDX-License-Identifier: GPL-3.0-or-later
/* The state of an import: private to import.c (the order of it), describe.c (what describes) and restore.c (what
 * is a file). */
#pragma once

#include "layer/portable.h"
#include "layer/untar.h"

/* A directory that is being filled, and what it gets when it is full. */
struct filling {
        int fd;
        char *name; /* in the archive */
        struct untar_entry meta;
};

struct import {
        struct portable *p;
        struct untar tar;
        FILE *manifest;         /* as it should be */
        int place, env;
        bool single;            /* in the archive, these numbers stand for the one id: */
        unsigned uid, gid;
        char *home;             /* of whoever made it */
        bool has_record, has_digest, has_manifest;
        char **frozen, **fresh; /* names of frozen layers there and here */
        size_t frozen_count, frozen_capacity, fresh_count, fresh_capacity;
        char *slot;             /* the slot that entries belong to, as "layer/3"; its directory, and */
        int slot_fd;
        bool slot_blank, slot_covered, slot_filled;
        struct filling *stack;
        size_t depth, capacity;
        struct error *err;
};

/* Refuses what the archive has under `name`. */
int import_refuse(struct import *im, const char *name, const char *why);
/* Says that the entry could not be made. */
int import_failed(struct import *im, int code, const char *what);
/* Notes the digest of the entry, to be compared with the manifest. */
int import_note(struct import *im, const struct digest *whole);

/* restore.c: makes what the entry is, as `name` in `dir`. */
int restore(struct import *im, int dir, const char *name);
/* The directory that the entry is in, which is being filled. *last is the last component of its name. */
int restore_parent(struct import *im, const char **last, int *parent);
/* Completes the directories that are being filled until only `depth` are. */
int restore_complete(struct import *im, size_t depth);
void restore_clear(struct import *im);

/* describe.c: each reads the entry. `dir`: the directory of the layer that it describes. */
int describe_header(struct import *im);
int describe_record(struct import *im, const char *name);
int describe_base(struct import *im);
int describe_bases(struct import *im);
/* A chain, with the names that its layers have here; written as `name` in `dir`. */
int describe_chain(struct import *im, int dir, const char *name);
/* A frozen layer begins: it gets a name of here, */
int describe_frozen(struct import *im, const char *id);
/* which is this. NULL: none has begun. */
const char *describe_fresh(const struct import *im, const char *id);
/* layer/N/path: a slot begins. What it covers, as it is written here (fresh memory); and its layer/N/cover. */
int describe_slot(struct import *im, int dir, const char *number);
char *describe_slot_path(struct import *im);
int describe_cover(struct import *im, const char *path);
/* Reads the entry as text, and keeps its digest. *size may be NULL: then it may not contain NUL. */
int describe_text(struct import *im, char **text, size_t *size);
/* Writes a file that must be new. */
int describe_write(struct import *im, int dir, const char *name, const char *text, size_t size);
