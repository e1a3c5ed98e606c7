// SPDX-License-Identifier: GPL-3.0-or-later
/* The state of an import: private to import.c (what describes) and restore.c (what is a file). */
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
