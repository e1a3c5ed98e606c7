// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A whole environment as one file: a tar archive that people can look into, made and read only as a whole.
 *
 *      paddock-export                  what it is: see export.c
 *      environment  base  unreadable   as in the environment's directory (model/store.h)
 *      bases                           digests of what the changes were made from (layer/bases.h); since version 2
 *      frozen/ID/layer/chain           the frozen layers below, each after those that it lies over
 *      frozen/ID/layer/N/...           as layer/N/...
 *      layer/chain
 *      layer/N/path  layer/N/cover     what slot N covers
 *      layer/N/upper/...  or content   what was changed: deleted names are character devices 0:0, as overlay has them
 *      snapshot/TAG
 *      paddock-manifest                SHA-256 of each file, as sha256sum(1) writes and checks it (not of files with holes)
 *      paddock-digest                  of all bytes before
 *
 * Ids are those of the environment. One that has a single id says which numbers stand for it (`owner`).
 */
#pragma once

#include "base/error.h"
#include "layer/digest.h"
#include "model/environment.h"
#include "model/store.h"

#include <stdio.h>

#define PORTABLE_VERSION 2

/* Told from time to time how far it is. */
typedef void (*portable_progress)(void *context, unsigned long entries, uint64_t bytes);

struct portable {
        FILE *file;
        portable_progress progress; /* or NULL */
        void *context;
        bool single;                /* the environment has one id: */
        unsigned uid, gid;          /* of its files outside (export: theirs; import: that they get) */
        const char *home;           /* of whoever exports or imports; or NULL */
        bool image;                 /* export: it lies over an image, which nobody commits to */

        /* What came of it. */
        unsigned long entries;
        uint64_t bytes;             /* of the archive */
        char digest[DIGEST_HEX];
        unsigned long unproven;     /* export: changes of which there was no room to say what they were made from */
        char name[65];              /* of the environment that it was */
        enum identity_kind identity;
};

/* Writes the environment, whose directory is open and which does not run. `shift` is taken from the ids of its
 * files. */
int portable_export(struct portable *p, int directory, unsigned shift, struct error *err);

/* Reading is done in two steps, because who may read the rest depends on what stands first: p->name and p->identity. */
struct import;
int import_begin(struct portable *p, struct import **import, struct error *err);
/* Fills the directory `place`, in which `env` and `frozen` are made: what becomes env/NAME and goes into frozen/.
 * Called by a process to which all ids of the environment belong. Nothing that is there is trusted before it returns 0.
 * `name`: of the environment now. */
int import_read(struct import *import, int place, const char *name, struct error *err);
void import_end(struct import *import);
